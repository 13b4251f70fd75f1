"""State of one rule over the devices in its scope, as arrays; one step of the condition machine for many devices at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hub.model.readings import Ints
from hub.registry.snapshot import Registry
from hub.rules.condition import ACTIVE, BREACH, CLEARING, NEXT, NORMAL, PENDING
from hub.rules.kinds.kind import Memory, memory_at, remember_at
from hub.rules.ruleset import Rule

Bytes = NDArray[np.uint8]
Slots = NDArray[np.int32]

CHATTER_MS = 60_000
CHATTER = 3
"""ISA-18.2: a condition that came or went three times within a minute chatters. It stays open until a minute was quiet."""
_OUT_OF_SCOPE = -(2**31) + 2**24  # stays negative after a rank is added
_KEPT_FLAPS = 10_000


@dataclass(slots=True)
class Cells:
    """State of some devices under one rule, side by side: a copy to work on, or what is to be written back.

    `cell` (which ones, each once), `state` (condition.py), `since_ms` (when the running delay began), `start_ms` (start of the
    latest episode; kept after it ends so that no two episodes share one), `count` (readings in breach in a row, for
    `samples`), `memory` (of kinds that keep one), `flaps` (cell → its latest transitions, where there was one), `chatters` (cell →
    start of the latest episode that was said to chatter)."""

    cell: NDArray[np.int64]
    state: Bytes
    since_ms: Ints
    start_ms: Ints
    count: Bytes
    memory: Memory | None = None
    flaps: dict[int, tuple[int, ...]] = field(default_factory=dict)
    chatters: dict[int, int] = field(default_factory=dict)
    calm: bool = False  # nothing but `memory` has changed

    @staticmethod
    def fresh(size: int, memory: np.dtype[np.void] | None) -> Cells:
        """Cells that know of nothing yet. What most rules never need takes no room until `grown`."""
        return Cells(
            _numbers(size),
            np.zeros(size, np.uint8),
            np.broadcast_to(np.int64(0), size),
            np.broadcast_to(np.int64(0), size),
            np.broadcast_to(np.uint8(0), size),
            None if memory is None else np.zeros(size, memory),
        )

    def grown(self, *, counts: bool) -> None:
        """Makes room for times (and `counts`), to be written to."""
        if not self.start_ms.flags.writeable:
            self.since_ms, self.start_ms = np.zeros(len(self.state), np.int64), np.zeros(len(self.state), np.int64)
        if counts and not self.count.flags.writeable:
            self.count = np.zeros(len(self.state), np.uint8)

    def take(self, index: NDArray[np.intp]) -> Cells:
        memory = None if self.memory is None else memory_at(self.memory, index)
        return Cells(
            self.cell[index],
            self.state[index],
            self.since_ms[index],
            self.start_ms[index],
            self.count[index],
            memory,
            self.flaps,
            self.chatters,
        )


_all_numbers = np.arange(0, dtype=np.int64)


def _numbers(size: int) -> NDArray[np.int64]:
    """0 … size - 1, of which all tables share one."""
    global _all_numbers
    if len(_all_numbers) < size:
        _all_numbers = np.arange(size, dtype=np.int64)
        _all_numbers.flags.writeable = False
    return _all_numbers[:size]


class Kinds:
    """Devices of each kind in a row: what lets a rule over whole kinds find a device's cell without a search."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.members = {
            code: np.flatnonzero((registry.kind == code) & registry.active).astype(np.int32)
            for code in range(len(registry.kinds))
        }
        self._rows: dict[tuple[int, ...], tuple[Slots, Slots]] = {}
        self._lists: dict[bytes, tuple[Slots, Slots]] = {}
        self.rank = np.zeros(len(registry), np.int32)
        for slots in self.members.values():
            self.rank[slots] = np.arange(len(slots), dtype=np.int32)

    def row(self, codes: Sequence[int]) -> tuple[Slots, Slots]:
        """The devices of several kinds, one kind after the other, and by kind where they begin (the last entry: retired devices,
        nowhere): one pair of arrays for all rules over the same kinds."""
        key = tuple(codes)
        if key not in self._rows:
            offset = np.full(len(self.registry.kinds) + 1, _OUT_OF_SCOPE, np.int32)
            size = 0
            for code in key:
                offset[code] = size
                size += len(self.members[code])
            slots = [self.members[code] for code in key]
            one = slots[0] if len(slots) == 1 else np.concatenate(slots) if slots else np.empty(0, np.int32)
            self._rows[key] = (one, offset)
        return self._rows[key]

    def listed(self, slots: Slots) -> tuple[Slots, Slots]:
        """`slots`, and by slot the place among them (-1: none): one pair of arrays for all rules over the same devices."""
        key = slots.tobytes()
        if key not in self._lists:
            places = np.full(len(self.registry), -1, np.int32)
            places[slots] = np.arange(len(slots), dtype=np.int32)
            self._lists[key] = (slots, places)
        return self._lists[key]


