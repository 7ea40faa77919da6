"""How values read."""

import pytest

from explorer.words import count_of, listed, millions, percent, plural_of, points


@pytest.mark.parametrize(("words", "said"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), ("abc", "a, b and c")])
def test_listed(words: list[str], said: str) -> None:
    assert listed(words) == said


@pytest.mark.parametrize(
    ("fraction", "said"), [(0.8434, "84.3%"), (1, "100.0%"), (-0.0351, "−3.5%"), (-0.0001, "0.0%")]
)
def test_percent(fraction: float, said: str) -> None:
    assert percent(fraction) == said


@pytest.mark.parametrize(
    ("fraction", "said"), [(0.0147, "+1.5"), (-0.0046, "−0.5"), (0.0, "+0.0"), (-0.0001, "+0.0"), (-1, "−100.0")]
)
def test_points(fraction: float, said: str) -> None:
    assert points(fraction) == said


def test_counts_have_a_plural_and_separated_thousands() -> None:
    assert [count_of(1, "image"), count_of(1663, "image"), count_of(2, "class", "classes")] == [
        "1 image",
        "1,663 images",
        "2 classes",
    ]


def test_plurals() -> None:
    assert [plural_of("norm"), plural_of("training loss"), count_of(3, "class")] == [
        "norms",
        "training losses",
        "3 classes",
    ]


def test_millions() -> None:
    assert [millions(106_627_328), millions(1_234_567_890), millions(0)] == ["106.6 M", "1,234.6 M", "0.0 M"]
