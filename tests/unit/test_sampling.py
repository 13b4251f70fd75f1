"""When a reading was measured: the device's own time while it can be believed, the time of receipt otherwise."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.model.readings import Floats
from hub.rules.kinds.kind import Look
from hub.rules.kinds.sampling import CLOCK_FIELDS, RECENT_FIELDS, SAMPLES, Clock, Placed, Recent, middle
from tests.support import twins
from tests.support.twins import DAY, START, sampling

MINUTE = 60_000


class Device:
    """One device's clock as a rule over a minute sees it: band 7.5 s, patience 15 s."""

    def __init__(self, over_ms: int = MINUTE) -> None:
        self.clock, self.memory = Clock(over_ms), np.zeros(1, np.dtype(CLOCK_FIELDS))

    def place(self, at_ms: int, observed_ms: int) -> Placed:
        return self.clock.place(np.array([at_ms]), np.array([observed_ms]), np.array([True]), self.memory)

    def seconds(self, received_s: float, measured_s: float) -> float | None:
        """Where a reading is placed, in s after START; None where that is not sure."""
        placed = self.place(START + int(received_s * 1_000), START + int(measured_s * 1_000))
        return (int(placed.at_ms[0]) - START) / 1_000 if placed.sure[0] else None

    def proved(self, readings: int = 10, lag_s: float = 0.5) -> Device:
        for n in range(-readings, 0):
            assert self.seconds(n * 10 + lag_s, n * 10) is not None
        return self


def test_a_clock_that_was_steady_eight_times_is_believed() -> None:
    device = Device()
    placed = [device.seconds(10 * n + jitter, 10 * n) for n, jitter in enumerate([0.1, 0.9, 2, 0.1, 0.9, 2, 0.1, 3])]
    assert placed[:7] == [0.1, 10.9, 22, 30.1, 40.9, 52, 60.1], "receipt"
    assert placed[7] is not None
    assert 70 < placed[7] < 71, "its own time, on the hub's scale"


def test_readings_of_a_believed_clock_have_its_own_spacing_whatever_the_network_does() -> None:
    device, random = Device().proved(), Random(1)
    placed = [device.seconds(10 * n + random.uniform(0, 3), 10 * n) for n in range(50)]
    gaps = np.diff([p for p in placed if p is not None])
    assert len(gaps) == 49
    assert np.abs(gaps - 10).max() < 0.3


def test_a_delayed_reading_is_left_out_and_the_next_one_in_time_is_in() -> None:
    device = Device().proved()
    assert device.seconds(30, 0) is None
    assert device.seconds(30.5, 30) == pytest.approx(30.5, abs=0.1)


def test_a_reading_older_than_the_newest_is_left_out() -> None:
    device = Device().proved()
    assert device.seconds(10.5, 10) is not None
    assert device.seconds(10.6, 5) is None


@pytest.mark.parametrize("jump_s", [60, -60, 86_400, -86_400, 8, -8])
def test_after_a_clock_was_set_receipt_counts_within_three_readings_and_a_quarter_of_the_window(jump_s: float) -> None:
    device = Device().proved()
    placed = [device.seconds(10 * n + 0.5, 10 * n + jump_s) for n in range(12)]
    assert placed[:2] == [None, None]
    assert placed[2:9] == [20.5, 30.5, 40.5, 50.5, 60.5, 70.5, 80.5]
    assert placed[10:] == [pytest.approx(100.5, abs=0.1), pytest.approx(110.5, abs=0.1)], "proved again"


def test_a_device_without_a_clock_of_its_own_is_placed_at_receipt() -> None:
    device = Device()
    times = [0, 10, 10, 15, 40, 41, 60, 70, 80, 90.5, 100, 130]
    assert [device.seconds(t, t) for t in times] == times


def test_a_clock_that_drifts_is_followed() -> None:
    device = Device().proved()
    drift = [device.seconds(10 * n + 0.5, 10 * n * 0.999) for n in range(5_000)]  # 86 s a day
    assert None not in drift


