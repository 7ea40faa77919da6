"""Comparisons along any axis, against tables of runs worked by hand."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from explorer.runs import (
    IMPORTED,
    Choice,
    DatasetRef,
    Grouping,
    Run,
    axes_of,
    datasets_of,
    group_runs,
    label_of,
    labels_of,
    select_runs,
    settings_of,
    title_of,
)
from explorer.runs.axes import words_of
from tests.explorer.runs.making import RECIPE, SPEC, run_of

FOUR, EIGHT = (Choice("group", {"groups": groups, "eps": 1e-5}) for groups in (4, 8))


def with_recipe(**changes: Any) -> dict[str, Any]:
    """The change of a run whose recipe differs from the others' in that."""
    return {"recipe": RECIPE | changes}


def runs_of(*changes: dict[str, Any]) -> list[Run]:
    """Runs that differ from each other in these."""
    runs = [run_of(**change) for change in changes]
    assert len({run.key for run in runs}) == len(runs)
    return runs


def table(grouping: Grouping) -> dict[str, list[int | None]]:
    """Label of each variant -> the seeds of its runs, in order."""
    return {variant.label: [run.spec.seed for run in variant.runs] for variant in grouping.variants}


def held(grouping: Grouping) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Axis that is held -> the value and all options."""
    return {one.axis: (one.value, one.options) for one in grouping.held}


def names(runs: Sequence[Run]) -> list[str]:
    """The folder names of runs."""
    return [run.path.name for run in runs]


class TestNorms:
    def test_each_norm_is_a_variant_the_known_ones_first(self) -> None:
        runs = runs_of(*({"norm": Choice(name)} for name in ("zeta", "none", "group", "alpha", "layer", "batch")))
        grouping = group_runs(runs, "norm")
        assert list(table(grouping)) == ["batch", "layer", "group", "no norm", "alpha", "zeta"]
        assert grouping.held == ()
        assert axes_of(runs) == ["norm"]

    def test_runs_that_differ_in_the_seed_alone_are_replicates(self) -> None:
        runs = runs_of(*({"norm": Choice(n), "seed": s} for n in ("batch", "layer") for s in (10, 0, None, 2)))
        grouping = group_runs(runs, "norm")
        assert table(grouping) == {"batch": [0, 2, 10, None], "layer": [0, 2, 10, None]}
        assert grouping.held == ()
        assert len(grouping.runs) == 8

    def test_a_norm_that_no_card_names_is_a_variant_too(self) -> None:
        runs = runs_of({"norm": Choice("batch")}, {"norm": None}, {"norm": Choice("none")})
        assert list(table(group_runs(runs, "norm"))) == ["batch", "no norm", "norm not known"]

    def test_one_run_alone(self) -> None:
        (run,) = runs_of({})
        assert axes_of([run]) == ["norm"]
        assert table(group_runs([run], "norm")) == {"group": [0]}

    def test_batch_sizes_of_a_norm_are_held_at_the_most_common(self) -> None:
        runs = runs_of(
            *({"norm": Choice("batch"), **with_recipe(batch_size=size)} for size in (8, 32, 128)),
            {"norm": Choice("layer"), **with_recipe(batch_size=32)},
            {"norm": Choice("none"), **with_recipe(batch_size=8)},
        )
        grouping = group_runs(runs, "norm")
        assert held(grouping) == {"batch_size": ("8", ("8", "32", "128"))}  # 8 and 32 are as common: the smaller first
        assert list(table(grouping)) == ["batch", "no norm"]

    def test_what_differs_between_variants_only_is_left(self) -> None:
        runs = runs_of({"norm": Choice("batch")}, {"norm": Choice("none"), **with_recipe(learning_rate=0.01)})
        grouping = group_runs(runs, "norm")
        assert (list(table(grouping)), grouping.held) == (["batch", "no norm"], ())

    def test_arguments_of_one_norm_are_held_and_leave_the_others_alone(self) -> None:
        runs = runs_of({"norm": Choice("batch")}, {"norm": FOUR}, {"norm": EIGHT}, {"norm": Choice("layer")})
        grouping = group_runs(runs, "norm")
        assert held(grouping) == {"norm.groups": ("4", ("4", "8"))}
        assert [variant.runs[0].spec.norm for variant in grouping.variants] == [Choice("batch"), Choice("layer"), FOUR]
        grouping = group_runs(runs, "norm", {"norm.groups": "8"})
        assert [variant.runs[0].spec.norm for variant in grouping.variants] == [Choice("batch"), Choice("layer"), EIGHT]

    def test_a_run_without_a_recipe_stays_whatever_the_others_are_held_at(self) -> None:
        runs = runs_of(
            *({"norm": Choice("batch"), **with_recipe(batch_size=size)} for size in (8, 32)),
            {"norm": Choice("layer"), "recipe": None, "seed": None, "origin": IMPORTED},
        )
        for size in ("8", "32"):
            grouping = group_runs(runs, "norm", {"batch_size": size})
            assert held(grouping) == {"batch_size": (size, ("8", "32"))}
            assert table(grouping) == {"batch": [0], "layer": [None]}

    def test_of_one_norm_trained_here_and_imported_the_more_common_are_shown(self) -> None:
        imported = {"recipe": None, "seed": None, "origin": IMPORTED}
        runs = runs_of({"seed": 0}, {"seed": 1}, imported)
        grouping = group_runs(runs, "norm")
        assert table(grouping) == {"group": [0, 1]}
        assert table(group_runs(runs, "norm", {"batch_size": "–"})) == {"group": [None]}


class TestSeeds:
    def grouping(self, *seeds: tuple[str, int | None]) -> Grouping:
        return group_runs(runs_of(*({"norm": Choice(norm), "seed": seed} for norm, seed in seeds)), "norm")

    def chosen(self, grouping: Grouping, seed: int | None) -> dict[str, int | None]:
        return {label: run.spec.seed for label, run in grouping.at_seed(seed).items()}

    def test_there_is_a_choice_of_the_seeds_of_variants_with_several_runs(self) -> None:
        grouping = self.grouping(("batch", 2), ("batch", 0), ("group", 7), ("layer", 0), ("layer", 1))
        assert grouping.seeds == (0, 1, 2)

    def test_one_run_each_leaves_no_choice(self) -> None:
        assert self.grouping(("batch", 2), ("group", None)).seeds == ()

    def test_a_variant_without_the_seed_shows_its_first_run(self) -> None:
        grouping = self.grouping(("batch", 2), ("batch", 0), ("group", 7), ("layer", None))
        assert self.chosen(grouping, 2) == {"batch": 2, "layer": None, "group": 7}
        assert self.chosen(grouping, None) == {"batch": 0, "layer": None, "group": 7}


class TestArchitectures:
    RUNS = runs_of(
        {"architecture": Choice("vgg11", {"width": 32}), "norm": Choice("batch")},
        {"architecture": Choice("convnet"), "norm": Choice("batch"), **with_recipe(epochs=5)},
        {"architecture": Choice("resnet14", {"stem_stride": 1}), "norm": Choice("batch")},
        {"architecture": Choice("resnet14", {"stem_stride": 1}), "norm": Choice("layer")},
    )

    def test_they_are_compared_though_recipes_differ(self) -> None:
        assert axes_of(self.RUNS) == ["norm", "architecture"]
        grouping = group_runs(self.RUNS, "architecture")
        assert held(grouping) == {"norm": ("batch", ("batch", "layer"))}
        assert list(table(grouping)) == ["resnet14", "convnet", "vgg11"]

    def test_with_another_norm_held(self) -> None:
        grouping = group_runs(self.RUNS, "architecture", {"norm": "layer"})
        assert held(grouping) == {"norm": ("layer", ("batch", "layer"))}
        assert list(table(grouping)) == ["resnet14"]

    def test_norms_are_compared_on_the_most_common_architecture(self) -> None:
        grouping = group_runs(self.RUNS, "norm")
        assert held(grouping) == {"architecture": ("resnet14", ("resnet14", "convnet", "vgg11"))}
        assert list(table(grouping)) == ["batch", "layer"]

    def test_one_of_an_unknown_norm_stays(self) -> None:
        foreign = runs_of({"architecture": Choice("their net"), "norm": None, "recipe": None, "origin": IMPORTED})
        grouping = group_runs([*self.RUNS, *foreign], "architecture")
        assert list(table(grouping)) == ["resnet14", "convnet", "their net", "vgg11"]


class TestBatchSizesAndSeeds:
    RUNS = runs_of(
        *(
            {"norm": Choice(norm), **with_recipe(batch_size=size)}
            for norm in ("group", "batch")
            for size in (128, 8, 32)
        ),
        {"norm": Choice("batch"), "seed": 1, **with_recipe(batch_size=32)},
    )

    def test_sizes_are_in_their_order_and_the_norm_is_held(self) -> None:
        assert axes_of(self.RUNS) == ["norm", "batch_size", "seed"]
        grouping = group_runs(self.RUNS, "batch_size")
        assert held(grouping) == {"norm": ("batch", ("batch", "group"))}
        assert table(grouping) == {"batch size 8": [0], "batch size 32": [0, 1], "batch size 128": [0]}

    def test_seeds_as_variants(self) -> None:
        grouping = group_runs(self.RUNS, "seed")
        assert held(grouping) == {
            "norm": ("batch", ("batch", "group")),
            "batch_size": ("32", ("32", "8", "128")),
        }
        assert table(grouping) == {"seed 0": [0], "seed 1": [1]}

    @pytest.mark.parametrize(
        ("wanted", "found"),
        [
            ({"batch_size": "8"}, "8"),
            ({"batch_size": "77"}, "32"),
            ({"batch_size": 8}, "32"),
            ({"mood": "good"}, "32"),
            (None, "32"),
        ],
    )
    def test_wanted_values_that_no_run_has_are_passed_over(self, wanted: dict[str, Any] | None, found: str) -> None:
        assert held(group_runs(self.RUNS, "norm", wanted))["batch_size"][0] == found

    def test_an_axis_that_no_run_has(self) -> None:
        with pytest.raises(ValueError, match="unknown axis 'mood'; expected one of: norm, architecture, size, "):
            group_runs(self.RUNS, "mood")


class TestOtherAxes:
    def test_a_sweep_of_learning_rates(self) -> None:
        runs = runs_of(*({"seed": s, **with_recipe(learning_rate=r)} for r in (0.1, 0.003, 1e-05) for s in (0, 1)))
        assert axes_of(runs) == ["norm", "seed", "learning_rate"]
        assert table(group_runs(runs, "learning_rate")) == {
            "learning rate 1e-05": [0, 1],
            "learning rate 0.003": [0, 1],
            "learning rate 0.1": [0, 1],
        }

    def test_rates_that_differ_in_the_eighth_digit_are_no_replicates(self) -> None:
        runs = runs_of(with_recipe(learning_rate=0.1), with_recipe(learning_rate=0.10000001))
        assert len(group_runs(runs, "learning_rate").variants) == 2
        assert len(group_runs(runs, "norm").runs) == 1

    def test_an_argument_of_a_norm(self) -> None:
        runs = runs_of({"norm": EIGHT}, {"norm": FOUR}, {"norm": Choice("batch")})
        assert axes_of(runs) == ["norm", "norm.groups"]
        grouping = group_runs(runs, "norm.groups")
        assert [(v.label, [r.spec.norm for r in v.runs]) for v in grouping.variants] == [
            ("norm groups 4", [FOUR]),
            ("norm groups 8", [EIGHT]),
            ("norm groups –", [Choice("batch")]),
        ]

    def test_an_argument_of_the_optimizer(self) -> None:
        runs = runs_of(*(with_recipe(optimizer_arguments={"momentum": m}) for m in (0.9, 0.5)))
        assert axes_of(runs) == ["norm", "optimizer.momentum"]
        assert list(table(group_runs(runs, "optimizer.momentum"))) == [
            *("optimizer momentum 0.5", "optimizer momentum 0.9")
        ]

    def test_optimizers_with_arguments_of_their_own(self) -> None:
        runs = runs_of({}, with_recipe(optimizer="muon", optimizer_arguments={"adamw_share": 0.1}))
        assert axes_of(runs) == ["norm", "optimizer"]
        assert list(table(group_runs(runs, "optimizer"))) == ["optimizer muon", "optimizer sgd"]

    def test_sizes_and_lists(self) -> None:
        wide = replace(SPEC.input, width=64)
        runs = runs_of({}, {"input": wide}, with_recipe(augmentations=["flip_horizontal", "shift"]))
        assert axes_of(runs) == ["norm", "size", "augmentations"]
        assert list(table(group_runs(runs, "size"))) == ["32 px", "32 × 64 px"]

    def test_two_things_at_once_are_no_axis(self) -> None:
        runs = runs_of({}, with_recipe(learning_rate=0.2, epochs=9))
        assert axes_of(runs) == ["norm"]

    def test_origins(self) -> None:
        runs = runs_of({}, {"origin": IMPORTED})
        assert axes_of(runs) == ["norm", "origin"]
        assert list(table(group_runs(runs, "origin"))) == ["imported", "trained"]


class TestSettings:
    def test_every_setting_of_a_spec_in_words(self) -> None:
        assert settings_of(replace(SPEC, architecture=Choice("resnet14", {"stem_stride": 2}))) == {
            "norm": "group",
            "architecture": "resnet14",
            "size": "32 px",
            "epochs": "2",
            "batch_size": "8",
            "learning_rate": "0.1",
            "optimizer": "sgd",
            "clip_norm": "none",
            "augmentations": "flip_horizontal",
            "optimizer.momentum": "0.9",
            "optimizer.dampening": "0",
            "optimizer.nesterov": "yes",
            "architecture.stem_stride": "2",
            "norm.groups": "4",
            "norm.eps": "1e-05",
            "origin": "trained",
            "seed": "0",
        }

    def test_a_recipe_says_nothing_of_what_is_the_specs(self) -> None:
        recipe = {"norm": "layer", "seed": 7, "origin": "found", "size": "9 px", "architecture": "x"}
        recipe |= {"norm_arguments": {"groups": 16}, "other_arguments": 3}
        assert settings_of(replace(SPEC, recipe=recipe)) == settings_of(replace(SPEC, recipe=None))

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            (None, "none"),
            (True, "yes"),
            (False, "no"),
            (3, "3"),
            (25.0, "25"),
            (5e-4, "0.0005"),
            (1e-05, "1e-05"),
            (0.123456789, "0.123456789"),
            (1_234_567, "1,234,567"),
            (1234567.5, "1234567.5"),
            (1e300, f"{1e300:,.0f}"),
            ([], "none"),
            (["a", 0.9, None], "a, 0.9, none"),
            ("sgd", "sgd"),
        ],
    )
    def test_words(self, value: object, words: str) -> None:
        assert words_of(value) == words

    @pytest.mark.parametrize(
        ("axis", "value", "title", "label"),
        [
            ("norm", "batch", "norm", "batch"),
            ("norm", "none", "norm", "no norm"),
            ("architecture", "vgg11", "architecture", "vgg11"),
            ("batch_size", "32", "batch size", "batch size 32"),
            ("optimizer.momentum", "0.9", "optimizer momentum", "optimizer momentum 0.9"),
            ("size", "32 px", "image size", "32 px"),
        ],
    )
    def test_titles_and_labels(self, axis: str, value: str, title: str, label: str) -> None:
        assert (title_of(axis), label_of(axis, value)) == (title, label)


class TestSelection:
    def test_runs_by_name_in_the_order_of_the_names(self) -> None:
        runs = runs_of({"norm": Choice("batch")}, {"norm": Choice("layer")}, {"norm": Choice("none")})
        first, second, third = names(runs)
        grouping = select_runs(runs, [third, "no such run", first, third])
        assert (grouping.axis, grouping.held) == ("selection", ())
        assert table(grouping) == {"no norm": [0], "batch": [0]}
        assert [variant.value for variant in grouping.variants] == [third, first]
        assert select_runs(runs, [second, "x"]).runs == (runs[1],)
        assert select_runs(runs, []).variants == ()


class TestLabels:
    def labels(self, *changes: dict[str, Any]) -> list[str]:
        runs = runs_of(*changes)
        labels = labels_of(runs)
        assert list(labels) == [run.key for run in runs]
        assert len(set(labels.values())) == len(runs)
        return list(labels.values())

    def test_the_norm_is_enough_when_it_is_all_that_differs(self) -> None:
        assert self.labels(*({"norm": Choice(name)} for name in ("batch", "layer", "none"))) == [
            *("batch", "layer", "no norm")
        ]

    def test_only_what_differs_is_added_and_only_where_needed(self) -> None:
        batch = {"norm": Choice("batch")}
        assert self.labels(batch, batch | {"seed": 1}, {}) == ["batch, seed 0", "batch, seed 1", "group"]

    @pytest.mark.parametrize(
        ("changes", "labels"),
        [
            ({"norm": EIGHT}, ["group, norm groups 4", "group, norm groups 8"]),
            (with_recipe(batch_size=32), ["group, batch size 8", "group, batch size 32"]),
            (with_recipe(weight_decay=0.1), ["group, weight decay –", "group, weight decay 0.1"]),
            ({"architecture": Choice("compact")}, ["simplecnn", "compact"]),
            ({"input": replace(SPEC.input, height=64, width=64)}, ["group, 32 px", "group, 64 px"]),
            ({"norm": None}, ["group", "norm not known"]),
        ],
    )
    def test_each_detail(self, changes: dict[str, Any], labels: list[str]) -> None:
        assert self.labels({}, changes) == labels

    def test_the_hash_tells_apart_what_no_detail_does(self) -> None:
        one, other = runs_of({"recipe": {"other_arguments": 1}}, {"recipe": {"other_arguments": 2}})
        assert list(labels_of([one, other]).values()) == [f"group, {one.key[-6:]}", f"group, {other.key[-6:]}"]

    def test_copies_whose_names_end_alike_get_their_whole_names(self) -> None:
        (run,) = runs_of({})
        copy = replace(run, path=run.path.with_name(f"copy-of-{run.path.name}"))
        labels = labels_of([run, copy])
        assert len(set(labels.values())) == 2
        assert labels[copy.key].endswith(copy.key)

    def test_of_no_and_of_one_run(self) -> None:
        assert labels_of([]) == {}
        assert self.labels({}) == ["group"]


class TestDatasets:
    def runs(self, *refs: DatasetRef) -> list[Run]:
        runs = [run_of(dataset=ref, seed=seed) for seed, ref in enumerate(refs)]
        return [replace(run, path=Path("root") / str(number) / run.path.name) for number, run in enumerate(runs)]

    def titles(self, *refs: DatasetRef) -> dict[str, list[int | None]]:
        """Title -> the seeds of its runs, which count the references."""
        found = datasets_of(self.runs(*refs))
        assert sum(map(len, found.values())) == len(refs)
        return {title: [run.spec.seed for run in runs] for title, runs in found.items()}

    def test_one_entry_a_data_set_sorted_by_title(self) -> None:
        refs = (DatasetRef("elpv", "elpv"), DatasetRef("cifar10", "cifar10"), DatasetRef("elpv", "elpv"))
        assert self.titles(*refs) == {"cifar10": [1], "elpv": [0, 2]}

    def test_two_folders_of_one_last_name(self) -> None:
        refs = (DatasetRef("train", "folder:/a/train", "a" * 16), DatasetRef("train", "folder:/b/train", "b" * 16))
        assert self.titles(*refs) == {"train (a)": [0], "train (b)": [1]}

    def test_two_folders_of_one_last_name_that_no_card_knows_more_of(self) -> None:
        refs = (DatasetRef("train", "folder:/a/train"), DatasetRef("train", "folder:/b/train"))
        assert self.titles(*refs) == {"train (a)": [0], "train (b)": [1]}

    def test_folders_that_share_the_name_of_the_folder_above_too(self) -> None:
        refs = (DatasetRef("train", "folder:/one/x/train"), DatasetRef("train", "folder:/two/x/train"))
        assert self.titles(*refs) == {
            "train (folder:/one/x/train)": [0],
            "train (folder:/two/x/train)": [1],
        }

    def test_images_that_changed_are_another_data_set(self) -> None:
        refs = [DatasetRef("birds", "folder:/birds", fingerprint * 8) for fingerprint in ("ab", "cd")]
        assert self.titles(*refs) == {"birds (ababab)": [0], "birds (cdcdcd)": [1]}

    def test_a_moved_folder_is_the_same_data_set(self) -> None:
        refs = [DatasetRef("birds", f"folder:/{place}/birds", "ab" * 8) for place in ("here", "there")]
        assert self.titles(*refs) == {"birds": [0, 1]}

    def test_a_run_of_schema_1_is_of_the_data_set_in_its_place(self) -> None:
        old, new = DatasetRef("birds", "folder:/birds"), DatasetRef("birds", "folder:/birds", "ab" * 8)
        assert self.titles(old, new) == {"birds": [0, 1]}
        elsewhere = DatasetRef("birds", "folder:/old/birds")
        assert self.titles(elsewhere, new) == {"birds (old)": [0], "birds (ababab)": [1]}

    def test_a_name_that_reads_like_another_title(self) -> None:
        refs = (
            DatasetRef("train", "folder:/a/train", "ab" * 8),
            DatasetRef("train", "folder:/b/train", "cd" * 8),
            DatasetRef("train (a)", "folder:/c", "ef" * 8),
        )
        assert sorted(len(runs) for runs in self.titles(*refs).values()) == [1, 1, 1]
