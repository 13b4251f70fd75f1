"""The only module that reads the clock. Deciding code takes `now_ms` instead."""

from __future__ import annotations

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
