"""What a data set is called, what tells it from others, and how it is found again."""

import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from explorer.datasets import DATASETS, DatasetMissing, ImageSkipped, find_dataset, load_dataset, stamp
from explorer.datasets.loading import check_dataset_name
from tests.explorer.datasets.painting import COLOURS, image_of, load, paint


@pytest.fixture
def bitmaps(tmp_path: Path) -> Path:
    """Three classes of 20 pictures as BMP files, whose bytes no version of a library changes."""
    for name in COLOURS:
        paint(tmp_path / "pictures" / name, 20, size=(4, 4), suffix=".bmp")
    return tmp_path / "pictures"


class TestFingerprint:
    def test_it_is_the_same_on_every_machine(self, bitmaps: Path) -> None:
        assert load(bitmaps).fingerprint == "b94beefa514cf112"

    def test_the_image_size_is_not_in_it(self, pictures: Path) -> None:
        assert load(pictures, size=8).fingerprint == load(pictures, size=6).fingerprint

    def test_neither_place_nor_date_is_in_it(self, pictures: Path) -> None:
        before = load(pictures).fingerprint
        moved = Path(shutil.copytree(pictures, pictures.parent / "below" / "moved", copy_function=shutil.copyfile))
        os.utime(moved / "red" / "00.png", (0, 0))
        assert load(moved).fingerprint == before

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

    def test_a_name_changes_it(self, pictures: Path) -> None:
        before = load(pictures).fingerprint
        (pictures / "red" / "00.png").rename(pictures / "red" / "99.png")
        assert load(pictures).fingerprint != before

    def test_a_class_name_changes_it(self, pictures: Path) -> None:
        before = load(pictures).fingerprint
        (pictures / "red").rename(pictures / "rot")
        assert load(pictures).fingerprint != before

    def test_a_split_changes_it(self, tmp_path: Path) -> None:
        for split, count in (("train", 5), ("val", 4), ("test", 3)):
            for name in ("red", "blue"):
                paint(tmp_path / "given" / split / name, count)
        before = load(tmp_path / "given").fingerprint
        shutil.move(tmp_path / "given/test", tmp_path / "given/other")
        shutil.move(tmp_path / "given/val", tmp_path / "given/test")
        shutil.move(tmp_path / "given/other", tmp_path / "given/val")
        assert load(tmp_path / "given").fingerprint != before

    def test_hidden_files_litter_and_unreadable_files_are_not_in_it(self, pictures: Path) -> None:
        before = load(pictures).fingerprint
        (pictures / "red" / ".DS_Store").write_bytes(b"x")
        (pictures / "red" / "notes.txt").write_bytes(b"x")
        with pytest.warns(ImageSkipped):
            assert load(pictures).fingerprint == before


