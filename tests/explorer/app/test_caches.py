"""How often the files of a data set are looked at: a clock and a look made by hand."""

from collections.abc import Callable

import pytest

from explorer import datasets
from explorer.app import caches


class Clock:
    """Seconds that pass only when they are told to."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], tuple[Clock, list[float]]]:
    """The clock and the times at which looks began, when each look takes so many seconds."""

    def made(cost: float) -> tuple[Clock, list[float]]:
        clock, begun = Clock(), []

        def stamp(*_: object, **__: object) -> str:
            begun.append(clock.now)
            clock.now += cost
            return f"look {len(begun)}"

        monkeypatch.setattr(caches, "time", clock)
        monkeypatch.setattr(caches, "_LOOKS", {})
        monkeypatch.setattr(datasets, "stamp", stamp)
        return clock, begun

    return made


def test_looking_takes_at_most_a_tenth_of_the_time(looks: Callable[[float], tuple[Clock, list[float]]]):
    clock, begun = looks(0.0625)
    while clock.now < 110:
        caches._stamp_of("somewhere")
        clock.now += 0.015625
    assert 0.08 < 0.0625 * len(begun) / 10 <= 0.1 + 0.0625 / 10


def test_a_look_that_takes_no_time_is_had_every_time(looks: Callable[[float], tuple[Clock, list[float]]]):
    clock, begun = looks(0.0)
    for number in range(1, 6):
        clock.now += 0.001
        assert caches._stamp_of("somewhere") == f"look {number}"
    assert len(begun) == 5


def test_a_long_look_is_not_waited_for_again(
    looks: Callable[[float], tuple[Clock, list[float]]], monkeypatch: pytest.MonkeyPatch
):
    clock, begun = looks(caches.QUICK_LOOK)
    beside: list[tuple[str, str]] = []

    class Beside:
        """A thread that somebody else will start."""

        def __init__(self, *, args: tuple[tuple[str, str]], **_: object):
            beside.extend(args)

        def start(self) -> None:
            pass

    monkeypatch.setattr(caches, "Thread", Beside)
    assert caches._stamp_of("somewhere") == "look 1"
    clock.now += caches.LOOK_AGAIN_AFTER
    assert caches._stamp_of("somewhere") == "look 1"
    assert not beside
    clock.now += 1
    assert [caches._stamp_of("somewhere") for _ in range(3)] == ["look 1"] * 3
    assert len(beside) == len(begun) == 1
    caches._look(beside[0])
    assert caches._stamp_of("somewhere") == "look 2"
