"""Plays a scene on the live engine, in several ways that must all tell the same, and judges what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, Protocol

import numpy as np

from hub.model.quantities import BY_CODE, CODE, spoken
from hub.model.readings import Ints, ReadingBatch
from hub.model.rules import ConditionEvent
from hub.rules import snapshot
from hub.rules.condition import UNKNOWN
from hub.rules.correlation import Correlation
from hub.rules.engine import Engine
from hub.rules.kinds.kind import Compiled, Signals
from hub.rules.ruleset import Rule, RuleSet
from hub.rules.table import RuleTable
from hub.rules.testing import spans
from hub.rules.testing.player import TICK_MS, Player
from hub.rules.testing.scenes import Mark, Said, Scene

Verdict = Literal["as expected", "missing", "unexpected", "other severity"]
WAYS: tuple[tuple[str, int, bool], ...] = (
    ("one reading at a time", 1, False),
    ("seven readings at a time", 7, False),
    ("all readings of a second at once", 1_000_000, False),
    ("with restarts in between", 1, True),
)
"""Name, size of batches, whether the engine is saved and restored now and then."""
_RESTARTS = 8


class Judge(Protocol):
    """What judges readings before the rules see them: `hub.ingest.screen.Screen`."""

    def judge_time(self, slot: np.ndarray, observed: Ints, received: Ints, quality: np.ndarray) -> None: ...
    def judge_values(self, quantity: np.ndarray, value: np.ndarray, quality: np.ndarray) -> list[int]: ...


@dataclass(frozen=True, slots=True)
class Told:
    """One event of a rule that the scene is about, in ms since its start."""

    at_ms: int
    kind: str
    rule: str
    device: str
    severity: str
    start_ms: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the timeline: what was expected, what came, and whether that is right."""

    at_ms: int
    rule: str
    device: str
    verdict: Verdict
    expected: str = ""
    got: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a scene went. `failures` says in words what is wrong; empty when all is as expected."""

    scene: Scene
    lines: tuple[Line, ...]
    failures: tuple[str, ...]
    told: tuple[Told, ...]

    @property
    def passed(self) -> bool:
        return not self.failures


def played(scene: Scene, screen: Callable[[], Judge]) -> Outcome:
    """Plays `scene` in each of `WAYS`. Nothing is stored, nobody is told."""
    first, size, restarts = WAYS[0]
    knowing: set[str] = set()
    told, engine = _once(scene, screen(), size, restarts, knowing)
    lines = _timeline(scene.marks, told)
    failures = [_words(line) for line in lines if line.verdict != "as expected"]
    failures += _idle_silence(scene, engine, knowing)
    for way, size, restarts in WAYS[1:]:
        other, _ = _once(scene, screen(), size, restarts, set())
        if other != told:
            failures.append(f"played {way}, the rules say something else than {first}: {_difference(told, other)}")
    return Outcome(scene=scene, lines=tuple(lines), failures=tuple(failures), told=tuple(told))


def _once(scene: Scene, judge: Judge, size: int, restarting: bool, knowing: set[str]) -> tuple[list[Told], Engine]:
    """What the rules told, and the engine as it stands then; into `knowing` go the rules whose memory ever knew something."""
    told: list[Told] = []
    expected = {(mark.rule, mark.device) for mark in scene.marks}
    hidden = {r.spec.id for r in scene.ruleset.rules if not r.spec.alert} - {rule for rule, _ in scene.silent}
    rules = _outspoken(scene.ruleset, knowing)

    def tell(events: Sequence[ConditionEvent]) -> None:
        for e in events:
            if e.rule.id in scene.rules and (e.rule.id not in hidden or (e.rule.id, e.device) in expected):
                at_ms, start_ms = e.at_ms - scene.start_ms, e.episode_start_ms - scene.start_ms
                told.append(Told(at_ms, e.kind, e.rule.id, e.device, e.rule.severity, start_ms, e.reason))

    def restarted(engine: Engine) -> Engine:
        fresh = Engine(rules, scene.registry, start_ms=player.at_ms)
        snapshot.restore(fresh, snapshot.dump(engine, {}))
        return fresh

    player = Player(Engine(rules, scene.registry, start_ms=scene.start_ms), start_ms=scene.start_ms, tell=tell)
    rows = _batch(scene, judge)
    at = 0
    turns = sorted({s.at_ms for s in scene.said} | set(scene.restarts) | {m for gone in scene.away for m in gone})
    stops = {*scene.restarts, *(turns[:: max(1, len(turns) // _RESTARTS)] if restarting else ())}
    for turn in turns:
        _pass(scene, player, scene.start_ms + turn)
        if turn in stops:
            player.engine = restarted(player.engine)
        end = int(np.searchsorted(rows.received_at_ms, scene.start_ms + turn, "right"))
        while at < end:
            upto = min(end, at + size)
            batch = rows.take(slice(at, upto))
            if size == 7:
                player.engine.evaluate(batch)  # a record that failed: evaluated, and never committed
            player.take(batch)
            at = upto
    _pass(scene, player, scene.start_ms + scene.lasts_ms)
    return told, player.engine


def _outspoken(ruleset: RuleSet, knowing: set[str]) -> RuleSet:
    """The rules, with those told that exist only for others to refer to: a scene may expect them, or their silence. Those with
    a memory write themselves into `knowing` when they have known something."""

    def told(rule: Rule) -> Rule:
        run = rule.run if rule.run.memory is None else _watched(rule.run, partial(knowing.add, rule.spec.id))
        return replace(rule, spec=replace(rule.spec, alert=True), run=run, overrides=tuple(map(told, rule.overrides)))

    return replace(ruleset, rules=tuple(map(told, ruleset.rules)))


def _watched(run: Compiled, knows: Callable[[], None]) -> Compiled:
    """`run`, which calls `knows` whenever one of its signals is not UNKNOWN."""

    def watched(signals: Callable[..., Signals] | None) -> Any:
        if signals is None:
            return None

        def noted(*given: Any) -> Signals:
            found = signals(*given)
            if (found != UNKNOWN).any():
                knows()
            return found

        return noted

    return replace(run, judge=watched(run.judge), passing=watched(run.passing), triggered=watched(run.triggered))


def _pass(scene: Scene, player: Player, to_ms: int) -> None:
    """Lets time pass; while the hub is away there is no tick."""
    for begin, end in scene.away:
        if player.at_ms < scene.start_ms + end <= to_ms:
            player.advance(scene.start_ms + begin)
            gone = (end - (player.at_ms - scene.start_ms)) // TICK_MS * TICK_MS
            if gone > 0:
                player.tick(player.at_ms + gone)
    if not any(scene.start_ms + begin < to_ms < scene.start_ms + end for begin, end in scene.away):
        player.advance(to_ms)


def _batch(scene: Scene, judge: Judge) -> ReadingBatch:
    """All readings of the scene as columns, judged as the screen judges live ones."""
    slot_of = scene.registry.slot_of
    rows = [
        (
            slot_of[s.device],
            s.quantity,
            s.value,
            scene.start_ms + s.at_ms + s.device_ms,
            scene.start_ms + s.at_ms,
            s.quality,
            n,
        )
        for n, s in enumerate(scene.said)
    ]
    batch = ReadingBatch.of(rows)
    batch.grid[:], batch.building[:] = scene.registry.grid[batch.slot], scene.registry.building[batch.slot]
    if len(batch):
        judge.judge_time(batch.slot, batch.observed_at_ms, batch.received_at_ms, batch.quality)
        judge.judge_values(batch.quantity, batch.value, batch.quality)
    return batch


# -- judging --------------------------------------------------------------------------------------------------------------


def _timeline(marks: Sequence[Mark], told: Sequence[Told]) -> list[Line]:
    left = list(told)
    lines = []
    for mark in marks:
        hit = next((t for t in left if _fits(mark, t)), None)
        if hit is None:
            lines.append(Line(mark.at_ms, mark.rule, mark.device, "missing", expected=_mark(mark)))
            continue
        left.remove(hit)
        right = mark.severity is None or mark.severity == hit.severity
        verdict: Verdict = "as expected" if right else "other severity"
        lines.append(Line(hit.at_ms, mark.rule, mark.device, verdict, _mark(mark), _told(hit)))
    lines += [Line(t.at_ms, t.rule, t.device, "unexpected", got=_told(t)) for t in left]
    return sorted(lines, key=lambda line: (line.at_ms, line.rule, line.device))


def _fits(mark: Mark, told: Told) -> bool:
    same = (told.kind, told.rule, told.device) == (mark.kind, mark.rule, mark.device)
    return same and mark.at_ms <= told.at_ms <= mark.at_ms + mark.within_ms


def _mark(mark: Mark) -> str:
    severity = f" {mark.severity}" if mark.severity else ""
    return f"{mark.kind}{severity} at +{spans.spoken(mark.at_ms)} … +{spans.spoken(mark.at_ms + mark.within_ms)}"


def _told(told: Told) -> str:
    severity = f" {told.severity}" if told.kind == "raised" else ""
    return f"{told.kind}{severity} at +{spans.spoken(told.at_ms)}" + (f" ({told.reason})" if told.reason else "")


def _words(line: Line) -> str:
    who = f"{line.rule} of {line.device}"
    if line.verdict == "missing":
        return f"{who}: expected {line.expected}, and nothing came"
    if line.verdict == "unexpected":
        return f"{who}: {line.got}, which nothing expects"
    return f"{who}: expected {line.expected}, got {line.got}"


def _difference(first: Sequence[Told], other: Sequence[Told]) -> str:
    lost = [t for t in first if t not in other]
    new = [t for t in other if t not in first]
    parts = [f"{t.rule} of {t.device} {_told(t)}" for t in lost[:3]]
    also = [f"{t.rule} of {t.device} {_told(t)}" for t in new[:3]]
    return f"lost {'; '.join(parts) or 'nothing'}; new {'; '.join(also) or 'nothing'}" if lost or new else "the order"


def _idle_silence(scene: Scene, engine: Engine, knowing: set[str]) -> list[str]:
    """Expected silence that proves nothing, because the rule had nothing to say anything about."""
    failures = []
    for rule_id, devices in scene.silent:
        tables = [table for table in engine.tables if table.spec.id == rule_id]
        counting = [one for one in engine.correlations if one.spec.id == rule_id]
        if counting:
            failures += _idle_count(scene, engine, counting[0])
            continue
        if not tables:
            failures.append(f"{rule_id} is silent because it is switched off: that proves nothing")
            continue
        for device in devices or ("",):
            slots = [scene.registry.slot_of[device]] if device else list(scene.registry.slot_of.values())
            watched = [
                scene.registry.ids[slot]
                for slot in slots
                for table in tables
                if int(table.cell_of(np.array([slot], np.int32))[0]) >= 0
            ]
            wanted = {q for t in tables for q in (t.spec.quantity, *t.run.also) if q}
            if not watched:
                who = f"it does not watch {device}" if device else "no device of the scene is one that it watches"
                failures.append(f"{rule_id} is silent because {who}: that proves nothing")
            elif wanted and not any((d, q) in scene.heard_of for d in watched for q in wanted):
                failures.append(
                    f"{rule_id} is silent because nobody reports {' or '.join(sorted(wanted))}: that proves nothing"
                )
            elif any(t.run.memory is not None for t in tables) and rule_id not in knowing:
                failures.append(_never_knew(rule_id, tables))
    return failures


def _never_knew(rule_id: str, tables: Sequence[RuleTable]) -> str:
    slowest_ms = max(table.run.slowest_ms for table in tables)
    more = f"; it needs a reading every {spans.spoken(slowest_ms)} or more often" if slowest_ms else ""
    return f"{rule_id} is silent because it never knew anything (always UNKNOWN){more}: that proves nothing"


def _idle_count(scene: Scene, engine: Engine, counting: Correlation) -> list[str]:
    """The same of a rule that counts conditions of others: one of these must have had something to say."""
    for table in (table for rule in counting.counted.rules for table in engine.tables_of(rule)):
        watched = {scene.registry.ids[slot] for slot in table.slot.tolist()}
        wanted = {q for q in (table.spec.quantity, *table.run.also) if q}
        if any(d in watched and (not wanted or q in wanted) for d, q in scene.heard_of):
            return []
    which = " or ".join(counting.counted.rules)
    return [f"{counting.spec.id} is silent because nobody reports what {which} watch: that proves nothing"]


def readings_of(scene: Scene) -> list[tuple[Said, str]]:
    """The readings of the scene with their values in words, for people."""
    shown = []
    for s in scene.said:
        quantity = BY_CODE[CODE[s.quantity]]
        value = spoken(quantity, s.value)
        word = (
            "unknown"
            if value is None
            else str(value).lower()
            if isinstance(value, bool)
            else f"{value:g}"
            if isinstance(value, float)
            else value
        )
        shown.append((s, f"{word} {quantity.unit}".strip()))
    return shown


def coverage(scenes: Sequence[Scene]) -> dict[str, set[str]]:
    """What the scenes show of each rule: "fires", "clears", "silent"."""
    shown: dict[str, set[str]] = {}
    for scene in scenes:
        for mark in scene.marks:
            if mark.kind in ("raised", "cleared"):
                shown.setdefault(mark.rule, set()).add("fires" if mark.kind == "raised" else "clears")
        for rule, _ in scene.silent:
            shown.setdefault(rule, set()).add("silent")
    return shown
