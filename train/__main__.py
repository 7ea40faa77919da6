"""The command line: `python -m train` trains one run."""

import argparse
import sys
import warnings
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from explorer.architectures import ARCHITECTURES
from explorer.datasets import DatasetMissing
from explorer.norms import NORMS
from train.augment import AUGMENTATIONS
from train.job import Job, train_run
from train.recipes import Recipe, architecture_arguments_for, recipe_for
from train.solver import LOSSES, OPTIMIZERS, PRECISIONS, SCHEDULERS, TrainingDiverged


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 when the run is there, 1 with the reason on stderr when it is not, 130 after Ctrl-C."""
    options = build_parser().parse_args(arguments)
    try:
        run = train_run(job_from(options), overwrite=options.overwrite, device=options.device, quiet=options.quiet)
    except (ValueError, FileExistsError, DatasetMissing, TrainingDiverged) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last finished epoch", file=sys.stderr)
        return 130
    test = run.card.metrics["test"]
    print(f"{run.path}: test accuracy {test.accuracy:.2%}, {test.misclassified} of {test.count} misclassified")
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The parser of `python -m train`; what it does not set is the recipe's (see train/recipes.py)."""
    parser = argparse.ArgumentParser(
        prog="python -m train",
        description="Train one run. The same command resumes a run that was cut off.",
        epilog=f"Architectures: {', '.join(ARCHITECTURES)}. Norms: {', '.join(NORMS)}.",
    )
    what = parser.add_argument_group("what to train")
    what.add_argument("--dataset", required=True, help="elpv, cifar10 or folder:PATH")
    what.add_argument("--architecture", required=True, metavar="NAME")
    what.add_argument("--norm", required=True, metavar="NAME")
    what.add_argument("--seed", type=int, default=0)
    what.add_argument("--size", type=int, help="side of the square images in pixels")
    _add_pairs(what, "architecture", "norm")

    how = parser.add_argument_group("the recipe (default: the one for the data set)")
    how.add_argument("--epochs", type=int)
    how.add_argument("--batch-size", type=int)
    how.add_argument("--learning-rate", type=float)
    how.add_argument("--weight-decay", type=float)
    for kind, registry in (("loss", LOSSES), ("optimizer", OPTIMIZERS), ("scheduler", SCHEDULERS)):
        how.add_argument(f"--{kind}", choices=registry)
    _add_pairs(how, "loss", "optimizer", "scheduler")
    how.add_argument("--augmentations", help=f"in order, with commas, or 'none'; of {', '.join(AUGMENTATIONS)}")
    how.add_argument("--precision", choices=PRECISIONS)

    where = parser.add_argument_group("where")
    where.add_argument("--out", type=Path, default=Path("checkpoints"), help="the root of all runs")
    where.add_argument("--data-root", type=Path, help="where the images are (default: NORMSCOPE_DATA or data/)")
    where.add_argument("--download", action="store_true", help="download CIFAR-10 when it is missing")
    where.add_argument("--device", default="auto", help="cpu, cuda or auto")
    where.add_argument("--overwrite", action="store_true", help="replace the run if it exists")
    where.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


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
    return Job(
        dataset=options.dataset,
        architecture=options.architecture,
        norm=options.norm,
        seed=options.seed,
        size=options.size,
        architecture_arguments=architecture_arguments_for(options.dataset, options.architecture)
        | dict(options.architecture_arguments or ()),
        norm_arguments=dict(options.norm_arguments or ()),
        recipe=_recipe_from(options),
        out=options.out,
        data_root=options.data_root,
        download=options.download,
    )


def _recipe_from(options: argparse.Namespace) -> Recipe:
    given = {f.name: getattr(options, f.name) for f in fields(Recipe) if getattr(options, f.name) is not None}
    start = recipe_for(options.dataset)
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
