"""The command line: `python -m train` trains one run, `grid` many of them, `capacity` prints a model's layers."""

import argparse
import sys
import warnings
from collections.abc import Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from explorer.datasets import DatasetMissing
from explorer.models import ARCHITECTURES, build_model
from explorer.models.norms import NORMS
from train.augment import AUGMENTATIONS
from train.grid import GRIDS, describe, report, state_of, train_grid
from train.job import Job, RunBusy, default_job, train_run
from train.layer_text import capacity_text
from train.memory import keep_freed_memory
from train.recipes import Recipe
from train.solver import LOSSES, OPTIMIZERS, PRECISIONS, SCHEDULERS, TrainingDiverged


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 when all is done, 1 with the reason on stderr when it is not, 130 after Ctrl-C."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    keep_freed_memory()
    try:
        if given[:1] == ["grid"]:
            return run_grid(build_grid_parser().parse_args(given[1:]))
        if given[:1] == ["capacity"]:
            return show_capacity(build_capacity_parser().parse_args(given[1:]))
        return run_one(build_parser().parse_args(given))
    except (ValueError, FileExistsError, DatasetMissing, RunBusy, TrainingDiverged) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last finished epoch", file=sys.stderr)
        return 130


def run_one(options: argparse.Namespace) -> int:
    """0, after training the run the options ask for."""
    run = train_run(job_from(options), overwrite=options.overwrite, device=options.device, quiet=options.quiet)
    test = run.card.metrics["test"]
    print(f"{run.path}: test accuracy {test.accuracy:.2%}, {test.misclassified} of {test.count} misclassified")
    return 0


def run_grid(options: argparse.Namespace) -> int:
    """0, or 1 when a run failed, after training a grid's missing runs; without a name, lists the grids."""
    if options.name is None:
        for name, grid in GRIDS.items():
            print(f"{name:<12} {len(grid.jobs()):>3} runs  {grid.purpose}")
        return 0
    if options.name not in GRIDS:
        raise ValueError(f"unknown grid {options.name!r}; expected one of: {', '.join(GRIDS)}")
    where = {"out": options.out, "data_root": options.data_root, "download": options.download}
    jobs = [replace(job, **where) for job in GRIDS[options.name].jobs(options.only)]
    if options.dry_run:
        for number, job in enumerate(jobs, start=1):
            print(report(number, len(jobs), job, state_of(job)))
        return 0
    failed = train_grid(jobs, device=options.device, quiet=options.quiet, say=partial(print, flush=True))
    for job in failed:
        print(f"error: no run of {describe(job)}; the reason is on its line above", file=sys.stderr)
    return 1 if failed else 0


def show_capacity(options: argparse.Namespace) -> int:
    """0, after printing the layer table of a model."""
    model = build_model(
        options.architecture,
        options.norm,
        classes=options.classes,
        input_size=(options.size, options.size),
        architecture_arguments=dict(options.architecture_arguments or ()),
        norm_arguments=dict(options.norm_arguments or ()),
    )
    print(capacity_text(model))
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The parser of `python -m train`; what it does not set is the recipe's (see train/recipes.py)."""
    parser = argparse.ArgumentParser(
        prog="python -m train",
        usage="python -m train --dataset NAME --architecture NAME --norm NAME [options]\n"
        "       python -m train grid [NAME] [options]\n"
        "       python -m train capacity --architecture NAME [options]",
        description="Train one run. The same command resumes a run that was cut off. `python -m train grid` trains "
        "many runs, `python -m train capacity` prints a model's layers; each has its own --help.",
        epilog=f"Architectures: {', '.join(ARCHITECTURES)}. Norms: {', '.join(NORMS)}.",
    )
    what = parser.add_argument_group("what to train")
    what.add_argument("--dataset", required=True, help="elpv, cifar10 or folder:PATH")
    what.add_argument("--architecture", required=True, metavar="NAME")
    what.add_argument("--norm", required=True, metavar="NAME")
    what.add_argument("--seed", type=int, default=0)
    what.add_argument("--size", type=int, help="side of the square images in pixels (default: by data set and net)")
    _add_pairs(what, "architecture", "norm")

    how = parser.add_argument_group("the recipe (default: the one for data set, architecture and norm)")
    how.add_argument("--epochs", type=int)
    how.add_argument("--batch-size", type=int)
    how.add_argument("--learning-rate", type=float)
    how.add_argument("--weight-decay", type=float)
    how.add_argument("--clip-norm", type=float, help="the most that the gradient's norm may be")
    for kind, registry in (("loss", LOSSES), ("optimizer", OPTIMIZERS), ("scheduler", SCHEDULERS)):
        how.add_argument(f"--{kind}", choices=registry)
    _add_pairs(how, "loss", "optimizer", "scheduler")
    how.add_argument("--augmentations", help=f"in order, with commas, or 'none'; of {', '.join(AUGMENTATIONS)}")
    how.add_argument("--precision", choices=PRECISIONS)

    where = _add_where(parser)
    where.add_argument("--overwrite", action="store_true", help="replace the run if it exists")
    return parser


