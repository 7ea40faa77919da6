"""One way to say which names and arguments there are, against entries whose signatures are plain to see."""

from typing import Any

import pytest

from explorer.registry import check_name, complete_arguments


def entry(
    needed: object,
    *,
    whole: int = 4,
    real: float = 0.5,
    as_torch_writes_it: float = 0,
    flag: bool = False,
    pair: tuple[float, float] = (0.9, 0.999),
    text: str = "mean",
    anything: Any = None,
) -> None:
    """Stands in for a norm, an optimizer, ..."""


DEFAULTS = {
    "whole": 4,
    "real": 0.5,
    "as_torch_writes_it": 0,
    "flag": False,
    "pair": (0.9, 0.999),
    "text": "mean",
    "anything": None,
}
ENTRIES = {"one": entry, "plain": lambda needed: None}


def test_names() -> None:
    check_name("norm", "batch", ["batch", "group"])
    with pytest.raises(ValueError, match="unknown norm 'grp'; expected one of: batch, group"):
        check_name("norm", "grp", ["batch", "group"])


def test_what_is_not_given_is_at_its_default() -> None:
    assert complete_arguments("thing", "one", ENTRIES, {"whole": 8}) == DEFAULTS | {"whole": 8}
    assert complete_arguments("thing", "plain", ENTRIES, {}) == {}
    assert list(complete_arguments("thing", "one", ENTRIES, {}, ignore=("whole", "text", "other"))) == [
        *("real", "as_torch_writes_it", "flag", "pair", "anything")
    ]


@pytest.mark.parametrize(
    ("name", "given", "ignore", "message"),
    [
        ("two", {}, (), "unknown thing 'two'; expected one of: one, plain"),
        ("one", {"hole": 1}, (), "unknown argument 'hole' of thing 'one'; expected one of: whole, real, "),
        ("one", {"needed": 1}, (), "unknown argument 'needed' of thing 'one'"),
        ("one", {"text": "sum"}, ("text",), "unknown argument 'text' of thing 'one'"),
        ("plain", {"hole": 1}, (), "unknown argument 'hole' of thing 'plain'; it takes no arguments"),
    ],
)
def test_unknown_names_and_arguments(name: str, given: dict[str, Any], ignore: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        complete_arguments("thing", name, ENTRIES, given, ignore)


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("whole", "two", "a whole number, like 4"),
        ("whole", 2.0, "a whole number, like 4"),
        ("whole", True, "a whole number, like 4"),
        ("real", "small", "a number, like 0.5"),
        ("real", True, "a number, like 0.5"),
        ("real", float("nan"), "a number, like 0.5"),
        ("real", float("inf"), "a number, like 0.5"),
        ("as_torch_writes_it", "high", "a number, like 0"),
        ("flag", 1, "true or false, like False"),
        ("flag", "yes", "true or false, like False"),
        ("pair", 0.9, r"2 numbers with a comma between, like \(0.9, 0.999\)"),
        ("pair", (0.9,), "2 numbers with a comma between"),
        ("pair", (0.9, "much"), "2 numbers with a comma between"),
    ],
)
def test_values_of_another_kind(key: str, value: object, wanted: str) -> None:
    with pytest.raises(ValueError, match=f"argument '{key}' of thing 'one' wants {wanted}"):
        complete_arguments("thing", "one", ENTRIES, {key: value})


@pytest.mark.parametrize(
    ("key", "value"),
    [("whole", -3), ("real", 1), ("as_torch_writes_it", 0.9), ("flag", True), ("pair", [1, 2]), ("anything", "else")],
)
def test_values_of_the_same_kind(key: str, value: object) -> None:
    assert complete_arguments("thing", "one", ENTRIES, {key: value})[key] == value
