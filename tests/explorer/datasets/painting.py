"""Made-up pictures in folders, and what tests ask of data sets made of them."""

from pathlib import Path

import numpy as np
from PIL import Image

from explorer.datasets import Dataset, load_dataset

COLOURS = {"blue": (0, 0, 255), "green": (0, 255, 0), "red": (255, 0, 0)}


def paint(folder: Path, count: int, size: tuple[int, int] = (12, 10), suffix: str = ".png") -> None:
    """Writes a class folder of pictures in the colour of its name, the number of each in one channel."""
    folder.mkdir(parents=True)
    for number in range(count):
        colour = tuple(channel or number for channel in COLOURS[folder.name])
        Image.new("RGB", size, colour).save(folder / f"{number:02d}{suffix}")


def load(folder: Path, **arguments) -> Dataset:
    """The data set of a folder, its images 8 pixels high and wide, kept in a cache beside the folder."""
    return load_dataset(f"folder:{folder}", **{"cache_root": folder.parent / "cache", "size": 8, **arguments})


def counts(dataset: Dataset) -> dict[str, list[int]]:
    """Images of each class in each split."""
    return {name: split.labels.bincount().tolist() for name, split in dataset.splits.items()}


def image_of(dataset: Dataset, image_id: str) -> np.ndarray:
    """The image (3, H, W) of that id. Raises KeyError."""
    for split in dataset.splits.values():
        if image_id in split.ids:
            return split.images[split.ids.index(image_id)].numpy()
    raise KeyError(image_id)


def no_decoding(*_: object) -> None:
    """Stands in for decoding where there must be none."""
    raise AssertionError("an image was decoded again")
