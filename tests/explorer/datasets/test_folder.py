"""Folders of made-up images, the cache, fingerprints and names."""

import os
import shutil
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from explorer.datasets import DATASETS, CacheUnwritable, Dataset, DatasetMissing, ImageSkipped, load_dataset

COLOURS = {"blue": (0, 0, 255), "green": (0, 255, 0), "red": (255, 0, 0)}


def paint(folder: Path, count: int, size: tuple[int, int] = (12, 10), suffix: str = ".png") -> None:
    """Writes a class folder of pictures in the colour of its name, the number of each in one channel."""
    folder.mkdir(parents=True)
    for number in range(count):
        colour = tuple(channel or number for channel in COLOURS[folder.name])
        Image.new("RGB", size, colour).save(folder / f"{number:02d}{suffix}")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """One level of three classes, 20 pictures each."""
    for name in COLOURS:
        paint(tmp_path / "pictures" / name, 20)
    return tmp_path / "pictures"


def load(folder: Path, **arguments) -> Dataset:
    return load_dataset(f"folder:{folder}", cache_root=folder.parent / "cache", **{"size": 8, **arguments})


def counts(dataset: Dataset) -> dict[str, list[int]]:
    return {name: split.labels.bincount().tolist() for name, split in dataset.splits.items()}


def no_decoding(*_: object) -> None:
    raise AssertionError("an image was decoded again")


def image_of(dataset: Dataset, image_id: str) -> np.ndarray:
    for split in dataset.splits.values():
        if image_id in split.ids:
            return split.images[split.ids.index(image_id)].numpy()
    raise KeyError(image_id)


