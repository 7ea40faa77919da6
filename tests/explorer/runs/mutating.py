"""Seeded mutations of a run folder: bytes turned over, files cut off, values replaced by others of every kind."""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet

ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    7,
    10**18,
    10**400,
    0.5,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "batch",
    "9" * 500,
    "two\nlines",
    "\ud800",
    [],
    [0.1, 0.2, 0.3],
    ["a", "b", "c"],
    [[[[[[1]]]]]],
    {},
    {"name": "layer"},
    {"name": {"name": []}},
)
ODD_COLUMNS: tuple[Callable[[int], Any], ...] = (
    lambda n: [None] * n,
    lambda n: [-1] * n,
    lambda n: [2**62] * n,
    lambda n: [0.5] * n,
    lambda n: [float("nan")] * n,
    lambda n: [1e300] * n,
    lambda n: [True] * n,
    lambda n: ["one"] * n,
    lambda n: [b"\xff\xfe"] * n,
    lambda n: [[0.5, 0.5]] * n,
    lambda n: [[0.1, None, 0.9]] * n,
    lambda n: [[]] * n,
    lambda n: [{"a": 1}] * n,
    lambda n: pd.date_range("2026", periods=n),
    lambda n: list(range(n)),
)


def mutate(path: Path, rng: random.Random) -> str:
    """Changes a file of a run in one way, and says which."""
    kinds: list[Callable[[Path, random.Random], str]] = [_turn_bytes, _cut, _turn_a_run_of_bytes]
    if path.name == "card.json":
        kinds = [_turn_bytes, _cut, *[_replace_a_value] * 6]
    elif path.name == "history.csv":
        kinds += [_replace_a_cell] * 2
    elif path.name == "predictions.parquet":
        kinds += [_replace_a_column, _move_rows]
    else:
        kinds += [_replace_in_the_header] * 2
    return f"{path.name}: {rng.choice(kinds)(path, rng)}"


def _turn_bytes(path: Path, rng: random.Random) -> str:
    data = bytearray(path.read_bytes())
    places = [rng.randrange(len(data)) for _ in range(rng.choice((1, 1, 3, 20)))]
    for place in places:
        data[place] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    return f"bytes {places} turned"


def _turn_a_run_of_bytes(path: Path, rng: random.Random) -> str:
    data = bytearray(path.read_bytes())
    start = rng.randrange(len(data))
    end = min(len(data), start + rng.choice((4, 32, 256)))
    data[start:end] = rng.choice((bytes(end - start), b"\xff" * (end - start), rng.randbytes(end - start)))
    path.write_bytes(data)
    return f"bytes {start} to {end} replaced"


def _cut(path: Path, rng: random.Random) -> str:
    data = path.read_bytes()
    length = rng.randrange(len(data))
    path.write_bytes(data[:length])
    return f"cut off after {length} bytes"


def _replace_a_value(path: Path, rng: random.Random) -> str:
    plain = json.loads(path.read_text(encoding="utf-8"))
    holder, key = rng.choice(list(_places(plain)))
    value = rng.choice(ODD_VALUES)
    if rng.random() < 0.15:
        del holder[key]
    else:
        holder[key] = value
    path.write_text(json.dumps(plain), encoding="utf-8")
    return f"{key!r} becomes {value!r}"[:200]


def _places(plain: Any) -> Iterator[tuple[Any, Any]]:
    """Every (holder, key) in a parsed JSON."""
    keys = plain.items() if isinstance(plain, Mapping) else enumerate(plain)
    for key, value in list(keys):
        yield plain, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _replace_a_cell(path: Path, rng: random.Random) -> str:
    rows = [line.split(",") for line in path.read_text().splitlines()]
    row = rng.choice(rows)
    place, value = (
        rng.randrange(len(row)),
        rng.choice(("", "x", "1e999", "nan", "-1", '"', "1" * 400, "\0", "1;2", "a,b")),
    )
    row[place] = value
    path.write_text("\n".join(map(",".join, rows)))
    return f"cell {place} becomes {value!r}"[:200]


def _replace_a_column(path: Path, rng: random.Random) -> str:
    table = parquet.read_table(path)
    name = rng.choice(table.column_names)
    values = rng.choice(ODD_COLUMNS)(len(table))
    place = table.column_names.index(name)
    parquet.write_table(table.set_column(place, name, pa.array(values)), path)
    return f"{name} becomes {list(values)[:1]!r}"


def _move_rows(path: Path, rng: random.Random) -> str:
    table = parquet.read_table(path)
    rows = np.array([rng.randrange(len(table)) for _ in range(rng.choice((0, 1, len(table))))], dtype=np.int64)
    parquet.write_table(table.take(pa.array(rows)), path)
    return f"rows {rows.tolist()}"


def _replace_in_the_header(path: Path, rng: random.Random) -> str:
    """Another type, shape or name in the JSON that a safetensors file begins with."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    name = rng.choice([name for name in header if name != "__metadata__"])
    kind = rng.choice(("F64", "F32", "F16", "BF16", "I64", "U8", "BOOL", "C64", "F8_E4M3", "F4", "F8_E8M0", "X", 3))
    change: Any = rng.choice(
        ({"dtype": kind}, {"shape": rng.choice(([], [-1], [2**62], [1, 2]))}, {"data_offsets": [0, 4]})
    )
    header[name] |= change
    if rng.random() < 0.2:
        header["other"] = header.pop(name)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    return f"{name} {change}"
