"""The marks of variants: a known norm's own wherever norms are compared, colours of their own for all else."""

import re
from itertools import permutations

import pytest

from explorer.marks import LONGEST_SHORT, NORM_MARKS, PALETTE, Mark, marks_of
from explorer.models.norms import NORMS
from explorer.runs.axes import NORM, label_of

GROUPS = ("group(groups=2)", "group(groups=8)")  # norms without a mark of their own


def norm_marks(*values: str) -> dict[str, Mark]:
    """Value -> mark, where these norms are compared."""
    labels = [label_of(NORM, value) for value in values]
    marks = marks_of(NORM, values, labels)
    assert list(marks) == labels
    return dict(zip(values, marks.values(), strict=True))


def colours(marks: dict[str, Mark]) -> list[str]:
    return [mark.colour for mark in marks.values()]


def shorts(marks: dict[str, Mark]) -> list[str]:
    return [mark.short for mark in marks.values()]


def test_every_norm_has_a_short_name_and_a_colour_of_its_own() -> None:
    assert set(NORM_MARKS) == set(NORMS)
    assert len(set(shorts(NORM_MARKS))) == len(set(colours(NORM_MARKS))) == len(NORMS)
    assert all(len(short) <= LONGEST_SHORT for short in shorts(NORM_MARKS))


def test_no_colour_of_the_palette_stands_there_twice() -> None:
    assert len(set(PALETTE)) == len(PALETTE)
    assert all(re.fullmatch("#[0-9A-F]{6}", colour) for colour in (*PALETTE, *colours(NORM_MARKS)))


def test_known_norms_keep_their_marks_in_any_order_and_company() -> None:
    for values in permutations(("batch", "none", GROUPS[0], "instance")):
        marks = norm_marks(*values)
        assert {value: mark for value, mark in marks.items() if value in NORMS} == {
            value: NORM_MARKS[value] for value in ("batch", "none", "instance")
        }


@pytest.mark.parametrize("known", [(), ("batch",), ("layer", "batch-instance"), tuple(NORM_MARKS)])
def test_other_norms_take_colours_that_no_known_one_there_has(known: tuple[str, ...]) -> None:
    for values in ((*GROUPS, *known), (*known, *GROUPS)):
        marks = norm_marks(*values)
        assert len(set(colours(marks))) == len(values)
        assert {marks[value].colour for value in GROUPS} <= set(PALETTE)


def test_the_marks_of_norms_are_for_comparisons_of_norms() -> None:
    marks = marks_of("architecture", ("group", "batch"), ("group", "batch"))
    assert marks == {"group": Mark("group", PALETTE[0]), "batch": Mark("batch", PALETTE[1])}


def test_more_variants_than_colours_begin_the_palette_again() -> None:
    values = [str(number) for number in range(2 * len(PALETTE) + 1)]
    marks = marks_of("batch_size", values, values)
    assert colours(marks) == [*PALETTE, *PALETTE, PALETTE[0]]
    assert shorts(marks) == values
    others = [f"group(groups={number})" for number in range(1, 3 * len(PALETTE))]
    assert set(colours(norm_marks(*NORM_MARKS, *others))) == set(PALETTE) | set(colours(NORM_MARKS))


@pytest.mark.parametrize(
    "labels",
    [
        ("resnet14 with batch, seed 0", "resnet14 with batch, seed 1", "resnet14 with batch, seed 2"),
        ("a long name, first", "no. 3", "a long name, second"),  # the name that the third would get is taken
        ("a long name, first", "a long name, second", "no. 2"),
    ],
)
def test_short_names_are_short_and_differ(labels: tuple[str, ...]) -> None:
    marks = marks_of("selection", labels, labels)
    assert len(set(shorts(marks))) == len(labels)
    assert all(len(short) <= LONGEST_SHORT for short in shorts(marks))


def test_a_name_like_the_short_name_of_a_norm_is_told_from_it() -> None:
    marks = marks_of(NORM, ("BN", "batch"), ("BN", "batch"))
    assert marks["batch"] == NORM_MARKS["batch"]
    assert marks["BN"].short != "BN"
