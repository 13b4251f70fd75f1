"""What the ledger tells of the hub's own work, on an SQLite file and on a real PostgreSQL."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import update

from hub.canary import ALARM
from hub.model.alerts import Seen
from hub.model.quantities import OWN
from hub.model.rules import ConditionEvent
from hub.stores.fact_queries import Beat, FactQueries
from hub.stores.ledger import Ledger
from hub.stores.outbox import Outbox
from hub.stores.schema import deliveries
from tests.contracts.test_desk import Room, fire, gone
from tests.support.alerts import T0, WORKER, event, rule

HOUR = 3_600_000


class Asking(Room):
    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self.facts = FactQueries(ledger)
        self.outbox = Outbox(ledger)

    def act(self, device: str, action: str, at_ms: int, reason: str = "") -> None:
        (alert,) = self.queries.list(scope=None, device=device, live=True).rows
        self.desk.act(alert.id, action, WORKER, at_ms, reason=reason)  # type: ignore[arg-type]


@pytest.fixture
def room(ledger: Ledger) -> Asking:
    return Asking(ledger)


def own(device: str, quantity: str = "unattended_s", severity: str = "P1", at_ms: int = T0) -> ConditionEvent:
    return replace(
        fire(device=device, of=rule(f"own-{quantity.replace('_', '-')}", severity), at_ms=at_ms), quantity=quantity
    )  # type: ignore[arg-type]


def test_a_fire_is_unattended_from_its_acknowledgement_until_somebody_is_there(room):
    room.record(
        fire(device="a"), fire(device="b"), fire(device="c", of=rule("warm", "P2")), fire(device="t", canary=True)
    )
    assert room.facts.unattended() == []
    for device in ("a", "b", "c", "t"):
        room.act(device, "acknowledge", T0 + 5_000)
    assert sorted(room.facts.unattended()) == [("a", T0 + 5_000), ("b", T0 + 5_000)]
    room.act("a", "on_scene", T0 + 60_000)
    room.record(gone(device="b", at_ms=T0 + 61_000))
    assert room.facts.unattended() == []


def test_a_second_fire_voids_the_acknowledgement_and_the_first_ones_time(room):
    room.record(fire(device="a"))
    room.act("a", "acknowledge", T0 + 5_000)
    room.record(fire(device="a", at_ms=T0 + 60_000))
    assert room.facts.unattended() == []


def test_an_alert_that_follows_from_a_fact_does_not_keep_it_alive(room):
    room.record(own("a"), fire(device="a"))
    for alert in room.queries.list(scope=None).rows:
        room.desk.act(alert.id, "acknowledge", WORKER, T0 + 5_000)
    assert room.facts.unattended() == [("a", T0 + 5_000)]
    first = next(a for a in room.queries.list(scope=None).rows if a.rule_id == "smoke")
    room.desk.act(first.id, "on_scene", WORKER, T0 + 9_000)
    assert room.facts.unattended() == []


def test_a_fire_is_confirmed_by_a_call_for_help_from_the_scene_only(room):
    room.record(fire(device="a"))
    room.act("a", "reinforce", T0 + 1_000)
    room.act("a", "on_scene", T0 + 60_000)
    assert room.facts.confirmed() == frozenset()
    room.act("a", "reinforce", T0 + 61_000)
    assert room.facts.confirmed() == {"a"}
    room.record(fire(device="a", at_ms=T0 + 90_000))  # burns again: whoever was there is asked anew
    assert room.facts.confirmed() == frozenset()


def test_a_confirmed_fire_that_is_closed_is_confirmed_no_more(room):
    room.record(fire(device="a"))
    room.act("a", "on_scene", T0 + 1_000)
    room.act("a", "reinforce", T0 + 2_000)
    room.record(gone(device="a", at_ms=T0 + 3_000))
    assert room.facts.confirmed() == {"a"}
    room.act("a", "close", T0 + 4_000)
    assert room.facts.confirmed() == frozenset()


def test_false_alarms_are_counted_by_device_from_a_time_on(room):
    for n in range(3):
        room.record(fire(device="a", at_ms=T0 + n * HOUR))
        room.act("a", "false_alarm", T0 + n * HOUR + 1, "cooking")
        room.record(gone(device="a", at_ms=T0 + n * HOUR + 2, start_ms=T0 + n * HOUR))
    for device, spec in (("b", rule("warm", "P2")), ("c", rule("low", "P3"))):
        room.record(fire(device=device, of=spec))
        room.act(device, "false_alarm", T0 + 1, "x")
    room.record(own("d"), fire(device="t", canary=True), fire(device="open"))
    for device in ("d", "t"):
        room.act(device, "false_alarm", T0 + 1, "x")
    assert room.facts.false_alarms(T0) == {"a": 3, "b": 1}
    assert room.facts.false_alarms(T0 + HOUR) == {"a": 2}


def test_refusals_are_counted_by_channel_until_they_succeed_or_are_old(room):
    room.record(fire(device="a", at_ms=T0))
    with room.ledger.begin() as connection:
        connection.execute(update(deliveries).where(deliveries.c.recipient == "crew").values(channel="webhook"))
    assert room.facts.refusals(T0) == {}
    by = {d.channel: d for d in room.outbox.claim(T0, "hub", limit=9, lease_ms=1_000)}
    for n in range(3):  # refused, tried again, refused, …
        at_ms = T0 + n * 5_000
        assert room.outbox.begin_send(by["webhook"].id, at_ms, owner=None) or n
        if n:
            room.outbox.claim(at_ms, "hub", limit=9, lease_ms=1_000)
            room.outbox.begin_send(by["webhook"].id, at_ms)
        assert room.facts.refusals(T0) == ({"webhook": n} if n else {})  # under way: neither yes nor no
        room.outbox.postpone(by["webhook"].id, at_ms + 5_000, "45009 too fast")
        assert room.facts.refusals(T0) == {"webhook": n + 1}
    room.outbox.give_up(by["console"].id, "no such receiver", T0)
    with room.ledger.begin() as connection:
        connection.execute(
            update(deliveries).where(deliveries.c.channel == "console").values(sent_at_ms=T0, attempts=1)
        )
    assert room.facts.refusals(T0) == {"webhook": 3, "console": 1}
    assert room.facts.refusals(T0 + 6_000) == {"webhook": 1}  # created before that time: it counts once
    room.outbox.claim(T0 + 20_000, "hub", limit=9, lease_ms=1_000)
    room.outbox.begin_send(by["webhook"].id, T0 + 20_000)
    room.outbox.accepted(by["webhook"].id, "ok", T0 + 20_000)
    assert room.facts.refusals(T0) == {"console": 1}


def test_how_many_alarms_somebody_was_told_of_leaves_out_tests_and_what_came_after_the_alarm(room):
    room.record(*(fire(device=f"d{n}", at_ms=T0 + n) for n in range(4)), fire(device="t", canary=True))
    room.record(fire(device="d0", at_ms=T0 + 500))  # again: the same alarm
    room.desk.run_timers(T0 + 200_000)
    room.record(gone(device="d1", at_ms=T0 + 300_000, start_ms=T0 + 1))
    assert room.facts.told(T0) == {"crew": 4, "head": 4}
    assert room.facts.told(T0 + 400_000) == {}


def test_what_stands_because_of_facts_is_known_also_when_people_called_it_false(room):
    room.record(own("a"), own("hub", "unmanned_grids", "P2"), own("c", "fire_confirmed"), fire(device="d"))
    room.act("c", "false_alarm", T0 + 1, "x")
    room.record(replace(gone(device="a", at_ms=T0 + 5, of=rule("own-unattended-s")), quantity="unattended_s"))
    assert sorted(room.facts.standing(OWN)) == [("c", "fire_confirmed"), ("hub", "unmanned_grids")]


def _beat(kind, at_ms: int, start_ms: int) -> ConditionEvent:
    spec = rule("hub-heartbeat", "P4")
    return replace(event(kind, of=spec, device="canary", at_ms=at_ms, start_ms=start_ms, canary=True), quantity=ALARM)


def test_a_heartbeat_is_one_alert_for_ever_and_tells_of_its_last_beat(room):
    assert room.facts.beat("canary") is None
    for n in range(5):
        at_ms = T0 + n * 120_000
        room.record(_beat("raised", at_ms, at_ms))
        assert room.facts.beat("canary") == Beat(True, at_ms)
        room.record(_beat("cleared", at_ms + 60_000, at_ms))
        assert room.facts.beat("canary") == Beat(False, at_ms + 60_000)
    (only,) = room.queries.list(scope=None).rows
    assert (only.occurrences, only.live, only.test) == (5, True, True)
    room.desk.act(only.id, "close", WORKER, T0 + 10**6, seen=Seen(occurrence=only.occurrences))
    assert room.facts.beat("canary") is None
    room.record(_beat("raised", T0 + 2 * 10**6, T0 + 2 * 10**6))
    assert room.facts.beat("canary") == Beat(True, T0 + 2 * 10**6)
