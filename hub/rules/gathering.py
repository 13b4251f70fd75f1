"""Which conditions of other rules are active, or were lately, in each area: for correlations, and for what waits for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from hub.model.rules import ConditionEvent
from hub.rules.kinds.correlate import Counted, Wanted

Member = tuple[str, int]
"""Rule id and slot."""


@dataclass(slots=True)
class Group:
    """One area. `members`: condition → (when it began, when it ended, 0 = it lasts). For a correlation also its own condition:
    whether it is `active`, since when, and the device that carries it; `start_ms` is kept so that no two episodes share one."""

    members: dict[Member, tuple[int, int]] = field(default_factory=dict)
    active: bool = False
    start_ms: int = 0
    holder: int = -1

    def copy(self) -> Group:
        return Group(dict(self.members), self.active, self.start_ms, self.holder)

    @property
    def lasting(self) -> bool:
        """Whether any condition lasts."""
        return any(not ended for _, ended in self.members.values())

    def told(self, event: ConditionEvent, keep_ms: int) -> None:
        """Takes the begin or end of a condition."""
        member = (event.rule.id, event.slot)
        if event.kind == "raised":
            self.members[member] = (event.at_ms, 0)
        elif event.kind in ("cleared", "withdrawn") and member in self.members:
            began, _ = self.members[member]
            if keep_ms:
                self.members[member] = (began, event.at_ms)
            else:
                del self.members[member]

    def forget(self, now_ms: int, keep_ms: int) -> bool:
        """Drops what ended longer ago than `keep_ms`; whether there was any."""
        old = [m for m, (_, ended) in self.members.items() if ended and now_ms - ended > keep_ms]
        for member in old:
            del self.members[member]
        return bool(old)

    def leap(self, leap_ms: int, now_ms: int) -> None:
        self.members = {
            m: (min(began + leap_ms, now_ms), min(ended + leap_ms, now_ms) if ended else 0)
            for m, (began, ended) in self.members.items()
        }


class Gathering:
    """The groups of one rule, by area number. `open` hands out copies; `commit` takes them back."""

    def __init__(self, level: str, rules: Iterable[str], keep_ms: int) -> None:
        self.level, self.rules, self.keep_ms = level, frozenset(rules), keep_ms
        self.groups: dict[int, Group] = {}
        self.aging: set[int] = set()  # areas where a condition ended that still counts: time alone can change those

    def open(self, area: int, opened: dict[int, Group]) -> Group:
        if area not in opened:
            known = self.groups.get(area)
            opened[area] = Group() if known is None else known.copy()
        return opened[area]

    def commit(self, opened: Mapping[int, Group]) -> None:
        for area, group in opened.items():
            if group.members or group.start_ms:
                self.groups[area] = group
            else:
                self.groups.pop(area, None)
            if any(ended for _, ended in group.members.values()):
                self.aging.add(area)
            else:
                self.aging.discard(area)


def met(
    counted: Counted,
    group: Group,
    *,
    watched: Callable[[tuple[str, ...]], int],
    kind_of: Callable[[int], int],
) -> bool:
    """Whether the conditions of `group` (nothing older than `within_ms` is in it) are what `counted` asks for.

    `watched(rules)`: how many devices of the area those rules watch."""
    return any(all(_holds(term, group, watched, kind_of) for term in terms) for terms in counted.alternatives)


def _holds(
    term: Wanted, group: Group, watched: Callable[[tuple[str, ...]], int], kind_of: Callable[[int], int]
) -> bool:
    slots = {slot for rule, slot in group.members if rule in term.rules}
    number = len({kind_of(slot) for slot in slots}) if term.by_kind else len(slots)
    least = term.count
    if term.share is not None:
        least = max(least, math.ceil(term.share * watched(term.rules) - 1e-9))
    return number >= least
