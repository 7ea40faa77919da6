"""What defines a run, the name that follows from it, and the model's input."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from explorer.runs import IMPORTED, Choice, DatasetRef, InputSpec, dataset_folder, safe_name
from tests.explorer.runs.making import RECIPE, SPEC, made_images

OTHERS: list[dict[str, Any]] = [
    {"dataset": replace(SPEC.dataset, name="other")},
    {"architecture": Choice("compact")},
    {"architecture": Choice("simplecnn", {"width": 2})},
    {"norm": Choice("group", {"groups": 2, "eps": 1e-5})},
    {"norm": None},
    {"input": replace(SPEC.input, height=64)},
    {"recipe": {**RECIPE, "learning_rate": 0.2}},
    {"recipe": {**RECIPE, "augmentations": []}},
    {"recipe": {**RECIPE, "optimizer_arguments": {"momentum": 0.8, "dampening": 0, "nesterov": True}}},
    {"recipe": None},
    {"seed": 1},
    {"seed": None},
    {"origin": IMPORTED},
]
SAME: list[dict[str, Any]] = [
    {"dataset": DatasetRef("toys", "folder:/elsewhere/toys", None)},  # moved, or of a card that knows no fingerprint
    {"input": InputSpec(32, 32, (0.1, 0.1, 0.1), (0.2, 0.2, 0.2))},
    {"recipe": {**RECIPE, "augmentations": ("flip_horizontal",)}},
    {"recipe": {**RECIPE, "epochs": 2.0, "optimizer_arguments": {"momentum": 0.9, "dampening": 0.0, "nesterov": 1}}},
    {"recipe": dict(reversed(RECIPE.items()))},
]


class TestName:
    def test_it_is_the_same_for_ever(self) -> None:
        assert SPEC.name == "simplecnn-group-seed0-6c26e5"

    @pytest.mark.parametrize("changes", OTHERS, ids=str)
    def test_whatever_defines_the_run_changes_it(self, changes: dict[str, Any]) -> None:
        other = replace(SPEC, **changes)
        assert other.name != SPEC.name
        assert not other.same_but_images(SPEC)

    @pytest.mark.parametrize("changes", SAME, ids=str)
    def test_specs_of_the_same_run_have_one_name(self, changes: dict[str, Any]) -> None:
        other = replace(SPEC, **changes)
        assert other.name == SPEC.name
        assert other.same_but_images(SPEC)
        assert SPEC.same_but_images(other)

    def test_the_parts_are_legible(self) -> None:
        spec = replace(SPEC, architecture=Choice("resnet14"), norm=Choice("batch-scratch"), seed=12)
        assert spec.name.startswith("resnet14-batch-scratch-seed12-")

    def test_what_is_not_known_is_left_out(self) -> None:
        spec = replace(SPEC, architecture=Choice("my net/v2: final"), norm=None, recipe=None, seed=None)
        assert spec.name.startswith("my-net-v2-final-")
        assert len(spec.name) == len("my-net-v2-final-") + 6


class TestSafeName:
    @pytest.mark.parametrize(
        ("text", "name"),
        [
            ("elpv", "elpv"),
            ("solar cells", "solar-cells"),
            ("../../etc", "etc"),
            (".hidden", "hidden"),
            ("a/b\\c:d", "a-b-c-d"),
            ("čáp", "čáp"),
            ("\ud800", "unnamed"),
            ("...", "unnamed"),
            ("", "unnamed"),
        ],
    )
    def test_a_name_is_a_file_name(self, text: str, name: str) -> None:
        assert safe_name(text) == name

    @pytest.mark.parametrize("letter", ["a", "č", "字", "𠀀"])
    def test_it_leaves_room_for_what_is_put_before_and_after(self, letter: str) -> None:
        found = safe_name(letter * 500)
        assert set(found) == {letter}
        assert 76 < len(found.encode()) <= 80

    def test_no_name_leads_out_of_the_root(self, tmp_path) -> None:
        assert dataset_folder(tmp_path, "../x").parent == tmp_path


class TestInputSpec:
    def test_normalise_is_the_formula(self) -> None:
        images = made_images(4)
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (SPEC.input.mean, SPEC.input.std))
        inputs = SPEC.input.normalise(images)
        assert inputs.dtype == torch.float32
        torch.testing.assert_close(inputs, (images / 255 - mean) / std)

    @pytest.mark.parametrize(
        "images",
        [
            torch.zeros(2, 3, 32, 32),
            torch.zeros(2, 3, 32, 16, dtype=torch.uint8),
            torch.zeros(2, 1, 32, 32, dtype=torch.uint8),
            torch.zeros(3, 32, 32, dtype=torch.uint8),
        ],
    )
    def test_other_images_are_refused(self, images: torch.Tensor) -> None:
        with pytest.raises(ValueError, match=r"wanted uint8 images \(N, 3, 32, 32\); got torch"):
            SPEC.input.normalise(images)


class TestChoice:
    @pytest.mark.parametrize(
        ("choice", "words"),
        [(Choice("batch"), "batch"), (Choice("group", {"groups": 4, "eps": 1e-5}), "group (groups=4, eps=1e-05)")],
    )
    def test_in_words(self, choice: Choice, words: str) -> None:
        assert str(choice) == words
