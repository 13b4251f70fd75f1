"""Commands to devices, and answers that stay out, on the live engine."""

from __future__ import annotations

from typing import Any

from hub.documents import parse
from hub.model.quantities import QUANTITIES, coded
from hub.model.readings import ReadingBatch
from hub.registry.snapshot import Registry
from hub.rules.engine import Engine
from hub.rules.ruleset import rules_of
from tests.support.registry import COMPOUND, UNIT, a_device, places, stations

START = 1_704_067_200_000
_WORDS = "{zh: 字, en: word}"


def a_rule(rule_id: str, kind: str, on: str, when: str, extra: str = "") -> str:
    return f"""
  - {{id: {rule_id}, kind: {kind}, name: {_WORDS}, on: {on}, when: {when}, severity: P2, cause: {_WORDS}, consequence: {_WORDS},
     action: {_WORDS}, respond_within_s: 60, responder: station, source: test, certainty: C{extra}}}"""


class Scene:
    """An engine with these rules, told one reading or tick at a time."""

    def __init__(self, *rules: str) -> None:
        document, complaints = parse("rules:" + "".join(rules), "test.yaml")
        assert document is not None
        self.registry = Registry.of(
            [
                a_device("cabinet-1", "charging_cabinet"),
                a_device("smoke-1", place=UNIT),
                a_device("smoke-2", place=UNIT),
                a_device("lock-1", "lock", tags=("escape-route",)),
                a_device("lock-2", "lock", place=COMPOUND),
                a_device("door-1", "door"),
                a_device("lane-1", "fire_lane_camera", place=COMPOUND),
            ],
            places=places(),
            stations=stations(),
        )
        self.engine = Engine(rules_of([document], complaints), self.registry, start_ms=START)
        self.position = 0

    def at(self, seconds: float, *said: tuple[str, str, Any]) -> list[tuple[str, str, str]]:
        """(kind, rule, device) of what is found when devices say (device, quantity, word) at this second; without: a tick."""
        now = START + int(seconds * 1_000)
        self.position += 1
        if said:
            rows = []
            for device, quantity, word in said:
                value = float("nan") if word is None else coded(QUANTITIES[quantity], word)
                assert value is not None
                rows.append((self.registry.slot_of[device], quantity, value, now, now, 0, self.position))
            found = self.engine.evaluate(ReadingBatch.of(rows))
        else:
            found = self.engine.tick(now, self.position)
        self.engine.commit(found)
        return [(e.kind, e.rule.id, e.device) for e in found.events]


def test_what_the_hub_knows_of_a_device_is_no_sign_of_its_life() -> None:
    """A detector that burns and falls silent is lost, however often the hub says that nobody is there."""
    scene = Scene(a_rule("lost", "offline", "{device_kind: charging_cabinet}", "{silent_s: 6}"))
    assert scene.at(4, ("cabinet-1", "unattended_s", 10)) == []
    assert scene.at(7) == [("raised", "lost", "cabinet-1")]
    assert scene.at(8, ("cabinet-1", "false_alarms_12m", 3), ("cabinet-1", "fire_confirmed", True)) == []


def test_a_command_to_a_device_is_no_sign_of_its_life() -> None:
    scene = Scene(a_rule("lost", "offline", "{device_kind: charging_cabinet}", "{silent_s: 6}"))
    assert scene.at(4, ("cabinet-1", "relay_wanted", False)) == []
    assert scene.at(7) == [("raised", "lost", "cabinet-1")]
    assert scene.at(8, ("cabinet-1", "relay_wanted", True)) == []
    assert scene.at(9, ("cabinet-1", "relay_on", True)) == [("cleared", "lost", "cabinet-1")]


CUT_UNCONFIRMED = a_rule(
    "cut-unconfirmed",
    "absence",
    "{device_kind: charging_cabinet, quantity: relay_on}",
    "{after: {quantity: relay_wanted, equals: false}, expect: {equals: false}, within_s: 5}",
)


def test_a_cut_command_that_is_not_confirmed_in_time_is_an_alert_until_it_is() -> None:
    scene = Scene(CUT_UNCONFIRMED)
    assert scene.at(0, ("cabinet-1", "relay_on", True)) == []
    assert scene.at(1, ("cabinet-1", "relay_wanted", False)) == []
    assert scene.at(5, ("cabinet-1", "relay_on", True)) == []
    assert scene.at(5.9) == []
    assert scene.at(6.2) == [("raised", "cut-unconfirmed", "cabinet-1")]
    assert scene.at(9, ("cabinet-1", "relay_on", None)) == []
    assert scene.at(10, ("cabinet-1", "relay_on", False)) == [("cleared", "cut-unconfirmed", "cabinet-1")]


def test_a_cut_command_that_is_confirmed_or_taken_back_in_time_tells_nobody() -> None:
    scene = Scene(CUT_UNCONFIRMED)
    assert scene.at(1, ("cabinet-1", "relay_on", True), ("cabinet-1", "relay_wanted", False)) == []
    assert scene.at(5, ("cabinet-1", "relay_on", False)) == []
    assert scene.at(7, ("cabinet-1", "relay_on", True), ("cabinet-1", "relay_wanted", False)) == []
    assert scene.at(11, ("cabinet-1", "relay_wanted", True)) == []
    assert scene.at(20) == []


