"""Alarm, case and shelf against an abstract model: a page of plain rules, written without their tables."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hub.alerts.case_desk import CaseDesk
from hub.alerts.casework import PEOPLE
from hub.alerts.desk import Desk
from hub.alerts.shelf import Shelf
from hub.errors import IllegalAction
from hub.model.alerts import Actor, Seen
from hub.model.cases import Move
from hub.stores.alert_queries import AlertQueries
from hub.stores.case_queries import CaseQueries
from hub.stores.ledger import Ledger
from hub.stores.outbox import Outbox
from tests.support.alerts import OFFICER, T0, WORKER, PlainPlanner, event
from tests.support.alerts import rule as make_rule
from tests.support.ledgers import migrated_url

SPECS = {"fire": make_rule("fire", "P1"), "hot": make_rule("hot", "P2")}
WAY = ["reported", "accepted", "dispatched", "on_scene", "handled", "feedback", "verified", "closed"]


@dataclass
class Alarm:
    """What ought to be true of one alert and its case."""

    id: str
    fire: bool
    holds: bool = True
    live: bool = True
    times: int = 1
    acked: bool = False
    there: bool = False
    quiet_until_ms: int | None = None
    step: str = "reported"
    transferred: bool = False
    false: bool = False  # how the alert ended

    def fires(self) -> None:
        self.holds, self.acked, self.there, self.step = True, False, False, "reported"
        self.times += 1

    def settles(self) -> None:
        """A P2 that is gone and acknowledged is over, unless somebody is there; whoever was sent goes on."""
        if self.live and not self.fire and not self.holds and self.acked and not self.there:
            self.live = False
            if self.step != "dispatched":
                self.step = "closed"

    def may(self, move: Move, officer: bool) -> bool:
        at = WAY.index(self.step) if self.step in WAY else -1
        early = 0 <= at < 4
        if move in ("accept", "arrive", "dispatch"):
            return early
        if move == "handle":
            if self.live:
                return early and not self.holds and (not self.fire or self.there)
            return early or self.step == "handled"
        if move == "false_alarm":
            return self.step == "false_alarm" or (self.step not in ("closed",) and (self.live or self.false))
        if move == "feed_back":
            return self.step in ("handled", "feedback")
        if move == "verify":
            return officer and self.step in ("feedback", "verified")
        if move == "close":
            alone = self.step == "handled" and not self.fire and not self.transferred
            return alone or (self.step == "verified" and officer) or self.step == "closed"
        if move == "send_back":
            return self.step == "dispatched" or (officer and self.step in ("handled", "feedback", "verified"))
        return officer and move == "reopen" and self.step in ("closed", "false_alarm")

    def does(self, move: Move) -> None:
        forward = {"accept": "accepted", "dispatch": "dispatched", "arrive": "on_scene"}
        if move in forward:
            if WAY.index(forward[move]) > WAY.index(self.step):
                self.step = forward[move]
            if self.live:
                self.acked = True
                self.there = self.there or move == "arrive"
            self.transferred = self.transferred or move == "dispatch"
            if move != "arrive":
                self.settles()
        elif move == "handle":
            if self.live:
                self.live, self.acked = False, True
                self.step = "handled" if self.fire or self.transferred else "closed"
            elif self.step != "handled":
                self.step = "handled"
        elif move == "false_alarm":
            if self.live:
                self.live, self.acked, self.false = False, True, True
            self.step = "false_alarm"
        elif move == "send_back":
            self.step = "accepted" if self.step == "dispatched" else "dispatched"
        elif move == "reopen":
            self.step, self.transferred = "reported", False
        else:
            self.step = {"feed_back": "feedback", "verify": "verified", "close": "closed"}[move]


class Story(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.exits = ExitStack()
        folder = Path(self.exits.enter_context(tempfile.TemporaryDirectory()))
        self.url = self.exits.enter_context(migrated_url("sqlite", folder))
        self.now_ms, self.position = T0, 0
        self.alarms: list[Alarm] = []
        self.starts: dict[str, int] = {}
        self.start_hub()

    def start_hub(self) -> None:
        self.ledger = Ledger.open(self.url, migrate=False)
        self.desk = Desk(self.ledger, PlainPlanner())
        self.cases, self.shelf = CaseDesk(self.desk), Shelf(self.desk)
        self.queries, self.found = AlertQueries(self.ledger), CaseQueries(self.ledger)
        self.outbox = Outbox(self.ledger)

    def teardown(self) -> None:
        self.ledger.close()
        self.exits.close()

    def latest(self, name: str) -> Alarm | None:
        return next((alarm for alarm in reversed(self.alarms) if alarm.fire == (name == "fire")), None)

    @rule(name=st.sampled_from(sorted(SPECS)), twice=st.booleans())
    def a_condition_changes(self, name: str, twice: bool) -> None:
        self.now_ms += 1_000
        began = self.starts.pop(name, None)
        kind = "raised" if began is None else "cleared"
        if began is None:
            began = self.starts[name] = self.now_ms
        one = event(kind, of=SPECS[name], device="d", at_ms=self.now_ms, start_ms=began, position=self.position)
        for _ in range(1 + twice):  # a replay is nothing new
            self.desk.record([one], consumer="rules", journal="j", position=self.position, now_ms=self.now_ms)
        self.position += 1
        alarm = self.latest(name)
        if kind == "cleared":
            assert alarm is not None
            alarm.holds = False
            alarm.settles()
        elif alarm is not None and alarm.live:
            alarm.fires()
        else:
            quiet = None if alarm is None or name == "fire" else alarm.quiet_until_ms
            self.alarms.append(Alarm(one.alert_id, name == "fire", quiet_until_ms=quiet))

    @rule(
        move=st.sampled_from(PEOPLE),
        who=st.sampled_from([WORKER, OFFICER]),
        name=st.sampled_from(sorted(SPECS)),
        old=st.booleans(),
    )
    def somebody_moves_a_case(self, move: Move, who: Actor, name: str, old: bool) -> None:
        alarm = self.latest(name)
        if alarm is not None:
            self.moves(alarm, move, who, old=old)

    def moves(self, alarm: Alarm, move: Move, who: Actor, *, old: bool) -> None:
        self.now_ms += 500
        asked = alarm.live and move in ("accept", "dispatch", "arrive", "handle", "false_alarm")
        asked = asked and not (move == "dispatch" and alarm.acked)
        outdated = old and alarm.times > 1 and asked
        may = alarm.may(move, who is OFFICER) and not outdated
        seen = Seen(occurrence=alarm.times - (1 if old and alarm.times > 1 else 0))
        try:
            self.cases.move(alarm.id, move, who, self.now_ms, words="w", to="property", seen=seen)
        except IllegalAction as refused:
            assert not may, (move, alarm, refused.code)  # noqa: PT017
            return
        assert may, (move, alarm)
        alarm.does(move)

    @rule(
        name=st.sampled_from(sorted(SPECS)),
        moves=st.lists(st.integers(0, 99), min_size=3, max_size=9),
        all_can=st.booleans(),
    )
    def somebody_goes_far(self, name: str, moves: list[int], all_can: bool) -> None:
        """Random moves rarely go all the way; these do. Sometimes one who does the work tries what an officer may."""
        for n in moves:
            alarm = self.latest(name)
            if alarm is None:
                self.a_condition_changes(name, False)
                continue
            if alarm.live and alarm.there and alarm.holds:
                self.a_condition_changes(name, False)
            may = [move for move in PEOPLE if alarm.may(move, True) and move != "false_alarm"]
            ahead = [move for move in may if move in ("handle", "feed_back", "verify", "close", "reopen", "send_back")]
            self.moves(alarm, (ahead or may)[n % len(ahead or may)], OFFICER if all_can or n % 3 else WORKER, old=False)

    @rule(name=st.sampled_from(sorted(SPECS)))
    def somebody_shelves(self, name: str) -> None:
        self.now_ms += 500
        alarm = self.latest(name)
        if alarm is None:
            return
        shelved = not alarm.fire and alarm.live and alarm.quiet_until_ms is None
        try:
            self.shelf.shelve(alarm.id, WORKER, self.now_ms, kind="timed", for_s=120, reason="r")
        except IllegalAction:
            assert not shelved, alarm
            return
        assert shelved, alarm
        alarm.quiet_until_ms = self.now_ms + 120_000

    @rule(later_s=st.sampled_from([10, 60, 200]))
    def time_passes(self, later_s: int) -> None:
        self.now_ms += later_s * 1_000
        self.desk.run_timers(self.now_ms)
        for alarm in self.alarms:
            if alarm.quiet_until_ms is not None and alarm.quiet_until_ms <= self.now_ms:
                alarm.quiet_until_ms = None
                if alarm.live and alarm.holds:
                    alarm.fires()

    @rule(received=st.booleans())
    def the_courier_works_or_the_hub_dies(self, received: bool) -> None:
        for delivery in self.outbox.claim(self.now_ms, "one", limit=20, lease_ms=1_000):
            alert = self.queries.one(delivery.alert_id)
            assert alert is not None
            told = delivery.transition.startswith(("raised", "step"))
            assert not (alert.quiet and told), "a shelved alert tells nobody"
            if self.outbox.begin_send(delivery.id, self.now_ms, owner="one") and received:
                self.outbox.accepted(delivery.id, "r", self.now_ms)
        self.now_ms += 2_000
        self.ledger.close()
        self.start_hub()

    @invariant()
    def the_hub_is_as_the_model_says(self) -> None:
        for alarm in self.alarms:
            alert, case = self.queries.one(alarm.id), self.found.one(alarm.id)
            assert alert is not None
            assert case is not None
            now = (alert.live, alert.occurrences, case.step, case.handling == "transferred")
            assert now == (alarm.live, alarm.times, alarm.step, alarm.transferred)
            if alarm.live:
                assert (alert.acked_at_ms is not None, alert.on_scene_at_ms is not None) == (alarm.acked, alarm.there)
                assert (alert.quiet == "shelved") == (alarm.quiet_until_ms is not None)
            if alarm.holds:
                assert alert.alarm_state in ("active_unacked", "active_acked")

    @invariant()
    def a_fire_ends_by_people_and_is_told(self) -> None:
        for alarm in self.alarms:
            alert = self.queries.one(alarm.id)
            assert alert is not None
            if alarm.fire:
                assert alert.live or alert.closed_by in (WORKER.id, OFFICER.id)
                assert alert.quiet == ""
                transitions = {row.transition for row in self.queries.deliveries(alarm.id)}
                wanted = "raised" if alert.occurrences == 1 else f"raised:{alert.occurrences}"
                assert wanted in transitions


def test_alarm_case_and_shelf_do_what_the_model_does() -> None:
    case = Story.TestCase
    case.settings = settings(
        max_examples=15,
        stateful_step_count=20,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
        phases=(Phase.generate,),
    )
    case().runTest()
