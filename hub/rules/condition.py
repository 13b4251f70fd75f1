"""The condition machine of one (rule, device): on-delay, hysteresis, off-delay; the whole of it is the table NEXT.

ISA-18.2 words: the on-delay is `hold`, the off-delay `clear_hold`, the deadband lies between the limit and the clearing limit.
"""

from __future__ import annotations

from typing import Final

import numpy as np

NORMAL, PENDING, ACTIVE, CLEARING = range(4)
STATE_NAMES: Final = ("normal", "pending", "active", "clearing")

CLEAR, BREACH, BETWEEN, UNKNOWN = range(4)
"""What one reading says about the condition. UNKNOWN: null, bad quality, or mere passing of time; it never clears."""

# NEXT[state][signal][held]. `held` = the delay that counts in this state is over: the on-delay in NORMAL (it is zero) and
# PENDING, the off-delay in ACTIVE (it is zero) and CLEARING.
_NEXT: Final = {
    NORMAL: {
        CLEAR: (NORMAL, NORMAL),
        BREACH: (PENDING, ACTIVE),
        BETWEEN: (NORMAL, NORMAL),
        UNKNOWN: (NORMAL, NORMAL),
    },
    PENDING: {
        CLEAR: (NORMAL, NORMAL),
        BREACH: (PENDING, ACTIVE),
        BETWEEN: (NORMAL, NORMAL),
        UNKNOWN: (PENDING, ACTIVE),  # the last known value stands: a door left open needs no second message
    },
    ACTIVE: {
        CLEAR: (CLEARING, NORMAL),
        BREACH: (ACTIVE, ACTIVE),
        BETWEEN: (ACTIVE, ACTIVE),
        UNKNOWN: (ACTIVE, ACTIVE),  # unknown never clears, silence is not recovery
    },
    CLEARING: {
        CLEAR: (CLEARING, NORMAL),
        BREACH: (ACTIVE, ACTIVE),
        BETWEEN: (ACTIVE, ACTIVE),
        UNKNOWN: (CLEARING, NORMAL),  # it was told to be clear; only the off-delay was missing
    },
}

NEXT: Final = np.array(
    [[[_NEXT[state][signal][held] for held in (0, 1)] for signal in range(4)] for state in range(4)], dtype=np.uint8
)


def raised(before: int, after: int) -> bool:
    """Whether this step opens an episode."""
    return before in (NORMAL, PENDING) and after == ACTIVE


def cleared(before: int, after: int) -> bool:
    """Whether this step ends an episode."""
    return before in (ACTIVE, CLEARING) and after == NORMAL
