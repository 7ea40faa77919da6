"""Taking images from a file without holding all of them, and their mean and deviation against the definition."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from explorer.datasets import Split, channel_statistics
from explorer.datasets.mapping import MappedFile
from tests.explorer.datasets.painting import load

SHAPE = (20, 3, 4, 4)


def split_of(images: torch.Tensor, file: MappedFile | None = None) -> Split:
    count = len(images)
    ids = tuple(map(str, range(count)))
    return Split(images, torch.zeros(count, dtype=torch.int64), ids, pd.DataFrame(index=range(count)), file)


@pytest.fixture
def noise() -> torch.Tensor:
    return torch.randint(0, 256, SHAPE, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=["memory", "file", "slice of a file"])
def split(request: pytest.FixtureRequest, noise: torch.Tensor, tmp_path: Path) -> Split:
    """The images of `noise`, wherever they lie."""
    if request.param == "memory":
        return split_of(noise)
    before = 5 if request.param == "slice of a file" else 0
    (tmp_path / "pixels").write_bytes(bytes(before * noise[0].numel()) + noise.numpy().tobytes() + b"more" * 12)
    file = MappedFile(tmp_path / "pixels")
    return split_of(file.tensor((before + 21, *SHAPE[1:]))[before : before + 20], file)


class TestTaking:
    @pytest.mark.parametrize("rows", [[3], [19, 0, 7, 7], range(4, 9), torch.tensor([2, 1]), []])
    def test_rows_in_their_order(self, split: Split, noise: torch.Tensor, rows) -> None:
        taken = split.take(rows)
        assert torch.equal(taken, noise[torch.as_tensor(rows, dtype=torch.int64)])
        assert taken.dtype == torch.uint8

    def test_what_is_taken_is_a_copy(self, split: Split, noise: torch.Tensor) -> None:
        split.take([0]).zero_()
        assert torch.equal(split.take([0])[0], noise[0])

    @pytest.mark.parametrize("row", [20, 99])
    def test_a_row_that_there_is_not(self, split: Split, row: int) -> None:
        with pytest.raises(IndexError):
            split.take([row])

    @pytest.mark.parametrize("size", [1, 6, 20, 50])
    def test_batches_are_all_images_in_order(self, split: Split, noise: torch.Tensor, size: int) -> None:
        batches = list(split.batches(size))
        assert torch.equal(torch.cat(batches), noise)
        assert {len(batch) for batch in batches[:-1]} <= {size}

    def test_images_that_replaced_those_of_the_file_count(self, split: Split, noise: torch.Tensor) -> None:
        for other in (noise.flip(0), noise[:, :, ::2]):
            assert torch.equal(split_of(other, split.file).take([0, 3]), other[[0, 3]])

    def test_without_reads_past_the_mapping(
        self, split: Split, noise: torch.Tensor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delattr("os.preadv")
        assert torch.equal(split.take([4, 2]), noise[[4, 2]])

    def test_a_file_that_became_shorter(self, noise: torch.Tensor, tmp_path: Path) -> None:
        (tmp_path / "pixels").write_bytes(noise.numpy().tobytes())
        file = MappedFile(tmp_path / "pixels")
        split = split_of(file.tensor(SHAPE), file)
        (tmp_path / "pixels").write_bytes(b"short")
        with pytest.raises(OSError, match="shorter while it was open"):
            split.take([7])

    def test_a_file_that_was_replaced_stays_as_it_was(self, noise: torch.Tensor, tmp_path: Path) -> None:
        (tmp_path / "pixels").write_bytes(noise.numpy().tobytes())
        file = MappedFile(tmp_path / "pixels")
        split = split_of(file.tensor(SHAPE), file)
        (tmp_path / "other").write_bytes(b"short")
        (tmp_path / "other").replace(tmp_path / "pixels")
        assert torch.equal(split.take(range(20)), noise)
        assert torch.equal(split.images, noise)

    def test_the_images_of_a_data_set(self, pictures: Path) -> None:
        for split in load(pictures).splits.values():
            assert split.file is not None
            assert split.file.holds(split.images)
            assert torch.equal(split.take(range(len(split.ids))), split.images)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="counts resident pages as Linux does")
def test_images_larger_than_what_stays_in_memory(tmp_path: Path) -> None:
    """A file without blocks on disk, 400 MB of zeros: reading all of it leaves next to nothing of it in memory."""
    count, image = 10_000, 3 * 116**2
    with (tmp_path / "pixels").open("wb") as file:
        file.truncate(count * image)
    mapped = MappedFile(tmp_path / "pixels")
    split = split_of(mapped.tensor((count, 3, 116, 116)), mapped)

    def resident() -> int:
        return 4096 * int(Path("/proc/self/statm").read_text().split()[1])

    before = resident()
    assert sum(int(batch.sum()) for batch in split.batches(100)) == 0
    assert resident() - before < 100_000_000


class TestStatistics:
    def test_against_the_definition(self, split: Split, noise: torch.Tensor) -> None:
        means, deviations = channel_statistics(split)
        for channel in range(3):
            values = noise[:, channel].numpy().astype(np.float64) / 255
            assert means[channel] == pytest.approx(values.mean(), abs=1e-9)
            assert deviations[channel] == pytest.approx(values.std(ddof=1), abs=1e-9)

    def test_many_images_of_channels_that_differ(self) -> None:
        images = torch.zeros(200, 3, 5, 5, dtype=torch.uint8)
        images[:, 1] = 255
        images[:100, 2] = 255
        means, deviations = channel_statistics(split_of(images))
        assert means == pytest.approx((0, 1, 0.5))
        assert deviations == pytest.approx((0, 0, 0.5 * (5000 / 4999) ** 0.5))

    def test_a_single_pixel_has_no_deviation(self) -> None:
        assert channel_statistics(split_of(torch.full((1, 3, 1, 1), 51, dtype=torch.uint8)))[1] == (0, 0, 0)
