"""A slow twin of the rules engine: one reading, one rule, one device at a time, in plain Python. Written from the prose, not the arrays."""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass, field
from typing import Any

from hub.model.quantities import OWN, QUANTITIES, WANTED, spoken
from hub.model.readings import Quality
from hub.registry.snapshot import Registry
from hub.rules.kinds.kind import Context
from hub.rules.ruleset import Rule, RuleSet, Scope

Row = tuple[int, str, float, int, int, int, int]
"""slot, quantity, value, observed_at_ms, received_at_ms, quality, position"""
Said = tuple[str, str, str, int, int, int]
"""kind, rule, device, at_ms, episode_start_ms, position"""
MINUTE = 60_000


@dataclass
class Memory:
    state: str = "normal"
    since: int = 0
    start: int = 0
    count: int = 0
    turns: list[int] = field(default_factory=list)  # when it began or ended
    chattered: int = 0  # start of the episode that was said to chatter
    kind: Any = None  # the twin of a kind with memory


@dataclass
class Area:
    """What a correlation, or a rule that waits, knows of one area: condition → when it ended (None = it lasts)."""

    members: dict[tuple[str, int], int | None] = field(default_factory=dict)
    began: dict[tuple[str, int], int] = field(default_factory=dict)
    active: bool = False
    start: int = 0
    holder: int = -1

    def lasting(self) -> bool:
        return any(ended is None for ended in self.members.values())


