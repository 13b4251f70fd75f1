"""Rules written in a line, and stories of readings and ticks told to an engine in batches of any size."""

from __future__ import annotations

from typing import Any

from hub.documents import parse
from hub.model.readings import ReadingBatch
from hub.rules import snapshot
from hub.rules.engine import Engine
from hub.rules.ruleset import RuleSet, rules_of
from tests.support.rule_twin import Row

START = 1_704_067_200_000
_W = "{zh: 字, en: word}"


def a_rule(rule_id: str, kind: str, on: str, when: str, *, severity: str = "P2", more: str = "") -> str:
    return f"""
  - {{id: {rule_id}, kind: {kind}, name: {_W}, on: {{{on}}}, when: {when}, severity: {severity}, cause: {_W}, consequence: {_W},
     action: {_W}, respond_within_s: 60, responder: station, source: test, certainty: C{", " + more if more else ""}}}"""


def ruleset(*rules: str) -> RuleSet:
    document, complaints = parse("rules:" + "".join(rules), "test.yaml")
    assert document is not None
    return rules_of([document], complaints)


def told(engine: Engine, story: list[Any], *, batch: int, restart_each: int = 0) -> list[tuple[Any, ...]]:
    """The events that `engine` finds in `story`, cut into batches of `batch` rows; every evaluation is made twice, as after a
    record that failed; optionally dumped and restored now and then."""
    events: list[tuple[Any, ...]] = []
    rows: list[Row] = []
    steps = 0

    def take(found: Any) -> None:
        events.extend((e.kind, e.rule.id, e.device, e.at_ms, e.episode_start_ms, e.position) for e in found.events)

    def flush() -> None:
        nonlocal engine, steps
        if rows:
            rows_batch = ReadingBatch.of(rows)
            engine.evaluate(rows_batch)
            found = engine.evaluate(rows_batch)
            take(found)
            engine.commit(found)
            rows.clear()
        steps += 1
        if restart_each and steps % restart_each == 0:
            fresh = Engine(engine.ruleset, engine.registry, start_ms=START)
            snapshot.restore(fresh, snapshot.dump(engine, {}))
            engine = fresh

    for entry in story:
        if len(entry) == 2:
            flush()
            engine.tick(*entry)
            found = engine.tick(*entry)
            take(found)
            engine.commit(found)
        else:
            rows.append(entry)
            if len(rows) >= batch:
                flush()
    flush()
    return events
