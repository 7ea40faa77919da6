"""The run folder: what training writes and the app reads. Its format is described here and only here.

`<root>/<dataset>/<run>/` holds:

- `card.json`: the truth about the run, see `Card`; written last, so a folder with a card is complete. Fractions and
  counts only. `architecture` and `norm` are `{"name": ..., <argument>: ...}` with every argument spelled out.
- `weights.safetensors`: the tensors of the model's state dict, float32 or float16 (read back as float32).
- `history.csv`: one row an epoch, columns `HISTORY_COLUMNS`; `seconds` is the training time so far.
- `predictions.parquet`: one row per image of val and test: `split`, `index`, `image_id`, `label` and
  `probability_0` ... `probability_{K-1}` in the order of the card's classes, as float32.

A run is written to a hidden sibling folder and renamed into place. The folder's name is derived from the card and never
parsed. No pickle is ever read.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from explorer.predictions.metrics import Metrics

if TYPE_CHECKING:  # torch takes seconds to import, and tables and charts need none of it
    from torch import Tensor, nn

    from explorer.models import StagedModel

SCHEMA_VERSION = 1
FILES = ("card.json", "weights.safetensors", "history.csv", "predictions.parquet")
HISTORY_METRICS = ("loss", "accuracy", "micro_f1", "macro_f1")
HISTORY_COLUMNS = (
    "epoch",
    "learning_rate",
    *(f"{split}_{metric}" for split in ("train", "val") for metric in HISTORY_METRICS),
    "seconds",
)


class DamagedRun(Exception):
    """A run folder that cannot be read; the message says which file, what was wanted and what to do."""


@dataclass(frozen=True)
class Choice:
    """A name from a registry with all the arguments it was called with."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        details = ", ".join(f"{key}={value}" for key, value in self.arguments.items())
        return f"{self.name} ({details})" if details else self.name


@dataclass(frozen=True)
class DatasetCard:
    """Which images a run was trained on: name, origin in a sentence, fingerprint and images per split."""

    name: str
    source: str
    fingerprint: str
    splits: Mapping[str, int]


@dataclass(frozen=True)
class InputSpec:
    """What the model eats: height and width in pixels, mean and std per channel of images scaled to [0, 1]."""

    height: int
    width: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def normalise(self, images: "Tensor") -> "Tensor":
        """Inputs (N, 3, H, W), float32, standardised per channel, from uint8 images (N, 3, H, W)."""
        import torch

        if images.dtype != torch.uint8 or images.shape[1:] != (3, self.height, self.width):
            raise ValueError(
                f"wanted uint8 images (N, 3, {self.height}, {self.width}); got {images.dtype} {tuple(images.shape)}"
            )
        mean, std = (torch.tensor(v, device=images.device).view(3, 1, 1) * 255 for v in (self.mean, self.std))
        return images.float().sub_(mean).div_(std)


@dataclass(frozen=True)
class Card:
    """Everything about a run but its tensors; `to_json` and `from_json` are its border."""

    created: str
    dataset: DatasetCard
    architecture: Choice
    norm: Choice
    classes: tuple[str, ...]
    input: InputSpec
    recipe: Mapping[str, Any]
    seed: int
    parameters: int
    macs: int
    seconds: float
    best_epoch: int
    versions: Mapping[str, str]
    hardware: str
    metrics: Mapping[str, Metrics]

    @property
    def name(self) -> str:
        return run_name(self.dataset.name, self.architecture, self.norm, self.input, self.recipe, self.seed)

    def to_json(self) -> dict[str, Any]:
        plain = asdict(self) | {"schema_version": SCHEMA_VERSION, "name": self.name}
        for key in ("architecture", "norm"):
            plain[key] = {"name": plain[key]["name"], **plain[key]["arguments"]}
        first = ("schema_version", "name")
        return {key: plain[key] for key in (*first, *(k for k in plain if k not in first))}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Card":
        """The card in a parsed card.json. Raises DamagedRun when a key is missing or the schema is another."""
        if plain.get("schema_version") != SCHEMA_VERSION:
            raise DamagedRun(
                f"card.json has schema version {plain.get('schema_version')!r}; this Normscope reads {SCHEMA_VERSION}. "
                "Train the run again or use the version that wrote it"
            )
        try:
            return cls._from_complete(plain)
        except KeyError as error:
            raise DamagedRun(f"card.json lacks the key {error}; train the run again") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise DamagedRun(f"card.json has a value of the wrong kind ({error}); train the run again") from error

    @classmethod
    def _from_complete(cls, plain: Mapping[str, Any]) -> "Card":
        size = plain["input"]
        return cls(
            created=plain["created"],
            dataset=DatasetCard(**plain["dataset"]),
            architecture=_choice(plain["architecture"]),
            norm=_choice(plain["norm"]),
            classes=tuple(plain["classes"]),
            input=InputSpec(size["height"], size["width"], tuple(size["mean"]), tuple(size["std"])),
            recipe=dict(plain["recipe"]),
            seed=int(plain["seed"]),
            parameters=int(plain["parameters"]),
            macs=int(plain["macs"]),
            seconds=float(plain["seconds"]),
            best_epoch=int(plain["best_epoch"]),
            versions=dict(plain["versions"]),
            hardware=plain["hardware"],
            metrics={split: Metrics(**plain["metrics"][split]) for split in ("train", "val", "test")},
        )


