"""Any folder of images with one folder per class."""

import os
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from stat import S_ISDIR, S_ISREG

import numpy as np

from explorer.datasets.base import SPLITS, DatasetMissing, Request
from explorer.datasets.listing import Listing, is_text, printable, reason, visible
from explorer.datasets.splitting import TEST_SHARE, VAL_SHARE

PREFIX = "folder:"
DEFAULT_SIZE = 64
SPLIT_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


@dataclass
class Files:
    """What was found in class folders so far, one entry a file: its id, label, size and time of last change."""

    root: str
    ids: list[str] = field(default_factory=list)
    labels: "array[int]" = field(default_factory=partial(array, "q"))
    sizes: "array[int]" = field(default_factory=partial(array, "q"))
    times: "array[int]" = field(default_factory=partial(array, "q"))
    problems: list[str] = field(default_factory=list)

    def read(self, row: int) -> bytes:
        """The content of a file."""
        with open(f"{self.root}/{self.ids[row]}", "rb") as opened:  # data sets have many files, and pathlib is slow
            return opened.read()


def list_folder(request: Request) -> Listing:
    """The pictures of `folder:PATH`: train, val and test folders of class folders, or class folders alone.

    Of a missing test or val, 25 % and 20 % of each class of what train then has are held out by fixed seed.
    Raises DatasetMissing when PATH is no folder that can be read, ValueError when its folders do not make a data set.
    """
    root = Path(request.location.removeprefix(PREFIX))
    source = f"Images read from {{formats}} files in the folder {root.name}."
    return list_class_folders(root, request.size or DEFAULT_SIZE, source)


def list_class_folders(root: Path, size: int, source: str, val_share: float = VAL_SHARE / (1 - TEST_SHARE)) -> Listing:
    """The pictures below `root`; `val_share` of train is held out when val is missing; `source` may name `{formats}`.

    Raises DatasetMissing when root is no folder that can be read, ValueError when there are fewer than two classes or a
    class has no file.
    """
    folders = _split_folders(root)
    classes = tuple(path.name for path in _class_folders(folders["train"]))
    _check_classes(root, folders, classes)
    files, given = Files(str(root)), {}
    for split, folder in folders.items():
        start = len(files.ids)
        for label, name in enumerate(classes):
            _list_files(root, folder / name, label, files)
        given[split] = np.arange(start, len(files.ids))
    return Listing(
        title=printable(str(root)),
        source=source,
        size=size,
        classes=classes,
        ids=tuple(files.ids),
        labels=np.array(files.labels, dtype=np.int64),
        given=given,
        read=files.read,
        files=np.array([files.sizes, files.times], dtype=np.int64).T,
        val_share=val_share,
        folders={split: "" if folder == root else folder.name for split, folder in folders.items()},
        problems=tuple(files.problems),
    )


def _split_folders(root: Path) -> dict[str, Path]:
    """The folder of each split that is there; the root itself as train when it holds the classes.

    A folder named train that holds no folders is a class of that name.
    """
    try:
        names = [entry.name for entry in visible(root) if _is_folder(entry)]
    except (FileNotFoundError, NotADirectoryError) as error:
        came = "is a file" if isinstance(error, NotADirectoryError) else "is not there"
        raise DatasetMissing(
            f"no folder {printable(str(root))!r}: it {came}; name one that holds <class>/* or train/<class>/* "
            f"after {PREFIX}"
        ) from error
    except OSError as error:
        raise DatasetMissing(f"the folder {printable(str(root))} cannot be read: {reason(error)}") from error
    if "train" not in names or not _class_folders(root / "train"):
        return {"train": root}
    found = {SPLIT_NAMES[name]: root / name for name in names if name in SPLIT_NAMES}
    return {split: found[split] for split in SPLITS if split in found}


def _class_folders(folder: Path) -> list[Path]:
    """The folders in a folder, by name. Raises ValueError for one whose name is no text or that cannot be read."""
    found = [folder / entry.name for entry in _look_into(folder) if _is_folder(entry)]
    for path in found:
        if not is_text(path.name):
            raise ValueError(f"the name of the class folder {printable(str(path))} is not UTF-8; rename it")
    return found


def _look_into(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return visible(folder)
    except OSError as error:
        raise ValueError(f"the folder {printable(str(folder))} cannot be read: {reason(error)}") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:
        raise ValueError(f"{printable(entry.path)} cannot be read: {reason(error)}; repair or remove it") from error


def _list_files(root: Path, folder: Path, label: int, files: Files) -> None:
    """Adds what is in a class folder; folders in it are none of its pictures."""
    prefix = folder.relative_to(root).as_posix()
    for entry in _look_into(folder):
        name = f"{prefix}/{entry.name}"
        try:
            found = entry.stat()
        except OSError as error:
            files.problems.append(f"{printable(name)}: {reason(error)}")
            continue
        if S_ISDIR(found.st_mode):
            continue
        if not is_text(name):
            files.problems.append(f"{printable(name)}: the name is not UTF-8; rename the file")
        elif not S_ISREG(found.st_mode):
            files.problems.append(f"{printable(name)}: it is neither a file nor a folder")
        else:
            files.ids.append(name)
            files.labels.append(label)
            files.sizes.append(found.st_size)
            files.times.append(found.st_mtime_ns)


def _check_classes(root: Path, folders: dict[str, Path], classes: Sequence[str]) -> None:
    title = printable(str(root))
    if len(classes) < 2:
        raise ValueError(
            f"{title}: expected at least two class folders, got {len(classes)} ({_listed(classes) or 'none'}); "
            "put the images of each class into a folder of its own"
        )
    for split, folder in folders.items():
        names = tuple(path.name for path in _class_folders(folder))
        if names != classes:
            raise ValueError(
                f"{title}: expected the same class folders in {split} as in train, but "
                f"{_listed(sorted(set(names) ^ set(classes)))} is in only one of them"
            )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(printable, names))
