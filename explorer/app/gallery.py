"""A grid of pictures: one contact sheet and its captions go to the browser, the clicked tile comes back.

The drawing, the keyboard and the looks are in `gallery.js` and `gallery.css` beside this file.
"""

import io
import json
import math
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import streamlit as st
from PIL import Image, UnidentifiedImageError
from streamlit.components.v2 import component

_HERE = Path(__file__).parent
_component = component(
    "normscope_gallery",
    css=(_HERE / "gallery.css").read_text(encoding="utf-8"),
    js=(_HERE / "gallery.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class Tile:
    """One picture of a gallery: what stands below it and what it answers when clicked.

    `title` (may be empty) is set in bold above `lines`; on a clickable tile each wraps to two lines at most. `tone`
    puts a cross or a tick beside the caption, `colour` (CSS) a stripe below the picture. `description` is the tooltip
    and what a screen reader says instead of the caption, so it should hold the caption's words; when empty, the caption
    itself is read.
    """

    id: str
    title: str = ""
    lines: tuple[str, ...] = ()
    tone: Literal["wrong", "right", "plain"] = "plain"
    description: str = ""
    colour: str = "transparent"


def show_gallery(
    tiles: Sequence[Tile],
    sprite: bytes,
    *,
    columns: int,
    key: str,
    tile_size: int = 140,
    selected: str | None = None,
    clickable: bool = True,
    pixelated: bool = False,
    label: str = "Pictures",
    headings: Sequence[tuple[str, str]] = (),
    on_click: Callable[[str], object] | None = None,
) -> str | None:
    """The id of the tile that was clicked in this very run, or None; draws the tiles as a grid.

    `on_click` is called with that id before anything of the run is drawn.

    `sprite` is a PNG or JPEG file of equal pictures in reading order, `columns` in a row, as many rows as the tiles
    need. `tile_size` is the least width of a tile in CSS pixels; tiles grow to fill the row, and a narrow screen shows
    two in a row. `pixelated` keeps the pixels of much enlarged pictures crisp. Not `clickable`, tiles are pictures to
    look at alone. `headings`, a question in bold and what follows it, make each row of the sprite a group of its own
    below its heading. No tiles draw nothing.
    Raises ValueError when two tiles share an id, when the sprite is neither or does not divide into the tiles, or when
    there is not one heading per row.
    """
    if not tiles:
        return None

    def clicked() -> None:
        if on_click is not None:
            on_click(st.session_state[key].clicked)

    result = _component(
        key=key,
        data=pack_frame(
            tiles,
            sprite,
            columns=columns,
            tile_size=tile_size,
            selected=selected,
            clickable=clickable,
            pixelated=pixelated,
            label=label,
            headings=headings,
        ),
        on_clicked_change=clicked,  # any callback makes `clicked` an attribute of the result
    )
    return result.clicked


def pack_frame(
    tiles: Sequence[Tile],
    sprite: bytes,
    *,
    columns: int,
    tile_size: int,
    selected: str | None = None,
    clickable: bool = True,
    pixelated: bool = False,
    label: str = "Pictures",
    headings: Sequence[tuple[str, str]] = (),
) -> bytes:
    """What the browser gets: length of the header (4 bytes, little endian), the header as JSON, the sprite.

    One byte string, because a component takes either JSON or bytes, and base64 inside JSON is slow to decode.
    Raises ValueError as `show_gallery` does.
    """
    _check_ids(tiles)
    rows = math.ceil(len(tiles) / columns)
    _check_sprite(sprite, columns, rows)
    if headings and len(headings) != rows:
        raise ValueError(f"expected one heading for each of {rows} rows of {columns} tiles, got {len(headings)}")
    header = {
        "tiles": [vars(tile) for tile in tiles],
        "columns": columns,
        "rows": rows,
        "digest": blake2b(sprite, digest_size=8).hexdigest(),  # the browser decodes a sprite only when it changed
        "tile_size": tile_size,
        "selected": selected,
        "clickable": clickable,
        "pixelated": pixelated,
        "label": label,
        "headings": list(headings),
    }
    encoded = json.dumps(header).encode()
    return struct.pack("<I", len(encoded)) + encoded + sprite


def _check_ids(tiles: Sequence[Tile]) -> None:
    repeated = [tile_id for tile_id, count in Counter(tile.id for tile in tiles).items() if count > 1]
    if repeated:
        raise ValueError(f"tile ids must differ, so that a click names one tile; {repeated[0]!r} comes more than once")


def _check_sprite(sprite: bytes, columns: int, rows: int) -> None:
    try:
        with Image.open(io.BytesIO(sprite), formats=("PNG", "JPEG")) as picture:
            width, height = picture.size
    except UnidentifiedImageError:
        raise ValueError(f"the sprite must be a PNG or JPEG file; got {bytes(sprite[:8])!r}...") from None
    if width % columns or height % rows:
        raise ValueError(
            f"a sprite of {width} x {height} pixels does not divide into {columns} columns and {rows} rows of equal "
            "pictures; make it columns x rows times the size of one picture"
        )
