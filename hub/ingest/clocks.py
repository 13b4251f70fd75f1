"""What the hub makes of a device's clock, in words: the policy of `hub.ingest.screen`, for people."""

from __future__ import annotations

from typing import Final, Literal

from hub.ingest.screen import Limits

Policy = Literal["good", "none", "late", "ahead", "wrong"]

MEANING: Final[dict[Policy, str]] = {
    "good": "its own time counts",
    "none": "it sends no usable time: the time of receipt counts",
    "late": "late: stored at its own time, may raise a life-safety alarm, clears nothing; behind by the same again and again = wrong",
    "ahead": "ahead: the time of receipt counts",
    "wrong": "its clock is wrong: the time of receipt counts",
}


def policy_of(lag_ms: int | None, limits: Limits, *, steady: bool = False) -> Policy:
    """How a time that lies `lag_ms` before the receipt (negative: after it) is treated. `steady`: it lagged as much before."""
    if lag_ms is None:
        return "none"
    if lag_ms < -limits.future_ms:
        return "ahead"
    if lag_ms <= limits.late_ms:
        return "good"
    return "wrong" if steady or lag_ms > limits.past_ms else "late"


def behind(lag_ms: int) -> str:
    """`lag_ms` as people say it: "3 h behind", "20 s ahead"."""
    seconds = abs(lag_ms) // 1_000
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit} {'behind' if lag_ms > 0 else 'ahead'}"
    return f"{seconds} s {'behind' if lag_ms > 0 else 'ahead'}"
