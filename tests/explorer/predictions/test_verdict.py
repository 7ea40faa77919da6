"""What standings say in sentences, of tables worked by hand."""

import pandas as pd

from explorer.predictions.paired import accuracy_interval
from explorer.predictions.standings import BETTER, OPEN, WORSE, standings
from explorer.predictions.verdict import alone, spread, verdict
from tests.explorer.predictions.test_replicates import compared
from tests.explorer.predictions.test_standings import IMAGES, REF, right_on, stood

MINUS = "\N{MINUS SIGN}"


class TestVerdict:
    def test_trained_networks_are_called_that(self) -> None:
        rows = (REF, ("layer", 0.78, -0.02, WORSE), ("group", 0.7, -0.1, WORSE), ("none", 0.79, -0.01, OPEN))
        words, limits = verdict(stood(*rows), 10_000)
        assert words == (
            f"Among these trained networks, one training each, layer ({MINUS}2.0 points) and group ({MINUS}10.0 "
            "points) are reliably worse than batch; none is not distinguishable from it."
        )
        assert limits == (
            "Another training of each may change this. A difference below about 2.0 points would not show with 10,000 "
            "test images and these trainings."
        )

    def test_several_seeds_are_about_the_variants(self) -> None:
        rows = (("up", 0.9, 0.1, BETTER), REF, ("down", 0.7, -0.1, WORSE))
        assert verdict(stood(*rows, runs=3), 656) == (
            f"up (+10.0 points) is reliably better than batch; down ({MINUS}10.0 points) is reliably worse than batch.",
            "",
        )

    def test_none_of_many(self) -> None:
        rows = (REF, *((name, 0.8, 0.0, OPEN) for name in "abc"))
        words, limits = verdict(stood(*rows, runs=3), 656)
        assert words == "None of the other 3 is distinguishable from batch."
        assert limits.startswith("A difference below about 2.0 points would not show with 656 test images")

    def test_where_no_image_differs_a_difference_may_still_hide(self) -> None:
        table = stood(("a", 0.8, 0.0, OPEN), REF).assign(difference_low=0.0, difference_high=0.0)
        assert "below about 3.0 points" in verdict(table, 100)[1]  # none of 100: at most 3 % are likely

    def test_two_variants(self) -> None:
        assert verdict(stood(("a", 0.8, 0.0, OPEN), REF, runs=2), 10)[0] == "a and batch are not distinguishable."

    def test_many_that_are_open_are_counted(self) -> None:
        rows = (REF, ("bad", 0.5, -0.3, WORSE), *((name, 0.8, 0.0, OPEN) for name in "abcd"))
        assert verdict(stood(*rows, runs=2), 10)[0].endswith("the other 4 are not distinguishable from it.")

    def test_no_norm_is_quoted_where_it_would_turn_the_sentence_round(self) -> None:
        words, _ = verdict(stood(REF, ("no norm", 0.5, -0.3, WORSE), runs=2), 10)
        assert words == f"“no norm” ({MINUS}30.0 points) is reliably worse than batch."

    def test_a_single_training_of_several_goes_by_its_own_label(self) -> None:
        made = compared({"small": right_on(390), "large": right_on(300, 389)}, {"small": (1,)})
        words, _ = verdict(standings(made, "large"), IMAGES)
        assert words == (
            "Among these trained networks, one training each, small, seed 1 and large, seed 1 are not distinguishable."
        )


def test_spread_over_seeds_by_hand() -> None:
    table = pd.DataFrame({"accuracy": [0.8, 0.82, 0.84]})
    assert spread(table) == "Over 3 seeds the accuracy is 82.0 ± 2.0%, from 80.0% to 84.0%."


def test_a_variant_alone() -> None:
    low, high = accuracy_interval(100, IMAGES)
    assert alone(standings(compared({"no norm": right_on(300)})), IMAGES) == (
        f"“no norm” is right on 75.0% of 400 test images (95% interval {100 * low:.1f}% to {100 * high:.1f}%)."
    )
    assert "on the mean of 2 trainings" in alone(standings(compared({"a": right_on(300, 310)})), IMAGES)