def build_grid_parser() -> argparse.ArgumentParser:
    """The parser of `python -m train grid`."""
    parser = argparse.ArgumentParser(
        prog="python -m train grid",
        description="Train the runs of a grid that are missing. Stop it at any time; the same command goes on.",
        epilog=" ".join(f"{name}: {grid.purpose}." for name, grid in GRIDS.items()),
    )
    parser.add_argument("name", nargs="?", help=f"one of {', '.join(GRIDS)}; without it the grids are listed")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="only this architecture or norm; may be repeated"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what is done and what is waiting, train nothing")
    _add_where(parser)
    return parser


def build_capacity_parser() -> argparse.ArgumentParser:
    """The parser of `python -m train capacity`."""
    parser = argparse.ArgumentParser(
        prog="python -m train capacity",
        description="Print a model's layers: output shape, parameters with their formula, buffers and MACs.",
    )
    parser.add_argument("--architecture", required=True, metavar="NAME", help=f"one of {', '.join(ARCHITECTURES)}")
    parser.add_argument("--norm", default="batch", metavar="NAME", help=f"one of {', '.join(NORMS)} (default: batch)")
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--size", type=int, default=32, help="side of the square images in pixels (default: 32)")
    _add_pairs(parser, "architecture", "norm")
    return parser


def _add_where(parser: argparse.ArgumentParser) -> Any:
    where = parser.add_argument_group("where")
    where.add_argument("--out", type=Path, default=Path("checkpoints"), help="the root of all runs")
    where.add_argument("--data-root", type=Path, help="where the images are (default: NORMSCOPE_DATA or data/)")
    where.add_argument("--download", action="store_true", help="download CIFAR-10 when it is missing")
    where.add_argument("--device", default="auto", help="cpu, cuda or auto")
    where.add_argument("--quiet", action="store_true", help="no progress bar")
    return where


def _add_pairs(group: Any, *kinds: str) -> None:
    for kind in kinds:
        group.add_argument(
            f"--{kind}-argument",
            dest=f"{kind}_arguments",
            action="append",
            type=parse_pair,
            metavar="KEY=VALUE",
            help=f"an argument of the {kind}",
        )


def parse_pair(text: str) -> tuple[str, Any]:
    """The pair in `key=value`: a number where the value reads as one, true or false, else text."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"wanted KEY=VALUE; got {text!r}")
    for convert in (int, float):
        try:
            return key, convert(value)
        except ValueError:
            continue
    return key, {"true": True, "false": False}.get(value.lower(), value)


def job_from(options: argparse.Namespace) -> Job:
    """The job the options ask for."""
    start = default_job(options.dataset, options.architecture, options.norm)
    return replace(
        start,
        seed=options.seed,
        size=start.size if options.size is None else options.size,
        architecture_arguments=dict(start.architecture_arguments) | dict(options.architecture_arguments or ()),
        norm_arguments=dict(options.norm_arguments or ()),
        recipe=_recipe_from(options, start.recipe),
        out=options.out,
        data_root=options.data_root,
        download=options.download,
    )


def _recipe_from(options: argparse.Namespace, start: Recipe) -> Recipe:
    given = {f.name: getattr(options, f.name) for f in fields(Recipe) if getattr(options, f.name) is not None}
    if "augmentations" in given:
        given["augmentations"] = tuple(name for name in given["augmentations"].split(",") if name != "none")
    for kind in ("loss", "optimizer", "scheduler"):
        # arguments belong to a name: with another name the recipe's no longer apply
        same = given.get(kind, getattr(start, kind)) == getattr(start, kind)
        key = f"{kind}_arguments"
        given[key] = (dict(getattr(start, key)) if same else {}) | dict(given.get(key, ()))
    return replace(start, **given)


if __name__ == "__main__":
    warnings.simplefilter("default")
    sys.exit(main())
