"""How long a test may wait on this machine now: one that does other work as well is slower, and that is no fault of the hub."""

from __future__ import annotations

import os

_MOST = 4.0


def patient(seconds: float) -> float:
    """`seconds` of an idle machine, as this one may take them: up to four times as long, by the work that waits for its processors."""
    waiting, _, _ = os.getloadavg()
    return seconds * min(max(1.0, 2.0 * waiting / (os.cpu_count() or 1)), _MOST)
