"""Synthetic fires: each test device says now and then that it burns, and the way to a channel of its station is followed.

One grid at a time. A test wakes nobody: it goes to the console and the webhook of the station, marked as one. What came of
it stands in the audit log, and a grid whose last test fire did not get through is a finding of the self-audit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hub.audit.account import CONSOLE, REACHED
from hub.clock import Clock
from hub.errors import Unavailable
from hub.loops import Loop
from hub.registry.snapshot import Registry
from hub.stores import state_file
from hub.stores.account_queries import AccountQueries, Told
from hub.stores.audit_log import AuditLog
from hub.telemetry import TEST_FIRES, log

QUANTITY = "canary"
_LOOK_S = 0.2
_IDLE_S = 5.0
_FIRST_MS = 600_000
_BETWEEN_MS = 30_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TestDevice:
    """A device of kind canary in its grid, and the topic on which it speaks."""

    id: str
    grid: str
    topic: str

    __test__ = False  # not a class of tests


@dataclass(frozen=True, slots=True, kw_only=True)
class _Burning:
    device: TestDevice
    since_ms: int


class TestFires:
    """One owner thread (`loop`) calls `step`. `event(active, now_ms)` makes the payload, `publish` gives it to the broker.

    `failed` names the grids whose last test fire did not get through. When each device had its last one is kept in `memory`.
    """

    __test__ = False

    def __init__(
        self,
        devices: Callable[[], Sequence[TestDevice]],
        publish: Callable[[str, bytes], bool],
        event: Callable[[bool, int], bytes],
        accounts: AccountQueries,
        audit_log: AuditLog,
        clock: Clock,
        *,
        memory: Path,
        every_s: float,
        within_s: float = 20.0,
    ) -> None:
        self._devices, self._publish, self._event = devices, publish, event
        self._accounts, self._log, self._clock, self._memory = accounts, audit_log, clock, memory
        self._every_ms, self._within_ms = int(every_s * 1_000), int(within_s * 1_000)
        self._last: dict[str, int] = _remembered(memory)
        self._begin_ms = clock() + _FIRST_MS  # a hub that starts has to catch up first
        self._now: _Burning | None = None
        self._failed: dict[str, str] = {}
        self.loop = Loop("test-fires", self.step)

    @property
    def failed(self) -> tuple[str, ...]:
        """Grids, with what was missing."""
        return tuple(f"{grid}: {why}" for grid, why in sorted(self._failed.items()))

    def step(self) -> float:
        """Begins a test fire that is due, or looks how far the present one has come. Returns the seconds to wait."""
        now_ms = self._clock()
        if self._now is not None:
            return self._look(self._now, now_ms)
        if now_ms < self._begin_ms:
            return _IDLE_S
        due = [d for d in self._devices() if not 0 <= now_ms - self._last.get(d.id, -self._every_ms) < self._every_ms]
        if not due:
            return _IDLE_S
        device = min(due, key=lambda d: (self._last.get(d.id, 0), d.id))
        self._begin_ms = now_ms + _BETWEEN_MS
        self._remember(device, now_ms)
        self._publish(
            device.topic, self._event(False, now_ms)
        )  # one that an earlier life left burning raises nothing new
        if not self._publish(device.topic, self._event(True, now_ms + 1)):
            self._over(device, now_ms, "the broker did not take it", {})
            return _IDLE_S
        self._now = _Burning(device=device, since_ms=now_ms)
        return _LOOK_S

    def _look(self, burning: _Burning, now_ms: int) -> float:
        device, since_ms = burning.device, burning.since_ms
        try:
            found = self._accounts.fire_reached(device.id, QUANTITY, since_ms)
        except Unavailable:
            found = None
        alert, told = found if found is not None else ("", [])
        ended = bool(told) and all(each.state not in ("queued", "sending") for each in told)
        if not ended and 0 <= now_ms - since_ms < self._within_ms:
            return _LOOK_S
        self._now = None
        self._publish(device.topic, self._event(False, now_ms))
        self._over(
            device, now_ms, _missing(alert, told), {"alert": alert, "after_ms": now_ms - since_ms, **_shown(told)}
        )
        return _IDLE_S

    def _over(self, device: TestDevice, now_ms: int, missing: str, detail: Mapping[str, object]) -> None:
        TEST_FIRES.labels(outcome="failed" if missing else "arrived").inc()
        if missing:
            self._failed[device.grid] = missing
            log.error("test_fire.failed", device=device.id, grid=device.grid, reason=missing)
        else:
            self._failed.pop(device.grid, None)
        action = "test_fire_failed" if missing else "test_fire"
        whole = {"device": device.id, "grid": device.grid, **detail, **({"missing": missing} if missing else {})}
        try:
            self._log.add(at_ms=now_ms, actor="hub", action=action, detail=whole)
        except Unavailable as away:
            log.warning("test_fire.not_recorded", grid=device.grid, reason=str(away))

    def _remember(self, device: TestDevice, now_ms: int) -> None:
        self._last[device.id] = now_ms
        try:
            state_file.write(self._memory, json.dumps(self._last).encode())
        except OSError as full:
            log.warning("test_fire.not_remembered", reason=str(full), effect="after a restart they come earlier")


def _missing(alert: str, told: Sequence[Told]) -> str:
    """Which part of the way is missing, "" when it got through to a channel."""
    if not alert:
        return "no alert within the time"
    if not told:
        return "nobody was to be told"
    ways = [each for each in told if each.channel != CONSOLE] or list(told)
    lost = [each for each in ways if each.state not in REACHED]
    return "" if len(lost) < len(ways) else ", ".join(f"{each.channel} {each.state}" for each in lost)


def _shown(told: Sequence[Told]) -> dict[str, object]:
    return {
        "told": [
            {
                "channel": each.channel,
                "recipient": each.recipient,
                "state": each.state,
                "after_ms": (each.accepted_at_ms or each.sent_at_ms or each.created_at_ms) - each.created_at_ms,
            }
            for each in told
        ]
    }


def devices_in(registry: Registry, codec: str, root: str) -> list[TestDevice]:
    """The test devices of `registry` that speak by `codec` below `root`, by grid. A grid without one is not tested."""
    prefix = f"{codec}:"
    found = []
    for device in registry.devices():
        address = next((a for a in device.addresses if a.startswith(prefix)), None) if device.kind == "canary" else None
        if address is not None:
            found.append(
                TestDevice(id=device.id, grid=device.grid, topic=f"{root}/{address.removeprefix(prefix)}/event")
            )
    return sorted(found, key=lambda device: (device.grid, device.id))


def untested(registry: Registry, devices: Sequence[TestDevice]) -> list[str]:
    """Grids with devices and without a test device."""
    tested = {device.grid for device in devices}
    return sorted({device.grid for device in registry.devices() if device.grid} - tested)


def _remembered(memory: Path) -> dict[str, int]:
    try:
        body = state_file.read(memory)
        return {} if body is None else {str(device): int(at_ms) for device, at_ms in json.loads(body).items()}
    except (ValueError, OSError) as damaged:
        log.warning("test_fire.memory_unreadable", reason=str(damaged), effect="every grid is tested again")
        return {}
