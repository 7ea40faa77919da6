"""In what else variants differ, sentence by sentence, against specs written out by hand."""

from dataclasses import replace
from pathlib import Path

from explorer.predictions.metrics import Metrics
from explorer.runs import Card, Choice, DatasetRef, Grouping, InputSpec, Run, RunSpec, group_runs, select_runs
from explorer.runs.differences import what_differs, what_is_same

RECIPE = {"epochs": 30, "batch_size": 128, "optimizer": "sgd", "optimizer_arguments": {"momentum": 0.9}}
SPEC = RunSpec(
    dataset=DatasetRef("pictures", "folder:/pictures"),
    architecture=Choice("resnet14", {"width": 16}),
    norm=Choice("batch", {"eps": 1e-5}),
    input=InputSpec(32, 32, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)),
    recipe=RECIPE,
    seed=0,
)


def run(spec: RunSpec, parameters: int | None = 1234, macs: int | None = 41_000_000) -> Run:
    card = Card(
        spec=spec,
        created="2026-01-01T00:00:00+00:00",
        classes=("a", "b"),
        source="Made up.",
        splits={"test": 10},
        parameters=parameters,
        macs=macs,
        seconds=None,
        best_epoch=None,
        versions={},
        hardware="none",
        metrics={"test": Metrics(0.5, 0.5, 0.5, 0.7, 5, 10)},
    )
    return Run(Path("runs") / "pictures" / spec.name, card, ())


def norms(**recipes: dict[str, object]) -> Grouping:
    """One run per norm, whose recipe differs from RECIPE in what is given."""
    specs = [
        replace(SPEC, norm=Choice(norm, {"own": norm}), recipe=RECIPE | changes) for norm, changes in recipes.items()
    ]
    return group_runs([run(spec) for spec in specs], "norm")


def test_the_axis_and_its_arguments_are_no_difference() -> None:
    assert what_differs(norms(batch={}, group={}, layer={})) == []


def test_every_other_setting_is_one_sentence() -> None:
    found = what_differs(norms(batch={"epochs": 40}, layer={"optimizer_arguments": {"momentum": 0.95}}))
    assert found == ["Epochs: 40 for batch; 30 for layer.", "Optimizer momentum: 0.9 for batch; 0.95 for layer."]


def test_what_most_variants_share_is_said_last() -> None:
    grouping = norms(batch={}, group={"batch_size": 64}, instance={}, layer={})
    assert what_differs(grouping) == ["Batch size: 64 for group; 128 for the rest."]


def test_a_setting_that_some_recipes_do_not_have() -> None:
    assert what_differs(norms(batch={"mixup": True}, layer={})) == ["Mixup: yes for batch; not set for layer."]


def test_small_differences_are_not_rounded_away() -> None:
    grouping = norms(batch={"weight_decay": 5e-4}, layer={"weight_decay": 1e-4})
    assert what_differs(grouping) == ["Weight decay: 0.0005 for batch; 0.0001 for layer."]


def test_a_negative_number_has_a_real_minus() -> None:
    grouping = norms(batch={"ignore_index": -100}, layer={"ignore_index": 1e-5})
    assert what_differs(grouping) == ["Ignore index: \N{MINUS SIGN}100 for batch; 1e-05 for layer."]


def test_many_values_are_counted() -> None:
    specs = [replace(SPEC, architecture=Choice(f"net{n}")) for n in range(13)]
    grouping = group_runs([run(spec, parameters=1000 + n) for n, spec in enumerate(specs)], "architecture")
    assert what_differs(grouping) == ["Parameters: 13 different values."]


def test_costs_of_architectures_whatever_their_arguments() -> None:
    other = replace(SPEC, architecture=Choice("vgg11", {"dropout": 0.5}))
    grouping = group_runs([run(SPEC), run(other, parameters=2_300_000, macs=None)], "architecture")
    assert what_differs(grouping) == [
        "Parameters: 1,234 for resnet14; 2,300,000 for vgg11.",
        "MACs: 41,000,000 for resnet14; not known for vgg11.",
    ]


def test_replicates_are_one_variant_and_their_seeds_are_said() -> None:
    layer = replace(SPEC, norm=Choice("layer"))
    grouping = group_runs([*(run(replace(SPEC, seed=seed)) for seed in (2, 0)), run(layer)], "norm")
    assert what_differs(grouping) == ["Seeds: 0 and 2 for batch; 0 for layer."]


def test_seeds_against_each_other_differ_in_nothing_else() -> None:
    assert what_differs(group_runs([run(replace(SPEC, seed=seed)) for seed in (0, 1)], "seed")) == []


def test_any_two_runs_differ_in_all_that_their_specs_differ_in() -> None:
    runs = [run(SPEC), run(replace(SPEC, norm=Choice("layer"), recipe=None))]
    found = what_differs(select_runs(runs, [each.path.name for each in runs]))
    assert found[0] == "Norm: batch for batch; layer for layer."
    assert any(sentence.startswith("Batch size: 128 for") for sentence in found)


def test_what_is_the_same() -> None:
    same = what_is_same(norms(batch={}, layer={"epochs": 5}))
    assert {"batch size 128", "optimizer momentum 0.9", "image size 32 px", "parameters 1,234", "seeds 0"} <= set(same)
    assert not any(fact.startswith(("epochs", "norm")) for fact in same)
    assert what_differs(norms(batch={})) == []
