"""`python -m train`: what it makes, and what it says to wrong names and values."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from errno import EACCES, ENOSPC
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError

from explorer.datasets import Dataset, Split, load_dataset
from explorer.models import ARCHITECTURES
from explorer.models.norms import NORMS
from explorer.runs import DamagedRun, Run, list_runs
from explorer.runs.weights import predict
from train.__main__ import build_parser, job_from, main, parse_pair
from train.job import Job, dataset_ref, in_one_line, input_spec, pick_device
from train.recipes import (
    ARCHITECTURE_ARGUMENTS,
    RECIPES,
    SIZES,
    Recipe,
    architecture_arguments_for,
    recipe_for,
    size_for,
)
from train.solver import OPTIMIZERS, SCHEDULERS, complete_recipe


@pytest.fixture
def command(picture_folder: Path, cache: Path, tmp_path: Path) -> list[str]:
    """One short epoch of a small net."""
    return [
        *("--dataset", f"folder:{picture_folder}", "--size", "32", "--architecture", "simplecnn", "--norm", "group"),
        *("--epochs", "1", "--out", str(tmp_path / "out")),
    ]


def changed(command: list[str], *options: str) -> list[str]:
    """The command with options added; of a repeated option the last counts."""
    return [*command, *options]


class TestOneRun:
    def test_it_is_listed_with_a_card_that_tells_all(
        self, command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], picture_folder: Path
    ) -> None:
        options = ("--seed", "3", "--norm-argument", "groups=2", "--optimizer", "adam", "--learning-rate", "0.001")
        assert main(changed(command, *options)) == 0
        ((run,), problems) = list_runs(tmp_path / "out")
        assert problems == []
        said = capsys.readouterr().out
        assert str(run.path) in said
        assert f"{run.card.test.misclassified} of 20 misclassified" in said
        card, spec = run.card, run.spec
        assert spec.norm is not None
        assert spec.recipe is not None
        assert card.seconds is not None
        assert run.path == tmp_path / "out" / picture_folder.name / card.name
        assert (spec.dataset.name, spec.dataset.location) == (picture_folder.name, f"folder:{picture_folder}")
        assert card.splits == {"train": 48, "val": 12, "test": 20}
        assert spec.norm.arguments == {"groups": 2, "eps": 1e-5}  # with the default of what was not given
        assert (spec.seed, spec.recipe["optimizer"], spec.recipe["learning_rate"]) == (3, "adam", 0.001)
        assert spec.recipe["optimizer_arguments"] == {  # Adam's own, and those of SGD no longer
            "betas": [0.9, 0.999],
            "eps": 1e-8,
            "amsgrad": False,
            "decoupled_weight_decay": False,
        }
        assert spec.recipe["loss_arguments"] == {"ignore_index": -100, "label_smoothing": 0.0}
        assert spec.recipe["augmentations"] == ["flip_horizontal", "shift"]
        assert card.best_epoch == len(run.history()) == 1
        assert card.seconds > 0
        assert torch.__version__.startswith(card.versions["torch"])

    def test_its_figures_are_those_of_its_weights(self, command: list[str], tmp_path: Path) -> None:
        assert main(command) == 0
        ((run,), _) = list_runs(tmp_path / "out")
        dataset = load_dataset(run.spec.dataset.location, size=32)
        assert dataset.fingerprint == run.spec.dataset.fingerprint
        for name, split in dataset.splits.items():
            predicted = predict(run.load_model(), split.images, run.spec.input).argmax(1)
            assert run.card.metrics[name].misclassified == (predicted != split.labels.numpy()).sum()
        assert tuple(run.predictions().ids) == dataset.splits["test"].ids

    def test_a_finished_run_is_overwritten_only_when_asked(
        self, command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(command) == 0
        card = next((tmp_path / "out").glob("*/*/card.json"))
        card.write_text(json.dumps(json.loads(card.read_text(encoding="utf-8")) | {"created": "long ago"}))
        assert main(command) == 1
        assert "exists; pass --overwrite to train it again" in capsys.readouterr().err
        assert json.loads(card.read_text(encoding="utf-8"))["created"] == "long ago"
        assert main(changed(command, "--overwrite")) == 0
        assert json.loads(card.read_text(encoding="utf-8"))["created"] != "long ago"
        assert [path.name for path in card.parents[1].iterdir()] == [card.parent.name]

    def test_quiet_prints_nothing(self, command: list[str], capfd: pytest.CaptureFixture[str]) -> None:
        load_dataset(command[1], size=32)  # decoded with bars
        capfd.readouterr()
        assert main(changed(command, "--quiet")) == 0
        assert capfd.readouterr() == ("", "")
        assert main(changed(command, "--quiet")) == 1
        found = capfd.readouterr()
        assert found.out == ""
        assert len(found.err.splitlines()) == 1
        assert found.err.startswith("error: the run ")


class TestDatasetNames:
    """A data set is known by its name and its fingerprint, wherever its folder lies and however that is spelled."""

    @pytest.fixture
    def pictures(self, picture_folder: Path, tmp_path: Path) -> Path:
        """A copy of the pictures in a folder `birds` that a test may change."""
        return Path(shutil.copytree(picture_folder, tmp_path / "one" / "birds"))

    def train(self, command: list[str], folder: Path | str, *options: str) -> int:
        return main(changed(command, "--dataset", f"folder:{folder}", *options))

    def run_of(self, tmp_path: Path, name: str) -> Run:
        ((run,), problems) = list_runs(tmp_path / "out")
        assert problems == []
        assert run.path.parent == tmp_path / "out" / name
        return run

    def test_one_folder_is_one_data_set_however_it_is_spelled(
        self, command: list[str], pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(pictures)
        assert self.train(command, ".") == 0
        assert self.run_of(tmp_path, "birds").spec.dataset.location == f"folder:{pictures}"
        assert [self.train(command, spelled) for spelled in (pictures, f"{pictures}/", "../birds")] == [1, 1, 1]
        self.run_of(tmp_path, "birds")

    def test_the_name_may_be_chosen(self, command: list[str], pictures: Path, tmp_path: Path) -> None:
        assert self.train(command, pictures, "--dataset-name", "my birds") == 0
        assert self.run_of(tmp_path, "my-birds").spec.dataset.name == "my birds"

    @pytest.mark.parametrize("name", ["", "two\nlines", "n" * 201])
    def test_names_that_no_card_holds(
        self, command: list[str], pictures: Path, name: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.train(command, pictures, "--dataset-name", name) == 1
        assert "a data set's name is a text of 1 to 200 characters in one line; got " in capsys.readouterr().err

    def test_other_images_under_the_same_name_are_refused_before_training(
        self, command: list[str], pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.train(command, pictures) == 0
        other = Path(shutil.copytree(pictures, tmp_path / "two" / "birds"))
        (other / "high" / "00.png").unlink()
        assert self.train(command, other, "--seed", "1") == 1
        said = capsys.readouterr().err
        run = self.run_of(tmp_path, "birds")
        assert f"the name 'birds' stands for other images here: wanted those of folder:{other} (" in said
        assert f"{run.path} was trained on those of folder:{pictures} ({run.spec.dataset.fingerprint})" in said
        assert "choose another name with --dataset-name, or move that run elsewhere" in said
        assert self.train(command, other, "--dataset-name", "other birds") == 0
        assert len(list_runs(tmp_path / "out")[0]) == 2

    def test_the_same_images_elsewhere_are_the_same_data_set(
        self, command: list[str], pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.train(command, pictures) == 0
        moved = Path(shutil.copytree(pictures, tmp_path / "two" / "birds"))
        assert self.train(command, moved) == 1
        assert "exists; pass --overwrite to train it again" in capsys.readouterr().err
        assert self.train(command, moved, "--seed", "1") == 0

    def test_overwriting_replaces_the_run_on_images_that_changed_since(
        self, command: list[str], pictures: Path, tmp_path: Path
    ) -> None:
        assert self.train(command, pictures) == 0
        before = self.run_of(tmp_path, "birds")
        (pictures / "high" / "00.png").unlink()
        assert self.train(command, pictures) == 1
        assert self.train(command, pictures, "--overwrite") == 0
        after = self.run_of(tmp_path, "birds")
        assert after.path == before.path
        assert after.spec.dataset.fingerprint != before.spec.dataset.fingerprint

    def test_overwriting_one_of_several_runs_on_other_images_is_refused(
        self, command: list[str], pictures: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert [self.train(command, pictures, "--seed", seed) for seed in ("0", "1")] == [0, 0]
        (pictures / "high" / "00.png").unlink()
        assert self.train(command, pictures, "--overwrite") == 1
        assert "simplecnn-group-seed1" in capsys.readouterr().err

    def test_runs_whose_cards_know_no_fingerprint_never_conflict(
        self, command: list[str], pictures: Path, tmp_path: Path
    ) -> None:
        assert self.train(command, pictures) == 0
        card = self.run_of(tmp_path, "birds").path / "card.json"
        plain = json.loads(card.read_text(encoding="utf-8"))
        plain["dataset"]["fingerprint"] = None
        card.write_text(json.dumps(plain), encoding="utf-8")
        (pictures / "high" / "00.png").unlink()
        assert self.train(command, pictures, "--seed", "1") == 0

    @pytest.mark.parametrize(
        ("location", "name", "wanted"),
        [
            ("elpv", None, ("elpv", "elpv")),
            ("cifar10", "ten things", ("ten things", "cifar10")),
            ("folder:/data/cells/", None, ("cells", "folder:/data/cells")),
            ("folder:/data/a/../cells", None, ("cells", "folder:/data/cells")),
            ("folder:~/cells", None, ("cells", f"folder:{Path.home().resolve()}/cells")),
            ("folder:/", None, ("folder", "folder:/")),
        ],
    )
    def test_names_and_locations(self, location: str, name: str | None, wanted: tuple[str, str]) -> None:
        found = dataset_ref(location, name, "f" * 16)
        assert (found.name, found.location, found.fingerprint) == (*wanted, "f" * 16)


class TestFileSystem:
    """What the file system refuses is one line and exit status 1."""

    def said(self, capsys: pytest.CaptureFixture[str]) -> str:
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        return line

    def test_a_file_as_out(self, command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "out").write_text("no folder")
        assert main(command) == 1
        assert str(tmp_path / "out") in self.said(capsys)

    def test_out_is_read_only(
        self, command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        make = Path.mkdir

        def mkdir(path: Path, *values: Any, **options: Any) -> None:
            if "out" in path.parts:
                raise PermissionError(EACCES, "Permission denied", str(path))
            make(path, *values, **options)

        monkeypatch.setattr(Path, "mkdir", mkdir)
        assert main(command) == 1
        assert self.said(capsys).startswith("error: Permission denied: ")

    @pytest.mark.parametrize(
        ("where", "error", "message"),
        [
            ("train.solver.Solver.save", SafetensorError("I/O error: No space left on device"), "No space left on"),
            ("train.job.write_run", OSError(ENOSPC, "No space left on device", "x"), "No space left on device: x"),
            ("train.job.write_run", DamagedRun("card.json is missing"), "card.json is missing"),
        ],
    )
    def test_a_disk_that_is_full(
        self,
        command: list[str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        where: str,
        error: Exception,
        message: str,
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(where, fail)
            assert main(command) == 1
        assert message in self.said(capsys)
        assert list_runs(tmp_path / "out") == ([], [])
        assert main(command) == 0  # and the same command goes on

    def test_class_names_that_no_card_holds_are_refused_before_training(
        self, command: list[str], picture_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        pictures = Path(shutil.copytree(picture_folder, tmp_path / "pictures"))
        (pictures / "high").rename(pictures / ("h" * 201))
        assert main(changed(command, "--dataset", f"folder:{pictures}")) == 1
        said = self.said(capsys)
        assert "classes should be 2 to 1,000 names of 1 to 200 characters" in said
        assert "train the run again" not in said
        assert not list(tmp_path.glob("out/*/.*.training"))

    @pytest.mark.parametrize(
        ("error", "line"),
        [
            (OSError(ENOSPC, "No space left on device", "x"), "No space left on device: x"),
            (OSError(ENOSPC, "No space left on device"), "[Errno 28] No space left on device"),
            (FileExistsError("the run x exists"), "the run x exists"),
            (ValueError("two\n  lines"), "two lines"),
            (MemoryError(), "MemoryError"),
        ],
    )
    def test_errors_in_one_line(self, error: Exception, line: str) -> None:
        assert in_one_line(error) == line


class TestWrongNamesAndValues:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--dataset", "mnist"), "unknown data set 'mnist'; expected one of: elpv, cifar10, folder:PATH"),
            (
                ("--architecture", "resnet15"),
                f"unknown architecture 'resnet15'; expected one of: {next(iter(ARCHITECTURES))}",
            ),
            (("--norm", "grp"), f"unknown norm 'grp'; expected one of: {', '.join(NORMS)}"),
            (("--loss", "hinge"), "invalid choice: 'hinge'"),
            (("--optimizer", "lion"), "invalid choice: 'lion'"),
            (("--scheduler", "warm"), "invalid choice: 'warm'"),
            (("--precision", "fp8"), "invalid choice: 'fp8'"),
            (("--augmentations", "shift,spin"), "unknown augmentation 'spin'; expected one of: flip_horizontal"),
            (("--device", "gpu"), "unknown device 'gpu'; expected one of: auto, cpu, cuda"),
            (("--norm-argument", "grops=2"), "unknown argument 'grops' of norm 'group'; expected one of: groups, eps"),
            (("--norm-argument", "groups=two"), "wants a whole number, like 4; got 'two'"),
            (("--norm-argument", "groups=0"), "needs a whole number of groups of at least 1; got 0"),
            (("--norm-argument", "eps=small"), "wants a number, like 1e-05; got 'small'"),
            (("--norm-argument", "groups"), "wanted KEY=VALUE; got 'groups'"),
            (("--architecture-argument", "width=2"), "'width' of architecture 'simplecnn'; it takes no arguments"),
            (("--loss-argument", "smooth=1"), "'smooth' of loss 'cross_entropy'; expected one of: "),
            (("--loss-argument", "label_smoothing=2"), "label_smoothing must be between"),
            (("--optimizer-argument", "beta=1"), "'beta' of optimizer 'sgd'; expected one of: momentum"),
            (("--optimizer-argument", "lr=1"), "unknown argument 'lr' of optimizer 'sgd'"),
            (("--scheduler-argument", "warm=1"), "'warm' of scheduler 'one_cycle'; expected one of: pct_start"),
            (("--epochs", "0"), "epochs must be at least 1; got 0"),
            (("--epochs", "two"), "invalid int value: 'two'"),
            (("--batch-size", "0"), "batch size must be at least 1; got 0"),
            (("--learning-rate", "-1"), "learning rate must be at least 0; got -1.0"),
            (("--size", "16"), "at least 32 pixels"),
            (("--size", "0"), "from 1 to 1024 pixels, got 0"),
            (("--seed", "-1"), "seed must be at least 0 and less than 2^63; got -1"),
            (("--seed", str(2**63)), "seed must be at least 0 and less than 2^63; got 9223372036854775808"),
            (("--norm-argument", "eps=inf"), "wants a number, like 1e-05; got inf"),
            (("--clip-norm", "inf"), "clip norm must be more than 0; got inf"),
            (("--learning-rate", "1e30"), "the loss is not finite in epoch 1; lower the learning rate"),
        ],
    )
    def test_they_are_told_what_is_valid(
        self,
        command: list[str],
        options: tuple[str, ...],
        message: str,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        try:
            status = main(changed(command, *options))
        except SystemExit as leaving:  # argparse's way out
            status = leaving.code
        assert status in (1, 2)
        said = capsys.readouterr().err
        assert message in said
        assert "Traceback" not in said
        assert list_runs(tmp_path / "out") == ([], [])

    @pytest.mark.parametrize(
        ("option", "registry"), [("--optimizer", OPTIMIZERS), ("--scheduler", SCHEDULERS), ("--loss", ["multi_margin"])]
    )
    def test_choices_are_listed(
        self, command: list[str], option: str, registry: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit):
            main(changed(command, option, "wrong"))
        said = capsys.readouterr().err
        assert all(name in said for name in registry)

    def test_a_folder_that_is_not_there(self, command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        assert main(changed(command, "--dataset", "folder:/nowhere/at/all")) == 1
        assert "no folder '/nowhere/at/all'" in capsys.readouterr().err

    def test_cuda_where_there_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        assert pick_device("auto") == pick_device("cpu") == "cpu"
        with pytest.raises(ValueError, match="has no CUDA; use the device cpu or auto"):
            pick_device("cuda")
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        assert pick_device("auto") == pick_device("cuda") == "cuda"


class TestOptions:
    def job(self, *options: str, dataset: str = "elpv") -> Job:
        names = ("--dataset", dataset, "--architecture", "resnet14", "--norm", "batch")
        return job_from(build_parser().parse_args([*names, *options]))

    def test_what_is_not_given_is_the_recipes(self) -> None:
        assert self.job().recipe == recipe_for("elpv", "resnet14")
        assert self.job(dataset="folder:birds").recipe == recipe_for("folder:birds", "resnet14")

    def test_each_option_changes_its_field_alone(self) -> None:
        start = recipe_for("elpv", "resnet14")
        assert self.job("--epochs", "3").recipe == replace(start, epochs=3)
        assert self.job("--weight-decay", "0").recipe == replace(start, weight_decay=0)
        assert self.job("--augmentations", "none").recipe == replace(start, augmentations=())
        assert self.job("--augmentations", "shift,cutout").recipe.augmentations == ("shift", "cutout")

    def test_arguments_belong_to_the_name_they_were_written_for(self) -> None:
        start = recipe_for("elpv", "resnet14")
        added = self.job("--optimizer-argument", "dampening=0").recipe.optimizer_arguments
        assert added == {**start.optimizer_arguments, "dampening": 0}
        other = self.job("--scheduler", "step", "--scheduler-argument", "every=5").recipe
        assert other.scheduler_arguments == {"every": 5}

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("3", 3),
            ("-1", -1),
            ("1e-3", 1e-3),
            ("true", True),
            ("False", False),
            ("cos", "cos"),
            ("a=b", "a=b"),
            ("0.9,0.95", (0.9, 0.95)),
            ("0.9,", "0.9,"),
            ("", ""),
        ],
    )
    def test_values_are_read_as_what_they_look_like(self, text: str, value: object) -> None:
        key, found = parse_pair(f"key={text}")
        assert (key, found, type(found)) == ("key", value, type(value))

    @pytest.mark.parametrize("recipe", RECIPES.values(), ids=str)
    def test_every_recipe_is_a_valid_one(self, recipe: Recipe) -> None:
        complete_recipe(recipe)

    @pytest.mark.parametrize(
        ("find", "table"),
        [(recipe_for, RECIPES), (size_for, SIZES), (architecture_arguments_for, ARCHITECTURE_ARGUMENTS)],
        ids=["recipes", "sizes", "arguments"],
    )
    def test_every_entry_is_some_architectures(self, find: Callable, table: dict) -> None:
        for key, entry in table.items():
            dataset, _, *norm = (key, "") if isinstance(key, str) else key
            assert set(norm) <= set(NORMS)
            found = [find(dataset, name, *norm) for name in ARCHITECTURES]
            assert any(one == entry for one in found), f"no architecture gets the entry {key}"


class TestInputSpec:
    def dataset(self, make_split, images: torch.Tensor) -> Dataset:
        split = make_split(len(images))
        filled = Split(images, split.labels, split.ids, split.facts)
        return Dataset("toys", "Made.", ("a", "b"), {"train": filled, "val": split, "test": split}, "0" * 16)

    def test_mean_and_std_are_of_each_channel_of_train(self, make_split) -> None:
        images = torch.randint(0, 256, (6, 3, 32, 32), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
        spec = input_spec(self.dataset(make_split, images))
        fractions = images.double() / 255
        assert spec.mean == pytest.approx(fractions.mean((0, 2, 3)).tolist(), abs=1e-6)
        assert spec.std == pytest.approx(fractions.transpose(0, 1).flatten(1).std(1).tolist(), abs=1e-6)
        inputs = spec.normalise(images)
        torch.testing.assert_close(inputs.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)

    def test_a_channel_that_is_the_same_everywhere_gives_finite_inputs(self, make_split) -> None:
        images = torch.zeros(6, 3, 32, 32, dtype=torch.uint8)
        images[:, 0] = 255
        inputs = input_spec(self.dataset(make_split, images)).normalise(images)
        assert inputs.abs().max() < 1e-3
