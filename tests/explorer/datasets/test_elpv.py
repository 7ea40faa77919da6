"""The solar cells: the real package, against its own label file and photographs."""

import hashlib
import json
import sys
from importlib import metadata, resources
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from explorer.datasets import Dataset, DatasetMissing, load_dataset, stamp

CLASSES = ("functional mono", "functional poly", "defective mono", "defective poly")
PACKAGE = Path(str(resources.files("elpv_dataset"))) / "data"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def elpv(cache: Path) -> Dataset:
    return load_dataset("elpv", cache_root=cache)


def test_counts_per_class_are_60_15_25_percent(elpv: Dataset) -> None:
    counts = {name: split.labels.bincount().tolist() for name, split in elpv.splits.items()}
    assert elpv.classes == CLASSES
    # By hand from 705, 1098, 369 and 452 cells: a quarter, then a fifth of the rest, halves rounded up.
    assert counts == {"train": [423, 658, 222, 271], "val": [106, 165, 55, 68], "test": [176, 275, 92, 113]}
    assert sum(map(sum, counts.values())) == 2624


def test_images_are_128_pixels_of_uint8(elpv: Dataset) -> None:
    assert elpv.input_size == (128, 128)
    for split in elpv.splits.values():
        assert split.images.shape == (len(split.ids), 3, 128, 128)
        assert split.images.dtype == torch.uint8
        assert split.images.is_contiguous()
        assert split.labels.dtype == torch.int64


def test_facts_and_labels_agree_with_the_label_file(elpv: Dataset) -> None:
    rows = np.genfromtxt(PACKAGE / "labels.csv", dtype=None, encoding="utf-8")
    facts = {Path(path).stem: (probability, kind) for path, probability, kind in rows.tolist()}
    seen = []
    for split in elpv.splits.values():
        assert list(split.facts.columns) == ["defect probability", "cell type"]
        told = zip(split.ids, split.labels.tolist(), split.facts.itertuples(index=False, name=None), strict=True)
        for image_id, label, fact in told:
            assert fact == facts[image_id]
            assert CLASSES[label] == f"{'defective' if fact[0] >= 0.5 else 'functional'} {fact[1]}"
            seen.append(image_id)
    assert sorted(seen) == sorted(facts)


def test_the_pixels_are_those_of_the_photograph(elpv: Dataset) -> None:
    split = elpv.splits["test"]
    with Image.open(PACKAGE / "images" / f"{split.ids[7]}.png") as photograph:
        block_means = np.asarray(photograph.resize((128, 128), Image.Resampling.BOX), dtype=float)
    assert np.abs(split.images[7].numpy() - block_means).mean() < 3
    assert torch.equal(split.images[7][0], split.images[7][2])


def test_the_split_and_the_fingerprint_are_the_committed_ones(elpv: Dataset) -> None:
    assert elpv.splits["test"].ids[:4] == ("cell0001", "cell0005", "cell0013", "cell0015")
    assert elpv.splits["val"].ids[:4] == ("cell0024", "cell0027", "cell0029", "cell0032")
    assert elpv.fingerprint == "2a101075fae8f5d0"


def test_the_pixels_are_those_of_the_runs_of_the_first_version(elpv: Dataset) -> None:
    """Their cards have a fingerprint over ids, labels and pixels at 128x128, worked out here as they did."""
    digest = hashlib.sha256()
    for name, split in elpv.splits.items():
        header = [name, list(elpv.classes), list(split.ids), split.labels.tolist(), list(split.images.shape)]
        digest.update(json.dumps(header).encode())
        digest.update(split.images.numpy().data)
    assert digest.hexdigest()[:16] == "cede79185b39c5cc"


def test_another_size_has_the_same_fingerprint_and_the_same_splits(elpv: Dataset, cache: Path) -> None:
    small = load_dataset("elpv", size=8, cache_root=cache)
    assert small.input_size == (8, 8)
    assert small.fingerprint == elpv.fingerprint
    assert {name: split.ids for name, split in small.splits.items()} == {
        name: split.ids for name, split in elpv.splits.items()
    }


def test_name_location_and_stamp(elpv: Dataset) -> None:
    assert (elpv.name, elpv.location) == ("elpv", "elpv")
    assert stamp("elpv") == elpv.stamp


def test_a_package_that_is_not_whole_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("explorer.datasets.elpv._package_folder", lambda: tmp_path)
    with pytest.raises(DatasetMissing, match=r"labels\.csv cannot be read \(No such file or directory\); pip install"):
        load_dataset("elpv", cache_root=tmp_path)


def test_the_source_names_package_version_and_licence(elpv: Dataset) -> None:
    assert f"elpv-dataset {metadata.version('elpv-dataset')}" in elpv.source
    assert "CC BY-NC-SA 4.0" in elpv.source
    assert "non-commercial" in elpv.source
    assert metadata.metadata("elpv-dataset")["License-Expression"].startswith("CC-BY-NC-SA-4.0")


def test_without_the_package_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "elpv_dataset", None)
    with pytest.raises(DatasetMissing, match="pip install elpv-dataset"):
        load_dataset("elpv", cache_root=tmp_path)
