"""The screen judges time, repetition and plausibility before any rule sees a reading."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from hub.ingest.screen import Limits, Screen
from hub.model.quantities import CODE
from hub.model.readings import Decoded, Quality

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


def repeated(
    screen: Screen,
    slot: int,
    key: str,
    at: int | None,
    seq: int | None,
    body: bytes,
    *,
    now: int = NOW,
    position: int = 0,
) -> bool:
    one = Decoded(codec="c", address=f"c:{slot}", device=str(slot), dedupe_key=key, observed_at_ms=at, seq=seq)
    return screen.is_repeated(slot, one, body, position, now)


def test_the_same_id_with_the_same_bytes_is_a_repetition(screen: Screen) -> None:
    assert not repeated(screen, 1, "a-1", None, None, b"x")
    assert not repeated(screen, 1, "a-2", None, None, b"z")
    assert repeated(screen, 1, "a-1", None, None, b"x")
    assert not repeated(screen, 2, "a-1", None, None, b"x")


def test_an_id_that_comes_back_with_another_time_or_other_bytes_is_another_message(screen: Screen) -> None:
    """Devices whose ids start anew with each boot; taken for a repetition, their second fire would be lost."""
    assert not repeated(screen, 1, "1", NOW, None, b"x")
    assert not repeated(screen, 1, "1", NOW + MINUTE, None, b"x")
    assert not repeated(screen, 1, "1", NOW, None, b"y")


def test_without_an_id_equal_time_and_equal_bytes_are_a_repetition(screen: Screen) -> None:
    assert not repeated(screen, 1, "", NOW, None, b"x")
    assert repeated(screen, 1, "", NOW, None, b"x")
    assert not repeated(screen, 1, "", NOW, None, b"y")
    assert not repeated(screen, 1, "", NOW + 1, None, b"x")
    assert repeated(screen, 1, "", NOW, None, b"x"), "sent again, out of order"


def test_a_device_with_a_coarse_clock_may_say_the_same_again_within_one_of_its_seconds(screen: Screen) -> None:
    """True, false, true in one second of the device: it burns."""
    said = [repeated(screen, 1, "", NOW, None, body) for body in (b"true", b"false", b"true")]
    assert said == [False, False, False]


def test_a_message_without_id_and_time_is_never_a_repetition(screen: Screen) -> None:
    """`{"smoke":true}` sent twice can be two fires, and a sequence number starts anew with each boot."""
    assert not any(repeated(screen, 1, "", None, None, b'{"smoke":true}') for _ in range(3))
    assert not any(repeated(screen, 1, "", None, 1, b'{"smoke":true}') for _ in range(3))


def test_repetitions_are_known_for_a_while_and_the_memory_stays_bounded() -> None:
    screen = Screen(Limits(), remembered=100)
    for n in range(250):
        repeated(screen, 1, f"id-{n}", None, None, b"")
    assert repeated(screen, 1, "id-249", None, None, b"")
    assert repeated(screen, 1, "id-150", None, None, b""), "at least the last 100"
    kept = screen.dump(1, ["a", "b"])
    assert len(kept["seen"]) + len(kept["before"]) <= 200  # type: ignore[arg-type]


def test_after_twenty_minutes_the_same_message_is_news(screen: Screen) -> None:
    assert not repeated(screen, 1, "a", None, None, b"x")
    assert repeated(screen, 1, "a", None, None, b"x", now=NOW + 5 * MINUTE)
    for n in (11, 22, 33):
        repeated(screen, 1, f"other-{n}", None, None, b"", now=NOW + n * MINUTE)
    assert not repeated(screen, 1, "a", None, None, b"x", now=NOW + 34 * MINUTE)


def test_what_will_be_read_again_is_not_remembered_over_a_restart(screen: Screen) -> None:
    repeated(screen, 1, "a", None, None, b"x", position=5)
    repeated(screen, 1, "b", None, None, b"x", position=6)
    fresh = Screen(Limits())
    fresh.restore(json.loads(json.dumps(screen.dump(6, ["", "one"]))), {"one": 1})
    assert repeated(fresh, 1, "a", None, None, b"x")
    assert not repeated(fresh, 1, "b", None, None, b"x")


def test_the_memory_survives_a_restart_in_another_process_and_with_other_slots(screen: Screen) -> None:
    repeated(screen, 3, "a-1", NOW, 4, b"x")
    judged(screen, NOW - DAY, slot=3)
    kept = json.dumps(screen.dump(1, ["", "", "", "three"]))
    program = (
        "import sys, json; from hub.ingest.screen import Limits, Screen; from hub.model.readings import Decoded;"
        "s = Screen(Limits()); s.restore(json.load(sys.stdin), {'other': 3, 'three': 8});"
        f"one = Decoded(codec='c', address='c:3', device='3', dedupe_key='a-1', observed_at_ms={NOW}, seq=4);"
        f"other = Decoded(codec='c', address='c:9', device='9', dedupe_key='a-1', observed_at_ms={NOW}, seq=4);"
        f"print(s.is_repeated(3, other, b'x', 9, {NOW}), s.is_repeated(8, one, b'x', 9, {NOW}), s.skew_ms)"
    )
    done = subprocess.run([sys.executable, "-c", program], input=kept, capture_output=True, text=True, check=True)
    assert done.stdout.split(maxsplit=2) == ["False", "True", f"{{8: {DAY}}}\n"]


def ordered(screen: Screen, *said: tuple[float, int, int], quantity: str = "smoke") -> list[Quality]:
    """Flags of readings of one detector as (value, observed, received), each of a batch of its own."""
    found = []
    for value, observed, received in said:
        flags = np.zeros(1, np.uint16)
        one = (np.array([1], np.int32), np.array([CODE[quantity]], np.int16), np.array([value]))
        screen.judge_order(*one, np.array([observed], np.int64), np.array([received], np.int64), flags)
        found.append(Quality(int(flags[0])))
    return found


def test_an_all_clear_from_before_the_alarm_does_not_end_it(screen: Screen) -> None:
    """The one sent first came last."""
    story = (
        (1.0, NOW - 6_000, NOW),
        (0.0, NOW - 10_000, NOW + 10),
        (0.0, NOW - 1_000, NOW + 20),
        (0.0, NOW - 9_000, NOW + 30),
    )
    assert ordered(screen, *story) == [Quality.GOOD, Quality.LATE, Quality.GOOD, Quality.GOOD]


def test_an_all_clear_counts_where_the_alarm_came_without_a_time(screen: Screen) -> None:
    """The clock of the device may be some seconds behind."""
    assert ordered(screen, (1.0, NOW, NOW), (0.0, NOW - 2_000, NOW + 1_000)) == [Quality.GOOD] * 2


def test_a_clock_that_was_ahead_at_the_alarm_and_was_set_since_keeps_no_alarm_alive(screen: Screen) -> None:
    assert ordered(screen, (1.0, NOW + 240_000, NOW), (0.0, NOW + 4_900, NOW + 5_000)) == [Quality.GOOD] * 2


def test_values_that_are_no_alarms_come_in_any_order(screen: Screen) -> None:
    story = ((1.0, NOW - 6_000, NOW), (0.0, NOW - 10_000, NOW + 10))
    assert ordered(screen, *story, quantity="door_open") == [Quality.GOOD] * 2


def test_which_alarms_last_survives_a_restart(screen: Screen) -> None:
    ordered(screen, (1.0, NOW - 6_000, NOW))
    other = Screen(Limits())
    other.restore(json.loads(json.dumps(screen.dump(0, ["", "d1"]))), {"d1": 1})
    assert ordered(other, (0.0, NOW - 10_000, NOW + 10)) == [Quality.LATE]
