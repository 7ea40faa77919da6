"""predictions.parquet: what a run says of every image of val and test.

One row per image: `split`, `index` (its place in the split), `image_id`, `label`, `predicted`, `confidence`, `margin`
and `loss`, as in `Outcomes`, and `probabilities`, a list of one float32 per class in the order of the card's classes,
which may be missing. Row groups are small, so that the probabilities of one image are read without those of all others.
Schema 1 had neither of the four and a column `probability_<k>` per class; both are read.
"""

import math
import weakref
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from explorer.predictions.outcomes import Outcomes, outcomes_of
from explorer.runs.card import DamagedRun

if TYPE_CHECKING:  # a quarter of a second that what reads no table need not wait for
    import pyarrow as pa
    import pyarrow.parquet as parquet

FILE = "predictions.parquet"
LEADING = ("split", "index", "image_id", "label")
SUMMARY = ("predicted", "confidence", "margin", "loss")
PROBABILITIES = "probabilities"
VALUES_PER_GROUP = 2**19  # of probabilities: what one image's cost to read
_CHECKED: "deque[weakref.ref[ImageIds]]" = deque(maxlen=8)  # ids that were found to be text, and all different
MOST = {"confidence": 1.0, "margin": 1.0, "loss": math.inf}
ROUNDING = 1e-3  # by which a probability may lie beside 0 or 1


