"""Which of the images compared to show, and in which order: filters and orders over what the runs say of them.

They take a comparison of one run per variant, as `Comparison.at_seed` gives it; a run is named by its row. What takes
all probabilities to compute is passed in, so that a click costs no more than sorting what it finds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from explorer.predictions.comparison import Comparison
from explorer.predictions.overlap import fails_exactly
from explorer.registry import check_name
from explorer.words import listed

BY_THIS, BY_ANY, BY_ALL, BY_ONLY = FAILED_BY = ("this variant", "any of these", "all of these", "only these")
MOST_FAIL, DISAGREE, AS_THEY_COME = "most variants fail", "variants disagree most", "data set"

# name -> score (N,) of the images as a run sees them; the highest comes first
_SCORES: dict[str, Callable[[Comparison, int], np.ndarray]] = {
    "most confident": lambda comparison, run: comparison.confidence[run],
    "least confident": lambda comparison, run: -comparison.confidence[run],
    "narrowest margin": lambda comparison, run: -comparison.margin[run],
    "highest loss": lambda comparison, run: comparison.loss[run],
    MOST_FAIL: lambda comparison, _: comparison.wrong.sum(0),
}
ORDERS = (*_SCORES, DISAGREE, AS_THEY_COME)


@dataclass(frozen=True)
class Question:
    """Which images are wanted; a class or a bound of None is any.

    Attributes:
        run: the row of the run whose predictions count.
        failed_by: one of FAILED_BY: BY_THIS (the run itself), or BY_ANY or BY_ALL of `among`, or BY_ONLY them, that is,
            all of them and no other.
        among: labels of runs; empty stands for all.
        true, predicted: classes. The same one for both asks for images of that class that the run gets right.
        confidence: the least and the most confidence of the run.
        doubtful: only images whose label is likely wrong, by the run's confident learning score.
    """

    run: int
    failed_by: str = BY_THIS
    among: tuple[str, ...] = ()
    true: int | None = None
    predicted: int | None = None
    confidence: tuple[float, float] = (0.0, 1.0)
    doubtful: bool = False


def orders_of(comparison: Comparison) -> tuple[str, ...]:
    """Those of ORDERS that tell images of this comparison apart.

    Without other runs none can fail or disagree with, and without the probabilities of all there is no measure of how
    far they disagree.
    """
    missing = {MOST_FAIL, DISAGREE} if len(comparison.runs) == 1 else set()
    if None in comparison.stored:
        missing.add(DISAGREE)
    return tuple(order for order in ORDERS if order not in missing)


def find_images(
    comparison: Comparison,
    question: Question,
    order: str,
    *,
    doubtful: np.ndarray | None = None,
    disagreement: np.ndarray | None = None,
) -> np.ndarray:
    """The positions of the images a question asks for, in an order of ORDERS; equal ones as in the data set.

    Args:
        doubtful: whether the label of each image is likely wrong, bool (N,), as `label_errors` says of the run; wanted
            where the question asks for such images.
        disagreement: how far the runs disagree on each image, (N,), as `disagreement` says; wanted for that order.

    Raises:
        ValueError: unknown order, unknown way to fail, a run that is not there, or an argument that is wanted.
    """
    check_name("order", order, ORDERS)
    positions = np.flatnonzero(_keep(comparison, question, doubtful))
    if order == AS_THEY_COME:
        return positions
    if order == DISAGREE:
        scores = _wanted(disagreement, "disagreement", f"the order {DISAGREE!r}")
    else:
        scores = _SCORES[order](comparison, question.run)
    return positions[_best_first(scores[positions])]


def _best_first(scores: np.ndarray) -> np.ndarray:
    """The order that puts scores (n,) from the highest down, equal ones as they come, NaN last; int (n,)."""
    descending = np.float32(0) - np.where(np.isnan(scores), -np.inf, scores).astype(np.float32)  # and no negative zero
    bits = descending.view(np.uint32)
    keys = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))  # whole numbers in the same order as the floats
    # Halves of 16 bits are sorted by counting them: 5 times faster than floats, and a million scores take 25 ms.
    return np.lexsort((keys.astype(np.uint16), (keys >> 16).astype(np.uint16)))


def _keep(comparison: Comparison, question: Question, doubtful: np.ndarray | None) -> np.ndarray:
    run = question.run
    if question.true is not None and question.true == question.predicted:
        keep = ~comparison.wrong[run]
    else:
        keep = _failed(comparison, question)
    if question.true is not None:
        keep = keep & (comparison.true == question.true)
    if question.predicted is not None:
        keep = keep & (comparison.predicted[run] == question.predicted)
    low, high = question.confidence
    if (low, high) != (0.0, 1.0):
        keep = keep & (comparison.confidence[run] >= low) & (comparison.confidence[run] <= high)
    if question.doubtful:
        keep = keep & _wanted(doubtful, "doubtful", "a question about labels that are likely wrong")
    return keep


def _failed(comparison: Comparison, question: Question) -> np.ndarray:
    check_name("way to fail", question.failed_by, FAILED_BY)
    if question.failed_by == BY_THIS:
        return comparison.wrong[question.run]
    among = question.among or comparison.runs
    if question.failed_by == BY_ONLY:
        return fails_exactly(comparison.wrong, comparison.runs, among)
    wrong = comparison.wrong[[comparison.row(label) for label in among]]
    return np.any(wrong, axis=0) if question.failed_by == BY_ANY else np.all(wrong, axis=0)


def _wanted(values: np.ndarray | None, name: str, purpose: str) -> np.ndarray:
    if values is None:
        raise ValueError(f"{purpose} wants the argument {name}; got None: compute it once and pass it each time")
    return values


def images_table(
    comparison: Comparison,
    run: int,
    chosen: np.ndarray,
    *,
    doubtful: np.ndarray | None = None,
    seeds_that_fail: np.ndarray | None = None,
) -> pd.DataFrame:
    """One row per chosen image, in order: what it is, what a run says of it, and what the others say.

    Names of images and classes stand in it as they are.

    Args:
        chosen: positions of images.
        doubtful: adds the column `likely label error`, from bool (N,).
        seeds_that_fail: adds a column of that name, from int (N,): in how many of its replicates the run's variant
            fails, a row of `Comparison.failures`.
    """
    names = np.array(comparison.classes, dtype=object)
    columns = {
        "image": [comparison.ids[position] for position in chosen.tolist()],
        "label": names[comparison.true[chosen]],
        "predicted": names[comparison.predicted[run, chosen]],
        "confidence": comparison.confidence[run, chosen],
        "margin": comparison.margin[run, chosen],
        "loss": comparison.loss[run, chosen],
    }
    if doubtful is not None:
        columns["likely label error"] = doubtful[chosen]
    if seeds_that_fail is not None:
        columns["seeds that fail"] = seeds_that_fail[chosen]
    columns["variants that fail"] = comparison.wrong[:, chosen].sum(0)
    predicted = {
        f"predicted by {label}": names[comparison.predicted[row, chosen]] for row, label in enumerate(comparison.runs)
    }
    return pd.DataFrame(columns | predicted)


def set_label(failing: Sequence[str], runs: Sequence[str]) -> str:
    """What an exclusive set of failing runs is called: the shorter of those that fail and those that do not."""
    if not failing:
        return "no failure"
    if len(failing) == len(runs):
        return "all fail" if len(runs) > 1 else f"{failing[0]} fails"
    if len(failing) == 1:
        return f"only {failing[0]} fails"
    spared = [run for run in runs if run not in failing]
    if len(spared) < len(failing):
        return f"all but {listed(spared)} fail"
    return f"only {listed(failing)} fail"
