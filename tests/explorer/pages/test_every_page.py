"""What holds on every page."""

from pathlib import Path
from shutil import copytree

import pytest
from streamlit.testing.v1 import AppTest

from explorer.runs import Run, list_runs
from tests.explorer.pages.driving import (
    PAGES,
    OpenApp,
    healthy,
    markdown,
    opened_by_link,
    said,
    table_by,
    write_like,
)


def walk(app: AppTest) -> list[tuple[str, AppTest]]:
    """Each page in turn, by its name, in the session of an app."""
    return [(page, healthy(app.switch_page(f"explorer/pages/{page}.py").run())) for page in PAGES]


def norms_shown(app: AppTest) -> set[str]:
    """The variants in the table of figures."""
    return set(table_by(app, "variant", "test_accuracy").value["variant"])


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens(open_app: OpenApp, page: str):
    app = open_app(page)
    assert len(app.title) == 1
    assert not app.warning
    assert not app.error


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_on_a_data_set_that_is_not_here(open_app: OpenApp, cifar_root: Path, page: str):
    app = open_app(page, cifar_root)
    assert len(app.title) == 1
    assert app.selectbox(key="dataset").value == "cifar10"


@pytest.mark.parametrize(
    ("root", "compare"),
    [
        ("one_root", "norm"),
        ("seeds_root", "norm"),
        ("seeds_root", "seed"),
        ("architectures_root", "architecture"),
        ("future_root", "norm"),
        ("future_root", "selection"),
    ],
)
def test_whatever_runs_there_are_and_whatever_is_compared_every_page_opens(
    open_app: OpenApp, root: str, compare: str, request: pytest.FixtureRequest
):
    found = request.getfixturevalue(root)
    app = open_app("overview", found, compare=compare)
    for page in PAGES[1:]:
        app.switch_page(f"explorer/pages/{page}.py")
        healthy(app.run())
        assert len(app.title) == 1, page


def test_names_are_text_on_every_page(open_app: OpenApp, hostile_root: Path):
    for page, app in walk(open_app("overview", hostile_root)):
        for text in markdown(app):
            assert "](http" not in text, (page, text)
            assert "$x$" not in text, (page, text)
            assert ":red[" not in text, (page, text)


@pytest.mark.parametrize("page", ["failures", "classes"])
def test_without_the_pictures_a_line_says_how_to_get_them(open_app: OpenApp, cifar_root: Path, page: str):
    assert said(open_app(page, cifar_root)).count("--download") == 1


def test_without_runs_the_page_says_what_to_run(open_app: OpenApp, tmp_path: Path):
    for root in (tmp_path / "nowhere", tmp_path):
        app = open_app("overview", root)
        assert [code.value.split()[:3] for code in app.code] == [["python", "-m", "train"]]


def test_a_damaged_run_is_one_line_and_the_others_are_shown(open_app: OpenApp, few: Path, runs: dict[str, Run]):
    damaged = few / runs["group"].key / "weights.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:1000])
    app = open_app("overview", few)
    (warning,) = app.sidebar.warning
    assert runs["group"].path.name in warning.value.replace("\\", "")
    assert norms_shown(app) == {"batch", "no norm"}
    walk(app)


def test_a_damaged_card_is_one_line(open_app: OpenApp, few: Path, runs: dict[str, Run]):
    card = few / runs["none"].key / "card.json"
    card.write_text(card.read_text()[:500])
    app = open_app("overview", few)
    (warning,) = app.sidebar.warning
    assert runs["none"].path.name in warning.value.replace("\\", "")
    assert norms_shown(app) == {"batch", "group"}


def test_a_new_run_is_listed_on_the_next_view(open_app: OpenApp, few: Path, runs: dict[str, Run]):
    late, outside = few / runs["none"].key, few / ".outside"
    late.rename(outside)
    app = open_app("overview", few)
    assert norms_shown(app) == {"batch", "group"}
    outside.rename(late)
    assert norms_shown(healthy(app.run())) == {"batch", "group", "no norm"}


def test_a_link_names_a_data_set(open_app: OpenApp, few: Path, cifar_root: Path, runs: dict[str, Run]):
    root = copytree(cifar_root, few, dirs_exist_ok=True)
    for asked in ("cifar10", runs["batch"].spec.dataset.name):
        app = opened_by_link(root, open_app, asked)
        assert app.selectbox(key="dataset").value == asked
        assert not app.warning


def test_a_link_to_a_data_set_without_runs_says_so(open_app: OpenApp, few: Path, runs: dict[str, Run]):
    app = opened_by_link(few, open_app, "birds")
    (warning,) = app.warning
    assert "birds" in warning.value
    assert app.selectbox(key="dataset").value == runs["batch"].spec.dataset.name


def test_a_run_trained_again_is_read_again(open_app: OpenApp, few: Path, runs: dict[str, Run]):
    app = open_app("overview", few)
    (old,) = [run for run in list_runs(few)[0] if run.key == runs["group"].key]
    write_like(few, runs["group"], overwrite=True, parameters=4711)
    table = table_by(healthy(app.run()), "variant", "test_accuracy").value.set_index("variant")
    assert old.card.parameters != 4711
    assert table.loc["group", "parameters"] == 4711
