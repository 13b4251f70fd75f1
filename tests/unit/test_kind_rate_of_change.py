"""Kind `rate_of_change` finds what rises too fast, and neither noise, nor buffers, nor clocks that are set."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import twins
from tests.support.twins import DAY, START, Say

FAST = {"rises": 1, "per": "s", "over_s": 6, "min_span_s": 3}
SLOW = {"rises": 5, "over_s": 240, "min_span_s": 120}
HEAT = {"rises": 8.3, "over_s": 120, "min_span_s": 60}


def told(when: dict[str, Any], *readings: tuple[float, float], lags: dict[int, int] | None = None) -> list[str]:
    """What is said of readings (s, °C); `lags`: ms by which the device's time lies behind, from the nth reading on."""
    story, lag = [], 0
    for n, (at_s, value) in enumerate(readings):
        lag = (lags or {}).get(n, lag)
        at = START + int(at_s * 1_000)
        story.append(Say(0, "temperature_c", value, at, at - lag))
    return twins.agrees_with_twin("rate_of_change", "temperature_c", when, story, 1)


def ramp(rate_per_s: float, seconds: float, every_s: float = 1.0, *, start: float = 20.0) -> list[tuple[float, float]]:
    return [(n * every_s, start + rate_per_s * n * every_s) for n in range(int(seconds / every_s) + 1)]


@pytest.mark.parametrize(
    "when",
    [
        {"rises": 1, "per": "s", "over_s": 3, "min_samples": 3},
        {**FAST, "clear_below": 0.5},
        {"falls": 5, "per": "min", "over_s": 60, "hold_s": 2},
        {"changes": 30, "per": "h", "over_s": 3_600, "min_span_s": 600, "clear_hold_s": 1},
    ],
    ids=str,
)
@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_arrays_say_what_the_row_by_row_twin_says(when: dict[str, Any], data: st.DataObject) -> None:
    values = [20.0, 20.5, 21.0, 22.0, 25.0, 30.0, 40.0, 60.0]
    story = data.draw(twins.stories(values, quantities=["temperature_c"]))
    twins.agrees_with_twin("rate_of_change", "temperature_c", when, story, 3)


@given(seed=st.integers(0, 10_000), every_ms=st.sampled_from([200, 1_000, 7_000, 30_000]))
@settings(max_examples=10, deadline=None)
def test_arrays_say_what_the_twin_says_on_long_steady_streams_too(seed: int, every_ms: int) -> None:
    random, at, value = Random(seed), START, 20.0
    story: list[twins.Step] = []
    for _ in range(120):
        at += every_ms + random.choice([0, 0, 0, random.randint(0, every_ms)])
        value += random.choice([0, 0, 0.1, 1, 3, -2]) * every_ms / 1_000
        late = random.choice([0, 0, 0, 0, random.randint(0, 4 * every_ms)])
        story.append(Say(0, "temperature_c", random.choice([value] * 9 + [85.0]), at, at - late - 1_500))
    for when in (FAST, HEAT, {"changes": 5, "over_s": 60, "clear_below": 2}):
        twins.agrees_with_twin("rate_of_change", "temperature_c", when, story, 1)


def test_one_degree_a_second_for_three_seconds_is_found_at_the_third_second() -> None:
    assert told(FAST, *ramp(1, 4)) == ["unknown"] * 3 + ["breach"] * 2
    assert "breach" not in told(FAST, *ramp(0.9, 30))


def test_five_degrees_a_minute_for_two_minutes_is_found_by_a_sensor_that_reports_twice_a_minute() -> None:
    said = told(SLOW, *ramp(5 / 60, 300, 30))
    assert said.index("breach") == 4, "at 120 s"
    assert "breach" not in told(SLOW, *ramp(4.9 / 60, 900, 30))


def test_eight_degrees_a_minute_for_a_minute_is_found() -> None:
    said = told(HEAT, *ramp(8.3 / 60, 120, 15))
    assert said.index("breach") == 4, "at 60 s"


def test_a_rate_of_exactly_the_limit_counts_whatever_the_decimals() -> None:
    assert told(FAST, *((n, round(20.1 + n, 1)) for n in range(4)))[-1] == "breach"


def test_falling_is_not_rising_and_either_is_a_change() -> None:
    down = ramp(-1, 8, start=60)
    assert "breach" not in told(FAST, *down)
    assert told({"falls": 1, "per": "s", "over_s": 6}, *down)[-1] == "breach"
    assert told({"changes": 1, "per": "s", "over_s": 6}, *down)[-1] == "breach"


def test_a_rise_that_ends_clears_and_between_the_limits_nothing_changes() -> None:
    story = [*ramp(1, 6), *((7 + n, 26.0) for n in range(8))]
    said = told({**FAST, "clear_below": 0.3}, *story)
    assert [word for n, word in enumerate(said) if n == 0 or word != said[n - 1]] == [
        "unknown", "breach", "between", "clear",
    ]  # fmt: skip


def test_noise_and_single_wrong_readings_make_no_slope() -> None:
    random = Random(1)
    for _ in range(20):
        noisy = [(n, 25 + random.gauss(0, 0.3)) for n in range(30)]
        noisy[random.randrange(30)] = (noisy[random.randrange(30)][0], 85.0)
        noisy.sort()
        assert "breach" not in told(FAST, *noisy)
    wrong = [(n, 25.0) for n in range(30)]
    wrong[20] = (20, 85.0)
    assert set(told(FAST, *wrong)) == {"unknown", "clear"}