class TestFolder:
    def test_one_level_of_classes_is_split_60_15_25(self, pictures: Path) -> None:
        dataset = load(pictures)
        assert dataset.classes == ("blue", "green", "red")
        assert counts(dataset) == {"train": [12] * 3, "val": [3] * 3, "test": [5] * 3}
        assert dataset.name == f"folder:{pictures}"
        assert "PNG files in the folder pictures" in dataset.source
        assert dataset.problems == ()

    def test_images_labels_and_ids_belong_together(self, pictures: Path) -> None:
        for split in load(pictures).splits.values():
            assert split.images.dtype == torch.uint8
            assert split.images.is_contiguous()
            assert len(split.facts) == len(split.ids)
            for image, label, image_id in zip(split.images, split.labels, split.ids, strict=True):
                name, number = image_id.removesuffix(".png").split("/")
                assert name == ("blue", "green", "red")[label]
                colour = [channel or int(number) for channel in COLOURS[name]]
                assert image[:, 4, 4].tolist() == colour

    def test_no_image_is_in_two_splits(self, pictures: Path) -> None:
        ids = [image_id for split in load(pictures).splits.values() for image_id in split.ids]
        assert len(ids) == len(set(ids)) == 60

    def test_the_split_is_the_same_for_ever(self, pictures: Path) -> None:
        dataset = load(pictures)
        assert dataset.splits["val"].ids[:3] == ("blue/02.png", "blue/12.png", "blue/13.png")
        assert dataset.splits["test"].ids[:3] == ("blue/01.png", "blue/05.png", "blue/06.png")

    def test_the_size_is_64_by_default(self, pictures: Path) -> None:
        assert load(pictures, size=None).input_size == (64, 64)

    @pytest.mark.parametrize("val", ["val", "valid", "validation"])
    def test_given_splits_are_kept(self, tmp_path: Path, val: str) -> None:
        for split, count in (("train", 4), (val, 2), ("test", 3)):
            for name in ("red", "blue"):
                paint(tmp_path / "given" / split / name, count)
        dataset = load(tmp_path / "given")
        assert dataset.classes == ("blue", "red")
        assert counts(dataset) == {"train": [4, 4], "val": [2, 2], "test": [3, 3]}
        assert dataset.splits["val"].ids[0] == f"{val}/blue/00.png"

    def test_a_missing_val_is_held_out_of_train(self, tmp_path: Path) -> None:
        for split, count in (("train", 10), ("test", 3)):
            for name in ("red", "blue"):
                paint(tmp_path / "given" / split / name, count)
        dataset = load(tmp_path / "given")
        assert counts(dataset) == {"train": [8, 8], "val": [2, 2], "test": [3, 3]}
        assert all(image_id.startswith("train/") for image_id in dataset.splits["val"].ids)

    def test_a_missing_test_is_held_out_of_train(self, tmp_path: Path) -> None:
        for split, count in (("train", 8), ("val", 3)):
            for name in ("red", "blue"):
                paint(tmp_path / "given" / split / name, count)
        assert counts(load(tmp_path / "given")) == {"train": [6, 6], "val": [3, 3], "test": [2, 2]}

    def test_a_class_may_be_called_train(self, tmp_path: Path) -> None:
        paint(tmp_path / "vehicles" / "red", 4)
        shutil.copytree(tmp_path / "vehicles" / "red", tmp_path / "vehicles" / "train")
        assert load(tmp_path / "vehicles").classes == ("red", "train")

    def test_hidden_files_and_litter_are_ignored(self, pictures: Path) -> None:
        before = load(pictures).fingerprint
        (pictures / "red" / ".DS_Store").write_bytes(b"x")
        (pictures / "red" / "Thumbs.db").write_bytes(b"x")
        (pictures / ".git").mkdir()
        (pictures / "__MACOSX").mkdir()
        (pictures / "README.txt").write_text("beside the classes")
        assert load(pictures).fingerprint == before

    def test_an_unreadable_file_is_named_and_skipped(self, pictures: Path) -> None:
        whole = (pictures / "red" / "03.png").read_bytes()
        (pictures / "red" / "03.png").write_bytes(whole[: len(whole) // 2])
        (pictures / "green" / "notes.txt").write_text("not an image")
        for _ in ("decoded", "from the cache"):
            with pytest.warns(ImageSkipped, match=r"2 file\(s\) skipped: green/notes\.txt: .*; red/03\.png: "):
                dataset = load(pictures)
            assert [problem.split(":")[0] for problem in dataset.problems] == ["green/notes.txt", "red/03.png"]
            assert sum(counts(dataset)["train"]) + sum(counts(dataset)["val"]) + sum(counts(dataset)["test"]) == 59
            with pytest.raises(KeyError):
                image_of(dataset, "red/03.png")
            assert image_of(dataset, "red/04.png")[:, 0, 0].tolist() == [255, 4, 4]

    def test_many_unreadable_files_make_one_short_warning(self, pictures: Path) -> None:
        for number in range(15):
            (pictures / "red" / f"bad{number:02d}.png").write_bytes(b"bad")
        with pytest.warns(ImageSkipped, match=r"15 file\(s\) skipped.*and 5 more") as caught:
            dataset = load(pictures)
        assert len(caught) == 1
        assert len(dataset.problems) == 15

    def test_a_decompression_bomb_is_skipped(self, pictures: Path) -> None:
        header = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
        path = pictures / "red" / "00.png"
        content = path.read_bytes()
        path.write_bytes(content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:])
        with pytest.warns(ImageSkipped, match=r"red/00\.png: .*megapixels"):
            load(pictures)

    def test_an_empty_class_is_an_error(self, pictures: Path) -> None:
        (pictures / "yellow").mkdir()
        with pytest.raises(ValueError, match="class folder yellow has no readable image"):
            load(pictures)

    def test_a_class_of_unreadable_files_is_an_error_that_says_why(self, pictures: Path) -> None:
        (pictures / "yellow").mkdir()
        (pictures / "yellow" / "a.png").write_bytes(b"bad")
        with (
            pytest.warns(ImageSkipped),
            pytest.raises(ValueError, match=r"class folder yellow has no readable image.*yellow/a\.png: expected"),
        ):
            load(pictures)

    def test_a_single_class_is_an_error(self, tmp_path: Path) -> None:
        paint(tmp_path / "lonely" / "red", 4)
        with pytest.raises(ValueError, match=r"at least two class folders, got 1 \(red\)"):
            load(tmp_path / "lonely")

    def test_no_class_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "nothing").mkdir()
        with pytest.raises(ValueError, match=r"at least two class folders, got 0 \(none\)"):
            load(tmp_path / "nothing")

    def test_splits_with_other_classes_are_an_error(self, tmp_path: Path) -> None:
        for folder in ("train/red", "train/blue", "test/red", "test/green"):
            paint(tmp_path / "given" / folder, 3)
        with pytest.raises(ValueError, match="same class folders in test as in train, but blue, green"):
            load(tmp_path / "given")

    def test_too_few_images_for_three_splits_are_an_error(self, tmp_path: Path) -> None:
        paint(tmp_path / "few" / "red", 2)
        paint(tmp_path / "few" / "blue", 2)
        with pytest.raises(ValueError, match="no image is left for the split 'val'"):
            load(tmp_path / "few")

    def test_a_path_that_is_not_there_is_missing(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetMissing, match=r"no folder .*nowhere.*<class>"):
            load(tmp_path / "nowhere")


