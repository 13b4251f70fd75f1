"""Devices that a rule is about and can never judge: silence of a rule that nobody would notice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub.model.rules import RuleSpec
from hub.registry.snapshot import Registry
from hub.rules.engine import Engine
from hub.rules.ruleset import RuleSet


@dataclass(frozen=True, slots=True)
class Blind:
    """Why `rule` says nothing about some devices, in a sentence, and what to do."""

    rule: RuleSpec
    message: str
    remedy: str


def blind(ruleset: RuleSet, registry: Registry) -> Iterator[Blind]:
    """Rules that cannot see devices in their scope: those that lie in no area of the level at which a rule counts or waits, and
    those whose reports are expected too seldom for what the rule looks back over. (Names in scopes: `hub.rules.scope.strangers`.)
    """
    engine = Engine(ruleset, registry, start_ms=0)
    for table in engine.tables:
        slowest_ms = table.run.slowest_ms
        if slowest_ms:
            interval = registry.expected_interval_ms[table.slot]
            slow = table.slot[interval > slowest_ms]
            if len(slow):
                least = int(registry.expected_interval_ms[slow].min()) / 1_000
                yield Blind(
                    table.spec,
                    f"{_devices(registry, slow)}: a report every {least:g} s or less often, and this rule needs one every "
                    f"{slowest_ms / 1_000:g} s to know anything",
                    "have them report more often when the value moves, or look back over a longer time",
                )
        for gathering in engine.gatherings_of(table):
            lost = table.slot[engine.areas.of(gathering.level)[table.slot] < 0]
            yield from _nowhere(table.spec, registry, gathering.level, lost)
    for correlation in engine.correlations:
        area = correlation.counted.area
        watched = [table.slot for rule in correlation.counted.rules for table in engine.tables_of(rule)]
        slots = np.unique(np.concatenate(watched)) if watched else np.empty(0, np.int32)
        lost = slots[(engine.areas.of(area)[slots] < 0) & correlation.may_hold(slots)]
        yield from _nowhere(correlation.spec, registry, area, lost)


def _nowhere(rule: RuleSpec, registry: Registry, level: str, slots: NDArray[np.int32]) -> Iterator[Blind]:
    """Only where it endangers somebody: a shop without a compound has no false alarms to be counted by compound either."""
    if len(slots) and rule.severity in ("P1", "P2"):
        lie = "lies" if len(slots) == 1 else "lie"
        yield Blind(
            rule,
            f"{_devices(registry, slots)} {lie} in no {level}, where this rule looks for what happens together",
            f"give their place a {level} in registry/places.yaml",
        )


def _devices(registry: Registry, slots: NDArray[np.int32]) -> str:
    first = registry.ids[int(slots[0])]
    return f"{len(slots)} device{'s' if len(slots) != 1 else ''} (such as {first})"
