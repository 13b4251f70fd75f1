from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.ingest.instants import EARLIEST_MS, instant

NOW_MS = 1_795_000_000_000
NEW_YEAR_MS = 1_704_067_200_000


def ms(iso: str) -> int:
    return int(datetime.fromisoformat(iso).timestamp() * 1_000)


@pytest.mark.parametrize(
    "value",
    [1704067200, 1704067200.0, 1704067200000, 1704067200000000, 1704067200000000000, "1704067200", "1704067200000",
     "2024-01-01T00:00:00Z", "2024-01-01T00:00:00.000000000Z", "2024-01-01T08:00:00+08:00", "2024-01-01 08:00:00+0800",
     "2024-01-01 08:00:00 +08:00", "2023-12-31T19:00:00-05", "20240101T000000Z", "2024-01-01 00:00:00 UTC",
     "2024/01/01 00:00:00Z", "2024-1-1T0:00:00Z"],
)  # fmt: skip
def test_one_instant_in_many_spellings(value: object) -> None:
    assert instant(value, NOW_MS).at_ms == NEW_YEAR_MS
    assert instant(value, NOW_MS).warning == ""


@pytest.mark.parametrize(
    ("value", "word"),
    [(0, "ts 0"), (-5, "before 1970"), (12345, "since start"), (946684812, "reset"), (1, "since start"),
     ("1970-01-01T00:03:11", "1970"), ("0001-01-01T00:00:00Z", "year 1"), ("1111-11-11T00:00:00Z", "1111"),
     (4102444800, "future"), ("01/02/2024 08:00", "ambiguous"), ("25.12.2024 08:00", "ambiguous"), ("noon", "not understood"),
     ("", "no time"), (True, "true or false"), ([], "list"), ({}, "dict"), (float("nan"), "finite"), (float("inf"), "finite"),
     (10**30, "digits"), ("9" * 40, "digits"), ("2024-02-30T00:00:00Z", "not understood"), ("x" * 100, "too long")],
)  # fmt: skip
def test_a_time_that_cannot_be_true_is_not_used(value: object, word: str) -> None:
    found = instant(value, NOW_MS)
    assert found.at_ms is None
    assert word in found.warning


def test_no_time_is_no_warning() -> None:
    assert instant(None, NOW_MS) == (None, "", "")


@pytest.mark.parametrize(
    ("value", "local"),
    [(20240101080000, "2024-01-01T08:00:00"), (20240101080000123, "2024-01-01T08:00:00.123"), ("20240101080000", "2024-01-01T08:00:00"),
     ("2024-01-01 08:00:00", "2024-01-01T08:00:00"), ("2024/1/1 8:00:00", "2024-01-01T08:00:00"), ("2024年1月1日 08:00:00", "2024-01-01T08:00:00")],
)  # fmt: skip
def test_a_wall_clock_needs_the_zone_of_the_site(value: object, local: str) -> None:
    without, within = instant(value, NOW_MS), instant(value, NOW_MS, "Asia/Shanghai")
    assert (without.at_ms, without.local) == (None, local)
    assert "zone" in without.warning
    assert within.local == local
    assert (within.at_ms or 0) // 1_000 == NEW_YEAR_MS // 1_000


def test_an_hour_that_does_not_exist_is_not_used() -> None:
    found = instant("2024-03-31T02:30:00", NOW_MS, "Europe/Berlin")
    assert found.at_ms is None
    assert found.warning == "2024-03-31T02:30:00 does not exist in Europe/Berlin"


def test_of_an_hour_that_comes_twice_the_one_that_is_not_ahead_is_taken() -> None:
    first, second = ms("2024-10-27T00:30:00+00:00"), ms("2024-10-27T01:30:00+00:00")
    assert instant("2024-10-27T02:30:00", first + 1_000, "Europe/Berlin").at_ms == first
    assert instant("2024-10-27T02:30:00", second + 1_000, "Europe/Berlin").at_ms == second
    assert "twice" in instant("2024-10-27T02:30:00", NOW_MS, "Europe/Berlin").warning


def test_a_microsecond_count_is_not_taken_for_a_calendar_date() -> None:
    assert instant(1704067200123456, NOW_MS).at_ms == NEW_YEAR_MS + 123
    # 14 digits that are no date stay milliseconds, which then lie far ahead
    assert "future" in instant(20249901080000, NOW_MS).warning


def test_a_clock_may_run_ahead_by_ten_minutes_and_no_more() -> None:
    assert instant(NOW_MS + 600_000, NOW_MS).at_ms == NOW_MS + 600_000
    assert instant(NOW_MS + 600_001, NOW_MS).at_ms is None
    assert instant(EARLIEST_MS, NOW_MS).at_ms == EARLIEST_MS
    assert instant(EARLIEST_MS - 1, NOW_MS).at_ms is None


def test_an_unknown_zone_leaves_the_wall_clock_unresolved() -> None:
    assert instant("2024-01-01 08:00:00", NOW_MS, "Mars/Olympus").at_ms is None


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40) | st.from_regex(r"20\d{12,17}"))
def test_anything_gets_an_answer_within_the_window(value: object) -> None:
    for zone in ("", "Asia/Shanghai", "America/New_York"):
        found = instant(value, NOW_MS, zone)
        assert found.at_ms is None or EARLIEST_MS <= found.at_ms <= NOW_MS + 600_000


@given(st.datetimes(datetime(2015, 1, 2), datetime(2026, 11, 1)))
def test_any_instant_survives_every_unit(moment: datetime) -> None:
    at_ms = int(moment.replace(tzinfo=UTC).timestamp()) * 1_000
    for value in (
        at_ms // 1_000,
        at_ms,
        at_ms * 1_000,
        at_ms * 1_000_000,
        moment.replace(microsecond=0, tzinfo=UTC).isoformat(),
    ):
        assert instant(value, NOW_MS).at_ms == at_ms
