"""What silences, maintenance windows and drills promise, on an SQLite file and on a real PostgreSQL, on a clock moved by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hub.alerts.desk import Desk
from hub.alerts.silences import Silences
from hub.dispatch.escalation import StandardPlanner, load_policy
from hub.errors import IllegalAction, NotAllowed
from hub.model.alerts import Actor, Alert
from hub.model.rules import ConditionEvent
from hub.registry.snapshot import Registry
from hub.stores.alert_queries import AlertQueries
from hub.stores.ledger import Ledger
from hub.stores.silence_rows import SilenceQueries
from tests.support.alerts import event, rule
from tests.support.notices import NOW_MS as T0
from tests.support.notices import ZONE
from tests.support.paths import CONFIG
from tests.support.registry import BUILDING, COMPOUND, GRID_A, GRID_C, small_registry

POLICY = load_policy(CONFIG / "escalation.yaml")
OFFICER = Actor(id="officer", name="Officer", role="officer", grids=("*",))
CREW = Actor(id="crew-1", name="Crew", role="station", stations=("north",))
HOUR = 3_600_000
FAULT = rule("fault", "P2")


class Room:
    """A desk with the shipped ladder over the small town."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.now = T0
        self.registry: Registry = small_registry()
        self.open()

    def open(self) -> None:
        """Also after a restart: nothing is kept but the ledger."""
        planner = StandardPlanner(lambda: self.registry, POLICY, ZONE)
        self.desk = Desk(self.ledger, planner)
        self.silences = Silences(self.desk, lambda: self.registry)
        self.queries = AlertQueries(self.ledger)

    def make(self, kind: Any = "silence", actor: Actor = OFFICER, *, s: int = 3_600, **more: Any) -> int:
        more = {"place": GRID_A, "reason": "works"} | more
        return self.silences.make(kind, actor, self.now, end_ms=self.now + s * 1_000, **more).id

    def record(self, *events: ConditionEvent) -> None:
        self.desk.record(events, consumer="rules", journal="j", position=1, now_ms=self.now)

    def alarm(self, device: str = "smoke-1", of: Any = FAULT) -> Alert:
        self.record(event("raised", device=device, at_ms=self.now, of=of))
        return self.alert(device)

    def alert(self, device: str = "smoke-1") -> Alert:
        return self.queries.list(scope=None, device=device).rows[0]

    def passes(self, *, s: int) -> None:
        self.now += s * 1_000
        self.desk.run_timers(self.now)

    def told(self, device: str = "smoke-1") -> dict[str, set[str]]:
        """Transition → who has been told by something else than a console."""
        found: dict[str, set[str]] = {}
        for row in self.queries.deliveries(self.alert(device).id):
            if row.channel != "console" and row.state != "cancelled":
                found.setdefault(row.transition, set()).add(row.recipient)
        return found

    def story(self, device: str = "smoke-1") -> list[str]:
        return [row.action for row in self.queries.audit(self.alert(device).id)]


@pytest.fixture
def room(ledger: Ledger) -> Room:
    return Room(ledger)


def test_an_alarm_in_a_silence_is_kept_and_told_at_its_end_while_it_still_holds(room: Room) -> None:
    room.make(s=3_600)
    alert = room.alarm()
    assert (alert.live, alert.quiet, alert.quiet_until_ms) == (True, "silenced", T0 + HOUR)
    room.passes(s=3_599)
    assert room.told() == {}
    room.passes(s=1)
    assert "north" in room.told()["raised:2"]
    after = room.alert()
    assert (after.quiet, after.occurrences, after.alarm_state) == ("", 2, "active_unacked")
    assert room.story() == ["raised", "silence_over"]
    room.passes(s=300)  # its ladder begins at the end of the silence, not at the alarm
    assert "east" in room.told()["step:1:2"]


