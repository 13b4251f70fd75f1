"""Time that is leapt over tells the same as time that is waited for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from hub.model.readings import Quality, ReadingBatch
from hub.model.rules import ConditionEvent
from hub.rules.engine import Engine
from hub.rules.testing.player import TICK_MS, Player, quiet
from tests.unit.test_engine import QUANTITIES_OF, RULES, START, TOWN, VALUES

Row = tuple[int, str, float, int, int, int, int]
QUALITIES = [0] * 8 + [int(q) for q in (Quality.LATE, Quality.DUPLICATE, Quality.TEST, Quality.RETAINED)]


def brief(events: Sequence[ConditionEvent]) -> list[tuple[Any, ...]]:
    return [(e.kind, e.rule.id, e.device, e.at_ms, e.episode_start_ms) for e in events]


def waited(rows: list[Row], end_ms: int) -> list[tuple[Any, ...]]:
    """Every second's tick, one reading at a time, as the live hub has it."""
    engine, told = Engine(RULES, TOWN, start_ms=START), []
    at_ms = START
    for row in rows:
        while row[4] - at_ms >= TICK_MS:
            at_ms += TICK_MS
            found = engine.tick(at_ms, 0)
            told += brief(found.events)
            engine.commit(found)
        found = engine.evaluate(ReadingBatch.of([row]))
        told += brief(found.events)
        engine.commit(found)
    while end_ms - at_ms >= TICK_MS:
        at_ms += TICK_MS
        found = engine.tick(at_ms, 0)
        told += brief(found.events)
        engine.commit(found)
    return told


def leapt(rows: list[Row], end_ms: int, pieces: int) -> list[tuple[Any, ...]]:
    told: list[tuple[Any, ...]] = []
    player = Player(Engine(RULES, TOWN, start_ms=START), start_ms=START, tell=lambda events: told.extend(brief(events)))
    for part in np.array_split(np.arange(len(rows)), pieces):
        if len(part):
            player.run(ReadingBatch.of([rows[n] for n in part]))
    player.advance(end_ms)
    return told


@st.composite
def stories(draw: st.DrawFn) -> list[Row]:
    now, rows = START, []
    for position in range(draw(st.integers(1, 50))):
        now += draw(st.sampled_from([0, 1, 300, 1_000, 2_500, 2_500, 5_000, 20_000, 70_000]))
        slot = draw(st.integers(0, len(TOWN) - 1))
        quantity = draw(st.sampled_from(QUANTITIES_OF[TOWN.device(slot).kind]))
        value = draw(st.sampled_from(VALUES[quantity]))
        rows.append((slot, quantity, value, now, now, draw(st.sampled_from(QUALITIES)), position))
    return rows


@settings(
    max_examples=60, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate)
)  # a story shrinks slowly
@given(stories(), st.integers(1, 4))
def test_time_leapt_over_tells_the_same_as_time_waited_for(rows: list[Row], pieces: int) -> None:
    end_ms = rows[-1][4] + 120_000
    assert sorted(leapt(rows, end_ms, pieces)) == sorted(waited(rows, end_ms))


@settings(max_examples=60, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(stories(), st.integers(1, 900))
def test_a_journal_that_is_followed_in_strides_tells_the_same_as_tick_by_tick(rows: list[Row], phase: int) -> None:
    """Ticks where the journal has them, with the hub away now and then (no tick for more than a minute)."""
    parts: list[tuple[ReadingBatch, int | None]] = []
    waiting = list(rows)
    now = START + phase
    while waiting or now < rows[-1][4] + 120_000:
        here = [row for row in waiting if row[4] <= now]
        waiting = waiting[len(here) :]
        parts.append((ReadingBatch.of(here), now))
        now += 200_000 if len(parts) % 97 == 0 else 1_000
    told: list[list[tuple[Any, ...]]] = []
    for stride in (1, 240):
        said: list[tuple[Any, ...]] = []
        engine = Engine(RULES, TOWN, start_ms=START)
        player = Player(engine, start_ms=START, tell=lambda events, said=said: said.extend(brief(events)))  # type: ignore[misc]
        for n in range(0, len(parts), stride):
            player.follow(parts[n : n + stride])
        told.append(said)
    assert sorted(told[0]) == sorted(told[1])


def test_what_happens_between_two_looks_is_found_at_its_second() -> None:
    slot = TOWN.slot_of["d1"]
    told: list[ConditionEvent] = []
    player = Player(Engine(RULES, TOWN, start_ms=START), start_ms=START, tell=told.extend)
    player.run(ReadingBatch.of([(slot, "door_open", 1.0, START + 100, START + 100, 0, 0)]))
    player.advance(START + 600_000)
    assert [e.at_ms - START for e in told if e.rule.id == "door-open"] == [5_000]


def test_a_quiet_hour_costs_some_hundred_looks_and_not_thousands(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    honest = Engine.tick

    def counted(self: Engine, now_ms: int, position: int) -> Any:
        nonlocal looks
        looks += 1
        return honest(self, now_ms, position)

    monkeypatch.setattr(Engine, "tick", counted)
    player = Player(Engine(RULES, TOWN, start_ms=START), start_ms=START, tell=lambda events: None)
    player.advance(START + 3_600_000)
    assert player.at_ms == START + 3_600_000
    assert looks < 200


def test_a_delay_that_runs_is_quiet_until_it_is_over() -> None:
    engine = Engine(RULES, TOWN, start_ms=START)
    row = (TOWN.slot_of["d1"], "door_open", 1.0, START, START, 0, 0)
    engine.commit(engine.evaluate(ReadingBatch.of([row])))
    assert quiet(engine.tick(START + 3_000, 0))
    assert not quiet(engine.tick(START + 4_000, 0))
