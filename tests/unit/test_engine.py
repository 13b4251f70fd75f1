"""The engine says what its row-by-row twin says, wherever batches are cut, and after any restart."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.documents import parse
from hub.model.quantities import QUANTITIES
from hub.model.readings import Quality, ReadingBatch
from hub.registry.snapshot import Registry
from hub.rules import snapshot
from hub.rules.condition import NEXT, STATE_NAMES
from hub.rules.engine import Engine
from hub.rules.ruleset import Rule, RuleSet, _rules_of
from hub.rules.takeover import rebased, seed
from tests.support.registry import a_device, places, stations
from tests.support.rule_twin import Row, Twin

START = 1_704_067_200_000
_WORDS = "{zh: 字, en: word}"


def a_rule(
    rule_id: str, device_kind: str, quantity: str, when: str, *, kind: str = "threshold", severity: str = "P2"
) -> str:
    on = f"{{device_kind: {device_kind}" + (f", quantity: {quantity}}}" if quantity else "}")
    return f"""
  - {{id: {rule_id}, kind: {kind}, name: {_WORDS}, on: {on}, when: {when}, severity: {severity}, cause: {_WORDS},
     consequence: {_WORDS}, action: {_WORDS}, respond_within_s: 60, responder: station, source: test, certainty: C}}"""


def ruleset(*rules: str) -> RuleSet:
    document, complaints = parse("rules:" + "".join(rules), "test.yaml")
    assert document is not None
    found, wrong = _rules_of(document)
    assert complaints + wrong == []
    return RuleSet(tuple(sorted(found, key=lambda r: r.spec.id)), "test")


RULES = ruleset(
    a_rule("smoke", "smoke_alarm", "smoke", "{equals: true}", severity="P1"),
    a_rule("hot", "[smoke_alarm, env]", "temperature_c", "{above: 55, clear_below: 50, hold_s: 3}"),
    a_rule("very-hot", "env", "temperature_c", "{at_least: 60, clear_below: 50, samples: 2}"),
    a_rule("cold", "env", "temperature_c", "{below: 5, clear_above: 8, clear_hold_s: 2}"),
    a_rule("door-open", "door", "door_open", "{equals: true, hold_s: 4}"),
    a_rule("jammed", "lock", "lock_state", "{equals: [jammed, unknown], hold_s: 1, clear_hold_s: 1}"),
    a_rule("lost", '"*"', "", "{silent_s: 6}", kind="offline"),
    a_rule("lost-by-class", "gateway", "", "{}", kind="offline"),
)


def town() -> Registry:
    return Registry.of(
        [
            a_device("s1"),
            a_device("s2"),
            a_device("e1", "env"),
            a_device("d1", "door"),
            a_device("l1", "lock"),
            a_device("g1", "gateway", supervision="mains"),
            a_device("canary", "canary", tags=("canary",)),
        ],
        places=places(),
        stations=stations(),
    )


TOWN = town()
QUANTITIES_OF = {
    "smoke_alarm": ("smoke", "temperature_c"),
    "env": ("temperature_c",),
    "door": ("door_open", "online"),
    "lock": ("lock_state",),
    "gateway": ("online",),
    "canary": ("canary",),
}
VALUES: dict[str, list[float]] = {
    "smoke": [0.0, 1.0, float("nan")],
    "temperature_c": [0.0, 5.0, 7.0, 21.0, 50.0, 52.0, 55.0, 56.0, 60.0, 99.0, float("nan")],
    "door_open": [0.0, 1.0],
    "online": [0.0, 1.0],
    "lock_state": [0.0, 4.0, 5.0],
    "canary": [0.0, 1.0],
}
QUALITIES = [0] * 8 + [
    int(q) for q in (Quality.LATE, Quality.DUPLICATE, Quality.HISTORY, Quality.TEST, Quality.RETAINED)
]


@st.composite
def stories(draw: st.DrawFn) -> list[Row | tuple[int, int]]:
    """Rows and ticks (now_ms, position) in order of position, time never running back."""
    now, story = START, []
    for position in range(draw(st.integers(1, 60))):
        now += draw(st.sampled_from([0, 0, 1, 400, 1_000, 2_000, 3_500]))
        if draw(st.integers(0, 4)) == 0:
            story.append((now, position))
            continue
        slot = draw(st.integers(0, len(TOWN) - 1))
        quantity = draw(st.sampled_from(QUANTITIES_OF[TOWN.device(slot).kind]))
        value = draw(st.sampled_from(VALUES[quantity]))
        quality = draw(st.sampled_from(QUALITIES))
        story.append((slot, quantity, value, now, now, quality, position))
    return story


def told(engine: Engine, story: list[Any], *, batch: int, restart_each: int = 0) -> list[tuple[Any, ...]]:
    """The events that `engine` finds in `story`, cut into batches of `batch` rows; optionally dumped and restored now and then."""
    events: list[tuple[Any, ...]] = []
    rows: list[Row] = []
    steps = 0

    def take(found: Any) -> None:
        events.extend((e.kind, e.rule.id, e.device, e.at_ms, e.episode_start_ms, e.position) for e in found.events)

    def flush() -> None:
        nonlocal engine, steps
        if rows:
            rows_batch = ReadingBatch.of(rows)
            engine.evaluate(rows_batch)  # a record that failed: evaluated, never committed
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
            found = engine.tick(*entry)
            take(found)
            engine.commit(found)
        else:
            rows.append(entry)
            if len(rows) >= batch:
                flush()
    flush()
    return events


def twin_told(story: list[Any]) -> list[tuple[Any, ...]]:
    twin = Twin(RULES, TOWN, start_ms=START)
    for entry in story:
        if len(entry) == 2:
            twin.tick(*entry)
        else:
            twin.read(entry)
    return twin.events


def engine() -> Engine:
    return Engine(RULES, TOWN, start_ms=START)


@given(stories())
@settings(max_examples=120, deadline=None)
def test_any_batch_size_gives_the_events_of_the_row_by_row_twin(story: list[Any]) -> None:
    expected = twin_told(story)
    for batch in (1, 7, 64, 10_000):
        got = told(engine(), story, batch=batch)
        assert Counter(got) == Counter(expected)
        assert [e[5] for e in got] == sorted(e[5] for e in expected), "events are in the order of their records"
    assert told(engine(), story, batch=1) == told(engine(), story, batch=10_000)


@given(stories(), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_a_restart_from_the_snapshot_at_any_point_changes_nothing(story: list[Any], restart_each: int) -> None:
    assert told(engine(), story, batch=5, restart_each=restart_each) == told(engine(), story, batch=5)


def rows(*values: tuple[str, str, float, int], quality: int = 0) -> list[Row]:
    return [
        (TOWN.slot_of[device], quantity, value, START + at, START + at, quality, n)
        for n, (device, quantity, value, at) in enumerate(values)
    ]


def kinds(events: list[tuple[Any, ...]]) -> list[str]:
    return [e[0] for e in events]


def test_fire_clear_fire_within_a_second_tells_both_fires_with_two_identities() -> None:
    events = told(engine(), rows(("s1", "smoke", 1, 0), ("s1", "smoke", 0, 0), ("s1", "smoke", 1, 0)), batch=10)
    assert kinds(events) == ["raised", "cleared", "raised", "chatter"]
    assert events[0][4] != events[2][4]


def test_a_long_fire_that_then_flaps_is_marked_though_its_third_turn_is_an_end() -> None:
    turns = [("s1", "smoke", 1, 0), ("s1", "smoke", 0, 200_000)]
    turns += [("s1", "smoke", n % 2 == 0, 201_000 + n * 1_000) for n in range(6)]
    events = told(engine(), rows(*turns), batch=10)
    assert kinds(events) == ["raised", "cleared", "raised", "chatter"]
    assert events[2][4] == events[3][4]


def test_two_messages_a_millisecond_apart_raise_once() -> None:
    assert kinds(told(engine(), rows(("s1", "smoke", 1, 0), ("s1", "smoke", 1, 1)), batch=10)) == ["raised"]


def test_unknown_never_clears() -> None:
    story = rows(("s1", "smoke", 1, 0), ("s1", "smoke", float("nan"), 1_000))
    assert kinds(told(engine(), story, batch=1)) == ["raised"]


def test_a_door_left_open_alarms_without_another_message() -> None:
    story: list[Any] = [*rows(("d1", "door_open", 1, 0)), (START + 3_999, 1), (START + 4_000, 2)]
    assert [(e[0], e[5]) for e in told(engine(), story, batch=1) if e[1] == "door-open"] == [("raised", 2)]


def test_a_late_smoke_alarm_raises_and_a_late_all_clear_does_not_clear() -> None:
    smoke = rows(("s1", "smoke", 1, 0), quality=int(Quality.LATE))
    clear = rows(("s1", "smoke", 0, 5), quality=int(Quality.LATE))
    assert kinds(told(engine(), smoke + clear, batch=1)) == ["raised"]


def test_a_test_button_is_logged_and_never_raises() -> None:
    assert kinds(told(engine(), rows(("s1", "smoke", 1, 0), quality=int(Quality.TEST)), batch=1)) == ["test"]


def test_a_detector_that_reported_smoke_and_fell_silent_stays_in_alarm() -> None:
    story: list[Any] = [*rows(("s1", "smoke", 1, 0)), (START + 60_000, 1), (START + 90_000_000, 2)]
    found = [(e[0], e[1]) for e in told(engine(), story, batch=1) if e[2] == "s1"]
    assert found == [("raised", "smoke"), ("raised", "lost")]


def test_a_device_that_was_never_heard_is_reported_lost_after_its_limit() -> None:
    found = told(engine(), [(START + 6_000, 0), (START + 6_001, 1)], batch=1)
    assert {(e[1], e[5]) for e in found} == {("lost", 1)}
    assert len(found) == len(TOWN)


def test_a_new_registry_keeps_the_state_of_devices_that_stay() -> None:
    one = engine()
    told(one, rows(("s1", "smoke", 1, 0), ("s2", "smoke", 1, 0)), batch=10)
    kept = [d for d in TOWN.devices() if d.id != "s2"]
    later = Registry.of([*kept, a_device("s3")], places=places(), stations=stations(), previous=TOWN)
    one, _ = rebased(one, RULES, later, now_ms=START + 1_000, position=3)
    story = [(later.slot_of[d], "smoke", v, START + 2_000, START + 2_000, 0, 9) for d, v in (("s1", 0.0), ("s3", 1.0))]
    found = one.evaluate(ReadingBatch.of(story)).events
    assert [(e.kind, e.device) for e in found] == [("cleared", "s1"), ("raised", "s3")]


def test_live_alerts_of_the_ledger_can_clear_after_a_start_without_snapshot() -> None:
    one = engine()
    assert seed(one, [("smoke", "s1", START - 5), ("smoke", "gone", 1), ("no-rule", "s1", 1)]) == 1
    events = told(one, rows(("s1", "smoke", 0, 0)), batch=1)
    assert [(e[0], e[4]) for e in events] == [("cleared", START - 5)]


def test_the_condition_table_answers_every_state_signal_and_delay() -> None:
    assert NEXT.shape == (len(STATE_NAMES), 4, 2)
    assert NEXT.max() < len(STATE_NAMES)


@pytest.mark.parametrize(
    ("when", "quantity", "message"),
    [
        ("{above: 1, below: 2}", "temperature_c", "exactly one"),
        ("{}", "temperature_c", "exactly one"),
        ("{above: 50, clear_below: 55}", "temperature_c", "must not be higher"),
        ("{above: 0.5}", "smoke", "use equals"),
        ("{equals: 3}", "smoke", "equals"),
        ("{equals: jamed}", "lock_state", "locked, unlocked"),
        ("{above: 5, holds_s: 3}", "temperature_c", "did you mean 'hold_s'"),
        ("{above: 5}", "temprature_c", "did you mean 'temperature_c'"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_with_its_line(when: str, quantity: str, message: str) -> None:
    document, _ = parse("rules:" + a_rule("odd", "env", quantity, when), "odd.yaml")
    assert document is not None
    found, wrong = _rules_of(document)
    assert found == []
    assert any(message in str(w) and w.line for w in wrong), [str(w) for w in wrong]


def test_the_shipped_rules_load_and_each_says_why() -> None:
    from pathlib import Path

    from hub.rules.ruleset import load_rules

    loaded = load_rules(Path(__file__).parents[2] / "config" / "rules")
    assert len(loaded.rules) >= 25
    for rule in loaded.rules:
        assert isinstance(rule, Rule)
        assert rule.spec.action.zh
        assert rule.spec.source
    p1 = [one for r in loaded.rules for one in (r, *r.overrides) if one.spec.severity == "P1"]
    alarms = [r for r in p1 if r.spec.quantity in QUANTITIES and QUANTITIES[r.spec.quantity].alarm]
    assert alarms
    assert all(r.run.hold_ms == 0 for r in alarms), "a life-safety alarm has an off-delay or latch, never an on-delay"
