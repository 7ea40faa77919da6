"""Pictures become one file of uint8 images in which each split is one slice."""

import hashlib
import json
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
from tqdm import tqdm

from explorer.datasets.base import SPLITS, Request
from explorer.datasets.cache import Images, read_note, write_note
from explorer.datasets.listing import Listing, printable, reason
from explorer.images import fit

DECODING = 2  # raise it whenever the same files would give other pixels, so that older caches are not read
MOST_TOGETHER = 64  # pictures a thread takes at a time; small ones singly would cost more in handing over than in work
CHUNK_BYTES = 4 * 2**20  # or fewer, so that large ones do not fill memory
SETTLED = 2 * 10**9  # ns; a file changed less long ago may change again without another time (FAT counts in 2 s)

UNREAD = "-" * 64

Outcome = TypeVar("Outcome")


@dataclass(frozen=True)
class Reading:
    """What the files of a listing hold.

    Attributes:
        digests: the SHA-256 of each picture's bytes in hex, one after the other; UNREAD where they could not be read.
        problems: row -> one line on why it is no image, as far as is known.
        lasting: whether the same files will be the same again: none was out of reach or changed just now.
    """

    digests: str
    problems: Mapping[int, str]
    lasting: bool

    def digest(self, row: int) -> str:
        """The digest of one picture."""
        return self.digests[len(UNREAD) * row : len(UNREAD) * (row + 1)]


def read_digests(listing: Listing, request: Request) -> Reading:
    """The digests of a listing's pictures, from the cache where no file has changed since."""
    kept = read_note(_note(listing, request))
    if kept is not None:
        return Reading(kept["digests"], {int(row): line for row, line in kept["problems"].items()}, lasting=True)
    started = time.time_ns()
    outcomes = _in_threads(lambda row: _digest(listing, row), range(len(listing.ids)), MOST_TOGETHER)
    found = list(_progress(outcomes, len(listing.ids), "reading", request, delay=2))
    problems = {row: line for row, (_, line) in enumerate(found) if line}
    settled = bool((np.abs(listing.files[:, 1] - started) > SETTLED).all())
    reading = Reading("".join(digest for digest, _ in found), problems, lasting=settled and not problems)
    _keep(reading, listing, request)
    return reading


def _digest(listing: Listing, row: int) -> tuple[str, str]:
    """(hex digest, "") of a picture's bytes, or (UNREAD, why not)."""
    try:
        return hashlib.sha256(listing.read(row)).hexdigest(), ""
    except OSError as error:
        return UNREAD, f"{printable(listing.ids[row])}: {reason(error)}"


def _note(listing: Listing, request: Request) -> Path:
    """Where the reading is kept: by place too, as archives can give other files of one name the same size and time."""
    place = hashlib.sha256(f"{DECODING}\n{listing.title}\n{listing.stamp}".encode())
    return request.cache_folder / f"{place.hexdigest()[:32]}.files"


def _keep(reading: Reading, listing: Listing, request: Request) -> None:
    if reading.lasting:
        with suppress(OSError):  # who keeps the images says that the folder cannot be written to
            content = {"digests": reading.digests, "problems": dict(reading.problems)}
            write_note(_note(listing, request), content)


def content_key(listing: Listing, reading: Reading) -> str:
    """32 hex digits that tell the decoded images from all others: by contents, splits and size, not by place."""
    contents = f"{DECODING}\n{listing.size}\n{listing.plan}\n{reading.digests}"
    return hashlib.sha256(contents.encode()).hexdigest()[:32]


def decode_listing(listing: Listing, reading: Reading, request: Request, draft: Path) -> Images:
    """What is in the file `draft` now: the readable pictures, train, val and test one after the other.

    Raises ValueError when the readable pictures make no data set, or files change meanwhile.
    """
    problems = dict(reading.problems)
    wanted = np.setdiff1d(np.arange(len(listing.ids)), list(problems))
    order = _in_order(listing.members(wanted, problems))
    with draft.open("xb") as file:
        written = _decode_into(file, listing, reading, order, problems, request)
        file.flush()
        os.fsync(file.fileno())  # the note must not outlive the pixels in a power cut
    if len(problems) > len(reading.problems):
        _keep(Reading(reading.digests, problems, reading.lasting), listing, request)
    members = listing.members(np.sort(written), problems)
    sources = np.argsort(written)[np.searchsorted(np.sort(written), _in_order(members))]
    _rearrange(draft, listing.size, sources)
    rows = {split: members[split].tolist() for split in SPLITS}
    return Images(listing.size, rows, fingerprint(listing, members, reading), problems)


