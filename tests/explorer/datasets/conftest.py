"""A folder of made-up pictures."""

from pathlib import Path

import pytest

from tests.explorer.datasets.painting import COLOURS, paint


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """One level of three classes, 20 pictures each."""
    for name in COLOURS:
        paint(tmp_path / "pictures" / name, 20)
    return tmp_path / "pictures"
