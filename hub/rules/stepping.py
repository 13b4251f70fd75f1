"""Steps the conditions of one rule through readings or an instant, and puts what begins and ends into events."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hub.model.quantities import BY_CODE
from hub.model.readings import ReadingBatch
from hub.model.rules import ConditionEvent, EventKind
from hub.registry.snapshot import Registry
from hub.rules.condition import ACTIVE
from hub.rules.found import Marked
from hub.rules.kinds.kind import Look, memory_at, remember_at
from hub.rules.table import Bytes, Cells, RuleTable


class Stepper:
    """Works on copies of cells only; the engine writes them back."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    def waves(
        self,
        table: RuleTable,
        cells: Cells,
        batch: ReadingBatch,
        rows: NDArray[np.intp],
        member: NDArray[np.intp] | None,
        signal: Bytes | None,
        marked: Marked,
    ) -> None:
        """Steps `cells` through `rows`, each device once per wave. `signal` None: the rule's memory judges.

        `member` says which of `cells` each row is about; None: row n about cell n.
        """
        for wave in [np.arange(len(rows))] if member is None else waves_of(member):
            at, here = wave if member is None else member[wave], rows[wave]
            now_ms = batch.received_at_ms[here]
            if signal is None:
                assert table.run.judge is not None
                assert cells.memory is not None
                memory = cells.memory if member is None else memory_at(cells.memory, at)
                look = Look(
                    quantity=batch.quantity[here],
                    value=batch.value[here],
                    at_ms=now_ms,
                    observed_ms=batch.observed_at_ms[here],
                )
                said = table.run.judge(look, memory)
                if member is not None:
                    remember_at(cells.memory, at, memory)
            else:
                said = signal[wave]
            before, after, chatters = table.step(cells, at, said, now_ms, table.inhibitable)
            if after is before:
                continue
            cells.calm = False
            turns = np.flatnonzero((before >= ACTIVE) != (after >= ACTIVE))
            for n in turns.tolist():
                kind: EventKind = "raised" if after[n] >= ACTIVE else "cleared"
                row, one = int(here[n]), int(at[n])
                evidence = _evidence(table, cells, one, int(now_ms[n])) if kind == "raised" else {}
                start = int(cells.start_ms[one])
                marked.append((row, table.order, self.event(table, kind, batch, row, start, evidence)))
            for n in chatters:
                row, start = int(here[n]), int(cells.start_ms[at[n]])
                marked.append((row, table.order, self.event(table, "chatter", batch, row, start, {})))

    def event(
        self,
        table: RuleTable,
        kind: EventKind,
        batch: ReadingBatch,
        row: int,
        start_ms: int,
        evidence: dict[str, object],
    ) -> ConditionEvent:
        slot = int(batch.slot[row])
        return ConditionEvent(
            kind=kind,
            rule=table.spec,
            slot=slot,
            device=self.registry.ids[slot],
            at_ms=int(batch.received_at_ms[row]),
            observed_at_ms=int(batch.observed_at_ms[row]),
            episode_start_ms=start_ms or int(batch.received_at_ms[row]),
            position=int(batch.position[row]),
            value=batch.spoken(row),
            quantity=BY_CODE[int(batch.quantity[row])].name,
            threshold=table.run.threshold,
            received_at_ms=int(batch.received_at_ms[row]),
            canary=bool(self.registry.canary[slot]),
            evidence=evidence,
        )

    def timed_step(
        self,
        table: RuleTable,
        cells: Cells,
        at: NDArray[np.intp],
        signal: Bytes,
        now_ms: int,
        blocked: NDArray[np.bool_] | bool,
    ) -> Iterator[tuple[EventKind, int]]:
        """One step at one time; what began and ended, as (kind, index into `at`)."""
        cells.calm = False
        before, after, chatters = table.step(cells, at, signal, np.full(len(at), now_ms, np.int64), blocked)
        turns = np.flatnonzero((before >= ACTIVE) != (after >= ACTIVE)).tolist()
        for n in sorted({*turns, *chatters}):
            if n in turns:
                yield ("raised" if after[n] >= ACTIVE else "cleared"), n
            if n in chatters:
                yield "chatter", n

    def timed_event(
        self, table: RuleTable, kind: EventKind, cells: Cells, at: int, now_ms: int, position: int
    ) -> ConditionEvent:
        slot = int(table.slot[cells.cell[at]])
        return ConditionEvent(
            kind=kind,
            rule=table.spec,
            slot=slot,
            device=self.registry.ids[slot],
            at_ms=now_ms,
            observed_at_ms=now_ms,
            episode_start_ms=int(cells.start_ms[at]),
            position=position,
            value=None,
            quantity=table.spec.quantity,
            threshold=table.run.threshold,
            received_at_ms=now_ms,
            canary=bool(self.registry.canary[slot]),
            evidence=_evidence(table, cells, at, now_ms) if kind == "raised" else {},
        )


def _evidence(table: RuleTable, cells: Cells, at: int, now_ms: int) -> dict[str, object]:
    """What made the rule fire, beyond the value itself."""
    run = table.run
    evidence: dict[str, object] = {}
    if run.hold_ms:
        evidence |= {"hold_s": run.hold_ms / 1_000, "held_since_ms": int(cells.since_ms[at])}
    if run.samples > 1:
        evidence["samples"] = run.samples
    if run.figure is not None and cells.memory is not None:
        figure = float(run.figure(cells.memory[at : at + 1])[0])
        if figure == figure and abs(figure) != float("inf"):
            evidence |= {"figure": round(figure, 6), "figure_unit": run.figure_unit}
    if table.spec.origin:
        evidence["override"] = table.spec.origin
    return evidence


def members_of(cell: NDArray[np.int32], once: bool) -> tuple[NDArray[np.int32], NDArray[np.intp] | None]:
    """The cells in `cell`, each once, and which of them each is (None: all are different already, as `once` tells)."""
    return (cell, None) if once else np.unique(cell, return_inverse=True)


def waves_of(member: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Indices of `member` split so that each holds every member at most once, in order of occurrence."""
    n = len(member)
    order = np.argsort(member, kind="stable")
    grouped = member[order]
    first = np.ones(n, bool)
    first[1:] = grouped[1:] != grouped[:-1]
    starts = np.flatnonzero(first)
    lengths = np.diff(np.append(starts, n))
    most = int(lengths.max())
    if most == 1:
        return [np.arange(n)]
    turn = np.empty(n, np.int64)
    turn[order] = np.arange(n) - np.repeat(starts, lengths)
    by_turn = np.argsort(turn, kind="stable")
    cuts = np.flatnonzero(np.diff(turn[by_turn])) + 1
    return np.split(by_turn, cuts)
