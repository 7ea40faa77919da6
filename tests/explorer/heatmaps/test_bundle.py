"""The computation behind heatmaps of single images, and the files of a bundle, against values computed anew."""

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from explorer.heatmaps.bundle import Answer, Subject, bundle_files, library_versions, zip_bytes
from explorer.heatmaps.explanation import Explained, explain, scaled
from explorer.heatmaps.gradcam import heatmaps, raw_heatmaps
from explorer.heatmaps.scaling import explain_blank, scale_together
from explorer.images import overlay
from explorer.models import build_model
from explorer.models.staged import StagedModel

CLASSES = ("a", "b", "c")


@dataclass(frozen=True)
class Asked:
    """A model, the parsed card of its run, and the uint8 image it is shown."""

    model: StagedModel
    card: dict
    image: torch.Tensor

    @property
    def inputs(self) -> torch.Tensor:
        return self.image[None].float() / 128 - 1

    def answer(self, target: int | None = None) -> Answer:
        return Answer(self.card, self.image, explain(self.model, self.inputs, target))


def ask(norm: str, side: int = 32) -> Asked:
    torch.manual_seed(len(norm))
    model = build_model("resnet8", norm, classes=len(CLASSES), input_size=(side, side)).eval()
    image = torch.randint(0, 256, (3, side, side), dtype=torch.uint8)
    card = {
        "schema_version": 1,
        "name": f"resnet8-{norm}-seed0-abcdef",
        "dataset": {"name": "letters", "fingerprint": "0123456789abcdef"},
        "architecture": {"name": "resnet8", "width": 16},
        "norm": {"name": norm},
        "classes": list(CLASSES),
        "seed": 0,
    }
    return Asked(model, card, image)


@pytest.fixture(scope="module")
def asked() -> tuple[Asked, ...]:
    return ask("batch"), ask("group")


def subject(asked: tuple[Asked, ...], name: str = "cat.png", target: int | None = None) -> Subject:
    return Subject(name, hashlib.sha256(name.encode()).hexdigest(), "the file", [one.answer(target) for one in asked])


def bundle(*subjects: Subject, scale: str = "own", opacity: float = 0.5) -> dict[str, bytes]:
    return bundle_files(subjects, scale=scale, opacity=opacity, created="2026-01-02T03:04:05+00:00")


def test_explain_is_the_prediction_and_the_raw_map(asked):
    for one in asked:
        with torch.no_grad():
            probabilities = one.model(one.inputs).softmax(1)[0]
        found = explain(one.model, one.inputs)
        assert found.probabilities == pytest.approx(probabilities.numpy())
        assert found.target == found.predicted == int(probabilities.argmax())
        assert found.stage == one.model.cam_stage
        for target in range(3):
            raw = raw_heatmaps(one.model, one.inputs, torch.tensor([target]))[0]
            found = explain(one.model, one.inputs, target)
            assert torch.equal(found.raw, raw)
            assert found.raw_maximum == max(0.0, float(raw.max()))
            assert found.blank == explain_blank(raw)


def test_explain_refuses_what_it_cannot_explain(asked):
    one = asked[0]
    with pytest.raises(ValueError, match=r"expected one image"):
        explain(one.model, one.inputs.repeat(2, 1, 1, 1))
    with pytest.raises(ValueError, match=r"unknown stage 'roof'; expected one of: \w+"):
        explain(one.model, one.inputs, stage="roof")
    for target in (-1, 3):
        with pytest.raises(ValueError, match=f"expected targets from 0 to 2, got {target};"):
            explain(one.model, one.inputs, target)


def test_the_own_scale_equals_heatmaps(asked):
    found = [one.answer(1).found for one in asked]
    for one, heatmap in zip(asked, scaled(found, "own"), strict=True):
        assert torch.equal(heatmap, heatmaps(one.model, one.inputs, torch.tensor([1]))[0])


def test_on_the_shared_scale_a_map_ten_times_weaker_looks_ten_times_weaker(asked):
    found = asked[0].answer().found
    strong = replace(found, raw=found.raw.abs() + 0.1)
    weak = replace(strong, raw=strong.raw / 10)
    high, low = scaled([strong, weak], "shared")
    assert float(high.max()) == pytest.approx(1)
    torch.testing.assert_close(low, high / 10)
    own = scaled([strong, weak], "own")
    torch.testing.assert_close(own[0], own[1], atol=1e-4, rtol=0)


def test_runs_of_different_sizes_share_a_scale_at_the_larger_size(asked):
    found = [asked[0].answer().found, ask("none", side=48).answer().found]
    assert [tuple(one.shape) for one in scaled(found, "own")] == [(32, 32), (48, 48)]
    shared = scaled(found, "shared")
    expected = scale_together([one.raw[None] for one in found], (48, 48))
    assert all(torch.equal(one, maps[0]) for one, maps in zip(shared, expected, strict=True))


