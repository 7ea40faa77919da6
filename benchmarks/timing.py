"""What the benchmarks share: taking turns, a stopwatch, tables, and the line that says what was run on what."""

import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import wraps
from statistics import median, quantiles
from typing import Any
from unittest.mock import patch

import torch

from explorer.hardware import processor_name


def take_turns(
    arms: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """The seconds of every call of each arm, one per round, after a first round that is not counted.

    The arms alternate, so that whatever else the machine does falls on all of them alike. `time.process_time` as the
    clock leaves out the time for which this process was not let onto a core.
    """
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for number in range(rounds + 1):
        for name, call in arms.items():
            start = clock()
            call()
            if number:
                seconds[name].append(clock() - start)
    return seconds


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """`above / below` of each round: what slows the machine for a while is in both."""
    return [one / other for one, other in zip(above, below, strict=True)]


def median_ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """The median over the rounds of `above / below`, both of one round."""
    return median(ratios(above, below))


def with_quartiles(values: Sequence[float], digits: int = 2) -> str:
    """`median (lower to upper quartile)`. Raises StatisticsError for fewer than two values."""
    low, middle, high = (f"{value:.{digits}f}" for value in quantiles(values, n=4, method="inclusive"))
    return f"{middle} ({low} to {high})"


@contextmanager
def stopwatch(*parts: tuple[Any, str]) -> Iterator[list[float]]:
    """Collects the seconds of every call of these (owner, method name) inside the `with`."""
    spent: list[float] = []

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*values: Any, **arguments: Any) -> Any:
            start = time.perf_counter()
            result = function(*values, **arguments)
            spent.append(time.perf_counter() - start)
            return result

        return call

    with ExitStack() as stack:
        for owner, name in parts:
            stack.enter_context(patch.object(owner, name, timed(getattr(owner, name))))
        yield spent


def verdict(met: bool) -> str:
    """How the tables say whether an aim is met."""
    return "met" if met else "MISSED"


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a Markdown table, its columns aligned."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in (header, ["-" * width for width in widths], *rows):
        print("| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |")


def print_provenance(module: str) -> None:
    """Prints the command line, the machine and how busy it was: figures of a busy machine are not to be published."""
    print(" ".join(["python -m", module, *sys.argv[1:]]))
    print(
        f"{processor_name()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads for PyTorch; "
        f"Python {platform.python_version()}, torch {torch.__version__}; "
        f"load average at the start {os.getloadavg()[0]:.1f}"
    )
