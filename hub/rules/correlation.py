"""A rule of kind correlate at work: it counts other rules' conditions by area and carries a condition of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hub.model.rules import ConditionEvent
from hub.registry.snapshot import Registry
from hub.rules.areas import Areas
from hub.rules.gathering import Gathering, Group, met
from hub.rules.ruleset import Rule, Scope
from hub.rules.scope import Members

Opened = dict[int, Group]


class Correlation:
    """One correlation over all areas. `evaluate` and `tick` change only the groups that they were handed; `commit` keeps them."""

    def __init__(
        self, order: int, rule: Rule, registry: Registry, areas: Areas, members: Members, watched: Callable[[str], Any]
    ) -> None:
        self.order, self.rule, self.spec, self.run = order, rule, rule.spec, rule.run
        self.counted = rule.run.counted
        self.gathering = Gathering(self.counted.area, self.counted.rules, self.counted.within_ms)
        self._registry, self._areas, self._watched = registry, areas, watched
        self._codes = areas.of(self.counted.area)
        self._may_hold = np.zeros(len(registry), bool)
        self._may_hold[members.of(rule.scope)] = True
        self._counts = np.zeros(len(registry), bool)
        self._counts[members.of(Scope(places=rule.scope.places))] = True
        self._numbers: dict[tuple[str, ...], NDArray[np.int64]] = {}

    def area_of(self, slot: int) -> int:
        return int(self._codes[slot]) if slot < len(self._codes) else -1

    def may_hold(self, slots: NDArray[np.int32] | NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether devices are of those that the rule speaks of."""
        return np.asarray(self._may_hold[slots])

    def concerns(self, event: ConditionEvent) -> bool:
        return (
            event.rule.id in self.gathering.rules
            and event.kind in ("raised", "cleared", "withdrawn")
            and not event.canary
            and bool(self._counts[event.slot])
            and self.area_of(event.slot) >= 0
        )

    def told(self, event: ConditionEvent, opened: Opened) -> ConditionEvent | None:
        """What a condition that came or went means for its area."""
        area = self.area_of(event.slot)
        group = self.gathering.open(area, opened)
        group.told(event, self.gathering.keep_ms)
        group.forget(event.at_ms, self.gathering.keep_ms)
        return self._judge(area, group, event.at_ms, event.position, event.slot, event)

    def tick(
        self, now_ms: int, leap_ms: int, position: int, told: Iterable[ConditionEvent], opened: Opened
    ) -> list[ConditionEvent]:
        """What the passing of time means: first what came or went with it (`told`), then what is too long ago to count."""
        groups = self.gathering.groups
        if leap_ms:
            for area in groups:
                self.gathering.open(area, opened).leap(leap_ms, now_ms)
        found = [self.told(event, opened) for event in told]
        for area in sorted(self.gathering.aging | opened.keys()):
            group = opened.get(area) or groups[area]
            if group.active or not group.lasting:  # one that is not active cannot become so by forgetting
                group = self.gathering.open(area, opened)
                if group.forget(now_ms, self.gathering.keep_ms):
                    found.append(self._judge(area, group, now_ms, position, -1, None))
        return [event for event in found if event is not None]

    def _judge(
        self, area: int, group: Group, at_ms: int, position: int, slot: int, cause: ConditionEvent | None
    ) -> ConditionEvent | None:
        holds = met(
            self.counted,
            group,
            watched=lambda rules: self._number(rules, area),
            kind_of=lambda one: int(self._registry.kind[one]),
        )
        if holds == group.active:
            return None
        if holds:
            group.active = True
            group.start_ms = max(at_ms, group.start_ms + 1)
            group.holder = self._holder(group, slot)
            return self._event("raised", group, area, at_ms, position, cause)
        group.active = False
        return self._event("cleared", group, area, at_ms, position, cause)

    def _holder(self, group: Group, slot: int) -> int:
        """The device that carries the alert: the one that completed the condition, else the latest that the rule speaks of."""
        latest = sorted(group.members, key=lambda m: (group.members[m][0], m[1]), reverse=True)
        candidates = [slot, *(one for _, one in latest)] if slot >= 0 else [one for _, one in latest]
        return next((one for one in candidates if self._may_hold[one]), candidates[0])

    def _event(
        self, kind: Any, group: Group, area: int, at_ms: int, position: int, cause: ConditionEvent | None
    ) -> ConditionEvent:
        ids = self._registry.ids
        evidence = {
            "area": self._areas.name(self.counted.area, area),
            "members": [
                {"rule": rule, "device": ids[slot], "began_ms": began, "ended_ms": ended or None}
                for (rule, slot), (began, ended) in sorted(
                    group.members.items(), key=lambda m: (m[1][0], m[0][1], m[0][0])
                )
            ],
        }
        return ConditionEvent(
            kind=kind,
            rule=self.spec,
            slot=group.holder,
            device=ids[group.holder],
            at_ms=at_ms,
            observed_at_ms=at_ms if cause is None else cause.observed_at_ms,
            episode_start_ms=group.start_ms,
            position=position,
            value=None,
            quantity="",
            received_at_ms=at_ms,
            evidence=evidence,
        )

    def _number(self, rules: tuple[str, ...], area: int) -> int:
        """How many devices of the area `rules` watch."""
        if rules not in self._numbers:
            slots = np.unique(np.concatenate([self._watched(rule) for rule in rules]))
            codes = self._codes[slots]
            self._numbers[rules] = np.bincount(codes[codes >= 0], minlength=area + 1)
        counts = self._numbers[rules]
        return int(counts[area]) if area < len(counts) else 0

    def withdrawn(self, area: int, group: Group, now_ms: int, position: int, reason: str) -> ConditionEvent:
        return replace(self._event("withdrawn", group, area, now_ms, position, None), reason=reason)

    def active(self, now_ms: int, position: int) -> Iterable[ConditionEvent]:
        for area, group in self.gathering.groups.items():
            if group.active:
                yield self._event("raised", group, area, now_ms, position, None)