class TestStamp:
    def test_it_is_that_of_the_loaded_data_set(self, pictures: Path) -> None:
        assert stamp(f"folder:{pictures}") == load(pictures).stamp

    @pytest.mark.parametrize("change", ["bytes", "added", "removed", "renamed", "date", "unreadable name"])
    def test_it_notices(self, pictures: Path, change: str) -> None:
        before = stamp(f"folder:{pictures}")
        path = pictures / "red" / "00.png"
        if change == "bytes":
            path.write_bytes(path.read_bytes() + b"1")
        elif change == "added":
            shutil.copy2(path, path.with_name("new.png"))
        elif change == "removed":
            path.unlink()
        elif change == "renamed":
            path.rename(path.with_name("new.png"))
        elif change == "date":
            os.utime(path, (0, 0))
        else:
            shutil.copy2(path, path.with_name(os.fsdecode(b"\xe9.png")))
        assert stamp(f"folder:{pictures}") not in (before, None)

    def test_it_reads_no_picture(self, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("explorer.datasets.folder.Files.read", None)
        assert stamp(f"folder:{pictures}") == stamp(f"folder:{pictures}")

    def test_it_is_none_where_nothing_is(self, tmp_path: Path) -> None:
        assert stamp(f"folder:{tmp_path}/nowhere") is None
        assert stamp("cifar10", data_root=tmp_path, cache_root=tmp_path) is None
        assert stamp("no such data set") is None

    def test_a_change_is_seen_at_the_next_load(self, pictures: Path) -> None:
        first = load(pictures)
        Image.new("RGB", (12, 10), (1, 2, 3)).save(pictures / "red" / "00.png")
        assert stamp(first.location) != first.stamp
        second = load(pictures)
        assert stamp(second.location) == second.stamp
        assert second.fingerprint != first.fingerprint
        assert image_of(second, "red/00.png")[:, 0, 0].tolist() == [1, 2, 3]
        assert image_of(first, "red/00.png")[:, 0, 0].tolist() == [255, 0, 0]


class TestNames:
    def test_one_location_however_it_is_spelled(self, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (pictures.parent / "link").symlink_to(pictures)
        monkeypatch.chdir(pictures / "red")
        monkeypatch.setenv("HOME", str(pictures.parent))
        spellings = (pictures, f"{pictures}/", "..", "../../pictures", "../../link", "~/pictures", f"{pictures}/red/..")
        found = [load_dataset(f"folder:{one}", size=8, cache_root=pictures.parent / "cache") for one in spellings]
        assert {(dataset.location, dataset.name) for dataset in found} == {(f"folder:{pictures}", "pictures")}

    def test_a_name_can_be_given(self, pictures: Path) -> None:
        dataset = load(pictures, name="birds of 2024 [1]")
        assert (dataset.name, dataset.location) == ("birds of 2024 [1]", f"folder:{pictures}")

    @pytest.mark.parametrize("name", ["", "  ", "a/b", "a\nb", "a\x1bb", "a\udcffb", ".", ".."])
    def test_names_that_are_refused(self, pictures: Path, name: str) -> None:
        with pytest.raises(ValueError, match=r"without '/' and control characters.*--dataset-name") as caught:
            load(pictures, name=name)
        str(caught.value).encode()
        with pytest.raises(ValueError, match="without '/'"):
            check_dataset_name(name)

    def test_the_root_of_all_folders_needs_a_name(self) -> None:
        with pytest.raises(ValueError, match="got ''; give it one"):
            load_dataset("folder:/")

    @pytest.mark.parametrize("location", ["mnist", "", "folder", "folder:", "elpv:x"])
    def test_an_unknown_location_lists_the_known_ones(self, location: str) -> None:
        with pytest.raises(ValueError, match=r"unknown data set .*expected one of: elpv, cifar10, folder:PATH"):
            load_dataset(location)

    @pytest.mark.parametrize("location", ["elpv", "cifar10", "folder:PATH"])
    @pytest.mark.parametrize("size", [0, -3, 1025])
    def test_a_wrong_size_is_an_error(self, location: str, size: int) -> None:
        with pytest.raises(ValueError, match=f"size from 1 to 1024 pixels, got {size}"):
            load_dataset(location, size=size)

    def test_the_registry_is_in_order(self) -> None:
        assert list(DATASETS) == ["elpv", "cifar10", "folder:PATH"]


class TestFinding:
    @pytest.fixture
    def moved(self, pictures: Path) -> tuple[str, str, Path]:
        """The location and the fingerprint that `pictures` had before it went to `elsewhere/pictures`."""
        before = load(pictures)
        (pictures.parent / "elsewhere").mkdir()
        pictures.rename(pictures.parent / "elsewhere" / "pictures")
        return before.location, before.fingerprint, pictures.parent / "elsewhere"

    def find(self, location: str, name: str, fingerprint: str | None, root: Path) -> str:
        """The location of what is found."""
        found = find_dataset(location, name, fingerprint, size=8, data_root=root, cache_root=root.parent / "cache")
        assert found.name == name
        return found.location

    def test_where_it_was(self, pictures: Path, tmp_path: Path) -> None:
        before = load(pictures)
        assert self.find(before.location, "birds", before.fingerprint, tmp_path / "none") == before.location
        assert self.find(before.location, "birds", None, tmp_path / "none") == before.location

    def test_by_the_last_part_of_its_location(self, moved: tuple[str, str, Path]) -> None:
        location, fingerprint, root = moved
        for known in (fingerprint, None):
            assert self.find(location, "birds", known, root) == f"folder:{root}/pictures"

    def test_by_its_name(self, moved: tuple[str, str, Path]) -> None:
        location, fingerprint, root = moved
        (root / "pictures").rename(root / "birds")
        for known in (fingerprint, None):
            assert self.find(location, "birds", known, root) == f"folder:{root}/birds"

    def test_as_the_data_root(self, moved: tuple[str, str, Path]) -> None:
        location, fingerprint, root = moved
        for known in (fingerprint, None):
            assert self.find(location, "birds", known, root / "pictures") == f"folder:{root}/pictures"

    def test_from_the_environment(self, moved: tuple[str, str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
        location, fingerprint, root = moved
        monkeypatch.setenv("NORMSCOPE_DATA", str(root))
        found = find_dataset(location, "birds", fingerprint, size=8, cache_root=root.parent / "cache")
        assert found.location == f"folder:{root}/pictures"

    def test_without_a_location(self, moved: tuple[str, str, Path]) -> None:
        _, fingerprint, root = moved
        assert self.find("", "pictures", fingerprint, root) == f"folder:{root}/pictures"

    def test_the_fingerprint_decides(self, moved: tuple[str, str, Path]) -> None:
        location, fingerprint, root = moved
        for name in COLOURS:
            paint(root / "birds" / name, 6)
        assert self.find(location, "birds", fingerprint, root) == f"folder:{root}/pictures"
        assert self.find(location, "birds", None, root) == f"folder:{root}/birds"

    def test_other_images_at_the_location_give_way_to_the_right_ones(self, moved: tuple[str, str, Path]) -> None:
        location, fingerprint, root = moved
        for name in COLOURS:
            paint(Path(location.removeprefix("folder:")) / name, 6)
        assert self.find(location, "birds", fingerprint, root) == f"folder:{root}/pictures"

    def test_changed_images_are_better_than_none(self, pictures: Path, tmp_path: Path) -> None:
        before = load(pictures)
        (pictures / "red" / "00.png").unlink()
        found = find_dataset(
            before.location, "birds", before.fingerprint, size=8, data_root=tmp_path, cache_root=tmp_path / "cache"
        )
        assert found.location == before.location
        assert found.fingerprint != before.fingerprint

    def test_other_images_elsewhere_are_not_taken(self, moved: tuple[str, str, Path]) -> None:
        location, _, root = moved
        with pytest.raises(DatasetMissing) as caught:
            self.find(location, "birds", "0123456789abcdef", root)
        said = str(caught.value)
        assert "the images of 'birds' were not found: no folder" in said
        assert f"{root}, {root}/birds, {root}/pictures" in said
        assert "--data-root" in said
        assert "NORMSCOPE_DATA" in said
        assert "\n" not in said

    def test_a_built_in_data_set_is_only_where_it_is(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetMissing, match=r"cifar10 is not in .*--download"):
            find_dataset("cifar10", "cifar10", None, size=8, data_root=tmp_path, cache_root=tmp_path)

    def test_a_name_cannot_leave_the_data_root(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="without '/'"):
            find_dataset("folder:/x", "../../etc", None, size=8, data_root=tmp_path)


def test_the_default_places_are_those_of_the_project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From another working directory the same data set is found, and nothing is written there."""
    for variable in ("NORMSCOPE_DATA", "NORMSCOPE_CACHE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("explorer.places._project", lambda: tmp_path / "project")
    with pytest.raises(DatasetMissing, match="cifar10 is not in ") as caught:
        load_dataset("cifar10")
    assert f"not in {tmp_path / 'project' / 'data'};" in str(caught.value)


def test_facts_of_many_images_are_cheap_and_empty(pictures: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = load(pictures)
    for split in dataset.splits.values():
        assert split.facts.shape == (len(split.ids), 0)
        assert split.labels.dtype.is_floating_point is False
        assert np.array_equal(split.facts.index, np.arange(len(split.ids)))
