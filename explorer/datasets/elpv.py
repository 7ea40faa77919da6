"""Electroluminescence photographs of solar cells (Deitsch et al. 2021, doi 10.1007/s00138-021-01191-9)."""

import csv
from importlib import metadata, resources
from pathlib import Path

import numpy as np
import pandas as pd

from explorer.datasets.base import Dataset, DatasetMissing, Request, assemble
from explorer.datasets.decoding import ImageFile, decode_files
from explorer.datasets.splitting import complete_splits

CLASSES = ("functional mono", "functional poly", "defective mono", "defective poly")
DEFECTIVE_FROM = 0.5
DEFAULT_SIZE = 128


def load_elpv(request: Request) -> Dataset:
    """The 2,624 photographs of the package elpv-dataset, with defect probability and cell type as facts.

    Raises DatasetMissing when the package is not installed.
    """
    folder = _package_folder()
    table = _read_table(folder / "labels.csv")
    files = [ImageFile(Path(path).stem, f"{folder}/{path}") for path in table["path"]]
    decoded = decode_files(files, request.size or DEFAULT_SIZE, request.cache_root, request.name)
    facts = table.drop(columns="path").iloc[decoded.note.rows]
    labels = np.array([_label(*fact) for fact in facts.itertuples(index=False, name=None)])
    ids = [files[row].id for row in decoded.note.rows]
    members = complete_splits({"train": np.arange(len(ids))}, ids, labels)
    return assemble(
        request.name, _source(), CLASSES, ids, labels, decoded.images, members, facts, decoded.note.problems
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
