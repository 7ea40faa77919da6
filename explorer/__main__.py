"""The command line of the explorer: `python -m explorer results` prints the results tables of the README."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from explorer.results import results_markdown, with_results
from explorer.runs import list_runs


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, or 1 with the reason on stderr."""
    options = build_parser().parse_args(arguments)
    return options.command(options)


def build_parser() -> argparse.ArgumentParser:
    """The parser of `python -m explorer`."""
    parser = argparse.ArgumentParser(prog="python -m explorer", description="What the app shows, without a browser.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    results = commands.add_parser("results", help="the results of all runs as Markdown tables")
    results.add_argument("--checkpoints", type=Path, default=Path("checkpoints"), help="the root of all runs")
    results.add_argument("--write", type=Path, metavar="FILE", help="put them between FILE's markers instead")
    results.set_defaults(command=print_results)
    return parser


def print_results(options: argparse.Namespace) -> int:
    """Prints the tables, or writes them into a file that has the two markers."""
    runs, problems = list_runs(options.checkpoints)
    for problem in problems:
        print(f"left out {problem.path}: {problem.reason}", file=sys.stderr)
    tables = results_markdown(runs)
    if options.write is None:
        print(tables)
        return 0
    try:
        options.write.write_text(with_results(options.write.read_text(encoding="utf-8"), tables), encoding="utf-8")
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
