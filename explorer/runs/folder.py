"""The run folder: what training and importing write and the app reads.

`<root>/<data set>/<run>/` holds:

- `card.json`: the truth about the run, see `explorer.runs.card`; written last, so a folder with a card is complete.
- `weights.safetensors`: the tensors of the model's state dict, float32 or float16 (read back as float32).
- `history.csv`: one row an epoch, columns `HISTORY_COLUMNS`; `seconds` is the training time so far.
- `predictions.parquet`: what the run says of each image of val and test, see `explorer.runs.predictions`.

A run that was imported may lack weights and history. A run is written to a hidden sibling folder and renamed into
place. The folder's name follows from the card and is never parsed. No pickle is ever read.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from explorer.runs.card import Card, DamagedRun
from explorer.runs.predictions import (
    FILE,
    Predictions,
    StoredPredictions,
    check_schema,
    read_predictions,
    write_predictions,
)
from explorer.runs.spec import TRAINED, RunSpec, safe_name

if TYPE_CHECKING:
    from torch import Tensor

    from explorer.models import StagedModel

WEIGHTS, HISTORY = "weights.safetensors", "history.csv"
FILES = ("card.json", WEIGHTS, HISTORY, FILE)
HISTORY_METRICS = ("loss", "accuracy", "micro_f1", "macro_f1")
HISTORY_COLUMNS = (
    "epoch",
    "learning_rate",
    *(f"{split}_{metric}" for split in ("train", "val") for metric in HISTORY_METRICS),
    "seconds",
)
Stamp = tuple[tuple[str, int, int], ...]  # (file, time in ns, bytes) of each file of a run


@dataclass(frozen=True)
class Run:
    """A run on disk; tables and the model are read when asked for. `stamp` tells it from a later one in its place."""

    path: Path
    card: Card
    stamp: Stamp

    @property
    def key(self) -> str:
        """`<data set>/<run>`: names the run within its root."""
        return f"{self.path.parent.name}/{self.path.name}"

    @property
    def spec(self) -> RunSpec:
        """What defines the run."""
        return self.card.spec

    @property
    def has_model(self) -> bool:
        """Whether the run kept its weights."""
        return any(name == WEIGHTS for name, _, _ in self.stamp)

    def history(self) -> pd.DataFrame:
        """One row an epoch, columns HISTORY_COLUMNS, all numbers; no row where the run kept none. Raises DamagedRun."""
        if not any(name == HISTORY for name, _, _ in self.stamp):
            return pd.DataFrame(columns=list(HISTORY_COLUMNS), dtype=float)
        return _read_history(self.path / HISTORY)

    def predictions(self, split: str = "test") -> StoredPredictions:
        """The stored predictions of `val` or `test`, in the order of the data set. Raises DamagedRun."""
        metrics = self.card.metrics.get(split)
        count = None if metrics is None else metrics.count
        return read_predictions(self.path / FILE, split, len(self.card.classes), count)

    def load_model(self) -> "StagedModel":
        """The trained model in eval mode, in float32, its parameters without gradients.

        Raises:
            DamagedRun: there are no weights, or they are not those of the model that the card describes.
        """
        from explorer.runs.weights import load_model

        if not self.has_model:
            raise DamagedRun(f"{self.path.name} kept no weights, so it has no heatmaps; import it with its weights")
        return load_model(self.path, self.card)


@dataclass(frozen=True)
class Problem:
    """A folder that looks like a run and cannot be read, and why."""

    path: Path
    reason: str


def list_runs(root: Path) -> tuple[list[Run], list[Problem]]:
    """The readable runs below a root, sorted by path, and the others with their reasons. Never raises.

    A readable run is read again only when one of its files has changed. A root that is not there has no runs.
    """
    runs: list[Run] = []
    folders, problems = _run_folders(root)
    for path in folders:
        try:
            runs.append(read_run(path))
        except DamagedRun as error:
            problems.append(Problem(path, str(error)))
    return runs, problems


def read_run(path: Path) -> Run:
    """The run in a folder, after a look at each of its files. Raises DamagedRun."""
    return _read_stamped(path, _stamp(path))


def dataset_folder(root: Path, name: str) -> Path:
    """Where the runs on the data set of that name are."""
    return root / safe_name(name)


def write_run(
    root: Path,
    card: Card,
    weights: "Mapping[str, Tensor] | None",
    history: pd.DataFrame | None,
    predictions: Mapping[str, Predictions],
    *,
    overwrite: bool = False,
) -> Run:
    """Writes `<root>/<data set>/<run>/` as a whole or not at all, and returns the run.

    Raises:
        FileExistsError: the run exists and `overwrite` is false.
    """
    final = dataset_folder(root, card.spec.dataset.name) / card.name
    if final.exists() and not overwrite:
        raise FileExistsError(f"the run {final} exists; pass --overwrite to replace it")
    draft, old = (final.with_name(f".{kind}-{final.name}") for kind in ("writing", "replaced"))
    for leftover in (draft, old):
        shutil.rmtree(leftover, ignore_errors=True)
    draft.mkdir(parents=True)
    _write_files(draft, card, weights, history, predictions)
    if final.exists():
        final.rename(old)
    draft.rename(final)
    shutil.rmtree(old, ignore_errors=True)
    return read_run(final)


def _run_folders(root: Path) -> tuple[list[Path], list[Problem]]:
    """The folders two levels down, sorted, but hidden ones; and those above that cannot be listed."""
    found: list[Path] = []
    problems: list[Problem] = []
    for parent in _subfolders(root, problems):
        found += _subfolders(parent, problems)
    return found, problems


def _subfolders(folder: Path, problems: list[Problem]) -> list[Path]:
    """The folders in a folder, sorted, but hidden ones; adds to the problems where they cannot be listed."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.is_dir())
    except FileNotFoundError:
        return []
    except OSError as error:
        problems.append(Problem(folder, f"the folder cannot be listed ({error.strerror}); check where it lies"))
        return []


