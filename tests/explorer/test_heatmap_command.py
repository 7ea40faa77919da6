"""`python -m explorer heatmap`: what it writes, and that a mistake is one line and leaves nothing behind."""

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from PIL import Image

from explorer.__main__ import main
from explorer.heatmaps.explanation import explain, scaled
from explorer.heatmaps.gradcam import heatmaps
from explorer.images import fit, overlay, read_image
from explorer.runs import Run, list_runs

ROOT = Path(__file__).parents[2]


@pytest.fixture
def runs(coloured) -> list[Run]:
    return list_runs(coloured.checkpoints)[0]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A noisy PNG file that is not square."""
    path = tmp_path / "my picture.png"
    pixels = np.random.default_rng(3).integers(0, 256, (50, 70, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def command(images: list[Path], runs: list[Run], out: Path, *more: str) -> list[str]:
    names = [str(path) for path in images]
    return ["heatmap", *names, "--runs", *(str(run.path) for run in runs), "--out", str(out), *more]


def manifest(out: Path) -> dict:
    return json.loads((out / "manifest.json").read_text(encoding="utf-8"))


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_it_writes_the_bundle_without_streamlit(runs: list[Run], picture: Path, tmp_path: Path):
    out = tmp_path / "deep" / "out"
    script = (
        "import sys; from explorer.__main__ import main; status = main(sys.argv[1:]); "
        "assert not {'streamlit', 'altair', 'pytorch_grad_cam'} & set(sys.modules); sys.exit(status)"
    )
    arguments = command([picture], runs, out, "--opacity", "0.8")
    done = subprocess.run([sys.executable, "-c", script, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"10 files in {out}" in done.stdout
    (image,) = manifest(out)["images"]
    assert (image["name"], image["sha256"]) == (picture.name, hashlib.sha256(picture.read_bytes()).hexdigest())
    assert files(out) == {"manifest.json"} | {path for run in image["runs"] for path in run["files"].values()}
    for run, said in zip(runs, image["runs"], strict=True):
        shown = fit(read_image(picture.read_bytes()), run.spec.input.height, run.spec.input.width)
        inputs, model = run.spec.input.normalise(shown[None]), run.load_model()
        probabilities = model(inputs).softmax(1)[0]
        heatmap = heatmaps(model, inputs, probabilities.argmax()[None])[0]
        assert said["run"] == run.path.name
        assert said["fingerprint"] == run.spec.dataset.fingerprint
        assert list(said["probabilities"].values()) == pytest.approx(probabilities.tolist(), abs=1e-5)
        assert np.load(out / said["files"]["heatmap"]) == pytest.approx(heatmap.numpy(), abs=1e-4)
        drawn = np.asarray(Image.open(out / said["files"]["overlay"])).astype(int)
        assert abs(drawn - overlay(shown, heatmap, 0.8)).max() <= 1
        assert f"{run.path.name}: {said['predicted']} (" in done.stdout


def test_class_stage_and_scale_are_kept_to(runs: list[Run], picture: Path, tmp_path: Path):
    stage = runs[0].load_model().stage_names[0]
    out = tmp_path / "out"
    assert main(command([picture], runs, out, "--target", "green", "--stage", stage, "--scale", "shared")) == 0
    assert manifest(out)["scale"] == "shared"
    found = []
    for run in runs:
        shown = fit(read_image(picture.read_bytes()), run.spec.input.height, run.spec.input.width)
        target = run.card.classes.index("green")
        found.append(explain(run.load_model(), run.spec.input.normalise(shown[None]), target, stage))
    for said, one, heatmap in zip(manifest(out)["images"][0]["runs"], found, scaled(found, "shared"), strict=True):
        assert (said["target"], said["stage"]) == ("green", stage)
        assert said["raw_maximum"] == pytest.approx(one.raw_maximum, rel=1e-4)
        assert np.load(out / said["files"]["heatmap"]) == pytest.approx(heatmap.numpy(), abs=1e-4)
        assert np.load(out / said["files"]["raw"]) == pytest.approx(one.raw.numpy(), abs=1e-4)


def test_files_are_replaced_only_when_told_to(runs: list[Run], picture: Path, tmp_path: Path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "manifest.json").write_text("mine")
    (out / "notes.txt").write_text("also mine")
    assert main(command([picture], runs[:1], out)) == 1
    assert f"error: {out / 'manifest.json'} exists; choose another --out or pass --overwrite" in capsys.readouterr().err
    assert files(out) == {"manifest.json", "notes.txt"}
    assert (out / "manifest.json").read_text() == "mine"

    assert main(command([picture], runs[:1], out, "--overwrite")) == 0
    assert len(manifest(out)["images"]) == 1
    assert (out / "notes.txt").read_text() == "also mine"
    assert {path.name for path in tmp_path.iterdir()} == {out.name, picture.name}


def refused(arguments: list[str], out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a command says which fails and leaves nothing behind."""
    assert main(arguments) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert not out.exists()
    assert not [path for path in out.parent.iterdir() if path.name.startswith(".writing")]
    (line,) = said.err.splitlines()
    return line


