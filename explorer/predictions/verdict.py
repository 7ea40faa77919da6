"""What the standings of variants say, in sentences."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from explorer.predictions.standings import BETTER, OPEN, REFERENCE, WORSE
from explorer.words import count_of, listed, percent, points

NONE = "none of the other"
MOST_NAMED = 3  # of those that are not distinguishable


def verdict(table: pd.DataFrame, images: int) -> tuple[str, str]:
    """What `standings` with a reference say: who is better or worse, and what limits that.

    Labels stand in both as they are. Of variants with several runs it speaks as such; of single trainings as trained
    networks. Where variants are not distinguishable it says how small a difference may be hidden: half the mean width
    of their intervals.

    Args:
        table: of at least two variants.
        images: how many there are.
    """
    rows = [row for row in table.to_dict("records") if row["verdict"] != REFERENCE]
    reference = table.loc[table["verdict"] == REFERENCE, "variant"].iloc[0]
    variants = [row for row in rows if row["runs_compared"] > 1]
    networks = [row | {"variant": row["run_a"]} for row in rows if row["runs_compared"] == 1]
    said = [_begun(_against(variants, reference))] if variants else []
    for name in dict.fromkeys(row["run_b"] for row in networks):
        against = _against([row for row in networks if row["run_b"] == name], name)
        said.append(f"Among these trained networks, one training each, {against}")
    limits = ["Another training of each may change this."] if networks else []
    limits += _power([row for row in rows if row["verdict"] == OPEN], images)
    return " ".join(f"{sentence}." for sentence in said), " ".join(limits)


def spread(table: pd.DataFrame) -> str:
    """What `standings` of several seeds of the same thing say: their mean accuracy, its spread and its ends."""
    accuracy = table["accuracy"].to_numpy(dtype=float)
    ends = f"{percent(float(accuracy.min()))} to {percent(float(accuracy.max()))}"
    mean = f"{100 * accuracy.mean():.1f} ± {percent(float(accuracy.std(ddof=1)))}"
    return f"Over {len(table)} seeds the accuracy is {mean}, from {ends}."


def alone(table: pd.DataFrame, images: int) -> str:
    """What `standings` of a single variant say."""
    row, of = table.iloc[0], count_of(images, "test image")
    mean = "" if row["runs"] == 1 else f" on the mean of {row['runs']} trainings"
    interval = f"95% interval {percent(row['low'])} to {percent(row['high'])}"
    return f"{_named(row['variant'])} is right on {percent(row['accuracy'])} of {of}{mean} ({interval})."


def _begun(sentence: str) -> str:
    """The sentence with a capital letter, unless it begins with a label."""
    return f"N{sentence[1:]}" if sentence.startswith(NONE) else sentence


def _against(rows: Sequence[Mapping], reference: str) -> str:
    """Who is better and worse than the reference, or that none is distinguishable from it."""
    ways = {way: [row for row in rows if row["verdict"] == way] for way in (BETTER, WORSE, OPEN)}
    if len(rows) == 1 and ways[OPEN]:
        return f"{_named(rows[0]['variant'])} and {_named(reference)} are not distinguishable"
    if len(rows) == len(ways[OPEN]):
        return f"{NONE} {len(rows)} is distinguishable from {_named(reference)}"
    clauses = [_clause(ways[way], way, reference) for way in (BETTER, WORSE) if ways[way]]
    if ways[OPEN]:
        names = [_named(row["variant"]) for row in ways[OPEN]]
        others = listed(names) if len(names) <= MOST_NAMED else f"the other {len(names)}"
        clauses.append(f"{others} {'is' if len(names) == 1 else 'are'} not distinguishable from it")
    return "; ".join(clauses)


def _clause(rows: Sequence[Mapping], way: str, reference: str) -> str:
    named = listed([f"{_named(row['variant'])} ({points(row['difference'])} points)" for row in rows])
    return f"{named} {'is' if len(rows) == 1 else 'are'} reliably {way} than {_named(reference)}"


def _named(label: str) -> str:
    """A label within a sentence; one that would turn its meaning round is quoted: `no norm` is worse."""
    return f"“{label}”" if label.startswith("no ") else label


def _power(rows: Sequence[Mapping], images: int) -> list[str]:
    """How small a difference may be hidden; never less than where none of so many images need differ: 3 of them."""
    if not rows:
        return []
    half = float(np.mean([row["difference_high"] - row["difference_low"] for row in rows])) / 2
    smallest, how_many = max(half, 3 / images), count_of(images, "test image")
    return [f"A difference below about {100 * smallest:.1f} points would not show with {how_many} and these trainings."]
