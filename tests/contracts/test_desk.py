"""What the desk promises, on an SQLite file and on a real PostgreSQL."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import func, select

from hub.alerts.desk import Desk
from hub.alerts.recording import Recorded
from hub.errors import IllegalAction, NotAllowed, NotFound, Unavailable
from hub.model.alerts import Alert, Seen
from hub.model.deliveries import NewTimer, Plan
from hub.model.readings import QuarantineRow
from hub.model.rules import ConditionEvent
from hub.stores.alert_queries import AlertQueries
from hub.stores.ledger import Ledger
from hub.stores.schema import alerts, audit, deliveries, episodes, timers
from tests.support.alerts import OTHER, STRANGER, T0, VIEWER, WORKER, PlainPlanner, event, rule
from tests.support.pace import patient
from tests.support.postgres import postgres


class Room:
    """A desk with everything around it, and short words for tests."""

    def __init__(self, ledger: Ledger, planner: PlainPlanner | None = None) -> None:
        self.ledger = ledger
        self.planner = planner or PlainPlanner()
        self.changes: list[int] = []
        self.outbox_calls: list[int] = []
        self.desk = Desk(
            ledger, self.planner, on_change=self.changes.append, on_outbox=lambda: self.outbox_calls.append(1)
        )
        self.queries = AlertQueries(ledger)

    def record(self, *events: ConditionEvent, position: int = 1, now_ms: int | None = None, **more: Any) -> Recorded:
        at_ms = now_ms if now_ms is not None else max((e.at_ms for e in events), default=T0)
        return self.desk.record(events, consumer="rules", journal="j", position=position, now_ms=at_ms, **more)

    def only(self) -> Alert:
        (alert,) = self.queries.list(scope=None).rows
        return alert

    def states(self) -> str:
        alert = self.only()
        return f"{alert.alarm_state}/{alert.case_state}/{'live' if alert.live else 'over'}"

    def story(self) -> list[str]:
        return [row.action for row in self.queries.audit(self.only().id)]

    def told(self, alert_id: str | None = None) -> list[tuple[str, str, str]]:
        rows = self.queries.deliveries(alert_id or self.only().id)
        return [(row.transition, row.recipient, row.state) for row in rows]

    def count(self, table: Any) -> int:
        with self.ledger.read() as connection:
            return int(connection.execute(select(func.count()).select_from(table)).scalar_one())

    def everything(self) -> list[Any]:
        """All rows of all tables that the desk writes, but for the cursor."""
        with self.ledger.read() as connection:
            return [
                connection.execute(select(table).order_by(*table.primary_key)).all()
                for table in (alerts, audit, deliveries, timers, episodes)
            ]


@pytest.fixture
def room(ledger: Ledger) -> Room:
    return Room(ledger)


def fire(*, at_ms: int = T0, **more: Any) -> ConditionEvent:
    return event("raised", at_ms=at_ms, **more)


def gone(*, at_ms: int, start_ms: int = T0, **more: Any) -> ConditionEvent:
    return event("cleared", at_ms=at_ms, start_ms=start_ms, **more)


# -- recording


def test_a_raised_event_becomes_an_alert_with_its_audit_deliveries_timers_and_position(room):
    recorded = room.record(fire(position=41), position=42)
    alert = room.only()
    assert alert.id == fire().alert_id
    assert (alert.severity, alert.grid, alert.station, alert.place_zh) == ("P1", "110101001001001", "north", "一号楼")
    assert (alert.title_zh, alert.action_en, alert.value, alert.position) == ("规则 smoke", "Send somebody", "true", 41)
    assert room.states() == "active_unacked/reported/live"
    assert room.told() == [("raised", "crew", "queued"), ("raised", "head", "queued")]
    assert room.count(timers) == 2
    assert room.desk.position_of("rules") == (42, "j")
    assert (recorded.raised, recorded.change, alert.change) == (1, 1, 1)
    assert (room.changes, room.outbox_calls) == ([1], [1])


def test_recording_nothing_moves_the_position_and_tells_nobody(room):
    assert room.desk.position_of("rules") is None
    room.record(position=7)
    room.record(position=9)
    assert room.desk.position_of("rules") == (9, "j")
    assert (room.changes, room.outbox_calls) == ([], [])


def test_the_same_events_again_change_nothing_in_whatever_batches_they_come(room):
    story = [
        fire(device="a", position=1),
        fire(device="b", position=2),
        gone(device="a", at_ms=T0 + 1_000, position=3),
        fire(device="a", at_ms=T0 + 2_000, position=4),
        event("test", device="c", at_ms=T0 + 3_000, position=5),
        gone(device="a", at_ms=T0 + 4_000, start_ms=T0 + 2_000, position=6),
    ]
    room.record(*story, position=7)
    before = room.everything()
    for size in (1, 2, 6):
        for start in range(0, len(story), size):
            again = room.record(*story[start : start + size], position=start + size + 1)
            assert again.change == 0
    assert room.everything() == before
    assert next(a for a in room.queries.list(scope=None).rows if a.device_id == "a").occurrences == 2


def test_a_replay_by_another_journal_or_consumer_changes_nothing_either(room):
    room.record(fire(position=900))
    before = room.everything()
    room.desk.record([fire(position=3)], consumer="other", journal="new", position=4, now_ms=T0)
    assert room.everything() == before


def test_a_fire_after_the_journal_lost_its_tail_is_not_taken_for_an_old_one(room):
    """Positions begin again below what the ledger has seen; the alarm must come through all the same."""
    room.record(fire(device="a", position=900), position=901)
    assert room.record(fire(device="a", at_ms=T0 + 60_000, position=5), position=6).repeated == 1
    assert room.record(fire(device="b", at_ms=T0 + 60_000, position=5), position=6).raised == 1


def test_a_fire_after_the_clock_was_set_back_alarms_again(room):
    room.record(fire(at_ms=T0))
    room.record(gone(at_ms=T0 + 1_000))
    room.record(fire(at_ms=T0 - 3_600_000))
    assert room.states() == "active_unacked/reported/live"
    assert room.only().occurrences == 2


def test_a_second_episode_makes_the_same_alert_louder(room):
    room.record(fire())
    room.desk.act(room.only().id, "acknowledge", WORKER, T0 + 5_000)
    room.desk.act(room.only().id, "on_scene", WORKER, T0 + 6_000)
    room.record(gone(at_ms=T0 + 10_000))
    assert room.states() == "latched/on_scene/live"
    room.record(fire(at_ms=T0 + 60_000))
    alert = room.only()
    assert (alert.occurrences, alert.acked_at_ms, alert.on_scene_at_ms) == (2, None, None)
    assert room.states() == "active_unacked/reported/live"
    assert ("raised:2", "crew", "queued") in room.told()
    assert ("cleared", "crew", "cancelled") in room.told()  # it would now be a lie
    room.desk.run_timers(T0 + 120_000)
    assert ("step:1:2", "backup", "queued") in room.told()
    assert room.story() == ["raised", "acknowledge", "on_scene", "returned", "raised_again", "escalated"]


def test_the_escalation_starts_again_with_a_second_episode(room):
    room.record(fire())
    assert room.desk.run_timers(T0 + 180_000) == 2
    room.record(fire(at_ms=T0 + 200_000))
    assert room.only().escalation_level == 0
    assert room.desk.run_timers(T0 + 259_999) == 0
    assert room.desk.run_timers(T0 + 260_000) == 1
    assert [t for t, _, state in room.told() if state == "queued"] == ["raised:2", "raised:2", "step:1:2"]


def test_calls_for_help_survive_a_second_episode(room):
    room.record(fire())
    room.desk.act(room.only().id, "reinforce", WORKER, T0 + 1_000)
    room.record(fire(at_ms=T0 + 2_000))
    assert ("reinforce:1", "backup", "queued") in room.told()


def test_a_lesser_alert_closes_itself_when_acknowledged_and_returned(room):
    warm = rule("warm", "P3")
    room.record(fire(of=warm))
    room.desk.act(room.only().id, "acknowledge", WORKER, T0 + 1_000)
    assert room.record(gone(at_ms=T0 + 2_000, of=warm)).closed == 1
    alert = room.only()
    assert room.states() == "normal/closed/over"
    assert (alert.closed_by, alert.close_reason) == ("hub", "returned to normal and acknowledged")
    assert room.story() == ["raised", "acknowledge", "returned", "closed"]
    assert ("closed", "crew", "queued") in room.told()
    room.record(fire(at_ms=T0 + 3_000, of=warm))
    assert len(room.queries.list(scope=None).rows) == 2


def test_a_p1_that_returns_stays_until_a_person_closes_it(room):
    room.record(fire())
    room.record(gone(at_ms=T0 + 1_000))
    assert room.states() == "latched/reported/live"
    assert ("cleared", "crew", "queued") in room.told()


def test_fire_clear_and_fire_within_one_batch_is_one_alert_with_every_step_in_the_audit(room):
    recorded = room.record(fire(), gone(at_ms=T0 + 300), fire(at_ms=T0 + 600))
    assert (recorded.raised, recorded.returned, recorded.repeated) == (1, 1, 1)
    assert room.states() == "active_unacked/reported/live"
    assert room.story() == ["raised", "returned", "raised_again"]
    waiting = [t for t, _, state in room.told() if state == "queued"]
    assert waiting == ["raised:2", "raised:2"]  # one notification each, about how things are now


def test_a_pressed_test_button_leaves_an_audit_entry_and_nothing_else(room):
    recorded = room.record(event("test", position=3))
    assert (recorded.tests, recorded.raised) == (1, 0)
    assert (room.count(alerts), room.count(deliveries)) == (0, 0)
    (entry,) = room.queries.audit_since(0, 10)
    assert (entry.action, entry.alert_id, entry.detail["device"]) == ("test", None, "smoke-1")


def test_the_hubs_own_test_fire_is_marked_and_closes_itself(room):
    room.record(fire(canary=True))
    assert room.only().test
    assert room.queries.open_counts()["P1"] == 0
    room.record(gone(at_ms=T0 + 1_000, canary=True))
    assert room.states() == "normal/closed/over"
    assert room.only().close_reason == "test over"


def test_the_end_of_an_unknown_episode_ends_the_live_alert_unless_it_is_older(room):
    room.record(fire(at_ms=T0))
    assert room.record(gone(at_ms=T0 - 1, start_ms=T0 - 9_000)).known == 1
    assert room.states() == "active_unacked/reported/live"
    assert room.record(gone(at_ms=T0 + 5_000, start_ms=T0 - 9_000)).returned == 1
    assert room.states() == "latched/reported/live"


def test_an_end_without_a_beginning_is_no_alert(room):
    assert room.record(gone(at_ms=T0)).known == 1
    assert room.count(alerts) == 0


def test_a_false_alarm_of_an_active_condition_stays_closed_until_the_device_fires_anew(room):
    room.record(fire())
    first = room.only()
    room.desk.act(first.id, "false_alarm", WORKER, T0 + 1_000, reason="cooking")
    assert room.states() == "active_acked/false_alarm/over"
    assert ("smoke", "smoke-1", T0, "active_acked") in room.desk.live_conditions()  # the rules go on from there
    assert room.record(fire()).known == 1
    room.record(gone(at_ms=T0 + 9_000))
    assert room.states() == "normal/false_alarm/over"
    assert ("cleared", "crew", "queued") not in room.told()
    assert room.desk.live_conditions() == []
    room.record(fire(at_ms=T0 + 20_000))
    assert [a.live for a in room.queries.list(scope=None).rows] == [True, False]


def test_live_conditions_tell_what_holds_and_what_has_returned(room):
    room.record(fire(device="a"), fire(device="b"), gone(device="b", at_ms=T0 + 1_000))
    room.record(fire(device="c"), gone(device="c", at_ms=T0 + 1_000), fire(device="c", at_ms=T0 + 2_000))
    assert sorted(room.desk.live_conditions()) == [
        ("smoke", "a", T0, "active_unacked"),
        ("smoke", "b", T0, "latched"),
        ("smoke", "c", T0 + 2_000, "active_unacked"),
    ]


def test_two_rules_on_one_device_are_two_alerts(room):
    room.record(fire(), fire(of=rule("heat")))
    assert room.queries.open_counts()["P1"] == 2


@pytest.mark.parametrize("broken", ["subject", "raised", "returned", "closed", "reinforced"])
def test_a_planner_with_a_bug_costs_a_gap_never_the_alert(ledger, broken):
    room = Room(ledger, PlainPlanner(broken={broken}))
    room.record(fire(device="a"), fire(device="b"))
    room.record(gone(device="a", at_ms=T0 + 1_000), gone(device="b", at_ms=T0 + 1_000))
    rows = room.queries.list(scope=None).rows
    assert [row.alarm_state for row in rows] == ["latched", "latched"]
    everybody = WORKER if broken != "subject" else OTHER.__class__(id="a", name="a", role="admin", grids=("*",))
    room.desk.act(rows[0].id, "reinforce", everybody, T0 + 2_000)
    room.desk.act(rows[0].id, "false_alarm", everybody, T0 + 3_000, reason="x")
    gaps = [row for row in room.queries.audit(rows[0].id) if row.action == "gap"]
    assert (len(gaps) == 0) == (broken == "subject")
    assert all(f"bug in {broken}" in gap.detail["gaps"][0] for gap in gaps)


def test_a_gap_in_the_plan_is_written_down(ledger):
    class Lonely(PlainPlanner):
        def raised(self, alert: Alert, now_ms: int) -> Plan:
            return Plan(gaps=("station north has nobody on duty",))

    room = Room(ledger, Lonely())
    room.record(fire())
    assert room.queries.audit(room.only().id)[-1].detail["gaps"] == ["station north has nobody on duty"]


def test_texts_that_a_database_cannot_hold_do_not_stop_an_alarm(room):
    room.record(fire(device="长" * 300, value="\x00\ud83d"))
    assert (room.only().device_id, room.only().value) == ("长" * 300, '"\\u0000?"')
    room.desk.act(room.only().id, "false_alarm", WORKER, T0 + 1, reason="a\x00\ud800")
    assert room.only().close_reason == "a\ufffd?"


def test_500_alarms_at_once_are_recorded_within_a_second(room):
    storm = [fire(device=f"d{n}", position=n) for n in range(500)]
    room.record()  # opens the connection
    took: list[float] = []
    for round_ in range(2):
        began = time.process_time()
        room.record(*[fire(device=e.device, at_ms=T0 + round_ * 1_000, position=e.position) for e in storm])
        took.append(time.process_time() - began)
    assert room.queries.open_counts()["P1"] == 500
    assert max(took) < patient(1.0), took


# -- people


def test_an_acknowledgement_stops_what_waits_for_it_and_keeps_the_rest(room):
    room.record(fire())
    after = room.desk.act(room.only().id, "acknowledge", WORKER, T0 + 5_000)
    assert (after.acked_by, after.acked_at_ms, after.change) == ("li", T0 + 5_000, 2)
    assert room.states() == "active_acked/accepted/live"
    assert room.told() == [("raised", "crew", "cancelled"), ("raised", "head", "queued")]
    assert room.changes == [1, 2]


def test_a_second_acknowledgement_changes_nothing_but_the_audit(room):
    room.record(fire())
    first = room.desk.act(room.only().id, "acknowledge", WORKER, T0 + 5_000)
    assert room.desk.act(first.id, "acknowledge", OTHER, T0 + 6_000) == first
    assert room.changes == [1, 2]
    last = room.queries.audit(first.id)[-1]
    assert (last.action, last.actor, last.detail["name"]) == ("acknowledge_again", "wang", "Wang")


def test_from_the_tap_on_acknowledge_to_the_end(room):
    room.record(fire())
    alert_id = room.only().id
    room.desk.act(alert_id, "acknowledge", WORKER, T0 + 5_000)
    room.desk.act(alert_id, "on_scene", OTHER, T0 + 90_000)
    with pytest.raises(IllegalAction, match="still reports the P1 condition"):
        room.desk.act(alert_id, "close", OTHER, T0 + 91_000)
    room.record(gone(at_ms=T0 + 95_000))
    closed = room.desk.act(alert_id, "close", OTHER, T0 + 99_000, reason="extinguished")
    assert (closed.live, closed.closed_by, closed.close_reason) == (False, "wang", "extinguished")
    assert room.story() == ["raised", "acknowledge", "on_scene", "returned", "close"]
    assert [(t, state) for t, _, state in room.told() if state == "queued"] == [("closed", "queued")]
    assert room.desk.run_timers(T0 + 10_000_000) == 0
    again = room.desk.act(alert_id, "close", OTHER, T0 + 100_000)
    assert again == closed
    assert room.story()[-1] == "close_again"


def test_a_call_for_help_goes_out_once_per_call_not_once_per_tap(room):
    room.record(fire())
    alert_id = room.only().id
    room.desk.act(alert_id, "reinforce", WORKER, T0 + 1_000, reason="third floor")
    room.desk.act(alert_id, "reinforce", WORKER, T0 + 2_000)
    room.desk.act(alert_id, "reinforce", OTHER, T0 + 3_000)
    room.desk.act(alert_id, "reinforce", WORKER, T0 + 62_000)
    assert [t for t, *_ in room.told() if t.startswith("reinforce")] == ["reinforce:1", "reinforce:2", "reinforce:3"]
    assert room.story() == ["raised", "reinforce", "reinforce_again", "reinforce", "reinforce"]
    assert room.queries.audit(alert_id)[1].detail == {
        "name": "Li",
        "role": "grid_worker",
        "via": "api",
        "reason": "third floor",
        "nth": 1,
    }
    assert room.states() == "active_unacked/reported/live"


def test_who_may_not_act_is_told_why(room):
    room.record(fire())
    alert_id = room.only().id
    with pytest.raises(NotAllowed, match="viewer may look at alerts but not act") as viewer:
        room.desk.act(alert_id, "acknowledge", VIEWER, T0)
    assert "grid_worker, station" in viewer.value.remedy
    with pytest.raises(NotAllowed, match="not in your area"):
        room.desk.act(alert_id, "acknowledge", STRANGER, T0)
    with pytest.raises(NotFound, match="no alert 'nope'"):
        room.desk.act("nope", "acknowledge", WORKER, T0)
    with pytest.raises(IllegalAction, match="no action 'explode'"):
        room.desk.act(alert_id, "explode", WORKER, T0)
    with pytest.raises(IllegalAction, match="needs a reason") as unreasoned:
        room.desk.act(alert_id, "false_alarm", WORKER, T0)
    assert "cooking" in unreasoned.value.remedy
    assert room.story() == ["raised"]
    assert room.changes == [1]


def test_acknowledging_what_has_returned_closes_it(room):
    warm = rule("warm", "P4")
    room.record(fire(of=warm), gone(at_ms=T0 + 1_000, of=warm))
    assert room.states() == "returned_unacked/reported/live"
    after = room.desk.act(room.only().id, "acknowledge", WORKER, T0 + 2_000)
    assert (after.case_state, after.closed_by, after.acked_by) == ("closed", "hub", "li")


# -- timers


def test_an_unanswered_alert_climbs_step_by_step(room):
    room.record(fire())
    assert room.desk.run_timers(T0 + 59_999) == 0
    assert room.desk.run_timers(T0 + 60_000) == 1
    assert room.only().escalation_level == 1
    assert room.desk.run_timers(T0 + 180_000) == 1
    assert room.desk.run_timers(T0 + 1_800_000) == 0
    assert room.only().escalation_level == 2
    assert [t for t, *_ in room.told()] == ["raised", "raised", "step:1", "step:2"]
    assert room.story() == ["raised", "escalated", "escalated"]


def test_a_step_that_is_no_longer_needed_leaves_no_trace(room):
    room.record(fire())
    room.desk.act(room.only().id, "on_scene", WORKER, T0 + 30_000)
    assert room.desk.run_timers(T0 + 180_000) == 2
    assert room.only().escalation_level == 0
    assert room.story() == ["raised", "on_scene"]


def test_steps_missed_while_the_hub_was_down_run_when_it_is_back(ledger):
    Room(ledger).record(fire())
    later = Room(ledger)
    assert later.desk.run_timers(T0 + 900_000) == 2
    assert later.only().escalation_level == 2


def test_a_step_may_ask_for_another_one(ledger):
    class Repeating(PlainPlanner):
        def step(self, alert: Alert, step: int, now_ms: int) -> Plan:
            plan = super().step(alert, step, now_ms)
            return Plan(
                deliveries=plan.deliveries, timers=(NewTimer(alert_id=alert.id, step=step, due_at_ms=now_ms + 60_000),)
            )

    room = Room(ledger, Repeating())
    room.record(fire())
    assert [room.desk.run_timers(T0 + minute * 60_000) for minute in (1, 2, 3)] == [1, 1, 2]


def test_an_escalation_that_cannot_be_planned_now_is_tried_again(ledger):
    room = Room(ledger, PlainPlanner(broken={"step"}))
    room.record(fire())
    assert room.desk.run_timers(T0 + 60_000) == 1
    assert room.desk.run_timers(T0 + 60_000) == 0
    room.planner.broken.clear()
    assert room.desk.run_timers(T0 + 70_000) == 1
    assert room.only().escalation_level == 1


def test_more_timers_than_one_batch_all_run(room):
    room.record(*[fire(device=f"d{n}") for n in range(250)])
    assert room.desk.run_timers(T0 + 60_000) == 250


def _together(jobs: Sequence[Any]) -> list[BaseException]:
    failures: list[BaseException] = []
    start = threading.Barrier(len(jobs))

    def run(job: Any) -> None:
        start.wait()
        try:
            job()
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return failures


def test_several_hubs_run_each_timer_once(ledger_url):
    ledgers = [Ledger.open(ledger_url) for _ in range(4)]
    rooms = [Room(each) for each in ledgers]
    rooms[0].record(*[fire(device=f"d{n}") for n in range(120)])
    counts: list[int] = []
    assert _together([lambda r=r: counts.append(r.desk.run_timers(T0 + 60_000)) for r in rooms]) == []
    while counts[-1] and (left := rooms[0].desk.run_timers(T0 + 60_000)):
        counts.append(left)
    assert sum(counts) == 120
    with ledgers[0].read() as connection:
        steps = connection.execute(select(func.count()).where(deliveries.c.transition == "step:1")).scalar_one()
        told = connection.execute(select(func.count()).where(audit.c.action == "escalated")).scalar_one()
    assert (steps, told) == (120, 120)
    for each in ledgers:
        each.close()


# -- several writers


def test_two_desks_that_see_the_same_fire_make_one_alert(ledger_url):
    ledgers = [Ledger.open(ledger_url) for _ in range(3)]
    rooms = [Room(each) for each in ledgers]
    for n in range(8):
        same = [fire(device=f"{n}-{k}") for k in range(20)]
        turned = [same, same[::-1], same[10:] + same[:10]]
        assert _together([lambda r=r, e=e: r.record(*e) for r, e in zip(rooms, turned, strict=True)]) == []
    with ledgers[0].read() as connection:
        assert connection.execute(select(func.count(), func.max(alerts.c.occurrences))).one() == (160, 1)
        assert connection.execute(select(func.count()).select_from(deliveries)).scalar_one() == 320
        assert connection.execute(select(func.count(), func.max(audit.c.id)).select_from(audit)).one() == (160, 160)
    for each in ledgers:
        each.close()


def test_two_desks_that_see_the_same_end_note_it_once(ledger_url):
    ledgers = [Ledger.open(ledger_url) for _ in range(3)]
    rooms = [Room(each) for each in ledgers]
    for n in range(8):
        rooms[0].record(*[fire(device=f"{n}-{k}") for k in range(20)])
        ends = [gone(device=f"{n}-{k}", at_ms=T0 + 1_000) for k in range(20)]
        turned = [ends, ends[::-1], ends[10:] + ends[:10]]
        assert _together([lambda r=r, e=e: r.record(*e) for r, e in zip(rooms, turned, strict=True)]) == []
    with ledgers[0].read() as connection:
        returned = select(func.count()).where(audit.c.action == "returned")
        assert connection.execute(returned).scalar_one() == 160
    for each in ledgers:
        each.close()


def test_two_desks_that_see_different_episodes_of_one_condition_make_one_alert(ledger_url):
    ledgers = [Ledger.open(ledger_url) for _ in range(3)]
    rooms = [Room(each) for each in ledgers]
    assert _together([lambda r=r, n=n: r.record(fire(at_ms=T0 + n)) for n, r in enumerate(rooms)]) == []
    assert (rooms[0].only().occurrences, rooms[0].count(episodes)) == (3, 3)
    for each in ledgers:
        each.close()


def test_people_tapping_while_the_rules_record_lose_nothing(ledger_url):
    ledgers = [Ledger.open(ledger_url) for _ in range(2)]
    rules, people = (Room(each) for each in ledgers)
    rules.record(*[fire(device=f"d{n}") for n in range(30)])
    ids = [alert.id for alert in rules.queries.list(scope=None).rows]

    def flicker() -> None:
        for n in range(1, 6):
            rules.record(*[gone(device=f"d{k}", start_ms=T0 + (n - 1) * 10, at_ms=T0 + n * 10 - 5) for k in range(30)])
            rules.record(*[fire(device=f"d{k}", at_ms=T0 + n * 10) for k in range(30)])

    def tap() -> None:
        for alert_id in ids * 2:
            while True:  # what alarmed again meanwhile is looked at, and answered again
                seen = Seen(occurrence=people.queries.one(alert_id).occurrences)
                try:
                    people.desk.act(alert_id, "acknowledge", WORKER, T0 + 1, seen=seen)
                    break
                except IllegalAction:
                    continue

    assert _together([flicker, tap, lambda: people.desk.run_timers(T0 + 60_000)]) == []
    rows = rules.queries.list(scope=None, limit=100).rows
    assert {row.occurrences for row in rows} == {6}
    for row in rows:
        taken = [entry for entry in rules.queries.audit(row.id) if entry.action.startswith("acknowledge")]
        assert len(taken) == 2
    for each in ledgers:
        each.close()


# -- the quarantine


def _rejected(topic: str = "t", *, at_ms: int = T0, position: int = 1, **more: Any) -> QuarantineRow:
    values: dict[str, Any] = {"reason": "not JSON", "codec": "native-v1", "payload": b"{", **more}
    return QuarantineRow(topic=topic, first_at_ms=at_ms, last_at_ms=at_ms, position=position, **values)


def test_rejected_messages_are_counted_by_topic_and_reason_and_keep_the_latest_bytes(room):
    room.record(quarantine=[_rejected(count=3)])
    room.record(quarantine=[_rejected(at_ms=T0 + 5, position=9, count=2, payload=b"["), _rejected("other")])
    first, other = room.queries.quarantine(10)
    assert (first.topic, first.count, first.payload, first.first_at_ms, first.last_at_ms) == ("t", 5, b"[", T0, T0 + 5)
    assert (other.topic, other.count) == ("other", 1)


def test_a_replay_does_not_count_rejected_messages_twice(room):
    for _ in range(3):
        room.record(quarantine=[_rejected(count=3)])
    assert room.queries.quarantine(10)[0].count == 3


def test_a_monstrous_topic_or_payload_is_kept_shortened(room):
    room.record(
        quarantine=[_rejected("长" * 65_000, payload=b"x" * 1_000_000, reason="r" * 999, detail="\x00" * 9_999)]
    )
    (row,) = room.queries.quarantine(10)
    assert (len(row.topic), len(row.payload), len(row.reason), len(row.detail)) == (500, 65_536, 200, 2_000)


def test_a_flood_of_topics_does_not_fill_the_disk(room, monkeypatch):
    monkeypatch.setattr("hub.stores.alert_rows._QUARANTINE_ROWS", 50)
    monkeypatch.setattr("hub.alerts.desk._SHORTEN_EVERY", 2)
    for n in range(5):
        room.record(quarantine=[_rejected(f"{n}-{k}", at_ms=T0 + n) for k in range(40)])
    kept = room.queries.quarantine(1_000)
    assert len(kept) == 50
    assert {row.topic.split("-")[0] for row in kept} == {"3", "4"}


# -- when the database is away


@pytest.mark.needs_postgres
def test_a_desk_outlives_a_restart_of_postgresql():
    with postgres() as server:
        ledger = Ledger.open(server.url("postgres"))
        room = Room(ledger)
        room.record(fire(device="a"), position=1)
        server.kill()
        for call in (
            lambda: room.record(fire(device="b")),
            lambda: room.desk.act("x", "acknowledge", WORKER, T0),
            lambda: room.desk.run_timers(T0 + 60_000),
            lambda: room.desk.position_of("rules"),
            lambda: room.queries.list(scope=None),
        ):
            with pytest.raises(Unavailable):
                call()
        server.start()
        room.record(fire(device="a"), fire(device="b"), position=2)
        assert room.desk.position_of("rules") == (2, "j")
        assert sorted(a.device_id for a in room.queries.list(scope=None).rows) == ["a", "b"]
        ledger.close()