class Twin:
    def __init__(self, rules: RuleSet, registry: Registry, *, start_ms: int) -> None:
        self.registry = registry
        self.rules = rules.in_turn()
        self.memory: dict[tuple[str, int], Memory] = {}
        self.areas: dict[tuple[str, int, str], Area] = {}  # rule, number of the trigger, area
        self.heard = {slot: start_ms for slot, id_ in enumerate(registry.ids) if id_}
        self.last_tick = start_ms
        self.deaf = False
        self.events: list[Said] = []
        self._told: list[Said] = []  # of this row or tick

    # -- who is watched, and with which numbers ------------------------------------------------------------------------

    def _fits(self, scope: Scope, slot: int) -> bool:
        device = self.registry.device(slot)
        return (
            (not scope.kinds or "*" in scope.kinds or device.kind in scope.kinds)
            and (not scope.devices or device.id in scope.devices)
            and (not scope.models or device.model in scope.models)
            and (not scope.tags or any(tag in device.tags for tag in scope.tags))
            and (not scope.places or any(place in self._above(slot) for place in scope.places))
        )

    def _above(self, slot: int) -> dict[str, int]:
        """Places that the device lies in → how deep they lie."""
        device = self.registry.device(slot)
        paths = (self.registry.path(device.place), self.registry.path(device.grid))
        return {place.code: depth for path in paths for depth, place in enumerate(path)}

    def _rule_for(self, rule: Rule, slot: int) -> Rule | None:
        if not self.registry.ids[slot] or not self._fits(rule.scope, slot):
            return None
        best, winner = -1, rule
        for override in rule.overrides:
            if self._fits(override.scope, slot):
                scope = override.scope
                above = self._above(slot)
                place = max((above[p] for p in scope.places if p in above), default=-1)
                score = 10_000 * bool(scope.devices) + 100 * (place + 1) + 50 * bool(scope.tags)
                score += 20 * bool(scope.models) + 10 * bool(scope.kinds and "*" not in scope.kinds)
                if score >= best:
                    best, winner = score, override
        return winner if winner.spec.enabled else None

    def _area(self, slot: int, level: str) -> str:
        if level == "device":
            return self.registry.ids[slot]
        device = self.registry.device(slot)
        for path in (self.registry.path(device.place), self.registry.path(device.grid)):
            for place in path:
                if place.level == level:
                    return place.code
        return ""

    def _cell(self, rule: Rule, slot: int) -> Memory:
        cell = self.memory.setdefault((rule.spec.id, slot), Memory())
        if cell.kind is None and rule.run.memory is not None:
            module = importlib.import_module(f"tests.support.twins.{rule.spec.kind}")
            cell.kind = module.Twin(rule.spec.when, QUANTITIES.get(rule.spec.quantity), Context())
        return cell

    def _say(self, kind: str, rule: Rule, slot: int, at: int, start: int, position: int) -> None:
        said = (kind, rule.spec.id, self.registry.ids[slot], at, start, position)
        self._told.append(said)
        if rule.spec.alert:
            self.events.append(said)

    # -- a reading ------------------------------------------------------------------------------------------------------

    def read(self, row: Row) -> None:
        slot, quantity, value, _observed, now, quality, position = row
        self._told = []
        for rule in self.rules:
            if rule.run.counted is not None:
                self._correlate(rule, now, position)
                continue
            mine = self._rule_for(rule, slot)
            if mine is not None and mine.run.driven_by == "silence":
                self._life(mine, row)
            elif mine is not None and (mine.spec.quantity == quantity or quantity in mine.run.also):
                if mine.run.memory is None:
                    self._value(mine, slot, quantity, value, now, quality, position)
                else:
                    self._remembered(mine, row)
            self._await(rule, now, position)
        if quantity in OWN or quantity in WANTED.values():
            return  # others said it, to or of the device
        gone = quantity == "online" and value == 0.0
        if quantity == "online" and self.registry.ids[slot] == "hub":
            self.deaf = gone
        if not gone and not quality & Quality.RETAINED:
            self.heard[slot] = now

    def _life(self, rule: Rule, row: Row) -> None:
        slot, quantity, value, _observed, now, quality, position = row
        if quantity == "online" and value == 0.0:
            self._step(rule, slot, "breach", now, position, blocked=bool(rule.inhibitors))
        elif not quality & Quality.RETAINED and quantity not in OWN and quantity not in WANTED.values():
            self._step(rule, slot, "clear", now, position, blocked=bool(rule.inhibitors))

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
        self._step(rule, slot, meaning, now, position, blocked=bool(rule.inhibitors))

    def _remembered(self, rule: Rule, row: Row) -> None:
        slot, quantity, value, observed, now, quality, position = row
        refused = Quality.DUPLICATE | Quality.HISTORY | Quality.IMPLAUSIBLE | Quality.LATE
        if quality & refused or (quality & Quality.TEST and not self.registry.canary[slot]):
            return
        meaning = self._cell(rule, slot).kind.judge(quantity, value, now, observed)
        self._step(rule, slot, meaning, now, position, blocked=bool(rule.inhibitors))

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

    # -- the condition of one device ------------------------------------------------------------------------------------

    def _step(self, rule: Rule, slot: int, meaning: str, now: int, position: int, *, blocked: bool) -> None:
        cell = self._cell(rule, slot)
        hold, off = rule.run.hold_ms, rule.run.clear_hold_ms
        if cell.state == "normal" and meaning == "breach":
            cell.start, cell.since, cell.count = max(now, cell.start + 1), now, 1
            cell.state = "pending"
            if hold == 0 and rule.run.samples <= 1 and not blocked:
                self._raise(cell, rule, slot, now, position)
        elif cell.state == "pending":
            if meaning in ("clear", "between"):
                cell.state, cell.count = "normal", 0
            else:
                cell.count += meaning == "breach"
                enough = rule.run.samples <= 1 or cell.count >= rule.run.samples
                if now - cell.since >= hold and enough and not blocked:
                    self._raise(cell, rule, slot, now, position)
        elif cell.state == "active" and meaning == "clear":
            if off == 0:
                self._clear(cell, rule, slot, now, position)
            else:
                cell.state, cell.since = "clearing", now
        elif cell.state == "clearing":
            if meaning in ("breach", "between"):
                if now - cell.since >= off:  # kept open for its chatter
                    cell.turns.append(now)
                cell.state = "active"
            elif now - cell.since >= off:
                self._clear(cell, rule, slot, now, position)

    def _raise(self, cell: Memory, rule: Rule, slot: int, now: int, position: int) -> None:
        cell.state = "active"
        self._say("raised", rule, slot, now, cell.start, position)
        if self._turns_before(cell, now) >= 2:
            self._chatters(cell, rule, slot, now, position)
        cell.turns.append(now)

    def _clear(self, cell: Memory, rule: Rule, slot: int, now: int, position: int) -> None:
        asked = cell.since if cell.state == "clearing" else now
        quiet = cell.state == "clearing" and now - cell.since >= MINUTE
        if self._turns_before(cell, asked) >= 2 and not quiet:  # the third turn in a minute: it stays open
            self._chatters(cell, rule, slot, now, position)
            if cell.state == "active":
                cell.state, cell.since = "clearing", now
            return
        cell.state, cell.count = "normal", 0
        cell.turns.append(now)
        self._say("cleared", rule, slot, now, cell.start, position)

    def _chatters(self, cell: Memory, rule: Rule, slot: int, now: int, position: int) -> None:
        if cell.chattered != cell.start:  # once in an episode
            cell.chattered = cell.start
            self._say("chatter", rule, slot, now, cell.start, position)

    @staticmethod
    def _turns_before(cell: Memory, at: int) -> int:
        return sum(at - turn < MINUTE for turn in cell.turns[-3:])

    # -- what comes together --------------------------------------------------------------------------------------------

    def _correlate(self, rule: Rule, now: int, position: int, *, tick: bool = False) -> None:
        counted = rule.run.counted
        if not rule.spec.enabled:
            return
        for kind, rule_id, device, at, _start, _position in list(self._told):
            slot = self.registry.slot_of[device]
            name = self._area(slot, counted.area)
            place_fits = self._fits(Scope(places=rule.scope.places), slot)
            if rule_id not in counted.rules or not name or self.registry.canary[slot] or not place_fits:
                continue
            if kind not in ("raised", "cleared"):
                continue
            area = self.areas.setdefault((rule.spec.id, 0, name), Area())
            member = (rule_id, slot)
            if kind == "raised":
                area.members[member], area.began[member] = None, at
            elif member in area.members:
                area.members[member] = at
            self._judge(rule, name, area, now, position, slot)
        if tick:
            for (rule_id, _, name), area in sorted(self.areas.items()):
                if rule_id == rule.spec.id:
                    self._judge(rule, name, area, now, position, -1)

    def _judge(self, rule: Rule, name: str, area: Area, now: int, position: int, slot: int) -> None:
        counted = rule.run.counted
        for member, ended in list(area.members.items()):
            if ended is not None and (now - ended > counted.within_ms or not counted.within_ms):
                del area.members[member]
        holds = any(
            all(self._enough(term, area, counted.area, name) for term in terms) for terms in counted.alternatives
        )
        if holds and not area.active:
            latest = sorted(area.members, key=lambda m: (area.began[m], m[1]), reverse=True)
            candidates = ([slot] if slot >= 0 else []) + [one for _, one in latest]
            area.holder = next((one for one in candidates if self._fits(rule.scope, one)), candidates[0])
            area.active, area.start = True, max(now, area.start + 1)
            self._say("raised", rule, area.holder, now, area.start, position)
        elif area.active and not holds:
            area.active = False
            self._say("cleared", rule, area.holder, now, area.start, position)

    def _enough(self, term: Any, area: Area, level: str, name: str) -> bool:
        slots = {slot for rule_id, slot in area.members if rule_id in term.rules}
        number = len({self.registry.device(slot).kind for slot in slots}) if term.by_kind else len(slots)
        if term.share is None:
            return number >= term.count
        watched = {
            slot
            for rule in self.rules
            if rule.spec.id in term.rules
            for slot, id_ in enumerate(self.registry.ids)
            if id_ and self._area(slot, level) == name and self._rule_for(rule, slot) is not None
        }
        return number >= max(term.count, math.ceil(term.share * len(watched) - 1e-9))

    def _await(self, rule: Rule, now: int, position: int) -> None:
        """Conditions of other rules that `rule` waits for: the first of an area to begin, the last one to end."""
        for number, trigger in enumerate(rule.run.triggers):
            for kind, rule_id, device, at, _start, _position in list(self._told):
                slot = self.registry.slot_of[device]
                name = self._area(slot, trigger.area)
                if rule_id not in trigger.rules or kind not in ("raised", "cleared") or not name:
                    continue
                if self.registry.canary[slot]:
                    continue
                area = self.areas.setdefault((rule.spec.id, number, name), Area())
                before = area.lasting()
                area.members[(rule_id, slot)] = None if kind == "raised" else at
                if area.lasting() == before:
                    continue
                for other, id_ in enumerate(self.registry.ids):
                    mine = self._rule_for(rule, other) if id_ else None
                    if mine is not None and self._area(other, trigger.area) == name:
                        meaning = self._cell(mine, other).kind.triggered(not before, at)
                        self._step(mine, other, meaning, at, position, blocked=bool(mine.inhibitors))

    # -- time -----------------------------------------------------------------------------------------------------------

    def tick(self, now: int, position: int) -> None:
        gap = now - self.last_tick
        leap = 0 if 0 <= gap <= MINUTE else gap
        unheard = gap if self.deaf else leap
        self._told = []
        if leap:
            self._leap(leap, now)
        if unheard:
            self.heard = {slot: min(at + unheard, now) for slot, at in self.heard.items()}
        excused: set[int] = set()
        for rule in self.rules:
            if rule.run.counted is not None:
                self._correlate(rule, now, position, tick=True)
                continue
            self._await(rule, now, position)
            for slot, id_ in enumerate(self.registry.ids):
                mine = self._rule_for(rule, slot) if id_ else None
                if mine is None:
                    continue
                blocked = self._inhibited(mine, slot)
                if mine.run.driven_by == "silence":
                    if blocked:
                        excused.add(slot)
                    self._silent(mine, slot, now, position, blocked)
                    continue
                cell = self._cell(mine, slot)
                meaning = cell.kind.passing(now) if mine.run.passing is not None else "unknown"
                if meaning != "unknown" or cell.state in ("pending", "clearing"):
                    self._step(mine, slot, meaning, now, position, blocked=blocked)
        if not unheard:
            for slot in excused:
                self.heard[slot] = min(self.heard[slot] + gap, now)
        self.last_tick = now

    def _silent(self, rule: Rule, slot: int, now: int, position: int, blocked: bool) -> None:
        limit = rule.run.silent_ms or int(self.registry.silence_limit_ms[slot])
        cell = self._cell(rule, slot)
        if cell.state in ("pending", "clearing"):
            self._step(rule, slot, "unknown", now, position, blocked=blocked)
        elif limit and cell.state == "normal" and now - self.heard[slot] > limit and not blocked:
            cell.start = max(self.heard[slot] + limit, cell.start + 1)
            self._raise(cell, rule, slot, now, position)

    def _inhibited(self, rule: Rule, slot: int) -> bool:
        for inhibitor in rule.inhibitors:
            active = [
                other
                for (rule_id, other), cell in self.memory.items()
                if rule_id == inhibitor.rule and cell.state in ("active", "clearing")
            ] + [
                area.holder for (rule_id, _, _), area in self.areas.items() if rule_id == inhibitor.rule and area.active
            ]
            if inhibitor.where == "parent":
                if int(self.registry.parent[slot]) in active:
                    return True
            elif any(self._area(slot, inhibitor.where) == self._area(other, inhibitor.where) != "" for other in active):
                return True
        return False

    def _leap(self, leap: int, now: int) -> None:
        for cell in self.memory.values():
            cell.since = min(cell.since + leap, now)
            cell.turns = [min(turn + leap, now) for turn in cell.turns]
            if cell.kind is not None:
                cell.kind.leap(leap, now)
        for area in self.areas.values():
            area.members = {m: e if e is None else min(e + leap, now) for m, e in area.members.items()}
            area.began = {m: min(b + leap, now) for m, b in area.began.items()}
