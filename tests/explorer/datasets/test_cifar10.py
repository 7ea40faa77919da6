"""CIFAR-10: tiny stand-ins for the original files and for class folders."""

import hashlib
import json
import os
import pickle
import sys
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import CIFAR10

from explorer.datasets import Dataset, DatasetMissing, load_dataset, stamp

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
PER_BATCH = 40  # 4 of each class; five batches make 20 of each class in train


class OldType:
    """A NumPy type pickled as NumPy 1.x of Python 2 did: align is the number 0."""

    def __reduce__(self):
        return np.dtype, ("u1", 0, 1)


class OldArray:
    """An array whose type is pickled the old way."""

    def __init__(self, array: np.ndarray):
        self.array = array

    def __reduce__(self):
        return np.ndarray, (self.array.shape, OldType(), self.array.tobytes())


def write_originals(root: Path) -> dict[str, np.ndarray]:
    """Writes the six batches and the names in torchvision's layout; gives the pixels (N, 3072) of train and test."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    random = np.random.default_rng(1)
    pixels = {}
    for name in [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]:
        pixels[name] = random.integers(0, 256, (PER_BATCH, 3072), dtype=np.uint8)
        batch = {"data": OldArray(pixels[name]), "labels": [row % 10 for row in range(PER_BATCH)]}
        (folder / name).write_bytes(pickle.dumps(batch))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list(CLASSES)}))
    train = np.concatenate([pixels[f"data_batch_{number}"] for number in range(1, 6)])
    return {"train": train, "test": pixels["test_batch"]}


def write_folders(root: Path, per_class: int = 20, suffix: str = ".jpg") -> None:
    """Writes class folders of plain pictures, each of its own colour."""
    for split in ("train", "test"):
        for label, name in enumerate(CLASSES):
            folder = root / "cifar10" / split / name
            folder.mkdir(parents=True)
            for number in range(per_class):
                colour = (20 * label, 5 * number, 200 if split == "test" else 50)
                Image.new("RGB", (32, 32), colour).save(folder / f"{number:04d}{suffix}")


@pytest.fixture
def accept_any_checksum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CIFAR10, "train_list", [(name, None) for name, _ in CIFAR10.train_list])
    monkeypatch.setattr(CIFAR10, "test_list", [(name, None) for name, _ in CIFAR10.test_list])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": None})


def load(root: Path, **arguments) -> Dataset:
    return load_dataset("cifar10", data_root=root / "data", cache_root=root / "cache", **arguments)


def counts(dataset: Dataset) -> dict[str, list[int]]:
    return {name: split.labels.bincount().tolist() for name, split in dataset.splits.items()}


@pytest.mark.usefixtures("accept_any_checksum")
def test_original_files(tmp_path: Path) -> None:
    pixels = write_originals(tmp_path / "data")
    cifar10 = load(tmp_path)
    assert cifar10.classes == CLASSES
    assert cifar10.input_size == (32, 32)
    assert "original binary files" in cifar10.source
    assert counts(cifar10) == {"train": [18] * 10, "val": [2] * 10, "test": [4] * 10}
    for split in cifar10.splits.values():
        assert split.images.is_contiguous()
        for image, label, image_id in zip(split.images, split.labels, split.ids, strict=True):
            part, row = image_id.split("/")
            assert np.array_equal(image.numpy().reshape(-1), pixels[part][int(row)])
            assert label == int(row) % 10


@pytest.mark.usefixtures("accept_any_checksum")
def test_original_files_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_originals(tmp_path / "data")
    for path in (tmp_path / "data").rglob("*batch*"):
        os.utime(path, (0, 0))
    first = load(tmp_path)
    monkeypatch.setattr(pickle, "load", None)
    second = load(tmp_path)
    assert second.fingerprint == first.fingerprint
    assert second.stamp == stamp("cifar10", data_root=tmp_path / "data", cache_root=tmp_path / "cache")
    assert torch.equal(second.splits["val"].images, first.splits["val"].images)


@pytest.mark.usefixtures("accept_any_checksum")
def test_another_size_has_the_same_fingerprint(tmp_path: Path) -> None:
    write_originals(tmp_path / "data")
    small = load(tmp_path, size=16)
    assert small.input_size == (16, 16)
    assert small.fingerprint == load(tmp_path).fingerprint


@pytest.mark.usefixtures("accept_any_checksum")
def test_the_fingerprint_is_over_the_pixels(tmp_path: Path) -> None:
    pixels = write_originals(tmp_path / "data")
    cifar10 = load(tmp_path)
    digest = hashlib.sha256(json.dumps(list(CLASSES)).encode())
    for name, split in cifar10.splits.items():
        contents = []
        for image_id in split.ids:
            part, row = image_id.split("/")
            picture = pixels[part][int(row)].reshape(3, 32, 32).transpose(1, 2, 0)
            contents.append(hashlib.sha256(picture.tobytes()).hexdigest())
        digest.update(json.dumps([name, list(split.ids), split.labels.tolist(), contents]).encode())
    assert cifar10.fingerprint == digest.hexdigest()[:16]


@pytest.mark.usefixtures("accept_any_checksum")
def test_quiet_silences_the_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def talkative(self: CIFAR10) -> None:
        print("100%", file=sys.stderr)
        if not Path(self.root, "cifar-10-batches-py").is_dir():
            write_originals(Path(self.root))

    monkeypatch.setattr(CIFAR10, "download", talkative)
    load(tmp_path, download=True, quiet=True)
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("accept_any_checksum")
def test_original_files_win_over_class_folders_and_differ_from_them(tmp_path: Path) -> None:
    write_folders(tmp_path / "data")
    folders = load(tmp_path)
    write_originals(tmp_path / "data")
    originals = load(tmp_path)
    assert "class folders of JPEG files" in folders.source
    assert "original binary files" in originals.source
    assert folders.fingerprint != originals.fingerprint


def test_class_folders(tmp_path: Path) -> None:
    write_folders(tmp_path / "data", suffix=".png")
    cifar10 = load(tmp_path)
    assert cifar10.classes == CLASSES
    assert "class folders of PNG files" in cifar10.source
    assert counts(cifar10) == {"train": [18] * 10, "val": [2] * 10, "test": [20] * 10}
    held_out, kept = set(cifar10.splits["val"].ids), set(cifar10.splits["train"].ids)
    assert not held_out & kept
    assert all(image_id.startswith("train/") for image_id in held_out | kept)
    for split in cifar10.splits.values():
        assert torch.equal(split.images[:, 0, 0, 0], 20 * split.labels.to(torch.uint8))


def test_the_data_root_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folders(tmp_path / "elsewhere", per_class=3)
    monkeypatch.setenv("NORMSCOPE_DATA", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("NORMSCOPE_CACHE", str(tmp_path / "kept"))
    assert counts(load_dataset("cifar10"))["test"] == [3] * 10
    assert (tmp_path / "kept").is_dir()


def test_without_files_the_error_says_both_ways_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(DatasetMissing) as caught:
        load(tmp_path)
    assert "--download" in str(caught.value)
    assert f"{tmp_path}/data/cifar10/train/<class>/*" in str(caught.value)


def test_train_without_test_is_not_cifar10(tmp_path: Path) -> None:
    write_folders(tmp_path / "data", per_class=3)
    (tmp_path / "data/cifar10/test").rename(tmp_path / "data/cifar10/other")
    with pytest.raises(DatasetMissing, match="test/<class>"):
        load(tmp_path)


def test_files_with_a_wrong_checksum_are_not_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_originals(tmp_path / "data")
    monkeypatch.setattr(pickle, "load", None)
    with pytest.raises(DatasetMissing, match="incomplete or damaged"):
        load(tmp_path)


def test_a_failed_download_says_both_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(_: CIFAR10) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(CIFAR10, "download", unreachable)
    with pytest.raises(DatasetMissing, match=r"no route to host.*--download.*train/<class>"):
        load(tmp_path, download=True)


@pytest.mark.usefixtures("accept_any_checksum")
def test_download_is_left_to_torchvision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        CIFAR10,
        "download",
        lambda self: Path(self.root, "cifar-10-batches-py").is_dir() or write_originals(Path(self.root)),
    )
    assert counts(load(tmp_path, download=True))["test"] == [4] * 10
