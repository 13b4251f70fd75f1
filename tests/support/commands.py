"""A ledger with alerts that call for commands, a broker that is a list, and devices that answer when told to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hub.actuation.actuator import Actuator, World
from hub.actuation.desk import CommandDesk
from hub.actuation.table import Table
from hub.alerts.desk import Desk
from hub.model.alerts import Alert, Subject
from hub.model.commands import Command
from hub.model.quantities import CODE, QUANTITIES, coded
from hub.model.readings import ReadingBatch
from hub.model.rules import ConditionEvent, RuleSpec
from hub.registry.snapshot import Registry
from hub.stores.alert_queries import AlertQueries
from hub.stores.commands import Commands
from hub.stores.ledger import Ledger
from tests.support.alerts import T0, PlainPlanner, event, rule
from tests.support.registry import BUILDING, COMPOUND, GRID_B, UNIT, a_device, small_registry

CONFIRMED: RuleSpec = replace(rule("fire-confirmed", latch=True), kind="correlate")
CABINET: RuleSpec = replace(rule("cabinet-fire-confirmed", latch=True), kind="correlate")
SMOKE: RuleSpec = rule("cabinet-smoke", latch=True)
RULES = {one.id: one for one in (CONFIRMED, CABINET, SMOKE)}
TWO = {"area": UNIT, "members": [{"rule": "smoke-alarm", "device": d, "began_ms": T0} for d in ("smoke-1", "smoke-2")]}
ONE = {"area": UNIT, "members": TWO["members"][:1]}


def table(**changed: Any) -> Table:
    """Gates that open and a cabinet that is cut, both live; `changed` is put into every action."""
    gates = {
        "id": "open-gates",
        "name": {"zh": "开启大门", "en": "Open the gates"},
        "live": True,
        "on": {"confirmed": ["fire-confirmed", "cabinet-fire-confirmed"]},
        "area": "compound",
        "set": {"gate_state": "open"},
        "devices": ["gate-1", "gate-2"],
    }
    cabinet = {
        "id": "cut-cabinet",
        "name": {"zh": "切断充电柜", "en": "Cut the cabinet"},
        "live": True,
        "on": {"confirmed": ["cabinet-fire-confirmed"], "suspected": ["cabinet-smoke"]},
        "area": "device",
        "set": {"relay_on": False},
        "devices": ["cabinet-1"],
    }
    return Table.model_validate({"actions": [gates | changed, cabinet | changed]})


def town() -> Registry:
    return small_registry([
        a_device("smoke-1", place=UNIT),
        a_device("smoke-2", place=UNIT),
        a_device("cabinet-1", "charging_cabinet", grid=GRID_B, place=COMPOUND),
        a_device("cabinet-2", "charging_cabinet", grid=GRID_B, place=COMPOUND),
        a_device("gate-1", "gate", place=COMPOUND),
        a_device("gate-2", "gate", place=COMPOUND, addresses=("zigbee2mqtt:zigbee2mqtt/Gate 2",)),
        a_device("gate-9", "gate", place=COMPOUND),
        a_device("siren-1", "siren", place=BUILDING, addresses=("native-v1:demo/st/siren", "native-v1:demo/st/-")),
    ])  # fmt: skip


class Planner(PlainPlanner):
    def __init__(self, registry: Registry) -> None:
        super().__init__()
        self.registry = registry

    def subject(self, event: ConditionEvent) -> Subject:
        device = self.registry.find(event.device)
        assert device is not None
        station = self.registry.station_of_grid[device.grid]
        return Subject(device_kind=device.kind, place=device.place, grid=device.grid, station=station)


@dataclass
class Latest:
    quantity: str
    value: Any
    received_at_ms: int


@dataclass
class Yard:
    """All of it, on a clock that is moved by hand. `boot` is a new life of the hub on the same ledger."""

    ledger: Ledger
    table: Table = field(default_factory=table)
    now_ms: int = T0
    connected: bool = True
    dies_before_publishing: bool = False

    def __post_init__(self) -> None:
        self.registry = town()
        self.published: list[tuple[str, dict[str, Any]]] = []
        self.said: list[tuple[str, str, float]] = []
        self.known: dict[str, list[Latest]] = {}
        self.alerts = Desk(self.ledger, Planner(self.registry))
        self.queries = AlertQueries(self.ledger)
        self.commands = Commands(self.ledger)
        self.boot()

    def boot(self) -> None:
        self.actuator = Actuator(self.commands, self.table, self.world(), lambda: self.now_ms)
        self.people = CommandDesk(
            self.commands, self.table, lambda: self.registry, self.queries.one, lambda: self.now_ms
        )

    def world(self) -> World:
        return World(
            registry=lambda: self.registry,
            rule_kind=lambda rule_id: RULES[rule_id].kind if rule_id in RULES else "",
            ready=lambda: self.connected,
            publish=self._publish,
            say=lambda device, quantity, value: self.said.append((device, quantity, value)),
            latest=lambda device: self.known.get(device, []),
            roots={"native-v1": ["sc/v1"], "zigbee2mqtt": ["zigbee2mqtt"]},
        )

    def _publish(self, topic: str, payload: bytes, expires_s: float) -> bool:
        if self.dies_before_publishing:
            raise SystemExit("killed")
        self.published.append((topic, json.loads(payload)))
        return True

    def burns(self, rule_of: RuleSpec = CONFIRMED, device: str = "smoke-1", **more: Any) -> Alert:
        """An alert of that rule, now."""
        evidence = more.pop("evidence", TWO if rule_of.kind == "correlate" else {})
        one = replace(event("raised", device=device, at_ms=self.now_ms, of=rule_of, **more), evidence=evidence)
        self.alerts.record([one], consumer="rules", journal="j", position=1, now_ms=self.now_ms)
        return next(a for a in self.queries.list(scope=None, live=True).rows if a.rule_id == rule_of.id)

    def step(self, *, later_ms: int = 0) -> None:
        self.now_ms += later_ms
        self.actuator.step()

    def answers(
        self, device: str, quantity: str, value: Any, *, quality: int = 0, observed_ms: int | None = None
    ) -> None:
        """The device says that; the pipeline shows it to the actuator."""
        number = coded(QUANTITIES[quantity], value)
        assert number is not None
        assert quantity in CODE
        at_ms = self.now_ms if observed_ms is None else observed_ms
        row = (self.registry.slot_of[device], quantity, number, at_ms, self.now_ms, quality, 1)
        self.actuator.observe(ReadingBatch.of([row]))

    def states(self) -> dict[str, str]:
        """Device → state of its latest command."""
        found: dict[str, str] = {}
        for one in self.all():
            found.setdefault(one.device_id, one.state)
        return found

    def all(self) -> Sequence[Command]:
        return self.commands.list(scope=None)

    def of(self, device: str) -> Command:
        return next(one for one in self.all() if one.device_id == device)

    def story(self, alert: Alert) -> list[str]:
        return [row.action for row in self.queries.audit(alert.id) if row.action.startswith("command_")]
