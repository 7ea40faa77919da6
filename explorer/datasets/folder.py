"""Any folder of images with one folder per class."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from explorer.datasets.base import SPLITS, Dataset, DatasetMissing, Request, assemble
from explorer.datasets.decoding import ImageFile, decode_files
from explorer.datasets.splitting import TEST_SHARE, VAL_SHARE, complete_splits

PREFIX = "folder:"
DEFAULT_SIZE = 64
SPLIT_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
LITTER = {"thumbs.db", "desktop.ini", "__macosx"}  # what desktops and archives leave beside the images


def load_folder(request: Request) -> Dataset:
    """The images of `folder:PATH`: train, val and test folders of class folders, or class folders alone.

    Of a missing test or val, 25 % and 20 % of each class of what train then has are held out by fixed seed.
    Raises DatasetMissing when PATH is no folder, ValueError when its folders do not make a data set.
    """
    root = Path(request.name.removeprefix(PREFIX)).expanduser()
    if not root.is_dir():
        raise DatasetMissing(
            f"no folder {str(root)!r}; name one that holds <class>/* or train/<class>/* after {PREFIX}"
        )
    source = f"Images read from {{formats}} files in the folder {root.resolve().name}."
    return load_class_folders(root, request, size=request.size or DEFAULT_SIZE, source=source)


def load_class_folders(
    root: Path, request: Request, *, size: int, source: str, val_share: float = VAL_SHARE / (1 - TEST_SHARE)
) -> Dataset:
    """The images below `root`; `val_share` of train is held out when val is missing; `source` may name `{formats}`.

    Raises ValueError when there are fewer than two classes or a class has no readable image.
    """
    folders = _split_folders(root)
    classes = tuple(path.name for path in _subfolders(folders["train"]))
    _check_classes(root, folders, classes)
    listed = [
        (split, label, file)
        for split, folder in folders.items()
        for label, name in enumerate(classes)
        for file in _files(root, folder / name)
    ]
    _check_images(root, folders, classes, {(split, label) for split, label, _ in listed})
    decoded = decode_files([file for _, _, file in listed], size, request.cache_root, request.name)
    readable = [listed[row] for row in decoded.note.rows]
    _check_images(root, folders, classes, {(split, label) for split, label, _ in readable}, decoded.note.problems)
    labels = np.array([label for _, label, _ in readable])
    ids = [file.id for _, _, file in readable]
    of_split = np.array([split for split, _, _ in readable])
    members = complete_splits({split: np.flatnonzero(of_split == split) for split in folders}, ids, labels, val_share)
    source = source.replace("{formats}", _formats([file.path for _, _, file in readable]))
    return assemble(request.name, source, classes, ids, labels, decoded.images, members, problems=decoded.note.problems)


def _split_folders(root: Path) -> dict[str, Path]:
    """The folder of each split that is there; the root itself as train when it holds the classes.

    A folder named train that holds no folders is a class of that name.
    """
    train = root / "train"
    if not (train.is_dir() and _subfolders(train)):
        return {"train": root}
    found = {SPLIT_NAMES[path.name]: path for path in _subfolders(root) if path.name in SPLIT_NAMES}
    return {split: found[split] for split in SPLITS if split in found}


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        shown = [entry for entry in entries if entry.name[0] != "." and entry.name.lower() not in LITTER]
    return sorted(shown, key=lambda entry: entry.name)


def _subfolders(folder: Path) -> list[Path]:
    return [folder / entry.name for entry in _visible(folder) if entry.is_dir()]


def _files(root: Path, folder: Path) -> list[ImageFile]:
    prefix = folder.relative_to(root).as_posix()
    return [ImageFile(f"{prefix}/{entry.name}", entry.path) for entry in _visible(folder) if entry.is_file()]


def _check_classes(root: Path, folders: dict[str, Path], classes: Sequence[str]) -> None:
    if len(classes) < 2:
        raise ValueError(
            f"{root}: expected at least two class folders, got {len(classes)} ({', '.join(classes) or 'none'}); "
            "put the images of each class into a folder of its own"
        )
    for split, folder in folders.items():
        names = tuple(path.name for path in _subfolders(folder))
        if names != classes:
            raise ValueError(
                f"{root}: expected the same class folders in {split} as in train, but "
                f"{', '.join(sorted(set(names) ^ set(classes)))} is in only one of them"
            )


def _check_images(
    root: Path,
    folders: dict[str, Path],
    classes: Sequence[str],
    present: set[tuple[str, int]],
    problems: Sequence[str] = (),
) -> None:
    for split, folder in folders.items():
        for label, name in enumerate(classes):
            if (split, label) not in present:
                why = "".join(f"; {problem}" for problem in problems[:3])
                where = (folder / name).relative_to(root).as_posix()
                raise ValueError(f"{root}: the class folder {where} has no readable image; add some or remove it{why}")


def _formats(paths: Sequence[str]) -> str:
    names = {os.path.splitext(path)[1].lower().lstrip(".") or "unnamed" for path in paths}
    return ", ".join(sorted("JPEG" if name in ("jpg", "jpeg") else name.upper() for name in names))
