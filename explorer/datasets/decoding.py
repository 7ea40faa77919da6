"""Images become one uint8 array, decoded once and then kept in a cache folder."""

import hashlib
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
from PIL import Image
from tqdm import tqdm

from explorer.images import FOLDER_FORMATS, fit, read_image

DECODING = 1  # raise it whenever the same file would give other pixels, so that older caches are not read
CHUNK = 64  # images a thread decodes at a time; small ones singly would cost more in handing over than in decoding


class ImageSkipped(UserWarning):
    """Files of a data set could not be read and were left out."""


class CacheUnwritable(UserWarning):
    """Decoded images could not be kept, so the next load decodes again."""


@dataclass(frozen=True)
class ImageFile:
    """An image's id in its data set and where its file is."""

    id: str
    path: str


@dataclass(frozen=True)
class Note:
    """What is known of decoded images beside their pixels: which of the files they are, and why the others are not."""

    rows: list[int]
    problems: list[str]


@dataclass(frozen=True)
class Decoded:
    """Square RGB images, uint8 (N, 3, size, size), and the note on them."""

    images: np.ndarray
    note: Note


def decode_files(files: Sequence[ImageFile], size: int, cache_root: Path, title: str) -> Decoded:
    """The readable files as images of `size`, from the cache if the same bytes were decoded before.

    Warns with ImageSkipped when files could not be read.
    """
    key = _key(size, (f"{file.id}\0{digest}" for file, digest in zip(files, _digests(files, title), strict=True)))
    decoded = cached(cache_root, key, lambda: _decode_all(files, size, title))
    if decoded.note.problems:
        warnings.warn(_summary(title, decoded.note.problems), ImageSkipped, stacklevel=2)
    return decoded


def resize_arrays(pictures: np.ndarray, size: int, cache_root: Path, title: str) -> Decoded:
    """Decoded pictures, uint8 (N, H, W, 3), as images of `size`, from the cache if they were resized before."""
    key = _key(size, [_digest(pictures)])
    return cached(cache_root, key, lambda: _fit_all(pictures, size, title))


def cached(cache_root: Path, key: str, build: Callable[[], Decoded]) -> Decoded:
    """What `build` gives, kept under `key`; a damaged cache file is built anew.

    Warns with CacheUnwritable when it cannot be kept.
    """
    pixels_path, note_path = (cache_root / "datasets" / f"{key}{suffix}" for suffix in (".pixels", ".json"))
    decoded = _read_cache(pixels_path, note_path)
    if decoded is None:
        decoded = build()
        try:
            _write_cache(decoded, pixels_path, note_path)
        except OSError as error:
            message = f"decoded images could not be kept in {cache_root}: {error}; give another cache folder"
            warnings.warn(message, CacheUnwritable, stacklevel=3)
    return decoded


def _key(size: int, contents: Iterator[str] | Sequence[str]) -> str:
    digest = hashlib.sha256(f"{DECODING}:{size}".encode())
    for content in contents:
        digest.update(f"\n{content}".encode())
    return digest.hexdigest()[:32]


def _digests(files: Sequence[ImageFile], title: str) -> Iterator[str]:
    for file in _progress(files, len(files), f"{title}: reading", delay=2):
        try:
            yield hashlib.sha256(_read(file)).hexdigest()
        except OSError as error:
            yield f"unreadable: {error.strerror}"


def _read(file: ImageFile) -> bytes:
    with open(file.path, "rb") as opened:  # data sets have many files, and pathlib is slow
        return opened.read()


def _decode_all(files: Sequence[ImageFile], size: int, title: str) -> Decoded:
    images = np.empty((len(files), 3, size, size), dtype=np.uint8)
    rows, problems = [], []
    for row, outcome in enumerate(_progress(_decode_in_threads(files, size), len(files), f"{title}: decoding")):
        if isinstance(outcome, str):
            problems.append(outcome)
        else:
            images[len(rows)] = outcome
            rows.append(row)
    return Decoded(images[: len(rows)], Note(rows, problems))


def _decode(file: ImageFile, size: int) -> np.ndarray | str:
    try:
        return fit(read_image(_read(file), FOLDER_FORMATS), size, size).numpy()
    except (OSError, ValueError) as error:
        return f"{file.id}: {error}"


def _fit_all(pictures: np.ndarray, size: int, title: str) -> Decoded:
    images = np.empty((len(pictures), 3, size, size), dtype=np.uint8)
    for row, picture in enumerate(_progress(pictures, len(pictures), f"{title}: resizing")):
        images[row] = fit(Image.fromarray(picture), size, size).numpy()
    return Decoded(images, Note(list(range(len(pictures))), []))


def _decode_in_threads(files: Sequence[ImageFile], size: int) -> Iterator[np.ndarray | str]:
    chunks = [files[start : start + CHUNK] for start in range(0, len(files), CHUNK)]
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        for outcomes in pool.map(lambda chunk: [_decode(file, size) for file in chunk], chunks):
            yield from outcomes
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C need not wait for what has not begun


def _progress(items, total: int, title: str, delay: float = 0):
    return tqdm(items, desc=title, total=total, delay=delay, file=sys.stderr, unit="image", dynamic_ncols=True)


def _summary(title: str, problems: Sequence[str], shown: int = 10) -> str:
    more = [f"and {len(problems) - shown} more"] if len(problems) > shown else []
    return f"{title}: {len(problems)} file(s) skipped: " + "; ".join([*problems[:shown], *more])


def _read_cache(pixels_path: Path, note_path: Path) -> Decoded | None:
    """What was written, or None when it is not there or not whole."""
    try:
        kept = json.loads(note_path.read_text(encoding="utf-8"))
        images = np.fromfile(pixels_path, np.uint8).reshape(kept["shape"])
        whole = kept["sha256"] == _digest(images) and len(kept["rows"]) == len(images)
        return Decoded(images, Note(kept["rows"], kept["problems"])) if whole else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _write_cache(decoded: Decoded, pixels_path: Path, note_path: Path) -> None:
    """Writes both files, the note last: it holds the digest without which the pixels are not believed."""
    kept = {"shape": decoded.images.shape, "sha256": _digest(decoded.images), **asdict(decoded.note)}
    pixels_path.parent.mkdir(parents=True, exist_ok=True)
    _write_whole(pixels_path, decoded.images.tofile)
    _write_whole(note_path, lambda file: file.write(json.dumps(kept).encode()))


def _digest(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def _write_whole(path: Path, write: Callable) -> None:
    """Writes a temporary sibling and renames it, so that a reader sees all of the file or none."""
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            write(file)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
