"""What an accuracy is read against, compared with scikit-learn and with tables worked by hand."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from explorer.predictions.baselines import balanced_accuracies, mean_by_variant, most_common_class
from explorer.predictions.comparison import Comparison
from explorer.predictions.outcomes import outcomes_of


def comparison(labels: np.ndarray, runs: int, classes: int) -> Comparison:
    rng = np.random.default_rng(0)
    found = [outcomes_of(rng.dirichlet(np.ones(classes), len(labels)).astype(np.float32), labels) for _ in range(runs)]
    names = tuple(f"run {n}" for n in range(runs))
    return Comparison(
        runs=names,
        variants=names,
        variant_of=np.arange(runs),
        seeds=(None,) * runs,
        classes=tuple(f"class {k}" for k in range(classes)),
        ids=[str(n) for n in range(len(labels))],
        outcomes=tuple(found),
        stored=(None,) * runs,
    )


def test_the_most_common_class_by_hand() -> None:
    assert most_common_class(np.array([2, 0, 2, 1, 2])) == (2, 0.6)
    assert most_common_class(np.array([1, 0])) == (0, 0.5)


def test_balanced_accuracy_is_that_of_scikit_learn() -> None:
    labels = np.random.default_rng(1).choice(4, 200, p=[0.7, 0.1, 0.1, 0.1])
    made = comparison(labels, 3, 4)
    wanted = [balanced_accuracy_score(labels, one.predicted) for one in made.outcomes]
    assert balanced_accuracies(made) == pytest.approx(wanted)


def test_a_class_without_images_does_not_count() -> None:
    labels = np.array([0, 0, 1, 1, 1])
    made = comparison(labels, 1, 3)
    recalls = [(made.predicted[0][labels == k] == k).mean() for k in (0, 1)]
    assert balanced_accuracies(made) == pytest.approx([np.mean(recalls)])


def test_mean_and_sample_deviation_by_variant() -> None:
    made = comparison(np.array([0, 1, 1]), 3, 2)
    grouped = Comparison(
        runs=made.runs,
        variants=("a", "b"),
        variant_of=np.array([0, 1, 0]),
        seeds=made.seeds,
        classes=made.classes,
        ids=made.ids,
        outcomes=made.outcomes,
        stored=made.stored,
    )
    table = mean_by_variant(grouped, np.array([0.1, 0.5, 0.4]), "share").set_index("variant")
    assert table["share"].to_dict() == pytest.approx({"a": 0.25, "b": 0.5})
    assert table.loc["a", "share_std"] == pytest.approx(np.std([0.1, 0.4], ddof=1))
    assert np.isnan(table.loc["b", "share_std"])
