"""The results tables of docs/results.md, made from the cards of the committed runs."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from explorer.marks import MARKS
from explorer.runs import Card, Choice, Run

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
HEADINGS = (
    "norm",
    "train accuracy",
    "val accuracy",
    "test accuracy",
    "macro F1",
    "test loss",
    "misclassified",
    "minutes",
)
NOT_STATED = "not stated"
Fact = tuple[str, ...]  # where a value stands in a card: ("recipe", "batch_size")


def results_markdown(runs: Sequence[Run]) -> str:
    """One Markdown table per data set and architecture; runs that differ in the seed alone are one row of mean ± std.

    Accuracies and F1 in percent. The standard deviation is that of the sample. Norms that `MARKS` knows come first, in
    its order; then others by name, and last the runs whose card states no norm.
    """
    if not runs:
        return "No runs yet."
    groups: dict[tuple[str, str], list[Card]] = {}
    for run in runs:
        groups.setdefault((run.card.dataset.name, run.card.architecture.name), []).append(run.card)
    return "\n\n".join(
        f"**{_as_text(dataset)}, {_as_text(architecture)}** ({_costs(group)})\n\n{_table(group)}"
        for (dataset, architecture), group in groups.items()
    )


def with_results(text: str, tables: str) -> str:
    """The text with the tables between its two markers. Raises ValueError when a marker is missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"wanted a file with the lines {BEGIN} and {END}; add them where the tables belong")
    return f"{before}{BEGIN}\n{tables}\n{END}{after}"


def _costs(cards: Sequence[Card]) -> str:
    parameters, macs = [card.parameters for card in cards], [card.macs / 1e6 for card in cards]
    images = [card.metrics["test"].count for card in cards]
    return f"{_range(parameters)} parameters, {_range(macs)} M MACs, {_range(images)} test images"


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):,.0f}", f"{max(values):,.0f}"
    return low if low == high else f"{low} to {high}"


@dataclass(frozen=True)
class _Row:
    """The runs of one setting, which differ in their seeds: what they share, and their cards."""

    norm: str  # empty where the card states none
    facts: Mapping[Fact, Any]
    cards: list[Card]

    def label(self, rows: "Sequence[_Row]") -> str:
        """The norm, and the facts in which it differs from another row of that norm."""
        rivals = [row.facts for row in rows if row.norm == self.norm]
        places = dict.fromkeys(place for facts in rivals for place in facts)
        varied = [place for place in places if len({repr(facts.get(place, NOT_STATED)) for facts in rivals}) > 1]
        norm = {"": f"norm {NOT_STATED}", "none": "no norm"}.get(self.norm, self.norm)
        return ", ".join([norm, *(_described(place, self.facts.get(place, NOT_STATED)) for place in varied)])

    def cells(self, label: str) -> list[str]:
        """The row as text."""
        count = len(self.cards)
        train, val, test = ([card.metrics[split] for card in self.cards] for split in ("train", "val", "test"))
        return [
            _as_text(label) + (f" ({count} seeds)" if count > 1 else ""),
            *(_percent([metrics.accuracy for metrics in split]) for split in (train, val, test)),
            _percent([metrics.macro_f1 for metrics in test]),
            _spread([metrics.loss for metrics in test], 3),
            _spread([metrics.misclassified for metrics in test], 1 if count > 1 else 0),
            _spread([card.seconds / 60 for card in self.cards], 1),
        ]


def _table(cards: Sequence[Card]) -> str:
    rows: dict[tuple[str, str], _Row] = {}
    for card in cards:
        norm, facts = _norm(card), _facts(card)
        rows.setdefault((norm, repr(sorted(facts.items()))), _Row(norm, facts, [])).cards.append(card)
    labels = [(row, row.label(list(rows.values()))) for row in rows.values()]
    lines = [f"| {' | '.join(HEADINGS)} |", "|---" * len(HEADINGS) + "|"]
    for row, label in sorted(labels, key=lambda pair: _order(pair[0].norm, pair[1])):
        lines.append(f"| {' | '.join(row.cells(label))} |")
    return "\n".join(lines)


def _norm(card: Card) -> str:
    norm: Choice | None = card.norm
    return "" if norm is None else norm.name


def _facts(card: Card) -> dict[Fact, Any]:
    """Whatever defines a run besides data set, architecture, name of the norm and seed, by its place in the card."""
    norm: Choice | None = card.norm
    return {
        **_flat("norm", {} if norm is None else norm.arguments),
        **_flat("recipe", card.recipe),
        ("input", "pixels"): f"{card.input.height}x{card.input.width}",
        **_flat("architecture", card.architecture.arguments),
        ("dataset", "fingerprint"): card.dataset.fingerprint,  # other images are other data, whatever their name
    }


def _flat(place: str, values: Mapping[str, Any]) -> dict[Fact, Any]:
    flat: dict[Fact, Any] = {}
    for key, value in values.items():
        inner = _flat(key, value) if isinstance(value, Mapping) else {(key,): value}
        flat |= {(place, *fact): leaf for fact, leaf in inner.items()}
    return flat


def _described(place: Fact, value: Any) -> str:
    listed = " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return f"{place[-1].replace('_', ' ')} {listed or 'none'}"


def _order(norm: str, label: str) -> tuple[int, list[str | float]]:
    """Known norms first, in their order, then by name; numbers in a label by size."""
    known = list(MARKS)
    rank = known.index(norm) if norm in known else len(known) + (norm == "")
    parts = re.split(r"(\d+(?:\.\d+)?)", label)  # text and numbers by turns
    return rank, [float(part) if number % 2 else part for number, part in enumerate(parts)]


def _as_text(name: str) -> str:
    """The name on one line, with what Markdown would take for its own escaped: names come from anyone's cards."""
    return re.sub(r"([\\`*_\[\]<>|$~#])", r"\\\1", " ".join(name.split()))


def _percent(fractions: Sequence[float]) -> str:
    return f"{_spread(100 * np.asarray(fractions), 1)}%"


def _spread(column: ArrayLike, digits: int) -> str:
    values = np.asarray(column, dtype=float)
    if len(values) == 1:
        return f"{values[0]:,.{digits}f}"
    return f"{values.mean():,.{digits}f} ± {values.std(ddof=1):,.{digits}f}"
