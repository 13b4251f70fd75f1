"""Lengths of time as people write them: 90s, +1m30s, 2h, -10m."""

from __future__ import annotations

import re
from typing import Final

_UNITS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
PATTERN: Final = r"^[+-]?(?:\d+(?:\.\d+)?(?:ms|s|min|m|h|d))+$"
_WHOLE = re.compile(PATTERN)
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|min|m|h|d)")


def parsed(text: str) -> int:
    """Milliseconds of `text`. Raises ValueError with a remedy."""
    tight = text.replace(" ", "")
    if not _WHOLE.match(tight):
        raise ValueError("write a length of time with its unit, e.g. 90s, 1m30s, 2h or 500ms")
    total = round(sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(tight)))
    return -total if tight.startswith("-") else total


def spoken(ms: int) -> str:
    """`ms` in the same words, the shortest way: 90000 → 1m30s."""
    sign, rest = ("-", -ms) if ms < 0 else ("", ms)
    parts = []
    for unit in ("d", "h", "m", "s", "ms"):
        number, rest = divmod(rest, _UNITS[unit])
        if number:
            parts.append(f"{number}{unit}")
    return sign + ("".join(parts) or "0s")
