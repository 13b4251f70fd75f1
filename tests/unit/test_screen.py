"""The screen judges time, repetition and plausibility before any rule sees a reading."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from hub.ingest.screen import Limits, Screen
from hub.model.quantities import BY_CODE, CODE
from hub.model.readings import Quality

NOW = 1_704_067_200_000
MINUTE, DAY = 60_000, 86_400_000


def judged(
    screen: Screen, *observed: int, slot: int = 1, received: int = NOW, quality: int = 0
) -> list[tuple[int, Quality]]:
    """(observed_at_ms afterwards, flags) of readings of one device that came at `received`."""
    slots = np.full(len(observed), slot, np.int32)
    times = np.array(observed, np.int64)
    flags = np.full(len(observed), quality, np.uint16)
    screen.judge_time(slots, times, np.full(len(observed), received, np.int64), flags)
    return [(int(t), Quality(int(q))) for t, q in zip(times, flags, strict=True)]


@pytest.fixture
def screen() -> Screen:
    return Screen(Limits())


def test_a_timely_reading_keeps_its_own_time(screen: Screen) -> None:
    assert judged(screen, NOW - 5 * MINUTE, NOW, NOW + 5 * MINUTE) == [
        (NOW - 5 * MINUTE, Quality.GOOD),
        (NOW, Quality.GOOD),
        (NOW + 5 * MINUTE, Quality.GOOD),
    ]


def test_a_reading_from_the_future_gets_the_receive_time(screen: Screen) -> None:
    assert judged(screen, NOW + 5 * MINUTE + 1, NOW + DAY) == [(NOW, Quality.FUTURE)] * 2


def test_a_reading_from_a_buffer_keeps_its_time_and_is_late(screen: Screen) -> None:
    """A device that empties its buffer sends old readings whose lag shrinks from one to the next."""
    buffer = [NOW - DAY + n * 10 * MINUTE for n in range(5)]
    assert judged(screen, *buffer) == [(at, Quality.LATE) for at in buffer]


def test_a_clock_that_is_always_behind_by_as_much_is_wrong_and_not_late(screen: Screen) -> None:
    """The second message of a clock that is a day slow shows that its readings are fresh: the receive time stands in."""
    assert judged(screen, NOW - DAY) == [(NOW - DAY, Quality.LATE)]
    later = NOW + MINUTE
    assert judged(screen, later - DAY, received=later) == [(later, Quality.CLOCK)]


def test_the_skew_is_known_by_device(screen: Screen) -> None:
    judged(screen, NOW - DAY, slot=1)
    assert judged(screen, NOW + MINUTE - DAY, slot=2, received=NOW + MINUTE)[0][1] == Quality.LATE


def test_a_clock_that_was_set_right_is_forgotten_as_wrong(screen: Screen) -> None:
    judged(screen, NOW - DAY)
    judged(screen, NOW)
    assert screen.skew_ms == {}
    assert judged(screen, NOW - DAY)[0][1] == Quality.LATE


def test_beyond_a_week_a_time_is_no_time(screen: Screen) -> None:
    assert judged(screen, NOW - 8 * DAY) == [(NOW, Quality.CLOCK)]


def test_a_back_filled_point_keeps_its_own_time_however_old(screen: Screen) -> None:
    assert judged(screen, NOW - 300 * DAY, quality=Quality.HISTORY) == [(NOW - 300 * DAY, Quality.HISTORY)]


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_a_device_clock_that_jumps_a_day_and_stays_there_is_read_by_the_hubs_time(screen: Screen, jump: int) -> None:
    flags = []
    for n in range(4):
        at = NOW + n * MINUTE
        flags.append(judged(screen, at + (jump if n else 0), received=at)[0])
    assert [at - NOW for at, _ in flags[2:]] == [2 * MINUTE, 3 * MINUTE], "from the second odd message on"
    assert {q for _, q in flags[2:]} == {Quality.FUTURE if jump > 0 else Quality.CLOCK}


# -- repetitions ------------------------------------------------------------------------------------------------------


def test_the_same_id_of_the_same_device_is_a_repetition_whatever_the_bytes(screen: Screen) -> None:
    assert not screen.is_repeated(1, "a-1", NOW, None, b"x")
    assert screen.is_repeated(1, "a-1", NOW + MINUTE, 5, b"y")
    assert not screen.is_repeated(2, "a-1", NOW, None, b"x")
    assert not screen.is_repeated(1, "a-2", NOW, None, b"x")


def test_without_an_id_equal_time_and_equal_bytes_are_a_repetition(screen: Screen) -> None:
    assert not screen.is_repeated(1, "", NOW, None, b"x")
    assert screen.is_repeated(1, "", NOW, None, b"x")
    assert not screen.is_repeated(1, "", NOW, None, b"y")
    assert not screen.is_repeated(1, "", NOW + 1, None, b"x")
    assert not screen.is_repeated(1, "", None, 7, b"x")
    assert screen.is_repeated(1, "", None, 7, b"x")


def test_a_message_without_id_time_and_number_is_never_a_repetition(screen: Screen) -> None:
    """`{"smoke":true}` sent twice can be two fires."""
    assert not any(screen.is_repeated(1, "", None, None, b'{"smoke":true}') for _ in range(3))


def test_repetitions_are_known_long_enough_and_the_memory_stays_bounded() -> None:
    screen = Screen(Limits(), remembered=100)
    for n in range(250):
        screen.is_repeated(1, f"id-{n}", None, None, b"")
    assert screen.is_repeated(1, "id-249", None, None, b"")
    assert screen.is_repeated(1, "id-150", None, None, b""), "at least the last 100"
    kept = screen.dump()
    assert len(kept["seen"]) + len(kept["before"]) <= 200  # type: ignore[arg-type]


def test_the_memory_survives_a_restart_through_json_and_in_another_process(screen: Screen) -> None:
    screen.is_repeated(3, "a-1", NOW, 4, b"x")
    screen.is_repeated(3, "", NOW, 4, b"x")
    judged(screen, NOW - DAY, slot=3)
    kept = json.loads(json.dumps(screen.dump()))
    program = (
        "import sys, json; from hub.ingest.screen import Limits, Screen; k = json.load(sys.stdin); s = Screen(Limits());"
        "s.restore(set(k['seen']), set(k['before']), {int(a): b for a, b in k['skew'].items()});"
        f"print(s.is_repeated(3, 'a-1', None, None, b''), s.is_repeated(3, '', {NOW}, 4, b'x'), s.skew_ms)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=json.dumps(kept), capture_output=True, text=True, check=True
    )
    assert done.stdout.split(maxsplit=2) == ["True", "True", f"{{3: {DAY}}}\n"]


# -- retained -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("observed", "interval_ms", "is_state", "old"),
    [
        (NOW - MINUTE, MINUTE, False, False),
        (NOW - 5 * MINUTE, MINUTE, False, False),  # never stricter than what counts as late
        (NOW - 6 * MINUTE, MINUTE, True, True),
        (NOW - 6 * MINUTE, 60 * MINUTE, False, False),
        (NOW - 61 * MINUTE, 60 * MINUTE, True, True),
        (None, MINUTE, True, False),  # the dialect keeps current state there
        (None, MINUTE, False, True),  # brokers keep ghosts for years
    ],
)
def test_a_retained_message_counts_as_old_by_time_interval_and_dialect(
    screen: Screen, observed: int | None, interval_ms: int, is_state: bool, old: bool
) -> None:
    assert screen.retained_is_old(observed, NOW, interval_ms, is_state) is old


# -- values -------------------------------------------------------------------------------------------------------------


def test_every_quantity_takes_its_own_limits_and_nothing_beyond(screen: Screen) -> None:
    for quantity in BY_CODE:
        code = np.array([quantity.code] * 4, np.int16)
        below, above = np.nextafter(quantity.low, -np.inf), np.nextafter(quantity.high, np.inf)
        value = np.array([quantity.low, quantity.high, below, above])
        quality = np.zeros(4, np.uint16)
        rows = screen.judge_values(code, value, quality)
        bad = [n for n, limit in ((2, quantity.low), (3, quantity.high)) if np.isfinite(limit)]
        assert rows == bad, quantity.name
        assert [bool(q & Quality.IMPLAUSIBLE) for q in quality] == [n in bad for n in range(4)]
        assert [bool(np.isnan(v)) for v in value] == [n in bad for n in range(4)]


def test_infinities_are_implausible_where_there_are_limits_and_unknown_stays_unknown(screen: Screen) -> None:
    code = np.array([CODE["temperature_c"]] * 3, np.int16)
    value, quality = np.array([np.inf, -np.inf, np.nan]), np.zeros(3, np.uint16)
    assert screen.judge_values(code, value, quality) == [0, 1]
    assert quality.tolist() == [Quality.IMPLAUSIBLE, Quality.IMPLAUSIBLE, 0]
