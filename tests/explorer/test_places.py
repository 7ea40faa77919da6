"""Where things are: the environment first, then beside app.py, then the working directory."""

from pathlib import Path

import pytest

from explorer import places

ROOT = Path(__file__).parents[2]
PLACES = {
    "NORMSCOPE_CHECKPOINTS": (places.checkpoints_root, "checkpoints"),
    "NORMSCOPE_DATA": (places.data_root, "data"),
    "NORMSCOPE_CACHE": (places.cache_root, ".cache"),
}


@pytest.mark.parametrize("variable", PLACES)
def test_beside_the_project_from_everywhere(variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find, name = PLACES[variable]
    monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    assert find() == ROOT / name


@pytest.mark.parametrize("variable", PLACES)
def test_the_environment_decides(variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find, name = PLACES[variable]
    monkeypatch.setenv("HOME", str(tmp_path))
    for given, meant in ((str(tmp_path / "x"), tmp_path / "x"), ("~/y", tmp_path / "y")):
        monkeypatch.setenv(variable, given)
        assert find() == meant
    monkeypatch.setenv(variable, "")
    assert find() == ROOT / name


@pytest.mark.parametrize("variable", PLACES)
def test_the_working_directory_without_app(variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find, name = PLACES[variable]
    monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(places, "__file__", str(tmp_path / "site-packages" / "explorer" / "places.py"))
    monkeypatch.chdir(tmp_path)
    assert find() == tmp_path / name
