"""What the tests of the pages share: reading what a page shows, and what the runs on disk say."""

import io
import json
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from PIL import Image
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Dataframe
from torch import Tensor

from explorer.app import frame
from explorer.predictions.metrics import compute_metrics
from explorer.runs import Predictions, Run, RunSpec, write_run

ROOT = Path(__file__).parents[3]
PAGES = tuple(page.file for page in frame.PAGES)
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
OpenApp = Callable[..., AppTest]


def healthy(app: AppTest) -> AppTest:
    """The app, which shows no exception."""
    assert not app.exception, [(e.message, e.stack_trace) for e in app.exception]
    return app


def elements(app: AppTest, kind: str) -> list[Any]:
    """What of a kind is on the page, in order, where Streamlit's test driver has no property for it."""
    return list(app.get(kind))


def galleries(app: AppTest, label: str = "") -> list[dict]:
    """The galleries on the page whose label starts so: the header that the browser gets, which tells pictures apart.

    Below `png` stands the sheet of its pictures.
    """
    found = []
    for component in elements(app, "bidi_component"):
        if component.proto.component_name.endswith("gallery"):
            (length,) = struct.unpack("<I", component.proto.bytes[:4])
            header = json.loads(component.proto.bytes[4 : 4 + length])
            found.append(header | {"png": component.proto.bytes[4 + length :]})
    return [header for header in found if header["label"].startswith(label)]


def tiles(app: AppTest, label: str = "") -> list[dict]:
    """The tiles of these galleries, in order: id, title, lines, tone, description."""
    return [tile for header in galleries(app, label) for tile in header["tiles"]]


def sheets(app: AppTest, label: str = "") -> list[str]:
    """What the pictures of these galleries are known by."""
    return [header["digest"] for header in galleries(app, label)]


def ids(app: AppTest) -> list[str]:
    """The images on the grid of failures."""
    return [tile["id"] for tile in tiles(app, "Test images")]


def pictures(app: AppTest) -> list[str]:
    """The address of every picture outside galleries; it is derived from the pixels."""
    return [address for image in elements(app, "image") for address in image.value]


def cells(app: AppTest) -> list[bytes]:
    """The pixels of every picture of every gallery that shows a single row."""
    cut = []
    for header in galleries(app):
        sheet = np.asarray(Image.open(io.BytesIO(header["png"])).convert("RGB"))
        cut += [picture.tobytes() for picture in np.split(sheet, header["columns"], axis=1)]
    return cut


def words(app: AppTest) -> str:
    """All text of the page and of the column beside it, one piece a line."""
    kinds = (app.title, app.subheader, app.markdown, app.caption, app.text, app.info, app.warning, app.error, app.code)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def said(app: AppTest) -> str:
    """All text of the page as a reader sees it, without the marks that keep names from being Markdown."""
    return re.sub(r"\\([^\w\s])", r"\1", words(app))


def markdown(app: AppTest) -> list[str]:
    """Every text on the page that is read as Markdown: what is written, and what widgets are called."""
    texts = words(app).splitlines()
    for kind in ("expander", "tabs", "radio", "button_group", "metric", "selectbox", "toggle"):
        texts += [str(getattr(element, "label", "")) for element in elements(app, kind)]
    texts += [str(option.content) for group in elements(app, "button_group") for option in group.proto.options]
    return texts + [str(option) for radio in elements(app, "radio") for option in radio.options]


def table_by(app: AppTest, first: str, *others: str) -> Dataframe:
    """The one shown table whose first column is that one and that has the others as well."""
    (table,) = [
        table
        for table in app.dataframe
        if list(table.proto.column_order[:1]) == [first] and set(others) <= set(table.proto.column_order)
    ]
    return table


def stored(run: Run) -> pd.DataFrame:
    """The test rows of predictions.parquet with names of classes, in order: image_id, true, predicted, confidence."""
    table = pd.read_parquet(run.path / "predictions.parquet").query("split == 'test'").sort_values("index")
    probabilities = np.stack(table["probabilities"].tolist())
    names = np.array(run.card.classes)
    return pd.DataFrame(
        {
            "image_id": table["image_id"].to_numpy(),
            "true": names[table["label"]],
            "predicted": names[probabilities.argmax(1)],
            "confidence": probabilities.max(1),
        }
    )