def fingerprint(listing: Listing, members: Mapping[str, np.ndarray], reading: Reading) -> str:
    """16 hex digits of a SHA-256 over classes and, split by split, ids, labels and digests of the pictures' bytes."""
    digest = hashlib.sha256(json.dumps(list(listing.classes)).encode())
    for split in SPLITS:
        rows = members[split].tolist()
        ids, contents = [listing.ids[row] for row in rows], [reading.digest(row) for row in rows]
        digest.update(json.dumps([split, ids, listing.labels[rows].tolist(), contents]).encode())
    return digest.hexdigest()[:16]


def _in_order(members: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([members[split] for split in SPLITS])


def _decode_into(
    file: BinaryIO, listing: Listing, reading: Reading, order: np.ndarray, problems: dict[int, str], request: Request
) -> np.ndarray:
    """The rows whose images were written, in their order; of the others `problems` says why not."""
    together = max(1, min(MOST_TOGETHER, CHUNK_BYTES // (3 * listing.size**2)))
    outcomes = _in_threads(lambda row: _decode(listing, row, reading.digest(row)), order.tolist(), together)
    shown, written = _progress(outcomes, len(order), "decoding", request), []
    for row, outcome in zip(order.tolist(), shown, strict=True):
        if isinstance(outcome, str):
            problems[row] = outcome
        else:
            file.write(outcome.data)
            written.append(row)
    return np.array(written, dtype=np.int64)


def _decode(listing: Listing, row: int, digest: str) -> np.ndarray | str:
    """An image (3, size, size), or one line on why the bytes are none."""
    try:
        data = listing.read(row)
    except OSError:
        data = b""
    if hashlib.sha256(data).hexdigest() != digest:
        raise ValueError(f"{listing.title}: {printable(listing.ids[row])} changed while it was read; load it again")
    try:
        return fit(listing.decode(data), listing.size, listing.size).numpy()
    except ValueError as error:
        return f"{printable(listing.ids[row])}: {error}"


def _rearrange(path: Path, size: int, sources: np.ndarray) -> None:
    """Makes image i of a file of images the one that was image sources[i], a permutation, with two of them in memory.

    Only after pictures turned out to be unreadable is there anything to do: then others are held out in their place.
    """
    moved = sources != np.arange(len(sources))
    if not moved.any():
        return
    images = np.memmap(path, np.uint8, "r+", shape=(len(sources), 3 * size**2))
    for start in np.flatnonzero(moved):
        first, at = images[start].copy(), start
        while moved[at]:
            moved[at] = False
            images[at] = first if sources[at] == start else images[sources[at]]
            at = sources[at]
    images.flush()


def _in_threads(work: Callable[[int], Outcome], rows: Sequence[int], together: int) -> Iterator[Outcome]:
    """What `work` makes of each row, in order, with little waiting to be taken."""
    threads = os.cpu_count() or 1
    pool = ThreadPoolExecutor(threads)
    waiting: deque[Future[list[Outcome]]] = deque()
    try:
        for start in range(0, len(rows), together):
            chunk = rows[start : start + together]
            waiting.append(pool.submit(lambda chunk: [work(row) for row in chunk], chunk))
            if len(waiting) > 2 * threads:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C need not wait for what has not begun


def _progress(
    items: Iterator[Outcome], total: int, doing: str, request: Request, delay: float = 0
) -> Iterable[Outcome]:
    """The items, with a bar on stderr that grows with them unless the request is a quiet one."""
    title = f"{request.name}: {doing}"
    return tqdm(
        items,
        desc=title,
        total=total,
        delay=delay,
        file=sys.stderr,
        unit="image",
        dynamic_ncols=True,
        disable=request.quiet,
    )