class RuleTable:
    """Cells of one rule (or one override of it) for the devices `slots`, ascending; cell n belongs to `slot[n]`.

    How a cell is found: over whole kinds by counting (`cell = offset[kind] + rank[slot]`), over many devices by a list of all
    slots, over few by a search.
    """

    def __init__(self, order: int, rule: Rule, slots: Slots, kinds: Kinds) -> None:
        self.order, self.rule, self.spec, self.run = order, rule, rule.spec, rule.run
        self.inhibitable = bool(rule.inhibitors)
        self._kind, self._rank = kinds.registry.kind, kinds.rank
        self._offset: NDArray[np.int32] | None = None
        self._list: NDArray[np.int32] | None = None
        self.slot = slots
        wanted = rule.spec.device_kinds
        whole = [c for c, name in enumerate(kinds.registry.kinds) if "*" in wanted or name in wanted]
        if len(slots) == sum(len(kinds.members[c]) for c in whole):
            self.slot, self._offset = kinds.row(whole)
        elif len(slots) * 8 >= len(kinds.registry):
            self.slot, self._list = kinds.listed(slots)
        self.cells = Cells.fresh(len(self.slot), rule.run.memory)
        self.awake = 0

    @property
    def narrow(self) -> bool:
        """Whether it watches few devices: then the engine asks an index which rules a reading concerns, not each rule."""
        return self._offset is None and self._list is None

    def cell_of(self, slot: Slots) -> NDArray[np.int32]:
        """Cells of the devices `slot`; negative where the rule does not watch the device."""
        if self._offset is not None:
            return self._offset[self._kind[slot]] + self._rank[slot]
        if self._list is not None:
            return self._list[slot]
        if not len(self.slot):
            return np.full(len(slot), -1, np.int32)
        at = np.minimum(np.searchsorted(self.slot, slot), len(self.slot) - 1)
        return np.where(self.slot[at] == slot, at, -1).astype(np.int32)

    def read(self, cell: NDArray[np.int64] | NDArray[np.intp] | NDArray[np.int32]) -> Cells:
        """A copy of the cells `cell`, each named once."""
        c = self.cells
        memory = None if c.memory is None else memory_at(c.memory, cell)
        return Cells(cell.astype(np.int64), c.state[cell], c.since_ms[cell], c.start_ms[cell], c.count[cell], memory)

    def write(self, new: Cells) -> None:
        c, cell = self.cells, new.cell
        if c.memory is not None and new.memory is not None:
            remember_at(c.memory, cell, new.memory)
        if new.calm:
            return
        self.awake += int(np.count_nonzero(new.state)) - int(np.count_nonzero(c.state[cell]))
        c.grown(counts=bool(new.count.any()))
        c.state[cell], c.since_ms[cell], c.start_ms[cell] = new.state, new.since_ms, new.start_ms
        if c.count.flags.writeable:
            c.count[cell] = new.count
        if new.flaps:
            c.flaps.update(new.flaps)
            if len(c.flaps) > _KEPT_FLAPS:
                newest = max(times[-1] for times in c.flaps.values())
                c.flaps = {one: times for one, times in c.flaps.items() if newest - times[-1] < 2 * CHATTER_MS}
                c.chatters = {one: start for one, start in c.chatters.items() if one in c.flaps}
        c.chatters.update(new.chatters)

    def leap(self, leap_ms: int, now_ms: int) -> None:
        """Time leapt to `now_ms`: what was so long ago before is so long ago after it."""
        self.leap_copy(self.cells, leap_ms, now_ms)

    def leap_copy(self, cells: Cells, leap_ms: int, now_ms: int) -> None:
        """The same for a copy of some cells."""
        if self.awake:  # else no delay runs
            cells.since_ms = leapt(cells.since_ms, leap_ms, now_ms)
        if cells.memory is not None:
            cells.memory = leapt_memory(cells.memory, leap_ms, now_ms)
        flaps = self.cells.flaps
        cells.flaps = {cell: tuple(min(t + leap_ms, now_ms) for t in times) for cell, times in flaps.items()}

    def step(
        self,
        cells: Cells,
        at: NDArray[np.intp],
        signal: Bytes,
        now_ms: Ints,
        blocked: NDArray[np.bool_] | bool = False,
    ) -> tuple[Bytes, Bytes, Sequence[int]]:
        """One step for the cells `at` (each at most once) given `signal` at `now_ms`; where `blocked`, none is raised.

        Changes `cells`; returns (before, after, which of `at` chatter with this step).
        """
        run = self.run
        before = cells.state[at]
        if not before.any() and not (signal == BREACH).any():
            return before, before, ()  # all is well and stays so
        since, count = cells.since_ms[at], cells.count[at]
        seen = np.minimum(count + (signal == BREACH), 255) if run.samples > 1 else count
        enough = seen >= run.samples if run.samples > 1 else True
        free = np.logical_not(blocked)
        held = np.where(
            before == PENDING,
            (now_ms - since >= run.hold_ms) & enough & free,
            np.where(
                before == CLEARING,
                now_ms - since >= run.clear_hold_ms,
                np.where(before == ACTIVE, run.clear_hold_ms == 0, (run.hold_ms == 0 and run.samples <= 1) & free),
            ),
        )
        after = NEXT[before, signal, held.astype(np.intp)]
        start = cells.start_ms[at]
        start = np.where((before == NORMAL) & (after != NORMAL), np.maximum(now_ms, start + 1), start)
        chatters = self._transitions(cells, at, before, after, since, start, now_ms)
        moved = after != before
        timed = moved & ((after == PENDING) | (after == CLEARING))
        cells.start_ms[at] = start
        cells.since_ms[at] = np.where(timed, now_ms, since)
        cells.state[at] = after
        if run.samples > 1:
            cells.count[at] = np.where(after == NORMAL, 0, seen)
        return before, after, chatters

    def _transitions(
        self, cells: Cells, at: NDArray[np.intp], before: Bytes, after: Bytes, since: Ints, start: Ints, now_ms: Ints
    ) -> Sequence[int]:
        """Remembers what begins and ends; keeps open (changing `after`) what would end for the third time in a minute. Returns
        which chatter for the first time in their episode."""
        was, now = before >= ACTIVE, after >= ACTIVE
        back = (before == CLEARING) & (after == ACTIVE) & (now_ms - since >= self.run.clear_hold_ms)
        for n in np.flatnonzero(back).tolist():  # it would have ended and begun again, had it not been kept open
            cell = int(cells.cell[at[n]])
            cells.flaps[cell] = (*(cells.flaps.get(cell) or self.cells.flaps.get(cell, ())), int(now_ms[n]))[-CHATTER:]
        turns = np.flatnonzero(was != now)
        if not len(turns):
            return ()
        chatters = []
        for n in turns.tolist():
            cell, t = int(cells.cell[at[n]]), int(now_ms[n])
            times = cells.flaps.get(cell) or self.cells.flaps.get(cell, ())
            asked = int(since[n]) if before[n] == CLEARING else t
            often = sum(asked - one < CHATTER_MS for one in times) + 1 >= CHATTER
            kept = was[n] and often and not (before[n] == CLEARING and t - int(since[n]) >= CHATTER_MS)
            if kept:
                after[n] = CLEARING
            if often and (kept or now[n]):
                begun = int(start[n])
                if (cells.chatters.get(cell) or self.cells.chatters.get(cell)) != begun:
                    cells.chatters[cell] = begun
                    chatters.append(n)
            if not kept:
                cells.flaps[cell] = (*times, t)[-CHATTER:]
        return chatters


def leapt(instants: Ints, leap_ms: int, now_ms: int) -> Ints:
    """`instants` on the far side of a leap of time up to `now_ms`: as long ago as they were before it."""
    return np.minimum(instants + leap_ms, now_ms) if leap_ms else instants


def leapt_memory(memory: Memory, leap_ms: int, now_ms: int) -> Memory:
    """A copy of a kind's memory with every time in it (`*_ms`, 0 = not yet) moved along."""
    moved = memory.copy()
    for name in memory.dtype.names or ():
        if name.endswith("_ms"):
            times = moved[name]
            moved[name] = np.where(times != 0, np.minimum(times + leap_ms, now_ms), 0)
    return moved