def _choice(plain: Mapping[str, Any]) -> Choice:
    return Choice(plain["name"], {key: value for key, value in plain.items() if key != "name"})


def run_name(
    dataset: str, architecture: Choice, norm: Choice, size: InputSpec, recipe: Mapping[str, Any], seed: int
) -> str:
    """The folder name of a run: readable first, then six hex digits over everything that defines the training."""
    defining = [dataset, asdict(architecture), asdict(norm), size.height, size.width, dict(recipe), seed]
    digest = hashlib.sha256(json.dumps(defining, sort_keys=True).encode()).hexdigest()[:6]
    return f"{architecture.name}-{norm.name}-seed{seed}-{digest}"


def dataset_folder(dataset: str) -> str:
    """The folder name for the runs of a data set: its own name, or `folder-<last part>` for `folder:PATH`."""
    kind, _, path = dataset.partition(":")
    return re.sub(r"[^\w.-]+", "-", f"{kind}-{Path(path).resolve().name}" if path else kind)


@dataclass(frozen=True)
class Run:
    """A finished training on disk; tables and the model are read when asked for."""

    path: Path
    card: Card

    @property
    def key(self) -> str:
        """`<dataset>/<run>`: names the run within its root."""
        return f"{self.path.parent.name}/{self.path.name}"

    def history(self) -> pd.DataFrame:
        """One row an epoch, columns HISTORY_COLUMNS."""
        return pd.read_csv(self.path / "history.csv")

    def predictions(self, split: str = "test") -> "Predictions":
        """The stored predictions of `val` or `test`, in the order of the data set."""
        import pyarrow.parquet as parquet

        table = parquet.read_table(self.path / "predictions.parquet").to_pandas()
        rows = table[table["split"] == split].sort_values("index")
        columns = [f"probability_{k}" for k in range(len(self.card.classes))]
        return Predictions(tuple(rows["image_id"]), rows["label"].to_numpy(), rows[columns].to_numpy(dtype=np.float32))

    def load_model(self) -> "StagedModel":
        """The trained model in eval mode, in float32, its parameters without gradients.

        Raises DamagedRun when the weights are not those of the model that the card describes.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            model = build_model_of(self.card)
            weights = load_file(self.path / "weights.safetensors")
            wanted = model.state_dict()
            model.load_state_dict(
                {key: value.to(wanted[key].dtype) if key in wanted else value for key, value in weights.items()}
            )
        except (SafetensorError, RuntimeError, ValueError, OSError) as error:  # RuntimeError: tensors that do not fit
            reason = str(error).partition("\n")[0].rstrip(": ")  # PyTorch goes on with a line for every tensor
            raise DamagedRun(
                f"{self.path}: weights.safetensors does not fit card.json ({reason}); train the run again"
            ) from error
        return model.eval().requires_grad_(False)


@dataclass(frozen=True)
class Predictions:
    """What a model says of N images: ids, labels (N,), probabilities (N, K) float32."""

    ids: tuple[str, ...]
    labels: np.ndarray
    probabilities: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        return self.probabilities.argmax(1)

    @property
    def confidence(self) -> np.ndarray:
        """The probability of the predicted class, (N,)."""
        return self.probabilities.max(1)

    @property
    def wrong(self) -> np.ndarray:
        """Whether each image is misclassified, (N,) bool."""
        return self.predicted != self.labels


@dataclass(frozen=True)
class Problem:
    """A folder that looks like a run and cannot be read, and why."""

    path: Path
    reason: str


def build_model_of(card: Card) -> "StagedModel":
    """The untrained model a card describes."""
    from explorer.models import build_model

    return build_model(
        card.architecture.name,
        card.norm.name,
        classes=len(card.classes),
        input_size=(card.input.height, card.input.width),
        architecture_arguments=card.architecture.arguments,
        norm_arguments=card.norm.arguments,
    )


def predict(
    model: "nn.Module",
    images: "Tensor",
    input: InputSpec,
    batch_size: int = 256,
    progress: Callable[[int, int], object] | None = None,
) -> np.ndarray:
    """Probabilities (N, K) float32 for uint8 images (N, 3, H, W), with the model in eval mode and full precision.

    `progress(done, total)` is called after each batch, in images.
    """
    import torch

    device, training = next(model.parameters()).device, model.training
    model.eval()
    parts = []
    for batch in images.split(batch_size):
        with torch.no_grad():
            parts.append(model(input.normalise(batch.to(device))).float().softmax(1).cpu())
        if progress is not None:
            progress(sum(map(len, parts)), len(images))
    model.train(training)
    return torch.cat(parts).numpy()


def list_runs(root: Path) -> tuple[list[Run], list[Problem]]:
    """The readable runs below a root, sorted by path, and the damaged ones with their reasons."""
    runs, problems = [], []
    for path in sorted(root.glob("*/*/")):
        if path.name.startswith(".") or path.parent.name.startswith("."):
            continue
        try:
            runs.append(read_run(path))
        except DamagedRun as error:
            problems.append(Problem(path, str(error)))
    return runs, problems


def read_run(path: Path) -> Run:
    """The run in a folder, after a quick look at each of its files. Raises DamagedRun."""
    for name in FILES:
        if not (path / name).is_file():
            raise DamagedRun(f"{name} is missing; train the run again or delete the folder")
    try:
        plain = json.loads((path / "card.json").read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise DamagedRun(f"card.json is not readable JSON ({error}); train the run again") from error
    if not isinstance(plain, dict):
        raise DamagedRun(f"card.json holds a {type(plain).__name__}, wanted an object; train the run again")
    card = Card.from_json(plain)
    _check_weights(path / "weights.safetensors")
    _check_tables(path, card)
    return Run(path, card)


def _check_weights(path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np"):  # reads the header and compares it with the file's length
            pass
    except (SafetensorError, OSError) as error:
        raise DamagedRun(f"{path.name} is damaged ({error}); train the run again") from error


def _check_tables(path: Path, card: Card) -> None:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    try:
        found = parquet.read_schema(path / "predictions.parquet").names
        history = pd.read_csv(path / "history.csv", nrows=1)
    except (pa.ArrowException, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeError, OSError) as error:
        raise DamagedRun(f"a table is damaged ({error}); train the run again") from error
    wanted = ["split", "index", "image_id", "label", *(f"probability_{k}" for k in range(len(card.classes)))]
    if missing := [c for c in wanted if c not in found] + [c for c in HISTORY_COLUMNS if c not in history]:
        raise DamagedRun(f"the tables lack the columns {', '.join(missing)}; train the run again")


def write_run(
    root: Path,
    card: Card,
    weights: "Mapping[str, Tensor]",
    history: pd.DataFrame,
    predictions: Mapping[str, Predictions],
    *,
    overwrite: bool = False,
) -> Run:
    """Writes `<root>/<dataset>/<run>/` as a whole or not at all, and returns the run.

    Raises:
        FileExistsError: the run exists and `overwrite` is false.
    """
    final = root / dataset_folder(card.dataset.name) / card.name
    if final.exists() and not overwrite:
        raise FileExistsError(f"the run {final} exists; pass --overwrite to replace it")
    draft, old = (final.with_name(f".{kind}-{final.name}") for kind in ("writing", "replaced"))
    for leftover in (draft, old):
        shutil.rmtree(leftover, ignore_errors=True)
    draft.mkdir(parents=True)
    _write_files(draft, card, weights, history, predictions)
    if final.exists():
        final.rename(old)
    draft.rename(final)
    shutil.rmtree(old, ignore_errors=True)
    return read_run(final)


def _write_files(
    folder: Path,
    card: Card,
    weights: "Mapping[str, Tensor]",
    history: pd.DataFrame,
    predictions: Mapping[str, Predictions],
) -> None:
    from safetensors.torch import save_file

    save_file({key: value.cpu().contiguous() for key, value in weights.items()}, folder / "weights.safetensors")
    history[list(HISTORY_COLUMNS)].to_csv(folder / "history.csv", index=False, float_format="%.6g")
    table = pd.concat([_prediction_rows(split, part) for split, part in predictions.items()])
    # Probabilities lie byte by byte, all first bytes before all second ones: a third less to store.
    encoding = {column: "BYTE_STREAM_SPLIT" for column in table if str(column).startswith("probability_")}
    table.to_parquet(
        folder / "predictions.parquet",
        index=False,
        compression="zstd",
        use_dictionary=["split"],
        column_encoding=encoding,
    )
    text = json.dumps(card.to_json(), indent=2, allow_nan=False, ensure_ascii=False)
    (folder / "card.json").write_text(text + "\n", encoding="utf-8")


def _prediction_rows(split: str, predictions: Predictions) -> pd.DataFrame:
    columns = {f"probability_{k}": column for k, column in enumerate(predictions.probabilities.T)}
    return pd.DataFrame(
        {"split": split, "index": range(len(predictions.ids)), "image_id": predictions.ids, "label": predictions.labels}
        | columns
    )


def labels_of(runs: Sequence[Run]) -> dict[str, str]:
    """Run key -> a short label that is unique among the runs: the norm, and whatever else tells them apart."""
    details = {run.key: _details(run.card) for run in runs}
    labels = {}
    for run in runs:
        rivals = [details[other.key] for other in runs if other.card.norm.name == run.card.norm.name]
        parts = [text for key, text in details[run.key].items() if any(rival[key] != text for rival in rivals)]
        labels[run.key] = ", ".join([run.card.norm.name, *parts])
    doubles = {label for label in labels.values() if list(labels.values()).count(label) > 1}
    return {key: f"{label}, {key[-6:]}" if label in doubles else label for key, label in labels.items()}


def _details(card: Card) -> dict[str, str]:
    return {
        "architecture": card.architecture.name,
        "groups": f"{card.norm.arguments.get('groups')} groups",
        "batch_size": f"batch size {card.recipe.get('batch_size')}",
        "epochs": f"{card.recipe.get('epochs')} epochs",
        "learning_rate": f"learning rate {card.recipe.get('learning_rate')}",
        "size": f"{card.input.height} pixels",
        "seed": f"seed {card.seed}",
    }


def runs_table(runs: Sequence[Run], labels: Mapping[str, str]) -> pd.DataFrame:
    """One row per run: `run` (its label), what tells it apart, `<split>_<metric>` for every split, and what it cost."""
    rows = []
    for run in runs:
        card = run.card
        row = {
            "run": labels[run.key],
            "dataset": card.dataset.name,
            "architecture": card.architecture.name,
            "norm": card.norm.name,
            "seed": card.seed,
            "batch_size": card.recipe.get("batch_size"),
            "epochs": card.recipe.get("epochs"),
            "learning_rate": card.recipe.get("learning_rate"),
        }
        for split in ("test", "val", "train"):
            row |= {f"{split}_{metric}": value for metric, value in asdict(card.metrics[split]).items()}
        rows.append(row | {"parameters": card.parameters, "macs": card.macs, "seconds": card.seconds})
    return pd.DataFrame(rows)
