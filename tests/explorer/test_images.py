"""Pictures: what reading must survive, and overlays and sheets against pixels worked out by hand."""

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from explorer.images import (
    FOLDER_FORMATS,
    UnreadableImage,
    colour_map,
    colours,
    contact_sheet,
    enlarge,
    fit,
    jpeg_bytes,
    overlay,
    png_bytes,
    read_image,
    to_pixels,
)


def encoded(picture: Image.Image, file_format: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, format=file_format, **options)
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def handmade_png(width: int, height: int, *extra: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(4 * height)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + pixels + chunk(b"IEND", b"")


def noise(height: int, width: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


# Reading -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
def test_reads_the_formats_of_uploads(file_format):
    picture = read_image(encoded(noise(12, 9), file_format))
    assert (picture.mode, picture.size) == ("RGB", (9, 12))


@pytest.mark.parametrize("file_format", ["BMP", "TIFF", "GIF"])
def test_reads_other_formats_only_when_asked(file_format):
    data = encoded(Image.new("RGB", (5, 4), (255, 0, 0)), file_format)
    with pytest.raises(UnreadableImage, match="expected a PNG, JPEG or WEBP picture"):
        read_image(data)
    assert read_image(data, FOLDER_FORMATS).getpixel((2, 2)) == (255, 0, 0)


def test_png_pixels_come_back_exactly():
    picture = noise(7, 5)
    assert np.array_equal(np.asarray(read_image(encoded(picture))), np.asarray(picture))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"got an empty file \(0 bytes\)"),
        (b"just some text, not a picture\n" * 20, "600 bytes that are none of these"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "none of these"),
        (encoded(noise(64, 64))[:2000], "damaged or malicious file .*truncated"),
        (encoded(noise(64, 64), "JPEG")[:1500], "damaged or malicious file .*truncated"),
        (encoded(noise(64, 64), "WEBP")[:2000], "expected a PNG, JPEG or WEBP picture"),
        (handmade_png(4, 1, chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(8_000_000)))), "damaged or malicious"),
        (handmade_png(4, 1, chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(8_000_000)))), "damaged or malicious"),
    ],
    ids=["empty", "text", "svg", "cut-png", "cut-jpeg", "cut-webp", "ztxt-bomb", "icc-bomb"],
)
def test_refuses_with_what_was_wanted_and_what_came(data, message):
    with pytest.raises(UnreadableImage, match=message):
        read_image(data)


@pytest.mark.parametrize(
    ("side", "came"), [(30_000, "more than twice as many"), (12_000, "more than"), (7_000, "7,000 x 7,000")]
)
def test_refuses_a_header_that_claims_too_many_pixels(side, came):
    with pytest.raises(UnreadableImage, match=f"expected at most 40 megapixels, got {came}"):
        read_image(handmade_png(side, side))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_refuses_what_pillow_only_warns_of():
    with pytest.raises(UnreadableImage, match="got 12,000 x 12,000 pixels; make the picture smaller"):
        read_image(handmade_png(12_000, 12_000))


def test_the_pixel_limit_includes_its_own_value():
    data = encoded(noise(10, 10))
    assert read_image(data, most_pixels=100).size == (10, 10)
    with pytest.raises(UnreadableImage, match="10 x 10"):
        read_image(data, most_pixels=99)


def test_16_bit_grey_is_scaled_not_clipped():
    grey = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
    picture = read_image(encoded(Image.fromarray(grey)))
    assert np.asarray(picture)[0].tolist() == [[0, 0, 0], [1, 1, 1], [128, 128, 128], [255, 255, 255]]


