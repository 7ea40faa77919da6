"""The solver: everything that happens between an untrained model and the weights a run stores."""

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim import Optimizer, lr_scheduler
from tqdm import tqdm

from explorer.datasets import Split
from explorer.predictions.metrics import Metrics, compute_metrics, metrics_from_predicted
from explorer.registry import check_name, complete_arguments
from explorer.runs import HISTORY_COLUMNS, HISTORY_METRICS, InputSpec
from explorer.runs.weights import predict
from train.augment import AUGMENTATIONS
from train.recipes import Recipe

LOSSES: dict[str, Callable[..., nn.Module]] = {
    "cross_entropy": nn.CrossEntropyLoss,
    "multi_margin": nn.MultiMarginLoss,
}


def _muon(
    groups: list[dict[str, Any]],
    lr: float,
    *,
    momentum: float = 0.95,
    nesterov: bool = True,
    adamw_share: float = 0.1,
) -> Optimizer:
    """Muon for weights: each step a matrix whose singular values are all about the learning rate.

    Norm parameters and biases take AdamW's steps at `adamw_share` of that rate. Source: Jordan 2024,
    https://kellerjordan.github.io/posts/muon/
    """
    from pytorch_optimizer import Muon  # half a second that other optimizers need not wait

    if adamw_share < 0:
        raise ValueError(f"adamw_share must be at least 0; got {adamw_share}")
    weights, others = groups
    return Muon(
        [{**weights, "use_muon": True}, {**others, "use_muon": False}],
        lr=lr,
        momentum=momentum,
        nesterov=nesterov,
        adamw_lr=adamw_share * lr,
    )


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": torch.optim.SGD,  # not fused: that reads memory as it lies, and a loaded momentum does not lie channels last
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "muon": _muon,
}


def _one_cycle(
    optimizer: Optimizer,
    steps: int,
    steps_per_epoch: int,
    *,
    pct_start: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> lr_scheduler.LRScheduler:
    """Up to the learning rate and down to nothing over the whole training (Smith 2018, arXiv 1708.07120).

    The momentum goes the other way, from 0.95 to 0.85 and back, unless the optimizer is Muon.
    """
    peak = [group["lr"] for group in optimizer.param_groups]
    if pct_start * (steps + 1) == 1:  # a way up of no steps, by whose length OneCycleLR would divide
        pct_start *= 0.999
    return lr_scheduler.OneCycleLR(
        optimizer,
        peak,
        total_steps=steps + 1,
        pct_start=float(pct_start),
        div_factor=div_factor,
        final_div_factor=final_div_factor,
        cycle_momentum=not optimizer.defaults.keys().isdisjoint({"momentum", "betas"}),
    )


def _cosine(
    optimizer: Optimizer, steps: int, steps_per_epoch: int, *, eta_min: float = 0.0
) -> lr_scheduler.LRScheduler:
    """From the learning rate down to `eta_min` along half a cosine (Loshchilov and Hutter 2017, arXiv 1608.03983)."""
    return lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps, eta_min=eta_min)


def _step(
    optimizer: Optimizer, steps: int, steps_per_epoch: int, *, every: int = 10, gamma: float = 0.1
) -> lr_scheduler.LRScheduler:
    """Times `gamma` every `every` epochs."""
    if not isinstance(every, int) or every < 1:
        raise ValueError(f"the scheduler 'step' wants a whole number of epochs, at least 1, as 'every'; got {every!r}")
    return lr_scheduler.StepLR(optimizer, step_size=every * steps_per_epoch, gamma=gamma)


def _constant(optimizer: Optimizer, steps: int, steps_per_epoch: int) -> lr_scheduler.LRScheduler:
    """The learning rate as it is."""
    return lr_scheduler.ConstantLR(optimizer, factor=1.0)


# name -> schedule(optimizer, steps, steps_per_epoch, **arguments); every schedule is stepped once a batch
SCHEDULERS: dict[str, Callable[..., lr_scheduler.LRScheduler]] = {
    "one_cycle": _one_cycle,
    "cosine": _cosine,
    "step": _step,
    "constant": _constant,
}
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
# What a recipe chooses by name and gives arguments: its field `<kind>` is a name and `<kind>_arguments` a mapping.
CHOSEN_BY_NAME: dict[str, Mapping[str, Callable[..., Any]]] = {
    "loss": LOSSES,
    "optimizer": OPTIMIZERS,
    "scheduler": SCHEDULERS,
}
NOT_IN_RECIPES = frozenset(
    (
        *("params", "lr", "weight_decay", "weight", "size_average", "reduce", "reduction"),  # the solver's own to give
        *("foreach", "fused", "capturable", "differentiable", "maximize"),  # how a step is computed, not which
    )
)


