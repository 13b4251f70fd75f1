"""How the desk keeps calm: incidents and digests, withdrawn rules, sources that flap, evidence; on SQLite and PostgreSQL."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, update

from hub.alerts.recording import CHATTER
from hub.model.alerts import Alert, Subject
from hub.model.deliveries import Plan
from hub.model.rules import ConditionEvent
from hub.stores.incident_queries import IncidentQueries
from hub.stores.ledger import Ledger
from hub.stores.outbox import Outbox
from hub.stores.schema import alerts, deliveries, episodes, incidents, timers
from tests.contracts.test_desk import Room, fire, gone
from tests.support.alerts import STRANGER, T0, WORKER, PlainPlanner, event, rule
from tests.support.pace import patient

LOW = rule("low", "P3")
OFF = rule("off", "P4")
WINDOW = 1_800_000
CHATTER_RULE = rule(CHATTER, "P3")


class InBuildings(PlainPlanner):
    """A device "b1-7" hangs in building b1; everything else in no building."""

    def subject(self, event: ConditionEvent) -> Subject:
        building, dash, _ = event.device.partition("-")
        return replace(super().subject(event), building=building if dash else "")


class CalmRoom(Room):
    def __init__(self, ledger: Ledger, **more: Any) -> None:
        super().__init__(ledger, InBuildings(window=more.pop("window", WINDOW)))
        self.desk._find_rule = lambda rule_id: CHATTER_RULE if rule_id == CHATTER else None
        self.incidents = IncidentQueries(ledger)
        self.outbox = Outbox(ledger)

    def alert(self, device: str, rule_id: str = "low") -> Alert:
        rows = self.queries.list(scope=None, device=device, limit=500).rows
        return next(row for row in rows if row.rule_id == rule_id)

    def waiting(self) -> list[tuple[str, str, str]]:
        with self.ledger.read() as connection:
            rows = connection.execute(
                select(deliveries.c.alert_id, deliveries.c.transition, deliveries.c.recipient)
                .where(deliveries.c.state == "queued")
                .order_by(deliveries.c.id)
            )
            devices = {a.id: a.device_id for a in self.queries.list(scope=None, limit=500).rows}
            return [(devices[alert], transition, who) for alert, transition, who in rows]

    def everything(self) -> list[Any]:
        with self.ledger.read() as connection:
            return [*super().everything(), connection.execute(select(incidents).order_by(incidents.c.id)).all()]


@pytest.fixture
def room(ledger: Ledger) -> CalmRoom:
    return CalmRoom(ledger)


def low(device: str, at_ms: int, *, start_ms: int | None = None, kind: Any = "raised", **more: Any) -> ConditionEvent:
    return replace(event(kind, of=more.pop("of", LOW), device=device, at_ms=at_ms, start_ms=start_ms), **more)


# -- incidents


def test_the_first_fault_of_a_building_is_told_at_once_and_the_others_in_one_message_per_receiver(room):
    room.record(low("b1-1", T0))
    room.record(low("b1-2", T0 + 60_000), low("b1-3", T0 + 61_000))
    room.record(low("b1-4", T0 + 120_000))
    assert room.waiting() == [("b1-1", "raised", "crew"), ("b1-1", "raised", "head")]
    assert room.desk.run_timers(T0 + 59_000) == 0
    (incident, open_alerts), *others = room.incidents.list(scope=None).rows
    assert (incident.place, incident.rule_id, incident.alerts, open_alerts, others) == ("b1", "low", 4, 4, [])
    assert incident.digest_due_ms == T0 + WINDOW

    room.desk.run_timers(T0 + WINDOW - 1)
    assert not [t for _, t, _ in room.waiting() if t.startswith("digest")]
    room.desk.run_timers(T0 + WINDOW)
    assert [w for w in room.waiting() if w[1].startswith("digest")] == [
        ("b1-2", "digest:1", "crew"),
        ("b1-2", "digest:1", "head"),
    ]
    (row,) = [d for d in room.queries.deliveries(room.alert("b1-4").id) if d.recipient == "crew"]
    assert json.loads(row.about)["alerts"] == [room.alert(f"b1-{n}").id for n in (2, 3, 4)]
    room.desk.run_timers(T0 + 2 * WINDOW)
    assert len([t for _, t, _ in room.waiting() if t.startswith("digest")]) == 2  # once


def test_what_ended_before_the_digest_is_not_told_at_all(room):
    room.record(low("b1-1", T0), low("b1-2", T0 + 1_000), low("b1-3", T0 + 2_000))
    room.desk.act(room.alert("b1-2").id, "false_alarm", WORKER, T0 + 5_000, reason="x")
    room.desk.run_timers(T0 + WINDOW)
    told = [d for d in room.queries.deliveries(room.alert("b1-3").id) if d.transition == "digest:1"]
    assert [json.loads(d.about)["alerts"] for d in told] == [[room.alert("b1-3").id]] * 2
    assert room.queries.deliveries(room.alert("b1-2").id) == []  # nor that it is closed


def test_a_digest_of_which_all_ended_is_none(room):
    room.record(low("b1-1", T0), low("b1-2", T0 + 1_000))
    room.desk.act(room.alert("b1-2").id, "false_alarm", WORKER, T0 + 5_000, reason="x")
    room.desk.run_timers(T0 + WINDOW)
    assert not [t for _, t, _ in room.waiting() if t.startswith("digest")]
    assert room.incidents.list(scope=None).rows[0][0].digest_due_ms is None


def test_other_causes_and_places_and_urgent_alerts_are_told_by_themselves(room):
    urgent = rule("hot", "P2")
    room.record(
        low("b1-1", T0), low("b2-1", T0), low("b1-1", T0, of=OFF), low("b1-1", T0, of=urgent), fire(device="b1-1")
    )
    room.record(low("b1-2", T0 + 1, of=urgent), fire(device="b1-2", at_ms=T0 + 1))
    assert len([t for _, t, _ in room.waiting() if t == "raised"]) == 2 * 7
    assert room.alert("b1-2", "hot").incident_id is None
    assert room.alert("b1-2", "smoke").incident_id is None
    assert len({room.alert(*of).incident_id for of in (("b1-1",), ("b2-1",), ("b1-1", "off"))}) == 3


def test_where_no_building_is_known_the_grid_groups(room):
    room.record(low("x", T0), low("y", T0 + 1))
    assert room.incidents.list(scope=None).rows[0][0].place == room.alert("x").grid
    assert room.alert("y").incident_id == room.alert("x").incident_id


def test_without_a_window_every_alert_is_told_by_itself(ledger):
    room = CalmRoom(ledger, window=0)
    room.record(low("b1-1", T0), low("b1-2", T0 + 1))
    assert len(room.waiting()) == 4
    assert room.incidents.list(scope=None).rows == []


def test_the_last_alert_that_closes_closes_the_incident(room):
    room.record(low("b1-1", T0), low("b1-2", T0 + 1_000))
    for n, live in ((1, True), (2, False)):
        room.desk.act(room.alert(f"b1-{n}").id, "false_alarm", WORKER, T0 + 5_000 + n, reason="x")
        ((incident, open_alerts),) = room.incidents.list(scope=None).rows
        assert (incident.live, open_alerts) == (live, 2 - n)
    assert (incident.closed_at_ms, incident.digest_due_ms) == (T0 + 5_002, None)
    room.record(low("b1-3", T0 + 10_000))
    assert room.alert("b1-3").bundled_until_ms is None  # a new incident: told at once
    assert len(room.incidents.list(scope=None).rows) == 2


def test_alerts_that_settle_by_themselves_close_their_incident(room):
    room.record(low("b1-1", T0), low("b1-2", T0 + 1))
    for n in (1, 2):
        room.desk.act(room.alert(f"b1-{n}").id, "acknowledge", WORKER, T0 + 5)
    room.record(
        low("b1-1", T0 + 9_000, start_ms=T0, kind="cleared"), low("b1-2", T0 + 9_000, start_ms=T0 + 1, kind="cleared")
    )
    assert [incident.live for incident, _ in room.incidents.list(scope=None).rows] == [False]


def test_incidents_come_out_the_same_however_the_events_are_cut_and_replayed(ledger):
    room = CalmRoom(ledger)
    story = [low(f"b{n % 3}-{n}", T0 + n * 200_000, of=(LOW, OFF)[n % 2], kind="raised") for n in range(40)] + [
        low("b0-0", T0 + 9_000_000, start_ms=T0, kind="cleared")
    ]
    for one in story:
        room.record(one, now_ms=T0)
    before = room.everything()
    for size in (1, 7, len(story)):
        for start in range(0, len(story), size):
            assert room.record(*story[start : start + size], now_ms=T0).change == 0
    assert room.everything() == before


@pytest.mark.parametrize("size", [7, 64])
def test_batches_of_any_size_make_the_same_incidents(ledger, size):
    story = [low(f"b{n % 3}-{n}", T0 + n * 200_000, of=(LOW, OFF)[n % 2]) for n in range(40)]
    room = CalmRoom(ledger)
    for start in range(0, len(story), size):
        room.record(*story[start : start + size], now_ms=T0)
    found = {a.device_id: (a.incident_id, a.bundled_until_ms) for a in room.queries.list(scope=None, limit=500).rows}

    known: dict[tuple[str, str], Any] = {}
    from hub.alerts.incidents import grouped
    from hub.alerts.lifecycle import opened

    for one in story:
        place = one.device.partition("-")[0]
        alert = opened(one, Subject(grid="g"))
        made = grouped(alert, known.get((one.rule.id, place)), place=place, window_ms=WINDOW, at_ms=one.at_ms)
        known[one.rule.id, place] = made.incident
        assert found[one.device] == (made.alert.incident_id, made.alert.bundled_until_ms)


def test_500_faults_at_once_in_many_buildings_are_recorded_within_a_second(room):
    took = []
    for round_ in range(2):
        storm = [low(f"b{n % 100}-{n}", T0 + round_ * 1_000) for n in range(500)]
        began = time.process_time()
        room.record(*storm)
        took.append(time.process_time() - began)
    rows = room.incidents.list(scope=None, limit=500).rows
    assert sorted({(incident.alerts, open_alerts) for incident, open_alerts in rows}) == [(5, 5)]
    assert len(rows) == 100
    assert max(took) < patient(1.0), took


def test_escalations_of_bundled_alerts_go_on(room):
    room.record(low("b1-1", T0), low("b1-2", T0 + 1))
    assert room.count(timers) == 4
    room.desk.run_timers(T0 + 61_000)
    assert ("b1-2", "step:1", "backup") in room.waiting()


def test_a_fault_that_comes_again_soon_waits_for_the_digest_too(room):
    room.record(low("b1-1", T0), low("b1-1", T0 + 1_000, start_ms=T0, kind="cleared"), low("b1-1", T0 + 2_000))
    assert room.alert("b1-1").bundled_until_ms == T0 + WINDOW
    assert not [w for w in room.waiting() if w[1] == "raised:2"]
    room.desk.run_timers(T0 + WINDOW)
    assert ("b1-1", "digest:1", "crew") in room.waiting()


def test_a_rule_that_became_urgent_is_told_at_once_though_its_alert_is_in_an_incident(room):
    room.record(low("b1-1", T0), low("b1-2", T0 + 1))
    room.record(low("b1-2", T0 + 2_000, of=rule("low", "P2")))
    assert room.alert("b1-2").bundled_until_ms is None
    assert ("b1-2", "raised:2", "crew") in room.waiting()


def test_a_planner_that_fails_on_windows_tells_each_alert_by_itself(ledger):
    room = CalmRoom(ledger)
    room.planner.broken.add("window_ms")
    room.record(low("b1-1", T0), low("b1-2", T0 + 1))
    assert len([t for _, t, _ in room.waiting() if t == "raised"]) == 4


def test_a_planner_that_fails_on_one_alert_of_a_digest_still_tells_of_the_others(ledger):
    room = CalmRoom(ledger)

    class Half(InBuildings):
        def raised(self, alert: Alert, now_ms: int) -> Plan:
            if alert.device_id == "b1-2":
                raise RuntimeError("bug")
            return super().raised(alert, now_ms)

    room.record(low("b1-1", T0), low("b1-2", T0 + 1), low("b1-3", T0 + 2))
    room.desk._planner = Half(window=WINDOW)
    room.desk.run_timers(T0 + WINDOW)
    assert ("b1-3", "digest:1", "crew") in room.waiting()
    assert [r.detail["gaps"] for r in room.queries.audit(room.alert("b1-2").id) if r.action == "gap"]


def test_several_hubs_send_one_digest(ledger):
    room = CalmRoom(ledger)
    for building in range(8):
        room.record(low(f"b{building}-1", T0), low(f"b{building}-2", T0 + 1))
    others = [CalmRoom(ledger) for _ in range(3)]
    at_once = [threading.Thread(target=r.desk.run_timers, args=(T0 + WINDOW,)) for r in (room, *others)]
    for one in at_once:
        one.start()
    for one in at_once:
        one.join(30)
    room.desk.run_timers(T0 + WINDOW)
    digests = [w for w in room.waiting() if w[1] == "digest:1"]
    assert len(digests) == len(set(digests)) == 16


def test_two_people_who_close_the_last_two_alerts_at_once_close_the_incident(ledger):
    room = CalmRoom(ledger)
    for n in range(10):
        room.record(low(f"b{n}-1", T0), low(f"b{n}-2", T0 + 1))
        ids = [room.alert(f"b{n}-{k}").id for k in (1, 2)]
        taps = [
            threading.Thread(target=room.desk.act, args=(i, "false_alarm", WORKER, T0 + 9), kwargs={"reason": "x"})
            for i in ids
        ]
        for tap in taps:
            tap.start()
        for tap in taps:
            tap.join(30)
    assert {incident.live for incident, _ in room.incidents.list(scope=None).rows} == {False}


def test_an_incident_that_is_there_already_stops_no_alarm(room):
    """The ledger was put back from a copy in which the incident stayed and the alert did not."""
    room.record(low("b1-1", T0))
    with room.ledger.begin() as connection:
        first = connection.execute(select(incidents)).one()
        connection.execute(update(incidents).values(id=first.id, live=False))
        connection.execute(update(alerts).values(incident_id=None, live=False, case_state="closed"))
        connection.execute(episodes.delete())
    from hub.model.alerts import incident_id

    again = low("b1-1", T0 + 1)
    with room.ledger.begin() as connection:
        connection.execute(update(incidents).values(id=incident_id(again.alert_id)))
    assert room.record(again).raised == 1


def test_a_reader_sees_incidents_of_its_own_grids_only_page_by_page(room):
    for n in range(5):
        room.record(low(f"b{n}-1", T0 + n))
    page = room.incidents.list(scope=WORKER, limit=2)
    seen = [incident.place for incident, _ in page.rows]
    while page.next:
        page = room.incidents.list(scope=WORKER, limit=2, before=page.next)
        seen += [incident.place for incident, _ in page.rows]
    assert seen == ["b4", "b3", "b2", "b1", "b0"]
    assert room.incidents.list(scope=STRANGER).rows == []
    some = room.incidents.list(scope=None).rows[0][0].id
    assert room.incidents.one(some, scope=STRANGER) is None
    assert room.incidents.one(some) is not None
    assert [i.place for i, _ in room.incidents.list(scope=None, live=False).rows] == []
    rows = room.queries.list(scope=None, incident=some).rows
    assert [row.device_id for row in rows] == ["b4-1"]


# -- rules that were taken away


def _withdrawn(at_ms: int = T0 + 5_000, **more: Any) -> ConditionEvent:
    reason = more.pop("reason", "the rule was removed")
    return replace(event("withdrawn", at_ms=at_ms, start_ms=T0, **more), reason=reason)


@pytest.mark.parametrize("severity", ["P2", "P3", "P4"])
@pytest.mark.parametrize("latch", [False, True])
def test_a_lesser_alert_of_a_withdrawn_rule_closes_with_the_reason(room, severity, latch):
    spec = rule("warm", severity, latch=latch)
    room.record(fire(of=spec))
    assert room.record(_withdrawn(of=spec)).withdrawn == 1
    alert = room.only()
    assert (alert.alarm_state, alert.case_state, alert.live) == ("normal", "closed", False)
    assert (alert.closed_by, alert.close_reason) == ("hub", "the rule was removed")
    assert room.story() == ["raised", "withdrawn"]
    assert room.queries.audit(alert.id)[-1].detail["reason"] == "the rule was removed"
    assert [t for t, _, state in room.told() if state == "queued"] == ["closed"]
    assert room.desk.live_conditions() == []
    assert room.desk.run_timers(T0 + 10_000_000) == 0


def test_a_fire_of_a_withdrawn_rule_loses_its_condition_and_waits_for_a_person(room):
    room.record(fire())
    room.record(_withdrawn())
    assert room.states() == "latched/reported/live"
    assert room.queries.audit(room.only().id)[-1].detail["reason"] == "the rule was removed"
    assert room.desk.run_timers(T0 + 60_000) == 1  # and goes on climbing until somebody answers
    room.desk.act(room.only().id, "acknowledge", WORKER, T0 + 70_000)
    assert room.only().live
    room.desk.act(room.only().id, "on_scene", WORKER, T0 + 80_000)
    assert not room.desk.act(room.only().id, "close", WORKER, T0 + 90_000).live


def test_a_case_with_somebody_on_scene_is_ended_by_a_person_only(room):
    warm = rule("warm", "P3")
    room.record(fire(of=warm))
    room.desk.act(room.only().id, "on_scene", WORKER, T0 + 1_000)
    room.record(_withdrawn(of=warm))
    assert room.states() == "normal/on_scene/live"
    room.desk.act(room.only().id, "close", WORKER, T0 + 9_000)
    assert room.states() == "normal/closed/over"


def test_a_withdrawal_counts_once_and_never_ends_a_later_episode(room):
    warm = rule("warm", "P3")
    room.record(fire(of=warm))
    room.record(_withdrawn(of=warm))
    before = room.everything()
    assert room.record(_withdrawn(of=warm)).known == 1
    assert room.everything() == before
    room.record(fire(of=warm, at_ms=T0 + 60_000))
    room.record(_withdrawn(of=warm))
    assert [a.live for a in room.queries.list(scope=None).rows] == [True, False]


def test_a_withdrawn_rule_of_a_false_alarm_leaves_it_closed_and_normal(room):
    warm = rule("warm", "P3")
    room.record(fire(of=warm))
    room.desk.act(room.only().id, "false_alarm", WORKER, T0 + 1_000, reason="steam")
    room.record(_withdrawn(of=warm))
    assert room.states() == "normal/false_alarm/over"
    assert room.only().close_reason == "steam"
    assert room.desk.live_conditions() == []


def test_a_withdrawal_without_a_reason_gets_one(room):
    warm = rule("warm", "P3")
    room.record(fire(of=warm))
    room.record(_withdrawn(of=warm, reason=""))
    assert room.only().close_reason == "the rule was removed or changed"


def test_a_withdrawal_of_a_bundled_alert_closes_its_incident_quietly(room):
    room.record(low("b1-1", T0), low("b1-2", T0))
    room.record(*(replace(low(d, T0 + 5, start_ms=T0, kind="withdrawn"), reason="gone") for d in ("b1-1", "b1-2")))
    assert [incident.live for incident, _ in room.incidents.list(scope=None).rows] == [False]
    assert [(device, t) for device, t, _ in room.waiting()] == [("b1-1", "closed")]


# -- sources that flap


def _chatter(at_ms: int, **more: Any) -> ConditionEvent:
    evidence = {"transitions": 3, "within_s": 60}
    return replace(event("chatter", at_ms=at_ms, **more), reason="3 changes in 60 s", evidence=evidence)


def test_a_flapping_condition_is_marked_and_opens_one_work_order(room):
    gate = rule("gate", "P3")
    room.record(fire(of=gate, device="g1"))
    recorded = room.record(_chatter(T0 + 30_000, of=gate, device="g1", start_ms=T0))
    assert (recorded.chattering, recorded.raised) == (1, 1)
    flapping, order = room.alert("g1", "gate"), room.alert("g1", CHATTER)
    assert flapping.chattering
    assert [row.action for row in room.queries.audit(flapping.id)] == ["raised", "chatter"]
    assert room.queries.audit(flapping.id)[-1].detail["evidence"] == {"transitions": 3, "within_s": 60}
    assert (order.severity, order.live, order.case_state, order.chattering) == ("P3", True, "reported", False)
    assert room.queries.occurrences(order.id)[0].evidence == {"rule": "gate", "transitions": 3, "within_s": 60}
    assert len([w for w in room.waiting() if w[1] == "raised"]) == 4


def test_flapping_again_while_the_work_order_is_open_opens_no_other_and_tells_nobody(room):
    gate, door = rule("gate", "P3"), rule("door", "P3")
    room.record(fire(of=gate, device="g1"), fire(of=door, device="g1"))
    room.record(_chatter(T0 + 30_000, of=gate, device="g1", start_ms=T0))
    order = room.alert("g1", CHATTER)
    room.desk.act(order.id, "acknowledge", WORKER, T0 + 40_000)
    told = room.waiting()
    room.record(_chatter(T0 + 90_000, of=door, device="g1", start_ms=T0))
    room.record(_chatter(T0 + 190_000, of=gate, device="g1", start_ms=T0 + 180_000))
    after = room.alert("g1", CHATTER)
    assert (after.id, after.occurrences, after.case_state) == (order.id, 1, "accepted")
    assert room.waiting() == told
    assert [row.detail.get("rule") for row in room.queries.audit(order.id)][2:] == ["door", "gate"]


def test_a_closed_work_order_is_followed_by_a_new_one_when_it_flaps_anew(room):
    gate = rule("gate", "P3")
    room.record(fire(of=gate, device="g1"))
    room.record(_chatter(T0 + 30_000, of=gate, device="g1", start_ms=T0))
    first = room.alert("g1", CHATTER)
    room.desk.act(first.id, "close", WORKER, T0 + 40_000, reason="new hinge")
    before = room.everything()
    assert room.record(_chatter(T0 + 30_000, of=gate, device="g1", start_ms=T0)).known == 1  # a replay
    assert room.everything() == before
    room.record(_chatter(T0 + 90_000, of=gate, device="g1", start_ms=T0 + 80_000))
    assert room.alert("g1", CHATTER).id != first.id
    assert room.alert("g1", CHATTER).live


def test_two_rules_that_flap_at_the_same_moment_stop_nothing_though_the_first_order_is_closed(room):
    gate, door = rule("gate", "P3"), rule("door", "P3")
    room.record(fire(of=gate, device="g1"), fire(of=door, device="g1"))
    room.record(_chatter(T0 + 30_000, of=gate, device="g1", start_ms=T0))
    room.desk.act(room.alert("g1", CHATTER).id, "close", WORKER, T0 + 40_000, reason="new hinge")
    assert room.record(_chatter(T0 + 30_000, of=door, device="g1", start_ms=T0)).chattering == 1


@pytest.mark.parametrize("kind", ["cleared", "withdrawn", "raised"])
def test_the_mark_goes_when_the_condition_ends_or_begins_anew(room, kind):
    room.record(fire(device="g1"))
    room.record(_chatter(T0 + 30_000, device="g1", start_ms=T0))
    assert room.alert("g1", "smoke").chattering
    room.record(event(kind, device="g1", at_ms=T0 + 95_000, start_ms=T0 + 95_000 if kind == "raised" else T0))
    assert not room.alert("g1", "smoke").chattering


def test_without_the_rule_chatter_there_is_a_mark_and_no_work_order(ledger):
    room = CalmRoom(ledger)
    room.desk._find_rule = lambda rule_id: replace(CHATTER_RULE, enabled=False)
    room.record(fire(device="g1"))
    room.record(_chatter(T0 + 30_000, device="g1", start_ms=T0))
    room.record(_chatter(T0 + 40_000, device="stranger"))
    assert [a.rule_id for a in room.queries.list(scope=None).rows] == ["smoke"]
    strays = [row for row in room.queries.audit_since(0, 99) if row.alert_id is None]
    assert [(row.action, row.detail["device"]) for row in strays] == [("chatter", "stranger")]


def test_a_work_order_is_not_taken_for_a_condition_that_the_rules_should_watch(room):
    room.record(fire(device="g1"))
    room.record(_chatter(T0 + 30_000, device="g1", start_ms=T0))
    assert [c[:2] for c in room.desk.live_conditions()] == [("smoke", "g1")]


# -- evidence


def test_the_evidence_of_each_raising_is_kept_with_it(room):
    room.record(replace(fire(), evidence={"value": 61.5, "threshold": 60, "hold_s": 2}))
    room.record(gone(at_ms=T0 + 1_000))
    room.record(replace(fire(at_ms=T0 + 2_000), evidence={"members": ["a", "b"]}))
    first, second = room.queries.occurrences(room.only().id)
    assert (first.start_ms, first.cleared_at_ms) == (T0, T0 + 1_000)
    assert first.evidence == {"value": 61.5, "threshold": 60, "hold_s": 2}
    assert (second.cleared_at_ms, second.evidence) == (None, {"members": ["a", "b"]})


def test_what_an_older_hub_wrote_is_read_as_before(room):
    """A hub of the version before writes rows without the columns of this one."""
    room.record(fire())
    with room.ledger.begin() as connection:
        connection.execute(update(episodes).values(evidence=None))
        values = {c.name: v for c, v in zip(alerts.columns, connection.execute(select(alerts)).one(), strict=True)}
        for new in ("chattering", "incident_id", "bundled_until_ms"):
            del values[new]
        from sqlalchemy import column, insert, table

        old = table("alerts", *(column(name) for name in values))
        connection.execute(insert(old).values(**{**values, "id": "older", "device_id": "older"}))
    older = room.queries.one("older")
    assert older is not None
    assert (older.chattering, older.incident_id) == (False, None)
    assert room.queries.occurrences(room.alert("smoke-1", "smoke").id)[0].evidence == {}