@pytest.mark.parametrize(
    ("grey", "wanted"),
    [
        ([0, 2048, 4095], [0, 128, 255]),  # 12 bits: 2048 * 255 / 4095 = 127.53
        ([0, 512, 1023], [0, 128, 255]),  # 10 bits: 512 * 255 / 1023 = 127.62
        ([0, 600, 700], [0, 150, 174]),  # 10 bits, though the brightest is not white: 149.56, 174.49
        ([0, 128, 255], [0, 128, 255]),  # 8 bits
        ([0, 1, 3], [0, 1, 3]),  # never fewer than 8: what is almost black stays so
        ([0, 0, 0], [0, 0, 0]),
        ([0, 2048, 4096], [0, 8, 16]),  # 16 bits
        ([0, 32896, 65535], [0, 128, 255]),
    ],
)
@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_grey_is_scaled_by_the_bits_that_it_uses(grey, wanted, file_format):
    data = encoded(Image.fromarray(np.array([grey], dtype=np.uint16)), file_format)
    assert np.asarray(read_image(data, FOLDER_FORMATS))[0].T.tolist() == [wanted] * 3


def test_32_bit_pixels_are_refused():
    data = encoded(Image.new("F", (3, 3), 0.5), "TIFF")
    with pytest.raises(UnreadableImage, match="expected 8 or 16 bits a channel, got 32"):
        read_image(data, FOLDER_FORMATS)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
def test_exif_orientation_is_applied(file_format):
    stored = Image.new("RGB", (16, 8), "black")
    stored.paste((255, 255, 255), (0, 0, 8, 8))  # left half white
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side: turn it a quarter clockwise to see it
    picture = read_image(encoded(stored, file_format, exif=exif))
    assert picture.size == (8, 16)
    pixels = np.asarray(picture)
    assert pixels[2, 4, 0] > 250
    assert pixels[13, 4, 0] < 5


def test_transparency_lies_on_white():
    picture = Image.new("RGBA", (3, 1))
    picture.putdata([(255, 0, 0, 255), (255, 0, 0, 0), (0, 0, 0, 51)])
    pixels = np.asarray(read_image(encoded(picture)))[0]
    assert pixels.tolist() == [[255, 0, 0], [255, 255, 255], [204, 204, 204]]  # 255 * (1 - 51 / 255)


def test_palette_and_its_transparent_colour():
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.putdata([0, 1])
    assert np.asarray(read_image(encoded(picture)))[0].tolist() == [[10, 20, 30], [200, 100, 50]]
    clear = np.asarray(read_image(encoded(picture, transparency=1)))[0]
    assert clear.tolist() == [[10, 20, 30], [255, 255, 255]]
    partly = np.asarray(read_image(encoded(picture, transparency=bytes([255, 0]))))[0]
    assert partly.tolist() == [[10, 20, 30], [255, 255, 255]]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "CMYK"])
def test_other_modes_become_rgb(mode):
    file_format = "TIFF" if mode == "CMYK" else "PNG"
    picture = read_image(encoded(Image.new("RGB", (3, 2), "white").convert(mode), file_format), FOLDER_FORMATS)
    assert (picture.mode, picture.getpixel((1, 1))) == ("RGB", (255, 255, 255))


@pytest.mark.parametrize(("file_format", "formats"), [("WEBP", ("WEBP",)), ("PNG", ("PNG",)), ("GIF", ("GIF",))])
def test_an_animation_gives_its_first_frame(file_format, formats):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if file_format == "WEBP" else {}
    data = encoded(frames[0], file_format, save_all=True, append_images=frames[1:], duration=100, **options)
    assert read_image(data, formats).getpixel((4, 4)) == (255, 0, 0)


