"""A model's layer table as plain text, with its totals."""

import pandas as pd

from explorer.models import StagedModel
from explorer.models.layers import layer_table, memory_sizes

TEXT = ("layer", "kind", "output", "formula")  # set to the left; the numbers after them to the right
HEADINGS = (*TEXT, "parameters", "buffers", "MACs")


def capacity_text(model: StagedModel) -> str:
    """The layer table in aligned columns, a line of totals, and the sizes in MB for one image."""
    table = layer_table(model)
    sizes = memory_sizes(model)
    return "\n".join(
        [
            *_aligned([HEADINGS, *_cells(table), _totals(table)]),
            "",
            f"one image in float32: input {sizes.input:.2f} MB, layer outputs {sizes.activations:.2f} MB, "
            f"parameters {sizes.parameters:.2f} MB, together {sizes.total:.2f} MB",
        ]
    )


def _cells(table: pd.DataFrame) -> list[tuple[str, ...]]:
    return [tuple(f"{v:,}" if isinstance(v, int) else v for v in row) for row in table.itertuples(index=False)]


def _totals(table: pd.DataFrame) -> tuple[str, ...]:
    sums = (f"{sum(table[column].tolist()):,}" for column in ("parameters", "buffers", "macs"))
    return ("total", f"{len(table)} layers", "", "", *sums)


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """The rows as lines of equally wide columns, with rules below the headings and above the totals."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if place < len(TEXT) else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    rule = "-" * len(lines[0])
    return [lines[0], rule, *lines[1:-1], rule, lines[-1]]
