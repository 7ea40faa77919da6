"""predictions.parquet: what is read for one image, one block or all is what was written, whatever the layout."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from explorer.runs import DamagedRun, ImageIds, Predictions, StoredPredictions
from explorer.runs import predictions as module
from explorer.runs.predictions import check_schema, read_predictions, write_predictions
from tests.explorer.runs.making import made_predictions

Change = Callable[[pd.DataFrame], pd.DataFrame]


def wide(found: dict[str, Predictions]) -> pd.DataFrame:
    """The table that schema 1 had: a column of probabilities for each class."""
    parts = []
    for split, one in found.items():
        table = pd.DataFrame({"split": split, "index": range(len(one.labels)), "image_id": list(one.ids)})
        columns = {f"probability_{k}": column for k, column in enumerate(one.probabilities.T)}
        parts.append(pd.concat([table.assign(label=one.labels), pd.DataFrame(columns)], axis=1))
    return pd.concat(parts)


def write_layout(path: Path, found: dict[str, Predictions], layout: str) -> None:
    """Writes predictions as this version, this version with shuffled rows, schema 1, or another program might."""
    if layout == "schema 1":
        wide(found).to_parquet(path, index=False, row_group_size=7)
        return
    write_predictions(path, found)
    if layout != "as written":
        table = parquet.read_table(path)
        if layout == "shuffled":
            table = table.take(pa.array(np.random.default_rng(0).permutation(len(table))))
        if layout == "lists":  # of no fixed length
            place = table.schema.get_field_index("probabilities")
            table = table.set_column(place, "probabilities", table["probabilities"].cast(pa.list_(pa.float32())))
        parquet.write_table(table, path, row_group_size=7)


def all_blocks(stored: StoredPredictions) -> np.ndarray:
    """All probabilities of a split (N, K)."""
    assert stored.probabilities is not None
    return np.concatenate(list(stored.probabilities.blocks()))


@pytest.mark.parametrize("classes", [3, 300])
@pytest.mark.parametrize("layout", ["as written", "shuffled", "schema 1", "lists"])
class TestLayouts:
    @pytest.fixture
    def made(self, classes: int) -> dict[str, Predictions]:
        return made_predictions({"val": 20, "test": 50}, classes)

    @pytest.fixture
    def path(
        self, made: dict[str, Predictions], layout: str, classes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Path:
        monkeypatch.setattr(module, "VALUES_PER_GROUP", 7 * classes)
        write_layout(tmp_path / "predictions.parquet", made, layout)
        check_schema(tmp_path / "predictions.parquet", classes)
        assert parquet.ParquetFile(tmp_path / "predictions.parquet").num_row_groups == 10
        return tmp_path / "predictions.parquet"

    @pytest.mark.parametrize("split", ["val", "test"])
    def test_what_is_read_is_what_was_written(
        self, made: dict[str, Predictions], path: Path, classes: int, split: str
    ) -> None:
        found, wanted = read_predictions(path, split, classes, len(made[split].labels)), made[split]
        assert tuple(found.ids) == tuple(wanted.ids)
        assert found.outcomes.labels.tolist() == wanted.labels.tolist()
        assert found.outcomes.predicted.tolist() == wanted.probabilities.argmax(1).tolist()
        in_order = np.sort(wanted.probabilities, axis=1)
        np.testing.assert_array_equal(found.outcomes.confidence, in_order[:, -1])
        np.testing.assert_allclose(found.outcomes.margin, in_order[:, -1] - in_order[:, -2], atol=1e-7)
        picked = wanted.probabilities[np.arange(len(wanted.labels)), wanted.labels]
        np.testing.assert_allclose(found.outcomes.loss, [-math.log(max(p, 1.2e-38)) for p in picked], rtol=1e-5)
        assert found.outcomes.confidence.dtype == found.outcomes.loss.dtype == np.float32

    @pytest.mark.parametrize("split", ["val", "test"])
    def test_one_image_and_all_blocks(self, made: dict[str, Predictions], path: Path, classes: int, split: str) -> None:
        found, wanted = read_predictions(path, split, classes), made[split].probabilities
        assert found.probabilities is not None
        for image in (0, 1, 6, 7, 13, 19):
            read = found.probabilities.of(image)
            assert read.dtype == np.float32
            np.testing.assert_array_equal(read, wanted[image])
        np.testing.assert_array_equal(all_blocks(found), wanted)


def test_one_image_costs_one_row_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "VALUES_PER_GROUP", 30)
    path = tmp_path / "predictions.parquet"
    write_predictions(path, made_predictions({"test": 100}, 3))
    stored = read_predictions(path, "test", 3).probabilities
    assert stored is not None
    read: list[list[int]] = []
    matrix = module._matrix
    monkeypatch.setattr(
        module, "_matrix", lambda file, groups, classes: read.append(groups) or matrix(file, groups, classes)
    )
    stored.of(57)
    assert read == [[5]]
    assert [len(block) for block in stored.blocks()] == [10] * 10


def test_without_probabilities_the_summary_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    write_predictions(path, made_predictions({"test": 5}, 3))
    wanted = read_predictions(path, "test", 3)
    parquet.write_table(parquet.read_table(path).drop_columns("probabilities"), path)
    check_schema(path, 3)
    found = read_predictions(path, "test", 3)
    assert found.probabilities is None
    np.testing.assert_array_equal(found.outcomes.loss, wanted.outcomes.loss)


class TestDamage:
    """Values that no model says: refused where the table is read, or where the probabilities are."""

    @pytest.fixture(params=["as written", "schema 1"])
    def path(self, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
        path = tmp_path / "predictions.parquet"
        write_layout(path, made_predictions({"val": 4, "test": 8}, 3), request.param)
        return path

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda t: t.assign(label=-1), "label should hold whole numbers from 0 to 2"),
            (lambda t: t.assign(label=3), "label should hold whole numbers from 0 to 2"),
            (lambda t: t.assign(label=0.5), "label should hold whole numbers from 0 to 2"),
            (lambda t: t.assign(label="ape"), "label should hold whole numbers from 0 to 2"),
            (lambda t: t.assign(label=True), "label should hold whole numbers from 0 to 2"),
            (lambda t: t.assign(label=[None, *[0] * 11]), "label should hold whole numbers from 0 to 2"),
            (lambda t: t.assign(image_id="one"), "every image should have an id of its own"),
            (lambda t: t.assign(image_id=[*"abcdefghijk", "e"]), "every image should have an id of its own"),
            (lambda t: t.assign(image_id=[None, *map(str, range(11))]), ""),
            (lambda t: t.assign(index=0), "the index of test should run from 0 to 7"),
            (lambda t: t.assign(index=range(12)), "the index of test should run from 0 to 7"),
            (lambda t: t.assign(index=0.5), "index should hold whole numbers"),
            (lambda t: t.assign(index="first"), "index should hold whole numbers"),
            (lambda t: t.assign(split="val"), "has 0 images of test, card.json says 8"),
            (lambda t: t.assign(split=7), "predictions.parquet is damaged"),
            (lambda t: t.iloc[:-1], "has 7 images of test, card.json says 8"),
            (lambda t: t.drop(columns="label"), "lacks the columns label"),
            (lambda t: t.drop(columns=["index", "split"]), "lacks the columns split, index"),
        ],
    )
    def test_in_the_leading_columns(self, path: Path, change: Change, message: str) -> None:
        change(pd.read_parquet(path)).to_parquet(path, index=False)
        with pytest.raises(DamagedRun) as caught:
            read_predictions(path, "val" if not message else "test", 3, 4 if not message else 8)
        assert message in str(caught.value)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda t: t.assign(predicted=3), "predicted should hold whole numbers from 0 to 2"),
            (lambda t: t.assign(confidence=1.5), "confidence should hold finite numbers from 0 to 1"),
            (lambda t: t.assign(confidence="high"), "predictions.parquet is damaged"),
            (lambda t: t.assign(margin=-0.5), "margin should hold finite numbers from 0 to 1"),
            (lambda t: t.assign(loss=np.nan), "loss should hold finite numbers at least 0"),
            (lambda t: t.assign(loss=1e300), "loss should hold finite numbers at least 0"),
            (lambda t: t.assign(loss=None), "loss should hold finite numbers at least 0"),
        ],
    )
    def test_in_the_summary(self, tmp_path: Path, change: Change, message: str) -> None:
        path = tmp_path / "predictions.parquet"
        write_predictions(path, made_predictions({"test": 8}, 3))
        change(pd.read_parquet(path)).to_parquet(path, index=False)
        with pytest.raises(DamagedRun, match=message):
            read_predictions(path, "test", 3, 8)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -0.5, 1.5, 1e300])
    def test_probabilities_of_schema_1_that_are_none(self, tmp_path: Path, value: float) -> None:
        path = tmp_path / "predictions.parquet"
        table = wide(made_predictions({"test": 8}, 3)).astype({"probability_1": float})
        table.loc[5, "probability_1"] = value
        table.to_parquet(path, index=False)
        with pytest.raises(DamagedRun, match="probabilities should lie from 0 to 1"):
            read_predictions(path, "test", 3, 8)

    @pytest.mark.parametrize(
        ("bad", "message"),
        [
            ([0.2, np.nan, 0.2], "probabilities should lie from 0 to 1"),
            ([0.2, 1.5, 0.2], "probabilities should lie from 0 to 1"),
            ([0.2, None, 0.2], "probabilities should lie from 0 to 1"),
            ([0.5, 0.5], "predictions.parquet is damaged"),
            ([0.25] * 4, "predictions.parquet is damaged"),
            (None, "probabilities should hold 3 numbers a row"),
        ],
    )
    def test_probabilities_that_are_none_are_refused_when_read(
        self, tmp_path: Path, bad: list[float] | None, message: str
    ) -> None:
        path = tmp_path / "predictions.parquet"
        write_predictions(path, made_predictions({"test": 8}, 3))
        table = pd.read_parquet(path)
        table["probabilities"] = [bad if number == 5 else row for number, row in enumerate(table["probabilities"])]
        table.to_parquet(path, index=False)
        stored = read_predictions(path, "test", 3, 8)
        assert stored.probabilities is not None
        with pytest.raises(DamagedRun, match=message):
            stored.probabilities.of(0)
        with pytest.raises(DamagedRun, match=message):
            all_blocks(stored)

    def test_rows_of_other_lengths_do_not_make_up_for_each_other(self, tmp_path: Path) -> None:
        path = tmp_path / "predictions.parquet"
        write_predictions(path, made_predictions({"test": 2}, 3))
        table = pd.read_parquet(path)
        table["probabilities"] = [[0.5, 0.5], [0.25] * 4]
        table.to_parquet(path, index=False)
        stored = read_predictions(path, "test", 3, 2)
        assert stored.probabilities is not None
        with pytest.raises(DamagedRun):
            stored.probabilities.of(0)

    def test_an_id_whose_bytes_are_no_text(self, tmp_path: Path) -> None:
        path = tmp_path / "predictions.parquet"
        write_predictions(path, made_predictions({"test": 8}, 3))
        ids = pa.array([b"\xff\xfe" + bytes([number]) for number in range(8)])
        table = parquet.read_table(path)
        parquet.write_table(table.set_column(2, "image_id", ids.view(pa.string())), path)
        with pytest.raises(DamagedRun, match=r"predictions\.parquet is damaged \(.*UTF8"):
            read_predictions(path, "test", 3, 8)

    @pytest.mark.parametrize("split", ["train", "everything"])
    def test_a_split_that_has_no_image(self, path: Path, split: str) -> None:
        with pytest.raises(DamagedRun, match=f"has no image of {split}; train the run again"):
            read_predictions(path, split, 3)

    def test_columns_for_too_few_classes(self, tmp_path: Path) -> None:
        path = tmp_path / "predictions.parquet"
        wide(made_predictions({"test": 8}, 3)).to_parquet(path, index=False)
        with pytest.raises(DamagedRun, match="lacks the columns probability_3, probability_4; train the run again"):
            check_schema(path, 5)


class TestImageIds:
    def test_they_are_a_sequence(self) -> None:
        ids = ImageIds.of(["a", "b", "c"])
        assert (len(ids), ids[0], ids[-1], list(ids), tuple(ids[1:])) == (3, "a", "c", ["a", "b", "c"], ("b", "c"))
        assert "b" in ids
        assert "d" not in ids
        assert ids == ImageIds.of(("a", "b", "c"))
        assert ids != ImageIds.of(("a", "c", "b"))
        assert ids != ["a", "b", "c"]
        assert ImageIds.of(ids) is ids

    def test_the_place_of_an_id(self) -> None:
        ids = ImageIds.of(["a", "b", "c"])
        assert ids.index("b") == 1
        for missing in ("d", None, 3):
            with pytest.raises(ValueError, match="expected the id of one of 3 images"):
                ids.index(missing)
        with pytest.raises(ValueError, match="no image 'a'"):
            ids.index("a", 1)
