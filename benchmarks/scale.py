"""How the pages bear many images and many classes: server time of each page and click, and memory.

    python -m benchmarks.scale                       # 10^3 x 10, 10^6 x 10 and 50,000 x 1,000
    python -m benchmarks.scale --images 100000 --classes 100

Seven made-up runs (one per norm, with predictions and without weights or pictures) are written to a folder, and a
process of its own opens the app on them through Streamlit's test client, which runs the script as the server does and
draws nothing: the seconds are those that a visitor's server thread is busy, without the browser's share.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.timing import print_provenance, print_table, verdict
from explorer.models.norms import NORMS
from explorer.predictions.metrics import compute_metrics
from explorer.runs import IMPORTED, Card, Choice, DatasetRef, InputSpec, Predictions, RunSpec, write_run

CASES = ((1_000, 10), (1_000_000, 10), (50_000, 1_000))
CLICK_AIM, FIRST_AIM, MEMORY_AIM = 0.2, 3.0, 2.0  # seconds, seconds, GB
PAGES = ("overview", "failures", "classes", "your_image", "training", "capacity", "learn")
ROOT = Path(__file__).parents[1]


def made_up_predictions(images: int, classes: int, labels: np.ndarray, seed: int) -> Predictions:
    """What a model that is right about two times in three might say."""
    rng = np.random.default_rng(seed)
    values = rng.standard_exponential((images, classes), dtype=np.float32)
    rows = np.arange(images)
    values[rows, labels] += classes * rng.exponential(0.6, images).astype(np.float32) * (rng.random(images) < 0.7)
    values /= values.sum(1, keepdims=True)
    return Predictions(tuple(f"test/{number:07d}.jpg" for number in range(images)), labels, values)


def write_runs(root: Path, images: int, classes: int) -> None:
    """Writes a run per norm below the root."""
    labels = np.random.default_rng(0).integers(0, classes, images)
    names = tuple(f"class {number:04d}" for number in range(classes))
    for seed, norm in enumerate(NORMS):
        found = made_up_predictions(images, classes, labels, seed)
        metrics = compute_metrics(found.probabilities, labels)
        spec = RunSpec(
            dataset=DatasetRef("made-up", "made-up", "0" * 16),
            architecture=Choice("resnet14", {"stem_stride": 1}),
            norm=Choice(norm),
            input=InputSpec(32, 32, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
            recipe=None,
            seed=None,
            origin=IMPORTED,
        )
        card = Card(
            spec=spec,
            created="2026-01-01T00:00:00+00:00",
            classes=names,
            source="Made up for benchmarks.scale.",
            splits={"test": images},
            parameters=175_000,
            macs=27_000_000,
            seconds=None,
            best_epoch=None,
            versions={},
            hardware="none",
            metrics={"test": metrics},
        )
        write_run(root, card, None, None, {"test": found})


def steps() -> Iterator[tuple[str, float, Callable]]:
    """Name, aim in seconds and what a visitor does, in order; each takes the app's test client."""
    yield "Overview, first view", FIRST_AIM, lambda app: app.run()
    yield "Overview again", CLICK_AIM, lambda app: app.run()
    for page in PAGES[1:]:
        yield (
            f"{page.replace('_', ' ')}, first view",
            FIRST_AIM,
            lambda app, p=page: app.switch_page(f"explorer/pages/{p}.py").run(),
        )
    yield "Failures again", FIRST_AIM, lambda app: app.switch_page("explorer/pages/failures.py").run()
    for number in (1, 2):
        yield "a filter: true class", CLICK_AIM, lambda app, n=number: app.selectbox(key="true").set_value(n).run()
    for order in ("highest loss", "narrowest margin", "data set"):
        yield "an order", CLICK_AIM, lambda app, o=order: app.selectbox(key="order").set_value(o).run()
    yield "another run", CLICK_AIM, lambda app: app.button_group(key="run").set_value("group").run()
    yield "failed by all", CLICK_AIM, lambda app: app.selectbox(key="failed_by").set_value("all of these").run()


def time_pages(root: Path) -> None:
    """Prints one line for each step: name, aim, seconds; at the end the peak memory of this process."""
    os.environ["NORMSCOPE_CHECKPOINTS"] = str(root)
    os.environ["NORMSCOPE_DATA"] = str(root / "no-data")
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=600)
    for name, aim, step in steps():
        start = time.perf_counter()
        app = step(app)
        seconds = time.perf_counter() - start
        if app.exception:
            raise SystemExit(f"{name}: {app.exception[0].message}")
        print(f"step\t{name}\t{aim}\t{seconds:.3f}", flush=True)
    print(f"memory\t{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f}", flush=True)


def compare(images: int, classes: int) -> None:
    """Writes runs of that size, times the pages on them in a process of its own and prints the table."""
    with tempfile.TemporaryDirectory() as folder:
        write_runs(Path(folder), images, classes)
        command = [sys.executable, "-m", "benchmarks.scale", "--serve", folder]
        printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = [line.split("\t") for line in printed.stdout.splitlines()]
    found: dict[tuple[str, float], list[float]] = {}
    for line in lines:
        if line[0] == "step":
            found.setdefault((line[1], float(line[2])), []).append(float(line[3]))
    print(f"\n**{images:,} images, {classes:,} classes, {len(NORMS)} runs**\n")
    print_table(
        ("step", "seconds", "aim"),
        [
            (name, f"{median(times):.2f}", f"{aim:g}: {verdict(median(times) <= aim)}")
            for (name, aim), times in found.items()
        ],
    )
    if printed.returncode:
        print(f"\nStopped: {printed.stderr.strip().splitlines()[-1] if printed.stderr.strip() else 'no reason given'}")
    for line in lines:
        if line[0] == "memory":
            print(f"\nPeak memory {line[1]} GB; aim {MEMORY_AIM:g}: {verdict(float(line[1]) <= MEMORY_AIM)}")


def main() -> None:
    """Times the cases, or the one that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, help="of one case; with --classes")
    parser.add_argument("--classes", type=int, help="of one case; with --images")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        time_pages(options.serve)
        return
    print_provenance("benchmarks.scale")
    cases = CASES if options.images is None else ((options.images, options.classes or 10),)
    for images, classes in cases:
        compare(images, classes)


if __name__ == "__main__":
    main()
