"""Agreement of heatmaps against scipy's rank correlation and overlaps worked by hand."""

from itertools import permutations, product

import numpy as np
import pytest
from scipy.stats import spearmanr

from explorer.heatmaps.agreement import (
    at_one_size,
    compare_all_maps,
    compare_to_noise,
    heatmap_agreement,
    maps_verdict,
)


class TestHeatmapAgreement:
    def maps(self, seed: int, count: int = 6) -> np.ndarray:
        return np.random.default_rng(seed).random((count, 10, 10)).astype(np.float32)

    def test_spearman_equals_scipy(self):
        a, b = self.maps(0), self.maps(1).round(1)  # rounded, so that there are ties
        expected = [spearmanr(x.ravel(), y.ravel())[0] for x, y in zip(a, b, strict=True)]
        assert heatmap_agreement(a, b)["spearman"].to_numpy() == pytest.approx(expected)

    def test_same_maps_agree_and_opposite_ones_do_not(self):
        a = self.maps(0)
        same, opposite = heatmap_agreement(a, a), heatmap_agreement(a, 1 - a)
        assert same.to_numpy() == pytest.approx(np.ones((6, 2)))
        assert opposite["spearman"].to_numpy() == pytest.approx(-np.ones(6))
        assert opposite["overlap"].tolist() == [0] * 6

    def test_overlap_worked_by_hand(self):
        a = np.arange(10.0).reshape(1, 2, 5)  # hottest 20 %: 8 and 9
        b = a.copy()
        b[0, 1, 3], b[0, 0, 1] = 1, 8  # hottest 20 %: pixel 1 and pixel 9
        assert heatmap_agreement(a, b)["overlap"].tolist() == pytest.approx([1 / 3])

    def test_a_map_that_is_mostly_zero_counts_where_it_is_hot(self):
        a, b = np.zeros((2, 1, 10, 10))
        a[0, 0, :2], b[0, 0, 1:3] = 1, 1
        assert heatmap_agreement(a, b)["overlap"].tolist() == pytest.approx([1 / 3])

    @pytest.mark.parametrize("value", [0.0, 0.5, np.nan])
    def test_a_blank_map_has_no_agreement(self, value: float):
        a, b = self.maps(0), self.maps(1)
        b[2] = value
        found = heatmap_agreement(a, b)
        assert found.isna().any(axis=1).tolist() == [False, False, True, False, False, False]

    def test_shapes_that_differ(self):
        with pytest.raises(ValueError, match=r"one shape; got \(6, 10, 10\) and \(5, 10, 10\)"):
            heatmap_agreement(self.maps(0), self.maps(0, count=5))

    def test_no_images(self):
        assert heatmap_agreement(np.zeros((0, 4, 4)), np.zeros((0, 4, 4))).empty


class TestCompareToNoise:
    @staticmethod
    def noisy(maps: np.ndarray, seed: int) -> np.ndarray:
        return maps + np.random.default_rng(seed).normal(0, 0.2, maps.shape)

    @pytest.mark.parametrize("measure", ["spearman", "overlap"])
    def test_other_maps_differ_more_than_noise(self, measure):
        a, b = np.random.default_rng(0).random((2, 30, 8, 8))
        found = compare_to_noise(a, b, self.noisy(a, 1), measure)
        assert found.differs
        assert found.within > found.between
        assert found.drop == pytest.approx(found.within - found.between)

    def test_another_seed_does_not(self):
        a = np.random.default_rng(0).random((30, 8, 8))
        found = compare_to_noise(a, self.noisy(a, 1), self.noisy(a, 2))
        assert not found.differs
        assert found.low < 0 < found.high

    def test_all_the_same(self):
        a = np.random.default_rng(0).random((5, 8, 8))
        found = compare_to_noise(a, a, a)
        assert (found.drop, found.low, found.high) == (0, 0, 0)
        assert not found.differs

    def test_interval_of_hand_made_agreements(self):
        # opposite maps on 1 of 4 images: drops 2, 0, 0, 0 -> mean 0.5, s = 1, Student's 97.5 % at 3 is 3.1824
        a = np.random.default_rng(0).random((4, 8, 8))
        b = a.copy()
        b[0] = 1 - b[0]
        found = compare_to_noise(a, b, a)
        assert found.drop == pytest.approx(0.5)
        assert (found.low, found.high) == pytest.approx((0.5 - 3.1824 / 2, 0.5 + 3.1824 / 2), abs=1e-4)

    def test_blank_maps_are_left_out(self):
        a, b = np.random.default_rng(0).random((2, 30, 8, 8))
        again = self.noisy(a, 1)
        a[3], b[4], again[5] = 0, 0, 0
        assert compare_to_noise(a, b, again).count == 27

    @pytest.mark.parametrize("count", [0, 1])
    def test_too_few_images(self, count: int):
        a, b = np.random.default_rng(0).random((2, count, 8, 8))
        found = compare_to_noise(a, b, a)
        assert not found.differs


