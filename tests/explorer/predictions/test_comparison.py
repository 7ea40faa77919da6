"""The one value for what is compared, against a table small enough to read: 5 runs of 3 variants, 4 images."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest

from explorer.predictions.comparison import Comparison, Probabilities
from explorer.predictions.outcomes import outcomes_of
from tests.explorer.predictions.arrays import ArrayProbabilities

RUNS = ("batch 1", "group 0", "batch 0", "batch 2", "old")
VARIANTS = ("group", "batch", "imported")
VARIANT_OF = np.array([1, 0, 1, 1, 2])
SEEDS = (1, 0, 0, 2, None)
TRUE = np.array([0, 1, 0, 1])
PREDICTED = [[0, 1, 1, 1], [1, 1, 0, 0], [0, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0]]
SURE = np.array([0.6, 0.7, 0.8, 0.9], np.float32)


def probabilities_of(predicted: list[int]) -> np.ndarray:
    """Of two classes (4, 2): each image's answer with its probability in SURE."""
    found = np.repeat(1 - SURE[:, None], 2, axis=1)
    found[np.arange(4), predicted] = SURE
    return found


def comparison(**changes: object) -> Comparison:
    found = [probabilities_of(predicted) for predicted in PREDICTED]
    made = {
        "runs": RUNS,
        "variants": VARIANTS,
        "variant_of": VARIANT_OF,
        "seeds": SEEDS,
        "classes": ("no", "yes"),
        "ids": ("a", "b", "c", "d"),
        "outcomes": tuple(outcomes_of(one, TRUE) for one in found),
        "stored": (*map(ArrayProbabilities, found[:4]), None),
    }
    return Comparison(**(made | changes))  # type: ignore[arg-type]


def test_what_runs_say() -> None:
    found = comparison()
    assert found.true.tolist() == TRUE.tolist()
    assert found.predicted.tolist() == PREDICTED
    assert found.wrong.tolist() == [[p != t for p, t in zip(row, TRUE, strict=True)] for row in PREDICTED]
    assert found.confidence == pytest.approx(np.tile(SURE, (5, 1)))
    assert found.margin == pytest.approx(np.tile(2 * SURE - 1, (5, 1)), abs=1e-6)
    assert found.loss[2] == pytest.approx(-np.log([0.6, 0.7, 1 - 0.8, 1 - 0.9]))


def test_replicates_and_how_many_fail() -> None:
    found = comparison()
    assert [found.replicates(variant).tolist() for variant in range(3)] == [[1], [0, 2, 3], [4]]
    assert found.failures.tolist() == [[1, 0, 0, 1], [1, 0, 3, 1], [0, 1, 0, 1]]


def test_rows_and_positions_by_name() -> None:
    found = comparison()
    assert [found.row(label) for label in RUNS] == [0, 1, 2, 3, 4]
    assert [found.position(name) for name in ("a", "d", "e")] == [0, 3, None]
    with pytest.raises(ValueError, match="unknown run 'layer'; expected one of: batch 1, group 0"):
        found.row("layer")


def test_probabilities_of_one_image_are_read_when_asked_for() -> None:
    read = []

    @dataclass
    class Watched:
        values: np.ndarray

        def of(self, image: int) -> np.ndarray:
            read.append(image)
            return self.values[image]

        def blocks(self) -> Iterator[np.ndarray]:
            raise AssertionError("nothing reads all probabilities")

    stored: list[Probabilities | None] = [Watched(probabilities_of(predicted)) for predicted in PREDICTED]
    found = comparison(stored=(*stored[:4], None))
    assert found.failures.any()
    assert found.at_seed(0).wrong.any()
    assert not read
    one = found.probabilities(2)
    assert read == [2] * 4
    assert one[:, 1] == pytest.approx([0.8, 0.2, 0.8, 0.8, np.nan], nan_ok=True)
    assert np.isnan(one[4]).all()


class TestAtSeed:
    @pytest.mark.parametrize(("seed", "rows"), [(0, [1, 2, 4]), (1, [1, 0, 4]), (2, [1, 3, 4]), (7, [1, 2, 4])])
    def test_one_run_per_variant_the_lowest_seed_where_that_one_is_missing(self, seed: int, rows: list[int]) -> None:
        whole = comparison()
        found = whole.at_seed(seed)
        assert found.runs == found.variants == VARIANTS
        assert found.variant_of.tolist() == [0, 1, 2]
        assert found.seeds == tuple(SEEDS[row] for row in rows)
        assert found.predicted.tolist() == [PREDICTED[row] for row in rows]
        assert found.stored == tuple(whole.stored[row] for row in rows)
        assert found.whole is whole

    def test_no_seed_is_the_lowest(self) -> None:
        assert comparison().at_seed(None).seeds == (0, 0, None)

    def test_it_is_made_once(self) -> None:
        whole = comparison()
        assert whole.at_seed(0) is whole.at_seed(7)
        assert whole.at_seed(0) is not whole.at_seed(1)
        assert whole.at_seed(1).at_seed(2) is whole.at_seed(1)

    def test_images_are_found_in_it_too(self) -> None:
        assert comparison().at_seed(1).position("c") == 2

    def test_the_seeds_to_choose_from(self) -> None:
        assert comparison().seed_choices == (0, 1, 2)
        assert comparison(seeds=(None,) * 5).seed_choices == ()


def test_probabilities_of_an_array() -> None:
    values = np.random.default_rng(0).random((10, 3))
    stored = ArrayProbabilities(values)
    assert stored.of(4).dtype == np.float32
    assert stored.of(4) == pytest.approx(values[4])
    assert np.concatenate(list(stored.blocks())) == pytest.approx(values)


def with_other(number: int, **changes: np.ndarray) -> dict[str, object]:
    """Outcomes of which one is changed."""
    made = list(comparison().outcomes)
    made[number] = replace(made[number], **changes)
    return {"outcomes": tuple(made)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"runs": (*RUNS[:4], "batch 1")}, "wanted runs, each with a label of its own; got batch 1, group 0"),
        ({"runs": RUNS[:4]}, "wanted variant_of of each of 4 runs; got 5"),
        ({"seeds": (0, 1)}, "wanted seeds of each of 5 runs; got 2"),
        ({"stored": ()}, "wanted stored of each of 5 runs; got 0"),
        ({"variants": ("a", "b", "a")}, "wanted a different label for each variant; got a, b, a"),
        ({"variants": (*VARIANTS, "layer")}, r"of each of 4 variants; got runs of variants \[0, 1, 2\]"),
        ({"variants": VARIANTS[:2]}, r"of each of 2 variants; got runs of variants \[0, 1, 2\]"),
        ({"ids": ("a", "b")}, r"wanted outcomes of 2 images, at least 1; run 'batch 1' has \[4\]"),
        (with_other(2, loss=SURE[:2]), r"wanted outcomes of 4 images, at least 1; run 'batch 0' has \[2, 4\]"),
        (with_other(3, labels=1 - TRUE), "run 'batch 2' has other labels than 'batch 1'"),
        (with_other(1, predicted=TRUE + 1), "wanted classes from 0 to 1; run 'group 0' has class 2"),
    ],
)
def test_parts_that_do_not_fit(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        comparison(**changes)


def test_no_runs_at_all() -> None:
    with pytest.raises(ValueError, match="wanted runs, each with a label of its own; got none"):
        comparison(runs=(), variants=(), variant_of=np.zeros(0, int), seeds=(), outcomes=(), stored=())
