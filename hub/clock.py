"""The only module that reads the clock. Deciding code takes `now_ms` instead."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Returns milliseconds since the epoch, UTC."""


def now_ms() -> int:
    """Milliseconds since the epoch, UTC, from the system clock."""
    return time.time_ns() // 1_000_000


def monotonic_s() -> float:
    """Seconds that never go backwards; for back-off and leases inside one process."""
    return time.monotonic()


def cpu_s() -> float:
    """Seconds of processor time that this process has used."""
    return time.process_time()


class ForwardClock:
    """The system's time, but never backwards: when that is set back, this goes on from where it was. Thread-safe.

    What is due stays due then, and delays go on. It runs a tenth slower until the system's time has caught up, and
    `ahead_ms` says how far that is; a restart takes the system's time over at once. Set forward, it follows at once.
    """

    def __init__(
        self, wall_ns: Callable[[], int] = time.time_ns, steady_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._wall_ns, self._steady_ns = wall_ns, steady_ns
        self._lock = threading.Lock()
        self._at_ns, self._steady_at_ns = wall_ns(), steady_ns()
        self.ahead_ms = 0

    def __call__(self) -> int:
        with self._lock:
            steady, wall = self._steady_ns(), self._wall_ns()
            going_on = self._at_ns + (steady - self._steady_at_ns) * 9 // 10
            self._at_ns, self._steady_at_ns = max(wall, going_on), steady
            self.ahead_ms = (self._at_ns - wall) // 1_000_000
            return self._at_ns // 1_000_000


def wall_clock(at_ms: int, zone_name: str, fmt: str = "%Y-%m-%d %H:%M:%S") -> str:
    """`at_ms` written as wall-clock time in the IANA zone `zone_name`."""
    from datetime import UTC, datetime
    from zoneinfo import ZoneInfo

    return datetime.fromtimestamp(at_ms / 1_000, UTC).astimezone(ZoneInfo(zone_name)).strftime(fmt)


class SteppedClock:
    """A clock that tests move by hand."""

    def __init__(self, start_ms: int = 1_704_067_200_000) -> None:
        self.at_ms = start_ms

    def __call__(self) -> int:
        return self.at_ms

    def advance(self, *, ms: int = 0, s: float = 0, minutes: float = 0) -> int:
        self.at_ms += ms + int(s * 1_000) + int(minutes * 60_000)
        return self.at_ms
