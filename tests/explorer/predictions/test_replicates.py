"""The test over seeds and images against its definition, scipy's tests in its limits, and figures worked elsewhere."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from benchmarks.levels import measure_levels
from explorer.predictions.comparison import Comparison
from explorer.predictions.outcomes import Outcomes
from explorer.predictions.paired import compare_pair
from explorer.predictions.replicates import compare_variants, compare_with_variant


def random_right(rates: list[float], images: int = 200, seed: int = 0) -> np.ndarray:
    """A run for each rate of right answers, on images of which some are harder for all."""
    draw = np.random.default_rng(seed)
    ease = draw.normal(0, 2, images)
    return ease + draw.logistic(0, 1, (len(rates), images)) > -np.array(rates)[:, None]


def compared(right: dict[str, np.ndarray], seeds: dict[str, tuple[int | None, ...]] | None = None) -> Comparison:
    """Variants by name, bool (runs, N) each, with the seeds 0, 1, ... unless others are given."""
    names = list(right)
    of_run = {name: (seeds or {}).get(name, tuple(range(len(rows)))) for name, rows in right.items()}
    flat = [(name, seed, row) for name in names for seed, row in zip(of_run[name], right[name], strict=True)]
    images = len(flat[0][2])
    zeros = np.zeros(images, np.float32)
    return Comparison(
        runs=tuple(f"{name}, seed {seed}" for name, seed, _ in flat),
        variants=tuple(names),
        variant_of=np.array([names.index(name) for name, _, _ in flat]),
        seeds=tuple(seed for _, seed, _ in flat),
        classes=("no", "yes"),
        ids=tuple(map(str, range(images))),
        outcomes=tuple(Outcomes(zeros.astype(int), (~row).astype(int), zeros, zeros, zeros) for _, _, row in flat),
        stored=(None,) * len(flat),
    )


@pytest.fixture(scope="module")
def elpv() -> dict[str, np.ndarray]:
    """What each of three seeds of resnet14 with each norm got right on the 656 test cells of ELPV, bool (3, 656)."""
    file = np.load(Path(__file__).with_name("elpv_resnet14.npz"), allow_pickle=False)
    return dict(zip(file["norms"].tolist(), file["right"], strict=True))


class TestCompareVariants:
    def test_equals_the_definition(self):
        a, b = random_right([1.0, 1.2, 0.8]), random_right([0.6, 1.0], seed=1)
        images, parts, both = 200, [], 0.0
        for right in (a, b):
            seeds = len(right)
            parts.append((right.mean(1).var(ddof=1) / seeds, seeds - 1))
            left = right - right.mean(0) - right.mean(1)[:, None] + right.mean()
            both += (left**2).sum() / ((seeds - 1) * (images - 1)) / (seeds * images)
        of_images = (a.mean(0) - b.mean(0)).var(ddof=1) / images
        of_seeds = parts[0][0] + parts[1][0]
        variance = max(of_seeds + of_images - both, of_seeds, of_images)
        freedom = variance**2 / sum(v**2 / f for v, f in [*parts, (of_images, images - 1)])
        found = compare_variants(a, b)
        assert found.difference == pytest.approx(a.mean() - b.mean())
        assert found.standard_error == pytest.approx(np.sqrt(variance))
        assert found.degrees_of_freedom == pytest.approx(freedom)
        assert found.p == pytest.approx(2 * stats.t.sf(abs(found.difference) / np.sqrt(variance), freedom))
        expected = stats.t.interval(0.95, freedom, found.difference, np.sqrt(variance))
        assert (found.low, found.high) == pytest.approx(expected)

    def test_runs_that_do_all_the_same_leave_the_paired_t_test_over_images(self):
        a, b = random_right([1.0, 0.5])
        found = compare_variants(np.stack([a, a, a]), np.stack([b, b]))
        assert found.p == pytest.approx(stats.ttest_rel(a.astype(float), b.astype(float))[1])
        assert found.degrees_of_freedom == pytest.approx(199)

    def test_images_that_are_all_as_hard_leave_welchs_t_test_over_seeds(self):
        place = np.arange(12)
        a = np.stack([place < 6, (place >= 6) & (place < 10), place >= 10])  # one of three is right on each image
        b = ~np.stack([place < 5, (place >= 5) & (place < 9), place >= 9])  # two of three are
        found = compare_variants(a, b)
        assert found.p == pytest.approx(stats.ttest_ind(a.mean(1), b.mean(1), equal_var=False)[1])

    def test_the_committed_runs(self, elpv: dict[str, np.ndarray]):
        found = compare_variants(elpv["instance"], elpv["batch"])
        assert 100 * found.difference == pytest.approx(1.47, abs=0.005)
        assert 100 * found.standard_error == pytest.approx(0.80, abs=0.005)
        assert found.p == pytest.approx(0.073, abs=0.0005)
        assert (found.pairings_better, found.pairings) == (9, 9)
        found = compare_variants(elpv["none"], elpv["batch"])
        assert 100 * found.difference == pytest.approx(-0.46, abs=0.005)
        assert 100 * found.standard_error == pytest.approx(1.15, abs=0.005)

    def test_swapping_the_variants_changes_the_sign(self):
        a, b = random_right([1.0, 1.2, 0.8]), random_right([0.6, 1.0], seed=1)
        there, back = compare_variants(a, b), compare_variants(b, a)
        assert back.difference == -there.difference
        assert (back.p, back.low, back.high) == pytest.approx((there.p, -there.high, -there.low))

    def test_the_interval_leaves_out_0_just_where_p_is_below_its_level(self):
        a, b = random_right([1.5, 1.4, 1.6]), random_right([1.0, 1.1, 1.2], seed=1)
        p = compare_variants(a, b).p
        assert compare_variants(a, b, level=1 - 1.01 * p).low > 0
        assert compare_variants(a, b, level=1 - 0.99 * p).low < 0

    def test_pairings(self):
        rows = np.tril(np.ones((5, 5), bool))  # of 5 images 1, 2, 3, 4, 5 are right
        found = compare_variants(rows[[0, 3]], rows[[1, 3, 4]])
        assert (found.pairings_better, found.pairings) == (1, 6)  # 4 against 2; 4 against 4 is no better

    def test_nothing_varies(self):
        right = np.ones((2, 10), bool)
        same, other = compare_variants(right, right), compare_variants(right, ~right)
        assert (same.p, same.difference, same.low, same.high, same.standard_error) == (1, 0, 0, 0, 0)
        assert (other.p, other.difference, other.low, other.high) == (0, 1, 1, 1)

    @pytest.mark.parametrize(
        ("right_a", "right_b"),
        [
            (np.ones((1, 5), bool), np.ones((2, 5), bool)),
            (np.ones((2, 5), bool), np.ones((2, 6), bool)),
            (np.ones((2, 1), bool), np.ones((2, 1), bool)),
            (np.ones((2, 5)), np.ones((2, 5))),
            (np.ones(5, bool), np.ones(5, bool)),
        ],
    )
    def test_what_does_not_fit(self, right_a: np.ndarray, right_b: np.ndarray):
        with pytest.raises(ValueError, match=r"wanted bool outcomes \(seeds, N\) of the same images, at least two"):
            compare_variants(right_a, right_b)


class TestLevels:
    """Without a true difference a test should say `reliable` in 5 % at most."""

    def test_where_runs_differ_by_chance_only_the_test_over_seeds_keeps_its_level(self):
        found = measure_levels(seeds=3, run_spread=0.012, draws=4000)
        assert 0.015 < found.over_seeds < 0.05
        assert found.one_seed > 0.15
        assert found.pooled > 0.15

    def test_where_runs_are_equally_good_all_do(self):
        found = measure_levels(seeds=3, run_spread=0.0, draws=2000)
        assert max(found.over_seeds, found.one_seed, found.pooled) < 0.055


class TestTables:
    def test_against_a_reference(self, elpv: dict[str, np.ndarray]):
        table = compare_with_variant(compared(elpv), "batch").set_index("variant_a")
        assert list(table.index) == [name for name in elpv if name != "batch"]
        assert set(table["variant_b"]) == {"batch"}
        assert set(table["run_a"]) | set(table["run_b"]) == {""}
        row, found = table.loc["instance"], compare_variants(elpv["instance"], elpv["batch"])
        assert (row["runs_a"], row["runs_b"], row["pairings_better"], row["pairings"]) == (3, 3, 9, 9)
        assert row["accuracy_a"] == pytest.approx(elpv["instance"].mean())
        assert row["accuracy_b"] == pytest.approx(elpv["batch"].mean())
        assert (row["difference"], row["p"]) == (found.difference, found.p)
        assert table["p_holm"].to_numpy() == pytest.approx(multipletests(table["p"], method="holm")[1])
        assert row["p_holm"] == pytest.approx(0.44, abs=0.005)

    def test_intervals_have_the_level_that_the_corrected_p_is_judged_at(self):
        right = {name: random_right([rate] * 3, seed=seed) for seed, (name, rate) in enumerate(RATES.items())}
        table = compare_with_variant(compared(right), "b")
        reliable = (table["p_holm"] < 0.05).to_numpy()
        assert (((table["low"] > 0) | (table["high"] < 0)).to_numpy() == reliable).all()
        assert 0 < reliable.sum() < len(table)
        assert ((table["p"] < 0.05).to_numpy() != reliable).any(), "some are not reliable only once corrected"

    def test_one_run_each_is_mcnemars_of_two_networks(self):
        right = {"batch": random_right([1.0]), "group": random_right([0.2], seed=1)}
        (row,) = compare_with_variant(compared(right), "batch").to_dict("records")
        found = compare_pair(~right["group"][0], ~right["batch"][0])
        assert (row["p"], row["difference"], row["low"]) == (found.p, found.difference, found.low)
        assert (row["only_a_wrong"], row["only_b_wrong"]) == (found.only_a_wrong, found.only_b_wrong)
        assert (row["run_a"], row["run_b"], row["runs_a"], row["runs_b"]) == ("group, seed 0", "batch, seed 0", 1, 1)
        assert np.isnan(row["standard_error"])

    @pytest.mark.parametrize(("seed", "row"), [(1, 1), (2, 2), (9, 0), (None, 0)])
    def test_one_run_meets_the_other_variants_run_of_its_seed(self, seed: int | None, row: int):
        right = {"batch": random_right([1.0, 0.5, 1.5]), "old": random_right([0.2], seed=1)}
        comparison = compared(right, {"old": (seed,)})
        for a, b in (("old", "batch"), ("batch", "old")):
            (found,) = compare_with_variant(comparison, b).to_dict("records")
            expected = {"batch": ~right["batch"][row], "old": ~right["old"][0]}
            assert found["p"] == compare_pair(expected[a], expected[b]).p
            assert {found["run_a"], found["run_b"]} == {f"batch, seed {row}", f"old, seed {seed}"}

    def test_a_single_image_is_judged_as_of_networks(self):
        (row,) = compare_with_variant(compared({"a": np.ones((2, 1), bool), "b": np.zeros((2, 1), bool)}), "a").to_dict(
            "records"
        )
        assert (row["run_a"], row["p"], row["difference"]) == ("b, seed 0", 1, -1)

    def test_one_variant_has_nothing_to_be_compared_with(self):
        comparison = compared({"batch": random_right([1.0, 0.5])})
        table = compare_with_variant(comparison, "batch")
        assert table.empty
        assert {"variant_a", "difference", "low", "p_holm"} <= set(table.columns)

    def test_unknown_reference(self):
        with pytest.raises(ValueError, match="unknown variant 'layer'; expected one of: batch"):
            compare_with_variant(compared({"batch": random_right([1.0])}), "layer")


RATES = {"a": 2.2, "b": 1.4, "c": 1.0, "d": 0.7, "e": 0.6, "f": -0.5, "g": 0.9}
