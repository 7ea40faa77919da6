"""The picture frame: the list of pages and the two selectors they share."""

from pathlib import Path

import streamlit as st

from explorer.session import CHECKPOINTS, runs_and_problems

PAGES = Path(__file__).parent / "explorer" / "pages"
TRAIN = "python -m train --dataset elpv --architecture resnet14 --norm group"

st.set_page_config(page_title="Normscope", page_icon="🔎", layout="wide")
st.logo(PAGES / "logo.svg", size="large")


def select_runs() -> None:
    """Draws the selectors of data set and architecture; both live in the URL."""
    runs, problems = runs_and_problems()
    with st.sidebar:
        if runs:
            names = sorted({run.card.dataset.name for run in runs}, key=lambda name: (name != "elpv", name))
            dataset = st.selectbox("Data set", names, key="dataset", bind="query-params", format_func=dataset_title)
            architectures = sorted({r.card.architecture.name for r in runs if r.card.dataset.name == dataset})
            architectures.sort(key=lambda name: name != "resnet14")
            st.selectbox("Architecture", architectures, key="architecture", bind="query-params")
        for problem in problems:
            name = f"{problem.path.parent.name}/{problem.path.name}"
            st.warning(f"Left out {name}: {problem.reason}.", icon=":material/folder_off:")
    if not runs:
        st.title("No runs yet")
        st.write("A run is one trained model. Train the first one, which takes some minutes, then reload this page:")
        st.code(TRAIN, language="bash")
        st.caption(
            f"Runs are looked for below `{CHECKPOINTS}`; the environment variable NORMSCOPE_CHECKPOINTS moves it."
        )
        st.stop()


def dataset_title(name: str) -> str:
    """What a data set is called on the pages."""
    return {"elpv": "ELPV solar cells", "cifar10": "CIFAR-10"}.get(name, Path(name.partition(":")[2] or name).name)


page = st.navigation(
    [
        st.Page(PAGES / "overview.py", title="Overview", icon=":material/leaderboard:", default=True),
        st.Page(PAGES / "failures.py", title="Failures", icon=":material/error:", url_path="failures"),
        st.Page(PAGES / "classes.py", title="Classes", icon=":material/category:", url_path="classes"),
        st.Page(PAGES / "your_image.py", title="Your image", icon=":material/upload:", url_path="your-image"),
        st.Page(PAGES / "training.py", title="Training", icon=":material/show_chart:", url_path="training"),
    ]
)
select_runs()
page.run()
