"""Shared by all tests: made-up images, as splits and as folders, and runs trained on some of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor

from explorer.datasets import Split

torch.set_num_threads(1)  # two threads of small tensors wait for each other: 5 to 9 times slower

SIDE = 32
COLOURS = {"blue": (40, 60, 200), "green": (40, 190, 60), "red": (200, 50, 40)}
COLOURED_NORMS = ("batch", "group", "none")


@dataclass(frozen=True)
class Coloured:
    """A folder of coloured pictures, where the runs trained on it are, and where its decoded images are kept."""

    images: Path
    checkpoints: Path
    cache: Path

    @property
    def name(self) -> str:
        """What `load_dataset` calls the data set."""
        return f"folder:{self.images}"


def bright_images(labels: Tensor, seed: int) -> Tensor:
    """Uint8 images (N, 3, 32, 32) of dark noise with a bright band whose height tells the label."""
    images = torch.randint(0, 80, (len(labels), 3, SIDE, SIDE), generator=torch.Generator().manual_seed(seed))
    for image, label in zip(images, labels.tolist(), strict=True):
        image[:, 8 * label : 8 * label + 8] += 150
    return images.to(torch.uint8)


@pytest.fixture(scope="session")
def make_split() -> Callable[..., Split]:
    """make_split(count, seed, classes): a split of images whose class is plain to see."""

    def make(count: int, seed: int = 0, classes: int = 2) -> Split:
        labels = torch.arange(count) % classes
        ids = tuple(f"image {number}" for number in range(count))
        return Split(bright_images(labels, seed), labels, ids, pd.DataFrame(index=range(count)))

    return make


@pytest.fixture(scope="session")
def picture_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the class folders `high` and `low`, 40 PNG pictures of 32x32 pixels in each."""
    root = tmp_path_factory.mktemp("pictures")
    for label, name in enumerate(("high", "low")):
        (root / name).mkdir()
        for number, image in enumerate(bright_images(torch.full((40,), label), seed=label)):
            Image.fromarray(np.ascontiguousarray(image.permute(1, 2, 0))).save(root / name / f"{number:02d}.png")
    return root


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Decoded images of data sets are kept here and not in the working directory."""
    monkeypatch.setenv("NORMSCOPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def coloured(tmp_path_factory: pytest.TempPathFactory) -> Coloured:
    """Three classes of pictures and a run of one epoch of resnet8 with each of COLOURED_NORMS."""
    from train.job import Job, train_run
    from train.recipes import Recipe

    made = write_coloured(tmp_path_factory.mktemp("coloured"))
    recipe = Recipe(epochs=1, batch_size=8, learning_rate=0.05, precision="fp32")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NORMSCOPE_CACHE", str(made.cache))
        for norm in COLOURED_NORMS:
            train_run(Job(made.name, "resnet8", norm, recipe, size=SIDE, out=made.checkpoints), quiet=True)
    return made


def write_coloured(root: Path) -> Coloured:
    """Writes the pictures of three classes, without runs.

    In train and val a picture has the colour that its class is named after. In test its colour is drawn by chance, so
    that whatever a model has learned of colours, about two thirds of its 90 answers there are wrong.
    """
    made = Coloured(root / "colours", root / "checkpoints", root / "cache")
    rng = np.random.default_rng(7)
    for label in COLOURS:
        write_pictures(made.images / "train" / label, [label] * 16, rng)
        write_pictures(made.images / "val" / label, [label] * 4, rng)
        write_pictures(made.images / "test" / label, rng.choice(list(COLOURS), 30), rng)
    return made


def write_pictures(folder: Path, colours: Iterable[str], rng: np.random.Generator) -> None:
    """Writes a noisy picture of each colour as `00.png`, `01.png`, ..., no two alike."""
    folder.mkdir(parents=True)
    for number, colour in enumerate(colours):
        pixels = np.array(COLOURS[colour]) + rng.normal(0, 30, 3) + rng.normal(0, 25, (SIDE, SIDE, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number:02}.png")
