"""Folders of made-up images: which are classes, splits and pictures, and what is refused."""

import os
import shutil
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from explorer.datasets import DatasetMissing, ImageSkipped, load_dataset
from tests.explorer.datasets.painting import COLOURS, counts, image_of, load, paint


class TestFolder:
    def test_one_level_of_classes_is_split_60_15_25(self, pictures: Path) -> None:
        dataset = load(pictures)
        assert dataset.classes == ("blue", "green", "red")
        assert counts(dataset) == {"train": [12] * 3, "val": [3] * 3, "test": [5] * 3}
        assert dataset.name == "pictures"
        assert dataset.location == f"folder:{pictures}"
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
        for _ in ("decoded", "known from the first time"):
            with pytest.raises(ValueError, match=r"class folder yellow has no readable image.*yellow/a\.png: expected"):
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
        with pytest.raises(DatasetMissing, match=r"no folder .*nowhere.*is not there.*<class>"):
            load(tmp_path / "nowhere")

    def test_a_clean_folder_warns_of_nothing(self, pictures: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            load(pictures)


class TestTheFileSystem:
    """What the system refuses is one line, never an OSError."""

    def refused(self, folder: Path, kind: type[Exception], message: str) -> None:
        with pytest.raises(kind, match=message) as caught:
            load(folder)
        assert "\n" not in str(caught.value)

    def test_a_file_where_the_folder_should_be(self, tmp_path: Path) -> None:
        (tmp_path / "notes").write_text("a file")
        self.refused(tmp_path / "notes", DatasetMissing, "no folder .*notes.*it is a file")

    def test_a_link_that_points_at_itself(self, tmp_path: Path) -> None:
        (tmp_path / "loop").symlink_to("loop")
        self.refused(tmp_path / "loop", DatasetMissing, "loop cannot be read: Too many levels of symbolic links")

    def test_such_a_link_among_the_classes(self, pictures: Path) -> None:
        (pictures / "loop").symlink_to("loop")
        self.refused(pictures, ValueError, "pictures/loop cannot be read: Too many levels.*repair or remove")

    def test_such_a_link_among_the_pictures_is_skipped(self, pictures: Path) -> None:
        (pictures / "red" / "loop.png").symlink_to("loop.png")
        (pictures / "red" / "nowhere.png").symlink_to("not-there.png")
        os.mkfifo(pictures / "red" / "pipe.png")
        with pytest.warns(ImageSkipped):
            problems = load(pictures).problems
        assert problems == (
            "red/loop.png: Too many levels of symbolic links",
            "red/nowhere.png: No such file or directory",
            "red/pipe.png: it is neither a file nor a folder",
        )

    @pytest.mark.parametrize(
        ("closed", "kind", "message"),
        [
            (".", DatasetMissing, "the folder .*pictures cannot be read: Permission denied"),
            ("red", ValueError, "the folder .*pictures/red cannot be read: Permission denied"),
        ],
    )
    def test_a_folder_that_may_not_be_read(
        self, pictures: Path, monkeypatch: pytest.MonkeyPatch, closed: str, kind: type[Exception], message: str
    ) -> None:
        scandir = os.scandir

        def guarded(path: Path) -> "Iterator[os.DirEntry[str]]":
            if Path(path) == pictures / closed:
                raise PermissionError(13, "Permission denied", str(path))
            return scandir(path)

        monkeypatch.setattr("explorer.datasets.listing.os.scandir", guarded)
        self.refused(pictures, kind, message)

    def test_a_stale_mount(self, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def stale(path: Path) -> None:
            raise OSError(116, "Stale file handle", str(path))

        monkeypatch.setattr("explorer.datasets.listing.os.scandir", stale)
        self.refused(pictures, DatasetMissing, "cannot be read: Stale file handle")

    @pytest.mark.parametrize("path", ["a\0b", "a\udcffb"])
    def test_a_path_that_is_no_text(self, path: str) -> None:
        with pytest.raises(ValueError, match=r"the path 'a.+b' is not UTF-8 or has a NUL character"):
            load_dataset(f"folder:{path}")


class TestNamesThatAreNotUtf8:
    def test_a_file_is_named_and_skipped(self, pictures: Path) -> None:
        shutil.copy(pictures / "red" / "00.png", pictures / "red" / os.fsdecode(b"caf\xe9.png"))
        with pytest.warns(ImageSkipped, match=r"red/caf\\xe9\.png"):
            dataset = load(pictures)
        assert dataset.problems == (r"red/caf\xe9.png: the name is not UTF-8; rename the file",)
        assert sum(map(sum, counts(dataset).values())) == 60

    def test_a_class_folder_is_refused(self, pictures: Path) -> None:
        (pictures / "red").rename(pictures / os.fsdecode(b"r\xf6t"))
        with pytest.raises(
            ValueError, match=r"the name of the class folder .*pictures/r\\xf6t is not UTF-8; rename it"
        ):
            load(pictures)

    def test_control_characters_stay_in_one_line(self, pictures: Path) -> None:
        (pictures / "red" / "two\nlines.png").write_bytes(b"no picture")
        with pytest.warns(ImageSkipped):
            (problem,) = load(pictures).problems
        assert problem.startswith(r"red/two\nlines.png: expected a")


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
