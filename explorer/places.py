"""Where runs, data sets and decoded images are: where an environment variable says, or else beside the project."""

import os
from pathlib import Path


def checkpoints_root() -> Path:
    """The folder of all runs: NORMSCOPE_CHECKPOINTS, or else `checkpoints` beside app.py."""
    return _place("NORMSCOPE_CHECKPOINTS", "checkpoints")


def data_root() -> Path:
    """The folder of data sets that are known by name: NORMSCOPE_DATA, or else `data` beside app.py."""
    return _place("NORMSCOPE_DATA", "data")


def cache_root() -> Path:
    """The folder of decoded images, which may be deleted: NORMSCOPE_CACHE, or else `.cache` beside app.py."""
    return _place("NORMSCOPE_CACHE", ".cache")


def _place(variable: str, name: str) -> Path:
    given = os.environ.get(variable)
    return Path(os.path.expanduser(given)) if given else _project() / name


def _project() -> Path:
    """The folder that holds app.py; the working directory where the package is installed without it."""
    beside = Path(__file__).parents[1]
    return beside if (beside / "app.py").is_file() else Path.cwd()
