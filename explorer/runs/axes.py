"""What runs differ in, and their grouping along one of these axes into variants with replicates.

An *axis* is one setting of a run's spec: its norm, its architecture, its batch size, an argument of its optimizer, ...
A comparison holds every axis but one (and the seed) at one value wherever a variant would otherwise mix several.
Axes that differ between variants only are left as they are, and `explorer.runs.differences` says them aloud.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from explorer.registry import check_name
from explorer.runs.folder import Run
from explorer.runs.spec import RunSpec

NORM, ARCHITECTURE, BATCH_SIZE, SIZE, SEED, ORIGIN = "norm", "architecture", "batch_size", "size", "seed", "origin"
OF_THE_SPEC = (NORM, ARCHITECTURE, SIZE, SEED, ORIGIN)  # no recipe of any origin may say otherwise
SELECTION = "selection"  # no axis: runs by name
MISSING, UNKNOWN = "–", "unknown"  # no such setting; a norm that nobody wrote down
TITLES = {
    NORM: "norm",
    SIZE: "image size",
    "macs": "MACs",
    "loss": "training loss",
    "clip_norm": "gradient clipping",
    "learning_rate": "learning rate",
}
FAVOURITES = {  # what comes first of values that are as common, and on the pages
    NORM: ("batch", "batch-scratch", "batch-instance", "instance", "layer", "group", "none"),
    ARCHITECTURE: ("resnet14",),
}


@dataclass(frozen=True)
class Variant:
    """The runs that have one value on the compared axis; they differ from each other in the seed alone."""

    label: str
    value: str
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class Held:
    """An axis that is held at one value: its values among the runs that were left, most common first."""

    axis: str
    options: tuple[str, ...]
    value: str


@dataclass(frozen=True)
class Grouping:
    """Runs of one data set as variants along an axis.

    Attributes:
        axis: what the variants differ in, or SELECTION.
        held: every other axis that had to be held at one value, in the order it is asked for.
        variants: in the order to show.
    """

    axis: str
    held: tuple[Held, ...]
    variants: tuple[Variant, ...]

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs of all variants."""
        return tuple(run for variant in self.variants for run in variant.runs)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds there are to choose from: those of the variants that have several runs, in order."""
        several = (run for variant in self.variants if len(variant.runs) > 1 for run in variant.runs)
        return tuple(sorted({run.spec.seed for run in several if run.spec.seed is not None}))

    def at_seed(self, seed: int | None) -> dict[str, Run]:
        """Variant label -> its run of that seed, or its first where it has none of that seed."""
        return {
            variant.label: next((run for run in variant.runs if run.spec.seed == seed), variant.runs[0])
            for variant in self.variants
        }


def settings_of(spec: RunSpec) -> dict[str, str]:
    """Axis -> value as text, of everything a spec says but its images; an argument is `<owner>.<argument>`."""
    settings = {NORM: UNKNOWN if spec.norm is None else spec.norm.name, ARCHITECTURE: spec.architecture.name}
    settings[SIZE] = _size_words(spec.input.height, spec.input.width)
    recipe = {key: value for key, value in (spec.recipe or {}).items() if key not in OF_THE_SPEC}
    for key, value in recipe.items():
        if not key.endswith("_arguments"):
            settings[key] = words_of(value)
    for owner, arguments in (
        *((key.removesuffix("_arguments"), recipe[key]) for key in recipe if key.endswith("_arguments")),
        (ARCHITECTURE, spec.architecture.arguments),
        (NORM, {} if spec.norm is None else spec.norm.arguments),
    ):
        if isinstance(arguments, Mapping):
            settings |= {f"{owner}.{key}": words_of(value) for key, value in arguments.items()}
    settings[ORIGIN] = spec.origin
    settings[SEED] = MISSING if spec.seed is None else str(spec.seed)
    return settings


def words_of(value: Any) -> str:
    """A setting as text, the same wherever it stands: numbers without digits that say nothing, lists with commas.

    Two numbers read alike only where they agree in 12 digits, as what reads alike counts as the same setting.
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:.12g}" if abs(value) < 1e6 or not float(value).is_integer() else f"{value:,.0f}"
    if isinstance(value, list | tuple):
        return ", ".join(map(words_of, value)) or "none"
    return str(value)


def title_of(axis: str) -> str:
    """What an axis is called on the pages: `batch size`, `optimizer momentum`."""
    return TITLES.get(axis) or axis.replace("_", " ").replace(".", " ")


