"""The marks of the norms: one of each kind for every norm there is."""

import re

from explorer.marks import MARKS
from explorer.models.norms import NORMS


def test_every_norm_has_a_letter_and_a_colour_of_its_own() -> None:
    assert list(MARKS) == list(NORMS)
    letters, colours = zip(*((mark.letter, mark.colour) for mark in MARKS.values()), strict=True)
    assert len(set(letters)) == len(set(colours)) == len(NORMS)
    assert all(re.fullmatch("[A-Z]", letter) for letter in letters)
    assert all(re.fullmatch("#[0-9A-F]{6}", colour) for colour in colours)
