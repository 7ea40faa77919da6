"""Decoded images are kept: when they are read back, when they are made anew, and how they lie in their file."""

import errno
import os
import subprocess
import sys
import time
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from explorer.datasets import CacheUnwritable, Dataset, ImageSkipped
from explorer.datasets.base import SPLITS
from explorer.datasets.decoding import _rearrange
from tests.explorer.datasets.painting import COLOURS, counts, image_of, load, no_decoding

DECODER = "explorer.datasets.decoding.fit"
READER = "explorer.datasets.folder.Files.read"


def settle(folder: Path) -> None:
    """Sets the times of all pictures an hour back: files that have just been written are read again each time."""
    for path in folder.rglob("*.png"):
        os.utime(path, (time.time() - 3600, time.time() - 3600))


def kept(folder: Path, suffix: str = "") -> list[Path]:
    """The files in the cache beside a folder."""
    return sorted(path for path in (folder.parent / "cache").rglob(f"*{suffix}") if path.is_file())


def same_images(one: Dataset, other: Dataset) -> bool:
    return all(torch.equal(one.splits[name].images, other.splits[name].images) for name in SPLITS)


class TestReadingBack:
    def test_a_second_load_decodes_nothing(self, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        first = load(pictures)
        monkeypatch.setattr(DECODER, no_decoding)
        second = load(pictures)
        assert second.fingerprint == first.fingerprint
        assert same_images(first, second)

    def test_a_second_load_reads_no_picture(self, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        settle(pictures)
        first = load(pictures)
        monkeypatch.setattr(READER, no_decoding)
        assert load(pictures).fingerprint == first.fingerprint

    def test_files_changed_just_now_are_read_again(self, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        load(pictures)
        monkeypatch.setattr(READER, no_decoding)
        with pytest.raises(AssertionError):
            load(pictures)

    def test_problems_are_kept_too(self, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (pictures / "red" / "bad.png").write_bytes(b"bad")
        settle(pictures)
        with pytest.warns(ImageSkipped):
            first = load(pictures)
        monkeypatch.setattr(READER, no_decoding)
        with pytest.warns(ImageSkipped):
            assert load(pictures).problems == first.problems

    def test_a_class_without_images_is_not_decoded_again(self, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (pictures / "yellow").mkdir()
        (pictures / "yellow" / "a.png").write_bytes(b"bad")
        settle(pictures)
        for _ in range(2):
            with pytest.raises(ValueError, match=r"yellow has no readable image.*yellow/a\.png: expected"):
                load(pictures)
            monkeypatch.setattr(READER, no_decoding)

    def test_a_moved_folder_decodes_nothing(self, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        first = load(pictures)
        monkeypatch.setattr(DECODER, no_decoding)
        assert load(pictures.rename(pictures.with_name("moved"))).fingerprint == first.fingerprint

    def test_files_with_a_new_date_are_not_decoded(self, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        first = load(pictures)
        settle(pictures)
        monkeypatch.setattr(DECODER, no_decoding)
        assert load(pictures).fingerprint == first.fingerprint

    def test_another_folder_with_the_same_names_sizes_and_dates(self, pictures: Path) -> None:
        for folder, colour in ((pictures, (1, 2, 3)), (pictures.with_name("others"), (4, 5, 6))):
            for name in COLOURS:
                (folder / name).mkdir(parents=True, exist_ok=True)
                for number in range(20):
                    Image.new("RGB", (4, 4), colour).save(folder / name / f"{number:02d}.png", compress_level=0)
            for path in folder.rglob("*.png"):
                os.utime(path, (0, 0))
        first, second = load(pictures), load(pictures.with_name("others"))
        assert first.stamp == second.stamp
        assert image_of(first, "red/00.png")[:, 0, 0].tolist() == [1, 2, 3]
        assert image_of(second, "red/00.png")[:, 0, 0].tolist() == [4, 5, 6]

    def test_changed_bytes_are_decoded(self, pictures: Path) -> None:
        settle(pictures)
        load(pictures)
        Image.new("RGB", (12, 10), (1, 2, 3)).save(pictures / "red" / "00.png")
        assert image_of(load(pictures), "red/00.png")[:, 0, 0].tolist() == [1, 2, 3]

    def test_another_size_is_decoded(self, pictures: Path) -> None:
        assert load(pictures, size=8).input_size == (8, 8)
        assert load(pictures, size=6).input_size == (6, 6)

    def test_a_file_that_cannot_be_read_may_come_back(self, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        settle(pictures)

        def out_of_reach(*_: object) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr(READER, out_of_reach)
            with pytest.raises(ValueError, match=r"blue/00\.png: Input/output error"):
                load(pictures)
        assert sum(map(sum, counts(load(pictures)).values())) == 60

    def test_a_file_that_changes_while_it_is_read(self, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        contents = iter(range(10_000))
        monkeypatch.setattr(READER, lambda *_: b"%d" % next(contents))
        with pytest.raises(ValueError, match=r"\.png changed while it was read; load it again"):
            load(pictures)
        assert kept(pictures, ".pixels") == []


class TestDamage:
    @pytest.mark.parametrize("suffix", [".pixels", ".json", ".files"])
    @pytest.mark.parametrize("damage", ["truncated", "empty", "flipped", "missing"])
    def test_a_damaged_file_is_built_anew(
        self, pictures: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, damage: str
    ) -> None:
        settle(pictures)
        whole = load(pictures)
        wanted = {name: split.images.clone() for name, split in whole.splits.items()}
        (path,) = kept(pictures, suffix)
        content = path.read_bytes()
        if damage == "missing":
            path.unlink()
        else:
            flipped = content[:80] + bytes([content[80] ^ 1]) + content[81:]
            path.write_bytes({"truncated": content[: len(content) // 2], "empty": b"", "flipped": flipped}[damage])
        again = load(pictures)
        assert again.fingerprint == whole.fingerprint
        assert all(torch.equal(again.splits[name].images, wanted[name]) for name in SPLITS)
        monkeypatch.setattr(DECODER, no_decoding)
        monkeypatch.setattr(READER, no_decoding)
        load(pictures)

    def test_what_a_killed_process_left_is_removed(self, pictures: Path) -> None:
        load(pictures)
        (pixels,) = kept(pictures, ".pixels")
        left = pixels.with_name(f".{pixels.stem}.0123.writing")
        left.write_bytes(b"half")
        pixels.unlink()
        load(pictures)
        assert not left.exists()

    def test_nothing_temporary_stays(self, pictures: Path) -> None:
        settle(pictures)
        load(pictures)
        assert sorted(path.suffix for path in kept(pictures)) == [".files", ".json", ".pixels"]

    def test_what_is_written_to_an_image_does_not_reach_the_file(self, pictures: Path) -> None:
        first = load(pictures)
        wanted = first.splits["train"].images[0].clone()
        first.splits["train"].images[0] = 7
        assert torch.equal(load(pictures).splits["train"].images[0], wanted)


class TestRoom:
    def test_too_small_a_disk_is_an_error_before_decoding(
        self, pictures: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        usage = namedtuple("usage", "total used free")
        monkeypatch.setattr("shutil.disk_usage", lambda _: usage(0, 0, 60 * 3 * 500**2 - 1))
        monkeypatch.setattr(DECODER, no_decoding)
        with pytest.raises(ValueError, match=r"pictures: .*0\.0 GB of disk, and 0\.0 GB are free in .*NORMSCOPE_CACHE"):
            load(pictures, size=500)
        assert kept(pictures, ".pixels") == []

    def test_a_disk_that_is_full_meanwhile_is_the_same_error(
        self, pictures: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("explorer.datasets.decoding.os.fsync", full)
        with pytest.raises(ValueError, match=r"free some space, set NORMSCOPE_CACHE .*or choose a smaller image size"):
            load(pictures)
        assert kept(pictures, ".pixels") == []

    def test_a_cache_that_cannot_be_written_is_a_warning(self, pictures: Path) -> None:
        (pictures.parent / "cache").write_text("a file is in the way")
        with pytest.warns(CacheUnwritable, match="set NORMSCOPE_CACHE to another folder"):
            dataset = load(pictures)
        assert image_of(dataset, "red/04.png")[:, 0, 0].tolist() == [255, 4, 4]


class TestLayout:
    def test_the_splits_are_slices_of_one_file(self, pictures: Path) -> None:
        splits = load(pictures).splits
        (pixels,) = kept(pictures, ".pixels")
        everything = np.concatenate([splits[name].images.numpy() for name in SPLITS])
        assert pixels.read_bytes() == everything.tobytes()
        assert len({split.images.untyped_storage().data_ptr() for split in splits.values()}) == 1

    def test_splits_change_their_places_when_pictures_cannot_be_read(self, pictures: Path) -> None:
        """The images held out are those of the data set without the unreadable files, whatever was planned before."""
        for number in range(0, 20, 3):
            (pictures / "red" / f"{number:02d}.png").write_bytes(b"bad")
        with pytest.warns(ImageSkipped, match="7 file"):
            found = load(pictures)
        for number in range(0, 20, 3):
            (pictures / "red" / f"{number:02d}.png").unlink()
        wanted = load(pictures, cache_root=pictures.parent / "other")
        assert {name: split.ids for name, split in found.splits.items()} == {
            name: split.ids for name, split in wanted.splits.items()
        }
        assert same_images(found, wanted)
        assert found.fingerprint == wanted.fingerprint

    @pytest.mark.parametrize("seed", range(5))
    def test_images_are_rearranged_in_place(self, tmp_path: Path, seed: int) -> None:
        rng = np.random.default_rng(seed)
        images, sources = rng.integers(0, 256, (9, 12), dtype=np.uint8), rng.permutation(9)
        (tmp_path / "pixels").write_bytes(images.tobytes())
        _rearrange(tmp_path / "pixels", 2, sources)
        assert (tmp_path / "pixels").read_bytes() == images[sources].tobytes()


class TestTogether:
    def test_threads_that_want_the_same(self, pictures: Path) -> None:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: load(pictures, quiet=True), range(4)))
        assert len({dataset.fingerprint for dataset in found}) == 1
        assert all(same_images(found[0], other) for other in found)
        assert len(kept(pictures, ".pixels")) == 1

    def test_processes_that_want_the_same(self, pictures: Path) -> None:
        program = (
            "import sys; from pathlib import Path; from explorer.datasets import load_dataset\n"
            "print(load_dataset(f'folder:{sys.argv[1]}', size=8, cache_root=Path(sys.argv[2])).fingerprint)"
        )
        command = [sys.executable, "-c", program, str(pictures), str(pictures.parent / "cache")]
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        said = {process.communicate()[0].strip() for process in running}
        assert said == {load(pictures).fingerprint}
        assert len(kept(pictures, ".pixels")) == 1


class TestProgress:
    def test_the_bar_goes_to_stderr_only_while_decoding(
        self, pictures: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        load(pictures)
        first = capfd.readouterr()
        load(pictures)
        assert "pictures: decoding" in first.err
        assert first.out == ""
        assert "decoding" not in capfd.readouterr().err

    def test_quiet_is_quiet(self, pictures: Path, capfd: pytest.CaptureFixture[str]) -> None:
        load(pictures, quiet=True)
        assert capfd.readouterr() == ("", "")
