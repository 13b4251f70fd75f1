"""From an alert to the commands that its rule calls for. Pure: nothing is moved here, and nothing is forgotten.

Planned is not sent: `interlock` looks again at the moment of sending.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from hub.actuation.table import Action, Area, Table
from hub.model.alerts import Actor, Alert
from hub.model.commands import Command, Ground, Mode, command_id
from hub.model.places import Device
from hub.registry.snapshot import Registry


def planned(table: Table, alert: Alert, registry: Registry, now_ms: int) -> list[Command]:
    """Every command that this occurrence of `alert` calls for, in the order of the table. Empty when the alert is over."""
    if not alert.live:
        return []
    found = []
    for action in table.actions:
        ground = ground_of(action, alert.rule_id)
        if ground is None:
            continue
        for device in targets(action, alert, registry):
            found.append(_command(action, device, alert, registry, ground, now_ms))
    return found


def ordered(
    action: Action, alert: Alert, device: Device, registry: Registry, actor: Actor, now_ms: int, cause: str
) -> Command:
    """The command that `actor` asks for while `alert` holds: one trigger and a person. `cause` names the request."""
    plan = _command(action, device, alert, registry, "person", now_ms, cause=cause)
    return replace(plan, approved_by=actor.id, approved_at_ms=now_ms)


def rehearsal(
    action: Action, device: Device, registry: Registry, actor: Actor, now_ms: int, *, grid: str, station: str
) -> Command:
    """A test of the way to `device`: nothing holds, so nothing may move."""
    return Command(
        id=command_id(action.id, device.id, f"test:{actor.id}:{now_ms}"),
        action_id=action.id,
        device_id=device.id,
        quantity=action.set.one[0],
        wanted=action.set.one[1],
        mode="test",
        ground="test",
        alert_id=None,
        rule_id="",
        occurrence=0,
        grid=grid,
        station=station,
        planned_at_ms=now_ms,
        expires_at_ms=now_ms + action.expires_s * 1_000,
        approved_by=actor.id,
        approved_at_ms=now_ms,
    )


def ground_of(action: Action, rule_id: str) -> Ground | None:
    """What an alert of `rule_id` is for `action`; None when it is nothing."""
    if rule_id in action.on.confirmed:
        return "confirmed"
    return "suspected" if rule_id in action.on.suspected else None


def targets(action: Action, alert: Alert, registry: Registry) -> Iterator[Device]:
    """The named devices that lie in the area of `alert` and are in the registry."""
    for device_id in action.devices:
        device = registry.find(device_id)
        if device is not None and reaches(action.area, alert, device, registry):
            yield device


def reaches(area: Area, alert: Alert, device: Device, registry: Registry) -> bool:
    """Whether `device` is near enough to `alert`, whose place, grid and station are those of its raising."""
    if area == "device":
        return device.id == alert.device_id or device.parent == alert.device_id
    if area == "station":
        return bool(alert.station) and registry.station_of_grid.get(device.grid, "") == alert.station
    there = area_code(registry, alert.place, alert.grid, area)
    return bool(there) and there == area_code(registry, device.place, device.grid, area)


def area_code(registry: Registry, place: str, grid: str, level: str) -> str:
    """Code of the place of `level` that something at `place` in `grid` lies in; "" when it lies in none."""
    if level == "grid":
        return grid
    for start in (place, grid):
        for one in registry.path(start):
            if one.level == level:
                return one.code
    return ""


def mode_of(action: Action, alert: Alert) -> tuple[Mode, str]:
    """How far a command may go, and why not further. What tests, drills and shelvings catch moves nothing."""
    if alert.test or alert.drill:
        return "dry", "a test or drill moves nothing"
    if alert.quiet:
        return "dry", "the alert is shelved, silenced or out of service"
    return ("live", "") if action.live else ("dry", "the action is not live")


def _command(
    action: Action, device: Device, alert: Alert, registry: Registry, ground: Ground, now_ms: int, *, cause: str = ""
) -> Command:
    mode, reason = mode_of(action, alert)
    waits_s = action.ask_s if ground == "suspected" else action.expires_s
    since_ms = now_ms if ground == "person" else alert.received_at_ms  # an old alarm, found late, moves nothing
    quantity, wanted = action.set.one
    return Command(
        id=command_id(action.id, device.id, cause or f"{alert.id}:{alert.occurrences}"),
        action_id=action.id,
        device_id=device.id,
        quantity=quantity,
        wanted=wanted,
        mode=mode,
        ground=ground,
        alert_id=alert.id,
        rule_id=alert.rule_id,
        occurrence=alert.occurrences,
        grid=device.grid,
        station=registry.station_of_grid.get(device.grid, ""),
        reason=reason,
        planned_at_ms=now_ms,
        expires_at_ms=since_ms + waits_s * 1_000,
    )