def test_commands_that_are_repeated_put_the_alert_off_no_further() -> None:
    scene = Scene(CUT_UNCONFIRMED)
    for second in range(1, 6):
        assert scene.at(second, ("cabinet-1", "relay_wanted", False)) == []
    assert scene.at(6, ("cabinet-1", "relay_wanted", False)) == [("raised", "cut-unconfirmed", "cabinet-1")]


FIRE = (
    a_rule("smoke-alarm", "threshold", "{device_kind: smoke_alarm, quantity: smoke}", "{equals: true}"),
    a_rule(
        "fire-confirmed",
        "correlate",
        "{device_kind: smoke_alarm}",
        "{area: unit, within_s: 300, all: [{rule: smoke-alarm, count: 2}]}",
    ),
)


def test_gates_that_do_not_open_on_a_confirmed_fire_are_told_each() -> None:
    scene = Scene(
        *FIRE,
        a_rule(
            "gate-not-released",
            "absence",
            "{device_kind: lock, quantity: lock_state}",
            "{after: {rule: fire-confirmed, area: compound}, expect: {equals: [unlocked, unlocking]}, within_s: 10, keep: true}",
        ),
    )
    scene.at(0, ("lock-1", "lock_state", "locked"), ("lock-2", "lock_state", "unlocked"))
    assert scene.at(1, ("smoke-1", "smoke", True)) == [("raised", "smoke-alarm", "smoke-1")]
    assert scene.at(20) == [], "one detector is not enough to move gates"
    assert ("raised", "fire-confirmed", "smoke-2") in scene.at(21, ("smoke-2", "smoke", True))
    assert scene.at(30) == []
    assert scene.at(31.5) == [("raised", "gate-not-released", "lock-1")]
    assert scene.at(40, ("lock-1", "lock_state", "unlocked")) == [("cleared", "gate-not-released", "lock-1")]
    assert scene.at(41, ("lock-2", "lock_state", "locked")) == []
    assert scene.at(52) == [("raised", "gate-not-released", "lock-2")], "a gate that closes again during the fire"


def test_an_exit_that_is_locked_while_a_detector_smells_smoke_is_told_and_others_are_not() -> None:
    scene = Scene(
        FIRE[0],
        a_rule(
            "exit-locked",
            "absence",
            "{device_kind: lock, tag: escape-route, quantity: lock_state}",
            "{after: {rule: smoke-alarm, area: building}, expect: {equals: [unlocked, unlocking]}, within_s: 10, keep: true}",
        ),
    )
    scene.at(0, ("lock-1", "lock_state", "locked"), ("lock-2", "lock_state", "locked"))
    scene.at(1, ("smoke-1", "smoke", True))
    assert scene.at(12) == [("raised", "exit-locked", "lock-1")]
    scene.at(13, ("smoke-2", "smoke", True))
    assert scene.at(14, ("smoke-1", "smoke", False)) == [("cleared", "smoke-alarm", "smoke-1")]
    assert scene.at(15, ("smoke-2", "smoke", False)) == [
        ("cleared", "smoke-alarm", "smoke-2"),
        ("cleared", "exit-locked", "lock-1"),
    ]


def test_a_door_that_is_opened_without_access_and_one_that_is_held_open() -> None:
    scene = Scene(
        a_rule(
            "forced",
            "state_change",
            "{device_kind: door, quantity: door_open}",
            "{to: true, unless: [{quantity: access_result, equals: granted, within_s: 10}]}",
        ),
        a_rule("held", "state_change", "{device_kind: door, quantity: door_open}", "{to: true, for_s: 60}"),
    )
    assert scene.at(0, ("door-1", "door_open", False)) == []
    assert scene.at(1, ("door-1", "access_result", "granted"), ("door-1", "door_open", True)) == []
    assert scene.at(50) == []
    assert scene.at(61) == [("raised", "held", "door-1")]
    assert scene.at(62, ("door-1", "door_open", False)) == [("cleared", "held", "door-1")]
    assert scene.at(63, ("door-1", "door_open", True)) == [("raised", "forced", "door-1")]
    assert scene.at(63.4, ("door-1", "access_result", "granted")) == []
    assert scene.at(64, ("door-1", "door_open", False)) == [("cleared", "forced", "door-1")]


def test_a_lane_that_is_blocked_by_day_becomes_an_alert_when_the_night_begins_and_ends_with_it() -> None:
    scene = Scene(
        a_rule(
            "lane-at-night",
            "schedule",
            "{device_kind: fire_lane_camera, quantity: lane_occupied}",
            '{equals: true, hold_s: 180, during: {from: "08:10", to: "08:30"}}',
        )
    )  # the scene begins at 08:00 in Shanghai
    assert scene.at(0, ("lane-1", "lane_occupied", True)) == []
    found = {second: scene.at(second) for second in range(1, 1_900)}
    assert {second: events for second, events in found.items() if events} == {
        780: [("raised", "lane-at-night", "lane-1")],
        1_800: [("cleared", "lane-at-night", "lane-1")],
    }
