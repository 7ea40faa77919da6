"""Every augmentation against pictures worked by hand."""

from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from train.augment import AUGMENTATIONS

HAND = {  # image -> the only other picture it may become
    "flip_horizontal": ([[1, 2, 3], [4, 5, 6], [7, 8, 9]], [[3, 2, 1], [6, 5, 4], [9, 8, 7]]),
    "flip_vertical": ([[1, 2, 3], [4, 5, 6], [7, 8, 9]], [[7, 8, 9], [4, 5, 6], [1, 2, 3]]),
    "transpose": ([[1, 2, 3], [4, 5, 6], [7, 8, 9]], [[1, 4, 7], [2, 5, 8], [3, 6, 9]]),
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def copies(picture: list[list[int]] | np.ndarray, count: int) -> Tensor:
    """A batch of one picture `count` times, each channel 50 brighter than the one before."""
    image = torch.tensor(picture, dtype=torch.uint8)
    return torch.stack([image, image + 50, image + 100]).repeat(count, 1, 1, 1)


def pictures(batch: Tensor) -> list[bytes]:
    """Each image's first channel, to compare; the other channels must have moved with it."""
    assert torch.equal(batch[:, 0] + 50, batch[:, 1])
    assert torch.equal(batch[:, 0] + 100, batch[:, 2])
    return [image.contiguous().numpy().tobytes() for image in batch[:, 0]]


def as_bytes(picture: list[list[int]] | np.ndarray) -> bytes:
    return np.ascontiguousarray(picture, dtype=np.uint8).tobytes()


@pytest.mark.parametrize("name", HAND)
def test_half_of_the_images_become_the_picture_worked_by_hand(name: str) -> None:
    before, after = HAND[name]
    found = pictures(AUGMENTATIONS[name](copies(before, 400), generator()))
    assert set(found) == {as_bytes(before), as_bytes(after)}
    assert 150 < found.count(as_bytes(after)) < 250  # five standard deviations of 400 coins


def test_flips_and_transpose_reach_all_eight_symmetries() -> None:
    picture = np.arange(9).reshape(3, 3)
    turned = [np.rot90(picture, quarter) for quarter in range(4)]
    symmetries = {as_bytes(image) for image in (*turned, *map(np.fliplr, turned))}
    batch, draws = copies(picture, 1600), generator()
    for name in ("flip_horizontal", "flip_vertical", "transpose"):
        batch = AUGMENTATIONS[name](batch, draws)
    found = pictures(batch)
    assert set(found) == symmetries
    assert len(symmetries) == 8


def test_transpose_wants_square_images() -> None:
    with pytest.raises(ValueError, match=r"square images; got \(1, 3, 4, 6\)"):
        AUGMENTATIONS["transpose"](torch.zeros(1, 3, 4, 6, dtype=torch.uint8), generator())


def test_a_row_shifted_by_one_mirrors_its_border() -> None:
    row = [0, 1, 2, 3, 4, 5, 6, 7]
    shifted = AUGMENTATIONS["shift"](copies([row] * 8, 200), generator())
    assert {tuple(image[0, 0].tolist()) for image in shifted} == {
        (1, 0, 1, 2, 3, 4, 5, 6),
        (0, 1, 2, 3, 4, 5, 6, 7),
        (1, 2, 3, 4, 5, 6, 7, 6),
    }


@pytest.mark.parametrize(
    ("name", "share", "height", "width"),
    [("shift", 8, 16, 8), ("shift", 8, 32, 32), ("shift_slightly", 16, 16, 16), ("shift_slightly", 16, 48, 32)],
)
def test_shifts_reach_every_move_up_to_their_share_and_no_further(
    name: str, share: int, height: int, width: int
) -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 150, (height, width), dtype=np.uint8)
    down, right = height // share, width // share
    wide = np.pad(picture, ((down, down), (right, right)), mode="reflect")
    moves = {
        as_bytes(wide[i : i + height, j : j + width]) for i, j in product(range(2 * down + 1), range(2 * right + 1))
    }
    assert set(pictures(AUGMENTATIONS[name](copies(picture, 1000), generator()))) == moves


def test_images_smaller_than_eight_pixels_stay_where_they_are() -> None:
    images = torch.randint(0, 255, (20, 3, 7, 7)).to(torch.uint8)
    assert torch.equal(AUGMENTATIONS["shift"](images, generator()), images)


def test_cutout_blackens_one_square_of_a_quarter_of_the_side() -> None:
    cut = AUGMENTATIONS["cutout"](torch.full((300, 3, 16, 16), 9, dtype=torch.uint8), generator())
    sizes = set()
    for image in cut:
        assert torch.equal(image, image[:1].expand(3, -1, -1))
        rows, columns = (image[0] == 0).nonzero(as_tuple=True)
        height, width = int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1
        assert len(rows) == height * width  # one filled rectangle
        sizes.add((height, width))
    assert max(sizes) == (4, 4)
    assert min(min(size) for size in sizes) >= 2  # the centre is inside, so a border cuts off at most half


def test_brightness_multiplies_each_image_by_one_factor_from_0_8_to_1_2() -> None:
    images = torch.arange(16, 256, 16, dtype=torch.uint8).view(1, 1, 1, -1).repeat(500, 3, 1, 1)
    bright = AUGMENTATIONS["brightness"](images, generator())
    factors = bright[:, 0, 0, 9].double() / 160  # the pixel of 160 stays below 255
    assert 0.79 < factors.min() < 0.82
    assert 1.18 < factors.max() <= 1.2
    wanted = (images.double() * factors.view(-1, 1, 1, 1)).clamp(0, 255)
    assert (bright.double() - wanted).abs().max() <= 2.5  # whole grey levels, and the factor is known to 1 / 160


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("name", AUGMENTATIONS)
class TestEvery:
    def images(self, dtype: torch.dtype) -> Tensor:
        return torch.randint(0, 256, (24, 3, 16, 16), generator=generator(1)).to(dtype)

    def test_keeps_shape_and_dtype_and_leaves_its_input_alone(self, name: str, dtype: torch.dtype) -> None:
        images = self.images(dtype)
        before = images.clone()
        after = AUGMENTATIONS[name](images, generator())
        assert (after.shape, after.dtype) == (images.shape, dtype)
        assert torch.equal(images, before)
        assert not torch.equal(after, before)

    def test_is_fixed_by_the_generator_alone(self, name: str, dtype: torch.dtype) -> None:
        images = self.images(dtype)
        torch.manual_seed(1)
        first = AUGMENTATIONS[name](images, generator(3))
        torch.manual_seed(2)
        assert torch.equal(first, AUGMENTATIONS[name](images, generator(3)))
        assert not torch.equal(first, AUGMENTATIONS[name](images, generator(4)))
