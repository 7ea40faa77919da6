"""What was worked out of a data set's files, kept on disk: decoded images, and notes on them and on the files."""

import errno
import hashlib
import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from filelock import FileLock

from explorer.datasets.listing import reason
from explorer.datasets.mapping import MappedFile

DRAFT = ".writing"


class CacheUnwritable(UserWarning):
    """Decoded images could not be kept, so the next load decodes again."""


@dataclass(frozen=True)
class Images:
    """What is known of decoded images beside their pixels.

    Attributes:
        size: their height and width in pixels.
        rows: split -> the rows of the listing that its images are; in the file train is followed by val, val by test.
        fingerprint: 16 hex digits, see `Dataset`.
        problems: listing row -> one line on why it is no image.
    """

    size: int
    rows: dict[str, list[int]]
    fingerprint: str
    problems: dict[int, str]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape of all images together: (N, 3, height, width)."""
        return sum(map(len, self.rows.values())), 3, self.size, self.size


def read_note(path: Path) -> Any:
    """What `write_note` has written, or None when it is not there or not whole."""
    try:
        digest, _, text = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    return json.loads(text) if digest.decode(errors="replace") == hashlib.sha256(text).hexdigest() else None


def write_note(path: Path, content: Any) -> None:
    """Writes what JSON can hold, under a digest of it. Raises OSError."""
    text = json.dumps(content).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid4().hex}{DRAFT}")
    try:
        draft.write_bytes(hashlib.sha256(text).hexdigest().encode() + b"\n" + text)
        draft.replace(path)  # a reader sees all of the file or none
    finally:
        draft.unlink(missing_ok=True)


def keep_images(
    folder: Path, key: str, title: str, needed: int, build: Callable[[Path], Images]
) -> tuple[MappedFile, Images]:
    """The images kept in the folder under the key; where there are none, or damaged ones, those that `build` makes.

    One process builds, others that want the same wait for it. Where the folder cannot be written to, the images are in
    a temporary file that goes with this process, and a CacheUnwritable is warned of.

    Args:
        folder: where images are kept; it need not exist.
        key: tells these images from all others.
        title: what messages call them.
        needed: the most bytes that they take.
        build: writes the pixels to a path and says what they are.

    Raises:
        ValueError: the disk is too small; and what `build` raises.
    """
    kept = _open(folder, key)
    if kept is not None:
        return kept
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder / f".{key}.lock"):
            return _open(folder, key) or _build(folder, key, title, needed, build)
    except OSError as error:
        why = f"decoded images could not be kept in {folder} ({reason(error)}); set NORMSCOPE_CACHE to another folder"
        warnings.warn(f"{title}: {why}", CacheUnwritable, stacklevel=2)
    try:
        with TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
            return _build(Path(temporary), key, title, needed, build)
    except OSError as error:
        raise ValueError(f"{title}: decoded images could not be kept anywhere ({reason(error)})") from error


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Lets one process at a time build; the lock goes with the process, however it ends."""
    with FileLock(lock):
        try:
            yield
        finally:
            with suppress(PermissionError):  # Windows deletes no open file
                lock.unlink(missing_ok=True)


def _paths(folder: Path, key: str) -> tuple[Path, Path]:
    return folder / f"{key}.pixels", folder / f"{key}.json"


def _open(folder: Path, key: str) -> tuple[MappedFile, Images] | None:
    """What is kept, or None when it is not there, not whole, or changed since it was written."""
    pixels, note = _paths(folder, key)
    kept = read_note(note)
    try:
        if kept is None or kept["pixels"] != _stat(pixels):
            return None
    except OSError:
        return None
    problems = {int(row): line for row, line in kept["problems"].items()}
    return _mapped(pixels), Images(kept["size"], kept["rows"], kept["fingerprint"], problems)


def _mapped(pixels: Path) -> MappedFile:
    try:
        return MappedFile(pixels)
    except OSError as error:
        raise ValueError(f"{pixels} cannot be mapped into memory ({reason(error)}); choose a smaller size") from error


def _build(
    folder: Path, key: str, title: str, needed: int, build: Callable[[Path], Images]
) -> tuple[MappedFile, Images]:
    """Builds into a draft and renames it; the note is last, as without it no pixels are believed."""
    pixels, note = _paths(folder, key)
    for left in folder.glob(f".{key}.*{DRAFT}"):  # of a process that was killed: nobody else holds the lock
        left.unlink(missing_ok=True)
    _check_space(folder, title, needed)
    draft = folder / f".{key}.{uuid4().hex}{DRAFT}"
    try:
        images = build(draft)
        written = _stat(draft)
        draft.replace(pixels)
        write_note(note, {**asdict(images), "pixels": written})
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ValueError(_too_little(folder, title, needed)) from error
    finally:
        draft.unlink(missing_ok=True)
    return _mapped(pixels), images


def _stat(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def _check_space(folder: Path, title: str, needed: int) -> None:
    if shutil.disk_usage(folder).free < needed:
        raise ValueError(_too_little(folder, title, needed))


def _too_little(folder: Path, title: str, needed: int) -> str:
    free = shutil.disk_usage(folder).free
    return (
        f"{title}: decoded images take {needed / 1e9:.1f} GB of disk, and {free / 1e9:.1f} GB are free in {folder}; "
        "free some space, set NORMSCOPE_CACHE to a folder on a larger disk, or choose a smaller image size"
    )
