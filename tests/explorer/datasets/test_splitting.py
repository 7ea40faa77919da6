"""Splits: counts worked by hand, stability, nothing in two splits."""

import numpy as np
import pytest

from explorer.datasets.splitting import complete_splits, hold_out


def made_up(*counts: int) -> tuple[list[str], np.ndarray]:
    labels = np.repeat(np.arange(len(counts)), counts)
    return [f"{label}/{number:03d}.png" for number, label in enumerate(labels)], labels


def split(*counts: int) -> dict[str, np.ndarray]:
    ids, labels = made_up(*counts)
    return complete_splits({"train": np.arange(len(ids))}, ids, labels)


@pytest.mark.parametrize(
    ("count", "train", "val", "test"),
    [
        (1, 1, 0, 0),
        (2, 1, 0, 1),
        (3, 1, 1, 1),
        (4, 2, 1, 1),
        (10, 6, 1, 3),  # 2.5 rounds up to 3; a fifth of the other 7 is 1.4
        (20, 12, 3, 5),
        (100, 60, 15, 25),
    ],
)
def test_a_class_is_split_60_15_25(count: int, train: int, val: int, test: int) -> None:
    assert {name: len(rows) for name, rows in split(count).items()} == {"train": train, "val": val, "test": test}


def test_each_class_is_split_on_its_own() -> None:
    _, labels = made_up(100, 20, 40)
    counts = {name: np.bincount(labels[rows]).tolist() for name, rows in split(100, 20, 40).items()}
    assert counts == {"train": [60, 12, 24], "val": [15, 3, 6], "test": [25, 5, 10]}


def test_every_image_is_in_exactly_one_split() -> None:
    rows = np.concatenate(list(split(31, 17, 5).values()))
    assert sorted(rows.tolist()) == list(range(31 + 17 + 5))


def test_the_seed_is_fixed() -> None:
    members = split(12, 8)
    assert members["test"].tolist() == [0, 9, 11, 16, 17]
    assert members["val"].tolist() == [2, 5, 19]


def test_the_order_of_the_images_does_not_matter() -> None:
    ids, labels = made_up(12, 8)
    backwards = complete_splits({"train": np.arange(20)}, ids[::-1], labels[::-1])
    assert {19 - row for row in backwards["test"]} == set(split(12, 8)["test"])


def test_given_splits_stay_as_they_are() -> None:
    ids, labels = made_up(20)
    members = complete_splits({"train": np.arange(10), "test": np.arange(10, 20)}, ids, labels, val_share=0.1)
    assert members["test"].tolist() == list(range(10, 20))
    assert len(members["val"]) == 1
    assert sorted([*members["train"], *members["val"]]) == list(range(10))


def test_rows_not_offered_are_not_held_out() -> None:
    ids, labels = made_up(10, 10)
    kept, held = hold_out(np.array([0, 2, 4, 6]), ids, labels, 0.5)
    assert len(held) == 2
    assert sorted([*kept, *held]) == [0, 2, 4, 6]
