"""card.json: the truth about a run. `Card` is what the rest of the project sees; this file is its border.

Schema 2 holds the keys of `Card`, the spec's among them: fractions and counts only. `architecture` and `norm` are
`{"name": ..., <argument>: ...}`, `recipe` has every argument spelled out. Schema 1, still read, named a data set by its
location alone and left out arguments that stood at their defaults.

Everything that pages rely on is checked here: kinds, ranges, and that numbers are finite.
"""

import math
import reprlib
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import Any

from explorer.predictions.metrics import Metrics
from explorer.runs.spec import IMPORTED, TRAINED, Choice, DatasetRef, InputSpec, RunSpec

SCHEMA_VERSION = 2
SPLITS = ("train", "val", "test")
CLASSES = (2, 1000)  # the least and the most
SIDES = (1, 1024)  # pixels
LONGEST = 200  # characters of a name
MOST_SETTINGS, DEEPEST = 1000, 3  # of one list or object, and lists and objects in each other, in a recipe
LONGEST_REASON = 300
# What runs of schema 1 were trained with and their cards do not say: the defaults of that time.
UNSAID_BY_SCHEMA_1: dict[tuple[str, str], dict[str, Any]] = {
    ("optimizer", "muon"): {"momentum": 0.95, "nesterov": True, "adamw_share": 0.1},
    ("optimizer", "sgd"): {"momentum": 0, "dampening": 0, "nesterov": False},
    ("scheduler", "one_cycle"): {"pct_start": 0.3, "div_factor": 25.0, "final_div_factor": 1e4},
    ("loss", "cross_entropy"): {"ignore_index": -100, "label_smoothing": 0.0},
}


class DamagedRun(Exception):
    """A run that cannot be read; the message says which file, what was wanted and what to do, in one line."""

    def __init__(self, message: str):
        line = " ".join(message.split())
        line = "".join(one if one.isprintable() else repr(one)[1:-1] for one in line)  # some quote damaged bytes
        super().__init__(line if len(line) <= LONGEST_REASON else f"{line[: LONGEST_REASON - 1]}…")


@dataclass(frozen=True)
class Card:
    """Everything about a run but its tensors and tables.

    Attributes:
        spec: what defines it.
        created: the time, ISO 8601.
        classes: their names in the order of the logits.
        source: where the images come from, in a sentence.
        splits: images per split.
        parameters, macs: of the model; None where they are not known.
        seconds, best_epoch: of the training; None for a model trained elsewhere.
        versions: library -> version.
        hardware: what it was trained or measured on.
        metrics: split -> metrics; `test` is always there.
    """

    spec: RunSpec
    created: str
    classes: tuple[str, ...]
    source: str
    splits: Mapping[str, int]
    parameters: int | None
    macs: int | None
    seconds: float | None
    best_epoch: int | None
    versions: Mapping[str, str]
    hardware: str
    metrics: Mapping[str, Metrics]

    @property
    def name(self) -> str:
        """The folder name of the run."""
        return self.spec.name

    @property
    def test(self) -> Metrics:
        """How it did on the test images."""
        return self.metrics["test"]

    def to_json(self) -> dict[str, Any]:
        """The card as what `json.dumps` takes."""
        spec = self.spec
        return {
            "schema_version": SCHEMA_VERSION,
            "name": self.name,
            "created": self.created,
            "origin": spec.origin,
            "dataset": asdict(spec.dataset) | {"source": self.source, "splits": dict(self.splits)},
            "architecture": _flat(spec.architecture),
            "norm": None if spec.norm is None else _flat(spec.norm),
            "classes": list(self.classes),
            "input": asdict(spec.input),
            "recipe": None if spec.recipe is None else dict(spec.recipe),
            "seed": spec.seed,
            "parameters": self.parameters,
            "macs": self.macs,
            "seconds": self.seconds,
            "best_epoch": self.best_epoch,
            "versions": dict(self.versions),
            "hardware": self.hardware,
            "metrics": {split: asdict(metrics) for split, metrics in self.metrics.items()},
        }

    @classmethod
    def from_json(cls, plain: object) -> "Card":
        """The card in a parsed card.json of schema 1 or 2.

        Raises:
            DamagedRun: another schema, a key that is missing, or a value of the wrong kind or out of range.
        """
        top = _Part(plain, "card.json")
        version = top.get("schema_version")
        if version == 1 and not isinstance(version, bool):
            top = _Part(_from_schema_1(top), "card.json")
        elif version != SCHEMA_VERSION:
            raise DamagedRun(
                f"card.json has schema version {_shown(version)}; this Normscope reads 1 and {SCHEMA_VERSION}: use the "
                "version that wrote it, or train the run again"
            )
        return _card(top)


