"""Shelving and out of service: quiet for a time, never for ever, never lost; on SQLite and PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest

from hub.alerts.shelf import MOST_OUT_S, MOST_S, Shelf
from hub.errors import IllegalAction, NotAllowed, NotFound
from hub.model.alerts import Alert, Seen
from hub.model.rules import ConditionEvent
from hub.stores.ledger import Ledger
from hub.stores.shelving_rows import Shelvings
from tests.contracts.test_desk import Room
from tests.support.alerts import GRID, OFFICER, STATION, STRANGER, T0, WORKER, event, rule

HOT, LOW, FIRE = rule("hot", "P2"), rule("low", "P3"), rule("smoke", "P1")


class Quiet(Room):
    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self.shelf, self.shelvings = Shelf(self.desk), Shelvings(ledger)

    def says(self, of: Any = HOT, *, at_ms: int = T0, kind: Any = "raised", start_ms: int | None = None) -> Alert:
        one: ConditionEvent = event(kind, of=of, device="d", at_ms=at_ms, start_ms=start_ms)
        self.desk.record([one], consumer="rules", journal="j", position=1, now_ms=at_ms)
        rows = self.queries.list(scope=None, device="d", limit=50).rows
        return max((row for row in rows if row.rule_id == of.id), key=lambda row: row.raised_at_ms)

    def now(self, alert: Alert) -> Alert:
        found = self.queries.one(alert.id)
        assert found is not None
        return found

    def told(self, alert: Alert) -> list[tuple[str, str]]:
        return [(row.transition, row.state) for row in self.queries.deliveries(alert.id)]

    def shelve(self, alert: Alert, **more: Any) -> Alert:
        said = {"kind": "timed", "for_s": 600, "reason": "repair", "now_ms": T0 + 1_000, **more}
        now_ms = said.pop("now_ms")
        return self.shelf.shelve(alert.id, WORKER, now_ms, **said)


@pytest.fixture
def room(ledger: Ledger) -> Quiet:
    return Quiet(ledger)


def refusal(work: Any) -> str:
    with pytest.raises(IllegalAction) as refused:
        work()
    assert refused.value.remedy
    return refused.value.code


def test_a_shelved_alert_tells_nobody_and_climbs_nowhere_until_its_time_is_over(room: Quiet) -> None:
    alert = room.says()
    shelved = room.shelve(alert)
    assert (shelved.quiet, shelved.quiet_until_ms, shelved.alarm_state) == (
        "shelved", T0 + 601_000, "active_unacked",
    )  # fmt: skip
    assert {state for _, state in room.told(alert)} == {"cancelled"}
    room.desk.run_timers(T0 + 300_000)
    assert {state for _, state in room.told(alert)} == {"cancelled"}
    assert room.now(alert).escalation_level == 0
    room.desk.run_timers(T0 + 601_000)
    woken = room.now(alert)
    assert (woken.quiet, woken.occurrences, woken.received_at_ms) == ("", 2, T0 + 601_000)
    assert [told for told in room.told(alert) if told[1] == "queued"] == [("raised:2", "queued")] * 2
    assert [row.action for row in room.queries.audit(alert.id)] == ["raised", "shelved", "unshelved"]
    room.desk.run_timers(T0 + 900_000)
    assert room.now(alert).occurrences == 2  # once
    assert room.shelvings.all(scope=None) == []


def test_what_was_acknowledged_before_is_not_acknowledged_when_it_wakes(room: Quiet) -> None:
    alert = room.says()
    room.desk.act(alert.id, "acknowledge", WORKER, T0 + 500)
    room.shelve(alert)
    room.desk.run_timers(T0 + 700_000)
    assert (room.now(alert).acked_at_ms, room.now(alert).case_state) == (None, "reported")
    old = Seen(occurrence=1)
    assert refusal(lambda: room.desk.act(alert.id, "acknowledge", WORKER, T0, seen=old)) == "alarmed-again"


def test_a_condition_that_ended_while_shelved_wakes_nobody(room: Quiet) -> None:
    alert = room.says()
    room.shelve(alert)
    room.says(kind="cleared", at_ms=T0 + 5_000, start_ms=T0)
    room.desk.run_timers(T0 + 700_000)
    assert (room.now(alert).quiet, room.now(alert).occurrences) == ("", 1)
    assert {state for _, state in room.told(alert)} == {"cancelled"}


def test_a_timed_shelving_outlives_the_alert_and_one_shot_does_not(room: Quiet) -> None:
    for kind, quiet in (("timed", "shelved"), ("one_shot", "")):
        spec = rule(kind.replace("_", "-"), "P2")
        alert = room.says(spec)
        room.desk.act(alert.id, "acknowledge", WORKER, T0 + 10)
        room.shelve(alert, kind=kind)
        room.says(spec, kind="cleared", at_ms=T0 + 5_000, start_ms=T0)
        assert not room.now(alert).live
        again = room.says(spec, at_ms=T0 + 9_000)
        assert (again.id != alert.id, again.quiet) == (True, quiet), kind
        assert bool(room.told(again)) == (quiet == "")
    room.desk.run_timers(T0 + 700_000)
    assert [row.quiet for row in room.queries.list(scope=None, live=True).rows] == ["", ""]


def test_a_fire_is_never_shelved_not_even_one_that_became_one(room: Quiet) -> None:
    assert refusal(lambda: room.shelve(room.says(FIRE))) == "shelve-p1"
    alert = room.says(LOW)
    room.shelve(alert)
    room.says(LOW, kind="cleared", at_ms=T0 + 2_000, start_ms=T0)
    worse = room.says(rule("low", "P1"), at_ms=T0 + 3_000)
    assert (worse.severity, worse.quiet) == ("P1", "")
    assert ("raised:2", "queued") in room.told(worse)


def test_nothing_is_shelved_for_ever_twice_or_without_a_reason(room: Quiet) -> None:
    alert = room.says()
    for more, code in (
        ({"for_s": MOST_S["P2"] + 1}, "shelve-time"),
        ({"for_s": 59}, "shelve-time"),
        ({"for_s": None}, "shelve-time"),
        ({"reason": " "}, "shelve-reason"),
        ({"reason": "x" * 501}, "shelve-reason"),
    ):
        assert refusal(lambda more=more: room.shelve(alert, **more)) == code
    assert room.shelve(alert, kind="one_shot", for_s=None).quiet_until_ms == T0 + 1_000 + MOST_S["P2"] * 1_000
    assert refusal(lambda: room.shelve(alert)) == "shelve-again"
    room.shelf.unshelve(alert.id, WORKER, T0 + 2_000)
    assert refusal(lambda: room.shelf.unshelve(alert.id, WORKER, T0 + 2_000)) == "shelve-not"
    with pytest.raises(NotAllowed):
        room.shelf.shelve(alert.id, STRANGER, T0, kind="timed", for_s=60, reason="x")


def test_a_device_out_of_service_is_recorded_and_tells_nobody_not_even_a_fire(room: Quiet) -> None:
    before = room.says(LOW)
    room.shelf.take_out("d", GRID, STATION, OFFICER, T0 + 1_000, for_s=3_600, reason="renovation")
    assert room.now(before).quiet == "out_of_service"
    fire = room.says(FIRE, at_ms=T0 + 5_000)
    assert (fire.quiet, fire.live, room.told(fire)) == ("out_of_service", True, [])
    room.desk.run_timers(T0 + 3_000_000)
    assert room.told(fire) == []
    room.desk.act(fire.id, "reinforce", WORKER, T0 + 6_000)  # who stands there and calls is heard
    assert [transition for transition, _ in room.told(fire)] == ["reinforce:1"]
    room.desk.run_timers(T0 + 3_601_000)
    assert (room.now(fire).quiet, room.now(fire).occurrences) == ("", 2)
    assert ("raised:2", "queued") in room.told(fire)
    assert ("raised:2", "queued") in room.told(before)


def test_only_an_officer_takes_out_and_a_replay_changes_nothing(room: Quiet) -> None:
    for who, wrong in ((WORKER, NotAllowed), (STRANGER, NotFound)):
        with pytest.raises(wrong):
            room.shelf.take_out("d", GRID, STATION, who, T0, for_s=600, reason="x")
    with pytest.raises(IllegalAction):
        room.shelf.take_out("d", GRID, STATION, OFFICER, T0, for_s=MOST_OUT_S + 1, reason="x")
    room.shelf.take_out("d", GRID, STATION, OFFICER, T0, for_s=600, reason="x")
    alert = room.says(FIRE, at_ms=T0 + 5_000)
    change = room.now(alert).change
    assert room.says(FIRE, at_ms=T0 + 5_000).change == change
    ended = room.shelf.put_back("d", GRID, STATION, OFFICER, T0 + 9_000)
    assert (ended.ended_by, room.shelf.out("d")) == (OFFICER.id, None)
    assert room.now(alert).occurrences == 2