def test_an_unknown_scale_lists_the_scales(asked):
    with pytest.raises(ValueError, match="unknown scale 'log'; expected one of: own, shared"):
        scaled([asked[0].answer().found], "log")


@pytest.mark.parametrize("scale", ["own", "shared"])
def test_every_file_holds_what_its_ending_says(asked, scale):
    answers = subject(asked)
    files = bundle(answers, scale=scale, opacity=0.7)
    expected = scaled([answer.found for answer in answers.answers], scale)
    runs = json.loads(files["manifest.json"])["images"][0]["runs"]
    assert len(files) == 1 + 3 * len(asked)
    for run, answer, heatmap in zip(runs, answers.answers, expected, strict=True):
        stored = np.load(io.BytesIO(files[run["files"]["heatmap"]]))
        assert stored.dtype == np.float32
        assert np.array_equal(stored, heatmap.numpy())
        assert np.array_equal(np.load(io.BytesIO(files[run["files"]["raw"]])), answer.found.raw.numpy())
        picture = np.asarray(Image.open(io.BytesIO(files[run["files"]["overlay"]])))
        assert np.array_equal(picture, overlay(answer.image, heatmap, 0.7))


def test_the_manifest_says_what_made_each_map(asked):
    manifest = json.loads(bundle(subject(asked, target=2))["manifest.json"])
    assert {key: manifest[key] for key in ("bundle_version", "created", "method", "scale", "opacity")} == {
        "bundle_version": 1,
        "created": "2026-01-02T03:04:05+00:00",
        "method": "Grad-CAM",
        "scale": "own",
        "opacity": 0.5,
    }
    assert manifest["versions"] == library_versions()
    assert torch.__version__.startswith(manifest["versions"]["torch"].partition("+")[0])
    (image,) = manifest["images"]
    assert image["name"] == "cat.png"
    assert image["sha256"] == hashlib.sha256(b"cat.png").hexdigest()
    for one, run in zip(asked, image["runs"], strict=True):
        with torch.no_grad():
            probabilities = one.model(one.inputs).softmax(1)[0]
        raw = raw_heatmaps(one.model, one.inputs, torch.tensor([2]))[0]
        assert run["run"] == one.card["name"]
        assert (run["dataset"], run["fingerprint"]) == ("letters", "0123456789abcdef")
        assert (run["architecture"], run["norm"]) == (one.card["architecture"], one.card["norm"])
        assert (run["schema_version"], run["seed"], run["stage"]) == (1, 0, one.model.cam_stage)
        assert (run["target"], run["predicted"]) == ("c", CLASSES[int(probabilities.argmax())])
        assert list(run["probabilities"].values()) == pytest.approx(probabilities.tolist())
        assert run["raw_maximum"] == pytest.approx(max(0.0, float(raw.max())))
        assert run["blank"] == explain_blank(raw)


def test_figures_that_are_not_finite_are_null_and_the_map_says_why(asked):
    good = asked[0].answer()
    broken = Explained(np.full(3, np.nan, np.float32), 0, good.found.stage, torch.full((4, 4), torch.nan), (32, 32))
    files = bundle(Subject("x.png", "", "the file", [replace(good, found=broken)]))
    (run,) = json.loads(files["manifest.json"])["images"][0]["runs"]
    assert run["raw_maximum"] is None
    assert set(run["probabilities"].values()) == {None}
    assert "not finite" in run["blank"]


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("cat.png", "1-cat"),
        ("../../etc/passwd", "1-passwd"),
        (r"C:\pictures\my cat.JPG", "1-my-cat"),
        ("a<b>|c.png", "1-a-b-c"),
        (".png", "1-png"),
        ("???.png", "1-image"),
        ("Zelle-Ä.png", "1-Zelle-Ä"),
        ("x" * 300 + ".png", "1-" + "x" * 60),
    ],
)
def test_a_name_that_nobody_checked_becomes_one_folder(asked, name, folder):
    files = bundle(subject(asked[:1], name=name))
    assert {Path(path).parent.as_posix() for path in files if path != "manifest.json"} == {folder}
    assert json.loads(files["manifest.json"])["images"][0]["name"] == name


def test_images_of_the_same_name_do_not_meet(asked):
    files = bundle(subject(asked), subject(asked))
    assert len(files) == 1 + 2 * 3 * len(asked)


def test_a_run_given_twice_is_refused(asked):
    with pytest.raises(ValueError, match="expected different runs, got resnet8-batch-seed0-abcdef twice"):
        bundle(subject((asked[0], asked[0])))


def test_the_archive_holds_the_files(asked):
    files = bundle(subject(asked))
    with zipfile.ZipFile(io.BytesIO(zip_bytes(files))) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == files
