"""Pictures of the activations of a layer as a block of N x C x (H x W) cells: which of them share one mean."""

from collections.abc import Callable
from math import cos, pi

IMAGES, WIDE, ROWS = 4, 6, 4  # cells along N, along C and along H x W
SIDE = 26  # of a cell in pixels of the picture
MARGIN = 34

# Whether the cells of image n and channel c share a mean with those in front, (0, 0): 0 no, 1 yes, between: partly.
Shading = Callable[[int, int], float]
SHADINGS: dict[str, Shading] = {
    "none": lambda n, c: 0.0,
    "batch": lambda n, c: float(c == 0),
    "instance": lambda n, c: float(n == c == 0),
    "batch-instance": lambda n, c: 1.0 if n == c == 0 else 0.45 * (c == 0),
    "layer": lambda n, c: float(n == 0),
    "group": lambda n, c: float(n == 0 and c < WIDE // 2),
}


def cube_picture(shading: Shading, colour: str, ink: str) -> str:
    """An SVG of a block of N x C x (H x W) cells seen from a corner, the shaded ones in `colour`.

    `ink` is the colour of lines and letters; both colours are put in as they are: give it no text of strangers.
    """
    cells = [
        _cell(((n, c, ROWS), (n + 1, c, ROWS), (n + 1, c + 1, ROWS), (n, c + 1, ROWS)), shading(n, c), colour, 1.0)
        for c in range(WIDE)
        for n in range(IMAGES)
    ]
    for row in range(ROWS):
        cells += [_cell(_upright((0, c), (0, c + 1), row), shading(0, c), colour, 0.82) for c in range(WIDE)]
        cells += [_cell(_upright((n, 0), (n + 1, 0), row), shading(n, 0), colour, 0.66) for n in range(IMAGES)]
    width, height = _place(IMAGES, 0, 0)[0] + MARGIN, _place(0, 0, 0)[1] + MARGIN / 2
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}"><g stroke="{ink}" stroke-opacity="0.5">{"".join(cells)}</g>'
        f'<g fill="{ink}" font-family="sans-serif" font-size="15">{_letters()}</g></svg>'
    )


def _upright(left: tuple[int, int], right: tuple[int, int], row: int) -> tuple[tuple[int, int, int], ...]:
    """The corners of the face of a cell between two places (n, c) on the ground."""
    return ((*left, row), (*right, row), (*right, row + 1), (*left, row + 1))


def _place(n: float, c: float, row: float) -> tuple[float, float]:
    """Where a corner of the block is drawn: N goes to the right and back, C to the left and back, rows up."""
    x = MARGIN + (WIDE + n - c) * SIDE * cos(pi / 6)
    y = 4 + (IMAGES + WIDE - n - c) * SIDE / 2 + (ROWS - row) * SIDE * 0.8
    return x, y


def _cell(corners: tuple[tuple[int, int, int], ...], shade: float, colour: str, light: float) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (_place(*corner) for corner in corners))
    fill = f'fill="{colour}" fill-opacity="{shade * light:.2f}"' if shade else 'fill="#8a94a6" fill-opacity="0.14"'
    return f'<polygon points="{points}" {fill}/>'


def _letters() -> str:
    """The names of the three axes beside the edges they run along."""
    n, c, rows = _place(IMAGES / 2, 0, 0), _place(0, WIDE / 2, 0), _place(0, WIDE, ROWS / 2)
    texts = (
        (n[0] + 12, n[1] + 18, "start", "N"),
        (c[0] - 12, c[1] + 18, "end", "C"),
        (rows[0] - 5, rows[1] + 5, "end", "H,W"),
    )
    return "".join(
        f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{text}</text>' for x, y, anchor, text in texts
    )