class TestDecoding:
    """One picture of each kind, as `a` in a folder whose other pictures do not matter."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        for name in ("red", "blue"):
            paint(tmp_path / "kinds" / name, 3)
        return tmp_path / "kinds"

    @pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".gif", ".webp", ".jpg", ".JPEG"])
    def test_every_usual_format(self, folder: Path, suffix: str) -> None:
        options: dict[str, Any] = {"lossless": True} if suffix == ".webp" else {}
        Image.new("RGB", (9, 9), (200, 100, 50)).save(folder / "red" / f"a{suffix}", **options)
        pixel = image_of(load(folder), f"red/a{suffix}")[:, 4, 4].astype(int)
        assert np.abs(pixel - [200, 100, 50]).max() <= 2

    def test_the_centre_square_is_kept(self, folder: Path) -> None:
        wide = np.zeros((8, 24, 3), np.uint8)
        wide[:, 8:16] = 255
        Image.fromarray(wide).save(folder / "red" / "a.png")
        Image.fromarray(wide.transpose(1, 0, 2).copy()).save(folder / "red" / "b.png")
        dataset = load(folder)
        assert (image_of(dataset, "red/a.png") == 255).all()
        assert (image_of(dataset, "red/b.png") == 255).all()

    def test_shrinking_averages(self, folder: Path) -> None:
        chequered = np.indices((64, 64)).sum(0) % 2 * 255
        Image.fromarray(chequered.astype(np.uint8)).save(folder / "red" / "a.png")
        inner = image_of(load(folder), "red/a.png")[:, 1:-1, 1:-1].astype(int)
        assert np.abs(inner - 127.5).max() < 2

    def test_sixteen_bit_grey_is_scaled(self, folder: Path) -> None:
        Image.fromarray(np.full((9, 9), 32_896, np.uint16)).save(folder / "red" / "a.png")
        assert image_of(load(folder), "red/a.png")[:, 4, 4].tolist() == [128, 128, 128]

    def test_transparency_lies_on_white(self, folder: Path) -> None:
        Image.new("RGBA", (9, 9), (0, 0, 0, 0)).save(folder / "red" / "a.png")
        assert (image_of(load(folder), "red/a.png") == 255).all()

    def test_the_exif_orientation_is_applied(self, folder: Path) -> None:
        halves = np.zeros((8, 8, 3), np.uint8)
        halves[:4] = 255
        exif = Image.Exif()
        exif[0x0112] = 6  # to be shown turned a quarter clockwise: the top goes to the right
        Image.fromarray(halves).save(folder / "red" / "a.png", exif=exif)
        image = image_of(load(folder), "red/a.png")
        assert (image[:, :, 4:] == 255).all()
        assert (image[:, :, :4] == 0).all()

    def test_a_palette_and_the_first_frame(self, folder: Path) -> None:
        frames = [Image.new("P", (9, 9), number) for number in (0, 1)]
        for frame in frames:
            frame.putpalette([10, 20, 30, 250, 250, 250])
        frames[0].save(folder / "red" / "a.gif", save_all=True, append_images=frames[1:])
        assert image_of(load(folder), "red/a.gif")[:, 4, 4].tolist() == [10, 20, 30]


class TestCache:
    def test_a_second_load_decodes_nothing(self, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        first = load(pictures)
        monkeypatch.setattr("explorer.datasets.decoding.read_image", no_decoding)
        second = load(pictures)
        assert second.fingerprint == first.fingerprint
        assert torch.equal(second.splits["val"].images, first.splits["val"].images)

    def test_a_moved_folder_decodes_nothing(self, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        first = load(pictures)
        monkeypatch.setattr("explorer.datasets.decoding.read_image", no_decoding)
        assert load(pictures.rename(pictures.with_name("moved"))).fingerprint == first.fingerprint

    def test_changed_bytes_are_decoded(self, pictures: Path) -> None:
        load(pictures)
        Image.new("RGB", (12, 10), (1, 2, 3)).save(pictures / "red" / "00.png")
        assert image_of(load(pictures), "red/00.png")[:, 0, 0].tolist() == [1, 2, 3]

    def test_another_size_is_decoded(self, pictures: Path) -> None:
        assert load(pictures, size=8).input_size == (8, 8)
        assert load(pictures, size=6).input_size == (6, 6)

    @pytest.mark.parametrize("suffix", [".pixels", ".json"])
    @pytest.mark.parametrize("damage", ["truncated", "empty", "flipped", "missing"])
    def test_a_damaged_file_is_built_anew(self, pictures: Path, suffix: str, damage: str) -> None:
        whole = load(pictures).fingerprint
        (path,) = (pictures.parent / "cache").rglob(f"*{suffix}")
        content = path.read_bytes()
        if damage == "missing":
            path.unlink()
        else:
            flipped = bytes([content[0] ^ 1]) + content[1:]
            path.write_bytes({"truncated": content[: len(content) // 2], "empty": b"", "flipped": flipped}[damage])
        assert load(pictures).fingerprint == whole
        assert path.read_bytes() == content

    def test_nothing_temporary_stays(self, pictures: Path) -> None:
        load(pictures)
        kept = [path.suffix for path in (pictures.parent / "cache").rglob("*") if path.is_file()]
        assert sorted(kept) == [".json", ".pixels"]

    def test_a_cache_that_cannot_be_written_is_a_warning(self, pictures: Path) -> None:
        (pictures.parent / "cache").write_text("a file is in the way")
        with pytest.warns(CacheUnwritable, match="give another cache folder"):
            assert load(pictures).input_size == (8, 8)

    def test_the_progress_bar_goes_to_stderr_only_while_decoding(
        self, pictures: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        load(pictures)
        first = capfd.readouterr()
        load(pictures)
        assert "decoding" in first.err
        assert first.out == ""
        assert "decoding" not in capfd.readouterr().err


class TestFingerprint:
    def test_it_is_the_same_on_every_machine(self, pictures: Path) -> None:
        assert load(pictures).fingerprint == "f26f9ff029471efa"

    def test_one_pixel_changes_it(self, pictures: Path) -> None:
        before = load(pictures).fingerprint
        with Image.open(pictures / "red" / "00.png") as picture:
            picture.putpixel((6, 5), (0, 0, 0))
            picture.save(pictures / "red" / "00.png")
        assert load(pictures).fingerprint != before

    def test_a_label_changes_it(self, pictures: Path) -> None:
        before = load(pictures).fingerprint
        (pictures / "red" / "00.png").rename(pictures / "blue" / "99.png")
        assert load(pictures).fingerprint != before

    def test_a_class_name_changes_it(self, pictures: Path) -> None:
        before = load(pictures).fingerprint
        (pictures / "red").rename(pictures / "rot")
        assert load(pictures).fingerprint != before

    def test_the_size_changes_it(self, pictures: Path) -> None:
        assert load(pictures, size=8).fingerprint != load(pictures, size=6).fingerprint

    def test_dates_and_encoding_do_not_change_it(self, pictures: Path) -> None:
        before = load(pictures).fingerprint
        with Image.open(pictures / "red" / "00.png") as picture:
            picture.save(pictures / "red" / "00.png", compress_level=0)
        os.utime(pictures / "red" / "01.png", (0, 0))
        assert load(pictures).fingerprint == before


class TestNames:
    @pytest.mark.parametrize("name", ["mnist", "", "folder", "folder:", "elpv:x"])
    def test_an_unknown_name_lists_the_known_ones(self, name: str) -> None:
        with pytest.raises(ValueError, match=r"unknown data set .*expected one of: elpv, cifar10, folder:PATH"):
            load_dataset(name)

    @pytest.mark.parametrize("name", ["elpv", "cifar10", "folder:PATH"])
    @pytest.mark.parametrize("size", [0, -3, 1025])
    def test_a_wrong_size_is_an_error(self, name: str, size: int) -> None:
        with pytest.raises(ValueError, match=f"size from 1 to 1024 pixels, got {size}"):
            load_dataset(name, size=size)

    def test_the_registry_is_in_order(self) -> None:
        assert list(DATASETS) == ["elpv", "cifar10", "folder:PATH"]

    def test_a_clean_folder_warns_of_nothing(self, pictures: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            load(pictures)
