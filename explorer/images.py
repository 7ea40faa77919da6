"""Pictures: safe reading of files, tensors to pictures and back, overlays, contact sheets."""

import io
import zlib
from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional

Pixels = NDArray[np.uint8]

UPLOAD_FORMATS = ("PNG", "JPEG", "WEBP")
FOLDER_FORMATS = (*UPLOAD_FORMATS, "BMP", "TIFF", "GIF")
MOST_PIXELS = 40_000_000  # 40 megapixels: about 300 MB while an RGBA picture is composited

LONGEST_REASON = 160  # characters of what a decoder says; a whole message has at most 300

_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
# How a picture is turned whose EXIF orientation is so much (EXIF 2.32, tag 0x0112; 1 is upright).
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Seventeen evenly spaced colours of matplotlib's `inferno` (Smith and van der Walt 2015, CC0): its lightness only
# rises, so it reads in grey and with every kind of colour blindness.
_ANCHORS = (
    (0, 0, 4),
    (11, 7, 36),
    (33, 12, 74),
    (61, 9, 101),
    (87, 16, 110),
    (113, 25, 110),
    (138, 34, 106),
    (163, 44, 97),
    (188, 55, 84),
    (208, 69, 69),
    (227, 89, 51),
    (241, 113, 31),
    (249, 140, 10),
    (252, 170, 15),
    (249, 201, 50),
    (242, 232, 101),
    (252, 255, 164),
)


class UnreadableImage(ValueError):
    """The bytes are not a picture that can be read safely; the message says why and what to do."""


def read_image(data: bytes, formats: Sequence[str] = UPLOAD_FORMATS, most_pixels: int = MOST_PIXELS) -> Image.Image:
    """An RGB picture, upright, from the bytes of an image file that nobody has checked.

    The size is looked at before a pixel is decoded. EXIF orientation is applied, transparency lies on white, and an
    animation gives its first frame. 16-bit grey is scaled to 8 bits: cameras and X-ray detectors store 10 or 12 bits in
    files of 16, which read as 16 bits would be nearly black. So a picture without a value of 4,096 or more is scaled
    by the bits that its largest value needs, at least 8; one that uses all 16 and is that dark comes out too bright.

    Args:
        data: the file's content.
        formats: Pillow's names of the formats that may be decoded.
        most_pixels: width times height that is still accepted.

    Raises:
        UnreadableImage: not such a picture, damaged, too large, or of a pixel type with no clear 8-bit meaning.
    """
    wanted = _either(formats)
    if not data:
        raise UnreadableImage(f"expected a {wanted} picture, got an empty file (0 bytes); choose another file")
    try:
        with Image.open(io.BytesIO(data), formats=list(formats)) as picture:
            _check_pixels(picture.width, picture.height, most_pixels)
            picture.load()
            return _to_rgb(_upright(picture))
    except UnreadableImage:
        raise
    except Image.UnidentifiedImageError as error:
        came = f"{len(data):,} bytes that are none of these"
        raise UnreadableImage(f"expected a {wanted} picture, got {came}; convert the file to PNG") from error
    except _BOMBS as error:
        raise UnreadableImage(_too_large("more than twice as many", most_pixels)) from error
    except Exception as error:  # damaged bytes make decoders raise anything, and Pillow has no common base for it
        problem = f"a damaged or malicious file ({_short(error)})"
        raise UnreadableImage(f"expected a {wanted} picture, got {problem}; save it again as PNG") from error


def fit(picture: Image.Image, height: int, width: int) -> Tensor:
    """A uint8 tensor (3, height, width): the RGB picture scaled so that it covers the size, its centre cut out.

    Scaling and cutting are one step (antialiased bilinear), so a very long picture never becomes a large one.
    """
    covered = ImageOps.fit(picture, (width, height), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(covered)).permute(2, 0, 1).contiguous()


def to_pixels(image: Tensor) -> Pixels:
    """A uint8 array (H, W, 3) from a uint8 tensor (3, H, W)."""
    if image.ndim != 3 or image.shape[0] != 3 or image.dtype != torch.uint8:
        raise ValueError(f"expected an image (3, H, W) of uint8, got {tuple(image.shape)} of {image.dtype}")
    return np.ascontiguousarray(image.cpu().permute(1, 2, 0).numpy())


@cache
def colour_map() -> Pixels:
    """The colours of heat 0 to 1 as a read-only table (256, 3), dark to bright, readable without colour vision."""
    anchors = np.array(_ANCHORS, dtype=np.float64)
    at, steps = np.linspace(0, 255, len(anchors)).round(), np.arange(256)
    table = np.stack([np.interp(steps, at, channel) for channel in anchors.T], axis=1).round().astype(np.uint8)
    table.flags.writeable = False
    return table


def colours(heatmap: Tensor) -> Pixels:
    """The colour of every pixel of a heatmap (H, W) in [0, 1] as a uint8 array (H, W, 3)."""
    if heatmap.ndim != 2:
        raise ValueError(f"expected one heatmap (H, W), got shape {tuple(heatmap.shape)}; pass one at a time")
    heat = heatmap.detach().cpu().float().numpy()
    if not (np.isfinite(heat).all() and heat.min() >= 0 and heat.max() <= 1):
        raise ValueError("expected a heatmap within [0, 1], got values outside it or not finite; scale it first")
    return colour_map()[np.rint(heat * 255).astype(np.uint8)]


