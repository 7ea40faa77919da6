"""The charts of *Your image*: probabilities as they are, whatever classes are called."""

import pandas as pd
import pytest

from explorer.app.charts.base import MOST_MARKS
from explorer.app.charts.your_image import likeliest_chart, probability_chart
from explorer.pages.your_image import MOST_BARS, MOST_CLASSES
from tests.explorer.app.specifications import check, layers, marks, specification

CLASSES = ("a:b", "the 'c'", 'say "d"', "x.y[0]")


def probabilities(variants: int, classes: tuple[str, ...]) -> pd.DataFrame:
    rows = [(f"v.{n}", name, (n + 1) / 100) for n in range(variants) for name in classes]
    return pd.DataFrame(rows, columns=pd.Index(["variant", "class", "probability"]))


@pytest.mark.parametrize("variants", [1, 7])
def test_a_cell_for_each_variant_and_class(variants: int) -> None:
    shown = probabilities(variants, CLASSES)
    spec = specification(probability_chart(shown))
    check(spec)
    for _, rows in layers(spec):
        assert rows == shown.to_dict("records")


def test_a_bar_for_each_class() -> None:
    shown = probabilities(1, CLASSES)
    spec = specification(likeliest_chart(shown))
    check(spec)
    for _, rows in layers(spec):
        assert rows == shown.to_dict("records")


def test_as_many_as_the_page_shows_are_drawn_at_once() -> None:
    most = probabilities(25, tuple(f"class {n}" for n in range(MOST_CLASSES)))
    assert marks(specification(probability_chart(most))) <= MOST_MARKS
    assert marks(specification(likeliest_chart(most.head(MOST_BARS)))) <= MOST_MARKS