# Damaged and hostile files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (MemoryError(), "(MemoryError)"),
        (AttributeError("'IFDRational' object has no attribute 'encode'"), "('IFDRational' object has no attribute"),
        (RecursionError("maximum recursion depth exceeded"), "(maximum recursion depth exceeded)"),
        (RuntimeError("x" * 5000), "x ...)"),
        (OSError("first line.\nsecond line"), "(first line)"),
        (ValueError("a\x1bb"), "(a?b)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_a_decoder_raises_is_one_short_line(monkeypatch, raised, said):
    def fail(*_, **__):
        raise raised

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(UnreadableImage) as caught:
        read_image(b"x")
    assert said in str(caught.value)
    assert len(str(caught.value)) <= 300
    assert str(caught.value).isprintable()


def exif_of(*entries: tuple[int, int, int, bytes], data: bytes = b"") -> bytes:
    """EXIF of these (tag, type, count, four bytes of value or offset), then `data` at offset 8 + 2 + 12 n + 4."""
    table = b"".join(struct.pack("<HHI4s", tag, kind, count, value) for tag, kind, count, value in entries)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + table + bytes(4) + data


TURNED = (0x0112, 3, 1, b"\x06\0\0\0")  # orientation 6: lies on its side


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
def test_a_tag_of_the_wrong_type_does_not_keep_a_picture_from_being_turned(file_format):
    """To write this EXIF anew, as Pillow does to take the orientation out of it, raises an AttributeError."""
    make = (0x010F, 5, 1, struct.pack("<I", 8 + 2 + 2 * 12 + 4))  # the camera's maker as a fraction
    picture = Image.new("RGB", (16, 8), "black")
    data = encoded(picture, file_format, exif=exif_of(make, TURNED, data=struct.pack("<II", 1, 3)))
    assert read_image(data).size == (8, 16)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_are_those_of_pillow(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(noise(5, 7), "PNG", exif=exif)
    with Image.open(io.BytesIO(data)) as stored:
        wanted = ImageOps.exif_transpose(stored)
    assert np.array_equal(np.asarray(read_image(data)), np.asarray(wanted))


def test_a_tiff_is_turned_once():
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = noise(5, 7)
    found = read_image(encoded(stored, "TIFF", exif=exif), FOLDER_FORMATS)
    assert np.array_equal(np.asarray(found), np.asarray(stored.transpose(Image.Transpose.ROTATE_270)))


def flipped(data: bytes, rng: np.random.Generator) -> bytes:
    """A few bits of the first 300 bytes, where headers are, are flipped."""
    changed = bytearray(data)
    for at in rng.integers(0, min(len(data), 300), size=rng.integers(1, 6)):
        changed[at] ^= 1 << rng.integers(8)
    return bytes(changed)


def truncated(data: bytes, rng: np.random.Generator) -> bytes:
    """The file ends somewhere, sometimes with other bytes after that."""
    return data[: rng.integers(1, len(data))] + rng.bytes(int(rng.choice([0, 0, 40])))


def with_a_hole(data: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes are cut out, doubled or made zero."""
    start, length = int(rng.integers(0, len(data))), int(rng.integers(1, 40))
    between = [b"", 2 * data[start : start + length], bytes(length)][rng.integers(3)]
    return data[:start] + between + data[start + length :]


def with_another_length(data: bytes, rng: np.random.Generator) -> bytes:
    """A field of two or four bytes holds an extreme: lengths of chunks, counts of entries, offsets, widths."""
    size, order = int(rng.choice([2, 4])), str(rng.choice(["little", "big"]))
    number = int(rng.choice([0, 1, 2**15, 2 ** (8 * size - 1), 2 ** (8 * size) - 1, len(data)])) % 2 ** (8 * size)
    start = rng.integers(0, min(len(data) - size, 200))
    return data[:start] + number.to_bytes(size, order) + data[start + size :]


def with_a_chunk(data: bytes, rng: np.random.Generator) -> bytes:
    """A PNG has one more chunk, whole but of nonsense; other files have its bytes after their first twelve."""
    kind = rng.choice([b"eXIf", b"iCCP", b"zTXt", b"iTXt", b"tRNS", b"gAMA", b"pHYs", b"acTL", b"fcTL", b"PLTE"])
    at = 33 if data.startswith(b"\x89PNG") else 12
    return data[:at] + chunk(bytes(kind), rng.bytes(int(rng.integers(0, 60)))) + data[at:]


def exif_garbage(rng: np.random.Generator) -> bytes:
    """EXIF whose entries have known tags and any type, count and value, which points into it, or nowhere."""
    tags = [0x0112, 0x010F, 0x0132, 0x8769, 0x8825, 0x927C, 0x9286, 0xA005, 0x011A, 0x02BC, 0x0201]
    entries: list[tuple[int, int, int, bytes]] = [TURNED]
    for tag in rng.choice(tags, size=rng.integers(1, 8)):
        kind, count = int(rng.integers(0, 14)), int(rng.choice([0, 1, 2, 5, 60, 2**31]))
        entries.append((int(tag), kind, count, struct.pack("<I", rng.choice([0, 8, 20, 50, 100, 2**31]))))
    return exif_of(*(entries[at] for at in rng.permutation(len(entries))), data=rng.bytes(60))


MUTATIONS = (flipped, truncated, with_a_hole, with_another_length, with_a_chunk)


def survives(data: bytes) -> str:
    """`RGB`, or `refused`, once it is sure that this was said in one short line."""
    try:
        return read_image(data, FOLDER_FORMATS).mode
    except UnreadableImage as error:
        message = str(error)
    assert len(message) <= 300
    assert message.isprintable()
    return "refused"


@pytest.mark.filterwarnings("ignore")  # Pillow tells of metadata it cannot read
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_damaged_files_are_read_or_refused(mutation):
    rng = np.random.default_rng(0)
    exif = exif_of(TURNED)
    whole = [encoded(noise(12, 9), name) for name in FOLDER_FORMATS]
    whole += [encoded(noise(12, 9), name, exif=exif) for name in ("PNG", "JPEG", "WEBP", "TIFF")]
    whole += [encoded(Image.fromarray(np.full((9, 9), 900, np.uint16)), name) for name in ("PNG", "TIFF")]
    whole += [encoded(noise(12, 9).convert("P"), "GIF", transparency=3), encoded(noise(12, 9).convert("LA"))]
    outcomes = {survives(mutation(data, rng)) for _ in range(120) for data in whole}
    assert outcomes == {"RGB", "refused"}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
def test_garbage_in_exif_is_read_or_refused(file_format):
    rng, picture = np.random.default_rng(0), noise(12, 9)
    outcomes = {survives(encoded(picture, file_format, exif=exif_garbage(rng))) for _ in range(300)}
    assert "RGB" in outcomes


# Tensors and pictures ----------------------------------------------------------------------------------------------


def test_fit_keeps_the_size_it_already_has():
    picture = noise(6, 8)
    image = fit(picture, 6, 8)
    assert (image.dtype, tuple(image.shape)) == (torch.uint8, (3, 6, 8))
    assert np.array_equal(image.permute(1, 2, 0).numpy(), np.asarray(picture))


def test_fit_cuts_the_centre():
    wide = Image.new("RGB", (12, 4), "black")
    wide.paste((255, 255, 255), (4, 0, 8, 4))
    assert (fit(wide, 4, 4) == 255).all()
    assert (fit(wide.transpose(Image.Transpose.ROTATE_90), 4, 4) == 255).all()


def test_fit_is_scaling_then_cutting():
    picture = noise(16, 48)
    scaled = picture.resize((12, 4), Image.Resampling.BILINEAR)
    assert np.array_equal(to_pixels(fit(picture, 4, 4)), np.asarray(scaled.crop((4, 0, 8, 4))))


def test_fit_survives_a_picture_one_pixel_high():
    assert tuple(fit(Image.new("RGB", (1_000_000, 1)), 32, 32).shape) == (3, 32, 32)


def test_to_pixels_wants_an_image():
    with pytest.raises(ValueError, match=r"expected an image \(3, H, W\) of uint8, got \(2, 2\) of torch.float32"):
        to_pixels(torch.zeros(2, 2))


# Heat --------------------------------------------------------------------------------------------------------------


def test_colour_map_is_close_to_inferno():
    matplotlib = pytest.importorskip("matplotlib")
    wanted = np.array(matplotlib.colormaps["inferno"].colors) * 255
    assert np.abs(colour_map() - wanted).max() < 7


def test_colour_map_only_gets_lighter():
    luminance = colour_map() @ np.array([0.2126, 0.7152, 0.0722])
    assert colour_map().shape == (256, 3)
    assert (np.diff(luminance) > -0.5).all()
    assert luminance[0] < 2
    assert luminance[-1] > 240


def test_colours_look_heat_up():
    found = colours(torch.tensor([[0.0, 0.5, 1.0]]))
    assert found[0].tolist() == [colour_map()[step].tolist() for step in (0, 128, 255)]


@pytest.mark.parametrize("value", [float("nan"), -0.1, 1.1])
def test_colours_refuse_what_is_no_heat(value):
    with pytest.raises(ValueError, match="within"):
        colours(torch.full((2, 2), value))


def test_overlay_covers_each_pixel_by_its_heat():
    image = torch.full((3, 1, 3), 100, dtype=torch.uint8)
    shown = overlay(image, torch.tensor([[0.0, 128 / 255, 1.0]]), opacity=0.5)
    middle, hottest = colour_map()[128].astype(float), colour_map()[255].astype(float)
    cover = 0.5 * 128 / 255
    assert shown.dtype == np.uint8
    assert shown[0, 0].tolist() == [100, 100, 100]
    assert shown[0, 1].tolist() == np.rint((1 - cover) * 100 + cover * middle).tolist()
    assert shown[0, 2].tolist() == np.rint(0.5 * 100 + 0.5 * hottest).tolist()


def test_overlay_at_the_ends_of_opacity():
    image, heatmap = fit(noise(4, 4), 4, 4), torch.ones(4, 4)
    assert np.array_equal(overlay(image, heatmap, 0.0), to_pixels(image))
    assert np.array_equal(overlay(image, heatmap, 1.0), colours(heatmap))
    with pytest.raises(ValueError, match="opacity"):
        overlay(image, heatmap, 1.5)


def test_overlay_stretches_a_smaller_heatmap():
    shown = overlay(torch.zeros(3, 8, 8, dtype=torch.uint8), torch.tensor([[0.0, 1.0], [0.0, 1.0]]), 1.0)
    assert shown.shape == (8, 8, 3)
    assert shown[0, 0].tolist() == [0, 0, 0]
    assert shown[0, -1].tolist() == colour_map()[-1].tolist()


# Sheets ------------------------------------------------------------------------------------------------------------


def test_enlarge_repeats_pixels():
    small = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    large = enlarge(small, 5)
    assert large.shape == (6, 6, 3)
    assert (large[:3, :3] == small[0, 0]).all()
    assert (large[3:, 3:] == small[1, 1]).all()
    assert enlarge(large, 5).shape == (6, 6, 3)


def test_contact_sheet_lays_tiles_row_by_row():
    tiles = [np.full((2, 3, 3), value, dtype=np.uint8) for value in (10, 20, 30)]
    sheet = contact_sheet(tiles, columns=2)
    assert sheet[:, :, 0].tolist() == [[10] * 3 + [20] * 3] * 2 + [[30] * 3 + [255] * 3] * 2


def test_contact_sheet_refuses_what_it_cannot_lay():
    tile = np.zeros((2, 2, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match="got 0 tiles"):
        contact_sheet([], 3)
    with pytest.raises(ValueError, match="0 columns"):
        contact_sheet([tile], 0)
    with pytest.raises(ValueError, match="tiles of one size"):
        contact_sheet([tile, np.zeros((3, 2, 3), dtype=np.uint8)], 2)


def test_png_bytes_lose_nothing():
    pixels = np.array(noise(5, 7))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png_bytes(pixels)))), pixels)


def test_jpeg_bytes_lose_what_no_eye_sees():
    ramp = torch.linspace(0, 1, 64).repeat(64, 1)
    pixels = overlay(torch.full((3, 64, 64), 120, dtype=torch.uint8), ramp * ramp.T, 0.5)
    found = np.asarray(Image.open(io.BytesIO(jpeg_bytes(pixels)))).astype(int)
    assert np.abs(found - pixels).mean() < 1.5
    assert np.abs(found - pixels).max() < 12


def test_a_grey_picture_is_packed_as_one_channel_and_reads_the_same():
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 1), np.uint8).repeat(3, axis=2)
    picture = Image.open(io.BytesIO(png_bytes(pixels)))
    assert picture.mode == "L"
    assert np.array_equal(np.asarray(picture.convert("RGB")), pixels)
