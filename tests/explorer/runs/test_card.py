"""The border: cards of both schemas are read, and whatever pages could not bear is refused in one line."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from explorer.runs import IMPORTED, Card, Choice, DamagedRun, DatasetRef
from explorer.runs.card import LONGEST_REASON
from tests.explorer.runs.making import CARD, METRICS, RECIPE, as_schema_1, card_of


def plain_card() -> dict[str, Any]:
    """CARD as a parsed card.json of its own."""
    return json.loads(json.dumps(CARD.to_json()))


def changed(path: str, value: object) -> dict[str, Any]:
    """CARD as JSON with another value at `dataset.name` or so."""
    plain = plain_card()
    *above, last = path.split(".")
    part = plain
    for key in above:
        part = part[key]
    part[last] = value
    return plain


class TestRoundTrip:
    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"origin": IMPORTED, "recipe": None, "seed": None, "seconds": None, "best_epoch": None},
            {"norm": None, "parameters": None, "macs": None},
            {"norm": Choice("norm of the year 3000", {"depth": 3})},
            {"architecture": Choice("net of the year 3000", {"layers": [1, 2], "wide": True, "stem": None})},
            {"recipe": {key: value for key, value in RECIPE.items() if key != "batch_size"}},
            {"dataset": DatasetRef("toys", "folder:/pictures/toys", None)},
            {"metrics": {"test": METRICS}, "splits": {"test": 12}},
            {"classes": tuple(f"class {number}" for number in range(1000))},
            {"source": "s" * 2000, "classes": ("any class", "[x](http://x)", "$x$", "two\nlines")},
        ],
        ids=str,
    )
    def test_what_is_written_is_read(self, changes: dict[str, Any]) -> None:
        card = card_of(**changes)
        again = Card.from_json(json.loads(json.dumps(card.to_json(), allow_nan=False)))
        assert again == card
        assert again.name == card.name

    def test_keys_that_others_rely_on(self) -> None:
        plain = plain_card()
        assert plain["schema_version"] == 2
        assert plain["name"] == CARD.name
        assert plain["dataset"] == {
            "name": "toys",
            "location": "folder:/pictures/toys",
            "fingerprint": "0123456789abcdef",
            "source": "Made for the tests.",
            "splits": {"train": 20, "val": 6, "test": 12},
        }
        assert plain["norm"] == {"name": "group", "groups": 4, "eps": 1e-5}
        assert plain["architecture"] == {"name": "simplecnn"}
        assert plain["input"] == {"height": 32, "width": 32, "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.3]}
        assert plain["recipe"] == RECIPE
        assert list(plain["metrics"]) == ["train", "val", "test"]
        keys = {"accuracy", "micro_f1", "macro_f1", "loss", "misclassified", "count", "classes"}
        assert all(set(part) == keys for part in plain["metrics"].values())

    def test_keys_of_the_future_are_passed_over_but_in_settings(self) -> None:
        plain: dict[str, Any] = plain_card() | {"mood": "good"}
        for key in ("dataset", "input", "metrics"):
            plain[key] |= {"of the future": [1, {"deep": [[[[[]]]]]}]}
        plain["metrics"]["test"]["kappa"] = 0.5
        assert Card.from_json(plain) == CARD
        plain["recipe"]["mixup"] = 0.2
        recipe = Card.from_json(plain).spec.recipe
        assert recipe == RECIPE | {"mixup": 0.2}


class TestSchema1:
    def test_it_reads_as_what_it_left_unsaid(self) -> None:
        card = Card.from_json(as_schema_1(plain_card()))
        assert card.spec.dataset == DatasetRef("toys", "folder:/pictures/toys", None)  # its own was of the pixels
        assert card.spec.same_but_images(CARD.spec)
        assert card.spec.recipe == RECIPE
        assert card.metrics == {split: replace(one, classes=None) for split, one in CARD.metrics.items()}
        assert replace(card, spec=CARD.spec, metrics=CARD.metrics) == CARD

    @pytest.mark.parametrize(
        ("location", "name"),
        [
            ("elpv", "elpv"),
            ("folder:/data/cells", "cells"),
            ("folder:cells/", "cells"),
            ("folder:../my birds", "my birds"),
            ("folder:.", "folder:."),
        ],
    )
    def test_a_data_set_is_called_by_the_last_part_of_its_location(self, location: str, name: str) -> None:
        plain = as_schema_1(plain_card())
        plain["dataset"]["name"] = location
        assert Card.from_json(plain).spec.dataset == DatasetRef(name, location, None)

    def test_what_it_says_stays(self) -> None:
        plain = as_schema_1(plain_card())
        plain["recipe"] |= {"optimizer": "muon", "optimizer_arguments": {"momentum": 0.5}}
        wanted = {"momentum": 0.5, "nesterov": True, "adamw_share": 0.1}
        recipe = Card.from_json(plain).spec.recipe
        assert recipe is not None
        assert recipe["optimizer_arguments"] == wanted

    @pytest.mark.parametrize("key", ["recipe", "norm", "seed"])
    def test_it_may_lack_what_schema_2_may(self, key: str) -> None:
        card = Card.from_json(as_schema_1(plain_card() | {key: None}))
        assert getattr(card.spec, key) is None

    @pytest.mark.parametrize(
        "recipe",
        [{"optimizer": ["sgd"], "optimizer_arguments": {}}, {"optimizer": "sgd", "optimizer_arguments": 3}, {}],
    )
    def test_a_recipe_of_another_shape_is_kept(self, recipe: dict[str, Any]) -> None:
        plain = as_schema_1(plain_card())
        plain["recipe"] = recipe
        assert Card.from_json(plain).spec.recipe == recipe


class TestRefused:
    @pytest.mark.parametrize("key", sorted(set(CARD.to_json()) - {"schema_version", "name"}))
    def test_a_missing_key_is_named(self, key: str) -> None:
        plain = plain_card()
        del plain[key]
        with pytest.raises(DamagedRun, match=f"card.json lacks the key '{key}'; train the run again"):
            Card.from_json(plain)

    @pytest.mark.parametrize(
        ("version", "said"), [(3, "3"), (0, "0"), (None, "None"), (True, "True"), ("2", "'2'"), ([2], r"\[2\]")]
    )
    def test_another_schema_version(self, version: object, said: str) -> None:
        message = f"schema version {said}; this Normscope reads 1 and 2: use the version that wrote it, or train"
        with pytest.raises(DamagedRun, match=message):
            Card.from_json(plain_card() | {"schema_version": version})

    @pytest.mark.parametrize("plain", [None, [], "a text", 3, [1, 2]], ids=str)
    def test_anything_but_an_object(self, plain: object) -> None:
        with pytest.raises(DamagedRun, match=r"card\.json holds .*, wanted an object"):
            Card.from_json(plain)

    @pytest.mark.parametrize(
        ("path", "value", "message"),
        [
            ("seed", float("inf"), "seed should be a whole number"),
            ("seed", -1, "seed should be a whole number from 0"),
            ("seed", 10**400, "seed should be a whole number"),
            ("seed", "one", "seed should be a whole number from 0 to 9223372036854775807, is 'one'"),
            ("seed", True, "seed should be a whole number"),
            ("dataset", 3, "dataset holds a int, wanted an object"),
            ("dataset.name", None, "name should be a text of 1 to 200 characters, is None"),
            ("dataset.name", "", "name should be a text"),
            ("dataset.name", "two\nlines", "name should be a text in one line"),
            ("dataset.name", "half a pair \ud800", "name should be a text"),
            ("dataset.location", ["elpv"], "location should be a text"),
            ("dataset.fingerprint", 7, "fingerprint should be a text"),
            ("dataset.splits", {"test": 1.5}, "test should be a whole number"),
            ("dataset.source", "s" * 2001, "source should be a text of 1 to 2000 characters"),
            ("architecture", "resnet14", "architecture holds a text, wanted an object"),
            ("architecture.name", 5, "name should be a text of 1 to 200 characters, is 5"),
            ("architecture.depth", float("nan"), "depth should be a finite number, a text"),
            ("norm", "batch", "norm holds a text, wanted an object"),
            ("norm", {"groups": 4}, "norm lacks the key 'name'"),
            ("norm.eps", 10**400, "eps should be a finite number"),
            ("norm.eps", [[[[1]]]], "eps should be a finite number, a text, true, false, null, or a few of these"),
            ("recipe", 1, "recipe holds a int, wanted an object"),
            ("recipe.learning_rate", float("inf"), "learning_rate should be a finite number"),
            ("recipe.augmentations", ["a"] * 1001, "augmentations should be"),
            ("recipe.augmentations", {"k" * 201: 1}, "augmentations should be"),
            ("recipe.optimizer", "o" * 201, "optimizer should be"),
            ("recipe.loss", "\udfff", "loss should be"),
            ("classes", [], "classes should be 2 to 1,000 names of 1 to 200 characters"),
            ("classes", ["one"], "classes should be 2 to 1,000 names"),
            ("classes", [f"class {number}" for number in range(2000)], "classes should be 2 to 1,000 names"),
            ("classes", ["a" * 100_000, "b"], "classes should be 2 to 1,000 names of 1 to 200 characters"),
            ("classes", ["a"] * 100_000, "classes should be 2 to 1,000 names"),
            ("classes", ["a", "b", "a"], "classes should be names that differ"),
            ("classes", ["a", 3], "classes should be"),
            ("classes", ["a", "\udc00"], "classes should be"),
            ("classes", {"a": "b"}, "classes should be a list"),
            ("input", None, "input holds nothing, wanted an object"),
            ("input.height", 0, "height should be a whole number from 1 to 1024, is 0"),
            ("input.width", 10**6, "width should be a whole number from 1 to 1024"),
            ("input.mean", [0.5, 0.5], "mean should be three finite numbers"),
            ("input.mean", [0.5, 0.5, float("nan")], "mean should be three finite numbers"),
            ("input.mean", [0.5, 0.5, 10**400], "mean should be three finite numbers"),
            ("input.std", [0.5, 0.5, 0], "std should be three finite numbers above 0"),
            ("input.std", "0.5", "std should be a list"),
            ("parameters", 1.5, "parameters should be a whole number"),
            ("macs", -1, "macs should be a whole number"),
            ("seconds", "long", "seconds should be a number, is 'long'"),
            ("seconds", -1, "seconds should be a number of at least 0"),
            ("seconds", 10**400, "seconds should be a number"),
            ("best_epoch", [], "best_epoch should be a whole number"),
            ("origin", "found", "origin should be trained or imported, is 'found'"),
            ("created", 2026, "created should be a text"),
            ("hardware", {}, "hardware should be a text"),
            ("versions", ["torch"], "versions holds a list, wanted an object"),
            ("versions.torch", {"major": 2}, "torch should be a text"),
            ("metrics", [], "metrics holds a list, wanted an object"),
            ("metrics", {}, "metrics lacks the key 'test'"),
            ("metrics.test", 0.9, "metrics: test holds a float, wanted an object"),
            ("metrics.test.accuracy", "0.9", "accuracy should be a number, is '0.9'"),
            ("metrics.test.accuracy", 1.5, "accuracy should be a number of at least 0 and at most 1, is 1.5"),
            ("metrics.test.accuracy", {"value": 0.9}, "accuracy should be a number"),
            ("metrics.val.loss", float("nan"), "loss should be a number"),
            ("metrics.test.misclassified", 13, "misclassified should be a whole number from 0 to 12, is 13"),
            ("metrics.test.count", 0, "count should be a whole number from 1"),
            ("metrics.test.classes", 0, "classes should be a whole number from 1"),
        ],
    )
    def test_values_that_pages_could_not_bear(self, path: str, value: object, message: str) -> None:
        with pytest.raises(DamagedRun) as caught:
            Card.from_json(changed(path, value))
        said = str(caught.value)
        assert message in said
        assert said.startswith("card.json")
        assert len(said) <= LONGEST_REASON
        assert said.endswith("; train the run again")

    @pytest.mark.parametrize(
        "key", ["schema_version", "created", "dataset", "classes", "input", "recipe", "seed", "versions", "norm"]
    )
    @pytest.mark.parametrize("nest", [lambda inner: [inner], lambda inner: {"name": inner, "inner": inner}])
    def test_brackets_in_brackets(self, key: str, nest: Callable[[object], object]) -> None:
        value: object = 1
        for _ in range(20 if isinstance(nest(1), dict) else 900):
            value = nest(value)
        with pytest.raises(DamagedRun):
            Card.from_json(plain_card() | {key: value})


class TestReasons:
    def test_they_are_one_short_line_that_can_be_shown(self) -> None:
        said = str(DamagedRun("one\n  two " + "x" * 1000 + "\ud800"))
        assert said.startswith("one two xxx")
        assert said.endswith("…")
        assert len(said) == LONGEST_REASON
        assert str(DamagedRun("other bytes: \udcff\x0f")) == "other bytes: \\udcff\\x0f"
