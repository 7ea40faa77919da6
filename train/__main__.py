"""The command line: `python -m train` trains one run, `grid` many of them, `capacity` prints a model's layers."""

import argparse
import sys
import warnings
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from explorer.models import ARCHITECTURES, build_model
from explorer.models.norms import NORMS
from explorer.places import checkpoints_root
from explorer.registry import check_name
from train.augment import AUGMENTATIONS
from train.grid import GRIDS, report, state_of, train_grid
from train.job import FAILURES, Job, default_job, in_one_line, train_run
from train.layer_text import capacity_text
from train.memory import keep_freed_memory
from train.recipes import Recipe
from train.solver import CHOSEN_BY_NAME, PRECISIONS

NEEDED = ("dataset", "architecture", "norm")  # for one run


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 when all is done, 1 with the reason on stderr when it is not, 130 after Ctrl-C."""
    options = build_parser().parse_args(arguments)
    keep_freed_memory()
    try:
        return options.command(options)
    except FAILURES as error:
        print(f"error: {in_one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last finished epoch", file=sys.stderr)
        return 130


def run_one(options: argparse.Namespace) -> int:
    """0, after training the run the options ask for."""
    if missing := [f"--{name}" for name in NEEDED if getattr(options, name) is None]:
        build_parser().error(f"the following arguments are required: {', '.join(missing)}")
    run = train_run(job_from(options), overwrite=options.overwrite, device=options.device, quiet=options.quiet)
    if not options.quiet:
        test = run.card.test
        print(f"{run.path}: test accuracy {test.accuracy:.2%}, {test.misclassified} of {test.count} misclassified")
    return 0


def run_grid(options: argparse.Namespace) -> int:
    """0, or 1 when a run failed, after training a grid's missing runs; without a name, lists the grids."""
    if options.name is None:
        for name, grid in GRIDS.items():
            print(f"{name:<12} {len(grid.jobs()):>3} runs  {grid.purpose}")
        return 0
    check_name("grid", options.name, GRIDS)
    where = {"out": options.out, "data_root": options.data_root, "download": options.download}
    jobs = [replace(job, **where) for job in GRIDS[options.name].jobs(options.only)]
    if options.dry_run:
        for number, job in enumerate(jobs, start=1):
            print(report(number, len(jobs), job, state_of(job)))
        return 0
    failed = 0
    for number, (job, state) in enumerate(train_grid(jobs, device=options.device, quiet=options.quiet), start=1):
        line = report(number, len(jobs), job, state)
        if state.word == "failed":
            failed += 1
            print(f"error: {line.lstrip()}", file=sys.stderr)
        elif not options.quiet:
            print(line, flush=True)
    if failed:
        print(f"error: {failed} of {len(jobs)} runs failed; each has its reason on a line above", file=sys.stderr)
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


class _Commands(argparse._SubParsersAction):
    """What comes after the options of one run; argparse itself would drop those that stand before a command."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, *rest: Any) -> None:
        """Hands over to the command's own parser, or leaves with what is wrong."""
        if any(value != parser.get_default(key) for key, value in vars(namespace).items()):
            parser.error(f"the options of {values[0]!r} belong after it: python -m train {values[0]} ...")
        super().__call__(parser, namespace, values, *rest)


