"""Who is on duty: shifts over midnight, days, clock changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.dispatch.roster import covers, minute_of_day, on_duty, within
from hub.model.places import Leave, Name, Shift, Station, Swap

SHANGHAI, BERLIN = "Asia/Shanghai", "Europe/Berlin"


def at(text: str, zone: str = SHANGHAI, fold: int = 0) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp() * 1_000)


def station(*shifts: Shift) -> Station:
    return Station(id="north", name=Name(zh="北站", en="North"), grids=(), roster=shifts)


def shift(start: str, end: str, *people: str, days: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)) -> Shift:
    def minutes(text: str) -> int:
        return int(text[:2]) * 60 + int(text[3:])

    return Shift(people=people, start_min=minutes(start), end_min=minutes(end), days=days)


DAY, NIGHT = shift("08:00", "20:00", "wang", "li"), shift("20:00", "08:00", "zhao")


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2024-01-01T07:59:59", ("zhao",)),
        ("2024-01-01T08:00:00", ("wang", "li")),
        ("2024-01-01T19:59:59", ("wang", "li")),
        ("2024-01-01T20:00:00", ("zhao",)),
        ("2024-01-02T00:00:00", ("zhao",)),
    ],
)
def test_a_shift_begins_at_its_minute_and_ends_before_the_next_one(moment: str, expected: tuple[str, ...]) -> None:
    assert on_duty(station(DAY, NIGHT), at(moment), SHANGHAI) == expected


def test_a_night_shift_belongs_to_the_day_on_which_it_starts() -> None:
    friday_night = shift("20:00", "08:00", "zhao", days=(4,))
    assert on_duty(station(friday_night), at("2024-01-05T23:00:00"), SHANGHAI) == ("zhao",)  # Friday
    assert on_duty(station(friday_night), at("2024-01-06T07:59:00"), SHANGHAI) == ("zhao",)  # Saturday morning
    assert on_duty(station(friday_night), at("2024-01-05T07:00:00"), SHANGHAI) == ()  # Friday morning
    assert on_duty(station(friday_night), at("2024-01-06T23:00:00"), SHANGHAI) == ()


def test_a_sunday_night_shift_runs_into_monday() -> None:
    assert covers(shift("22:00", "06:00", "a", days=(6,)), at("2024-01-08T05:00:00"), SHANGHAI)


def test_equal_start_and_end_mean_the_whole_day() -> None:
    assert all(
        on_duty(station(shift("08:00", "08:00", "a")), at(f"2024-01-01T{h:02}:30:00"), SHANGHAI) for h in range(24)
    )


def test_somebody_in_two_running_shifts_is_named_once_and_the_order_is_the_rosters() -> None:
    twice = station(shift("00:00", "12:00", "b", "a"), shift("06:00", "18:00", "c", "b"))
    assert on_duty(twice, at("2024-01-01T07:00:00"), SHANGHAI) == ("b", "a", "c")


def test_a_station_without_a_roster_has_nobody_on_duty() -> None:
    assert on_duty(station(), at("2024-01-01T07:00:00"), SHANGHAI) == ()


def test_the_hour_that_comes_twice_belongs_both_times_to_the_night_crew() -> None:
    for fold in (0, 1):
        assert on_duty(station(DAY, NIGHT), at("2024-10-27T02:30:00", BERLIN, fold), BERLIN) == ("zhao",)


def test_nobody_is_left_out_when_the_clock_jumps_forward() -> None:
    around = at("2024-03-31T01:59:00", BERLIN)
    for minute in range(5):
        assert on_duty(station(DAY, NIGHT), around + minute * 60_000, BERLIN) == ("zhao",)


@given(
    cuts=st.lists(st.integers(0, 1_439), min_size=1, max_size=6, unique=True).map(sorted),
    hours=st.integers(0, 24 * 370),
    minute=st.integers(0, 59),
    zone=st.sampled_from([SHANGHAI, BERLIN, "America/St_Johns", "Australia/Lord_Howe", "UTC"]),
)
def test_shifts_that_share_out_the_day_always_have_exactly_one_crew_on_duty(
    cuts: list[int], hours: int, minute: int, zone: str
) -> None:
    shifts = [
        Shift(people=(f"crew-{n}",), start_min=start, end_min=cuts[(n + 1) % len(cuts)]) for n, start in enumerate(cuts)
    ]
    moment = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=hours, minutes=minute)
    assert len(on_duty(station(*shifts), int(moment.timestamp() * 1_000), zone)) == 1


@given(st.integers(0, 1_439), st.integers(0, 1_439), st.integers(0, 1_439))
def test_a_span_and_its_complement_share_out_the_day(minute: int, start: int, end: int) -> None:
    if start != end:
        assert within(minute, start, end) != within(minute, end, start)


def test_the_minute_is_the_one_on_the_wall() -> None:
    assert minute_of_day(at("2024-06-01T20:15:59"), SHANGHAI) == 20 * 60 + 15


# -- swaps and leave


def moment(text: str) -> int:
    at = datetime.fromisoformat(text)
    return at.toordinal() * 1_440 + at.hour * 60 + at.minute


def test_a_swap_holds_for_the_shifts_that_begin_on_its_day_and_ends_with_them() -> None:
    swap = Swap(day=datetime(2024, 1, 1).toordinal(), outgoing="zhao", incoming="sun")
    swapped = replace(station(DAY, NIGHT), swaps=(swap,))
    assert on_duty(swapped, at("2024-01-01T07:00:00"), SHANGHAI) == ("zhao",)  # the night that began on the day before
    assert on_duty(swapped, at("2024-01-01T20:00:00"), SHANGHAI) == ("sun",)
    assert on_duty(swapped, at("2024-01-02T07:59:00"), SHANGHAI) == ("sun",)
    assert on_duty(swapped, at("2024-01-02T20:00:00"), SHANGHAI) == ("zhao",)


def test_two_can_swap_with_each_other() -> None:
    monday = datetime(2024, 1, 1).toordinal()
    swaps = (Swap(day=monday, outgoing="wang", incoming="zhao"), Swap(day=monday, outgoing="zhao", incoming="wang"))
    both = replace(station(DAY, NIGHT), swaps=swaps)
    assert on_duty(both, at("2024-01-01T09:00:00"), SHANGHAI) == ("zhao", "li")
    assert on_duty(both, at("2024-01-01T21:00:00"), SHANGHAI) == ("wang",)


def test_a_swap_of_one_shift_leaves_the_others_of_that_day_alone() -> None:
    twice = station(shift("08:00", "12:00", "wang"), shift("12:00", "18:00", "wang"))
    swap = Swap(day=datetime(2024, 1, 1).toordinal(), outgoing="wang", incoming="sun", start_min=12 * 60)
    assert on_duty(replace(twice, swaps=(swap,)), at("2024-01-01T09:00:00"), SHANGHAI) == ("wang",)
    assert on_duty(replace(twice, swaps=(swap,)), at("2024-01-01T13:00:00"), SHANGHAI) == ("sun",)


def test_who_is_on_leave_is_not_on_duty_to_the_minute() -> None:
    leave = Leave(start=moment("2024-01-01T09:00"), end=moment("2024-01-03T00:00"))
    away = replace(station(DAY, NIGHT), away=(("wang", leave),))
    assert on_duty(away, at("2024-01-01T08:59:59"), SHANGHAI) == ("wang", "li")
    assert on_duty(away, at("2024-01-01T09:00:00"), SHANGHAI) == ("li",)
    assert on_duty(away, at("2024-01-03T08:00:00"), SHANGHAI) == ("wang", "li")


def test_leave_and_swaps_follow_the_wall_through_a_clock_change() -> None:
    last_minute = Leave(start=moment("2024-10-27T00:00"), end=moment("2024-10-27T02:30"))
    away = replace(station(DAY, NIGHT), away=(("zhao", last_minute),))
    for fold in (0, 1):  # the hour that comes twice: away until the wall says 02:30, both times
        assert on_duty(away, at("2024-10-27T02:29:00", BERLIN, fold), BERLIN) == ()
        assert on_duty(away, at("2024-10-27T02:30:00", BERLIN, fold), BERLIN) == ("zhao",)