def _stamp(path: Path) -> Stamp:
    """The files of a run that are there, with times and sizes. Raises DamagedRun for a folder that cannot be read."""
    found = []
    for name in FILES:
        try:
            status = (path / name).stat()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise DamagedRun(f"{name} cannot be read ({error.strerror}); check the folder's permissions") from error
        if not S_ISREG(status.st_mode):
            raise DamagedRun(f"{name} is no file; train the run again or delete the folder")
        found.append((name, status.st_mtime_ns, status.st_size))
    return tuple(found)


@lru_cache(maxsize=4096)
def _read_stamped(path: Path, stamp: Stamp) -> Run:
    present = {name for name, _, _ in stamp}
    card = _read_card(path) if "card.json" in present else None
    optional = () if card is None or card.spec.origin == TRAINED else (WEIGHTS, HISTORY)
    if missing := [name for name in FILES if name not in present and name not in optional]:
        raise DamagedRun(f"{missing[0]} is missing; train the run again or delete the folder")
    assert card is not None  # or card.json would be missing
    if WEIGHTS in present:
        _check_weights(path / WEIGHTS)
    if HISTORY in present:
        _read_history(path / HISTORY)
    check_schema(path / FILE, len(card.classes))
    return Run(path, card, stamp)


def _read_card(path: Path) -> Card:
    try:
        plain = json.loads((path / "card.json").read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise DamagedRun(f"card.json is not readable JSON ({error}); train the run again") from error
    return Card.from_json(plain)


def _check_weights(path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np"):  # reads the header and compares it with the file's length
            pass
    except (SafetensorError, OSError) as error:
        raise DamagedRun(f"{path.name} is damaged ({error}); train the run again") from error


def _read_history(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path)
    except (ValueError, pd.errors.ParserError, pd.errors.EmptyDataError, OSError, OverflowError, MemoryError) as error:
        raise DamagedRun(f"{path.name} is damaged ({error}); train the run again") from error
    if missing := [column for column in HISTORY_COLUMNS if column not in table]:
        raise DamagedRun(f"{path.name} lacks the columns {', '.join(missing)}; train the run again")
    if wrong := [column for column in HISTORY_COLUMNS if not _are_finite(table[column].to_numpy())]:
        raise DamagedRun(f"{path.name} should hold finite numbers alone in {', '.join(wrong)}; train the run again")
    return pd.DataFrame(table[list(HISTORY_COLUMNS)])


def _are_finite(values: np.ndarray) -> bool:
    return values.dtype.kind in "fiu" and bool(np.isfinite(values).all())


def _write_files(
    folder: Path,
    card: Card,
    weights: "Mapping[str, Tensor] | None",
    history: pd.DataFrame | None,
    predictions: Mapping[str, Predictions],
) -> None:
    if weights is not None:
        from safetensors.torch import save

        # save_file would make a file that its owner alone may read
        (folder / WEIGHTS).write_bytes(save({key: value.cpu().contiguous() for key, value in weights.items()}))
    if history is not None:
        history[list(HISTORY_COLUMNS)].to_csv(folder / HISTORY, index=False, float_format="%.6g")
    write_predictions(folder / FILE, predictions)
    text = json.dumps(card.to_json(), indent=2, allow_nan=False, ensure_ascii=False)
    (folder / "card.json").write_text(text + "\n", encoding="utf-8")