def overlay(image: Tensor, heatmap: Tensor, opacity: float = 0.5) -> Pixels:
    """A uint8 array (H, W, 3): the image with the heatmap's colours over it.

    Each pixel's colour covers `opacity` times its heat, so where there is no heat the image is untouched.

    Args:
        image: uint8 (3, H, W).
        heatmap: (h, w) in [0, 1]; stretched bilinearly if the image has another size.
        opacity: 0 (image only) to 1 (the hottest pixel shows only its colour).
    """
    if not 0 <= opacity <= 1:
        raise ValueError(f"expected an opacity from 0 to 1, got {opacity}")
    if heatmap.ndim == 2 and heatmap.shape != image.shape[1:]:
        size = (int(image.shape[1]), int(image.shape[2]))
        heatmap = functional.interpolate(heatmap[None, None].float(), size, mode="bilinear")[0, 0].clamp(0, 1)
    colour = colours(heatmap).astype(np.float32)
    cover = opacity * heatmap.detach().cpu().float().numpy()[..., None]
    return np.rint((1 - cover) * to_pixels(image) + cover * colour).astype(np.uint8)


def enlarge(pixels: Pixels, side: int) -> Pixels:
    """The array (H, W, 3) with every pixel repeated until the shorter side is at least `side` pixels long."""
    times = max(1, -(-side // min(pixels.shape[:2])))
    return pixels.repeat(times, axis=0).repeat(times, axis=1)


def contact_sheet(tiles: Sequence[Pixels], columns: int) -> Pixels:
    """One uint8 array of all tiles (h, w, 3), row by row, without gaps; what is left of the last row is white.

    Tile i lies at row i // columns, column i % columns. The sheet always has `columns` columns.

    Raises:
        ValueError: no tiles, no columns, or tiles of different sizes.
    """
    if not tiles or columns < 1:
        raise ValueError(f"expected at least one tile and one column, got {len(tiles)} tiles and {columns} columns")
    if len({tile.shape for tile in tiles}) > 1:
        raise ValueError(f"expected tiles of one size, got {sorted({tile.shape for tile in tiles})}; resize them first")
    height, width, channels = tiles[0].shape
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * columns, height, width, channels), 255, dtype=np.uint8)
    sheet[: len(tiles)] = tiles
    grid = sheet.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    return grid.reshape(rows * height, columns * width, channels)


def png_bytes(pixels: Pixels) -> bytes:
    """A PNG file of a uint8 array (H, W, 3), packed fast rather than small; one channel where all three are equal.

    Only runs are looked for: longer repetitions, of which photographs have none, take time and gain nothing.
    """
    grey = bool((pixels == pixels[..., :1]).all())
    file = io.BytesIO()
    picture = Image.fromarray(pixels[..., 0] if grey else pixels)
    picture.save(file, format="PNG", compress_level=1, compress_type=zlib.Z_RLE)
    return file.getvalue()


def jpeg_bytes(pixels: Pixels) -> bytes:
    """A JPEG file of heatmaps (H, W, 3) for the screen: a tenth of a PNG's time and a third of its size.

    At this quality a colour is off by 1 of 255 on average. What people save are PNGs.
    """
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="JPEG", quality=95, subsampling=0)
    return file.getvalue()


def _upright(picture: Image.Image) -> Image.Image:
    """The picture turned by its orientation alone: the rest of EXIF may be damaged and is not looked at."""
    turn = _TURNS.get(picture.getexif().get(_ORIENTATION, 1))
    return picture if turn is None else picture.transpose(turn)


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I;16"):
        return Image.fromarray(_eight_bits(np.asarray(picture))).convert("RGB")
    if picture.mode in ("I", "F"):
        raise UnreadableImage("expected 8 or 16 bits a channel, got 32; save the picture with 8 bits a channel")
    if picture.has_transparency_data:
        coloured = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", coloured.size, "white"), coloured).convert("RGB")
    return picture.convert("RGB")


def _eight_bits(grey: np.ndarray) -> Pixels:
    """Grey of up to 16 bits in 8: all 16 are used where a value is 4,096 or more, else those of the largest value."""
    most = int(grey.max())
    bits = 16 if most >= 4096 else max(8, most.bit_length())
    return np.rint(grey.astype(np.float32) * np.float32(255 / (2**bits - 1))).astype(np.uint8)


def _short(error: Exception) -> str:
    """The first line of what an exception says, or its name, as printable text."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    text = "".join(character if character.isprintable() else "?" for character in line)
    return text if len(text) <= LONGEST_REASON else text[:LONGEST_REASON] + " ..."


def _check_pixels(width: int, height: int, most_pixels: int) -> None:
    if width * height > most_pixels:
        raise UnreadableImage(_too_large(f"{width:,} x {height:,}", most_pixels))


def _too_large(came: str, most_pixels: int) -> str:
    return f"expected at most {most_pixels / 1e6:g} megapixels, got {came} pixels; make the picture smaller"


def _either(formats: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(formats[:-1]), formats[-1])))
