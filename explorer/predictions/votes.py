"""What several runs say of one image that has no label: who agrees with whom, and which classes are worth showing."""

from collections.abc import Sequence

import numpy as np

from explorer.words import listed, plural_of

MOST_NAMED = 4  # of the runs behind a class; one sentence of 25 names is read by nobody


def votes_sentence(predicted: Sequence[int], labels: Sequence[str], classes: Sequence[str], noun: str) -> str:
    """Who predicts what, the most votes first: `5 of 7 norms predict bird; others: cat (layer), dog (group)`.

    Args:
        predicted: the class that each of at least two runs predicts.
        labels: of the runs.
        classes: the names of the classes.
        noun: what a run is one of: `norm`, `architecture`, ...
    """
    said_by: dict[int, list[str]] = {}
    for index, label in zip(predicted, labels, strict=True):
        said_by.setdefault(index, []).append(label)
    (first, leaders), *others = sorted(said_by.items(), key=lambda item: -len(item[1]))
    if not others:
        everyone = f"Both {plural_of(noun)}" if len(labels) == 2 else f"All {len(labels)} {plural_of(noun)}"
        return f"{everyone} predict {classes[first]}"
    verb = "predict" if len(leaders) > 1 else "predicts"
    rest = ", ".join(f"{classes[index]} ({_named(names)})" for index, names in others)
    return f"{len(leaders)} of {len(labels)} {plural_of(noun)} {verb} {classes[first]}; others: {rest}"


def likeliest_classes(probabilities: np.ndarray, most: int) -> list[int]:
    """The classes worth showing, from probabilities (R, K) of one image: all K, or the `most` likeliest to some run.

    All stand in their own order, a choice of them from the likeliest down.
    """
    highest = probabilities.max(0)
    if len(highest) <= most:
        return list(range(len(highest)))
    return np.argsort(-highest, kind="stable")[:most].tolist()


def _named(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return listed(names) if more <= 1 else f"{', '.join(names[:MOST_NAMED])} and {more} more"
