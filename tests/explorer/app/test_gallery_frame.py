"""What the gallery hands to the browser, and what it refuses."""

import io
import json
import struct

import pytest
from PIL import Image

from explorer.app.gallery import Tile, pack_frame

TILES = [Tile("a", "first", ("is x",), "wrong", "first, is x"), Tile("b"), Tile("c")]


def png(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "PNG")
    return file.getvalue()


def header_of(frame: bytes) -> dict:
    return json.loads(frame[4 : 4 + struct.unpack_from("<I", frame)[0]])


def test_a_frame_is_length_header_and_sprite():
    sprite = png(20, 14)
    frame = pack_frame(TILES, sprite, columns=2, tile_size=140, selected="b", label="Failures")
    (length,) = struct.unpack_from("<I", frame)
    header = json.loads(frame[4 : 4 + length])
    assert frame[4 + length :] == sprite
    assert header["tiles"][0] == {
        "id": "a",
        "title": "first",
        "lines": ["is x"],
        "tone": "wrong",
        "description": "first, is x",
        "colour": "transparent",
    }
    assert (header["columns"], header["rows"], header["selected"], header["label"]) == (2, 2, "b", "Failures")


def test_the_digest_changes_with_the_sprite_only():
    def digest(sprite: bytes, selected: str | None = None) -> str:
        frame = pack_frame(TILES, sprite, columns=3, tile_size=140, selected=selected)
        return header_of(frame)["digest"]

    assert digest(png(30, 10)) == digest(png(30, 10), selected="a")
    assert digest(png(30, 10)) != digest(png(60, 10))


@pytest.mark.parametrize("count", [1, 7, 25])
def test_any_number_of_tiles_stands_in_rows_of_the_sprite(count: int):
    names = [f"variant {number}" for number in range(count)]
    frame = pack_frame([Tile(name, title=name) for name in names], png(5, 4 * count), columns=1, tile_size=84)
    header = header_of(frame)
    assert [tile["title"] for tile in header["tiles"]] == names
    assert (header["columns"], header["rows"]) == (1, count)


def test_names_that_are_not_utf_8_or_look_like_markup_arrive_as_they_are():
    names = ["<img src=x onerror=alert(1)>", "[x](http://a.b)", "caf\udce9.png", 'a"b\\c']
    frame = pack_frame([Tile(name, title=name) for name in names], png(4, 1), columns=4, tile_size=84)
    assert [tile["title"] for tile in header_of(frame)["tiles"]] == names


def test_headings_go_with_the_rows_of_the_sprite():
    def headings(*given: tuple[str, str]) -> list[list[str]]:
        frame = pack_frame([*TILES, Tile("d")], png(20, 14), columns=2, tile_size=140, headings=given)
        return header_of(frame)["headings"]

    assert headings() == []
    assert headings(("Why?", "Because."), ("Where?", "")) == [["Why?", "Because."], ["Where?", ""]]
    with pytest.raises(ValueError, match="one heading for each of 2 rows of 2 tiles, got 1"):
        headings(("Why?", "Because."))


@pytest.mark.parametrize(
    ("tiles", "sprite", "message"),
    [
        ([Tile("a"), Tile("a")], png(20, 10), "'a' comes more than once"),
        ([Tile("a"), Tile("b")], b"GIF89a", "must be a PNG or JPEG file; got b'GIF89a'"),
        ([Tile("a"), Tile("b")], png(21, 10), "21 x 10 pixels does not divide into 2 columns and 1 rows"),
    ],
)
def test_what_does_not_fit_together_is_refused(tiles: list[Tile], sprite: bytes, message: str):
    with pytest.raises(ValueError, match=message):
        pack_frame(tiles, sprite, columns=2, tile_size=140)
