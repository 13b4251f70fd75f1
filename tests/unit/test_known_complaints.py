"""What users of other systems complain about, shown not to happen here. Each test names the complaint that it comes from."""

from __future__ import annotations

from typing import Any

import pytest

from hub.model.readings import Quality, ReadingBatch
from hub.registry.snapshot import Registry
from hub.rules import snapshot
from hub.rules.engine import Engine
from tests.support.engine_stories import START, a_rule, ruleset, told
from tests.support.registry import UNIT, a_device, hub_and_canary, places, stations
from tests.support.rule_twin import Row

RULES = ruleset(
    a_rule("smoke", "threshold", "device_kind: smoke_alarm, quantity: smoke", "{equals: true}", severity="P1"),
    a_rule("warm", "threshold", "device_kind: env, quantity: temperature_c", "{above: 40, clear_below: 35, hold_s: 2}", severity="P3"),
    a_rule("hot", "threshold", "device_kind: env, quantity: temperature_c", "{above: 60}", severity="P2"),
    a_rule("lost", "offline", "device_kind: [smoke_alarm, env]", "{silent_s: 60}", more="inhibited_by: [{rule: gateway-lost}]"),
    a_rule("gateway-lost", "offline", "device_kind: gateway", "{silent_s: 30}"),
    a_rule("tampered-often", "repeat", "device_kind: smoke_alarm, quantity: tamper", "{equals: true, times: 3, within_s: 600}"),
    a_rule("either", "correlate", "device_kind: [smoke_alarm, env]", "{area: unit, any: [[{rule: smoke}], [{rule: hot}]]}"),
)  # fmt: skip
TOWN = Registry.of(
    [
        a_device("g1", "gateway", supervision="mains"),
        *(a_device(f"s{n}", parent="g1", place=UNIT) for n in range(1, 13)),
        a_device("e1", "env", place=UNIT),
        *hub_and_canary(),
    ],
    places=places(),
    stations=stations(),
)


def engine() -> Engine:
    return Engine(RULES, TOWN, start_ms=START)


def say(device: str, quantity: str, value: float, at: int, n: int = 0, quality: int = 0, late_ms: int = 0) -> Row:
    return TOWN.slot_of[device], quantity, value, START + at - late_ms, START + at, quality, n


def heard(story: list[Any], *, one: Engine | None = None, rule: str = "") -> list[tuple[str, str, str]]:
    events = told(one or engine(), story, batch=100)
    return [(kind, rule_id, device) for kind, rule_id, device, *_ in events if not rule or rule_id == rule]


def tick(at: int) -> tuple[int, int]:
    return START + at, at


def restarted(one: Engine) -> Engine:
    fresh = Engine(RULES, TOWN, start_ms=START + 9_999_999)
    snapshot.restore(fresh, snapshot.dump(one, {}))
    return fresh


def test_state_is_not_lost_at_a_restart_neither_a_storm_nor_a_stuck_alarm() -> None:
    """kapacitor 1898, 2336, 744; home-assistant 94857: alarms fire again, or never clear, after a restart."""
    one = engine()
    assert heard([say("s1", "smoke", 1, 0)], one=one, rule="smoke") == [("raised", "smoke", "s1")]
    one = restarted(one)
    assert heard([say("s1", "smoke", 1, 5_000)], one=one, rule="smoke") == []
    assert heard([say("s1", "smoke", 0, 6_000)], one=one, rule="smoke") == [("cleared", "smoke", "s1")]


def test_what_a_window_has_counted_survives_a_restart() -> None:
    """ekuiper 3847: a window starts empty after a restart."""
    one = engine()
    story = [say("s1", "tamper", float(n % 2), n * 1_000, n) for n in range(5)]
    assert heard(story, one=one, rule="tampered-often") == []
    assert heard([say("s1", "tamper", 1, 6_000)], one=restarted(one), rule="tampered-often") == [("raised", "tampered-often", "s1")]  # fmt: skip


def test_a_device_that_is_dead_since_the_reboot_is_reported() -> None:
    """kapacitor 1784: a deadman that never saw the device does not fire."""
    assert ("raised", "lost", "e1") in heard([tick(n * 30_000) for n in range(4)])


def test_two_messages_a_few_milliseconds_apart_make_one_alert() -> None:
    """thingsboard 15583, 2986, 5652: two alarms, one of which never clears."""
    story = [say("s1", "smoke", 1, 0), say("s1", "smoke", 1, 1, 1), say("s1", "smoke", 0, 9, 2)]
    assert heard(story, rule="smoke") == [("raised", "smoke", "s1"), ("cleared", "smoke", "s1")]


