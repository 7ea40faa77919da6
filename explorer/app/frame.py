"""The picture frame: the list of pages and the selectors they share."""

from collections import Counter
from pathlib import Path

import streamlit as st

from explorer.app.copy_link import show_copy_link
from explorer.app.session import ALL, CHECKPOINTS, CHOICES, runs_and_problems, warm_up
from explorer.runs import DamagedRun, Run

HERE = Path(__file__).parent
PAGES = HERE.parent / "pages"
SELECTORS = {"dataset": "Data set", "architecture": "Architecture", "batch_size": "Batch size", "seed": "Seed"}
FIRST = ("elpv", "resnet14")
TRAIN = "python -m train --dataset elpv --architecture resnet14 --norm group"


def select_runs() -> None:
    """Draws the selectors that choose the runs of every page; they live in the URL."""
    runs, problems = runs_and_problems()
    with st.sidebar:
        for field, title in SELECTORS.items():
            runs = select(field, title, runs)
        for problem in problems:
            name = f"{problem.path.parent.name}/{problem.path.name}"
            st.warning(f"Left out {name}: {problem.reason}.", icon=":material/folder_off:")
    if not runs:
        show_no_runs()
        st.stop()


def select(field: str, title: str, runs: list[Run]) -> list[Run]:
    """The runs that one selector leaves; batch size and seed are asked for only where runs differ in them."""
    values = Counter(CHOICES[field](run) for run in runs)
    if field in ("dataset", "architecture"):
        options = sorted(values, key=lambda value: (value not in FIRST, value))
    elif len(values) > 1:  # first what most runs share, or the lowest
        options = [*sorted(values, key=lambda value: (-values[value], int(value))), ALL]
    else:
        st.session_state.pop(field, None)
        return runs
    if not options:
        return runs
    words = TITLES.get(field, str)
    titles, asked = [words(option) for option in options], st.query_params.get(field)
    if field not in st.session_state and asked not in (None, *titles, *options):
        st.warning(f"The link asks for {title.lower()} {asked!r}, of which there is no run here.")
    if (words(st.session_state[field]) if field in st.session_state else asked) not in titles:
        st.session_state[field] = asked if asked in options else options[0]
    # Without a default of its own a selector always stands in the URL, so a link stays right when other runs come.
    st.caption(title)  # the widget's own label would say "(required)" behind it
    chosen = st.selectbox(
        title,
        options,
        index=None,
        required=True,
        key=field,
        bind="query-params",
        format_func=words,
        label_visibility="collapsed",
    )
    return [run for run in runs if chosen in (ALL, CHOICES[field](run))]


def show_no_runs() -> None:
    """Says how to get a first run."""
    st.title("No runs yet")
    st.write("A run is one trained model. Train the first one, which takes some minutes, then reload this page:")
    st.code(TRAIN, language="bash")
    st.caption(f"Runs are looked for below `{CHECKPOINTS}`; the environment variable NORMSCOPE_CHECKPOINTS moves it.")


def dataset_title(name: str) -> str:
    """What a data set is called on the pages."""
    return {"elpv": "ELPV solar cells", "cifar10": "CIFAR-10"}.get(name, Path(name.partition(":")[2] or name).name)


TITLES = {"dataset": dataset_title}


def show_frame() -> None:
    """Draws the frame and, in it, the page of the address."""
    st.set_page_config(page_title="Normscope", page_icon="🔎", layout="wide")
    st.logo(HERE / "logo.svg", size="large")
    page = st.navigation(
        [
            st.Page(PAGES / "overview.py", title="Overview", icon=":material/leaderboard:", default=True),
            st.Page(PAGES / "failures.py", title="Failures", icon=":material/error:", url_path="failures"),
            st.Page(PAGES / "classes.py", title="Classes", icon=":material/category:", url_path="classes"),
            st.Page(PAGES / "your_image.py", title="Your image", icon=":material/upload:", url_path="your-image"),
            st.Page(PAGES / "training.py", title="Training", icon=":material/show_chart:", url_path="training"),
            st.Page(PAGES / "capacity.py", title="Capacity", icon=":material/layers:", url_path="capacity"),
            st.Page(PAGES / "learn.py", title="Learn", icon=":material/school:", url_path="learn"),
        ]
    )
    select_runs()
    with st.sidebar:
        show_copy_link()
    try:
        page.run()
    except DamagedRun as error:
        st.error(f"A run cannot be shown. {error}", icon=":material/folder_off:")
    warm_up()
