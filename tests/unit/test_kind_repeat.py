"""Kind `repeat` counts what happens again and again, each time once, at the time at which it happened."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import twins
from tests.support.twins import DAY, START, Say, Tick

THRICE = {"equals": True, "times": 3, "within_s": 60}


def say(at_s: float, value: float, *, quantity: str = "forced_open", lag_ms: int = 0) -> Say:
    at = START + int(at_s * 1_000)
    return Say(0, quantity, value, at, at - lag_ms)


def told(when: dict[str, Any], *story: twins.Step, quantity: str = "forced_open") -> list[str]:
    return twins.agrees_with_twin("repeat", quantity, when, story, 1)


def on_off(*at_s: float) -> list[Say]:
    return [say(at + more, 1.0 - more) for at in at_s for more in (0, 1)]


@pytest.mark.parametrize(
    ("quantity", "when"),
    [
        ("forced_open", THRICE),
        ("lock_state", {"equals": ["jammed", "unknown"], "times": 2, "within_s": 10}),
        ("temperature_c", {"above": 55, "clear_below": 50, "times": 2, "within_s": 3_600}),
        ("temperature_c", {"at_most": 10, "clear_above": 20, "times": 5, "within_s": 5}),
    ],
    ids=str,
)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_arrays_say_what_the_row_by_row_twin_says(quantity: str, when: dict[str, Any], data: st.DataObject) -> None:
    story = data.draw(twins.stories(twins.values_of(quantity), quantities=[quantity]))
    twins.agrees_with_twin("repeat", quantity, when, story, 3)


def test_three_times_within_a_minute_are_found_and_end_with_the_minute() -> None:
    said = told(THRICE, *on_off(0, 20, 40), Tick(START + 59_000), Tick(START + 60_000), Tick(START + 60_001))
    assert said == ["clear"] * 4 + ["breach"] * 2 + ["unknown", "unknown", "clear"]


def test_three_times_in_more_than_a_minute_are_not_found() -> None:
    assert "breach" not in told(THRICE, *on_off(0, 30, 61, 92, 123))


def test_what_lasts_happens_once_and_unknown_does_not_end_it() -> None:
    gap = float("nan")
    said = told(THRICE, say(0, 1), say(1, 1), say(2, gap), say(3, 1), say(4, gap), say(5, 1))
    assert set(said) == {"clear", "unknown"}


def test_between_the_limits_nothing_happens_again() -> None:
    when = {"above": 55, "clear_below": 50, "times": 2, "within_s": 60}
    noisy = [say(n, value, quantity="temperature_c") for n, value in enumerate([56, 54, 56, 54, 56])]
    assert "breach" not in told(when, *noisy, quantity="temperature_c")
    again = [say(n, value, quantity="temperature_c") for n, value in enumerate([56, 49, 56])]
    assert told(when, *again, quantity="temperature_c")[-1] == "breach"


def test_the_passing_of_time_ends_nothing_that_was_never_seen() -> None:
    assert told(THRICE, Tick(START)) == ["unknown"]


def test_a_burst_of_buffered_events_is_counted_at_the_times_at_which_they_happened() -> None:
    before = [say(30 * n, 0, lag_ms=100) for n in range(10)]
    happened = [300.0 + 50 * n + more for n in range(4) for more in (0, 1)]
    burst = [say(500, 1.0 - n % 2, lag_ms=int((500 - at) * 1_000)) for n, at in enumerate(happened)]
    assert "breach" not in told(THRICE, *before, *burst)
    at_once = [say(500, 1.0 - n % 2, lag_ms=100) for n in range(8)]
    assert "breach" in told(THRICE, *before, *at_once), "they happened at once"


@pytest.mark.parametrize("jump_ms", [DAY, -DAY, 100_000, -100_000])
@pytest.mark.parametrize("known", [1, 20])
def test_a_device_clock_that_is_set_fires_nothing_and_hides_nothing(jump_ms: int, known: int) -> None:
    before = [say(30 * n, 0, lag_ms=100) for n in range(known)]
    base = 30 * known

    def events(*at_s: float) -> list[Say]:
        return [
            say(base + at + more, 1.0 - more, lag_ms=100 - (jump_ms if n else 0))
            for n, at in enumerate(at_s)
            for more in (0, 1)
        ]

    assert "breach" not in told(THRICE, *before, *events(0, 31, 62, 93, 124))
    assert "breach" in told(THRICE, *before, *events(0, 20, 40))


def test_a_year_is_as_good_as_a_minute() -> None:
    when = {"equals": True, "times": 3, "within_s": 365 * 86_400}
    said = told(when, *on_off(0, 100 * 86_400, 364 * 86_400))
    assert said[-1] == "breach"


def test_the_figure_counts_up_to_the_limit() -> None:
    run, _ = twins.compiled("repeat", "forced_open", THRICE)
    player = twins.Player(run, 2)
    player.play(on_off(0, 100, 130))
    assert run.figure is not None
    figure = run.figure(player.memory)
    assert (figure[0], run.figure_unit, run.threshold) == (2, "times", 3)
    assert figure[1] != figure[1]
