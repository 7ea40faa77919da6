"""Facts about norms: all hold, whatever the numbers, and a check notices what does not."""

import pytest

from explorer.models import facts

CHECKS = [
    facts.check_own_batch_norm,
    facts.check_gradients,
    facts.check_bias,
    facts.check_groups,
    facts.check_gate,
]


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize("check", CHECKS)
def test_facts_hold(check, seed: int) -> None:
    found = check(seed)
    assert found
    assert all(one.holds for one in found)


def test_another_draw_is_of_other_numbers() -> None:
    assert facts.check_bias(0)[-1].difference != facts.check_bias(1)[-1].difference


def test_every_check_is_tried() -> None:
    assert set(CHECKS) == {value for name, value in vars(facts).items() if name.startswith("check_")}


def test_a_check_can_fail() -> None:
    assert not facts.Check("two results", 0.1).holds
    assert not facts.Check("two results that should differ", 0.0, equal=False).holds
    assert not any(facts.Check("a result that is no number", float("nan"), equal).holds for equal in (True, False))
