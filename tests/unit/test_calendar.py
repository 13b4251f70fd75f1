"""The wall clock of rules: as plain datetime has it, in every zone, over every change of the clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hub.rules.kinds.calendar import During, Window
from hub.rules.kinds.kind import Context

SHANGHAI = "Asia/Shanghai"
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ZONES = (
    SHANGHAI, "Asia/Urumqi", "UTC", "Europe/Berlin", "America/New_York", "America/St_Johns", "Australia/Lord_Howe",
    "Africa/Casablanca", "Asia/Kathmandu", "Pacific/Apia", "Pacific/Chatham", "America/Santiago", "Antarctica/Troll",
)  # fmt: skip
HOLIDAYS = frozenset({date(2026, 10, 1), date(2026, 10, 2), date(2026, 10, 3), date(2026, 10, 4), date(2026, 10, 5)})
WORKDAYS = frozenset({date(2026, 9, 20), date(2026, 10, 10)})


def window(context: Context | None = None, **during: Any) -> Window:
    return Window.of(During.model_validate(during), context or Context(holidays=HOLIDAYS, workdays=WORKDAYS))


def instant(text: str, zone: str = SHANGHAI, fold: int = 0) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp() * 1_000)


def is_open(where: Window, *texts: str) -> list[bool]:
    return where.open_at(np.array([instant(text, where.zone) for text in texts], np.int64)).tolist()


def test_a_stretch_begins_at_its_minute_and_has_ended_at_its_end() -> None:
    day = window(**{"from": "08:00", "to": "18:30"})
    assert is_open(day, "2026-03-04T07:59:59.999", "2026-03-04T08:00", "2026-03-04T18:29:59.999", "2026-03-04T18:30") == [
        False, True, True, False,
    ]  # fmt: skip


def test_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    friday = window(days="fri", **{"from": "22:00", "to": "06:00"})
    assert is_open(friday, "2026-03-06T05:00", "2026-03-06T21:59", "2026-03-06T22:00", "2026-03-07T05:59") == [
        False, False, True, True,
    ]  # fmt: skip
    assert is_open(friday, "2026-03-07T06:00", "2026-03-07T22:00") == [False, False]


def test_until_midnight_can_be_said_in_two_ways() -> None:
    for end in ("24:00", "00:00"):
        evening = window(**{"from": "22:00", "to": end})
        assert is_open(evening, "2026-03-06T21:59", "2026-03-06T23:59:59.999", "2026-03-07T00:00") == [
            False,
            True,
            False,
        ]


def test_working_days_know_holidays_and_the_days_that_stand_in_for_them() -> None:
    works, rests = window(days="workdays"), window(days=["restdays"])
    days = {
        "2026-09-20T12:00": True,  # a Sunday that stands in
        "2026-09-27T12:00": False,  # a Sunday like others
        "2026-09-30T12:00": True,
        "2026-10-01T12:00": False,  # a Thursday
        "2026-10-03T12:00": False,  # a Saturday that is a holiday too
        "2026-10-08T12:00": True,
        "2026-10-10T12:00": True,  # a Saturday that stands in
        "2026-10-11T12:00": False,
    }
    assert is_open(works, *days) == list(days.values())
    assert is_open(rests, *days) == [not works for works in days.values()]


def test_holidays_can_be_left_out_or_asked_for() -> None:
    thursdays = ("2026-09-24T12:00", "2026-10-01T12:00")
    assert is_open(window(days="thu"), *thursdays) == [True, True]
    assert is_open(window(days="thu", holidays="exclude"), *thursdays) == [True, False]
    assert is_open(window(days="thu", holidays="only"), *thursdays) == [False, True]
    assert is_open(window(holidays="only"), *thursdays) == [False, True]
    nights = window(holidays="only", **{"from": "22:00", "to": "06:00"})
    assert is_open(nights, "2026-10-01T05:00", "2026-10-01T22:00", "2026-10-06T05:00", "2026-10-06T22:00") == [
        False, True, True, False,
    ]  # fmt: skip


def test_without_a_calendar_no_day_is_a_holiday() -> None:
    assert is_open(window(Context(), days="workdays"), "2026-10-01T12:00", "2026-10-10T12:00") == [True, False]
    assert is_open(window(Context(), holidays="only"), "2026-10-01T12:00") == [False]


def test_hours_that_clocks_skip_do_not_come_and_hours_that_come_twice_count_twice() -> None:
    berlin = Context(zone="Europe/Berlin")
    skipped = window(berlin, **{"from": "02:00", "to": "03:00"})
    hours = np.arange(
        instant("2026-03-28T12:00", "Europe/Berlin"), instant("2026-03-29T12:00", "Europe/Berlin"), 60_000
    )
    assert not skipped.open_at(hours).any()
    hours = np.arange(
        instant("2026-10-24T12:00", "Europe/Berlin"), instant("2026-10-25T12:00", "Europe/Berlin"), 60_000
    )
    assert int(skipped.open_at(hours).sum()) == 120


def plainly(during: During, context: Context, at_ms: int) -> bool:
    """The same from the prose, with datetime and one instant at a time."""
    wall = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).astimezone(ZoneInfo(context.zone))
    now = wall.strftime("%H:%M")

    def begins(day: date) -> bool:
        works = (day.weekday() < 5 and day not in context.holidays) or day in context.workdays
        names = {WEEK[day.weekday()], "workdays" if works else "restdays"}
        if not names & set(during.days):
            return False
        return {"include": True, "exclude": day not in context.holidays, "only": day in context.holidays}[
            during.holidays
        ]

    today, yesterday = wall.date(), wall.date() - timedelta(days=1)
    if during.start < during.end:
        return during.start <= now < during.end and begins(today)
    return (now >= during.start and begins(today)) or (now < during.end and begins(yesterday))


TIMES = st.tuples(st.integers(0, 23), st.sampled_from([0, 1, 15, 30, 59])).map(lambda t: f"{t[0]:02}:{t[1]:02}")


@st.composite
def durings(draw: st.DrawFn) -> dict[str, Any]:
    start = draw(TIMES)
    end = draw((TIMES | st.just("24:00")).filter(lambda t: t != start))
    days = draw(st.lists(st.sampled_from([*WEEK, "workdays", "restdays"]), min_size=1, max_size=4))
    holidays = draw(st.sampled_from(["include", "exclude"] + ["only"] * (set(days) != {"workdays"})))
    return {"days": days, "from": start, "to": end, "holidays": holidays}


@settings(deadline=None)
@given(
    during=durings(),
    zone=st.sampled_from(ZONES),
    moments=st.lists(st.datetimes(datetime(2026, 9, 1), datetime(2026, 11, 15)), min_size=1, max_size=30),
)
def test_many_instants_are_judged_as_plain_datetime_judges_each(
    during: dict[str, Any], zone: str, moments: list[datetime]
) -> None:
    context = Context(zone=zone, holidays=HOLIDAYS, workdays=WORKDAYS)
    said = During.model_validate(during)
    at = [int(m.replace(tzinfo=UTC).timestamp() * 1_000) for m in moments]
    expected = [plainly(said, context, one) for one in at]
    assert Window.of(said, context).open_at(np.array(at, np.int64)).tolist() == expected


@given(
    zone=st.sampled_from(ZONES),
    at=st.lists(st.integers(0, int(datetime(2100, 1, 1, tzinfo=UTC).timestamp() * 1_000)), min_size=1, max_size=5),
)
@settings(deadline=None)  # a table of a hundred years of a zone is made at first
def test_every_change_of_clocks_is_known(zone: str, at: list[int]) -> None:
    context = Context(zone=zone)
    said = During.model_validate({"from": "01:30", "to": "14:00"})
    assert Window.of(said, context).open_at(np.array(at, np.int64)).tolist() == [
        plainly(said, context, one) for one in at
    ]


@pytest.mark.parametrize("zone", ZONES)
def test_the_very_second_of_a_change_is_right(zone: str) -> None:
    clocks = ZoneInfo(zone)
    start = instant("2023-01-01T00:00", "UTC")
    hours = [datetime.fromtimestamp(start / 1_000 + 3_600 * n, clocks) for n in range(3 * 8_766)]
    near = [int(b.timestamp() * 1_000) for a, b in pairwise(hours) if a.utcoffset() != b.utcoffset()]
    at = sorted(one + jitter for one in near for jitter in range(-3_600_000, 3_600_001, 1_800_000 - 1))
    context = Context(zone=zone)
    for during in ({"from": "00:00", "to": "02:30"}, {"from": "02:00", "to": "03:00"}):
        said = During.model_validate(during)
        found = Window.of(said, context).open_at(np.array(at, np.int64)).tolist()
        assert found == [plainly(said, context, one) for one in at]


def test_instants_that_no_calendar_knows_are_answered_all_the_same() -> None:
    night = window(**{"from": "22:00", "to": "06:00"})
    assert night.open_at(np.array([], np.int64)).tolist() == []
    assert len(night.open_at(np.array([-(2**62), -1, 0, 2**62], np.int64))) == 4


@pytest.mark.parametrize(
    ("during", "complaint"),
    [
        ({}, "as it stands it is always"),
        ({"from": "22:00", "to": "22:00"}, "leave both out"),
        ({"from": "24:00", "to": "06:00"}, "write 00:00"),
        ({"from": "25:00"}, "HH:MM"),
        ({"from": "22"}, "HH:MM"),
        ({"from": 1_320}, "HH:MM"),
        ({"to": "24:01"}, "HH:MM"),
        ({"days": []}, "at least 1"),
        ({"days": "monday"}, "'mon'"),
        ({"days": ["workdays"], "holidays": "only"}, "never holidays"),
        ({"holidays": "skip"}, "'include', 'exclude' or 'only'"),
        ({"until": "06:00"}, "Extra inputs"),
    ],
)
def test_a_stretch_that_makes_no_sense_is_refused_with_words(during: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        During.model_validate(during)


def test_the_schema_for_editors_shows_the_words_of_the_file() -> None:
    shape = During.model_json_schema()["properties"]
    assert set(shape) == {"days", "from", "to", "holidays"}
    assert shape["from"]["pattern"]
    assert all(one["description"] for one in shape.values())
