"""The picture frame: the list of pages, and what they share around them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import ParamSpec

import streamlit as st

from explorer.app import urlstate
from explorer.app.caches import load_ahead
from explorer.app.copy_link import show_copy_link
from explorer.app.selection import choose_view
from explorer.app.text import plain
from explorer.places import checkpoints_root
from explorer.runs import DamagedRun, list_runs

HERE = Path(__file__).parent
P = ParamSpec("P")


@dataclass(frozen=True)
class PageEntry:
    """A page: its file below `explorer/pages`, its name in the menu and its icon."""

    file: str
    title: str
    icon: str

    @property
    def path(self) -> Path:
        """Where the file is."""
        return HERE.parent / "pages" / f"{self.file}.py"

    @property
    def url(self) -> str:
        """Its path in the address; the first page has none."""
        return "" if self is PAGES[0] else self.file.replace("_", "-")


PAGES = (
    PageEntry("overview", "Overview", ":material/leaderboard:"),
    PageEntry("failures", "Failures", ":material/error:"),
    PageEntry("classes", "Classes", ":material/category:"),
    PageEntry("your_image", "Your image", ":material/upload:"),
    PageEntry("training", "Training", ":material/show_chart:"),
    PageEntry("capacity", "Capacity", ":material/layers:"),
    PageEntry("learn", "Learn", ":material/school:"),
)
TRAIN = "python -m train --dataset elpv --architecture resnet14 --norm group"


def show_frame() -> None:
    """Draws the frame and, in it, the page of the address."""
    st.set_page_config(page_title="Normscope", page_icon="🔎", layout="wide")
    st.logo(HERE / "logo.svg", size="large")
    pages = [st.Page(p.path, title=p.title, icon=p.icon, url_path=p.url, default=not p.url) for p in PAGES]
    page = st.navigation(pages, position="hidden")  # its own links would drop what the sidebar has chosen
    runs, problems = list_runs(checkpoints_root())
    with urlstate.one_entry():
        with st.sidebar:
            menu = st.container(gap="xxsmall")
            view = choose_view(runs, problems)
            if view is not None:
                show_copy_link()
        for link in pages:
            menu.page_link(link, query_params=urlstate.carried())
        if not runs:
            show_no_runs()
        elif view is not None:
            with in_one_line():
                page.run()
    if view is not None:
        load_ahead(tuple(variant.runs[0] for variant in view.grouping.variants))


@contextmanager
def in_one_line() -> Iterator[None]:
    """Says in one line what is wrong with a run, where a page or a part of it meets one that cannot be read."""
    try:
        yield
    except DamagedRun as error:
        st.error(f"A run cannot be shown. {plain(str(error))}", icon=":material/folder_off:")


def fragment(part: Callable[P, None]) -> Callable[P, None]:
    """The part of a page as one that is drawn anew on its own; what it meets is said in one line there too."""

    @st.fragment
    @wraps(part)
    def guarded(*values: P.args, **arguments: P.kwargs) -> None:
        with in_one_line():
            part(*values, **arguments)

    return guarded


def show_no_runs() -> None:
    """Says how to get a first run."""
    st.title("No runs yet")
    st.write("A run is one trained model. Train the first one, which takes some minutes, then reload this page:")
    st.code(TRAIN, language="bash")
    st.caption(
        f"Runs are looked for below `{checkpoints_root()}`; the environment variable NORMSCOPE_CHECKPOINTS moves it."
    )
