"""One rule for one device: which devices and quantities can matter to it, in a rule set and registry."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hub.model.quantities import CODE
from hub.registry.snapshot import Registry
from hub.rules.areas import Areas
from hub.rules.ruleset import Rule, RuleSet
from hub.rules.scope import effective
from hub.rules.testing.scenes import with_references


class Subject:
    """One rule for one device, as both stand in a rule set and registry. `rule` is None when the rule does not watch the device."""

    def __init__(self, ruleset: RuleSet, registry: Registry, rule_id: str, slot: int) -> None:
        base = ruleset.find(rule_id)
        assert base is not None
        self.base, self.registry, self.slot = base, registry, slot
        self.ruleset = with_references(ruleset, [rule_id])
        self.inhibits = tuple(
            one for one in ruleset.rules if any(inhibitor.rule == rule_id for inhibitor in one.inhibitors)
        )
        found = [one for one in effective(as_one(base), registry, slot) if one.rule.spec.id == rule_id]
        self.rule: Rule | None = found[0].rule if found else None

    @property
    def enabled(self) -> bool:
        return self.rule is not None and self.rule.spec.enabled

    def concerned(self) -> NDArray[np.bool_]:
        """By slot: the devices whose readings can matter to it."""
        wanted = np.zeros(len(self.registry), bool)
        areas = Areas(self.registry)
        seen: set[tuple[str, bytes]] = set()
        waiting: list[tuple[Rule, NDArray[np.bool_]]] = []

        def among(rule_id: str, slots: NDArray[np.bool_]) -> None:
            rule = self.ruleset.find(rule_id)
            if rule is not None and slots.any():
                waiting.append((rule, slots))

        own = np.zeros(len(self.registry), bool)
        own[self.slot] = True
        among(self.base.spec.id, own)
        hub = self.registry.slot_of.get("hub")
        if hub is not None:
            wanted[hub] = True
        while waiting:
            rule, slots = waiting.pop()
            key = (rule.spec.id, slots.tobytes())
            if key in seen:
                continue
            seen.add(key)
            wanted |= slots
            for one in (rule, *rule.overrides):
                for inhibitor in one.inhibitors:
                    among(inhibitor.rule, around(self.registry, areas, slots, inhibitor.where))
                for trigger in one.run.triggers:
                    for other in trigger.rules:
                        among(other, around(self.registry, areas, slots, trigger.area))
                if one.run.counted is not None:
                    for other in one.run.counted.rules:
                        among(other, around(self.registry, areas, slots, one.run.counted.area))
        return wanted


def as_one(rule: Rule) -> RuleSet:
    return RuleSet((rule,), rule.spec.version)


def around(registry: Registry, areas: Areas, slots: NDArray[np.bool_], where: str) -> NDArray[np.bool_]:
    """Devices in the same area as any of `slots`, or their parents."""
    found = np.zeros(len(registry), bool)
    if where == "parent":
        parents = registry.parent[slots]
        found[parents[parents >= 0]] = True
        return found
    codes = areas.of(where)
    inside = np.unique(codes[slots])
    return np.isin(codes, inside[inside >= 0])


def what_decides(ruleset: RuleSet) -> tuple[object, ...]:
    """What decides when the rules of a set fire, and for whom."""
    return tuple(
        (one.spec.id, one.spec.version, one.spec.severity, one.spec.enabled, one.spec.alert, one.scope, one.inhibitors)
        for rule in ruleset.rules
        for one in (rule, *rule.overrides)
    )


def read_by(subject: Subject) -> set[int] | None:
    """Codes of the quantities that can matter to the rule; None: everything that the device says is a sign of life to it."""
    rule = subject.rule or subject.base
    if rule.run.driven_by == "silence":
        return None
    if rule.run.driven_by == "values":
        return {CODE[q] for q in (rule.spec.quantity, *rule.run.also) if q}
    several = [one for other in subject.ruleset.rules for one in (other, *other.overrides)]
    if any(one.run.driven_by == "silence" for one in several):
        return None
    return {CODE[q] for one in several for q in (one.spec.quantity, *one.run.also) if q}
