"""In what else the variants of a comparison differ than in what is compared, in sentences."""

import re
from collections.abc import Mapping, Sequence

from explorer.runs.axes import MISSING, SEED, Grouping, Variant, settings_of, title_of
from explorer.words import MINUS, listed

NOT_SET = "not set"  # what settings_of does not speak of
LAST = ("parameters", "MACs", "seeds")
MOST_SPELLED = 12  # different values that are all said


def what_differs(grouping: Grouping) -> list[str]:
    """One sentence for each setting that is not the same for all variants.

    For example `Batch size: 64 for group; 128 for the rest.` Compared is all that the specs say but the axis, its own
    arguments and the seed; and parameters, MACs, and which seeds there are of each variant. Empty where nothing else
    differs, and for one variant.
    """
    return [_sentence(title, holders) for title, holders in _holders(grouping).items() if len(holders) > 1]


def what_is_same(grouping: Grouping) -> list[str]:
    """Every setting that all variants share, with its value: `batch size 32`."""
    shared = {title: holders for title, holders in _holders(grouping).items() if len(holders) == 1}
    return [f"{title} {value}" for title, holders in shared.items() for value in holders]


def _holders(grouping: Grouping) -> dict[str, dict[str, list[str]]]:
    """Title of a setting -> value -> labels of the variants that have it, in the order of the variants."""
    facts = {variant.label: _facts(variant, grouping.axis) for variant in grouping.variants}
    titles = dict.fromkeys(title for known in facts.values() for title in known)
    found: dict[str, dict[str, list[str]]] = {title: {} for title in sorted(titles, key=LAST.__contains__)}
    for title, holders in found.items():
        for label, known in facts.items():
            holders.setdefault(known.get(title, NOT_SET), []).append(label)
    return found


def _facts(variant: Variant, axis: str) -> dict[str, str]:
    """Title -> value of what could matter. Replicates share their settings, so the first one's are the variant's."""
    first = variant.runs[0]
    known = {
        title_of(key): NOT_SET if value == MISSING else re.sub(r"^-(?=\d)", MINUS, value)
        for key, value in settings_of(first.spec).items()
        if key not in (axis, SEED) and not key.startswith(f"{axis}.")
    }
    costs = {"parameters": first.card.parameters, "MACs": first.card.macs}
    known |= {title: "not known" if cost is None else f"{cost:,}" for title, cost in costs.items()}
    if axis != SEED:
        seeds = [NOT_SET if run.spec.seed is None else str(run.spec.seed) for run in variant.runs]
        known["seeds"] = listed(seeds)
    return known


def _sentence(title: str, holders: Mapping[str, Sequence[str]]) -> str:
    name = f"{title[0].upper()}{title[1:]}"
    if len(holders) > MOST_SPELLED:
        return f"{name}: {len(holders)} different values."
    rarest_first = sorted(holders, key=lambda value: len(holders[value]))
    most = rarest_first[-1]
    if len(holders[most]) < 3 or len(holders[most]) == len(holders[rarest_first[-2]]):
        return f"{name}: {'; '.join(f'{value} for {listed(holders[value])}' for value in holders)}."
    others = "; ".join(f"{value} for {listed(holders[value])}" for value in holders if value != most)
    return f"{name}: {others}; {most} for the rest."