class ImageIds(Sequence[str]):
    """The ids of N images as they lie in the file: a million of them cost no million Python texts."""

    def __init__(self, values: "pa.Array"):
        self._values = values

    def __len__(self) -> int:
        """The number of images."""
        return len(self._values)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> "ImageIds": ...
    def __getitem__(self, index: int | slice) -> "str | ImageIds":
        """The id at a place, or the ids of a slice."""
        return ImageIds(self._values[index]) if isinstance(index, slice) else self._values[int(index)].as_py()

    def __eq__(self, other: object) -> bool:
        """Whether the other has the same ids in the same order."""
        return isinstance(other, ImageIds) and self._values.equals(other._values)

    __hash__ = None  # type: ignore[assignment]

    def index(self, value: Any, start: int = 0, stop: int | None = None) -> int:
        """The place of an id. Raises ValueError where there is none of that name."""
        import pyarrow.compute as compute

        found = compute.index(self._values, value).as_py() if isinstance(value, str) else -1  # type: ignore[attr-defined]
        if found < start or (stop is not None and found >= stop):
            raise ValueError(f"no image {value!r}; expected the id of one of {len(self):,} images")
        return found

    @classmethod
    def of(cls, ids: Sequence[str]) -> "ImageIds":
        """The ids as arrow keeps them."""
        import pyarrow as pa

        return ids if isinstance(ids, ImageIds) else cls(pa.array(list(ids), pa.string()))


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model says of N images: ids, labels (N,), probabilities (N, K) float32, all in memory, to be written."""

    ids: Sequence[str]
    labels: np.ndarray
    probabilities: np.ndarray

    @cached_property
    def outcomes(self) -> Outcomes:
        """What pages need of each image."""
        return outcomes_of(self.probabilities, self.labels)

    def of(self, image: int) -> np.ndarray:
        """The probabilities (K,) of one image."""
        return self.probabilities[image]

    def blocks(self) -> Iterator[np.ndarray]:
        """All probabilities, (n, K) at a time, in order."""
        size = max(1, VALUES_PER_GROUP // self.probabilities.shape[1])
        return (self.probabilities[start : start + size] for start in range(0, len(self.probabilities), size))


@dataclass(frozen=True, eq=False)
class StoredPredictions:
    """What a run said of one split when it was measured; the probabilities stay on disk.

    Attributes:
        ids: of the N images, in the order of the data set.
        outcomes: labels, predicted classes, confidence, margin and loss of each.
        probabilities: where to read them; None where the run kept none.
    """

    ids: ImageIds
    outcomes: Outcomes
    probabilities: "StoredProbabilities | Predictions | None"


@dataclass(frozen=True, eq=False)
class StoredProbabilities:
    """The probabilities of one split in a file: `rows` (N,) says in which row of the file each image stands."""

    path: Path
    rows: np.ndarray
    classes: int

    def of(self, image: int) -> np.ndarray:
        """The probabilities (K,) float32 of one image. Raises DamagedRun."""
        row = int(self.rows[image])
        with _opened(self.path) as file:
            starts = _group_starts(file)
            group = int(np.searchsorted(starts, row, side="right")) - 1
            return _matrix(file, [group], self.classes)[row - starts[group]]

    def blocks(self) -> Iterator[np.ndarray]:
        """All probabilities, (n, K) float32 at a time, in order. Raises DamagedRun."""
        if not len(self.rows):
            return
        with _opened(self.path) as file:
            starts = _group_starts(file)
            if (np.diff(self.rows) == 1).all():  # as this version writes them: only the split's row groups are read
                first, last = int(self.rows[0]), int(self.rows[-1]) + 1
                for group, start in enumerate(starts):
                    end = start + file.metadata.row_group(group).num_rows
                    if start < last and end > first:
                        yield _matrix(file, [group], self.classes)[max(first - start, 0) : last - start]
            else:
                yield _matrix(file, list(range(len(starts))), self.classes)[self.rows]


def read_predictions(path: Path, split: str, classes: int, count: int | None = None) -> StoredPredictions:
    """The stored predictions of a split.

    Args:
        path: of the file.
        split: `val` or `test`.
        classes: how many there are.
        count: how many images the card speaks of; None for any number.

    Raises:
        DamagedRun: the file cannot be read, or its values are not labels, probabilities and ids of that many images.
    """
    with _opened(path) as file:
        names = set(file.schema_arrow.names)
        summary = SUMMARY if names.issuperset(SUMMARY) else ()
        table = _table(file, [*LEADING, *summary])
        rows = _rows_of(table, split)
        if count is not None and len(rows) != count:
            raise DamagedRun(f"{FILE} has {len(rows):,} images of {split}, card.json says {count:,}; train it again")
        if not len(rows):
            raise DamagedRun(f"{FILE} has no image of {split}; train the run again")
        labels = _whole(table, "label", rows, classes)
        stored = StoredProbabilities(path, rows, classes) if _has_probabilities(names) else None
        ids = _ids(table, rows)
        if summary:
            figures = [_figures(table, key, rows, most) for key, most in MOST.items()]
            outcomes = Outcomes(labels, _whole(table, "predicted", rows, classes), *figures)
        elif stored is not None:
            outcomes = outcomes_of(stored.blocks(), labels)
        else:
            raise DamagedRun(f"{FILE} has neither {', '.join(SUMMARY)} nor probabilities; train the run again")
    return StoredPredictions(ids, outcomes, stored)


def write_predictions(path: Path, predictions: Mapping[str, Predictions]) -> None:
    """Writes the predictions of every split into a new file."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    tables = [_as_table(split, found) for split, found in predictions.items()]
    classes = next(iter(predictions.values())).probabilities.shape[1]
    parquet.write_table(
        pa.concat_tables(tables),
        path,
        row_group_size=max(1, VALUES_PER_GROUP // classes),
        compression="zstd",
        use_dictionary=["split"],  # type: ignore[arg-type]
        # Numbers lie byte by byte, all first bytes before all second ones: a third less to store.
        column_encoding={
            f"{PROBABILITIES}.list.element": "BYTE_STREAM_SPLIT",
            **dict.fromkeys(("confidence", "margin", "loss"), "BYTE_STREAM_SPLIT"),
        },
    )


def check_schema(path: Path, classes: int) -> None:
    """Nothing, after a look at the file's header. Raises DamagedRun when it lacks a column that pages need."""
    with _opened(path) as file:
        names = set(file.schema_arrow.names)
    wide = [f"probability_{k}" for k in range(classes)]
    wanted = [*LEADING, *(() if PROBABILITIES in names or names.issuperset(SUMMARY) else wide)]
    if missing := [name for name in wanted if name not in names]:
        raise DamagedRun(f"{FILE} lacks the columns {', '.join(missing)}; train the run again")


def _as_table(split: str, found: Predictions) -> "pa.Table":
    import pyarrow as pa

    outcomes = found.outcomes
    flat = pa.array(np.ascontiguousarray(found.probabilities, dtype=np.float32).ravel())
    columns = {
        "split": pa.array([split]).take(pa.array(np.zeros(len(outcomes.labels), dtype=np.int8))),
        "index": pa.array(np.arange(len(outcomes.labels), dtype=np.int32)),
        "image_id": ImageIds.of(found.ids)._values,
        "label": pa.array(outcomes.labels.astype(np.int16)),
        "predicted": pa.array(outcomes.predicted.astype(np.int16)),
        **{key: pa.array(getattr(outcomes, key)) for key in ("confidence", "margin", "loss")},
        PROBABILITIES: pa.FixedSizeListArray.from_arrays(flat, found.probabilities.shape[1]),
    }
    return pa.table(columns)


@contextmanager
def _opened(path: Path) -> "Iterator[parquet.ParquetFile]":
    """The Parquet file of a path; what pyarrow, numpy and the file system raise for damaged bytes is a DamagedRun."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    known = (pa.ArrowException, OSError, ValueError, TypeError, LookupError, OverflowError, MemoryError)
    try:
        with parquet.ParquetFile(path) as file:
            yield file
    except known as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise DamagedRun(f"{path.name} is damaged ({reason}); train the run again") from error


def _table(file: "parquet.ParquetFile", columns: Sequence[str]) -> "pa.Table":
    if missing := [name for name in columns if name not in file.schema_arrow.names]:
        raise DamagedRun(f"{FILE} lacks the columns {', '.join(missing)}; train the run again")
    return file.read(columns=list(columns)).combine_chunks()


def _rows_of(table: "pa.Table", split: str) -> np.ndarray:
    """The rows of a split, (N,), in the order of their index."""
    import pyarrow.compute as compute

    rows = np.flatnonzero(compute.equal(table["split"], split).to_numpy())  # type: ignore[attr-defined]
    places = table["index"].to_numpy()[rows]
    if places.dtype.kind not in "iu":
        raise DamagedRun(f"{FILE}: index should hold whole numbers; train the run again")
    places = places.astype(np.int64)
    if (np.diff(places) <= 0).any():
        rows, places = rows[np.argsort(places, kind="stable")], np.sort(places)
    if len(rows) and not (places == np.arange(len(rows))).all():
        raise DamagedRun(f"{FILE}: the index of {split} should run from 0 to {len(rows) - 1:,}; train the run again")
    return rows


def _ids(table: "pa.Table", rows: np.ndarray) -> ImageIds:
    import pyarrow as pa

    column = table["image_id"].cast(pa.string()).combine_chunks()
    if (np.diff(rows) == 1).all():  # as this version writes them: no copy
        column = column.slice(int(rows[0]), len(rows)) if len(rows) else column.slice(0, 0)
    else:
        column = column.take(pa.array(rows))
    found = ImageIds(pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column)
    for known in [ids for reference in _CHECKED if (ids := reference()) is not None]:
        if known == found:  # runs on the same images share their ids, and have been looked at
            return known
    column.validate(full=True)  # reading does not look whether the bytes are text
    if column.null_count or not _all_differ(column):
        raise DamagedRun(f"{FILE}: every image should have an id of its own; train the run again")
    _CHECKED.append(weakref.ref(found))
    return found


def _all_differ(column: "pa.Array") -> bool:
    """Whether no text occurs twice; those in order, as folders are listed, are told in a twentieth of the time."""
    import pyarrow.compute as compute

    if compute.all(compute.less(column[:-1], column[1:])).as_py():  # type: ignore[attr-defined]
        return True
    return compute.count_distinct(column).as_py() == len(column)  # type: ignore[attr-defined]


def _whole(table: "pa.Table", key: str, rows: np.ndarray, classes: int) -> np.ndarray:
    values = table[key].to_numpy()[rows]
    if values.dtype.kind not in "iu" or (len(values) and not 0 <= values.min() <= values.max() < classes):
        raise DamagedRun(f"{FILE}: {key} should hold whole numbers from 0 to {classes - 1}; train the run again")
    return values.astype(np.int16)


def _figures(table: "pa.Table", key: str, rows: np.ndarray, most: float) -> np.ndarray:
    values = _as_float32(table[key].to_numpy()[rows])
    if not _are_within(values, most):
        wanted = "at least 0" if most == math.inf else f"from 0 to {most:g}"
        raise DamagedRun(f"{FILE}: {key} should hold finite numbers {wanted}; train the run again")
    return values


def _as_float32(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):  # what is too large is not finite then, and refused
        return values.astype(np.float32)


def _are_within(values: np.ndarray, most: float) -> bool:
    """Whether all values are finite and lie from 0 to `most`, but for rounding."""
    low, high = values.min(initial=0), values.max(initial=0)
    return bool(np.isfinite(values).all() and low >= -ROUNDING and high <= most + ROUNDING)


def _has_probabilities(names: set[str]) -> bool:
    return PROBABILITIES in names or "probability_0" in names


def _group_starts(file: "parquet.ParquetFile") -> np.ndarray:
    """The number of the first row of each row group."""
    counts = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
    return np.cumsum([0, *counts])[:-1]


def _matrix(file: "parquet.ParquetFile", groups: list[int], classes: int) -> np.ndarray:
    """The probabilities (n, K) float32 in row groups of the file."""
    if PROBABILITIES in file.schema_arrow.names:
        values = _listed(file.read_row_groups(groups, columns=[PROBABILITIES])[PROBABILITIES], classes)
    else:
        table = file.read_row_groups(groups, columns=[f"probability_{k}" for k in range(classes)])
        values = _as_float32(np.column_stack([table[f"probability_{k}"].to_numpy() for k in range(classes)]))
    if not _are_within(values, 1):
        raise DamagedRun(f"{FILE}: probabilities should lie from 0 to 1; train the run again")
    return values


def _listed(column: "pa.ChunkedArray", classes: int) -> np.ndarray:
    """A column of lists of one number per class as float32 (n, K)."""
    import pyarrow as pa

    rows = column.combine_chunks().cast(pa.list_(pa.float32(), classes))  # raises where a list is longer or shorter
    values = rows.flatten().to_numpy(zero_copy_only=False)
    if len(values) != classes * len(column):
        raise DamagedRun(f"{FILE}: {PROBABILITIES} should hold {classes} numbers a row; train the run again")
    return values.reshape(-1, classes)
