"""The page *Learn*: every norm is taught, every fact is found to hold, on other numbers too."""

import re

import pytest
from streamlit.testing.v1 import AppTest

from explorer.models.norms import NORMS
from explorer.pages.learn import FACTS, LESSONS
from tests.explorer.pages.driving import OpenApp, elements, healthy, words


def differences(app: AppTest) -> list[str]:
    """The largest difference that each check found."""
    return re.findall(r"largest difference \*\*(.*?)\*\*", words(app))


def test_every_norm_has_a_lesson_with_a_picture_and_every_fact_holds(open_app: OpenApp):
    app = open_app("learn")
    text = words(app)
    titles = {heading.value for heading in app.subheader}
    assert titles == {lesson.title for lesson in LESSONS} | {fact.title for fact in FACTS}
    assert text.count(":material/check_circle:") == sum(len(check(0)) for fact in FACTS for check in fact.checks)
    assert ":material/cancel:" not in text
    assert len(app.latex) == 1 + len(LESSONS) + len(FACTS)
    assert len(elements(app, "image")) + len(elements(app, "imgs")) == len(LESSONS)


def test_a_link_leads_to_a_norm_by_its_name(open_app: OpenApp):
    anchors = [heading.proto.anchor for heading in open_app("learn").subheader]
    assert set(anchors) >= set(NORMS) - {"batch-scratch"}  # it is batch norm
    assert len(set(anchors)) == len(anchors)


def test_other_numbers_are_checked_when_asked(open_app: OpenApp):
    app = open_app("learn")
    before = differences(app)
    healthy(app.number_input(key="draw").set_value(3).run())
    assert differences(app) != before
    assert differences(open_app("learn", draw="3")) == differences(app)


@pytest.mark.parametrize("draw", ["1e999", "-1", "10000", "1.5", "nan", "²"])
def test_a_draw_that_is_none_is_ignored_with_one_line(open_app: OpenApp, draw: str):
    app = open_app("learn", draw=draw)
    assert app.number_input(key="draw").value == 0
    assert ["draw" in warning.value for warning in app.warning] == [True]