def label_of(axis: str, value: str) -> str:
    """What a variant is called: `batch`, `no norm`, `batch size 32`, `seed 0`."""
    if axis == NORM:
        return {"none": "no norm", UNKNOWN: "norm not known"}.get(value, value)
    return value if axis in (ARCHITECTURE, SIZE, ORIGIN) else f"{title_of(axis)} {value}"


def axes_of(runs: Sequence[Run]) -> list[str]:
    """The axes along which these runs can be compared, norm first even where it does not vary.

    Architectures are compared though their recipes differ; batch sizes and seeds where architecture and norm agree; any
    other axis where two runs differ on it and agree on all else but the seed.
    """
    all_settings = [settings_of(run.spec) for run in runs]
    found = [NORM]
    for axis in dict.fromkeys((ARCHITECTURE, BATCH_SIZE, SEED, *(key for s in all_settings for key in s))):
        agreeing = () if axis == ARCHITECTURE else (ARCHITECTURE, NORM) if axis in (BATCH_SIZE, SEED) else None
        if axis != NORM and _differ(axis, all_settings, agreeing):
            found.append(axis)
    return found


def all_axes(runs: Sequence[Run]) -> list[str]:
    """Every setting that some run has, whether or not they differ in it."""
    return list(dict.fromkeys(axis for run in runs for axis in settings_of(run.spec)))


def group_runs(runs: Sequence[Run], axis: str, wanted: Mapping[str, str] | None = None) -> Grouping:
    """The runs as variants along an axis.

    Wherever a variant would mix several values of another axis, that axis is held at the wanted value, or else at the
    most common one; runs with another value are left out. A variant that says nothing of that axis, such as batch norm
    of groups or an imported model of batch sizes, stays.

    Args:
        runs: of one data set, at least one.
        axis: one of `axes_of`.
        wanted: axis -> value, for axes that have to be held; values that no run has are passed over.

    Raises:
        ValueError: no run is on that axis.
    """
    settings = {run.key: settings_of(run.spec) for run in runs}
    check_name("axis", axis, dict.fromkeys(key for found in settings.values() for key in found))
    wanted, held, left = wanted or {}, [], list(runs)
    for other in _axes_to_hold(settings.values(), axis):
        values = _values_in(left, settings, axis, other)
        if all(len(of_variant) == 1 for of_variant in values.values()):
            continue
        concerned = [run for run in left if not values[settings[run.key].get(axis, MISSING)] <= {MISSING, UNKNOWN}]
        counts = Counter(settings[run.key].get(other, MISSING) for run in concerned)
        options = tuple(sorted(counts, key=lambda value: (-counts[value], *order_of(other, value))))
        value = wanted[other] if wanted.get(other) in options else options[0]
        held.append(Held(other, options, value))
        out = [run.key for run in concerned if settings[run.key].get(other, MISSING) != value]
        left = [run for run in left if run.key not in out]
    return Grouping(axis, tuple(held), tuple(_variants(left, settings, axis)))


def select_runs(runs: Sequence[Run], names: Sequence[str]) -> Grouping:
    """The runs of these names, each a variant of its own, in the order of the names; unknown names are passed over."""
    found = {run.path.name: run for run in runs}
    chosen = [found[name] for name in dict.fromkeys(names) if name in found]
    labels = labels_of(chosen)
    return Grouping(SELECTION, (), tuple(Variant(labels[run.key], run.path.name, (run,)) for run in chosen))


def labels_of(runs: Sequence[Run]) -> dict[str, str]:
    """Run key -> a short label that is unique among the runs: architecture and norm, and what else tells them apart."""
    settings = {run.key: settings_of(run.spec) for run in runs}
    axes = dict.fromkeys(axis for found in settings.values() for axis in found)
    varying = [axis for axis in axes if len({found.get(axis, MISSING) for found in settings.values()}) > 1]
    labels = {}
    for run in runs:
        own = settings[run.key]
        rivals = [settings[other.key] for other in runs if other is not run]
        parts = [label_of(NORM, own[NORM])] if NORM in varying or ARCHITECTURE not in varying else []
        parts = [own[ARCHITECTURE], *parts] if ARCHITECTURE in varying else parts
        rivals = [other for other in rivals if all(other[key] == own[key] for key in (NORM, ARCHITECTURE))]
        for axis in varying:
            if axis in (NORM, ARCHITECTURE) or not any(other.get(axis) != own.get(axis) for other in rivals):
                continue
            parts.append(label_of(axis, own.get(axis, MISSING)))
            rivals = [other for other in rivals if other.get(axis) == own.get(axis)]
        labels[run.key] = ", ".join(parts)
    for detail in (lambda key: key[-6:], lambda key: key):  # six digits of the folder's name, or else all of it
        doubles = {label for label, count in Counter(labels.values()).items() if count > 1}
        labels = {key: f"{label}, {detail(key)}" if label in doubles else label for key, label in labels.items()}
    return labels


