"""How variants are told apart at a glance, the same on every page: a short name and a colour for each."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, count


@dataclass(frozen=True)
class Mark:
    """A short name for where there is no room for a label, and a colour."""

    short: str
    colour: str


# The colours of Okabe and Ito for colour-blind people.
NORM_MARKS = {
    "none": Mark("no norm", "#7F7F7F"),
    "batch": Mark("BN", "#0072B2"),
    "batch-scratch": Mark("BNs", "#56B4E9"),
    "instance": Mark("IN", "#E69F00"),
    "batch-instance": Mark("BIN", "#D55E00"),
    "layer": Mark("LN", "#009E73"),
    "group": Mark("GN", "#CC79A7"),
}
# For all else: the same colours, then those of Tableau 10 that differ most from them.
PALETTE = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#9467BD", "#8C564B", "#17BECF",
)  # fmt: skip
LONGEST_SHORT = 10


def marks_of(axis: str, values: Sequence[str], labels: Sequence[str]) -> dict[str, Mark]:
    """Label -> mark, for the variants of one comparison.

    Known norms have their own mark wherever norms are compared; anything else takes the next colour of a palette that
    no known norm here has taken. Short names differ from each other.
    """
    known = {value: NORM_MARKS[value] for value in values if axis == "norm" and value in NORM_MARKS}
    free = [colour for colour in PALETTE if colour not in {mark.colour for mark in known.values()}] or list(PALETTE)
    marks: dict[str, Mark] = {}
    others = 0
    for value, label in zip(values, labels, strict=True):
        if value in known:
            marks[label] = known[value]
            continue
        wanted = label if len(label) <= LONGEST_SHORT else f"{value[: LONGEST_SHORT - 1]}…"
        taken = {mark.short for mark in (*marks.values(), *known.values())}
        numbered = (f"no. {number}" for number in count(len(marks) + 1))
        short = next(name for name in chain([wanted], numbered) if name not in taken)
        marks[label] = Mark(short, free[others % len(free)])
        others += 1
    return marks
