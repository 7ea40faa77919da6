"""Pictures of what a norm averages over: the right faces are shaded, and there is one for every norm."""

import xml.etree.ElementTree as ElementTree

import pytest

from explorer.app.cube import IMAGES, ROWS, SHADINGS, WIDE, cube_picture
from explorer.models.norms import NORMS


@pytest.mark.parametrize("norm", SHADINGS)
def test_pictures_shade_the_faces_of_their_set(norm: str) -> None:
    """Seen from the front corner: its column's faces, the faces of the set on both sides, and its top."""
    picture = ElementTree.fromstring(cube_picture(SHADINGS[norm], "#123456", "#000000"))
    polygons = [element for element in picture.iter() if element.tag.endswith("polygon")]
    shaded = [polygon for polygon in polygons if polygon.get("fill") == "#123456"]
    n, c, rows = IMAGES, WIDE, ROWS
    assert len(polygons) == n * c + (n + c) * rows
    expected = {
        "none": 0,
        "batch": n + n * rows + rows,
        "instance": 1 + 2 * rows,
        "batch-instance": n + n * rows + rows,
        "layer": c + c * rows + rows,
        "group": c // 2 + c // 2 * rows + rows,
    }
    assert len(shaded) == expected[norm]


def test_every_corner_lies_in_the_picture() -> None:
    picture = ElementTree.fromstring(cube_picture(SHADINGS["batch"], "#123456", "#000000"))
    width, height = float(picture.get("width", 0)), float(picture.get("height", 0))
    polygons = [element.get("points", "") for element in picture.iter() if element.tag.endswith("polygon")]
    corners = [tuple(map(float, corner.split(","))) for points in polygons for corner in points.split()]
    assert all(0 <= x <= width and 0 <= y <= height for x, y in corners)


def test_every_norm_has_a_picture() -> None:
    assert set(SHADINGS) == set(NORMS) - {"batch-scratch"}  # it is batch norm
