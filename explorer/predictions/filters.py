"""Which images of a split to show, and in which order: filters and sort keys over what the runs say of them.

Values in, values out: probabilities (runs, N, K) float, labels (N,) int; a run is named by its row.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from explorer.predictions.label_errors import label_errors
from explorer.predictions.outcomes import image_losses, margins
from explorer.predictions.overlap import disagreement, failing_runs, fails_exactly
from explorer.registry import check_name

THIS, ANY, ALL, ONLY = "this norm", "any of these", "all of these", "only these"


@dataclass(frozen=True)
class Answers:
    """What several runs say of the same images.

    Attributes:
        runs: the label of each run.
        probabilities: (runs, N, K) float32.
        labels: (N,) true classes.
    """

    runs: tuple[str, ...]
    probabilities: np.ndarray
    labels: np.ndarray

    @cached_property
    def predicted(self) -> np.ndarray:
        """The predicted classes, (runs, N)."""
        return self.probabilities.argmax(2)

    @cached_property
    def wrong(self) -> np.ndarray:
        """Whether each run misclassifies each image, (runs, N) bool."""
        return self.predicted != self.labels

    @cached_property
    def confidence(self) -> np.ndarray:
        """The probability of the predicted class, (runs, N)."""
        return self.probabilities.max(2)


@dataclass(frozen=True)
class Question:
    """Which images are wanted; a class or a bound of None is any.

    Attributes:
        run: the row of the run whose predictions count.
        failed_by: THIS (the run itself), or ANY or ALL of `among`, or ONLY them, that is, all of them and nobody else.
        among: labels of runs; empty stands for all.
        true, predicted: classes. The same one for both asks for images of that class that the run gets right.
        confidence: the least and the most confidence of the run.
        doubtful: only images whose label is likely wrong, by the run's confident learning score.
    """

    run: int
    failed_by: str = THIS
    among: tuple[str, ...] = ()
    true: int | None = None
    predicted: int | None = None
    confidence: tuple[float, float] = (0.0, 1.0)
    doubtful: bool = False


# name -> score (N,) of a run's images; the highest comes first
ORDERS: dict[str, Callable[[Answers, int], np.ndarray]] = {
    "most confident": lambda answers, run: answers.confidence[run],
    "least confident": lambda answers, run: -answers.confidence[run],
    "narrowest margin": lambda answers, run: -margins(answers.probabilities[run]),
    "highest loss": lambda answers, run: image_losses(answers.probabilities[run], answers.labels),
    "most norms fail": lambda answers, _: failing_runs(answers.wrong),
    "norms disagree most": lambda answers, _: disagreement(answers.probabilities),
    "data set": lambda answers, _: -np.arange(len(answers.labels)),
}


def find_images(answers: Answers, question: Question, order: str) -> np.ndarray:
    """The positions of the images a question asks for, in an order of ORDERS; equal ones as in the data set.

    Raises:
        ValueError: unknown order, unknown way to fail, or a run that is not there.
    """
    check_name("order", order, ORDERS)
    positions = np.flatnonzero(_keep(answers, question))
    return positions[np.argsort(-ORDERS[order](answers, question.run)[positions], kind="stable")]


def _keep(answers: Answers, question: Question) -> np.ndarray:
    run = question.run
    if question.true is not None and question.true == question.predicted:
        keep = ~answers.wrong[run]
    else:
        keep = _failed(answers, question)
    if question.true is not None:
        keep = keep & (answers.labels == question.true)
    if question.predicted is not None:
        keep = keep & (answers.predicted[run] == question.predicted)
    low, high = question.confidence
    keep = keep & (answers.confidence[run] >= low) & (answers.confidence[run] <= high)
    if question.doubtful:
        keep = keep & label_errors(answers.probabilities[run], answers.labels)
    return keep


def _failed(answers: Answers, question: Question) -> np.ndarray:
    if question.failed_by == THIS:
        return answers.wrong[question.run]
    among = question.among or answers.runs
    failing = fails_exactly(answers.wrong, answers.runs, among)  # raises for a run that is not there
    if question.failed_by == ONLY:
        return failing
    wrong = answers.wrong[[answers.runs.index(run) for run in among]]
    if question.failed_by == ANY:
        return np.any(wrong, axis=0)
    if question.failed_by == ALL:
        return np.all(wrong, axis=0)
    raise ValueError(
        f"unknown way to fail {question.failed_by!r}; expected one of: {', '.join((THIS, ANY, ALL, ONLY))}"
    )


def images_table(
    answers: Answers, run: int, ids: Sequence[str], classes: Sequence[str], chosen: np.ndarray
) -> pd.DataFrame:
    """One row per chosen image, in order: what it is, what a run says of it, and what the others say."""
    predicted, gaps = answers.predicted, margins(answers.probabilities[run])
    losses = image_losses(answers.probabilities[run], answers.labels)
    doubtful = label_errors(answers.probabilities[run], answers.labels)
    rows = [
        {
            "image": ids[int(i)],
            "label": classes[int(answers.labels[i])],
            "predicted": classes[int(predicted[run, i])],
            "confidence": float(answers.confidence[run, i]),
            "margin": float(gaps[i]),
            "loss": float(losses[i]),
            "likely label error": bool(doubtful[i]),
            "runs that fail": int(answers.wrong[:, i].sum()),
            **{f"predicted by {name}": classes[int(predicted[row, i])] for row, name in enumerate(answers.runs)},
        }
        for i in chosen
    ]
    return pd.DataFrame(rows)


def set_label(failing: Sequence[str], runs: Sequence[str]) -> str:
    """What an exclusive set of failing runs is called: the shorter of who fails and who does not."""
    if not failing:
        return "nobody fails"
    if len(failing) == len(runs):
        return "all fail"
    if len(failing) == 1:
        return f"only {failing[0]} fails"
    spared = [run for run in runs if run not in failing]
    if len(spared) < len(failing):
        return f"all but {', '.join(spared)} fail"
    return f"{', '.join(failing)} fail"
