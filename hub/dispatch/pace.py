"""Whether a delivery is still wanted, when it is tried again, and how much a receiver is sent. Reads no clock."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from hub.loops import backoff_s
from hub.model.alerts import Alert
from hub.model.deliveries import Delivery, Retry

HAND_ON_AFTER = 2
"""Failures of a receiver after which the next channel is due as well; the first one goes on being tried."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What a service takes from us for one receiver: `most` messages within any `within_s`, `reserved` of them for P1."""

    most: int
    within_s: float
    reserved: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.reserved < self.most or self.within_s <= 0:
            raise ValueError("a limit lets something through")


_LATENCY, _LATENCY_S = 1.02, 0.1
"""A window is kept a little longer than the service's: messages do not all take the same time to get there."""


class Spent:
    """What one receiver was sent lately, kept against its limits. Thread-safe. The share for P1 is held back from all others."""

    def __init__(self, limits: Sequence[Limit]) -> None:
        self._limits = tuple(limits)
        self._most = max((limit.most for limit in limits), default=0)
        self._at_s: deque[float] = deque(maxlen=self._most)
        self._lock = threading.Lock()

    def wait_s(self, severity: str, now_s: float) -> float:
        """Seconds until one more message of `severity` may go, 0 when it may go now."""
        with self._lock:
            return max((self._room_in_s(limit, severity, now_s) for limit in self._limits), default=0.0)

    def spend(self, now_s: float) -> None:
        """One more message goes now."""
        with self._lock:
            self._at_s.append(now_s)

    @property
    def limited(self) -> bool:
        """Whether there is anything to keep to."""
        return bool(self._limits)

    @property
    def keep_ms(self) -> int:
        """For how long a message counts."""
        longest_s = max((limit.within_s for limit in self._limits), default=0.0)
        return int((longest_s * _LATENCY + _LATENCY_S) * 1_000)

    def learn(self, ages_s: Sequence[float], now_s: float) -> None:
        """What was sent so many seconds ago, the oldest first, by all hubs together: this counts from now on."""
        with self._lock:
            self._at_s = deque((now_s - age_s for age_s in ages_s), maxlen=self._most)

    def room_in_s(self, severity: str, ages_s: Sequence[float]) -> float:
        """As `wait_s`, for what was sent so many seconds ago."""
        then = Spent(self._limits)
        then.learn(ages_s, 0.0)
        return then.wait_s(severity, 0.0)

    def is_idle(self, now_s: float) -> bool:
        """Whether forgetting all of it would change nothing."""
        with self._lock:
            return not self._at_s or all(
                self._at_s[-1] + limit.within_s * _LATENCY + _LATENCY_S <= now_s for limit in self._limits
            )

    def _room_in_s(self, limit: Limit, severity: str, now_s: float) -> float:
        allowed = limit.most if severity == "P1" else limit.most - limit.reserved
        if len(self._at_s) < allowed:
            return 0.0
        # There is room once the oldest of those that fill it has left the window.
        return max(self._at_s[-allowed] + limit.within_s * _LATENCY + _LATENCY_S - now_s, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How patiently each severity is tried again. A fire that nobody has acknowledged: quickly, and without end."""

    first_s: float = 0.2
    fire_most_s: float = 5.0
    urgent_most_s: float = 60.0
    most_s: float = 300.0
    asked_most_s: float = 30.0  # a fire waits as long as the receiver asks for (Retry-After), but not longer than this
    give_up_after_s: float = 86_400.0

    def again_in_s(self, alert: Alert, failures: int, retry: Retry) -> float:
        """Seconds until the next try after `failures` failures before this one."""
        if burning(alert):
            own, asked = backoff_s(failures, first_s=self.first_s, most_s=self.fire_most_s), self.asked_most_s
            return max(own, min(retry.after_s, asked))
        most_s = self.urgent_most_s if alert.severity in ("P1", "P2") else self.most_s
        return max(backoff_s(failures, first_s=5 * self.first_s, most_s=most_s), retry.after_s)

    def rest_s(self, failures: int, retry: Retry) -> float:
        """Seconds for which a whole lane leaves its receiver alone: short enough for a fire that comes meanwhile."""
        own = backoff_s(failures, first_s=self.first_s, most_s=self.fire_most_s)
        return max(own, min(retry.after_s, self.asked_most_s))

    def is_over(self, alert: Alert, delivery: Delivery, now_ms: int) -> bool:
        """Whether it has been tried for long enough. Never for a fire that nobody has acknowledged."""
        return not burning(alert) and now_ms - delivery.created_at_ms >= self.give_up_after_s * 1_000


def burning(alert: Alert) -> bool:
    """Whether this is a P1 that nobody has answered."""
    return alert.severity == "P1" and alert.live and alert.acked_at_ms is None and alert.on_scene_at_ms is None


def not_needed(alert: Alert, needed_while: str) -> str:
    """Why a delivery that is needed while `needed_while` need not be sent any more; "" when it must be."""
    if needed_while == "always":
        return ""
    if not alert.live:
        return "the alert is closed"
    if needed_while in ("unacknowledged", "not_on_scene") and alert.on_scene_at_ms is not None:
        return "somebody is on scene"
    if needed_while == "unacknowledged" and alert.acked_at_ms is not None:
        return "it is acknowledged"
    return ""
