"""State of one rule over the devices in its scope, as arrays; one step of the condition machine for many devices at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub.model.readings import Ints
from hub.registry.snapshot import Registry
from hub.rules.condition import ACTIVE, BREACH, CLEARING, NEXT, NORMAL, PENDING
from hub.rules.ruleset import Rule

Bytes = NDArray[np.uint8]
Slots = NDArray[np.int32]

_OUT_OF_SCOPE = -(2**31) + 2**24  # stays negative after a rank is added


@dataclass(slots=True)
class Cells:
    """State of some devices under one rule, side by side: a copy to work on, or what is to be written back.

    `state` (condition.py), `since_ms` (when the running delay began), `start_ms` (start of the latest episode; kept after it
    ends so that no two episodes share one), `count` (readings in breach in a row, for `samples`)."""

    state: Bytes
    since_ms: Ints
    start_ms: Ints
    count: Bytes


class RuleTable:
    """One rule's cells for every device of the kinds that it watches, dense: `cell = offset[kind] + rank[slot]`."""

    def __init__(self, order: int, rule: Rule, registry: Registry, rank: Slots, members: dict[int, Slots]) -> None:
        self.order, self.rule, self.spec, self.run = order, rule, rule.spec, rule.run
        wanted = rule.spec.device_kinds
        self.offset = np.full(
            len(registry.kinds) + 1, _OUT_OF_SCOPE, np.int32
        )  # the last one answers for kind -1 (retired)
        parts: list[Slots] = []
        size = 0
        for code, name in enumerate(registry.kinds):
            if code in members and ("*" in wanted or name in wanted):
                self.offset[code] = size
                parts.append(members[code])
                size += len(members[code])
        self.slot = np.concatenate(parts) if parts else np.empty(0, np.int32)
        self.cells = Cells(
            np.zeros(size, np.uint8), np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size, np.uint8)
        )
        self.awake = 0
        self._rank, self._kind = rank, registry.kind

    def cell_of(self, slot: Slots) -> NDArray[np.int32]:
        """Cells of the devices `slot`; negative where the rule does not watch the device."""
        return self.offset[self._kind[slot]] + self._rank[slot]

    def read(self, cell: NDArray[np.intp] | NDArray[np.int32]) -> Cells:
        c = self.cells
        return Cells(c.state[cell], c.since_ms[cell], c.start_ms[cell], c.count[cell])

    def write(self, cell: NDArray[np.intp] | NDArray[np.int32], new: Cells) -> None:
        c = self.cells
        self.awake += int(np.count_nonzero(new.state)) - int(np.count_nonzero(c.state[cell]))
        c.state[cell], c.since_ms[cell], c.start_ms[cell], c.count[cell] = (
            new.state,
            new.since_ms,
            new.start_ms,
            new.count,
        )

    def step(self, cells: Cells, at: NDArray[np.intp], signal: Bytes, now_ms: Ints) -> tuple[Bytes, Bytes]:
        """One step for the cells `at` (each at most once) given `signal` at `now_ms`. Changes `cells`; returns (before, after)."""
        run = self.run
        before, since, count = cells.state[at], cells.since_ms[at], cells.count[at]
        breached = signal == BREACH
        seen = np.minimum(count + breached, 255) if run.samples > 1 else count
        enough = seen >= run.samples if run.samples > 1 else True
        held = np.where(
            before == PENDING,
            (now_ms - since >= run.hold_ms) & enough,
            np.where(
                before == CLEARING,
                now_ms - since >= run.clear_hold_ms,
                np.where(before == ACTIVE, run.clear_hold_ms == 0, run.hold_ms == 0 and run.samples <= 1),
            ),
        )
        after = NEXT[before, signal, held.astype(np.intp)]
        moved = after != before
        timed = moved & ((after == PENDING) | (after == CLEARING))
        since = np.where(timed, now_ms, since)
        opens = moved & (before == NORMAL)
        start = cells.start_ms[at]
        cells.start_ms[at] = np.where(opens, np.maximum(now_ms, start + 1), start)
        cells.since_ms[at] = since
        cells.state[at] = after
        if run.samples > 1:
            cells.count[at] = np.where(after == NORMAL, 0, seen)
        return before, after