class _Part:
    """An object of a card; what is taken from it is checked. Every method raises DamagedRun for anything else."""

    def __init__(self, plain: object, where: str):
        if not isinstance(plain, Mapping):
            raise DamagedRun(f"{where} holds {_kind(plain)}, wanted an object; train the run again")
        self.plain, self.where = plain, where

    def get(self, key: str) -> Any:
        """The value as it is; None where there is none."""
        return self.plain.get(key)

    def needed(self, key: str) -> Any:
        """The value as it is."""
        if key not in self.plain:
            raise DamagedRun(f"{self.where} lacks the key {key!r}; train the run again")
        return self.plain[key]

    def wrong(self, key: str, wanted: str) -> DamagedRun:
        """The error that says what was wanted and what came."""
        return DamagedRun(
            f"{self.where}: {_cut(key)} should be {wanted}, is {_shown(self.plain[key])}; train the run again"
        )

    def text(self, key: str, longest: int = LONGEST) -> str:
        """A text that is not empty."""
        value = self.needed(key)
        if not _is_text(value, longest):
            raise self.wrong(key, f"a text of 1 to {longest} characters")
        return value

    def whole(self, key: str, least: int = 0, most: int = 2**63 - 1) -> int:
        """A whole number."""
        value = self.needed(key)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.wrong(key, f"a whole number from {least} to {most}")
        return value

    def number(self, key: str, least: float = 0, most: float = math.inf) -> float:
        """A finite number."""
        value = self.needed(key)
        if not _is_number(value):
            raise self.wrong(key, "a number")
        if not least <= value <= most:
            raise self.wrong(key, f"a number of at least {least}" + (f" and at most {most}" if most < math.inf else ""))
        return float(value)

    def part(self, key: str) -> "_Part":
        """An object."""
        return _Part(self.needed(key), f"{self.where}: {key}")

    def listed(self, key: str) -> list[Any]:
        """A list."""
        value = self.needed(key)
        if not isinstance(value, list):
            raise self.wrong(key, "a list")
        return value


def _card(top: _Part) -> Card:
    dataset, metrics = top.part("dataset"), top.part("metrics")
    splits, origin = dataset.part("splits"), top.needed("origin")
    if origin not in (TRAINED, IMPORTED):
        raise top.wrong("origin", f"{TRAINED} or {IMPORTED}")
    metrics.needed("test")
    return Card(
        spec=RunSpec(
            dataset=DatasetRef(
                _line(dataset, "name"),
                dataset.text("location", 4096),
                None if dataset.get("fingerprint") is None else dataset.text("fingerprint"),
            ),
            architecture=_choice(top.part("architecture")),
            norm=None if top.needed("norm") is None else _choice(top.part("norm")),
            input=_input(top.part("input")),
            recipe=None if top.needed("recipe") is None else _recipe(top.part("recipe")),
            seed=None if top.needed("seed") is None else top.whole("seed"),
            origin=origin,
        ),
        created=top.text("created"),
        classes=_classes(top),
        source=dataset.text("source", 2000),
        splits={split: splits.whole(split) for split in splits.plain if split in SPLITS},
        parameters=None if top.needed("parameters") is None else top.whole("parameters"),
        macs=None if top.needed("macs") is None else top.whole("macs"),
        seconds=None if top.needed("seconds") is None else top.number("seconds"),
        best_epoch=None if top.needed("best_epoch") is None else top.whole("best_epoch"),
        versions=_versions(top.part("versions")),
        hardware=top.text("hardware", 2000),
        metrics={split: _metrics(metrics.part(split)) for split in SPLITS if split in metrics.plain},
    )


def _line(part: _Part, key: str) -> str:
    """A name: a text in one line."""
    value = part.text(key)
    if not value.isprintable():
        raise part.wrong(key, "a text in one line")
    return value