class TrainingDiverged(Exception):
    """The loss is no longer finite; the message says when and what to change."""


@dataclass(frozen=True)
class Best:
    """The best validation epoch so far: the highest accuracy, of equal ones the lowest loss."""

    epoch: int
    accuracy: float
    loss: float
    weights: Mapping[str, Tensor]


class Solver:
    """Trains a model on one split, validates it on another after each epoch and keeps the best epoch's weights.

    Loss, optimizer, schedule and augmentations come by name from the recipe. Every random choice of an epoch follows
    from the seed and the epoch's number, so a solver that was saved and loaded goes on exactly as if it had never
    stopped.
    """

    def __init__(
        self,
        model: nn.Module,
        train: Split,
        val: Split,
        input: InputSpec,
        recipe: Recipe,
        *,
        seed: int = 0,
        device: str = "cpu",
    ):
        recipe = complete_recipe(recipe)
        self.model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.train_split, self.val_split, self.input = train, val, input
        self.recipe, self.seed, self.device = recipe, seed, torch.device(device)
        self.class_count = int(train.labels.max()) + 1
        # batches are made equal in size: a last batch of one image has no variance to normalise by
        self.steps_per_epoch = max(1, len(train.labels) // recipe.batch_size)
        self.loss = build_loss(recipe)
        groups = parameter_groups(model, recipe.weight_decay)
        self.optimizer: Optimizer = _build("optimizer", recipe, groups, lr=recipe.learning_rate)
        steps = recipe.epochs * self.steps_per_epoch
        self.scheduler: lr_scheduler.LRScheduler = _build(
            "scheduler", recipe, self.optimizer, steps, self.steps_per_epoch
        )
        self.rows: list[dict[str, float]] = []
        self.best: Best | None = None
        self._last: dict[str, Tensor] | None = None

    @property
    def epoch(self) -> int:
        """How many epochs are done."""
        return len(self.rows)

    @property
    def history(self) -> pd.DataFrame:
        """One row an epoch, columns HISTORY_COLUMNS."""
        return pd.DataFrame(self.rows, columns=list(HISTORY_COLUMNS))

    @property
    def seconds(self) -> float:
        """Time spent in training and validation so far."""
        return self.rows[-1]["seconds"] if self.rows else 0.0

    def train(self, epochs: int | None = None, *, state: Path | None = None, quiet: bool = False) -> None:
        """Trains for a number of epochs (all that the recipe still asks for), then loads the best epoch's weights.

        With `state`, the whole state is saved there after each epoch.

        Raises:
            TrainingDiverged: the loss is not finite.
        """
        last = self.recipe.epochs if epochs is None else min(self.epoch + epochs, self.recipe.epochs)
        if self._last is not None:
            self.model.load_state_dict(self._last)
            self._last = None
        total = self.recipe.epochs * self.steps_per_epoch
        with tqdm(total=total, initial=self.epoch * self.steps_per_epoch, unit="batch", disable=quiet) as bar:
            while self.epoch < last:
                self._describe(bar)
                self._train_epoch(bar)
                if state is not None:
                    self.save(state)
            self._describe(bar)
        self._last = _copied(self.model.state_dict())
        if self.best is not None:
            self.model.load_state_dict(self.best.weights)

    def test(self, split: Split, num_samples: int | None = None) -> float:
        """The accuracy on a split, or on a random subset of `num_samples` of its images, in percent.

        Nothing here calls it: it is how solvers of other projects report their accuracy, so that theirs and ours can be
        set side by side. Everything else in this project is a fraction.

        Raises:
            ValueError: a subset of no image or of more than there are.
        """
        chosen = torch.arange(len(split.labels))
        if num_samples is not None:
            if not 1 <= num_samples <= len(chosen):
                raise ValueError(f"num_samples must be from 1 to {len(chosen)}; got {num_samples}")
            chosen = torch.randperm(len(chosen), generator=self._generator(self.epoch))[:num_samples]
        probabilities = predict(self.model, split.images[chosen], self.input)
        return 100 * compute_metrics(probabilities, split.labels[chosen].numpy()).accuracy

    def save(self, path: Path) -> None:
        """Writes the whole state (weights, best weights, optimizer, schedule, history) as one safetensors file."""
        from safetensors.torch import save_file

        optimizer = self.optimizer.state_dict()
        tensors = {f"model/{key}": value for key, value in (self._last or self.model.state_dict()).items()}
        if self.best is not None:
            tensors |= {f"best/{key}": value for key, value in self.best.weights.items()}
        for index, state in optimizer["state"].items():
            tensors |= {f"optimizer/{index}/{key}": value for key, value in state.items() if value is not None}
        plain = {
            "recipe": self.recipe.to_json(),
            "seed": self.seed,
            "rows": self.rows,
            "best": self.best and [self.best.epoch, self.best.accuracy, self.best.loss],
            "groups": optimizer["param_groups"],
            "scheduler": self.scheduler.state_dict(),
        }
        draft = path.with_name(path.name + ".writing")
        draft.parent.mkdir(parents=True, exist_ok=True)
        save_file(_copied(tensors), draft, metadata={"state": json.dumps(plain)})
        draft.replace(path)

    def load(self, path: Path) -> None:
        """Goes back to a saved state. Raises ValueError when it was saved with another recipe or seed or is damaged."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt") as file:
                plain = json.loads(file.metadata()["state"])
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
            ours = (plain["recipe"], plain["seed"]) == (self.recipe.to_json(), self.seed)
            if ours:
                self._restore(plain, tensors)
        except (SafetensorError, ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
            reason = str(error).partition("\n")[0]  # PyTorch goes on with a line for every tensor
            raise ValueError(f"the training state {path} is damaged ({reason}); delete it to start anew") from error
        if not ours:
            raise ValueError(f"{path} was saved with another recipe or seed; delete it to start anew")

    def _restore(self, plain: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Takes over what `save` wrote: everything that is no tensor, and the tensors."""
        self._last = None
        self.model.load_state_dict(_below("model/", tensors))
        self.rows = plain["rows"]
        self.best = None
        if plain["best"]:
            epoch, accuracy, loss = plain["best"]
            self.best = Best(epoch, accuracy, loss, _below("best/", tensors))
        states: dict[int, dict[str, Tensor]] = {}
        for key, value in _below("optimizer/", tensors).items():
            index, _, name = key.partition("/")
            states.setdefault(int(index), {})[name] = value
        groups = [{key: _as_tuple(value) for key, value in group.items()} for group in plain["groups"]]
        self.optimizer.load_state_dict({"state": states, "param_groups": groups})
        self.scheduler.load_state_dict(plain["scheduler"])

    def _train_epoch(self, bar: tqdm) -> None:
        start, rate = time.perf_counter(), self.optimizer.param_groups[0]["lr"]
        train = self._fit_epoch(bar)
        val = self._validate()
        row = {"epoch": self.epoch + 1, "learning_rate": rate}
        for split, metrics in (("train", train), ("val", val)):
            row |= {f"{split}_{key}": getattr(metrics, key) for key in HISTORY_METRICS}
        row["seconds"] = self.seconds + time.perf_counter() - start
        self.rows.append(row)
        if self.best is None or (val.accuracy, -val.loss) > (self.best.accuracy, -self.best.loss):
            self.best = Best(self.epoch, val.accuracy, val.loss, _copied(self.model.state_dict()))

    def _fit_epoch(self, bar: tqdm) -> Metrics:
        """One pass over the training images; the metrics are of the augmented images as they went by."""
        generator = self._generator(self.epoch)
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))  # for dropout
        order = torch.randperm(len(self.train_split.labels), generator=generator)
        # room for all that outlives its batch, for the reason that `joined` gives
        predicted = torch.empty(len(order), dtype=torch.int64, device=self.device)
        losses = torch.empty(self.steps_per_epoch, device=self.device)
        batches = (order.tensor_split(self.steps_per_epoch), predicted.tensor_split(self.steps_per_epoch), losses)
        self.model.train()
        for chosen, said, lost in zip(*batches, strict=True):
            labels = self.train_split.labels[chosen].to(self.device)
            images = self._augmented(self.train_split.take(chosen).to(self.device), generator)
            with self._autocast():
                logits = self.model(self.input.normalise(images).contiguous(memory_format=torch.channels_last))
            loss = self.loss(logits.float(), labels)
            self.optimizer.zero_grad()
            loss.backward()
            if self.recipe.clip_norm is not None:
                nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip_norm)
            self.optimizer.step()
            self.scheduler.step()
            said.copy_(logits.detach().argmax(1))
            lost.copy_(loss.detach() * len(chosen))
            bar.update()
        return self._metrics(predicted, self.train_split.labels[order], losses.sum().item())

    @torch.no_grad()
    def _validate(self) -> Metrics:
        self.model.eval()
        labels = self.val_split.labels
        logits = joined((self._logits(images) for images in self.val_split.batches(256)), len(labels))
        loss = nn.functional.cross_entropy(logits.cpu(), labels, reduction="sum").item()
        return self._metrics(logits.argmax(1), labels, loss)

    def _logits(self, images: Tensor) -> Tensor:
        with self._autocast():
            inputs = self.input.normalise(images.to(self.device)).contiguous(memory_format=torch.channels_last)
            return self.model(inputs).float()

    def _metrics(self, predicted: Tensor, labels: Tensor, loss_sum: float) -> Metrics:
        if not math.isfinite(loss_sum):
            raise TrainingDiverged(
                f"the loss is not finite in epoch {self.epoch + 1}; lower the learning rate "
                f"(it is {self.recipe.learning_rate:g}) or use --precision fp32"
            )
        return metrics_from_predicted(predicted.cpu().numpy(), labels.numpy(), self.class_count, loss_sum / len(labels))

    def _augmented(self, images: Tensor, generator: torch.Generator) -> Tensor:
        for name in self.recipe.augmentations:
            images = AUGMENTATIONS[name](images, generator)
        return images

    def _autocast(self) -> torch.autocast:
        dtype = PRECISIONS[self.recipe.precision]
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=dtype is torch.bfloat16)

    def _generator(self, epoch: int) -> torch.Generator:
        return torch.Generator().manual_seed(int(np.random.SeedSequence([self.seed, epoch]).generate_state(1)[0]))

    def _describe(self, bar: tqdm) -> None:
        bar.set_description(f"epoch {min(self.epoch + 1, self.recipe.epochs)}/{self.recipe.epochs}")
        if self.rows:
            bar.set_postfix_str(f"val accuracy {self.rows[-1]['val_accuracy']:.1%}")


