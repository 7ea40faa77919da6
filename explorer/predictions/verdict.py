"""What the tables of comparisons say, in sentences."""

from collections.abc import Mapping, Sequence

import pandas as pd

from explorer.words import listed

RELIABLE = 0.05  # a corrected p below this is called reliable
SEED_NOISE = (
    "McNemar's test compares two trained models and sees only the chance in the choice of test images; the chance in "
    "training shows in the spread (±) over seeds."
)


def verdict(comparisons: pd.DataFrame) -> str:
    """What the rows of `compare_to_reference` say, in plain words: who is better, worse, or not to be told apart.

    Reliable means a Holm-corrected p below 0.05.
    """
    rows = comparisons.to_dict("records")
    if not rows:
        return "Only one run is chosen: choose another to compare it with."
    return _verdict_on_two(rows[0]) if len(rows) == 1 else _verdict_on_many(rows)


def seeds_verdict(seeds: pd.DataFrame) -> str:
    """What the rows of `seed_summary` of accuracies say, and what paired tests do not see; empty for one seed each."""
    if not (seeds["n"].to_numpy() > 1).any():
        return ""
    return f"Over seeds: {', '.join(_seed_words(row) for row in seeds.to_dict('records'))}. {SEED_NOISE}"


def _verdict_on_two(row: Mapping) -> str:
    figures = f"{row['run_b']} {_percent(row['accuracy_b'])}, {row['run_a']} {_percent(row['accuracy_a'])}"
    if not row["only_a_wrong"] + row["only_b_wrong"]:
        return f"{figures}: no difference, both fail on exactly the same images."
    if row["p_holm"] >= RELIABLE:
        return f"{figures}: no reliable difference, {_p_words(row['p_holm'])}."
    points = f"{abs(100 * row['difference']):.1f} points"
    return f"{figures}: {row['run_a']} is reliably {_way(row)} by {points}, {_p_words(row['p_holm'])}."


def _verdict_on_many(rows: Sequence[Mapping]) -> str:
    groups: dict[str, list[Mapping]] = {"better": [], "worse": [], "same": []}
    for row in sorted(rows, key=lambda row: -row["accuracy_a"]):
        groups["same" if row["p_holm"] >= RELIABLE else _way(row)].append(row)
    clauses = [_clause(group, f"reliably {way}") for way in ("better", "worse") if (group := groups[way])]
    if groups["same"]:
        clauses.append(_clause(groups["same"], "not distinguishable from it"))
    reference = f"{rows[0]['run_b']} ({_percent(rows[0]['accuracy_b'])})"
    return f"Against {reference}: {'; '.join(clauses)} (p values Holm-corrected for {len(rows)} comparisons)."


def _clause(rows: Sequence[Mapping], words: str) -> str:
    named = [f"{row['run_a']} ({_percent(row['accuracy_a'])}, {_p_words(row['p_holm'])})" for row in rows]
    return f"{listed(named)} {'is' if len(rows) == 1 else 'are'} {words}"


def _way(row: Mapping) -> str:
    return "better" if row["difference"] > 0 else "worse"


def _seed_words(row: Mapping) -> str:
    if row["n"] == 1:
        return f"{row['norm']} {_percent(row['mean'])} (one seed)"
    return f"{row['norm']} {100 * row['mean']:.1f} ± {100 * row['std']:.1f} % ({row['n']} seeds)"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"


def _p_words(p: float) -> str:
    if p < 0.001:
        return "p < 0.001"
    digits = 4 if round(p, 3) == RELIABLE else 3  # so that 0.0496, which is reliable, does not read 0.050
    return f"p = {p:.2g}" if p >= 0.1 else f"p = {p:.{digits}f}"
