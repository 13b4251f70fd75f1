"""The hub's clock follows the system's, and never runs backwards."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub.clock import ForwardClock

START = 1_704_067_200_000_000_000
MS, DAY_MS = 1_000_000, 86_400_000


class Machine:
    """The two clocks of a machine: one that is set, one that only counts."""

    def __init__(self) -> None:
        self.wall, self.steady = START, 5
        self.clock = ForwardClock(lambda: self.wall, lambda: self.steady)

    def passes(self, ms: int, *, set_by_ms: int = 0) -> int:
        self.wall += (ms + set_by_ms) * MS
        self.steady += ms * MS
        return self.clock()


def test_it_is_the_systems_time() -> None:
    machine = Machine()
    assert [machine.passes(0), machine.passes(1), machine.passes(3_600_000)] == [
        START // MS, START // MS + 1, START // MS + 3_600_001
    ]  # fmt: skip
    assert machine.clock.ahead_ms == 0


def test_set_forward_it_follows_at_once() -> None:
    machine = Machine()
    assert machine.passes(1, set_by_ms=DAY_MS) == START // MS + 1 + DAY_MS
    assert machine.clock.ahead_ms == 0


def test_set_back_it_goes_on_and_says_how_far_it_is_ahead() -> None:
    machine = Machine()
    machine.passes(1_000)
    assert machine.passes(1_000, set_by_ms=-DAY_MS) - START // MS == 1_900
    assert machine.clock.ahead_ms == DAY_MS - 100


def test_after_a_small_step_back_it_soon_agrees_again() -> None:
    machine = Machine()
    machine.passes(1, set_by_ms=-500)
    for _ in range(60):
        machine.passes(100)
    assert machine.clock.ahead_ms == 0
    assert machine.clock() == machine.wall // MS


@given(st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from([0, 0, 0, -1, 5, -3_000, DAY_MS, -DAY_MS]))))
def test_whatever_is_done_to_the_clock_time_never_runs_back_and_never_stands(steps: list[tuple[int, int]]) -> None:
    machine = Machine()
    before = machine.clock()
    for ms, set_by_ms in steps:
        now = machine.passes(ms, set_by_ms=set_by_ms)
        assert now - before >= ms * 9 // 10 - 1
        assert now >= machine.wall // MS
        before = now
