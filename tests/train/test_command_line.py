"""`python -m train`: what it makes, and what it says to wrong names and values."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from explorer.datasets import Dataset, Split, load_dataset
from explorer.models import ARCHITECTURES
from explorer.models.norms import NORMS
from explorer.runs import list_runs, predict
from train.__main__ import build_parser, job_from, main, parse_pair
from train.job import Job, complete_choice, input_spec, pick_device
from train.recipes import (
    ARCHITECTURE_ARGUMENTS,
    RECIPES,
    SIZES,
    Recipe,
    architecture_arguments_for,
    recipe_for,
    size_for,
)
from train.solver import OPTIMIZERS, SCHEDULERS, check_recipe


@pytest.fixture
def command(picture_folder: Path, cache: Path, tmp_path: Path) -> list[str]:
    """One short epoch of a small net."""
    return [
        *("--dataset", f"folder:{picture_folder}", "--size", "32", "--architecture", "simplecnn", "--norm", "group"),
        *("--epochs", "1", "--out", str(tmp_path / "out"), "--quiet"),
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
        assert f"{run.card.metrics['test'].misclassified} of 20 misclassified" in said
        card = run.card
        assert run.path == tmp_path / "out" / f"folder-{picture_folder.name}" / card.name
        assert card.dataset.splits == {"train": 48, "val": 12, "test": 20}
        assert card.norm.arguments == {"groups": 2, "eps": 1e-5}  # with the default of what was not given
        assert (card.seed, card.recipe["optimizer"], card.recipe["learning_rate"]) == (3, "adam", 0.001)
        assert card.recipe["optimizer_arguments"] == {}  # those of SGD no longer apply
        assert card.best_epoch == len(run.history()) == 1
        assert card.seconds > 0
        assert torch.__version__.startswith(card.versions["torch"])

    def test_its_figures_are_those_of_its_weights(self, command: list[str], tmp_path: Path) -> None:
        assert main(command) == 0
        ((run,), _) = list_runs(tmp_path / "out")
        dataset = load_dataset(run.card.dataset.name, size=32)
        assert dataset.fingerprint == run.card.dataset.fingerprint
        for name, split in dataset.splits.items():
            predicted = predict(run.load_model(), split.images, run.card.input).argmax(1)
            assert run.card.metrics[name].misclassified == (predicted != split.labels.numpy()).sum()
        assert run.predictions().ids == dataset.splits["test"].ids

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
            (("--seed", "-1"), "seed must be at least 0; got -1"),
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
            ("", ""),
        ],
    )
    def test_values_are_read_as_what_they_look_like(self, text: str, value: object) -> None:
        key, found = parse_pair(f"key={text}")
        assert (key, found, type(found)) == ("key", value, type(value))

    @pytest.mark.parametrize("recipe", RECIPES.values(), ids=str)
    def test_every_recipe_is_a_valid_one(self, recipe: Recipe) -> None:
        check_recipe(recipe)

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

    def test_a_choice_spells_out_every_argument(self) -> None:
        assert complete_choice("norm", NORMS, "group", {"groups": 8}).arguments == {"groups": 8, "eps": 1e-5}
        assert complete_choice("norm", NORMS, "none", {}).arguments == {}
        with pytest.raises(ValueError, match="wants a number, like 1e-05; got True"):
            complete_choice("norm", NORMS, "group", {"eps": True})


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
