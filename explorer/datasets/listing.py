"""The pictures of a data set as they lie on disk, before any of them is read, and how folders are looked into."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from explorer.datasets.base import SPLITS, Request
from explorer.datasets.splitting import TEST_SHARE, VAL_SHARE, complete_splits
from explorer.images import FOLDER_FORMATS, read_image

LITTER = {"thumbs.db", "desktop.ini", "__macosx"}  # what desktops and archives leave beside the images


def read_picture(data: bytes) -> Image.Image:
    """The RGB picture in the bytes of a file. Raises UnreadableImage."""
    return read_image(data, FOLDER_FORMATS)


@dataclass(frozen=True, eq=False)
class Listing:
    """N pictures, each known by its row number.

    Attributes:
        title: what messages call the data set: its folder, or its name where it is no folder.
        source: one sentence: where the images come from; `{formats}` stands for the kinds of files that were read.
        size: height and width of the images in pixels.
        ids: one name per picture, unique and the same on every machine.
        labels: int64 (N,), indices into classes.
        given: split -> ascending rows, for the splits that the data set has of itself; there is always a train.
        read: row -> the bytes of the picture; may raise OSError.
        files: int64 (files, 2), bytes and time of last change in ns of the files that hold the pictures.
        decode: bytes -> the RGB picture; may raise ValueError.
        val_share: how much of train is held out where val is missing.
        folders: split -> the folder of its class folders, for messages.
        facts: N rows, whatever else is known of each picture.
        problems: one line per file that cannot be a picture, naming it.
    """

    title: str
    source: str
    size: int
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    labels: np.ndarray
    given: Mapping[str, np.ndarray]
    read: Callable[[int], bytes]
    files: np.ndarray
    decode: Callable[[bytes], Image.Image] = read_picture
    val_share: float = VAL_SHARE / (1 - TEST_SHARE)
    folders: Mapping[str, str] = field(default_factory=dict)
    facts: pd.DataFrame | None = None
    problems: tuple[str, ...] = ()

    @cached_property
    def plan(self) -> str:
        """64 hex digits over all that decides which pictures are in which split and under which label."""
        counts = {split: len(rows) for split, rows in self.given.items()}
        plan = hashlib.sha256(json.dumps([self.classes, counts, self.val_share]).encode())
        plan.update("\0".join(self.ids).encode())
        for numbers in (self.labels, *self.given.values()):
            plan.update(numbers.astype("<i8").tobytes())
        return plan.hexdigest()

    @cached_property
    def stamp(self) -> str:
        """32 hex digits that change with any class, id, label or split, and with size or time of any file."""
        stamp = hashlib.sha256(json.dumps([self.plan, self.problems]).encode())
        stamp.update(self.files.astype("<i8").tobytes())
        return stamp.hexdigest()[:32]

    def members(self, readable: np.ndarray, problems: Mapping[int, str]) -> dict[str, np.ndarray]:
        """Ascending rows of train, val and test when only these rows can be read; `problems` says of others why not.

        Raises ValueError when a class or a split would have no image.
        """
        given = {split: np.intersect1d(rows, readable, assume_unique=True) for split, rows in self.given.items()}
        for split, rows in given.items():
            self._check_classes(split, rows, problems)
        members = complete_splits(given, self.ids, self.labels, self.val_share)
        for split in SPLITS:
            if not len(members[split]):
                raise ValueError(
                    f"{self.title}: no image is left for the split {split!r}; a class needs three images to be in all "
                    f"of {', '.join(SPLITS)}"
                )
        return members

    def _check_classes(self, split: str, rows: np.ndarray, problems: Mapping[int, str]) -> None:
        absent = np.setdiff1d(np.arange(len(self.classes)), self.labels[rows])
        if len(absent):
            where = printable("/".join(filter(None, (self.folders.get(split), self.classes[int(absent[0])]))))
            why = [line for line in (*problems.values(), *self.problems) if line.startswith(f"{where}/")]
            reasons = "".join(f"; {line}" for line in why[:3])
            raise ValueError(
                f"{self.title}: the class folder {where} has no readable image; add some or remove it{reasons}"
            )


Lister = Callable[[Request], Listing]


def visible(folder: Path) -> list[os.DirEntry[str]]:
    """What a folder shows, by name, without hidden files and litter. Raises OSError."""
    with os.scandir(folder) as entries:
        shown = [entry for entry in entries if entry.name[0] != "." and entry.name.lower() not in LITTER]
    return sorted(shown, key=lambda entry: entry.name)


def is_text(name: str) -> bool:
    """Whether a name is Unicode: names of files may be any bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(name: str) -> str:
    r"""The name for one line of a message: bytes that are no UTF-8 as `\xe9`, control characters as `\n`."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def reason(error: OSError) -> str:
    """What the system said, without number and path."""
    return error.strerror or type(error).__name__
