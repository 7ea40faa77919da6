"""Electroluminescence photographs of solar cells (Deitsch et al. 2021, doi 10.1007/s00138-021-01191-9)."""

import csv
from importlib import metadata, resources
from pathlib import Path

import numpy as np
import pandas as pd

from explorer.datasets.base import DatasetMissing, Request
from explorer.datasets.listing import Listing, reason

CLASSES = ("functional mono", "functional poly", "defective mono", "defective poly")
DEFECTIVE_FROM = 0.5
DEFAULT_SIZE = 128


def list_elpv(request: Request) -> Listing:
    """The 2,624 photographs of the package elpv-dataset, with defect probability and cell type as facts.

    Raises DatasetMissing when the package is not installed or not whole.
    """
    folder = _package_folder()
    try:
        table = _read_table(folder / "labels.csv")
        stats = [(folder / path).stat() for path in table["path"]]
    except OSError as error:
        raise DatasetMissing(
            f"elpv: {error.filename} cannot be read ({reason(error)}); "
            "pip install --force-reinstall --no-deps elpv-dataset"
        ) from error
    paths, facts = table["path"].tolist(), table.drop(columns="path")
    return Listing(
        title=request.name,
        source=_source(),
        size=request.size or DEFAULT_SIZE,
        classes=CLASSES,
        ids=tuple(Path(path).stem for path in paths),
        labels=np.array([_label(*fact) for fact in facts.itertuples(index=False, name=None)], dtype=np.int64),
        given={"train": np.arange(len(paths))},
        read=lambda row: (folder / paths[row]).read_bytes(),
        files=np.array([(found.st_size, found.st_mtime_ns) for found in stats]),
        facts=facts,
    )


def _package_folder() -> Path:
    try:
        return Path(str(resources.files("elpv_dataset"))) / "data"
    except ModuleNotFoundError as error:
        raise DatasetMissing("elpv needs the package elpv-dataset: pip install elpv-dataset") from error


def _read_table(path: Path) -> pd.DataFrame:
    """Columns path, defect probability, cell type; the file has them separated by spaces, without a header."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter=" ", skipinitialspace=True))
    table = pd.DataFrame(rows, columns=["path", "defect probability", "cell type"])
    return table.astype({"defect probability": float})


def _label(probability: float, cell_type: str) -> int:
    return CLASSES.index(f"{'defective' if probability >= DEFECTIVE_FROM else 'functional'} {cell_type}")


def _source() -> str:
    return (
        "2,624 electroluminescence photographs of solar cells from the PyPI package elpv-dataset "
        f"{metadata.version('elpv-dataset')}, licensed CC BY-NC-SA 4.0: for non-commercial use only."
    )