def complete_recipe(recipe: Recipe) -> Recipe:
    """The recipe with every argument of its loss, its optimizer and its schedule spelled out.

    Raises:
        ValueError: a name, an argument or a number that no training can start with; the message has the valid ones.
    """
    check_name("precision", recipe.precision, PRECISIONS)
    for name in recipe.augmentations:
        check_name("augmentation", name, AUGMENTATIONS)
    for key, least in (("epochs", 1), ("batch_size", 1), ("learning_rate", 0), ("weight_decay", 0)):
        if not least <= getattr(recipe, key) < math.inf:
            raise ValueError(f"{key.replace('_', ' ')} must be at least {least}; got {getattr(recipe, key)}")
    if recipe.clip_norm is not None and not 0 < recipe.clip_norm < math.inf:
        raise ValueError(f"clip norm must be more than 0; got {recipe.clip_norm}")
    return replace(
        recipe,
        **{
            f"{kind}_arguments": complete_arguments(
                kind, getattr(recipe, kind), registry, getattr(recipe, f"{kind}_arguments"), NOT_IN_RECIPES
            )
            for kind, registry in CHOSEN_BY_NAME.items()
        },
    )


def joined(parts: Iterable[Tensor], count: int) -> Tensor:
    """One tensor of all parts, which have `count` rows together; no part outlives the next.

    Small tensors that are kept between large ones that are not take glibc the room in which it would put the next large
    one: with glibc 2.36 memory grew by 7 MB with every batch of 64 images of 128x128, to 7 GB in one epoch of 60,000.
    """
    whole, done = torch.empty(0), 0
    for part in parts:
        if not done:
            whole = part.new_empty((count, *part.shape[1:]))
        whole[done : done + len(part)] = part
        done += len(part)
    return whole


def build_loss(recipe: Recipe) -> nn.Module:
    """The recipe's loss, tried once. Raises ValueError for a value it does not take."""
    loss: nn.Module = _build("loss", recipe)
    try:
        loss(torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64))
    except RuntimeError as error:
        raise ValueError(f"the loss {recipe.loss!r} does not take these arguments: {error}") from error
    return loss


def _build(kind: str, recipe: Recipe, *values: Any, **more: Any) -> Any:
    """What a recipe chose by name, built. Raises ValueError for an argument it does not take."""
    name, arguments = getattr(recipe, kind), getattr(recipe, f"{kind}_arguments")
    try:
        return CHOSEN_BY_NAME[kind][name](*values, **more, **arguments)
    except (TypeError, ArithmeticError) as error:
        raise ValueError(f"the {kind} {name!r} does not take these arguments: {error}") from error


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """The parameters in two groups: weights (two or more dimensions) decay, norm parameters and biases do not."""
    decayed = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def _copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.detach().clone(memory_format=torch.contiguous_format) for key, value in tensors.items()}


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _as_tuple(value: Any) -> Any:
    """The value with its lists as tuples, which JSON does not know."""
    return tuple(_as_tuple(item) for item in value) if isinstance(value, list) else value
