"""The charts: valid Vega-Lite that speaks only of columns it has, whatever runs and classes are called."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix

from explorer.app import charts
from explorer.app.charts import FEW, SUM, confusion_table
from explorer.marks import MARKS
from explorer.predictions.calibration import reliability_table
from explorer.predictions.overlap import failure_overlap
from explorer.predictions.paired import compare_all_pairs, compare_to_reference

RUNS = ('batch, "8"', "group: it's [4]", "none\\é.", "layer, seed 1")
NORM_OF = ("batch", "group", "none", "layer")
CLASSES = ("a:b", "the 'c'", 'say "d"', "x.y[0]")


def wrong_table(count: int) -> np.ndarray:
    """Bool (count, 12); the runs fail on different images."""
    return np.arange(12) % np.arange(3, 3 + count)[:, None] == 0


def accuracies(count: int) -> pd.DataFrame:
    steps = np.arange(count) / 20
    columns = {"run": RUNS[:count], "norm": NORM_OF[:count], "accuracy": 0.8 - steps}
    return pd.DataFrame(columns).assign(low=0.7 - steps, high=0.9 - steps)


def seeds(count: int) -> pd.DataFrame:
    rows = [(norm, seed, 0.8 + row / 20 + seed / 100) for row, norm in enumerate(NORM_OF[:count]) for seed in range(3)]
    return pd.DataFrame(rows, columns=pd.Index(["norm", "seed", "accuracy"]))


def history(count: int) -> pd.DataFrame:
    rows = [
        (run, norm, 8 * 2**row, epoch, 2.5 * epoch, 0.5 + epoch / 10, 0.4 + epoch / 10)
        for row, (run, norm) in enumerate(zip(RUNS[:count], NORM_OF, strict=False))
        for epoch in (1, 2, 3)
    ]
    columns = ["run", "norm", "batch", "epoch", "seconds", "train_accuracy", "val_accuracy"]
    return pd.DataFrame(rows, columns=pd.Index(columns))


def by_class(count: int, **values: float) -> pd.DataFrame:
    return pd.DataFrame([{"run": run, "class": name} | values for run in RUNS[:count] for name in CLASSES])


def recalls(count: int) -> pd.DataFrame:
    """The last class has no images, so no recall."""
    table = by_class(count, recall=0.25, difference=-0.1)
    table.loc[table["class"] == CLASSES[-1], ["recall", "difference"]] = np.nan
    return table


def costs(count: int) -> pd.DataFrame:
    names = [("resnet14", "width=16"), ("compact", ""), ("vgg11", "it's"), ("simplecnn", "")][:count]
    table = pd.DataFrame(names, columns=pd.Index(["architecture", "arguments"]))
    return table.assign(parameters=174_868 * 2 ** np.arange(count), macs=107_000_000, trained=np.arange(count) < 2)


def reliabilities(count: int) -> pd.DataFrame:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7]], np.float32)
    table = reliability_table(probabilities, np.array([0, 1, 1, 0]), 10).query("count > 0")
    return pd.concat(
        [table.assign(run=run, norm=norm) for run, norm in zip(RUNS[:count], NORM_OF, strict=False)], ignore_index=True
    )


def confusions(counts: np.ndarray = np.zeros((4, 4), int)) -> pd.DataFrame:  # noqa: B008
    return confusion_table(counts, CLASSES, (CLASSES[0], SUM))


def agreements(count: int) -> pd.DataFrame:
    """The first run has no map at all."""
    pairs = [(a, b) for a in RUNS[:count] for b in RUNS[:count]]
    table = pd.DataFrame(pairs, columns=pd.Index(["run_a", "run_b"]))
    return table.assign(agreement=[np.nan, *np.linspace(-0.2, 1, len(pairs) - 1)], differs=table["run_b"] == RUNS[0])


def overlaps(count: int) -> pd.DataFrame:
    table = failure_overlap(wrong_table(count), RUNS[:count]).drop(columns="failing")
    return table.assign(set=[f'"{n}": it\'s' for n in range(len(table))], chosen=[n == 1 for n in range(len(table))])


def every_chart(count: int) -> dict[str, list[charts.Chart | charts.Specification]]:
    """Each function of the module with the charts it makes of `count` runs."""
    runs, wrong = list(RUNS[:count]), wrong_table(count)
    return {
        "accuracy_chart": [charts.accuracy_chart(accuracies(count))],
        "seeds_chart": [charts.seeds_chart(seeds(count).drop_duplicates("norm")), charts.seeds_chart(seeds(count))],
        "curves_charts": [
            chart
            for axis in ("epoch", "seconds")
            for chart in charts.curves_charts(history(count), "accuracy", "accuracy", axis)
        ],
        "probability_chart": [charts.probability_chart(by_class(count, probability=0.25))],
        "costs_chart": [charts.costs_chart(costs(count), "resnet14")],
        "recall_chart": [charts.recall_chart(recalls(count))],
        "differences_chart": [charts.differences_chart(compare_to_reference(wrong, runs, runs[0]))],
        "agreement_chart": [charts.agreement_chart(agreements(count), runs)],
        "pairs_chart": [charts.pairs_chart(compare_all_pairs(wrong, runs), runs)],
        "reliability_chart": [charts.reliability_chart(reliabilities(count))],
        "confusion_chart": [
            charts.confusion_chart(confusions(), "cell"),
            charts.confusion_chart(confusions(np.arange(16).reshape(4, 4) - 8), "cell", signed=True),
        ],
        "overlap_chart": [
            charts.overlap_chart(overlaps(count), "set"),
            charts.overlap_chart(overlaps(count).head(0), "set"),
        ],
    }


def nodes(plain: object) -> Iterator[dict[str, Any]]:
    """Every object within a specification."""
    for part in plain.values() if isinstance(plain, dict) else plain if isinstance(plain, list) else ():
        yield from nodes(part)
    if isinstance(plain, dict):
        yield plain


def fields_of(encoding: dict[str, Any]) -> set[str]:
    """The columns an encoding reads, by name or in an expression."""
    named = {node["field"] for node in nodes(encoding) if isinstance(node.get("field"), str)}
    tests = [node["test"] for node in nodes(encoding) if isinstance(node.get("test"), str)]
    return named | {name for test in tests for name in re.findall(r"datum\.(\w+)", test)}


def drawn(spec: dict[str, Any]) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """The encoding of each layer with the rows it draws."""
    layers = spec.get("layer", [spec])
    return [(layer["encoding"], spec["datasets"][(layer.get("data") or spec["data"])["name"]]) for layer in layers]


@cache
def specs(count: int) -> dict[str, list[dict[str, Any]]]:
    """The specifications of every chart; making one raises where it does not meet the schema of Vega-Lite."""
    return {name: [specification(chart) for chart in made] for name, made in every_chart(count).items()}


def specification(chart: charts.Chart | charts.Specification) -> dict[str, Any]:
    return (alt.Chart.from_dict(chart) if isinstance(chart, dict) else chart).to_dict()


@pytest.mark.parametrize("count", [1, 4])
def test_every_chart_is_valid_and_reads_only_columns_it_has(count: int) -> None:
    for spec in (spec for made in specs(count).values() for spec in made):
        for encoding, rows in drawn(spec):
            assert fields_of(encoding)
            assert all(fields_of(encoding) <= set(row) for row in rows)


@pytest.mark.parametrize("count", [1, 4])
def test_every_scale_has_bounds(count: int) -> None:
    domains = [node["domain"] for node in nodes(specs(count)) if isinstance(node.get("domain"), list)]
    assert domains
    assert all(value is not None and value == value for domain in domains for value in domain)


def test_every_function_is_tried() -> None:
    assert set(specs(1)) == {name for name in vars(charts) if re.fullmatch(r"[a-z]\w*_charts?", name)}


class TestColours:
    def test_a_norm_has_the_same_colour_whatever_runs_are_shown(self) -> None:
        for count in (1, 4):
            for name in ("curves_charts", "reliability_chart"):
                coloured = [node["color"] for node in nodes(specs(count)[name]) if isinstance(node.get("color"), dict)]
                scales = [colour["scale"] for colour in coloured if "scale" in colour]
                assert scales
                for scale in scales:
                    assert scale["domain"] == list(RUNS[:count])
                    assert scale["range"] == [MARKS[norm].colour for norm in NORM_OF[:count]]


def test_calibration_lines_leave_out_rare_bins_and_dots_tell_how_rare() -> None:
    diagonal, lines, dots = specs(3)["reliability_chart"][0]["layer"]
    assert lines["transform"] == [{"filter": f"datum.count >= {FEW}"}]
    assert "size" not in lines["encoding"]
    assert dots["encoding"]["size"]["field"] == "count"
    assert "transform" not in dots
    assert diagonal["mark"]["strokeDash"]


class TestConfusionTable:
    COUNTS = np.array([[5, 2, 0], [1, 7, 3], [0, 0, 0]])  # the last class never occurs

    def cells(self, counts: np.ndarray = COUNTS, chosen: tuple[str, str] = ("a", "b")) -> pd.DataFrame:
        return confusion_table(counts, ("a", "b", "c"), chosen).set_index(["true", "predicted"])

    def test_cells_and_sums_by_hand(self) -> None:
        wanted = [
            [5, 2, 0, 2],
            [1, 7, 3, 4],
            [0, 0, 0, 0],
            [1, 2, 3, 6],
        ]
        names = ["a", "b", "c", SUM]
        square = self.cells()["count"].unstack("predicted").loc[names, names]
        assert square.to_numpy().tolist() == wanted

    def test_kinds(self) -> None:
        kinds = self.cells()["kind"]
        assert set(kinds[kinds == "right"].index) == {("a", "a"), ("b", "b"), ("c", "c")}
        assert set(kinds[kinds == "sum"].index) == {(n, SUM) for n in "abc"} | {(SUM, n) for n in "abc"} | {(SUM, SUM)}
        assert (kinds == "wrong").sum() == 6

    @pytest.mark.parametrize("chosen", [("a", "b"), ("c", "c"), (SUM, "a"), ("a", SUM), (SUM, SUM)])
    def test_the_chosen_cell_alone_is_marked(self, chosen: tuple[str, str]) -> None:
        marks = self.cells(chosen=chosen)["chosen"]
        assert list(marks[marks].index) == [chosen]

    def test_against_scikit_learn(self) -> None:
        rng = np.random.default_rng(3)
        labels, predicted = rng.integers(0, 3, 200), rng.integers(0, 3, 200)
        cells = self.cells(confusion_matrix(labels, predicted))["count"]
        assert cells[SUM, SUM] == (labels != predicted).sum()
        for k, name in enumerate("abc"):
            assert cells[name, SUM] == ((labels == k) & (predicted != k)).sum()
            assert cells[SUM, name] == ((labels != k) & (predicted == k)).sum()
            assert cells[name, name] == ((labels == k) & (predicted == k)).sum()

    def test_differences_of_two_runs_add_up_too(self) -> None:
        cells = self.cells(self.COUNTS - np.array([[6, 1, 0], [0, 8, 3], [0, 0, 0]]))["count"]
        assert cells["a", SUM] == 1
        assert cells["b", SUM] == 1
        assert cells[SUM, "a"] == 1
        assert cells[SUM, SUM] == 2


class TestWhatIsShown:
    def test_accuracies_best_first(self) -> None:
        spec = charts.accuracy_chart(accuracies(4).iloc[::-1]).to_dict(validate=False)
        assert spec["layer"][0]["encoding"]["y"]["sort"] == list(RUNS)

    def test_norms_with_the_best_mean_over_seeds_come_first(self) -> None:
        spec = charts.seeds_chart(seeds(3)).to_dict(validate=False)
        orders = [node["sort"] for node in nodes(spec) if "sort" in node]
        assert orders
        assert all(order == list(reversed(NORM_OF[:3])) for order in orders)

    def test_train_and_val_share_a_scale_that_holds_both(self) -> None:
        scales = [spec["encoding"]["y"]["scale"]["domain"] for spec in specs(4)["curves_charts"][:2]]
        assert scales[0] == scales[1]
        assert scales[0][0] < 0.5
        assert scales[0][1] > 0.8

    def test_a_class_without_images_has_no_recall(self) -> None:
        _, rows = drawn(specs(1)["recall_chart"][0])[1]
        assert [row["text"] for row in rows] == ["25%", "25%", "25%", "–"]

    def test_a_pair_is_read_both_ways(self) -> None:
        runs = list(RUNS[:2])
        pairs = pd.DataFrame({"run_a": runs[:1], "run_b": runs[1:], "difference": [0.0312], "p_holm": [0.01]})
        _, rows = drawn(charts.pairs_chart(pairs, runs).to_dict(validate=False))[0]
        assert {(row["run_a"], row["run_b"]): row["text"] for row in rows} == {
            (runs[0], runs[1]): "+3.1 ★",
            (runs[1], runs[0]): "-3.1 ★",
        }

    def test_no_difference_has_no_minus_sign(self) -> None:
        pairs = pd.DataFrame({"run_a": ["a"], "run_b": ["b"], "difference": [0.0001], "p_holm": [1.0]})
        _, rows = drawn(charts.pairs_chart(pairs, ["a", "b"]).to_dict(validate=False))[0]
        assert [row["text"] for row in rows] == ["+0.0", "+0.0"]

    def test_differences_are_in_points_and_filled_where_reliable(self) -> None:
        table = pd.DataFrame(
            {"run_a": ["a", "b"], "difference": [0.02, 0.1], "low": [-0.01, 0.05], "high": [0.05, 0.15]}
        ).assign(p_holm=[0.4, 0.001])
        _, rows = drawn(charts.differences_chart(table).to_dict(validate=False))[1]
        assert [row["reliable"] for row in rows] == [False, True]
        assert [row["difference"] for row in rows] == pytest.approx([2, 10])

    def test_a_tick_just_behind_a_bar_does_not_cross_its_count(self) -> None:
        table = pd.DataFrame({"set": list("abcd"), "observed": 100, "expected": [20.0, 100, 105, 180], "chosen": False})
        rows = charts.overlap_chart(table, "set")["datasets"]["rows"]
        assert [row["beside"] for row in rows] == [100, 100, 105, 100]
