"""From a location to a data set: `load_dataset` for the one that is there, `find_dataset` for the one that was."""

import os
import unicodedata
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from explorer import places
from explorer.datasets.base import SPLITS, Dataset, DatasetMissing, Request, Split
from explorer.datasets.cache import Images, keep_images
from explorer.datasets.cifar10 import list_cifar10
from explorer.datasets.decoding import content_key, decode_listing, read_digests
from explorer.datasets.elpv import list_elpv
from explorer.datasets.folder import PREFIX, list_folder
from explorer.datasets.listing import Lister, Listing, is_text, printable, reason
from explorer.datasets.mapping import MappedFile
from explorer.registry import check_name

DATASETS: dict[str, Lister] = {"elpv": list_elpv, "cifar10": list_cifar10, "folder:PATH": list_folder}
LARGEST_SIZE = 1024


class ImageSkipped(UserWarning):
    """Files of a data set could not be read and were left out."""


def load_dataset(
    location: str,
    *,
    size: int | None = None,
    name: str | None = None,
    data_root: Path | None = None,
    cache_root: Path | None = None,
    download: bool = False,
    quiet: bool = False,
) -> Dataset:
    """The data set at a location, its images `size` pixels high and wide.

    Warns with ImageSkipped when files could not be read.

    Args:
        location: one of DATASETS, with a folder's path for PATH.
        size: 1 to 1024 pixels; by default 128 for elpv, 32 for cifar10, 64 for a folder.
        name: what to call it; by default `elpv`, `cifar10` or the last part of the folder's path.
        data_root: where data sets' files are; by default that of `explorer.places`.
        cache_root: where decoded images are kept; by default that of `explorer.places`.
        download: whether the files may be fetched from the internet when they are missing (cifar10 only).
        quiet: whether to show no progress.

    Raises:
        ValueError: unknown location, wrong size or name, or files that do not make a data set.
        DatasetMissing: its files are not there.
    """
    if size is not None and not 1 <= size <= LARGEST_SIZE:
        raise ValueError(f"expected an image size from 1 to {LARGEST_SIZE} pixels, got {size}")
    request = _request(location, name, size, data_root, cache_root, download, quiet)
    return _open(_lister(request.location)(request), request)


def stamp(location: str, *, data_root: Path | None = None, cache_root: Path | None = None) -> str | None:
    """What changes whenever `load_dataset` would give other images, from the times and sizes of the files alone.

    None where there is no data set. It looks at every file: 100,000 take about half a second.
    """
    try:
        request = _request(location, None, None, data_root, cache_root)
        return _lister(request.location)(request).stamp
    except (DatasetMissing, ValueError):
        return None


def find_dataset(
    location: str,
    name: str,
    fingerprint: str | None,
    *,
    size: int,
    data_root: Path | None = None,
    cache_root: Path | None = None,
    quiet: bool = False,
) -> Dataset:
    """The data set that a run was trained on, also where its folder has moved.

    It is the first with that fingerprint (any, where it is None) at the location, or of the data root, its folder
    `name` and its folder of the location's last part. Where none has it, it is what is at the location now: the caller
    compares fingerprints and says that the images have changed.

    Raises:
        ValueError: wrong size or name.
        DatasetMissing: it is at none of these; the message says where it was looked for, and what to do.
    """
    check_dataset_name(name)
    root = data_root or places.data_root()
    there, why = None, ""
    looked_in = _candidates(location, name, root)
    for place in looked_in:
        try:
            found = load_dataset(place, size=size, name=name, data_root=data_root, cache_root=cache_root, quiet=quiet)
        except (DatasetMissing, ValueError) as error:
            why = why or str(error)
            continue
        if fingerprint in (None, found.fingerprint):
            return found
        there = there or (found if place == looked_in[0] else None)
    if there is not None:
        return there
    others = [printable(place.removeprefix(PREFIX)) for place in looked_in[1:]]
    if not others:
        raise DatasetMissing(why)
    raise DatasetMissing(
        f"the images of {name!r} were not found: {why}; nor are they in {', '.join(others)}; "
        "name the folder that holds theirs with --data-root or the environment variable NORMSCOPE_DATA"
    )


