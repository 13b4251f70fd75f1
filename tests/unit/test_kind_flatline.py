"""Kind `flatline` finds a sensor that keeps saying the same, and no silent one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import twins
from tests.support.twins import DAY, START, Say

MINUTE = {"for_s": 60, "min_samples": 3}


def told(when: dict[str, Any], *readings: tuple[float, float], quantity: str = "temperature_c") -> list[str]:
    story = [Say(0, quantity, value, START + int(at * 1_000), START + int(at * 1_000)) for at, value in readings]
    return twins.agrees_with_twin("flatline", quantity, when, story, 1)


@pytest.mark.parametrize(
    "when",
    [MINUTE, {"for_s": 10, "tolerance": 0.1}, {"for_s": 3, "min_samples": 3, "tolerance": 5, "idle_at": [20, 60]}],
    ids=str,
)
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_arrays_say_what_the_row_by_row_twin_says(when: dict[str, Any], data: st.DataObject) -> None:
    values = [20.0, 20.0, 20.0, 20.0, 20.1, 20.2, 24.0, 60.0]
    twins.agrees_with_twin(
        "flatline", "temperature_c", when, data.draw(twins.stories(values, quantities=["temperature_c"])), 3
    )


def test_a_value_that_does_not_move_for_a_minute_is_stuck_and_moving_clears_it() -> None:
    said = told(MINUTE, *((10 * n, 20.0) for n in range(8)), (80, 20.1), (90, 20.1))
    assert said == ["unknown"] * 6 + ["breach"] * 2 + ["clear"] * 2


def test_the_minute_begins_with_the_first_reading_that_says_the_same() -> None:
    said = told(MINUTE, (0, 19.0), *((10 + 10 * n, 20.0) for n in range(7)))
    assert said == ["unknown"] + ["clear"] * 6 + ["breach"]


def test_readings_within_the_tolerance_of_each_other_are_the_same_and_a_slow_drift_is_none() -> None:
    wobble = [(10 * n, 20.0 + 0.1 * (n % 2)) for n in range(8)]
    assert told({**MINUTE, "tolerance": 0.1}, *wobble)[-1] == "breach"
    assert "breach" not in told(MINUTE, *wobble)
    drift = [(10 * n, 20.0 + 0.03 * n) for n in range(60)]
    assert "breach" not in told({**MINUTE, "tolerance": 0.1}, *drift)


def test_silence_is_no_flatline_and_ends_none() -> None:
    said = told(MINUTE, *((10 * n, 20.0) for n in range(8)), (200, 20.0), (210, 20.0), (3_600, 20.0))
    assert said[7:] == ["breach", "unknown", "unknown", "unknown"]


def test_too_few_readings_are_no_flatline() -> None:
    assert "breach" not in told({"for_s": 60, "min_samples": 5}, *((29 * n, 20.0) for n in range(4)))


def test_unknown_neither_moves_nor_counts() -> None:
    gap = float("nan")
    said = told(MINUTE, (0, 20), (20, 20), (25, gap), (40, 20), (50, gap), (60, 20), (61, gap))
    assert said == ["unknown"] * 5 + ["breach", "unknown"]


def test_a_value_that_may_stand_still_is_never_stuck() -> None:
    when = {**MINUTE, "idle_at": [0], "tolerance": 0.5}
    assert "breach" not in told(when, *((10 * n, 0.0) for n in range(30)), quantity="power_w")
    assert told(when, *((10 * n, 40.0) for n in range(30)), quantity="power_w")[-1] == "breach"


def test_device_clocks_do_not_matter() -> None:
    for jump in (DAY, -DAY, 60_000):
        story: list[twins.Step] = [
            Say(0, "temperature_c", 20, START + 10_000 * n, START + 10_000 * n + jump * (n > 3)) for n in range(8)
        ]
        assert twins.agrees_with_twin("flatline", "temperature_c", MINUTE, story, 1) == ["unknown"] * 6 + ["breach"] * 2


def test_the_figure_says_for_how_long() -> None:
    run, _ = twins.compiled("flatline", "temperature_c", MINUTE)
    player = twins.Player(run, 2)
    player.play([Say(0, "temperature_c", 20, START + 10_000 * n, START) for n in range(8)])
    assert run.figure is not None
    assert run.figure(player.memory)[0] == 70
    assert run.figure(player.memory)[1] != run.figure(player.memory)[1]
