"""What the widgets show stands in the address: a link, reload, Back and Forward give the view of that address.

Each function draws one widget through `draw`, a function of `st` or of a container:
`switch(left.toggle, "heat", "Heatmaps")`. Its key is its parameter in the address, left out at the default, except when
carried: then it always stands there and in `carried()`, which links to other pages must be given. Options are never
empty, a default is one of them, and no widget may use `bind`. A full run stands in `with one_entry():`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import streamlit as st
from streamlit.components.v2 import component

T = TypeVar("T")
N = TypeVar("N", int, float)
Draw = Callable[..., Any]

# The first address is completed in its place: written by Streamlit it would be one more entry that Back has to pass.
_complete = component(
    "urlstate_complete",
    js="""export default function ({ data }) {
      const url = new URL(window.location.href);
      for (const [key, words] of Object.entries(data)) {
        url.searchParams.delete(key);
        for (const word of words) url.searchParams.append(key, word);
      }
      window.history.replaceState(window.history.state, "", url);
    }""",
)


@dataclass
class _Run:
    """A full run. The thread of one that was overtaken may still end it while the next has begun: each has its own."""

    by_address: bool  # it comes from a link, Back or Forward
    carried: dict[str, list[str]] = field(default_factory=dict)
    waiting: dict[str, list[str]] = field(default_factory=dict)  # not yet in the address
    ignored: list[str] = field(default_factory=list)
    over: bool = False


@dataclass
class _Session:
    shown: dict[str, Any] = field(default_factory=dict)  # what each widget showed last
    # The addresses that the browser may still send because the newest has not reached it, the newest last.
    recent: list[dict[str, list[str]]] = field(default_factory=list)
    run: _Run | None = None
    first: bool = True


def select(
    draw: Draw, key: str, title: str, options: Sequence[T], default: T | None = None, *,
    write: Callable[[T], str] = str, carry: bool = False, **more: Any,
) -> T:  # fmt: skip
    """A selectbox or radio, by default at its first option; `write` gives each option its own lasting word."""
    value = _one(key, options, default, write, carry)
    return draw(title, options, options.index(value), key=key, **more)


def segments(
    draw: Draw, key: str, title: str, options: Sequence[T], default: T | None = None, *,
    write: Callable[[T], str] = str, carry: bool = False, **more: Any,
) -> T:  # fmt: skip
    """A segmented control, or pills, of which one is always chosen, by default the first."""
    value = _one(key, options, default, write, carry)
    return draw(title, options, default=value, required=True, key=key, **more)


def several(
    draw: Draw, key: str, title: str, options: Sequence[T], default: Sequence[T] = (), *,
    write: Callable[[T], str] = str, **more: Any,
) -> list[T]:  # fmt: skip
    """A multiselect; or pills or a segmented control with `selection_mode="multi"`."""
    words, most = {write(option): option for option in options}, more.get("max_selections") or len(options)
    value = _settle(
        key,
        list(default),
        lambda asked: [words[word] for word in dict.fromkeys(asked) if word],
        lambda value: [write(option) for option in value] or [""],
        lambda value: len(value) <= most and all(option in options for option in value),
    )
    return draw(title, options, default=value, key=key, **more)


def switch(draw: Draw, key: str, title: str, default: bool = False, **more: Any) -> bool:
    """A toggle or checkbox."""
    return draw(title, _one(key, (False, True), default, lambda on: str(on).lower()), key=key, **more)


def number(draw: Draw, key: str, title: str, low: N, high: N, default: N, **more: Any) -> N:
    """A slider or number input. A slider whose ends change needs another key then."""
    return draw(title, low, high, _number(key, low, high, default), key=key, **more)


def pagination(draw: Draw, key: str, pages: int, **more: Any) -> int:
    """The page, from 1."""
    return draw(pages, default=_number(key, 1, pages, 1), key=key, **more)


def span(draw: Draw, key: str, title: str, low: N, high: N, **more: Any) -> tuple[N, N]:
    """A slider with two ends, at first all that it spans."""
    value = _settle(
        key,
        (low, high),
        lambda asked: _pair(sorted(type(low)(end) for end in asked)),
        lambda value: [str(end) for end in value],
        lambda value: low <= value[0] <= value[1] <= high,
    )
    return draw(title, low, high, value, key=key, **more)


def carried() -> dict[str, list[str]]:
    """The carried parameters of this run, for the `query_params` of links to other pages; inside `one_entry` only."""
    run = _run()
    return dict(run.carried) if run else {}


def put(key: str, *words: str) -> None:
    """Writes a parameter that belongs to no widget to the address, or takes it out."""
    run = _run()
    if run:
        run.waiting[key] = list(words)
    else:  # a callback, or a fragment on its own
        _write({key: list(words)})


def retire(key: str, known: Iterable[str] = ()) -> None:
    """Takes a parameter that nothing on the page asks for out of the address.

    A link that gives it another value than those known is told that it was ignored.
    """
    run, asked = _run(), st.query_params.get_all(key)
    if run and run.by_address and not set(asked) <= set(known):
        ignore(key, ", ".join(asked))
    put(key)


def ignore(key: str, asked: str) -> None:
    """Adds to the line that says which values of the address were ignored."""
    run = _run()
    if run:
        run.ignored.append(f"{key} `{asked[:40].replace('`', '')!r}`")


@contextmanager
def one_entry() -> Iterator[None]:
    """Holds a full run: the history gains one entry at most, and a line above says what of the address was ignored.

    `st.stop`, `st.rerun` and `st.switch_page` leave it without writing; call `publish` before `st.stop`.
    """
    session, place, asked = _session(), st.container(), _address()
    if asked in session.recent:
        session.recent = session.recent[session.recent.index(asked) :]
        moved = any(st.session_state.get(key, value) != value for key, value in session.shown.items())
        run = _Run(len(session.recent) > 1 and not moved)  # Back, faster than the newest address
    else:
        session.recent, run = [asked], _Run(True)
    session.run = run
    try:
        yield
        publish()
    except Exception:
        publish()
        raise
    finally:
        run.over = True
        if run.ignored:
            place.warning(f"The address asks for what is not here; ignored: {', '.join(run.ignored)}.")


def publish() -> None:
    """Writes what has changed to the address."""
    run = _run()
    if run:
        _write(run.waiting)


def _write(words: dict[str, list[str]]) -> None:
    session = _session()  # an overtaken run ends here
    # A part that is drawn on its own is not told that the browser has completed the first address: that is kept here.
    before = _address() if _run() or not session.recent else session.recent[-1]
    after = {key: words for key, words in (before | words).items() if words}
    if after != before and session.first:
        _complete(key="urlstate_complete", data=words)
    elif after != before:
        st.query_params.from_dict(after)
    session.recent = [address for address in session.recent or [before] if address != after] + [after]
    session.first = False


def _address() -> dict[str, list[str]]:
    return {key: st.query_params.get_all(key) for key in st.query_params}


def _one(key: str, options: Sequence[T], default: T | None, write: Callable[[T], str], carry: bool = False) -> T:
    words = {write(option): option for option in options}
    return _settle(
        key,
        options[0] if default is None else default,
        lambda asked: words[_single(asked)],
        lambda value: [write(value)],
        options.__contains__,
        carry,
    )


def _number(key: str, low: N, high: N, default: N) -> N:
    return _settle(
        key,
        default,
        lambda asked: type(default)(_single(asked)),
        lambda value: [str(value)],
        lambda value: value is not None and low <= value <= high,
    )


def _settle(
    key: str,
    default: T,
    read: Callable[[list[str]], T],
    write: Callable[[T], list[str]],
    fits: Callable[[T], bool],
    carry: bool = False,
) -> T:
    """What the widget must show, by the widget, the address or the default; `read` may raise KeyError or ValueError."""
    session, state, asked, value = _session(), st.session_state, st.query_params.get_all(key), default
    run = _run()
    by_address = run is not None and run.by_address
    if key in state and not by_address:
        value = state[key]
    elif asked:
        try:
            value = read(asked)
        except (KeyError, ValueError):
            ignore(key, ", ".join(asked))
        else:
            if not fits(value):
                ignore(key, ", ".join(asked))
    elif carry:
        value = session.shown.get(key, default)  # a page that was opened without it
    if value != default and not fits(value):
        value = default
    # A write makes the browser show the value, over one that is being moved just now: not without need. A widget that
    # the browser draws late starts at its own default, so that is the value as well.
    if by_address or (key in state and state[key] != value):
        state[key] = value
    session.shown[key] = value
    words = write(value) if carry or value != default else []
    if carry and run:
        run.carried[key] = words
    put(key, *words)
    return value


def _pair(ends: list[N]) -> tuple[N, N]:
    low, high = ends  # ValueError when there are not two
    return low, high


def _single(asked: list[str]) -> str:
    if len(asked) != 1:
        raise ValueError(f"expected one value, got {len(asked)}")
    return asked[0]


def _run() -> _Run | None:
    run = _session().run
    return None if run is None or run.over else run


def _session() -> _Session:
    return st.session_state.setdefault("_urlstate", _Session())