def test_what_was_over_before_the_end_is_told_to_nobody(room: Room) -> None:
    room.make()
    room.alarm()
    room.now += 60_000
    room.record(event("cleared", device="smoke-1", at_ms=room.now, start_ms=T0, of=FAULT))
    room.passes(s=HOUR // 1_000)
    assert room.told() == {}
    assert room.alert().quiet == ""


def test_a_silence_is_of_its_place_kind_device_and_time(room: Room) -> None:
    room.make(place=GRID_C)
    room.make(place="", devices=["smoke-2"])
    room.make(place=COMPOUND, device_kinds=["charging_cabinet"])
    room.make(place=BUILDING, start_ms=T0 + HOUR, s=7_200)
    assert room.alarm("smoke-1").quiet == ""
    assert room.alarm("smoke-2").quiet == "silenced"
    assert room.alarm("gate-1").quiet == "silenced"
    assert room.alarm("cabinet-1").quiet == "silenced"
    room.now += HOUR
    again = rule("other", "P3")
    assert room.alarm("smoke-1", again).quiet == "silenced"


def test_a_fire_is_told_in_spite_of_a_silence_that_does_not_name_it(room: Room) -> None:
    room.make("maintenance")
    assert room.alarm(of=rule()).quiet == ""
    assert "north" in room.told()["raised"]


def test_a_silence_with_fires_holds_them_and_tells_a_latched_one_at_its_end_too(room: Room) -> None:
    room.make("maintenance", include_p1=True)
    assert room.alarm(of=rule()).quiet == "silenced"
    room.now += 60_000
    room.record(event("cleared", device="smoke-1", at_ms=room.now, start_ms=T0))
    room.passes(s=HOUR // 1_000)
    assert room.alert().alarm_state == "latched"
    assert "north" in room.told()["raised:2"]


def test_a_fire_that_people_know_of_is_not_silenced_when_it_alarms_again(room: Room) -> None:
    room.alarm(of=rule())
    room.now += 60_000
    room.make("maintenance", include_p1=True)
    assert room.alarm(of=rule()).quiet == ""
    assert "north" in room.told()["raised:2"]


def test_only_an_officer_may_silence_fires_or_order_a_drill_and_every_silence_has_a_reason(room: Room) -> None:
    with pytest.raises(NotAllowed):
        room.make(actor=CREW, include_p1=True)
    with pytest.raises(NotAllowed):
        room.make("drill", CREW, tell=["crew-1"])
    with pytest.raises(NotAllowed):
        room.make(actor=CREW, place=GRID_C)
    assert room.make(actor=CREW, place=GRID_A)
    for wrong in (
        {"reason": " "},
        {"place": ""},
        {"place": "nowhere"},
        {"devices": ["gone"]},
        {"s": 30},
        {"s": 25 * 3_600},
        {"include_p1": True, "s": 5 * 3_600},
        {"tell": ["crew-1"]},
    ):
        with pytest.raises(IllegalAction):
            room.make(**wrong)
    with pytest.raises(IllegalAction):
        room.make("drill")


def test_ending_a_silence_early_tells_what_still_holds_at_once_and_is_recorded(room: Room) -> None:
    number = room.make()
    room.alarm()
    room.now += 60_000
    ended = room.silences.end(number, OFFICER, room.now)
    assert (ended.ended_at_ms, ended.ended_by) == (room.now, "officer")
    assert "north" in room.told()["raised:2"]
    with pytest.raises(IllegalAction):
        room.silences.end(number, OFFICER, room.now)
    actions = [row.action for row in room.queries.audit_since(0, 100)]
    assert actions[0] == "silence"
    assert "silence_ended" in actions


def test_a_second_silence_that_still_stands_keeps_the_alert_until_its_own_end(room: Room) -> None:
    room.make(s=3_600)
    room.alarm()
    room.now += 60_000
    room.make(s=7_200)
    room.passes(s=3_540)
    assert (room.told(), room.alert().quiet_until_ms) == ({}, room.now - 3_540_000 + 7_200_000)
    room.passes(s=3_660)
    assert "north" in room.told()["raised:2"]


def test_a_silence_lasts_over_a_restart_and_ends_also_when_nobody_was_there_at_its_end(room: Room) -> None:
    room.make()
    room.alarm()
    room.open()
    room.passes(s=60)
    assert room.told() == {}
    room.open()
    room.passes(s=3 * 3_600)
    assert "north" in room.told()["raised:2"]
    assert [s.ended_by for s in SilenceQueries(room.ledger).all(over_too=True)] == ["hub"]


def test_an_alarm_that_comes_to_light_after_the_silence_is_told_at_once(room: Room) -> None:
    room.make()
    late = event("raised", device="smoke-1", at_ms=T0 + 60_000, of=FAULT)
    room.now = T0 + 2 * HOUR
    room.record(late)
    assert "north" in room.told()["raised"]


def test_a_drill_marks_its_zone_and_tells_its_list_and_leaves_the_others_alone(room: Room) -> None:
    room.make("drill", tell=["crew-3", "east"])
    drilled = room.alarm("smoke-1", rule())
    assert (drilled.drill, drilled.quiet) == (True, "")
    assert room.told()["raised"] == {"crew-3", "east", "crew-5", "crew-6", "crew-7", "crew-8"}
    real = room.alarm("gate-1", rule())
    assert not real.drill
    assert "crew-5" in room.told("gate-1")["raised"]
    room.passes(s=60)
    assert room.told()["step:1"] == {"crew-3", "east", "crew-5", "crew-6", "crew-7", "crew-8"}
    channels = {row.channel for row in room.queries.deliveries(drilled.id)}
    assert "siren" not in channels


def test_a_drill_restores_itself_over_a_restart_and_what_still_burns_is_real_then(room: Room) -> None:
    room.make("drill", tell=["crew-3"], s=1_800)
    room.alarm(of=rule())
    room.open()
    room.passes(s=1_800)
    after = room.alert()
    assert (after.drill, after.occurrences) == (False, 2)
    assert "north" in room.told()["raised:2"]
    assert room.story()[-1] != "drill"
    assert not room.alarm("smoke-2", rule()).drill


def test_a_fire_that_was_real_before_the_drill_stays_real(room: Room) -> None:
    room.alarm(of=rule())
    room.now += 60_000
    room.make("drill", tell=["crew-3"])
    again = room.alarm(of=rule())
    assert (again.drill, again.occurrences) == (False, 2)
    assert "north" in room.told()["raised:2"]


def test_a_drill_whose_list_cannot_be_reached_tells_everybody_as_if_it_were_none(room: Room) -> None:
    room.make("drill", tell=["crew-3"])
    room.registry = replace(room.registry, people={k: v for k, v in room.registry.people.items() if k != "crew-3"})
    room.alarm(of=rule())
    assert "north" in room.told()["raised"]
    gaps = [row.detail["gaps"] for row in room.queries.audit(room.alert().id) if row.action == "gap"]
    assert "nobody of the drill's list can be reached" in gaps[0]


def test_a_pressed_test_button_is_recorded_and_pages_nobody(room: Room) -> None:
    room.record(event("test", device="smoke-1", at_ms=T0))
    assert room.queries.list(scope=None).rows == []
    assert [row.action for row in room.queries.audit_since(0, 10)] == ["test"]
