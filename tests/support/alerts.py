"""Rules, events and a plain planner for tests of the desk and of everything that reads alerts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hub.model.alerts import Actor, Alert, Subject
from hub.model.deliveries import NewDelivery, NewTimer, Plan
from hub.model.places import Name
from hub.model.rules import ConditionEvent, EventKind, RuleSpec, Severity

T0 = 1_767_225_600_000  # 2026-01-01T00:00:00Z
STATION = "north"
GRID = "110101001001001"
WORKER = Actor(id="li", name="Li", role="grid_worker", grids=(GRID,))
OTHER = Actor(id="wang", name="Wang", role="station", stations=(STATION,))
OFFICER = Actor(id="chen", name="Chen", role="officer", grids=("*",))
VIEWER = Actor(id="token:screen", name="screen", role="viewer", grids=("*",))
STRANGER = Actor(id="zhao", name="Zhao", role="grid_worker", grids=("110101001001002",))


def rule(rule_id: str = "smoke", severity: Severity = "P1", *, latch: bool = False, **more: Any) -> RuleSpec:
    name = Name(zh=f"规则 {rule_id}", en=f"Rule {rule_id}")
    return RuleSpec(
        id=rule_id,
        kind="threshold",
        name=name,
        severity=severity,
        device_kinds=("smoke_alarm",),
        quantity="smoke",
        when=None,
        cause=name,
        consequence=name,
        action=Name(zh="派人查看", en="Send somebody"),
        respond_within_s=60,
        responder="station",
        source="test",
        latch=latch,
        version="v1",
        **more,
    )


def event(
    kind: EventKind = "raised",
    *,
    device: str = "smoke-1",
    at_ms: int = T0,
    start_ms: int | None = None,
    of: RuleSpec | None = None,
    position: int = 0,
    canary: bool = False,
    value: float | bool | str | None = True,
) -> ConditionEvent:
    """One event. The episode begins at `start_ms`, or at `at_ms` when that is not given."""
    return ConditionEvent(
        kind=kind,
        rule=of or rule(),
        slot=1,
        device=device,
        at_ms=at_ms,
        observed_at_ms=at_ms,
        episode_start_ms=at_ms if start_ms is None else start_ms,
        position=position,
        value=value,
        quantity="smoke",
        threshold=0.5,
        received_at_ms=at_ms,
        canary=canary,
    )


@dataclass
class PlainPlanner:
    """Tells the station at once, escalates twice (60 s to acknowledge, 180 s to be there), tells of calls, returns and ends.

    `broken` names the methods that raise, as a planner with a bug would.
    """

    broken: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    window: int = 0  # ms for which P3 and P4 of one cause and place are told together; 0 = each by itself

    def subject(self, event: ConditionEvent) -> Subject:
        self._called("subject")
        return Subject(
            device_kind="smoke_alarm", place="b1", grid=GRID, station=STATION, place_zh="一号楼", place_en="Building 1"
        )

    def window_ms(self, alert: Alert) -> int:
        self._called("window_ms")
        return self.window

    def raised(self, alert: Alert, now_ms: int) -> Plan:
        self._called("raised")
        return Plan(
            deliveries=(
                self._to(alert, "raised", "crew", now_ms, "unacknowledged"),
                self._to(alert, "raised", "head", now_ms, "live"),
            ),
            timers=(
                NewTimer(alert_id=alert.id, step=1, due_at_ms=now_ms + 60_000),
                NewTimer(alert_id=alert.id, step=2, due_at_ms=now_ms + 180_000),
            ),
        )

    def step(self, alert: Alert, step: int, now_ms: int) -> Plan:
        self._called("step")
        done = alert.acked_at_ms if step == 1 else alert.on_scene_at_ms
        if done is not None:
            return Plan()
        needed = "unacknowledged" if step == 1 else "not_on_scene"
        return Plan(deliveries=(self._to(alert, f"step:{step}", "backup", now_ms, needed),))

    def reinforced(self, alert: Alert, nth: int, now_ms: int) -> Plan:
        self._called("reinforced")
        return Plan(deliveries=(self._to(alert, f"reinforce:{nth}", "backup", now_ms, "live"),))

    def returned(self, alert: Alert, now_ms: int) -> Plan:
        self._called("returned")
        return Plan(deliveries=(self._to(alert, "cleared", "crew", now_ms, "live"),))

    def closed(self, alert: Alert, now_ms: int) -> Plan:
        self._called("closed")
        return Plan(deliveries=(self._to(alert, "closed", "crew", now_ms, "always"),))

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if name in self.broken:
            raise RuntimeError(f"bug in {name}")

    @staticmethod
    def _to(alert: Alert, transition: str, recipient: str, now_ms: int, needed_while: Any) -> NewDelivery:
        return NewDelivery(
            alert_id=alert.id,
            transition=transition,
            recipient=recipient,
            channel="console",
            target=f"{recipient}@{alert.station}",
            locale="en",
            due_at_ms=now_ms,
            needed_while=needed_while,
        )