def build_parser() -> argparse.ArgumentParser:
    """The parser of `python -m train`; what it does not set is the recipe's (see train/recipes.py)."""
    parser = argparse.ArgumentParser(
        prog="python -m train",
        usage="python -m train --dataset NAME --architecture NAME --norm NAME [options]\n"
        "       python -m train grid [NAME] [options]\n"
        "       python -m train capacity --architecture NAME [options]",
        description="Train one run. The same command resumes a run that was cut off.",
        epilog=f"Architectures: {', '.join(ARCHITECTURES)}. Norms: {', '.join(NORMS)}.",
    )
    parser.set_defaults(command=run_one)
    what = parser.add_argument_group("what to train")
    what.add_argument("--dataset", metavar="NAME", help="elpv, cifar10 or folder:PATH")
    what.add_argument("--dataset-name", metavar="NAME", help="what to call the data set (default: its folder's name)")
    what.add_argument("--architecture", metavar="NAME")
    what.add_argument("--norm", metavar="NAME")
    what.add_argument("--seed", type=int, default=0)
    what.add_argument("--size", type=int, help="side of the square images in pixels (default: by data set and net)")
    _add_pairs(what, "architecture", "norm")

    how = parser.add_argument_group("the recipe (default: the one for data set, architecture and norm)")
    how.add_argument("--epochs", type=int)
    how.add_argument("--batch-size", type=int)
    how.add_argument("--learning-rate", type=float)
    how.add_argument("--weight-decay", type=float)
    how.add_argument("--clip-norm", type=float, help="the most that the gradient's norm may be")
    for kind, registry in CHOSEN_BY_NAME.items():
        how.add_argument(f"--{kind}", choices=registry)
    _add_pairs(how, *CHOSEN_BY_NAME)
    how.add_argument("--augmentations", help=f"in order, with commas, or 'none'; of {', '.join(AUGMENTATIONS)}")
    how.add_argument("--precision", choices=PRECISIONS)

    where = _add_where(parser)
    where.add_argument("--overwrite", action="store_true", help="replace the run if it exists")
    commands = parser.add_subparsers(action=_Commands, title="other commands", metavar="COMMAND", prog=parser.prog)
    _add_grid(commands)
    _add_capacity(commands)
    return parser


def _add_grid(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "grid",
        help="train many runs",
        description="Train the runs of a grid that are missing. Stop it at any time; the same command goes on.",
        epilog=" ".join(f"{name}: {grid.purpose}." for name, grid in GRIDS.items()),
    )
    parser.set_defaults(command=run_grid)
    parser.add_argument("name", nargs="?", help=f"one of {', '.join(GRIDS)}; without it the grids are listed")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="only this architecture or norm; may be repeated"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what is done and what is waiting, train nothing")
    _add_where(parser)


def _add_capacity(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "capacity",
        help="print a model's layers",
        description="Print a model's layers: output shape, parameters with their formula, buffers and MACs.",
    )
    parser.set_defaults(command=show_capacity)
    parser.add_argument("--architecture", required=True, metavar="NAME", help=f"one of {', '.join(ARCHITECTURES)}")
    parser.add_argument("--norm", default="batch", metavar="NAME", help=f"one of {', '.join(NORMS)} (default: batch)")
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--size", type=int, default=32, help="side of the square images in pixels (default: 32)")
    _add_pairs(parser, "architecture", "norm")


def _add_where(parser: argparse.ArgumentParser) -> Any:
    where = parser.add_argument_group("where")
    where.add_argument("--out", type=Path, default=checkpoints_root(), help="the root of all runs (%(default)s)")
    where.add_argument("--data-root", type=Path, help="where the images are (default: NORMSCOPE_DATA or data/)")
    where.add_argument("--download", action="store_true", help="download CIFAR-10 when it is missing")
    where.add_argument("--device", default="auto", help="cpu, cuda or auto")
    where.add_argument("--quiet", action="store_true", help="print nothing but errors and warnings")
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
    """The pair in `key=value`: a number where the value reads as one, several with commas, true or false, else text."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"wanted KEY=VALUE; got {text!r}")
    numbers = [_number(part) for part in value.split(",")]
    if None not in numbers:
        return key, numbers[0] if len(numbers) == 1 else tuple(numbers)
    return key, {"true": True, "false": False}.get(value.lower(), value)


def _number(text: str) -> int | float | None:
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return None


def job_from(options: argparse.Namespace) -> Job:
    """The job the options ask for."""
    start = default_job(options.dataset, options.architecture, options.norm)
    return replace(
        start,
        dataset_name=options.dataset_name,
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
    for kind in CHOSEN_BY_NAME:
        # arguments belong to a name: with another name the recipe's no longer apply
        same = given.get(kind, getattr(start, kind)) == getattr(start, kind)
        key = f"{kind}_arguments"
        given[key] = (dict(getattr(start, key)) if same else {}) | dict(given.get(key, ()))
    return replace(start, **given)


if __name__ == "__main__":
    warnings.simplefilter("default")
    sys.exit(main())
