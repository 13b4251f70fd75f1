"""Whatever happens while an escalation waits, somebody is reached, and what was missing is said: on a clock moved by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from hub.alerts.desk import Desk
from hub.clock import ForwardClock
from hub.dispatch.escalation import StandardPlanner, load_policy
from hub.facts import hub_facts
from hub.model.alerts import Actor
from hub.model.places import Leave, Person, Shift, Station
from hub.registry.snapshot import Registry
from hub.stores.alert_queries import AlertQueries
from hub.stores.ledger import Ledger
from tests.support.alerts import event
from tests.support.notices import NOW_MS, ZONE
from tests.support.paths import CONFIG
from tests.support.registry import UNIT, a_device, hub_and_canary, people, places, stations

POLICY = load_policy(CONFIG / "escalation.yaml")
BERLIN = "Europe/Berlin"
NORTH = {"north", "crew-1", "crew-2", "crew-3", "crew-4"}
EAST = {"east", "crew-5", "crew-6", "crew-7", "crew-8"}


def town(*, given: Iterable[Station] = (), crowd: Iterable[Person] = ()) -> Registry:
    return Registry.of(
        [a_device("smoke-1", place=UNIT), *hub_and_canary()],
        places=places(),
        people=list(crowd) or people(),
        stations=list(given) or stations(),
    )


class Room:
    def __init__(self, ledger: Ledger, *, at_ms: int = NOW_MS, zone: str = ZONE) -> None:
        self.ledger, self.now, self.zone = ledger, at_ms, zone
        self.registry = town()
        self.start()

    def start(self) -> None:
        """The hub starts; of what was before there is nothing but the ledger."""
        self.planner = StandardPlanner(lambda: self.registry, POLICY, self.zone)
        self.desk = Desk(self.ledger, self.planner)
        self.queries = AlertQueries(self.ledger)

    def fire(self) -> None:
        self.began = self.now
        raised = event("raised", device="smoke-1", at_ms=self.now)
        self.desk.record([raised], consumer="rules", journal="j", position=1, now_ms=self.now)

    def at(self, s: float) -> None:
        """`s` seconds after the alarm."""
        self.now = self.began + int(s * 1_000)
        self.desk.run_timers(self.now)

    def told(self, transition: str) -> set[str]:
        (alert,) = self.queries.list(scope=None).rows
        rows = self.queries.deliveries(alert.id)
        return {r.recipient for r in rows if r.transition == transition and r.channel != "console"}

    def gaps(self) -> set[str]:
        (alert,) = self.queries.list(scope=None).rows
        rows = self.queries.audit(alert.id)
        return {str(gap) for row in rows if row.action == "gap" for gap in row.detail["gaps"]}

    def facts(self) -> set[str]:
        thin, unmanned = self.planner.thin(self.now), self.planner.unmanned(self.now)
        return {name for (_, name) in hub_facts(missed=0, unmanned=unmanned, thin=thin)}


@pytest.fixture
def room(ledger: Ledger) -> Room:
    return Room(ledger)


def test_a_restart_while_the_escalation_waits_loses_no_rung(room: Room) -> None:
    room.fire()
    room.at(30)
    room.start()
    room.at(59)
    assert room.told("step:1") == set()
    room.at(60)
    assert room.told("step:1") == NORTH | EAST
    room.start()
    room.at(3_600)  # was away for an hour: every rung that came due meanwhile is climbed at once
    assert "community-officer" in room.told("step:2")
    assert "street-officer" in room.told("step:3")


def test_a_clock_set_back_by_an_hour_delays_no_rung_and_one_set_forward_skips_none(room: Room) -> None:
    steady = [0]
    wall = [room.now * 1_000_000]
    clock = ForwardClock(lambda: wall[0], lambda: steady[0])
    room.fire()
    wall[0] -= 3_600 * 10**9
    steady[0] += 70 * 10**9  # seventy seconds pass; it runs a tenth slower until the wall has caught up
    room.desk.run_timers(clock())
    assert room.told("step:1") == NORTH | EAST
    wall[0] += 2 * 3_600 * 10**9
    room.desk.run_timers(clock())
    assert "community-officer" in room.told("step:2")
    assert "street-officer" in room.told("step:3")


@pytest.mark.parametrize("around", ["2024-03-31T01:59:30", "2024-10-27T02:59:30"])
def test_a_change_to_or_from_summer_time_moves_no_rung_and_finds_the_crew_of_the_wall(
    ledger: Ledger, around: str
) -> None:
    at_ms = int(datetime.fromisoformat(around).replace(tzinfo=ZoneInfo(BERLIN)).timestamp() * 1_000)
    room = Room(ledger, at_ms=at_ms, zone=BERLIN)
    north, east = stations()
    halves = (
        Shift(people=("crew-1", "crew-2", "crew-3"), start_min=0, end_min=180),
        Shift(people=("crew-2", "crew-3", "crew-4"), start_min=180, end_min=0),
    )
    room.registry = town(given=(replace(north, roster=halves), east))
    room.fire()
    assert room.told("raised") >= {"north", "crew-2", "crew-3"}
    room.at(30)  # at night: after half the time
    assert room.told("step:1") >= {"north", "crew-2", "crew-3", "east"}
    room.at(180)
    assert room.told("step:2") >= {"north", "community-officer"}


def test_a_roster_that_is_edited_while_the_escalation_waits_counts_from_the_next_rung(room: Room) -> None:
    room.fire()
    assert room.told("raised") == NORTH | {"worker-a"}
    north, east = stations()
    room.registry = town(
        given=(replace(north, roster=(Shift(people=("crew-4", "crew-8"), start_min=0, end_min=0),)), east)
    )
    room.at(60)
    assert room.told("step:1") == {"north", "crew-4", "crew-8"} | EAST
    assert room.facts() >= {"thin_stations"}


def test_leave_that_begins_while_the_escalation_waits_counts_from_the_next_rung(room: Room) -> None:
    room.fire()
    wall = datetime.fromtimestamp(room.now / 1_000, ZoneInfo(ZONE))
    minute = wall.toordinal() * 1_440 + wall.hour * 60 + wall.minute
    leave = (Leave(start=minute + 1, end=minute + 10_000),)
    away = [replace(p, leave=leave) if p.id in ("crew-1", "community-officer") else p for p in people()]
    room.registry = town(crowd=[replace(p, deputy="worker-b") if p.id == "community-officer" else p for p in away])
    room.at(60)
    assert "crew-1" not in room.told("step:1")
    room.at(180)
    assert "worker-b" in room.told("step:2")


def test_a_contact_that_is_deleted_while_the_escalation_waits_is_said_and_the_others_hear_it(room: Room) -> None:
    room.fire()
    mute = [replace(p, contacts=(), verified=()) if p.id in ("crew-1", "crew-2") else p for p in people()]
    room.registry = town(crowd=mute)
    room.at(60)
    assert room.told("step:1") == (NORTH | EAST) - {"crew-1", "crew-2"}
    assert room.gaps() >= {"person crew-1 has no contact", "person crew-2 has no contact"}
    assert room.facts() >= {"thin_stations"}


def test_when_every_contact_of_the_rung_is_deleted_it_climbs_by_itself(room: Room) -> None:
    room.fire()
    left = [replace(p, contacts=(), verified=()) if p.id != "street-officer" else p for p in people()]
    room.registry = town(given=(replace(s, contacts=()) for s in stations()), crowd=left)
    room.at(60)
    assert room.told("step:1") == {"street-officer"}
    assert room.facts() >= {"unmanned_grids"}


def test_a_station_that_disappears_while_the_escalation_waits_leaves_nobody_alone(room: Room) -> None:
    room.fire()
    _, east = stations()
    room.registry = town(given=(east,))
    room.at(60)
    assert room.told("step:1") >= {"community-officer", "street-officer"}
    assert any(gap.startswith("no station serves grid") for gap in room.gaps())


def test_an_empty_shift_tells_all_members_and_is_an_alert_of_its_own(room: Room) -> None:
    north, east = stations()
    room.registry = town(given=(replace(north, roster=()), east))
    room.fire()
    assert room.told("raised") == NORTH | {"worker-a"}
    assert room.gaps() == {"nobody is on duty at station north; telling all its members"}
    assert room.facts() == {"unmanned_grids"}


def test_a_whistle_escalates_at_once_and_the_second_one_further(room: Room) -> None:
    room.fire()
    (alert,) = room.queries.list(scope=None).rows
    crew = Actor(id="crew-1", name="Crew", role="station", stations=("*",))
    room.desk.act(alert.id, "reinforce", crew, room.now + 5_000)
    assert room.told("reinforce:1") == EAST | {"community-officer"}
    room.desk.act(alert.id, "reinforce", crew, room.now + 60_000)
    assert "street-officer" in room.told("reinforce:2")
    room.at(60)
    assert room.told("step:1") == NORTH | EAST  # a call for help is no acknowledgement


def test_the_others_go_on_hearing_it_after_the_first_acknowledgement_also_over_a_restart(room: Room) -> None:
    room.fire()
    (alert,) = room.queries.list(scope=None).rows
    crew = Actor(id="crew-1", name="Crew", role="station", stations=("*",))
    room.desk.act(alert.id, "acknowledge", crew, room.now + 5_000)
    room.at(300)
    room.start()
    room.at(420)
    heard = room.told("step:4")
    assert "crew-1" not in heard
    assert heard >= {"north", "crew-2", "east", "community-officer", "street-officer"}
    room.desk.act(alert.id, "on_scene", crew, room.now)
    room.at(10_000)
    assert room.told("step:5") == set()
