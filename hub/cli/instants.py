"""Instants as people give them to commands: 2024-01-01, 2024-01-01T08:00, …+08:00, -7d, now."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from hub.cli.migrate import complain


def instant(text: str, option: str, *, zone: str, now_ms: int) -> int:
    """Milliseconds of `text`; without an offset it is the time of the site. Ends the program with a remedy when it is none."""
    from hub.rules.testing import spans

    if text == "now":
        return now_ms
    if text.startswith("-"):
        try:
            return now_ms + spans.parsed(text)
        except ValueError:
            pass
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        complain(f"{option} {text!r} is no time; use e.g. 2024-01-01, 2024-01-01T08:00+08:00, or -7d for a week ago")
    if at.tzinfo is None:
        at = at.replace(tzinfo=ZoneInfo(zone))
    return int(at.timestamp() * 1_000)


def local(at_ms: int, zone: str) -> str:
    """`at_ms` in the site's time, to the second."""
    from hub.clock import wall_clock

    return wall_clock(at_ms, zone)
