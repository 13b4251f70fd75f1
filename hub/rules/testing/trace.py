"""Plays what came in once to the live engine and writes down what one rule made of it for one device, step by step."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import numpy as np

from hub.model.quantities import BY_CODE, QUANTITIES
from hub.model.readings import Quality, ReadingBatch
from hub.model.rules import ConditionEvent
from hub.rules.condition import ACTIVE, BREACH, STATE_NAMES
from hub.rules.correlation import Correlation
from hub.rules.engine import Engine
from hub.rules.found import Found
from hub.rules.ruleset import Rule, RuleSet
from hub.rules.table import RuleTable
from hub.rules.takeover import rebased
from hub.rules.testing.player import quiet
from hub.rules.testing.subject import Subject, around, read_by, what_decides

SIGNALS: Final = ("clear", "breach", "between", "unknown")
_ON: Final = STATE_NAMES[ACTIVE:]
_MOST_STEPS = 300
_MOST_PUT_OFF = 50
_NEVER = np.int64(1 << 61)
TICKS_APART_MS = 50_000
"""Ticks this close together are no leap of time to the engine."""
_LEFT_OUT: Final = (
    (Quality.DUPLICATE, "duplicate"),
    (Quality.HISTORY, "history"),
    (Quality.IMPLAUSIBLE, "implausible"),
    (Quality.TEST, "test"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that happened to the condition: a reading of the device, the passing of time, or another rule's condition.

    `before` and `state`: of the condition machine. `signal`: what the reading said, "" where the rule's memory judges.
    `left_out`: why the rule did not look at it. `event`: what came of it, or what the other rule's condition did.
    """

    at_ms: int
    what: Literal["reading", "time", "condition"]
    before: str
    state: str
    quantity: str = ""
    value: float | bool | str | None = None
    observed_ms: int = 0
    left_out: str = ""
    signal: str = ""
    figure: float | None = None
    rule: str = ""
    device: str = ""
    event: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How the condition stands: its state, since when its delay runs, when its latest episode began, and what holds it."""

    at_ms: int
    state: str
    since_ms: int = 0
    start_ms: int = 0
    count: int = 0
    figure: float | None = None
    heard_ms: int = 0
    deaf: bool = False
    inhibited_by: tuple[tuple[str, str], ...] = ()  # (rule, device)
    members: tuple[tuple[str, str, int, int], ...] = ()  # of a correlation: (rule, device, began, ended; 0: lasts)


class Trace:
    """Takes readings and ticks in order; `steps` are the newest `_MOST_STEPS` that concern the rule, `dropped` counts the others."""

    def __init__(self, subject: Subject, *, start_ms: int) -> None:
        self.subject, self.start_ms, self.at_ms = subject, start_ms, start_ms
        self.engine = Engine(subject.ruleset, subject.registry, start_ms=start_ms)
        self.steps: deque[Step] = deque(maxlen=_MOST_STEPS)
        self.dropped = 0
        self.left_out: dict[str, int] = {}
        self.events: list[ConditionEvent] = []  # of this rule and device
        self._put_off: list[int] = []
        self._concerned = subject.concerned()
        self.engine.last_heard_ms[~self._concerned] = _NEVER  # whose readings are passed over is not silent
        self._table, self._cell = self._find()
        self._quantities = read_by(subject)

    def switch(self, ruleset: RuleSet, now_ms: int) -> bool:
        """The rules become those of `ruleset`, as in a running hub. False: neither this rule nor one it refers to is another."""
        own = self.subject.base.spec.id
        known = ruleset.find(own) is not None
        after = Subject(ruleset, self.subject.registry, own, self.subject.slot) if known else None
        rules = after.ruleset if after is not None else RuleSet((), "")
        if what_decides(rules) == what_decides(self.engine.ruleset):
            return False
        self.settle()
        before, registry = self.state, self.subject.registry
        self.engine, withdrawn = rebased(self.engine, rules, registry, now_ms=now_ms, position=0)
        if after is not None:
            self.subject = after
            more = after.concerned() & ~self._concerned
            self.engine.last_heard_ms[more] = now_ms
            self._concerned |= more
            self._quantities = read_by(after)
        self.engine.last_heard_ms[~self._concerned] = _NEVER
        self._table, self._cell = self._find()
        if now_ms <= self.start_ms:
            return True  # it was like this from the beginning
        said = "rule changed" + (", withdrawn" if any(e.rule.id == own and self._is_own(e) for e in withdrawn) else "")
        step = Step(at_ms=now_ms, what="condition", before=before, state=self.state, rule=own, event=said)
        self._keep(replace(step, device=registry.ids[self.subject.slot]))
        return True

    def _find(self) -> tuple[RuleTable | Correlation | None, int]:
        rule_id, slot = self.subject.base.spec.id, self.subject.slot
        for table in self.engine.tables_of(rule_id):
            cell = int(table.cell_of(np.array([slot], np.int32))[0])
            if cell >= 0:
                return table, cell
        for turn in self.engine.correlations:
            if turn.spec.id == rule_id:
                return turn, turn.area_of(slot)
        return None, -1

    # -- playing --------------------------------------------------------------------------------------------------------

    def take(self, batch: ReadingBatch) -> None:
        """Readings; those that cannot matter are passed over."""
        rows = np.flatnonzero(self._concerned[batch.slot])
        if not len(rows):
            return
        self.settle()
        mine = batch.slot[rows] == self.subject.slot
        if self._quantities is not None:
            mine &= np.isin(batch.quantity[rows], list(self._quantities))
        begin = 0
        for n in np.flatnonzero(mine).tolist():
            self._others(batch.take(rows[begin:n]))
            self._reading(batch.take(rows[n : n + 1]))
            begin = n + 1
        self._others(batch.take(rows[begin:]))

    def tick(self, now_ms: int) -> None:
        """The journal's tick at `now_ms`. Ticks without readings between them are put off, and left out if they mean nothing."""
        if self._put_off and now_ms - self._put_off[-1] > TICKS_APART_MS:
            self.settle()
        self._put_off.append(now_ms)
        if now_ms - self._put_off[0] >= TICKS_APART_MS or len(self._put_off) >= _MOST_PUT_OFF:
            self.settle()

    def settle(self) -> None:
        """Plays the ticks that were put off."""
        ticks, self._put_off = self._put_off, []
        if len(ticks) > 1 and 0 < ticks[-1] - self.engine.last_tick_ms <= TICKS_APART_MS:
            found = self.engine.tick(ticks[-1], 0)
            if quiet(found):
                self._conclude(found, ticks[-1])
                return
        for now_ms in ticks:
            self._tick(now_ms)

    def _tick(self, now_ms: int) -> None:
        before = self.state
        found = self.engine.tick(now_ms, 0)
        self._conclude(found, now_ms)
        said = self._own(found, before)
        if self.state != before or said:
            self._keep(Step(at_ms=now_ms, what="time", before=before, state=self.state, event=said, figure=self.figure))

    def _others(self, batch: ReadingBatch) -> None:
        if not len(batch):
            return
        before, at_ms = self.state, int(batch.received_at_ms[-1])
        found = self.engine.evaluate(batch)
        self._conclude(found, at_ms)
        said = self._own(found, before)
        if said or self.state != before:
            self._keep(Step(at_ms=at_ms, what="time", before=before, state=self.state, event=said, figure=self.figure))

    def _reading(self, row: ReadingBatch) -> None:
        before = self.state
        signal, left_out = self._meaning(row)
        found = self.engine.evaluate(row)
        at_ms = int(row.received_at_ms[0])
        self._conclude(found, at_ms)
        if left_out:
            self.left_out[left_out] = self.left_out.get(left_out, 0) + 1
        self._keep(
            Step(
                at_ms=at_ms,
                what="reading",
                before=before,
                state=self.state,
                quantity=BY_CODE[int(row.quantity[0])].name,
                value=row.spoken(0),
                observed_ms=int(row.observed_at_ms[0]),
                left_out=left_out,
                signal=signal,
                figure=self.figure,
                event=self._own(found, before),
            )
        )

    def _meaning(self, row: ReadingBatch) -> tuple[str, str]:
        """What the reading says by itself (where no memory is needed), and why the rule does not look at it, or ""."""
        quality, quantity = int(row.quality[0]), BY_CODE[int(row.quantity[0])]
        rule = self.subject.rule
        signal = ""
        if rule is not None and rule.run.signals is not None:
            signal = SIGNALS[int(rule.run.signals(row.value)[0])]
        canary = bool(self.subject.registry.canary[self.subject.slot])
        for flag, word in _LEFT_OUT:
            if quality & flag and not (word == "test" and canary):
                return signal, word
        if quality & Quality.LATE:
            may = QUANTITIES[quantity.name].alarm and (signal == SIGNALS[BREACH])
            return signal, "" if may else "late"
        return signal, "unknown" if math.isnan(float(row.value[0])) and self._quantities is not None else ""

    def _conclude(self, found: Found, at_ms: int) -> None:
        """Writes down what conditions of other rules began or ended, and has the engine remember."""
        own = self.subject.base.spec.id
        others: list[tuple[str, str, str]] = []
        for table, cells in found.changes:
            if table.spec.id == own and self._table is table:
                continue
            was, now = table.cells.state[cells.cell] >= ACTIVE, cells.state >= ACTIVE
            for n in np.flatnonzero((was != now) & self._concerned[table.slot[cells.cell]]).tolist():
                device = self.subject.registry.ids[int(table.slot[cells.cell[n]])]
                others.append((table.spec.id, device, "raised" if now[n] else "cleared"))
        for event in found.events:
            if event.rule.id == own:
                if self._is_own(event):
                    self.events.append(event)
            elif any(turn.spec.id == event.rule.id for turn in self.engine.correlations):
                others.append((event.rule.id, event.device, event.kind))
        for rule, device, what in others:
            state = self.state
            self._keep(
                Step(at_ms=at_ms, what="condition", before=state, state=state, rule=rule, device=device, event=what)
            )
        self.engine.commit(found)
        self.at_ms = max(self.at_ms, at_ms)

    def _is_own(self, event: ConditionEvent) -> bool:
        if isinstance(self._table, Correlation):
            return self._table.area_of(event.slot) == self._cell
        return event.slot == self.subject.slot

    def _own(self, found: Found, before: str) -> str:
        """What the rule itself said of the device, in one word; of a rule that tells nobody, what it would have said."""
        kinds: list[str] = [e.kind for e in found.events if e.rule.id == self.subject.base.spec.id and self._is_own(e)]
        if not self.subject.base.spec.alert and (before in _ON) != (self.state in _ON):
            kinds.append("raised" if self.state in _ON else "cleared")
        return ", ".join(kinds)

    def _keep(self, step: Step) -> None:
        if len(self.steps) == _MOST_STEPS:
            self.dropped += 1
        self.steps.append(step)

    # -- how it stands --------------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        if isinstance(self._table, Correlation):
            group = self._table.gathering.groups.get(self._cell)
            return STATE_NAMES[ACTIVE] if group is not None and group.active else STATE_NAMES[0]
        return STATE_NAMES[0] if self._table is None else STATE_NAMES[int(self._table.cells.state[self._cell])]

    @property
    def figure(self) -> float | None:
        """What the rule's memory measured last."""
        if not isinstance(self._table, RuleTable) or self._table.run.figure is None:
            return None
        memory = self._table.cells.memory
        assert memory is not None
        figure = float(self._table.run.figure(memory[self._cell : self._cell + 1])[0])
        return figure if math.isfinite(figure) else None

    def standing(self) -> Standing:
        slot, ids = self.subject.slot, self.subject.registry.ids
        more: dict[str, Any] = {"heard_ms": int(self.engine.last_heard_ms[slot]), "deaf": self.engine.deaf}
        if isinstance(self._table, RuleTable):
            cells, cell = self._table.cells, self._cell
            more |= {
                "since_ms": int(cells.since_ms[cell]),
                "start_ms": int(cells.start_ms[cell]),
                "count": int(cells.count[cell]),
                "figure": self.figure,
                "inhibited_by": tuple(self._inhibitors(self._table.rule)),
            }
        elif isinstance(self._table, Correlation):
            group = self._table.gathering.groups.get(self._cell)
            if group is not None:
                more["start_ms"] = group.start_ms
                more["members"] = tuple(
                    (rule, ids[one], began, ended) for (rule, one), (began, ended) in sorted(group.members.items())
                )
        return Standing(at_ms=self.at_ms, state=self.state, **more)

    def _inhibitors(self, rule: Rule) -> Iterable[tuple[str, str]]:
        """Conditions of other rules that keep this one quiet now."""
        registry = self.subject.registry
        own = np.zeros(len(registry), bool)
        own[self.subject.slot] = True
        for inhibitor in rule.inhibitors:
            near = around(registry, self.engine.areas, own, inhibitor.where)
            for slot, _ in self.engine.active_of(inhibitor.rule):
                if near[slot]:
                    yield inhibitor.rule, registry.ids[slot]


@dataclass(slots=True)
class Story:
    """A trace that was played, and what must be said of how: from when on, how much was read, and what is missing."""

    trace: Trace
    from_ms: int
    to_ms: int
    messages: int = 0
    gaps: Sequence[str] = field(default_factory=tuple)
    complete: bool = True  # False: reading was cut short, or the records of that time are gone