class TestCompareAllMaps:
    def maps(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Two runs that look at the same places but for noise, and one that looks elsewhere."""
        here, elsewhere = np.random.default_rng(0).random((2, 30, 8, 8))
        noisy = TestCompareToNoise.noisy
        maps = {"batch": here, "group": noisy(here, 1), "layer": elsewhere}
        again = {"batch": noisy(here, 2), "group": noisy(here, 3), "layer": noisy(elsewhere, 4)}
        return maps, again

    @pytest.mark.parametrize("measure", ["spearman", "overlap"])
    def test_every_ordered_pair_and_the_floor_on_the_diagonal(self, measure):
        maps, again = self.maps()
        table = compare_all_maps(maps, again, measure).set_index(["run_a", "run_b"])
        assert len(table) == 9
        for a, b in product(maps, repeat=2):
            wanted = heatmap_agreement(maps[a], again[a] if a == b else maps[b])[measure].mean()
            assert table.loc[(a, b), "agreement"] == pytest.approx(wanted)
        assert [pair for pair in table.index if table.loc[pair, "differs"]] == [
            ("batch", "layer"),
            ("group", "layer"),
            ("layer", "batch"),
            ("layer", "group"),
        ]

    def test_differs_is_what_the_paired_comparison_says(self):
        maps, again = self.maps()
        table = compare_all_maps(maps, again).set_index(["run_a", "run_b"])
        for a, b in permutations(maps, 2):
            found = compare_to_noise(maps[a], maps[b], again[a])
            assert table.loc[(a, b), "differs"] == found.differs

    def test_shapes_that_differ(self):
        maps, again = self.maps()
        with pytest.raises(ValueError, match=r"one shape; got \[\(30, 4, 4\), \(30, 8, 8\)\]"):
            compare_all_maps(maps | {"group": maps["group"][:, :4, :4]}, again)

    def test_the_verdict_in_words(self):
        table = compare_all_maps(*self.maps())
        said = "Against batch: layer looks elsewhere; group does not differ from it beyond noise."
        assert maps_verdict(table, "batch") == said
        assert maps_verdict(table, "layer") == "Against layer: batch and group look elsewhere."
        assert maps_verdict(table.query("run_a == run_b"), "batch").startswith("Only one run")

    def test_a_run_without_a_map_is_not_said_to_agree(self):
        maps, again = self.maps()
        blank = np.zeros_like(maps["batch"])
        table = compare_all_maps(maps | {"none": blank}, again | {"none": blank})
        assert maps_verdict(table, "batch").endswith(
            "beyond noise; none shares no image with it where both maps show anything."
        )


def test_maps_of_several_resolutions_are_enlarged_to_the_largest():
    ramp = np.linspace(0, 1, 4, dtype=np.float32).reshape(1, 1, 4).repeat(4, axis=1)
    fine = np.random.default_rng(0).random((1, 8, 8)).astype(np.float32)
    found = at_one_size({"coarse": ramp, "fine": fine, "tall": fine[:, :, :4]})
    assert {name: maps.shape for name, maps in found.items()} == dict.fromkeys(("coarse", "fine", "tall"), (1, 8, 8))
    assert found["fine"] is fine
    # bilinear with the centres of pixels apart by half: 0, 1/12, 3/12, ... and the ends repeated
    assert found["coarse"][0, 3] == pytest.approx([0, 1 / 12, 1 / 4, 5 / 12, 7 / 12, 3 / 4, 11 / 12, 1])