def misclassified(run: Run) -> pd.DataFrame:
    return stored(run).query("true != predicted")


def disputed(runs: dict[str, Run]) -> pd.Series:
    """A test image, as batch sees it, that batch gets wrong and another norm gets right."""
    wrong = pd.DataFrame({norm: stored(run).eval("true != predicted") for norm, run in runs.items()})
    return stored(runs["batch"])[wrong["batch"] & ~wrong.all(axis=1)].iloc[0]


def answers(run: Run, share: float, seed: int = 0) -> Predictions:
    """Made-up predictions of a run's test images of which exactly a share, rounded to whole images, is right."""
    tested, count, rng = run.predictions("test"), len(run.card.classes), np.random.default_rng(seed)
    labels = tested.outcomes.labels.astype(np.int64)
    probabilities = rng.dirichlet(np.ones(count), len(labels)).astype(np.float32)
    wrong = rng.permutation(len(labels)) >= round(share * len(labels))
    predicted = np.where(wrong, (labels + rng.integers(1, count, len(labels))) % count, labels)
    rows, highest = np.arange(len(labels)), probabilities.argmax(1)
    probabilities[rows, highest], probabilities[rows, predicted] = (
        probabilities[rows, predicted],
        probabilities[rows, highest],
    )
    return Predictions(list(tested.ids), labels, probabilities)


def write_like(
    root: Path,
    run: Run,
    *,
    predictions: Predictions | None = None,
    weights: Mapping[str, Tensor] | bool = True,
    history: bool = True,
    overwrite: bool = False,
    **changes: Any,
) -> Run:
    """Writes a run that is like another but for some fields of its spec or its card (`seed`, `norm`, `seconds`, ...).

    With predictions of the test images it says these, of val too, and its card has their metrics. Weights and history
    are those of the other run unless given or left out (`False`).
    """
    in_spec = {key: changes.pop(key) for key in [field.name for field in fields(RunSpec)] if key in changes}
    card = replace(run.card, spec=replace(run.spec, **in_spec), **changes)
    found = {split: predictions or _in_memory(run, split) for split in ("val", "test")}
    if predictions is not None and "metrics" not in changes:
        metrics = compute_metrics(predictions.probabilities, predictions.labels)
        card = replace(card, metrics=dict.fromkeys(card.metrics, metrics))
    own = run.load_model().state_dict() if weights is True else weights or None
    return write_run(root, card, own, run.history() if history else None, found, overwrite=overwrite)


def _in_memory(run: Run, split: str) -> Predictions:
    found = run.predictions(split)
    assert found.probabilities is not None
    return Predictions(list(found.ids), found.outcomes.labels, np.concatenate(list(found.probabilities.blocks())))


def all_pages(app: AppTest) -> list[list[str]]:
    """The ids of the tiles on each page of the gallery, in order."""
    shown = [ids(app)]
    count = elements(app, "pagination")[0].num_pages if elements(app, "pagination") else 1
    for number in range(2, count + 1):
        shown.append(ids(healthy(elements(app, "pagination")[0].select(number).run())))
    return shown


def png(size: tuple[int, int] = (50, 40)) -> bytes:
    """A reddish noisy PNG file."""
    file = io.BytesIO()
    pixels = np.random.default_rng(1).integers(0, 60, (*size, 3), np.uint8) + np.array([140, 0, 0], np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def column_called(table: Dataframe, heading: str) -> str:
    """The column of a shown table that stands under a heading."""
    settings = json.loads(table.proto.columns)
    (name,) = [name for name in table.proto.column_order if settings.get(name, {}).get("label", name) == heading]
    return name


def opened_by_link(root: Path, open_app: OpenApp, dataset: str) -> AppTest:
    """The app as a visitor sees it who comes with a link to that data set."""
    open_app("overview", root)
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    app.query_params["dataset"] = dataset
    return healthy(app.run())


def chart_data(chart) -> pd.DataFrame:
    with pa.ipc.open_stream(chart.proto.datasets[0].data.data) as stream:
        return stream.read_pandas()