def test_a_duration_of_two_seconds_is_two_seconds() -> None:
    """thingsboard 10590: the duration of a condition is ignored."""
    story = [say("e1", "temperature_c", 45, 0), tick(1_999)]
    assert heard(story, rule="warm") == []
    assert heard([*story, tick(2_000)], rule="warm") == [("raised", "warm", "e1")]


def test_fire_resolve_fire_tells_the_second_fire_under_its_own_identity() -> None:
    """alertmanager 2398: nothing is sent for the second fire. thingsboard 7811: the cleared alarm is used again."""
    story = [say("s1", "smoke", 1, 0), say("s1", "smoke", 0, 300, 1), say("s1", "smoke", 1, 900, 2)]
    events = [e for e in told(engine(), story, batch=100) if e[1] == "smoke" and e[0] != "chatter"]
    assert [e[0] for e in events] == ["raised", "cleared", "raised"]
    assert events[0][4] != events[2][4]


def test_silence_clears_nothing_and_a_message_ends_silence() -> None:
    """thingsboard 10979, 7909: alarms that silence clears, an inactivity alarm that nothing clears."""
    quiet = [say("s1", "smoke", 1, 0), *(tick(n * 30_000) for n in range(6))]
    assert heard(quiet, rule="smoke") == [("raised", "smoke", "s1")]
    story = [*(tick(n * 20_000) for n in range(5)), say("e1", "temperature_c", 20, 90_000)]
    assert heard(story, rule="lost")[-1] == ("cleared", "lost", "e1")


def test_a_condition_that_becomes_less_severe_leaves_the_lesser_alert_open() -> None:
    """thingsboard 11803: no downgrade of a severity."""
    story = [say("e1", "temperature_c", 65, 0), tick(2_000), say("e1", "temperature_c", 50, 3_000, 2)]
    assert heard(story, rule="hot") == [("raised", "hot", "e1"), ("cleared", "hot", "e1")]
    assert heard(story, rule="warm") == [("raised", "warm", "e1")]


def test_one_condition_or_another_can_be_one_rule() -> None:
    """thingsboard 7227, 11803: no OR between conditions."""
    assert heard([say("e1", "temperature_c", 65, 0)], rule="either") == [("raised", "either", "e1")]
    assert heard([say("s1", "smoke", 1, 0)], rule="either") == [("raised", "either", "s1")]


@pytest.mark.parametrize("quality", [Quality.LATE, Quality.HISTORY, Quality.DUPLICATE, Quality.TEST])
def test_late_backfilled_and_repeated_data_clear_nothing(quality: Quality) -> None:
    """thingsboard 4207, 6773; kapacitor 1222; ekuiper 530: late data overwrite what is true now."""
    story = [say("s1", "smoke", 1, 0), say("s1", "smoke", 0, 1_000, 1, int(quality), 600_000)]
    assert heard(story, rule="smoke") == [("raised", "smoke", "s1")]


def test_a_smoke_alarm_that_arrives_late_is_still_told() -> None:
    """thingsboard 6492 and others: alarms from behind an outage are stored and never told."""
    assert heard([say("s1", "smoke", 1, 0, 0, int(Quality.LATE), 600_000)], rule="smoke") == [("raised", "smoke", "s1")]


def test_a_separate_limit_to_clear_keeps_a_value_between_the_two_from_flapping() -> None:
    """kapacitor 614, grafana 77800: an alert that flaps around one limit."""
    story = [say("e1", "temperature_c", v, n * 3_000, n) for n, v in enumerate((45, 45, 38, 41, 36, 45))]
    assert heard(story, rule="warm") == [("raised", "warm", "e1")]


def test_a_flapping_detector_keeps_one_alert_open_and_asks_for_maintenance_once() -> None:
    """grafana 77800, 36376: a message with each turn."""
    found = heard([say("s1", "smoke", float(n % 2 == 0), n * 2_000, n) for n in range(20)], rule="smoke")
    assert [kind for kind, _, _ in found] == ["raised", "cleared", "raised", "chatter"]


def test_one_dead_gateway_is_one_alert_and_not_one_for_each_device_behind_it() -> None:
    """thingsboard-gateway 1014; NAV 3798: one gateway down, dozens of mails."""
    found = heard([tick(n * 10_000) for n in range(30)])
    assert ("raised", "gateway-lost", "g1") in found
    assert [f for f in found if f[1] == "lost" and f[2].startswith("s")] == []


def test_an_event_says_which_limit_was_hit_and_since_when() -> None:
    """thingsboard 14097: which limit was hit?"""
    one = engine()
    one.commit(one.evaluate(ReadingBatch.of([say("e1", "temperature_c", 45, 0)])))
    (event,) = one.tick(START + 2_000, 1).events
    assert (event.rule.id, event.threshold, event.evidence["hold_s"], event.evidence["held_since_ms"]) == ("warm", 40, 2, START)  # fmt: skip
