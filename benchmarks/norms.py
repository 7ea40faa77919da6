"""What each norm costs: a training step and a forward pass of resnet14, beside those of batch norm.

    python -m benchmarks.norms

A training step is forward pass, loss and backward pass as `train.solver` does them: bf16 autocast, channels last, freed
memory kept. Clipping, the optimizer's step and augmentation are the same for every norm and left out, so that whole
trainings differ by less than these ratios. Inference is the forward pass that the app makes: eval mode, float32.

The norms take turns, and a ratio is of two calls of one round. All on one thread, whose processor time is counted:
other work on the machine does not count while it keeps this thread waiting, only where it slows down memory and caches.
"""

import time
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from benchmarks.timing import print_provenance, print_table, ratios, take_turns, with_quartiles
from explorer.models import build_model
from explorer.models.norms import NORMS
from explorer.models.staged import StagedModel
from train.memory import keep_freed_memory

ARCHITECTURE, CLASSES, REFERENCE = "resnet14", 10, "batch"
Seconds = dict[str, list[float]]


@dataclass(frozen=True)
class Setting:
    """A size of images (side in pixels), how many are in a batch, and the stride of the model's stem."""

    side: int
    batch_size: int
    stem_stride: int


SETTINGS = (Setting(32, 64, 1), Setting(128, 32, 2))  # as on CIFAR-10 and on the solar cells


def new_model(setting: Setting, norm: str) -> StagedModel:
    """The untrained model, its weights the same for every norm."""
    torch.manual_seed(0)
    return build_model(
        ARCHITECTURE,
        norm,
        classes=CLASSES,
        input_size=(setting.side, setting.side),
        architecture_arguments={"stem_stride": setting.stem_stride},
    )


def noise(setting: Setting) -> Tensor:
    """Inputs (N, 3, H, W), float32: how long a norm takes does not depend on what images show."""
    shape = (setting.batch_size, 3, setting.side, setting.side)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def training_step(setting: Setting, norm: str) -> Callable[[], None]:
    """What makes one training step but for the optimizer's."""
    model = new_model(setting, norm).train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    inputs = noise(setting).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(setting.batch_size) % CLASSES

    def step() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(inputs)
        loss = cross_entropy(logits.float(), labels)
        model.zero_grad()
        loss.backward()

    return step


def inference(setting: Setting, norm: str) -> Callable[[], None]:
    """What makes one forward pass as the app does."""
    model, inputs = new_model(setting, norm).eval(), noise(setting)

    @torch.no_grad()
    def forward() -> None:
        model(inputs)

    return forward


def cells(seconds: Seconds, norm: str) -> tuple[str, str]:
    """A norm's median milliseconds, and how many times batch norm's they are."""
    return f"{1000 * median(seconds[norm]):.1f}", with_quartiles(ratios(seconds[norm], seconds[REFERENCE]))


def compare(setting: Setting, rounds: int) -> None:
    """Times all norms in one setting and prints the table."""
    trained, applied = (
        take_turns({norm: make(setting, norm) for norm in NORMS}, rounds, time.process_time)
        for make in (training_step, inference)
    )
    stem = f", a stem of stride {setting.stem_stride}" if setting.stem_stride > 1 else ""
    print(f"\n**{ARCHITECTURE}, {setting.side}x{setting.side} pixels, batches of {setting.batch_size}{stem}**\n")
    print_table(
        ("norm", "training step, ms", "times batch norm", "inference, ms", "times batch norm"),
        [("no norm" if norm == "none" else norm, *cells(trained, norm), *cells(applied, norm)) for norm in NORMS],
    )


def main() -> None:
    """Prints one table for each setting."""
    parser = ArgumentParser(prog="python -m benchmarks.norms", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60, help="counted calls of each norm (at least 2)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    print_provenance("benchmarks.norms")
    for setting in SETTINGS:
        compare(setting, options.rounds)
    print(f"\nMedians of {options.rounds} rounds; in brackets the quartiles of the rounds' ratios.")


if __name__ == "__main__":
    main()