def test_a_picture_that_cannot_be_read_is_named(runs: list[Run], picture: Path, tmp_path: Path, capsys):
    bad, missing, out = tmp_path / "bad.png", tmp_path / "none.png", tmp_path / "out"
    bad.write_bytes(picture.read_bytes()[:200])
    line = refused(command([picture, bad], runs, out), out, capsys)
    assert line.startswith(f"error: {bad}: expected a PNG, JPEG or WEBP picture, got")
    assert str(missing) in refused(command([picture, missing], runs, out), out, capsys)


def test_an_unknown_class_or_stage_lists_the_valid_ones(runs: list[Run], picture: Path, tmp_path: Path, capsys):
    out = tmp_path / "out"
    line = refused(command([picture], runs, out, "--target", "pink"), out, capsys)
    assert line == "error: unknown class 'pink'; expected one of: blue, green, red"
    stages = ", ".join(runs[0].load_model().stage_names)
    line = refused(command([picture], runs, out, "--stage", "roof"), out, capsys)
    assert line == f"error: {runs[0].path.name}: unknown stage 'roof'; expected one of: {stages}"


def test_a_damaged_run_is_named(runs: list[Run], picture: Path, tmp_path: Path, capsys):
    out, copy = tmp_path / "out", copytree(runs[0].path, tmp_path / "run")
    damaged = replace(runs[0], path=copy)
    weights = (copy / "weights.safetensors").read_bytes()
    (copy / "weights.safetensors").write_bytes(weights[:1000])
    assert f"error: {copy}: weights.safetensors is damaged" in refused(command([picture], [damaged], out), out, capsys)

    (copy / "weights.safetensors").write_bytes(weights)
    card = json.loads((copy / "card.json").read_text())
    (copy / "card.json").write_text(json.dumps(card | {"architecture": {"name": "resnet14"}}))
    line = refused(command([picture], [damaged], out), out, capsys)
    assert line.startswith(f"error: {copy.name}: weights.safetensors does not fit card.json")

    nowhere = replace(runs[0], path=tmp_path / "nowhere")
    assert "there is no such folder" in refused(command([picture], [nowhere], out), out, capsys)


def test_runs_of_different_classes_are_not_compared(runs: list[Run], picture: Path, tmp_path: Path, capsys):
    out, copy = tmp_path / "out", copytree(runs[0].path, tmp_path / "run")
    card = json.loads((copy / "card.json").read_text())
    (copy / "card.json").write_text(json.dumps(card | {"classes": ["one", "two", "three"]}))
    line = refused(command([picture], [runs[0], replace(runs[0], path=copy)], out), out, capsys)
    assert "expected runs of the same classes (blue, green, red), got one, two, three" in line


def test_a_run_given_twice_is_refused(runs: list[Run], picture: Path, tmp_path: Path, capsys):
    out = tmp_path / "out"
    assert "twice" in refused(command([picture], [runs[0], runs[0]], out), out, capsys)


def test_a_disk_that_fills_up_leaves_nothing(runs: list[Run], picture: Path, tmp_path: Path, capsys, monkeypatch):
    out, write = tmp_path / "out", Path.write_bytes

    def fail_late(path: Path, content: bytes) -> int:
        if path.name == "manifest.json":
            raise OSError(28, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", fail_late)
    assert "No space left" in refused(command([picture], runs[:1], out), out, capsys)


@pytest.mark.parametrize("value", ["1.5", "-0.1", "nan", "much"])
def test_an_opacity_outside_0_to_1_is_refused(runs: list[Run], picture: Path, tmp_path: Path, capsys, value: str):
    with pytest.raises(SystemExit):
        main(command([picture], runs, tmp_path / "out", f"--opacity={value}"))
    assert "--opacity" in capsys.readouterr().err
