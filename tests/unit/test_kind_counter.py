"""Kind `counter` counts what meters count, whatever happens to the meter, and how long something goes on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.rules.kinds.counter import _period_of
from hub.rules.kinds.kind import Context
from tests.support import twins
from tests.support.twins import DAY, START, Leap, Say, Tick

HOURLY = {"more_than": 5, "window_s": 3_600}
DAILY = {"more_than": 20, "per": "day"}
LONG = {"while": {"equals": True}, "longer_than_s": 100}
MIDNIGHT_S = 16 * 3_600  # after START, 08:00 at the site


def told(
    when: dict[str, Any], *readings: tuple[float, float], quantity: str = "energy_import_kwh", lag_ms: int = 0
) -> list[str]:
    story = [
        Say(0, quantity, value, START + int(at * 1_000), START + int(at * 1_000) - lag_ms) for at, value in readings
    ]
    return twins.agrees_with_twin("counter", quantity, when, story, 1)


@pytest.mark.parametrize(
    "when",
    [
        HOURLY,
        {"more_than": 50, "window_s": 60, "max_per_h": 100},
        DAILY,
        {"more_than": 3, "per": "hour", "max_per_h": 100},
    ],
    ids=str,
)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_arrays_count_what_the_row_by_row_twin_counts(when: dict[str, Any], data: st.DataObject) -> None:
    values = [0.0, 0.1, 1.0, 99.0, 100.0, 100.1, 101.5, 104.0, 120.0, 5_000.0]
    story = data.draw(twins.stories(values, quantities=["energy_import_kwh"]))
    twins.agrees_with_twin("counter", "energy_import_kwh", when, story, 3)


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "Europe/Berlin", "Asia/Kolkata", "America/Sao_Paulo"])
@given(
    readings=st.lists(
        st.tuples(st.integers(0, 7_200), st.sampled_from([0.0, 0.5, 3.0, 25.0])), min_size=1, max_size=80
    ),
    per=st.sampled_from(["hour", "day"]),
)
@settings(max_examples=25, deadline=None)
def test_hours_and_days_are_those_of_the_site(zone: str, readings: list[tuple[int, float]], per: str) -> None:
    at, total, story = 1_711_800_000_000, 7.0, []  # the night in which Berlin's clocks go forward
    for pause_s, more in readings:
        at, total = at + pause_s * 1_000, total + more
        story.append(Say(0, "energy_import_kwh", total, at, at))
    when = {"more_than": 4, "per": per}
    twins.agrees_with_twin("counter", "energy_import_kwh", when, story, 1, Context(zone=zone))


@pytest.mark.parametrize(
    ("quantity", "when"),
    [
        ("relay_on", LONG),
        ("relay_on", {**LONG, "pause_s": 30}),
        ("charger_state", {"while": {"equals": ["charging", "suspended"]}, "longer_than_s": 10, "pause_s": 1}),
        ("temperature_c", {"while": {"above": 20, "clear_below": 10}, "longer_than_s": 3_600, "pause_s": 60}),
    ],
    ids=str,
)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_arrays_say_what_the_twin_says_of_what_goes_on(
    quantity: str, when: dict[str, Any], data: st.DataObject
) -> None:
    story = data.draw(twins.stories(twins.values_of(quantity), quantities=[quantity]))
    twins.agrees_with_twin("counter", quantity, when, story, 3)


def test_more_than_five_in_an_hour_is_found_and_five_is_not() -> None:
    assert "breach" not in told(HOURLY, *((600 * n, 100 + 5 * n / 6) for n in range(30)))
    assert told(HOURLY, *((600 * n, 100 + 0.9 * n) for n in range(12))).index("breach") == 6


def test_little_is_known_to_be_little_when_a_whole_window_was_seen() -> None:
    assert told(HOURLY, *((900 * n, 100.0) for n in range(6))) == ["unknown"] * 4 + ["clear"] * 2


def test_the_hour_moves_on() -> None:
    used = [(0, 100.0), (600, 106.0), (1_200, 106.0), (3_000, 106.0), (4_200, 106.0), (4_800, 106.0)]
    assert told(HOURLY, *used) == ["unknown", "breach", "breach", "breach", "clear", "clear"]


def test_what_was_counted_from_one_reading_to_the_next_is_spread_over_the_time_between_them() -> None:
    assert "breach" not in told(HOURLY, (0, 100.0), (10_800, 112.0)), "4 an hour"
    assert "breach" in told(HOURLY, (0, 100.0), (10_800, 118.0)), "6 an hour"


def test_a_burst_of_buffered_readings_is_counted_when_it_was_measured() -> None:
    story: list[twins.Step] = [
        Say(0, "water_m3", 10 + 0.02 * n, START + 10_000 * n, START + 10_000 * n - 200) for n in range(20)
    ]
    story += [Say(0, "water_m3", 10 + 0.02 * n, START + 430_000, START + 10_000 * n - 200) for n in range(20, 44)]
    when = {"more_than": 0.2, "window_s": 60}
    assert "breach" not in twins.agrees_with_twin("counter", "water_m3", when, story, 1), "0.12 a minute"


def test_a_meter_that_falls_back_goes_on_counting_from_where_it_is() -> None:
    said = told(HOURLY, (0, 12_000.0), (600, 12_001), (1_200, 3), (1_800, 5), (2_400, 6.9), (3_000, 7.1))
    assert said == ["unknown"] * 5 + ["breach"], "1 + 2 + 1.9 + 0.2"


def test_a_reading_of_nothing_between_two_good_ones_counts_nothing() -> None:
    said = told(HOURLY, (0, 12_000.0), (600, 12_001), (1_200, 0), (1_800, 12_002), (2_400, 12_003))
    assert "breach" not in said


def test_a_replaced_meter_that_starts_higher_is_recognised_by_its_step() -> None:
    replaced = [(0, 120.0), (600, 121.0), (1_200, 5_000.0), (1_800, 5_001.0)]
    assert "breach" in told(HOURLY, *replaced)
    assert "breach" not in told({**HOURLY, "max_per_h": 40}, *replaced)
    assert "breach" in told({**HOURLY, "max_per_h": 40}, (0, 120.0), (60, 130.0)), "what can be is counted"


def test_readings_out_of_order_are_counted_once() -> None:
    values = [100.0, 102.0, 101.0, 103.0, 102.5, 104.0, 105.0]
    assert "breach" not in told(HOURLY, *((60 * n, value) for n, value in enumerate(values)))


def test_the_day_begins_at_midnight_of_the_site() -> None:
    hourly = [(3_600 * n, 100.0 + n) for n in range(42)]
    said = told(DAILY, *hourly)
    assert said[: MIDNIGHT_S // 3_600] == ["unknown"] * 16, "this day's beginning was not seen"
    assert said[16 : 16 + 21] == ["clear"] * 21
    assert said[37:40] == ["breach"] * 3, "more than 20 after 21 hours"
    assert said[40:] == ["clear"] * 2, "a new day"


def test_what_was_counted_over_a_gap_is_spread_over_it() -> None:
    away = [(0, 100.0), (5 * 86_400, 190.0)]  # 18 a day
    assert "breach" not in told(DAILY, *away)
    assert told({"more_than": 5, "per": "day"}, *away)[-1] == "breach", "6 since midnight"


def test_unknown_counts_nothing() -> None:
    gap = float("nan")
    said = told(HOURLY, (0, 100.0), (60, gap), (120, 106), (180, gap))
    assert said == ["unknown", "unknown", "breach", "unknown"]


@pytest.mark.parametrize("jump_ms", [DAY, -DAY, 900_000])
@pytest.mark.parametrize("when", [HOURLY, DAILY])
def test_a_device_clock_that_is_set_fires_nothing_and_hides_nothing(when: dict[str, Any], jump_ms: int) -> None:
    for each, fires in ((0.15, False), (1.5, True)):
        story: list[twins.Step] = []
        for n in range(60):
            at = START + 600_000 * n
            story.append(Say(0, "energy_import_kwh", 100 + each * n, at, at - 200 + (jump_ms if n > 20 else 0)))
        said = twins.agrees_with_twin("counter", "energy_import_kwh", when, story, 1)
        assert ("breach" in said) == fires
        assert not fires or when is not HOURLY or said[30:].count("breach") > 20


def test_a_session_that_lasts_too_long_is_found_without_another_message() -> None:
    story: list[twins.Step] = [
        Say(0, "relay_on", 0, START, START),
        Say(0, "relay_on", 1, START + 1_000, START),
        Tick(START + 101_000),
        Tick(START + 101_001),
        Say(0, "relay_on", 1, START + 150_000, START),
        Say(0, "relay_on", 0, START + 160_000, START),
        Tick(START + 500_000),
    ]
    said = twins.agrees_with_twin("counter", "relay_on", LONG, story, 1)
    assert said == ["clear", "clear", "unknown", "breach", "breach", "clear", "unknown"]


def test_unknown_and_silence_do_not_end_a_session() -> None:
    gap = float("nan")
    said = told(LONG, (0, 0), (1, 1), (50, gap), (102, 1), (103, gap), quantity="relay_on")
    assert said == ["clear", "clear", "unknown", "breach", "unknown"]


def test_a_pause_belongs_to_the_session_and_a_longer_one_ends_it() -> None:
    when = {**LONG, "pause_s": 30}
    short = told(when, (0, 0), (1, 1), (50, 0), (80, 1), (102, 1), quantity="relay_on")
    assert short == ["clear", "clear", "between", "clear", "breach"]
    longer = told(when, (0, 0), (1, 1), (50, 0), (81, 1), (102, 1), quantity="relay_on")
    assert longer == ["clear", "clear", "between", "clear", "clear"]
    story: list[twins.Step] = [
        Say(0, "relay_on", v, START + t * 1_000, START) for t, v in ((1, 1.0), (150, 1.0), (160, 0.0))
    ]
    said = twins.agrees_with_twin(
        "counter", "relay_on", when, [*story, Tick(START + 190_000), Tick(START + 190_001)], 1
    )
    assert said == ["unknown", "breach", "between", "unknown", "clear"]


def test_power_can_say_what_a_session_is() -> None:
    when = {"while": {"above": 50, "clear_below": 20}, "longer_than_s": 100}
    said = told(when, (0, 0), (1, 60), (60, 30), (102, 45), (103, 10), quantity="power_w")
    assert said == ["clear", "clear", "clear", "breach", "clear"]


def test_time_in_which_the_hub_was_away_belongs_to_no_session() -> None:
    story: list[twins.Step] = [
        Say(0, "relay_on", 1, START, START),
        Leap(90_000, START + 100_000),
        Tick(START + 100_001),
        Tick(START + 190_001),
    ]
    assert twins.agrees_with_twin("counter", "relay_on", LONG, story, 1) == ["unknown", "unknown", "breach"]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Shanghai"])
def test_a_day_begins_at_midnight_also_when_the_clocks_change(zone: str) -> None:
    clocks = ZoneInfo(zone)
    first = datetime(2024, 1, 1, tzinfo=UTC)
    at = [int((first + timedelta(minutes=37 * n)).timestamp() * 1_000) for n in range(366 * 39)]
    number, start_ms = _period_of(np.array(at), zone, "day")
    for n in range(0, len(at), 17):
        local = datetime.fromtimestamp(at[n] / 1_000, clocks)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        assert start_ms[n] == midnight.timestamp() * 1_000
        assert number[n] == (local.date() - datetime(1970, 1, 1).date()).days


def test_the_figures_say_what_was_counted() -> None:
    def figure(when: dict[str, Any], quantity: str, *readings: tuple[float, float]) -> tuple[float, float, str]:
        run, _ = twins.compiled("counter", quantity, when)
        player = twins.Player(run, 2)
        player.play([Say(0, quantity, v, START + int(t * 1_000), START + int(t * 1_000)) for t, v in readings])
        assert run.figure is not None
        one, nothing = run.figure(player.memory)
        assert nothing != nothing
        return round(float(one), 6), run.threshold or 0, run.figure_unit

    assert figure(HOURLY, "water_m3", (0, 10), (60, 12.5)) == (2.5, 5, "m³")
    assert figure(DAILY, "water_m3", (0, 10), (60, 12.5)) == (2.5, 20, "m³/day")
    assert figure(LONG, "relay_on", (0, 1), (60, 1)) == (60, 100, "s")
