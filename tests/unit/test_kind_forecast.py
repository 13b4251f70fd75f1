"""Kind `forecast` says in time that a limit will be reached, and not because of noise."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import twins
from tests.support.twins import DAY, START, Say

HOT = {"reaches": 60, "within_s": 600, "over_s": 120}


def story(*readings: tuple[float, float], quantity: str = "temperature_c", lag_ms: int = 0) -> list[twins.Step]:
    return [
        Say(0, quantity, value, START + int(at_s * 1_000), START + int(at_s * 1_000) - lag_ms)
        for at_s, value in readings
    ]


def told(when: dict[str, Any], *readings: tuple[float, float], quantity: str = "temperature_c") -> list[str]:
    return twins.agrees_with_twin("forecast", quantity, when, story(*readings, quantity=quantity), 1)


def ramp(per_min: float, minutes: float, start: float = 20.0) -> list[tuple[float, float]]:
    return [(15 * n, start + per_min * n / 4) for n in range(int(minutes * 4) + 1)]


@pytest.mark.parametrize(
    "when",
    [
        HOT,
        {"reaches": 40, "within_s": 5, "over_s": 4, "min_samples": 4, "clear_within_s": 9},
        {"reaches": 20.5, "direction": "down", "within_s": 3_600, "over_s": 3_600, "min_span_s": 60, "hold_s": 1},
    ],
    ids=str,
)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_arrays_say_what_the_row_by_row_twin_says(when: dict[str, Any], data: st.DataObject) -> None:
    values = [20.0, 20.5, 21.0, 22.0, 25.0, 30.0, 40.0, 60.0, 61.0]
    twins.agrees_with_twin(
        "forecast", "temperature_c", when, data.draw(twins.stories(values, quantities=["temperature_c"])), 3
    )


@given(seed=st.integers(0, 10_000))
@settings(max_examples=6, deadline=None)
def test_arrays_say_what_the_twin_says_on_long_steady_streams_too(seed: int) -> None:
    random, value, readings = Random(seed), 30.0, []
    for n in range(120):
        value += random.choice([0, 0.1, 0.5, 1, -0.5])
        readings.append((n * 10 + random.random(), random.choice([value] * 9 + [85.0])))
    for when in (HOT, {"reaches": 25, "direction": "down", "within_s": 60, "over_s": 60, "clear_within_s": 90}):
        told(when, *readings)


def test_a_ramp_is_told_ten_minutes_before_it_is_at_the_limit() -> None:
    readings = ramp(2, 25)  # 60 °C after 20 minutes
    said = told(HOT, *readings)
    first = said.index("breach")
    assert readings[first][0] == 600, "ten minutes before"
    assert set(said[first:]) == {"breach"}, "until it is there, and beyond"


def test_a_slower_ramp_that_stays_far_is_not_told() -> None:
    assert "breach" not in told(HOT, *ramp(1, 29))


def test_who_is_at_the_limit_stays_told_while_it_no_longer_rises() -> None:
    said = told(HOT, *ramp(4, 10), *((600 + 15 * n, 60.0) for n in range(1, 20)), (900, 59.0), (915, 58), (930, 57))
    assert "clear" not in said[said.index("breach") : 60]
    assert said[-1] == "clear"


def test_a_level_that_falls_is_told_downwards_only() -> None:
    falling = [(15 * n, 300 - 4.0 * n) for n in range(20)]
    low = {"reaches": 140, "direction": "down", "within_s": 600, "over_s": 120}
    assert "breach" in told(low, *falling, quantity="water_pressure_kpa")
    assert "breach" not in told({**low, "direction": "up"}, *falling, quantity="water_pressure_kpa")


def test_noise_close_below_the_limit_is_seldom_a_forecast_and_far_below_never() -> None:
    random, fired = Random(1), 0
    for _ in range(8):
        far = [(10 * n, 30 + random.gauss(0, 0.5)) for n in range(60)]
        assert "breach" not in told(HOT, *far)
        close = [(10 * n, 57 + random.gauss(0, 0.5)) for n in range(60)]
        fired += told(HOT, *close).count("breach")
    assert fired < 8 * 60 * 0.03


def test_a_single_wrong_reading_is_no_forecast() -> None:
    readings = [(15 * n, 25.0 if n != 12 else 59.0) for n in range(30)]
    assert "breach" not in told(HOT, *readings)


@pytest.mark.parametrize("jump_ms", [DAY, -DAY, 120_000, -120_000])
def test_a_device_clock_that_is_set_fires_nothing_and_hides_nothing(jump_ms: int) -> None:
    for nth in (3, 30, 41, 44):
        for per_min, fires in ((2, True), (0.5, False)):
            steps = ramp(per_min, 20)
            early, late = story(*steps[:nth], lag_ms=200), story(*steps[nth:], lag_ms=200 - jump_ms)
            said = twins.agrees_with_twin("forecast", "temperature_c", HOT, early + late, 1)
            assert ("breach" in said) == fires
            if fires:
                assert said.index("breach") <= 40 + 4


def test_the_figure_is_the_time_that_is_left() -> None:
    run, _ = twins.compiled("forecast", "temperature_c", HOT)
    player = twins.Player(run, 2)
    assert run.figure is not None
    player.play(story(*ramp(2, 10)))
    left, nothing = run.figure(player.memory)
    assert (round(left), run.figure_unit) == (600, "s")
    assert nothing != nothing
    player.play(story(*((615 + 15 * n, 40.0) for n in range(20))))
    assert run.figure(player.memory)[0] != run.figure(player.memory)[0], "not in sight"