def test_a_backlog_that_is_delivered_while_receipt_counts_begins_anew() -> None:
    device = Device()
    assert device.seconds(0.5, 0) == 0.5
    anew = []
    for n in range(24):
        placed = device.place(START + 300_000 + 100 * n, START + 60_000 + 10_000 * n)
        anew.append(bool(placed.anew[0]))
    assert sum(anew) == 5, "for each half minute that it catches up, and more"


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from([0, 1, 500, 1_000, 10_000, 60_000]),
            st.sampled_from([0, 0, 0, 200, 5_000, 100_000]),
            st.sampled_from([0] * 8 + [20_000, -20_000, DAY, -DAY]),
            st.sampled_from([0] * 10 + [7_200_000, -7_200_000]),
        ),
        max_size=80,
    ),
    over_ms=st.sampled_from([2_000, 10_000, 60_000, 3_600_000]),
)
@settings(max_examples=150, deadline=None)
def test_the_clock_says_what_its_twin_says(steps: list[tuple[int, int, int, int]], over_ms: int) -> None:
    device, twin = Device(over_ms), sampling.Clock(over_ms)
    now, skew = START, 0
    for pause, delay, jump, leap in steps:
        now, skew = now + pause, skew + jump
        if leap:
            now += leap
            twins.leap(device.memory, leap, now)
            twin.leap(leap, now)
        placed = device.place(now, now + skew - delay)
        assert (placed.at_ms[0], placed.sure[0], placed.anew[0]) == twin.place(now, now + skew - delay)


def filled(over_ms: int, at_s: list[float], values: list[float]) -> tuple[Recent, np.ndarray]:
    recent = Recent(over_ms, 2, 0)
    memory = np.zeros(1, np.dtype(RECENT_FIELDS, align=True))
    for at, value in zip(at_s, values, strict=True):
        at_ms = np.array([START + int(at * 1_000)])
        recent.add(
            Look(quantity=np.zeros(1, np.int16), value=np.array([value]), at_ms=at_ms, observed_ms=at_ms), memory
        )
    return recent, memory


def kept(recent: Recent, memory: np.ndarray) -> list[tuple[float, float]]:
    """(s before the newest, value) of the samples, the oldest first."""
    there = recent.filled(memory)[0]
    return [(a / 1_000, v) for a, v in zip(memory["age"][0][there].tolist(), memory["value"][0][there], strict=True)]


def test_a_window_forgets_what_is_older_and_keeps_the_rest() -> None:
    assert kept(*filled(30_000, [0, 10, 20, 30, 45], [1, 2, 3, 4, 5])) == [(25, 3), (15, 4), (0, 5)]


def test_a_window_of_many_readings_is_spread_over_all_of_it() -> None:
    samples = kept(*filled(60_000, [n / 10 for n in range(2_000)], [float(n) for n in range(2_000)]))
    assert SAMPLES - 2 <= len(samples) <= SAMPLES
    assert samples[0][0] > 50
    gaps = -np.diff([age for age, _ in samples])
    assert gaps[:-1].min() > 5, "only the newest may be close to the one before it"
    assert samples[-1] == (0, 1_999)


def test_readings_of_one_moment_are_one_sample_the_last() -> None:
    assert kept(*filled(60_000, [0, 30, 30, 30], [1, 2, 3, 4])) == [(30, 1), (0, 4)]


def test_after_a_gap_longer_than_the_window_it_holds_one_sample() -> None:
    assert kept(*filled(60_000, [0, 10, 20, 7_200], [1, 2, 3, 4])) == [(0, 4)]


def test_the_middle_leaves_nothing_out_but_nan() -> None:
    nan = float("nan")
    columns: Floats = np.array([[3.0, nan, 1.0, 2.0], [nan, 4.0, nan, 1.0], [nan] * 4, [4.0, 3.0, 2.0, 1.0]])
    lower, upper = middle(columns)
    assert lower[[0, 1, 3]].tolist() == [2, 1, 2]
    assert upper[[0, 1, 3]].tolist() == [2, 4, 3]
    assert np.isnan([lower[2], upper[2]]).all()
