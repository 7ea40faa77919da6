"""The command line of the explorer: what the app shows, without a browser.

`python -m explorer results` prints the results tables of the README; `python -m explorer heatmap` writes the heatmaps
that the page *Your image* shows, with their provenance.
"""

import argparse
import hashlib
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from explorer.places import checkpoints_root
from explorer.results import results_markdown, with_results
from explorer.runs import DamagedRun, Run, list_runs, read_run

if TYPE_CHECKING:
    from PIL.Image import Image

    from explorer.heatmaps.bundle import Answer, Subject
    from explorer.models import StagedModel


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, or 1 with the reason on stderr."""
    options = build_parser().parse_args(arguments)
    return options.command(options)


def build_parser() -> argparse.ArgumentParser:
    """The parser of `python -m explorer`."""
    parser = argparse.ArgumentParser(prog="python -m explorer", description="What the app shows, without a browser.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    results = commands.add_parser("results", help="the results of all runs as Markdown tables")
    results.add_argument("--checkpoints", type=Path, default=checkpoints_root(), help="the root of all runs")
    results.add_argument("--write", type=Path, metavar="FILE", help="put them between FILE's markers instead")
    results.set_defaults(command=print_results)
    add_heatmap(commands)
    return parser


def add_heatmap(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the parser of `heatmap`."""
    heatmap = commands.add_parser("heatmap", help="where runs look in images: overlays, maps and a manifest")
    heatmap.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="a PNG, JPEG or WEBP file")
    heatmap.add_argument("--runs", nargs="+", type=Path, required=True, metavar="RUN", help="folders of runs")
    heatmap.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the files go")
    heatmap.add_argument("--target", metavar="CLASS", help="the class to explain; by default what each run predicts")
    heatmap.add_argument("--stage", metavar="NAME", help="the stage to explain; by default the last of 4x4 or more")
    heatmap.add_argument(
        "--scale", choices=("own", "shared"), default="own", help="stretch each map, or one scale for all of an image"
    )
    heatmap.add_argument("--opacity", type=opacity, default=0.5, help="of the overlays, 0 to 1 (default 0.5)")
    heatmap.add_argument("--overwrite", action="store_true", help="replace files of the same names in DIR")
    heatmap.set_defaults(command=write_heatmaps)


def opacity(text: str) -> float:
    """The number in a text, from 0 to 1."""
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, got {text}")
    return number


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


def write_heatmaps(options: argparse.Namespace) -> int:
    """Writes the bundle of all images and runs below `--out`, as a whole or not at all."""
    from explorer.heatmaps.bundle import bundle_files

    try:
        runs = [open_run(path) for path in options.runs]
        target = class_index(options.target, runs)
        models = [run.load_model() for run in runs]
        asked = list(zip(runs, models, strict=True))
        subjects = [answer_image(path, asked, target, options.stage) for path in options.images]
        created = datetime.now(UTC).isoformat(timespec="seconds")
        files = bundle_files(subjects, scale=options.scale, opacity=options.opacity, created=created)
        write_files(options.out, files, options.overwrite)
    except (DamagedRun, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for subject in subjects:
        print_answers(subject)
    print(f"{len(files)} files in {options.out}")
    return 0


def print_answers(subject: "Subject") -> None:
    """Prints one line per run: what it says of the image."""
    for answer in subject.answers:
        card, found = answer.card, answer.found
        said = f"{card['classes'][found.predicted]} ({found.probabilities[found.predicted]:.1%})"
        print(f"{subject.name}: {card['name']}: {said}, raw maximum {found.raw_maximum:.3g}")
        if found.blank:
            print(f"  {found.blank}")


def open_run(path: Path) -> Run:
    """The run in a folder. Raises DamagedRun that names the folder."""
    if not path.is_dir():
        raise DamagedRun(
            f"{path}: expected the folder of a run, such as checkpoints/elpv/NAME; there is no such folder"
        )
    try:
        return read_run(path)
    except DamagedRun as error:
        raise DamagedRun(f"{path}: {error}") from error


def class_index(name: str | None, runs: Sequence[Run]) -> int | None:
    """The index of a class, None for no name. Raises ValueError: no such class, or runs of different classes."""
    classes = runs[0].card.classes
    for run in runs:
        if run.card.classes != classes:
            came = f"{', '.join(run.card.classes)} in {run.path}"
            raise ValueError(f"expected runs of the same classes ({', '.join(classes)}), got {came}; name them apart")
    if name is not None and name not in classes:
        raise ValueError(f"unknown class {name!r}; expected one of: {', '.join(classes)}")
    return None if name is None else classes.index(name)


def answer_image(
    path: Path, asked: Sequence[tuple[Run, "StagedModel"]], target: int | None, stage: str | None
) -> "Subject":
    """An image and what each run says of it. Raises OSError, or ValueError that names the file or the run."""
    from explorer.heatmaps.bundle import Subject
    from explorer.images import UnreadableImage, read_image

    data = path.read_bytes()
    try:
        picture = read_image(data)
    except UnreadableImage as error:
        raise ValueError(f"{path}: {error}") from error
    answers = [answer_run(run, model, picture, target, stage) for run, model in asked]
    return Subject(path.name, hashlib.sha256(data).hexdigest(), "the file", answers)


def answer_run(run: Run, model: "StagedModel", picture: "Image", target: int | None, stage: str | None) -> "Answer":
    """What one run says of a picture. Raises ValueError that names the run."""
    from explorer.heatmaps.bundle import Answer
    from explorer.heatmaps.explanation import explain
    from explorer.images import fit

    image = fit(picture, run.spec.input.height, run.spec.input.width)
    try:
        found = explain(model, run.spec.input.normalise(image[None]), target, stage)
    except ValueError as error:
        raise ValueError(f"{run.path.name}: {error}") from error
    return Answer(run.card.to_json(), image, found)


def write_files(folder: Path, files: Mapping[str, bytes], overwrite: bool) -> None:
    """Writes all files below a folder, or none.

    Raises:
        FileExistsError: one of them exists and `overwrite` is false.
    """
    present = [path for path in files if (folder / path).exists()]
    if present and not overwrite:
        raise FileExistsError(
            f"{folder / present[0]} exists, and {len(present) - 1} more; choose another --out or pass --overwrite"
            if len(present) > 1
            else f"{folder / present[0]} exists; choose another --out or pass --overwrite"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".writing-{folder.name}-", dir=folder.parent))
    try:
        for path, content in files.items():
            (draft / path).parent.mkdir(exist_ok=True)
            (draft / path).write_bytes(content)
        for path in files:  # all are on the same disk now, so what is left is renaming
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (draft / path).replace(folder / path)
    finally:
        shutil.rmtree(draft)


if __name__ == "__main__":
    sys.exit(main())
