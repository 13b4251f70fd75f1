"""What the hub knows of its own work goes the way of every reading: facts, rules, alerts, people; over crashes too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hub.alerts.desk import Desk
from hub.canary import Canary, topic_of
from hub.dispatch.escalation import StandardPlanner, load_policy
from hub.facts import Facts
from hub.ingest.codecs.context import CodecContext
from hub.ingest.intake import Intake
from hub.ingest.reader import Reader
from hub.ingest.router import Router, Source
from hub.ingest.screen import Limits, Screen
from hub.model.alerts import Actor, Alert
from hub.model.places import Name, Person
from hub.model.readings import Envelope
from hub.model.rules import RuleSpec
from hub.pipeline import CONSUMER, Pipeline
from hub.registry.snapshot import Registry
from hub.rules import takeover
from hub.rules.engine import Engine
from hub.rules.ruleset import load_rules
from hub.stores.alert_queries import AlertQueries
from hub.stores.fact_queries import FactQueries
from hub.stores.journal import Journal, JournalConfig
from hub.stores.ledger import Ledger
from tests.support.ledgers import migrated_url
from tests.support.paths import CONFIG
from tests.support.registry import UNIT, a_device, hub_and_canary, people, places, stations

START = 1_704_067_200_000  # 08:00 in Shanghai
ZONE = "Asia/Shanghai"
RULES = load_rules(CONFIG / "rules")
POLICY = load_policy(CONFIG / "escalation.yaml")
KEEPER = Person(id="keeper", name=Name(zh="运维", en="Keeper"), role="maintainer", contacts=(("webhook", "keeper"),))
CREW = Actor(id="crew-1", name="Crew", role="station", grids=("*",), stations=("*",))


def town(**changed: Any) -> Registry:
    hub, canary = hub_and_canary()
    canary = replace(canary, addresses=("native-v1:demo/hub/canary",), tags=("canary",))
    return Registry.of(
        [
            a_device("smoke-1", place=UNIT, addresses=("native-v1:demo/gw-1/smoke-1",)),
            *(a_device(f"smoke-{n}", place=UNIT, addresses=(f"native-v1:demo/gw-1/smoke-{n}",)) for n in range(2, 13)),
            a_device("gate-1", "gate", place=UNIT, addresses=("native-v1:demo/gw-1/gate-1",)),
            hub,
            canary,
        ],
        places=places(),
        people=[*people(), KEEPER],
        stations=changed.get("stations", stations()),
    )


class Hub:
    """Journal, rules, ledger, facts and heartbeat on a clock that is moved by hand; the broker is a short circuit."""

    def __init__(self, folder: Path, url: str, *, now_ms: int = START) -> None:
        self.folder, self.url, self.now_ms, self.broker = folder, url, now_ms, True
        self.registry = town()
        self.ledger = Ledger.open(url, migrate=False)
        planner = StandardPlanner(lambda: self.registry, POLICY, ZONE)
        self.desk = Desk(self.ledger, planner, find_rule=_rule)
        self.queries = AlertQueries(self.ledger)
        self.journal = Journal.open(folder / "journal", JournalConfig(reserve_mib=0))
        self.intake = Intake(self.journal, lambda: self.now_ms, lambda receipt: None)
        engine = Engine(RULES, self.registry, start_ms=now_ms)
        cursor = self.desk.position_of(CONSUMER)
        if cursor is not None:
            takeover.seed(engine, ((rule, device, start) for rule, device, start, _ in self.desk.live_conditions()))
        router = Router([Source(codec="native-v1", root="sc/v1")], CodecContext(zone=ZONE, known=lambda address: True))
        position = cursor[0] if cursor else 0
        self.pipeline = Pipeline(
            self.intake, Reader(router.decode, lambda: self.registry, Screen(Limits())), engine, self.desk,
            journal=self.journal.identity, position=position, recorded_to=position, clock=lambda: self.now_ms,
            durable_head=lambda: self.journal.head,
        )  # fmt: skip
        queries = FactQueries(self.ledger)
        topic = topic_of(self.registry, "sc/v1")
        assert topic is not None
        self.canary = Canary(self.publish, lambda: queries.beat("canary"), topic, lambda: self.now_ms)
        self.facts = Facts(
            queries, self.say, memory=folder / "facts.state", clock=lambda: self.now_ms,
            missed=lambda: self.canary.missed, unmanned=planner.unmanned,
        )  # fmt: skip

    def say(self, device: str, quantity: str, value: float) -> None:
        self.take(f"$hub/{device}/{quantity}", repr(value).encode())

    def publish(self, topic: str, payload: bytes) -> bool:
        if self.broker:
            self.take(topic, payload)
        return self.broker

    def take(self, topic: str, payload: bytes) -> None:
        self.intake.take(Envelope(topic, payload, self.now_ms))

    def says(self, device: str, **metrics: Any) -> None:
        body = {"v": 1, "ts": self.now_ms, "m": metrics}
        self.take(f"sc/v1/demo/gw-1/{device}/tele", json.dumps(body).encode())
        self.work()

    def work(self) -> None:
        self.intake.flush(self.now_ms)
        while self.pipeline.step(wait_s=0):
            pass

    def runs(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now_ms += 1_000
            self.canary.step()
            self.work()
            if self.now_ms // 1_000 % 3 == 0:
                self.facts.step()
                self.work()
            self.desk.run_timers(self.now_ms)

    def crashes(self) -> Hub:
        self.close()
        return Hub(self.folder, self.url, now_ms=self.now_ms)

    def close(self) -> None:
        self.journal.close()
        self.ledger.close()

    def alert(self, rule: str, *, live: bool | None = True) -> Alert | None:
        rows = self.queries.list(scope=None, live=live, limit=500).rows
        return next((row for row in rows if row.rule_id == rule), None)

    def does(self, rule: str, action: Any, reason: str = "") -> None:
        alert = self.alert(rule)
        assert alert is not None
        self.desk.act(alert.id, action, CREW, self.now_ms, reason=reason)

    def told(self, alert: Alert | None) -> set[str]:
        assert alert is not None
        return {row.recipient for row in self.queries.deliveries(alert.id)}


def _rule(rule_id: str) -> RuleSpec | None:
    found = RULES.find(rule_id)
    return found.spec if found else None


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs_postgres)])
def hub(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[list[Hub]]:
    """The hub that runs, in a list of one, so that a test can put another in its place after a crash."""
    with migrated_url(request.param, tmp_path) as url:
        running = [Hub(tmp_path, url)]
        yield running
        running[0].close()


def test_a_fire_that_was_acknowledged_and_left_alone_alarms_anew_and_reaches_the_street(hub: list[Hub]) -> None:
    (it,) = hub
    it.says("smoke-1", smoke=True)
    it.runs(20)
    it.does("smoke-alarm", "acknowledge")
    it.runs(170)
    assert it.alert("fire-unattended") is None
    it.runs(20)
    unattended = it.alert("fire-unattended")
    assert unattended is not None
    assert (unattended.severity, unattended.device_id, unattended.alarm_state) == ("P1", "smoke-1", "active_unacked")
    assert {"street-officer", "north", "crew-1"} <= it.told(unattended)
    it.does("smoke-alarm", "on_scene")
    it.runs(6)
    unattended = it.alert("fire-unattended")
    assert unattended is not None
    assert unattended.alarm_state == "latched"  # over, and still a person's to close


def test_a_crash_between_fact_and_alert_neither_doubles_nor_loses_it(hub: list[Hub]) -> None:
    it = hub[0]
    it.says("smoke-1", smoke=True)
    it.runs(5)
    it.does("smoke-alarm", "acknowledge")
    it.runs(100)
    it = hub[0] = it.crashes()
    it.runs(100)
    first = it.alert("fire-unattended")
    assert first is not None
    it = hub[0] = it.crashes()
    it.runs(60)
    again = it.alert("fire-unattended")
    assert again is not None
    assert (again.id, again.occurrences) == (first.id, 1)
    it.does("smoke-alarm", "on_scene")
    it = hub[0] = it.crashes()
    it.runs(6)
    over = it.alert("fire-unattended")
    assert over is not None
    assert over.alarm_state == "latched"


def test_the_third_false_alarm_opens_a_work_order_for_the_detector(hub: list[Hub]) -> None:
    (it,) = hub
    for n in range(3):
        it.says("smoke-1", smoke=True)
        it.does("smoke-alarm", "false_alarm", "cooking")
        it.runs(90)
        it.says("smoke-1", smoke=False)
        it.runs(90)
        assert (it.alert("detector-false-alarms") is not None) == (n == 2)


def test_a_door_that_flaps_opens_one_work_order_for_the_maintainer_and_none_while_it_is_open(hub: list[Hub]) -> None:
    (it,) = hub
    for _ in range(4):
        it.says("gate-1", forced_open=True)
        it.runs(5)
        it.says("gate-1", forced_open=False)
        it.runs(5)
    forced, order = it.alert("forced-open"), it.alert("chatter")
    assert forced is not None
    assert order is not None
    assert forced.chattering
    assert order.device_id == "gate-1"
    assert "keeper" in it.told(order)
    it.runs(120)
    assert it.alert("forced-open").chattering is False  # type: ignore[union-attr]
    told = len(it.queries.deliveries(order.id))
    for _ in range(4):
        it.says("gate-1", forced_open=True)
        it.runs(5)
        it.says("gate-1", forced_open=False)
        it.runs(5)
    again = it.alert("chatter")
    assert again is not None
    assert (again.id, again.occurrences) == (order.id, 1)
    assert len(it.queries.deliveries(order.id)) == told
    assert [row.action for row in it.queries.audit(order.id) if row.action != "gap"] == ["raised", "chatter"]


def test_the_heartbeat_goes_round_and_tells_nobody(hub: list[Hub]) -> None:
    (it,) = hub
    it.runs(400)
    assert it.canary.missed == 0
    beat = it.alert("hub-heartbeat")
    assert beat is not None
    assert beat.test
    assert beat.occurrences >= 3
    assert it.queries.deliveries(beat.id) == []
    assert it.queries.open_counts() == {"P1": 0, "P2": 0, "P3": 0, "P4": 0}


def test_two_heartbeats_that_do_not_arrive_alarm_the_maintainer_until_one_does(hub: list[Hub]) -> None:
    (it,) = hub
    it.runs(130)
    it.broker = False
    it.runs(70)
    assert it.alert("hub-canary-missed") is None
    it.runs(70)
    missed = it.alert("hub-canary-missed")
    assert missed is not None
    assert (missed.severity, missed.device_id) == ("P2", "hub")
    assert "keeper" in it.told(missed)
    it.broker = True
    it.runs(130)
    back = it.alert("hub-canary-missed")
    assert back is not None
    assert back.alarm_state == "returned_unacked"


def test_a_station_with_nobody_on_duty_is_an_alert_of_the_hub(hub: list[Hub]) -> None:
    (it,) = hub
    it.runs(100)
    assert it.alert("hub-unmanned") is None
    it.registry = town(stations=[replace(s, roster=()) for s in stations()])
    it.runs(100)
    alert = it.alert("hub-unmanned")
    assert alert is not None
    assert "keeper" in it.told(alert)
    it.registry = town()
    it.runs(10)
    assert it.alert("hub-unmanned").alarm_state == "returned_unacked"  # type: ignore[union-attr]


def test_a_flood_of_alarms_for_one_person_is_said_once_and_ends_when_it_is_over(hub: list[Hub]) -> None:
    (it,) = hub
    for n in range(1, 11):
        it.says(f"smoke-{n}", tamper=True)
    it.runs(20)
    assert it.alert("hub-alarm-flood") is None
    it.says("smoke-11", tamper=True)
    it.runs(20)
    flood = it.alert("hub-alarm-flood")
    assert flood is not None
    assert (flood.severity, json.loads(flood.value)) == ("P4", 11)
    it.runs(620)
    over = it.alert("hub-alarm-flood")
    assert over is not None
    assert (over.alarm_state, over.occurrences) == ("returned_unacked", 1)