def _classes(top: _Part) -> tuple[str, ...]:
    names, (least, most) = top.listed("classes"), CLASSES
    if not least <= len(names) <= most or not all(_is_text(name, LONGEST) for name in names):
        raise top.wrong("classes", f"{least} to {most:,} names of 1 to {LONGEST} characters")
    if len(set(names)) < len(names):
        raise top.wrong("classes", "names that differ")
    return tuple(names)


def _choice(part: _Part) -> Choice:
    return Choice(_line(part, "name"), {key: value for key, value in _settings(part).items() if key != "name"})


def _recipe(part: _Part) -> dict[str, Any]:
    return _settings(part)


def _settings(part: _Part) -> dict[str, Any]:
    """Everything in an object, as it is; what it means is not checked."""
    for key, value in part.plain.items():
        if not (_is_text(key, LONGEST) and _is_setting(value, DEEPEST)):
            raise part.wrong(key, "a finite number, a text, true, false, null, or a few of these")
    return dict(part.plain)


def _versions(part: _Part) -> dict[str, str]:
    return {key: part.text(key) for key in part.plain if _is_text(key, LONGEST)}


def _input(part: _Part) -> InputSpec:
    channels = {}
    for key, least in (("mean", -math.inf), ("std", 0.0)):
        values = part.listed(key)
        if len(values) != 3 or not all(_is_number(value) and value > least for value in values):
            raise part.wrong(key, "three finite numbers" + (" above 0" if key == "std" else ""))
        channels[key] = (float(values[0]), float(values[1]), float(values[2]))
    return InputSpec(part.whole("height", *SIDES), part.whole("width", *SIDES), channels["mean"], channels["std"])


def _metrics(part: _Part) -> Metrics:
    shares = {key: part.number(key, 0, 1) for key in ("accuracy", "micro_f1", "macro_f1")}
    count = part.whole("count", 1)
    classes = None if part.get("classes") is None else part.whole("classes", 1)
    return Metrics(
        **shares,
        loss=part.number("loss"),
        misclassified=part.whole("misclassified", 0, count),
        count=count,
        classes=classes,
    )


def _flat(choice: Choice) -> dict[str, Any]:
    return {"name": choice.name, **choice.arguments}


def _from_schema_1(top: _Part) -> dict[str, Any]:
    """The object as schema 2 writes it, with what that version left unsaid."""
    dataset = top.part("dataset")
    location = dataset.text("name", 4096)
    kind, _, path = location.partition(":")
    name = PurePath(path).name if path else kind
    known = {"name": name or location, "location": location, "fingerprint": None}  # its own was of the decoded pixels
    recipe = top.get("recipe")
    if isinstance(recipe, Mapping):
        recipe = dict(recipe)
        for kind in ("optimizer", "scheduler", "loss"):
            chosen, given = recipe.get(kind), recipe.get(f"{kind}_arguments")
            if isinstance(chosen, str) and isinstance(given, Mapping):
                recipe[f"{kind}_arguments"] = UNSAID_BY_SCHEMA_1.get((kind, chosen), {}) | dict(given)
    later = {"schema_version": SCHEMA_VERSION, "origin": TRAINED, "dataset": dict(dataset.plain) | known}
    return dict(top.plain) | later | ({} if recipe is None else {"recipe": recipe})


def _kind(value: object) -> str:
    return {type(None): "nothing", list: "a list", str: "a text"}.get(type(value), f"a {type(value).__name__}")


def _is_number(value: object) -> bool:
    """Whether it is a finite number that a float can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _is_text(value: object, longest: int) -> bool:
    """Whether it is a text that is not empty and that UTF-8 can write; half a surrogate pair cannot be shown."""
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _is_setting(value: object, deep: int) -> bool:
    """Whether it is text, a number, true, false or null, or lists and objects of these, `deep` in each other."""
    if isinstance(value, list | Mapping):
        inner = value if isinstance(value, list) else value.values()
        keys = () if isinstance(value, list) else value
        if deep == 0 or len(value) > MOST_SETTINGS or not all(_is_text(key, LONGEST) for key in keys):
            return False
        return all(_is_setting(one, deep - 1) for one in inner)
    return value is None or isinstance(value, bool) or value == "" or _is_number(value) or _is_text(value, LONGEST)


def _shown(value: object) -> str:
    """The value as a message shows it: the beginning of what is long or deep."""
    short = reprlib.Repr()
    short.maxstring, short.maxother = 60, 60
    return _cut(short.repr(value))


def _cut(text: str, longest: int = 60) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"
