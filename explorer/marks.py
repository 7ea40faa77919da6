"""How each norm is told from the others at a glance, the same on every page: its order, its letter and its colour."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mark:
    """A letter for where there is no room for a name, and a colour, from Okabe and Ito's for colour-blind people."""

    letter: str
    colour: str


MARKS = {
    "none": Mark("N", "#7F7F7F"),
    "batch": Mark("B", "#0072B2"),
    "batch-scratch": Mark("S", "#56B4E9"),
    "instance": Mark("I", "#E69F00"),
    "batch-instance": Mark("M", "#D55E00"),  # a mix of the two
    "layer": Mark("L", "#009E73"),
    "group": Mark("G", "#CC79A7"),
}
