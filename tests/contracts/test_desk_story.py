"""Random lives of alerts: whatever devices, people, timers, crashes and replays do, the promises hold."""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import func, select

from hub.alerts import casework
from hub.alerts.case_desk import CaseDesk
from hub.alerts.desk import Desk
from hub.alerts.lifecycle import ACTIVE, OPEN
from hub.errors import IllegalAction
from hub.model.alerts import ACTIONS, Action, Seen
from hub.model.rules import ConditionEvent
from hub.stores.alert_queries import AlertQueries
from hub.stores.case_queries import CaseQueries
from hub.stores.ledger import Ledger
from hub.stores.outbox import Outbox
from hub.stores.schema import alerts, audit, cases, deliveries, episodes, incidents, timers
from tests.support.alerts import OFFICER, OTHER, T0, WORKER, PlainPlanner, event
from tests.support.alerts import rule as make_rule
from tests.support.ledgers import BACKENDS, migrated_url

RULES = [make_rule("fire", "P1"), make_rule("hot", "P2"), make_rule("leak", "P2", latch=True), make_rule("low", "P4")]
CONDITIONS = [(spec, "a") for spec in RULES] + [(RULES[0], "b")]
PEOPLE = {WORKER.id, OTHER.id, OFFICER.id}


class Life(RuleBasedStateMachine):
    backend = "sqlite"

    def __init__(self) -> None:
        super().__init__()
        self.exits = ExitStack()
        folder = Path(self.exits.enter_context(tempfile.TemporaryDirectory()))
        self.url = self.exits.enter_context(migrated_url(self.backend, folder))
        self.now_ms = T0
        self.holding: dict[tuple[str, str], int] = {}  # what the rules believe: condition → start of its episode
        self.recorded: list[ConditionEvent] = []
        self.entries = 0

    @initialize()
    def begin(self) -> None:
        self.start_hub()

    def start_hub(self) -> None:
        self.ledger = Ledger.open(self.url)
        self.desk = Desk(self.ledger, PlainPlanner(window=60_000))
        self.queries = AlertQueries(self.ledger)
        self.outbox = Outbox(self.ledger)
        self.cases, self.case_desk = CaseQueries(self.ledger), CaseDesk(self.desk)

    def teardown(self) -> None:
        self.ledger.close()
        self.exits.close()

    def tick(self, ms: int = 1_000) -> int:
        self.now_ms += ms
        return self.now_ms

    def record(self, *events: ConditionEvent) -> None:
        self.desk.record(events, consumer="rules", journal="j", position=len(self.recorded), now_ms=self.now_ms)

    # -- what happens

    @rule(which=st.lists(st.sampled_from(CONDITIONS), min_size=1, max_size=4))
    def conditions_change(self, which):
        """Conditions that hold end, the others begin; several in one batch."""
        batch = []
        for spec, device in which:
            at_ms = self.tick()
            start_ms = self.holding.pop((spec.id, device), None)
            kind = "raised" if start_ms is None else "cleared"
            if start_ms is None:
                self.holding[spec.id, device] = start_ms = at_ms
            position = len(self.recorded) + len(batch)
            batch.append(event(kind, of=spec, device=device, at_ms=at_ms, start_ms=start_ms, position=position))
        self.record(*batch)
        self.recorded += batch

    @precondition(lambda self: self.recorded)
    @rule(data=st.data())
    def a_replay(self, data):
        """Everything from some point on is recorded again, cut differently; nothing may change."""
        before = self.everything()
        start = data.draw(st.integers(0, len(self.recorded) - 1))
        again = self.recorded[start:]
        cut = data.draw(st.integers(0, len(again)))
        self.record(*again[:cut])
        self.record(*again[cut:])
        assert self.everything() == before

    @rule(action=st.sampled_from(ACTIONS), who=st.sampled_from([WORKER, OTHER]), reason=st.sampled_from(["", "seen"]))
    def a_person_acts(self, action: Action, who, reason):
        at_ms = self.tick(500)
        for alert in self.queries.list(scope=None, limit=3).rows:
            seen = Seen(occurrence=alert.occurrences, severity=alert.severity)
            try:
                after = self.desk.act(alert.id, action, who, at_ms, reason=reason, seen=seen)
            except IllegalAction as refused:
                assert refused.remedy  # noqa: PT017
                assert self.queries.one(alert.id) == alert
                continue
            if alert.severity == "P1" and action == "close":
                assert alert.on_scene_at_ms is not None
                assert alert.alarm_state not in ACTIVE
            again = self.desk.act(alert.id, action, who, at_ms, reason=reason, seen=seen) if after.live else after
            assert again == after

    @rule(move=st.sampled_from(casework.PEOPLE), who=st.sampled_from([WORKER, OTHER, OFFICER]))
    def a_case_is_moved(self, move, who):
        at_ms = self.tick(500)
        for alert in self.queries.list(scope=None, limit=3).rows:
            before = self.cases.one(alert.id)
            try:
                seen = Seen(occurrence=alert.occurrences)
                after = self.case_desk.move(alert.id, move, who, at_ms, words="found", to="crew", seen=seen)
            except IllegalAction as refused:
                assert refused.remedy  # noqa: PT017
                assert (self.cases.one(alert.id), self.queries.one(alert.id)) == (before, alert)
                continue
            assert self.cases.one(alert.id) == after

    @rule(later_s=st.sampled_from([1, 60, 180]))
    def time_passes(self, later_s):
        self.desk.run_timers(self.tick(later_s * 1_000))

    @rule(send=st.booleans())
    def a_courier_works(self, send):
        for delivery in self.outbox.claim(self.now_ms, "one", limit=5, lease_ms=1_000):
            if self.outbox.begin_send(delivery.id, self.now_ms, owner="one") and send:
                self.outbox.accepted(delivery.id, "r", self.now_ms)
        self.tick(2_000)

    @rule()
    def the_hub_restarts(self):
        self.ledger.close()
        self.start_hub()
        known = {(r, d): start for r, d, start, state in self.desk.live_conditions() if state.startswith("active")}
        assert known == self.holding  # the rules can go on from what the ledger tells them

    # -- what must hold

    def everything(self):
        with self.ledger.read() as connection:
            return [
                connection.execute(select(table).order_by(*table.primary_key)).all()
                for table in (alerts, episodes, audit, deliveries, timers, incidents, cases)
            ]

    @invariant()
    def one_live_alert_per_condition(self):
        rows = self.queries.list(scope=None, limit=500).rows
        live = [(row.rule_id, row.device_id) for row in rows if row.live]
        assert len(live) == len(set(live))
        for row in rows:
            assert row.live == (row.case_state in OPEN)
            assert (row.closed_at_ms is None) == row.live
        with self.ledger.read() as connection:
            raised = connection.execute(select(func.count()).select_from(episodes)).scalar_one()
        assert sum(row.occurrences for row in rows) == raised

    @invariant()
    def every_alert_has_its_case_and_they_agree(self):
        for alert in self.queries.list(scope=None, limit=500).rows:
            case = self.cases.one(alert.id)
            assert case is not None
            own_way = case.reopened or case.sent_back or case.dispatched_at_ms is not None
            if alert.live or not own_way:
                assert casework.SHORT[case.step] == alert.case_state
            if alert.severity == "P1" and case.step == "closed":
                assert case.verified_at_ms is not None
                assert case.closed_by == OFFICER.id
            assert casework.agreed(case, alert) == case

    @invariant()
    def an_incident_is_open_as_long_as_one_of_its_alerts(self):
        rows = self.queries.list(scope=None, limit=500).rows
        with self.ledger.read() as connection:
            known = {row.id: row for row in connection.execute(select(incidents))}
        assert {row.incident_id for row in rows if row.incident_id} == set(known)
        for incident in known.values():
            members = [row for row in rows if row.incident_id == incident.id]
            assert incident.live == any(row.live for row in members)
            assert incident.alerts == len(members)
            assert {row.severity for row in members} <= {"P3", "P4"}
            assert incident.live or incident.digest_due_ms is None

    @invariant()
    def what_holds_is_never_silent(self):
        """A condition that holds has a live, active alert, or was called a false alarm or closed by a person."""
        rows = self.queries.list(scope=None, limit=500).rows
        for condition in self.holding:
            latest = max((r for r in rows if (r.rule_id, r.device_id) == condition), key=lambda r: r.raised_at_ms)
            assert latest.alarm_state in ACTIVE
            assert latest.live or latest.closed_by in PEOPLE

    @invariant()
    def a_p1_or_latched_alert_is_ended_by_a_person_only(self):
        for row in self.queries.list(scope=None, live=False, limit=500).rows:
            if row.rule_id in ("fire", "leak"):
                assert row.closed_by in PEOPLE
            if row.rule_id == "fire" and row.case_state == "closed":
                assert row.on_scene_at_ms is not None

    @invariant()
    def every_change_has_its_audit_entry(self):
        with self.ledger.read() as connection:
            numbers = connection.execute(select(audit.c.id).order_by(audit.c.id)).scalars().all()
        assert list(numbers) == list(range(1, len(numbers) + 1))
        assert len(numbers) >= self.entries
        self.entries = len(numbers)
        for row in self.queries.list(scope=None, limit=500).rows:
            entries = self.queries.audit(row.id)
            assert row.change in {entry.id for entry in entries}
            state = ""
            for entry in entries:
                assert entry.from_state == state, "a change without an entry"
                state = entry.to_state
                json.dumps(entry.detail)
            assert state == f"{row.alarm_state}/{row.case_state}"

    @invariant()
    def nobody_is_told_twice(self):
        with self.ledger.read() as connection:
            rows = connection.execute(
                select(deliveries.c.alert_id, deliveries.c.transition, deliveries.c.recipient, deliveries.c.channel)
            ).all()
            told = connection.execute(
                select(func.count()).select_from(deliveries).where(deliveries.c.transition.like("raised%"))
            ).scalar_one()
            seen = connection.execute(select(func.count()).select_from(episodes)).scalar_one()
        assert len(rows) == len(set(rows))
        # Two for each episode; where an episode came and another followed within one batch, its own were never queued.
        assert told <= 2 * seen

    @invariant()
    def what_is_over_neither_escalates_nor_calls(self):
        with self.ledger.read() as connection:
            over = select(alerts.c.id).where(~alerts.c.live)
            pending = connection.execute(
                select(func.count()).select_from(timers).where(timers.c.alert_id.in_(over), timers.c.state == "pending")
            ).scalar_one()
            waiting = connection.execute(
                select(deliveries.c.needed_while).where(deliveries.c.alert_id.in_(over), deliveries.c.state == "queued")
            ).scalars()
            assert pending == 0
            assert set(waiting) <= {"always"}


@pytest.mark.parametrize("backend", BACKENDS)
def test_random_lives_keep_every_promise(backend):
    machine = type(f"Life_{backend}", (Life,), {"backend": backend})
    sqlite = backend == "sqlite"
    case = machine.TestCase
    case.settings = settings(
        max_examples=15 if sqlite else 4,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
    )
    case().runTest()
