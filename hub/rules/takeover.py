"""Takes the rules' state over: into a new registry or rule set, or from the ledger's live alerts when there is no snapshot."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from hub.model.rules import ConditionEvent
from hub.registry.snapshot import Registry
from hub.rules.condition import ACTIVE
from hub.rules.correlation import Correlation
from hub.rules.engine import Engine
from hub.rules.gathering import Gathering, Group
from hub.rules.kinds.kind import memory_at, remember_at
from hub.rules.ruleset import RuleSet
from hub.rules.table import RuleTable

REMOVED = "the rule was removed"
SWITCHED_OFF = "the rule was switched off"
NOT_WATCHED = "the rule no longer watches this device"
DEVICE_REMOVED = "the device was removed from the registry"


def seed(engine: Engine, conditions: Iterable[tuple[str, str, int]]) -> int:
    """Marks (rule id, device id, episode start) as active: for a start without a snapshot, so that live alerts can clear.

    Returns how many were taken over.
    """
    taken = 0
    correlations = {turn.spec.id: turn for turn in engine.correlations}
    for rule_id, device_id, start_ms in conditions:
        slot = engine.registry.slot_of.get(device_id)
        if slot is None:
            continue
        correlation = correlations.get(rule_id)
        if correlation is not None:
            area = correlation.area_of(slot)
            if area >= 0:
                group = correlation.gathering.groups.setdefault(area, Group())
                group.active, group.start_ms, group.holder = True, start_ms, slot
                taken += 1
            continue
        for table in engine.tables_of(rule_id):
            cell = table.cell_of(np.array([slot], np.int32))
            if cell[0] >= 0:
                cells = table.read(cell)
                cells.state[:], cells.start_ms[:] = ACTIVE, start_ms
                table.write(cells)
                taken += 1
    refill(engine)
    return taken


def refill(engine: Engine) -> None:
    """Tells whoever counts or awaits conditions of others which of them are active."""
    for turn in engine.turns:
        if isinstance(turn, Correlation):
            _refill(engine, turn.gathering)
            continue
        for gathering in engine.gatherings_of(turn):
            _refill(engine, gathering)
            for area, group in gathering.groups.items():
                if group.lasting:
                    slots = engine.areas.slots(gathering.level, area).astype(np.int32)
                    _start_waiting(turn, slots, min(began for began, ended in group.members.values() if not ended))


def _start_waiting(table: RuleTable, slots: NDArray[np.int32], began_ms: int) -> None:
    """Tells those that know of nothing yet that what they wait for has begun; the next tick may raise what is overdue."""
    cell = np.sort(table.cell_of(slots))
    cells = table.read(cell[cell >= 0])
    assert cells.memory is not None
    assert table.run.triggered is not None
    new = np.flatnonzero(~anything_in(cells.memory))
    if len(new):
        memory = memory_at(cells.memory, new)
        signal = table.run.triggered(memory, True, began_ms)
        remember_at(cells.memory, new, memory)
        table.step(cells, new, signal, np.full(len(new), began_ms, np.int64), True)
        table.write(cells)


def _refill(engine: Engine, gathering: Gathering) -> None:
    codes = engine.areas.of(gathering.level)
    for rule_id in gathering.rules:
        for slot, start_ms in engine.active_of(rule_id):
            area = int(codes[slot])
            if area >= 0:
                group = gathering.groups.setdefault(area, Group())
                group.members.setdefault((rule_id, slot), (start_ms, 0))


def rebased(
    engine: Engine, ruleset: RuleSet, registry: Registry, *, now_ms: int, position: int
) -> tuple[Engine, list[ConditionEvent]]:
    """An engine for a new rule set and registry with the state of what both have, and what to record before it takes over.

    `engine` itself does not change. Slots are stable, so state moves by slot. A rule whose condition changed keeps what is
    active (the next readings tell whether it still is) and forgets the rest; a condition that nobody watches any more is
    withdrawn, with the reason.
    """
    fresh = Engine(ruleset, registry, start_ms=now_ms)
    known = min(len(engine.last_heard_ms), len(registry))
    fresh.last_heard_ms[:known] = engine.last_heard_ms[:known]
    fresh.last_tick_ms, fresh.deaf = engine.last_tick_ms, engine.deaf
    gone: list[ConditionEvent] = []
    for table in engine.tables:
        left = _moved(table, fresh, now_ms)
        if len(left) and table.spec.alert:
            gone += engine.withdrawn(table, left, now_ms, position, lambda slot, t=table: _why(t.spec.id, slot, fresh))  # type: ignore[misc]
    gone += _moved_correlations(engine, fresh, now_ms, position)
    refill(fresh)
    return fresh, gone


def _moved(table: RuleTable, fresh: Engine, now_ms: int) -> NDArray[np.int64]:
    """Copies the state of `table` to the tables of the same rule; returns its active cells that found no place."""
    c = table.cells
    told = (c.state != 0) | (c.start_ms != 0) | (c.count != 0)
    if c.memory is not None:
        told |= anything_in(c.memory)
    cell = np.flatnonzero(told)
    cell = cell[table.slot[cell] < len(fresh.registry)]
    active = np.flatnonzero(c.state >= ACTIVE)
    placed = np.zeros(len(c.state), bool)
    for other in fresh.tables_of(table.spec.id):
        there = other.cell_of(table.slot[cell])
        fits = there >= 0
        old = table.read(cell[fits])
        placed[cell[fits]] = True
        same = other.spec.version == table.spec.version
        new = other.read(there[fits])
        new.start_ms[:] = old.start_ms
        if same:
            new.state, new.since_ms, new.count = old.state, old.since_ms, old.count
            if new.memory is not None and old.memory is not None:
                new.memory = old.memory
        else:
            new.state[:] = np.where(old.state >= ACTIVE, ACTIVE, 0)
        moves = [(int(was), int(to)) for was, to in zip(cell[fits], there[fits], strict=True)]
        new.flaps = {to: c.flaps[was] for was, to in moves if was in c.flaps}
        new.chatters = {to: c.chatters[was] for was, to in moves if was in c.chatters}
        other.write(new)
    return active[~placed[active]]


def _moved_correlations(engine: Engine, fresh: Engine, now_ms: int, position: int) -> list[ConditionEvent]:
    gone = []
    later = {turn.spec.id: turn for turn in fresh.correlations}
    for old in engine.correlations:
        new = later.get(old.spec.id)
        for area, group in old.gathering.groups.items():
            name = engine.areas.name(old.counted.area, area)
            there = -1 if new is None else fresh.areas.number(new.counted.area, name)
            if new is not None and there >= 0:
                kept = group.copy()
                kept.members = {
                    m: times
                    for m, times in kept.members.items()
                    if times[1] and m[0] in new.gathering.rules and m[1] < len(fresh.registry)
                }
                new.gathering.commit({there: kept})
            elif group.active and old.spec.alert:
                reason = _why(old.spec.id, group.holder, fresh)
                gone.append(old.withdrawn(area, group, now_ms, position, reason))
    return gone


def _why(rule_id: str, slot: int, fresh: Engine) -> str:
    if slot >= len(fresh.registry) or not fresh.registry.ids[slot]:
        return DEVICE_REMOVED
    rule = fresh.ruleset.find(rule_id)
    if rule is None:
        return REMOVED
    return NOT_WATCHED if rule.spec.enabled else SWITCHED_OFF


def anything_in(memory: np.ndarray) -> NDArray[np.bool_]:
    """Where a kind's memory is not fresh."""
    if not len(memory):
        return np.zeros(0, bool)
    octets = np.ascontiguousarray(memory).view(np.uint8).reshape(len(memory), -1)
    return np.asarray(octets.any(axis=1), bool)
