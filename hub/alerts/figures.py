"""Figures of alarm practice from what was counted: MTTA, MTTR, 1-3-5, closing rates, load and floods per person. Pure.

Targets and where they come from: docs/figures.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from hub.model.rules import SEVERITIES

FLOOD_BEGINS: Final = 10
"""More alarms than this within ten minutes are a flood (EEMUA 191) …"""
FLOOD_ENDS: Final = 5
"""… until there are fewer than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the alarms asked of one person or station. Averages and shares are over all ten minutes of the span."""

    recipient: str
    alarms: int
    average: float
    busiest: int
    floods: int
    in_flood: float


def ratio(part: float, whole: float) -> float | None:
    """`part` of `whole`; None where there is nothing to divide."""
    return part / whole if whole else None


def mean_s(sum_ms: float, number: int) -> float | None:
    """The mean in seconds; None of nothing."""
    return sum_ms / number / 1_000 if number else None


def split(counts: Mapping[str, int]) -> dict[str, float | None]:
    """Each severity's share of all alarms."""
    whole = sum(counts.values())
    return {severity: ratio(counts.get(severity, 0), whole) for severity in SEVERITIES}


def loads(told: Iterable[tuple[str, int, int]], slots: int) -> list[Load]:
    """The load of each recipient, the most loaded first. `told`: (recipient, ten minutes, alarms) in this order; `slots`: ten minutes in the span."""
    found = []
    for recipient, rows in groupby(told, key=lambda row: row[0]):
        by_slot = {slot: alarms for _, slot, alarms in rows}
        floods, flooded = flood(by_slot)
        alarms = sum(by_slot.values())
        found.append(
            Load(
                recipient=recipient,
                alarms=alarms,
                average=alarms / max(slots, 1),
                busiest=max(by_slot.values()),
                floods=floods,
                in_flood=flooded / max(slots, 1),
            )
        )
    return sorted(found, key=lambda load: (-load.alarms, load.recipient))


def flood(by_slot: Mapping[int, int]) -> tuple[int, int]:
    """How many floods there were, and over how many ten minutes. A slot without alarms has none, and ends a flood."""
    floods = flooded = 0
    inside, before = False, None
    for slot in sorted(by_slot):
        alarms = by_slot[slot]
        goes_on = inside and before is not None and slot == before + 1 and alarms >= FLOOD_ENDS
        inside = goes_on or alarms > FLOOD_BEGINS
        floods += inside and not goes_on
        flooded += inside
        before = slot
    return floods, flooded


def slots_in(since_ms: int, until_ms: int, length_ms: int) -> int:
    """How many whole or begun stretches of `length_ms` lie in the span."""
    return max(-(-(until_ms - since_ms) // length_ms), 1)
