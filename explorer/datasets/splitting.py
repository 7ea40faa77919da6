"""Stratified splits by fixed seed that stay the same whatever the version of any library."""

import hashlib
import math
from collections.abc import Mapping, Sequence

import numpy as np

SEED = 0
TEST_SHARE = 0.25
VAL_SHARE = 0.15


def complete_splits(
    given: Mapping[str, np.ndarray],
    ids: Sequence[str],
    labels: np.ndarray,
    val_share: float = VAL_SHARE / (1 - TEST_SHARE),
    test_share: float = TEST_SHARE,
) -> dict[str, np.ndarray]:
    """Ascending row numbers of train, val and test: a missing test, then a missing val, is held out of the given train.

    From train alone the shares make 60, 15 and 25 % of each class.
    """
    members = dict(given)
    for name, share in (("test", test_share), ("val", val_share)):
        if name not in members:
            members["train"], members[name] = hold_out(members["train"], ids, labels, share)
    return members


def hold_out(rows: np.ndarray, ids: Sequence[str], labels: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """(kept, held out) row numbers, ascending, with `share` of each class held out.

    Of each class at least one image is held out and at least one kept; a class of one image is kept. The images held
    out are those whose ids hash lowest with the seed, so the choice depends neither on the order of the rows nor on a
    library's random numbers.
    """
    held: list[int] = []
    for label in np.unique(labels[rows]):
        ranked = sorted((_rank(ids[int(row)]), int(row)) for row in rows[labels[rows] == label])
        held += [row for _, row in ranked[: _held_count(len(ranked), share)]]
    return np.setdiff1d(rows, held), np.sort(np.array(held, dtype=rows.dtype))


def _rank(image_id: str) -> bytes:
    return hashlib.sha256(f"{SEED}:{image_id}".encode()).digest()


def _held_count(count: int, share: float) -> int:
    return min(max(1, math.floor(share * count + 0.5)), count - 1)
