"""Names are text: nothing in them is left that Markdown, or Streamlit on top of it, would read as more."""

import re

import pytest

from explorer.app.text import JOINER, plain

ESCAPED = re.compile(r"\\([^A-Za-z0-9\s])")


@pytest.mark.parametrize(
    "name",
    [
        "plain words",
        "[x](http://a.b)",
        "![x](https://a.b/c.png)",
        "$x^2$ :red[a] :material/home:",
        "**bold** _it_ `code` ~~no~~ <b> a|b #1 1. 2",
        "www.example.org and me@example.org",
    ],
)
def test_it_reads_as_it_is_written(name: str) -> None:
    assert ESCAPED.sub(r"\1", plain(name)).replace(JOINER, "") == name


@pytest.mark.parametrize("name", ["http://a.b", "HTTPS://a.b", "see www.a.b", "me@a.b"])
def test_addresses_are_broken_for_those_who_look_for_them_after_escapes(name: str) -> None:
    """As remark-gfm does: its patterns are tried on the text without its backslashes."""
    link = r"(?i)(https?://|www(?=\.))([-.\w]+)|([-.\w+]+)@([-\w]+(?:\.[-\w]+)+)"
    assert re.search(link, name)
    assert not re.search(link, ESCAPED.sub(r"\1", plain(name)), re.ASCII)


@pytest.mark.parametrize("mark", list("\\`*_{}[]()#$~<>|!:+.&-"))
def test_every_mark_is_escaped(mark: str) -> None:
    assert plain(f"a{mark}b") == f"a\\{mark}b"


def test_it_is_one_line() -> None:
    assert plain(" a\n\n b\tc ") == "a b c"
