"""A slow twin of the rules engine: one reading, one rule, one device at a time, in plain Python. Written from the prose, not the arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hub.model.quantities import QUANTITIES, spoken
from hub.model.readings import Quality
from hub.registry.snapshot import Registry
from hub.rules.ruleset import Rule, RuleSet

Row = tuple[int, str, float, int, int, int, int]
"""slot, quantity, value, observed_at_ms, received_at_ms, quality, position"""


@dataclass
class Memory:
    state: str = "normal"
    since: int = 0
    start: int = 0
    count: int = 0


class Twin:
    def __init__(self, rules: RuleSet, registry: Registry, *, start_ms: int) -> None:
        self.registry = registry
        self.rules = [r for r in rules.rules if r.spec.enabled]
        self.memory: dict[tuple[str, int], Memory] = {}
        self.heard = {slot: start_ms for slot, id_ in enumerate(registry.ids) if id_}
        self.events: list[tuple[str, str, str, int, int, int]] = []

    def _watches(self, rule: Rule, slot: int) -> bool:
        kind = self.registry.device(slot).kind
        return bool(self.registry.active[slot]) and ("*" in rule.spec.device_kinds or kind in rule.spec.device_kinds)

    def _cell(self, rule: Rule, slot: int) -> Memory:
        return self.memory.setdefault((rule.spec.id, slot), Memory())

    def _say(self, kind: str, rule: Rule, slot: int, at: int, start: int, position: int) -> None:
        self.events.append((kind, rule.spec.id, self.registry.ids[slot], at, start, position))

    def read(self, row: Row) -> None:
        slot, quantity, value, _observed, now, quality, position = row
        for rule in self.rules:
            if not self._watches(rule, slot):
                continue
            if rule.run.driven_by == "silence":
                self._life(rule, row)
            elif rule.spec.quantity == quantity:
                self._value(rule, slot, quantity, value, now, quality, position)
        if not (quantity == "online" and value == 0.0) and not quality & Quality.RETAINED:
            self.heard[slot] = now

    def _life(self, rule: Rule, row: Row) -> None:
        slot, quantity, value, _observed, now, quality, position = row
        cell = self._cell(rule, slot)
        if quantity == "online" and value == 0.0:
            if cell.state == "normal":
                cell.state, cell.start = "active", max(now, cell.start + 1)
                self._say("raised", rule, slot, now, cell.start, position)
        elif not quality & Quality.RETAINED and cell.state == "active":
            cell.state = "normal"
            self._say("cleared", rule, slot, now, cell.start, position)

    def _value(self, rule: Rule, slot: int, quantity: str, value: float, now: int, quality: int, position: int) -> None:
        meaning = self._meaning(rule, value)
        if quality & (Quality.DUPLICATE | Quality.HISTORY | Quality.IMPLAUSIBLE):
            meaning = "unknown"
        elif quality & Quality.TEST and not self.registry.canary[slot]:
            if meaning == "breach":
                self._say("test", rule, slot, now, now, position)
            meaning = "unknown"
        elif quality & Quality.LATE and not (QUANTITIES[quantity].alarm and meaning == "breach"):
            meaning = "unknown"
        self._step(rule, slot, meaning, now, position)

    @staticmethod
    def _meaning(rule: Rule, value: float) -> str:
        if math.isnan(value):
            return "unknown"
        when = rule.spec.when
        if when.equals is not None:
            wanted = when.equals if isinstance(when.equals, list) else [when.equals]
            return "breach" if spoken(QUANTITIES[rule.spec.quantity], value) in wanted else "clear"
        if when.above is not None or when.at_least is not None:
            if (when.above is not None and value > when.above) or (
                when.at_least is not None and value >= when.at_least
            ):
                return "breach"
            return "between" if when.clear_below is not None and value >= when.clear_below else "clear"
        if (when.below is not None and value < when.below) or (when.at_most is not None and value <= when.at_most):
            return "breach"
        return "between" if when.clear_above is not None and value <= when.clear_above else "clear"

    def _step(self, rule: Rule, slot: int, meaning: str, now: int, position: int) -> None:
        cell = self._cell(rule, slot)
        hold, off = rule.run.hold_ms, rule.run.clear_hold_ms
        if cell.state == "normal" and meaning == "breach":
            cell.start, cell.since, cell.count = max(now, cell.start + 1), now, 1
            cell.state = "pending"
            if hold == 0 and rule.run.samples <= 1:
                self._raise(cell, rule, slot, now, position)
        elif cell.state == "pending":
            if meaning in ("clear", "between"):
                cell.state, cell.count = "normal", 0
            else:
                cell.count += meaning == "breach"
                if now - cell.since >= hold and cell.count >= rule.run.samples:
                    self._raise(cell, rule, slot, now, position)
        elif cell.state == "active" and meaning == "clear":
            cell.state, cell.since = "clearing", now
            if off == 0:
                self._clear(cell, rule, slot, now, position)
        elif cell.state == "clearing":
            if meaning in ("breach", "between"):
                cell.state = "active"
            elif now - cell.since >= off:
                self._clear(cell, rule, slot, now, position)

    def _raise(self, cell: Memory, rule: Rule, slot: int, now: int, position: int) -> None:
        cell.state = "active"
        self._say("raised", rule, slot, now, cell.start, position)

    def _clear(self, cell: Memory, rule: Rule, slot: int, now: int, position: int) -> None:
        cell.state, cell.count = "normal", 0
        self._say("cleared", rule, slot, now, cell.start, position)

    def tick(self, now: int, position: int) -> None:
        for rule in self.rules:
            for slot, id_ in enumerate(self.registry.ids):
                if not id_ or not self._watches(rule, slot):
                    continue
                if rule.run.driven_by == "silence":
                    limit = rule.run.silent_ms or int(self.registry.silence_limit_ms[slot])
                    cell = self._cell(rule, slot)
                    if limit and cell.state == "normal" and now - self.heard[slot] > limit:
                        cell.state, cell.start = "active", max(self.heard[slot] + limit, cell.start + 1)
                        self._say("raised", rule, slot, now, cell.start, position)
                elif self._cell(rule, slot).state in ("pending", "clearing"):
                    self._step(rule, slot, "unknown", now, position)