def test_a_slope_is_found_through_noise_and_a_wrong_reading() -> None:
    random = Random(2)
    for _ in range(20):
        noisy = [(t, v + random.gauss(0, 0.3)) for t, v in ramp(1.6, 12)]
        noisy[9] = (9, 0.0)
        assert "breach" in told(FAST, *noisy)


def test_unknown_values_do_not_enter_the_window() -> None:
    gap = float("nan")
    said = told(FAST, (0, 20), (1, 21), (1.5, gap), (2, 22), (2.2, gap), (3, 23))
    assert said == ["unknown"] * 5 + ["breach"]


def test_equal_times_and_repetitions_divide_by_nothing_and_say_nothing() -> None:
    said = told(FAST, *((0, 20 + n) for n in range(20)), *((0.001, 50.0) for _ in range(20)))
    assert set(said) == {"unknown"}


@pytest.mark.parametrize("jump_ms", [DAY, -DAY, 60_000, -60_000, 3_600_000, -3_600_000, 20_000, -20_000])
@pytest.mark.parametrize("nth", [2, 10, 14, 15])
def test_a_device_clock_that_is_set_fires_nothing_and_hides_nothing(jump_ms: int, nth: int) -> None:
    flat = [(10.0 * n, 20 + 0.5 * n) for n in range(40)]
    assert "breach" not in told(HEAT, *flat, lags={0: 120, nth: 120 - jump_ms}), "3 °C a minute"
    steep = [(10.0 * n, 20.0 if n < 12 else 20 + 1.5 * (n - 12)) for n in range(40)]
    plain = told(HEAT, *steep, lags={0: 120}).index("breach")
    assert told(HEAT, *steep, lags={0: 120, nth: 120 - jump_ms}).index("breach") <= plain + 4


@pytest.mark.parametrize("drained_in_s", [0.0, 0.5, 3.0, 20.0])
@pytest.mark.parametrize("known_before", [0, 3, 30])
@pytest.mark.parametrize("own_clock", [True, False])
def test_a_burst_of_buffered_readings_is_no_slope(drained_in_s: float, known_before: int, own_clock: bool) -> None:
    """Half a degree a minute, of which four minutes were buffered."""
    story: list[twins.Step] = []

    def say(measured_s: float, received_s: float) -> None:
        at, of = START + int(received_s * 1_000), START + int(measured_s * 1_000)
        story.append(Say(0, "temperature_c", 20 + measured_s / 120, at, of if own_clock else at))

    for n in range(known_before):
        say(10 * n, 10 * n + 0.2)
    begin = 10 * known_before
    for n in range(24):
        say(begin + 10 * n, begin + 240 + drained_in_s * n / 24)
    for n in range(24, 60):
        say(begin + 10 * n, max(begin + 10 * n + 0.2, begin + 240 + drained_in_s))
    whens = [HEAT, {"rises": 5, "over_s": 60}, {"rises": 5, "over_s": 300}]
    if drained_in_s > 3 and not own_clock:
        return  # nobody can know
    for when in whens:
        assert "breach" not in twins.agrees_with_twin("rate_of_change", "temperature_c", when, story, 1), when


def test_a_rise_is_found_though_the_network_jitters() -> None:
    random = Random(3)
    story: list[twins.Step] = []
    for n in range(40):
        measured = START + 1_000 * n
        story.append(Say(0, "temperature_c", 20 + 1.05 * n, measured + random.randint(0, 900), measured))
    story.sort(key=lambda s: s.at_ms)  # type: ignore[union-attr]
    said = twins.agrees_with_twin("rate_of_change", "temperature_c", FAST, story, 1)
    assert said[12:].count("breach") > 20


def test_a_clock_that_is_wrong_anew_with_each_reading_leaves_receipt_to_count() -> None:
    random = Random(4)
    steep = [(10.0 * n, 20.0 if n < 150 else 20 + 1.5 * (n - 150)) for n in range(180)]
    lags = {n: random.randint(-200_000, 200_000) for n in range(180)}
    said = told(HEAT, *steep, lags=lags)
    assert "breach" not in said[:150]
    assert "breach" in said[150:162]


def test_the_figure_is_the_median_slope_in_the_unit_of_the_rule() -> None:
    run, _ = twins.compiled("rate_of_change", "temperature_c", {"falls": 5, "over_s": 60})
    player = twins.Player(run, 2)
    player.play([Say(0, "temperature_c", 60 - n, START + 10_000 * n, START + 10_000 * n) for n in range(6)])
    assert run.figure is not None
    figure = run.figure(player.memory)
    assert (figure[0], run.figure_unit, run.threshold) == (-6.0, "°C/min", -5.0)
    assert figure[1] != figure[1], "nothing yet"


@pytest.mark.parametrize("by_ms", [7_200_000, -7_200_000, 90_000])
def test_after_a_leap_of_the_hubs_own_time_the_window_begins_anew(by_ms: int) -> None:
    """Whether the hub was away for two hours, or its clock was two hours behind, nobody can tell."""
    values = [20.0] * 10 + [40.0] * 3 + [40 + 3.0 * n for n in range(10)]
    story: list[twins.Step] = []
    for n, value in enumerate(values):
        at = START + 15_000 * n + (by_ms if n >= 10 else 0)
        if n == 10:
            story.append(twins.Leap(by_ms, at))
        story.append(Say(0, "temperature_c", value, at, at - 80))
    said = twins.agrees_with_twin("rate_of_change", "temperature_c", HEAT, story, 1)
    assert said[9:14] == ["clear"] + ["unknown"] * 4
    assert "breach" in said[14:]