def order_of(axis: str, value: str) -> tuple[int, float, str]:
    """A key to sort the values of an axis by: favourites, then numbers by size, then by name."""
    favourites = FAVOURITES.get(axis, ())
    rank = favourites.index(value) if value in favourites else len(favourites)
    try:
        number = float(value.partition(" ")[0].replace(",", ""))
    except ValueError:
        number = math.inf
    return rank, math.inf if math.isnan(number) else number, value


def datasets_of(runs: Sequence[Run]) -> dict[str, tuple[Run, ...]]:
    """Title -> runs, one entry per data set, sorted by title.

    Data sets are told apart by their fingerprint or, where a card knows none, by their location. Those of one name are
    titled with the folder above them too, or else with the end of the fingerprint, or else with all that tells them
    apart.
    """
    refs = [run.spec.dataset for run in runs]
    fingerprints = {ref.location: ref.fingerprint for ref in reversed(refs) if ref.fingerprint is not None}
    named: dict[str, dict[str, list[Run]]] = {}
    for run, ref in zip(runs, refs, strict=True):
        identity = ref.fingerprint or fingerprints.get(ref.location, ref.location)
        named.setdefault(ref.name, {}).setdefault(identity, []).append(run)
    titles: dict[str, tuple[Run, ...]] = {}
    for name, groups in named.items():
        for detail, (identity, group) in zip(_details(groups), groups.items(), strict=True):
            title = name if len(groups) == 1 else f"{name} ({detail})"
            titles[title if title not in titles else f"{title} ({identity})"] = tuple(group)
    return dict(sorted(titles.items()))


def _details(groups: Mapping[str, Sequence[Run]]) -> list[str]:
    """What tells each of several data sets of one name from the others, as short as it may be."""
    locations = [group[0].spec.dataset.location for group in groups.values()]
    above = [PurePath(location.partition(":")[2]).parent.name for location in locations]
    ends = [key if key == location else key[-6:] for key, location in zip(groups, locations, strict=True)]
    columns = (above, ends, list(groups))
    return [
        next(column[row] for column in columns if column[row] and column.count(column[row]) == 1)
        for row in range(len(groups))
    ]


def _size_words(height: int, width: int) -> str:
    return f"{height} px" if height == width else f"{height} × {width} px"


def _axes_to_hold(all_settings: Iterable[Mapping[str, str]], axis: str) -> list[str]:
    """Every axis but the compared one and the seed; architecture, norm and batch size are asked for first."""
    axes = dict.fromkeys(key for settings in all_settings for key in settings)
    first = [key for key in (ARCHITECTURE, NORM, BATCH_SIZE) if key in axes]
    rest = [key for key in axes if key not in first]
    return [key for key in (*first, *rest) if key not in (axis, SEED)]


def _values_in(
    runs: Sequence[Run], settings: Mapping[str, Mapping[str, str]], axis: str, other: str
) -> dict[str, set[str]]:
    """Value along `axis` -> the values of `other` in that variant."""
    values: dict[str, set[str]] = {}
    for run in runs:
        own = settings[run.key]
        values.setdefault(own.get(axis, MISSING), set()).add(own.get(other, MISSING))
    return values


def _variants(runs: Sequence[Run], settings: Mapping[str, Mapping[str, str]], axis: str) -> list[Variant]:
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(settings[run.key].get(axis, MISSING), []).append(run)
    return [
        Variant(label_of(axis, value), value, tuple(sorted(found[value], key=_seed_order)))
        for value in sorted(found, key=lambda value: order_of(axis, value))
    ]


def _seed_order(run: Run) -> tuple[bool, int, str]:
    seed = run.spec.seed
    return seed is None, seed or 0, run.path.name


def _differ(axis: str, all_settings: Sequence[Mapping[str, str]], agreeing: Sequence[str] | None) -> bool:
    """Whether two of the settings differ on the axis and agree on those axes, or on all but its arguments and seed."""
    seen: dict[tuple[tuple[str, str], ...], str] = {}
    for settings in all_settings:
        keys = agreeing if agreeing is not None else sorted(settings)
        rest = tuple(
            (key, settings.get(key, MISSING))
            for key in keys
            if key not in (axis, SEED) and not key.startswith(f"{axis}.")
        )
        value = settings.get(axis, MISSING)
        if seen.setdefault(rest, value) != value:
            return True
    return False
