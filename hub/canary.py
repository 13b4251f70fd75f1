"""The hub's heartbeat: a test event that goes the whole way once a minute, and is looked for in the ledger.

Each beat is one transition of one test alert (on, a minute later off), so the ledger keeps one alert for all of them, and a
beat takes the way of an alarm: broker, session, journal, codec, rules, desk, ledger. It is marked as a test and tells nobody.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import NamedTuple

from hub.clock import Clock
from hub.errors import Unavailable
from hub.loops import Loop
from hub.registry.snapshot import Registry
from hub.stores.fact_queries import Beat
from hub.telemetry import CANARY, CANARY_MISSED, log

ALARM = "heartbeat"
CODEC = "native-v1"
EVERY_S = 60.0
WITHIN_S = 20.0
_LOOK_S = 0.1
_IDLE_S = 1.0


class _Sent(NamedTuple):
    at_ms: int
    active: bool


class Canary:
    """One owner thread (`loop`) calls `step`. `missed` counts the beats in a row that did not arrive; read it from any thread.

    `publish(topic, payload)` gives the event to the broker as a device would, and says whether the broker took it; `lookup()`
    gives the heartbeat as the ledger has it. A beat that the broker does not take, that is not found `within_s` seconds
    later, or that cannot be looked for because the ledger is away, is missed.
    """

    def __init__(
        self,
        publish: Callable[[str, bytes], bool],
        lookup: Callable[[], Beat | None],
        topic: str,
        clock: Clock,
        *,
        every_s: float = EVERY_S,
        within_s: float = WITHIN_S,
    ) -> None:
        self._publish, self._lookup, self._topic, self._clock = publish, lookup, topic, clock
        self._every_ms, self._within_ms = int(every_s * 1_000), int(within_s * 1_000)
        self._sent: _Sent | None = None
        self._lost: _Sent | None = None  # taken by the broker and never found: the rules may know of it or not
        self._next_ms = clock() + self._every_ms  # not at once: a hub that starts has to catch up first
        self.missed = 0
        self.loop = Loop("canary", self.step)

    def step(self) -> float:
        """Beats when it is time, else looks for the last beat. Returns the seconds to wait before the next call."""
        now_ms = self._clock()
        if self._sent is not None:
            return self._look(self._sent, now_ms)
        if 0 < self._next_ms - now_ms <= self._every_ms:
            return min((self._next_ms - now_ms) / 1_000, _IDLE_S)
        self._next_ms = now_ms + self._every_ms
        return self._beat(now_ms)

    def _beat(self, now_ms: int) -> float:
        try:
            known = self._lookup()
        except Unavailable as away:
            return self._miss(f"the ledger is away: {away}")
        # What was lost may have reached the rules: only its opposite is surely news to them.
        active = not (self._lost.active if self._lost is not None else known is not None and known.active)
        if not self._publish(self._topic, event(ALARM, active=active, now_ms=now_ms)):
            return self._miss("the broker did not take it")
        self._sent = _Sent(now_ms, active)
        return _LOOK_S

    def _look(self, sent: _Sent, now_ms: int) -> float:
        try:
            known = self._lookup()
        except Unavailable:
            known = None
        if known is not None and known.active == sent.active and known.at_ms >= sent.at_ms:
            CANARY.observe((now_ms - sent.at_ms) / 1_000)
            self._sent = self._lost = None
            self._count(0)
            return _IDLE_S
        if 0 <= now_ms - sent.at_ms < self._within_ms:
            return _LOOK_S
        self._sent, self._lost = None, sent
        return self._miss(f"not in the ledger within {self._within_ms // 1_000} s")

    def _miss(self, why: str) -> float:
        self._count(self.missed + 1)
        log.warning("canary.missed", reason=why, in_a_row=self.missed)
        return _IDLE_S

    def _count(self, missed: int) -> None:
        self.missed = missed
        CANARY_MISSED.set(missed)


def topic_of(registry: Registry, root: str) -> str | None:
    """The topic on which the test device of `registry` says its events, for a native source at `root`; None without such a device."""
    device = next((device for device in registry.devices() if device.kind == "canary"), None)
    prefix = f"{CODEC}:"
    address = next((a for a in device.addresses if a.startswith(prefix)), None) if device is not None else None
    return None if address is None else f"{root}/{address.removeprefix(prefix)}/event"


def event(alarm: str, *, active: bool, now_ms: int) -> bytes:
    """The test device's event, marked as a test; never the same twice."""
    body = {
        "v": 1,
        "id": secrets.token_hex(13),
        "ts": now_ms,
        "type": "alarm",
        "alarm": alarm,
        "active": active,
        "test": True,
    }
    return json.dumps(body).encode()