def check_dataset_name(name: str) -> None:
    """Nothing; raises ValueError for a name that cannot stand in a table, a link and a path."""
    controls = [character for character in name if unicodedata.category(character) in ("Cc", "Cs")]
    if not name.strip() or name in (".", "..") or "/" in name or controls:
        raise ValueError(
            f"expected a name for the data set without '/' and control characters, got {printable(name)!r}; "
            "give it one (--dataset-name)"
        )


def _request(
    location: str,
    name: str | None,
    size: int | None,
    data_root: Path | None,
    cache_root: Path | None,
    download: bool = False,
    quiet: bool = False,
) -> Request:
    location = _resolved(location)
    name = Path(location.removeprefix(PREFIX)).name if name is None else name
    check_dataset_name(name)
    data, cache = data_root or places.data_root(), cache_root or places.cache_root()
    return Request(location, name, size, Path(data), Path(cache), download, quiet)


def _resolved(location: str) -> str:
    """The location spelled in the one way that it has. Raises ValueError for one that there cannot be."""
    path = location.removeprefix(PREFIX)
    if not location.startswith(PREFIX) or not path:
        check_name("data set", location, DATASETS)
        return location
    if "\0" in path or not is_text(path):
        raise ValueError(f"the path {printable(path)!r} is not UTF-8 or has a NUL character; rename the folder")
    try:
        return PREFIX + os.path.realpath(os.path.expanduser(path))  # pathlib's raises for links in a circle
    except OSError as error:
        raise DatasetMissing(f"the folder {printable(path)} cannot be read: {reason(error)}") from error


def _lister(location: str) -> Lister:
    return DATASETS.get(location, list_folder)


def _candidates(location: str, name: str, root: Path) -> list[str]:
    """Where a run's images may be: at their location, or if that was a folder in one below the data root."""
    if location in DATASETS:
        return [location]
    root = Path(os.path.realpath(root))
    folders = [f"{PREFIX}{path}" for path in (root, root / name, root / Path(location.removeprefix(PREFIX)).name)]
    return list(dict.fromkeys([location, *folders]))


def _open(listing: Listing, request: Request) -> Dataset:
    """The data set of a listing, from the cache where it was decoded before."""
    reading = read_digests(listing, request)
    file, images = keep_images(
        request.cache_folder,
        content_key(listing, reading),
        request.name,
        needed=len(listing.ids) * 3 * listing.size**2,
        build=partial(decode_listing, listing, reading, request),
    )
    problems = sorted([*listing.problems, *images.problems.values()])
    if problems:
        warnings.warn(_summary(request.name, problems), ImageSkipped, stacklevel=3)
    return Dataset(
        name=request.name,
        location=request.location,
        source=listing.source.replace("{formats}", _formats(listing, images)),
        classes=listing.classes,
        splits=_splits(listing, images, file),
        fingerprint=images.fingerprint,
        stamp=listing.stamp,
        problems=tuple(problems),
    )


def _splits(listing: Listing, images: Images, file: MappedFile) -> dict[str, Split]:
    everything, start, splits = file.tensor(images.shape), 0, {}
    facts = pd.DataFrame(index=range(len(listing.ids))) if listing.facts is None else listing.facts
    for name in SPLITS:
        rows = images.rows[name]
        splits[name] = Split(
            images=everything[start : start + len(rows)],
            labels=torch.from_numpy(listing.labels[rows].astype(np.int64)),
            ids=tuple(listing.ids[row] for row in rows),
            facts=facts.iloc[rows].reset_index(drop=True),
            file=file,
        )
        start += len(rows)
    return splits


def _formats(listing: Listing, images: Images) -> str:
    """The kinds of files that the images are, by the ends of their names."""
    endings = {listing.ids[row].rpartition(".")[2] for rows in images.rows.values() for row in rows}
    names = {"unnamed" if "/" in ending else ending.lower() for ending in endings}
    return ", ".join(sorted("JPEG" if name in ("jpg", "jpeg") else name.upper() for name in names))


def _summary(title: str, problems: list[str], shown: int = 10) -> str:
    more = [f"and {len(problems) - shown} more"] if len(problems) > shown else []
    return f"{title}: {len(problems)} file(s) skipped: " + "; ".join([*problems[:shown], *more])
