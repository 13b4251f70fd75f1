"""Every way in which rules depend on each other and on places, against the row-by-row twin: scopes, overrides, inhibition,
correlation, waiting, memory, chatter, leaps of time. Same events wherever batches are cut, after any restart or failed record."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from hub.errors import ConfigError
from hub.model.quantities import CODE
from hub.model.readings import Quality, ReadingBatch
from hub.registry.snapshot import Registry
from hub.rules import snapshot
from hub.rules.engine import Engine
from hub.rules.kinds import KINDS
from hub.rules.ruleset import RuleSet
from hub.rules.scope import effective, strangers
from hub.rules.takeover import NOT_WATCHED, REMOVED, SWITCHED_OFF, rebased, seed
from tests.support.engine_stories import START, a_rule, ruleset, told
from tests.support.registry import (
    BUILDING,
    COMPOUND,
    GRID_A,
    GRID_B,
    GRID_C,
    UNIT,
    a_device,
    hub_and_canary,
    places,
    stations,
)
from tests.support.rule_twin import Row, Twin

QUICK = (Phase.explicit, Phase.reuse, Phase.generate)  # shrinking such a story takes longer than reading it


SMOKE = a_rule("smoke", "threshold", "device_kind: smoke_alarm, quantity: smoke", "{equals: true}", severity="P1")
HEAT = a_rule(
    "heat", "threshold", "device_kind: heat_detector, quantity: temperature_c", "{at_least: 57}", severity="P1"
)
RULES = ruleset(
    SMOKE,
    HEAT,
    a_rule(
        "warm",
        "threshold",
        "device_kind: [heat_detector, env]",
        "{above: 40, clear_below: 38, hold_s: 2}",
        more=f"""overrides: [{{scope: {{place: "{BUILDING}"}}, when: {{above: 45}}, why: sunny}},
          {{scope: {{place: "{UNIT}"}}, when: {{above: 50, clear_below: 30}}, severity: P3, why: kitchen}},
          {{scope: {{device: e2}}, enabled: false, why: broken}}, {{scope: {{tag: attic}}, when: {{above: 60}}, why: roof}}]""",
    ).replace("device_kind: [heat_detector, env]", "device_kind: [heat_detector, env], quantity: temperature_c"),
    a_rule("here-only", "threshold", f'device_kind: env, quantity: temperature_c, place: "{GRID_B}"', "{below: 5}"),
    a_rule("gateway-lost", "offline", "device_kind: gateway", "{silent_s: 4}"),
    a_rule(
        "lost", "offline", 'device_kind: [smoke_alarm, env]', "{silent_s: 9}", more="inhibited_by: [{rule: gateway-lost}]"
    ),
    a_rule(
        "cold",
        "threshold",
        "device_kind: env, quantity: temperature_c",
        "{below: 8}",
        more="inhibited_by: [{rule: heat, where: compound}]",
    ),
    a_rule("occupied", "threshold", "device_kind: fire_lane_camera, quantity: lane_occupied", "{equals: true}", more="alert: false"),
    a_rule(
        "two", "correlate", "device_kind: [smoke_alarm, heat_detector]", "{area: building, within_s: 3, all: [{rule: [smoke, heat], count: 2}]}", severity="P1"
    ),
    a_rule(
        "lane-fire",
        "correlate",
        "device_kind: fire_lane_camera",
        "{area: compound, all: [{rule: occupied}, {rule: [smoke, heat]}]}",
        severity="P1",
    ),
    a_rule("many-lost", "correlate", 'device_kind: "*"', "{area: building, any: [[{rule: lost, share: 0.5}], [{rule: [lost, smoke], count: 2, distinct: kinds}]]}"),
    a_rule("open-gate", "absence", "device_kind: gate, quantity: lock_state", "{after: {rule: two, area: compound}, expect: {equals: unlocked}, within_s: 3}", severity="P1"),
    a_rule("rise", "rate_of_change", "device_kind: heat_detector, quantity: temperature_c", "{rises: 8, per: s, over_s: 6, min_samples: 3}"),
    a_rule("forced", "state_change", "device_kind: gate, quantity: door_open", "{to: true, unless: {quantity: access_result, equals: granted, within_s: 3}}"),
)  # fmt: skip


_AIR = "device_kind: [env, heat_detector], quantity: temperature_c"
EVERY_KIND = ruleset(
    SMOKE,
    a_rule("lost", "offline", "device_kind: [smoke_alarm, env]", "{silent_s: 9}"),
    a_rule("both", "correlate", "device_kind: smoke_alarm", "{area: building, within_s: 3, all: [{rule: smoke, count: 2}]}"),
    a_rule("open-gate", "absence", "device_kind: gate, quantity: lock_state", "{after: {rule: smoke, area: compound}, expect: {equals: unlocked}, within_s: 3}"),
    a_rule("shut", "state_change", "device_kind: gate, quantity: door_open", "{from: true, to: false, for_s: 2}"),
    a_rule("night", "schedule", _AIR, "{above: 40, clear_below: 35, during: {from: '08:00', to: '08:01'}}"),
    a_rule("rise", "rate_of_change", _AIR, "{rises: 8, per: s, over_s: 6, min_samples: 3}"),
    a_rule("soon", "forecast", _AIR, "{reaches: 70, within_s: 30, over_s: 10, min_samples: 4}"),
    a_rule("stuck", "flatline", _AIR, "{for_s: 10, min_samples: 3}"),
    a_rule("often", "repeat", "device_kind: smoke_alarm, quantity: smoke", "{equals: true, times: 3, within_s: 20}"),
    a_rule("much", "counter", "device_kind: meter, quantity: energy_import_kwh", "{more_than: 2, window_s: 60}"),
    a_rule("long", "counter", "device_kind: gate, quantity: door_open", "{while: {equals: true}, longer_than_s: 4, pause_s: 1}"),
    *(
        a_rule(f"odd-{method}", "deviation", _AIR, f"{{method: {method}, sensitivity: high, warm_up_h: 0}}", severity="P4")
        for method in ("ewma", "robust", "seasonal", "cusum", "score")
    ),
)  # fmt: skip


def town() -> Registry:
    return Registry.of(
        [
            a_device("g1", "gateway", supervision="mains"),
            a_device("s1", parent="g1", place=UNIT),
            a_device("s2", parent="g1"),
            a_device("h1", "heat_detector", place=UNIT),
            a_device("h2", "heat_detector", place=COMPOUND, grid=GRID_B, tags=("attic",)),
            a_device("e1", "env", parent="g1", place=UNIT, tags=("attic",)),
            a_device("e2", "env", place=COMPOUND, grid=GRID_B),
            a_device("e3", "env", place=COMPOUND, grid=GRID_C),
            a_device("c1", "fire_lane_camera", place=COMPOUND, grid=GRID_A),
            a_device("gate", "gate", place=COMPOUND, grid=GRID_A),
            a_device("m1", "meter", place=COMPOUND, grid=GRID_A),
            *hub_and_canary(),
        ],
        places=places(),
        stations=stations(),
    )


TOWN = town()
SAYS: dict[str, dict[str, list[float]]] = {
    "smoke_alarm": {"smoke": [0.0, 1.0, 1.0, float("nan")], "online": [0.0, 1.0]},
    "heat_detector": {"temperature_c": [20.0, 39.0, 42.0, 47.0, 55.0, 57.0, 61.0, float("nan")]},
    "env": {"temperature_c": [2.0, 7.0, 20.0, 39.0, 42.0, 47.0, 55.0, 61.0, float("nan")]},
    "gateway": {"online": [0.0, 1.0]},
    "fire_lane_camera": {"lane_occupied": [0.0, 1.0, float("nan")]},
    "gate": {"lock_state": [0.0, 1.0, float("nan")], "door_open": [0.0, 1.0], "access_result": [0.0, 1.0]},
    "meter": {"energy_import_kwh": [0.0, 1.0, 2.0, 3.5, 9.0, 9.5, float("nan")]},
    "hub": {"online": [0.0, 1.0]},
    "canary": {"canary": [0.0, 1.0]},
}
QUALITIES = [0] * 10 + [
    int(q) for q in (Quality.LATE, Quality.DUPLICATE, Quality.HISTORY, Quality.TEST, Quality.RETAINED)
]
STEPS_MS = [0, 0, 0, 1, 400, 1_000, 1_000, 2_000, 3_500, 30_000]


@st.composite
def stories(draw: st.DrawFn) -> list[Any]:
    """Rows and ticks (now_ms, position) in order of position. Time leaps now and then, always before a tick."""
    now, story = START, []
    for position in range(draw(st.integers(1, 70))):
        now += draw(st.sampled_from(STEPS_MS))
        turn = draw(st.integers(0, 40))
        if turn == 0:
            now += draw(st.sampled_from([-86_400_000, 86_400_000, -300_000, 90_000]))
            story.append((now, position))
        elif turn < 12:
            story.append((now, position))
        else:
            slot = draw(st.integers(0, len(TOWN) - 1))
            says = SAYS[TOWN.device(slot).kind]
            quantity = draw(st.sampled_from(sorted(says)))
            value = draw(st.sampled_from(says[quantity]))
            observed = now + draw(st.sampled_from([0, 0, 0, 0, -50, -86_400_000, 86_400_000]))
            story.append((slot, quantity, value, observed, now, draw(st.sampled_from(QUALITIES)), position))
    return story


def twin_told(rules: RuleSet, story: list[Any]) -> list[tuple[Any, ...]]:
    twin = Twin(rules, TOWN, start_ms=START)
    for entry in story:
        if len(entry) == 2:
            twin.tick(*entry)
        else:
            twin.read(entry)
    return twin.events


def engine(rules: RuleSet = RULES) -> Engine:
    return Engine(rules, TOWN, start_ms=START)


@given(stories())
@settings(max_examples=60, deadline=None, phases=QUICK)
def test_any_batch_size_gives_the_events_of_the_row_by_row_twin(story: list[Any]) -> None:
    expected = twin_told(RULES, story)
    for batch in (1, 7, 64, 10_000):
        got = told(engine(), story, batch=batch)
        assert Counter(got) == Counter(expected)
    assert told(engine(), story, batch=1) == told(engine(), story, batch=10_000)


@given(stories())
@settings(max_examples=30, deadline=None, phases=QUICK)
def test_every_kind_in_the_engine_says_what_its_twin_says(story: list[Any]) -> None:
    expected = Counter(twin_told(EVERY_KIND, story))
    for batch in (1, 7, 64, 10_000):
        assert Counter(told(engine(EVERY_KIND), story, batch=batch)) == expected
    assert Counter(told(engine(EVERY_KIND), story, batch=5, restart_each=2)) == expected


def test_every_kind_is_in_that_story() -> None:
    assert {rule.spec.kind for rule in (*EVERY_KIND.rules, *RULES.rules)} == set(KINDS)


@given(stories(), st.integers(1, 3))
@settings(max_examples=60, deadline=None, phases=QUICK)
def test_a_restart_from_the_snapshot_at_any_point_changes_nothing(story: list[Any], restart_each: int) -> None:
    assert told(engine(), story, batch=5, restart_each=restart_each) == told(engine(), story, batch=5)


@given(stories(), st.integers(1, 3))
@settings(max_examples=30, deadline=None, phases=QUICK)
def test_taking_over_the_same_rules_and_places_at_any_point_changes_nothing(story: list[Any], each: int) -> None:
    one = engine()
    events: list[tuple[Any, ...]] = []
    for steps, entry in enumerate(story, 1):
        if steps % each == 0:
            one, gone = rebased(one, RULES, TOWN, now_ms=START, position=0)
            assert gone == []
        events += told(one, [entry], batch=1)
    assert events == told(engine(), story, batch=1)


# Single stories ------------------------------------------------------------------------------------------------------


def rows(*values: tuple[str, str, float, int], quality: int = 0) -> list[Row]:
    """(device, quantity, value, milliseconds after the start)"""
    return [
        (TOWN.slot_of[device], quantity, value, START + at, START + at, quality, n)
        for n, (device, quantity, value, at) in enumerate(values)
    ]


def ticks(*at_ms: int) -> list[tuple[int, int]]:
    return [(START + at, 100 + n) for n, at in enumerate(at_ms)]


def found(story: list[Any], rule: str = "", rules: RuleSet = RULES) -> list[tuple[str, str, str]]:
    events = told(engine(rules), story, batch=10_000)
    assert Counter(events) == Counter(twin_told(rules, story))
    return [(kind, rule_id, device) for kind, rule_id, device, *_ in events if not rule or rule_id == rule]


def test_the_deepest_place_decides_which_limit_holds() -> None:
    story: list[Any] = [*rows(("h1", "temperature_c", 47, 0), ("e3", "temperature_c", 47, 0)), *ticks(3_000)]
    assert found(story, "warm") == [("raised", "warm", "e3")], "47 is too warm in the yard and fine in the kitchen"


def test_a_device_switched_off_by_an_override_is_not_watched() -> None:
    assert found([*rows(("e2", "temperature_c", 99, 0)), *ticks(3_000)], "warm") == []


def test_effective_rules_say_which_override_won_and_which_it_beat() -> None:
    (warm,) = [e for e in effective(RULES, TOWN, TOWN.slot_of["e1"]) if e.rule.spec.id == "warm"]
    assert "kitchen" in warm.origin
    assert [("sunny" in b, "roof" in b) for b in warm.beaten] == [(True, False), (False, True)]
    assert (warm.rule.spec.severity, warm.rule.spec.when.above, warm.rule.spec.when.hold_s) == ("P3", 50, 2)


def test_children_of_a_lost_gateway_are_not_reported_lost_and_get_their_time_when_it_returns() -> None:
    silence = [START + at for at in range(1_000, 21_000, 1_000)]
    story: list[Any] = [(at, n) for n, at in enumerate(silence)]
    assert ("raised", "lost", "s1") not in found(story, "lost")
    assert ("raised", "lost", "e2") in found(story, "lost"), "it has another way to speak"
    back = [(TOWN.slot_of["g1"], "online", 1.0, START + 20_500, START + 20_500, 0, 50)]
    later = [(START + at, 60 + n) for n, at in enumerate(range(21_000, 24_000, 1_000))]
    assert ("raised", "lost", "s1") not in found([*story, *back, *later], "lost")


def test_a_fire_behind_a_lost_gateway_is_told() -> None:
    story: list[Any] = [*ticks(1_000, 4_500), (TOWN.slot_of["s1"], "smoke", 1.0, START + 5_000, START + 5_000, 0, 200)]
    assert ("raised", "smoke", "s1") in found(story)


def test_a_p1_can_never_be_inhibited() -> None:
    with pytest.raises(ConfigError, match="can never be inhibited") as refused:
        ruleset(HEAT, SMOKE.replace("certainty: C", "certainty: C, inhibited_by: [{rule: heat}]"))
    assert refused.value.complaints[0].line


def test_an_override_to_p1_of_an_inhibited_rule_is_refused() -> None:
    rule = a_rule(
        "cold",
        "threshold",
        "device_kind: env, quantity: temperature_c",
        "{below: 8}",
        more="inhibited_by: [{rule: heat}], overrides: [{scope: {tag: x}, severity: P1, why: odd}]",
    )
    with pytest.raises(ConfigError, match="can never be inhibited"):
        ruleset(HEAT, rule)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("{area: building, all: [{rule: smok}]}", "did you mean 'smoke'"),
        ("{area: building, all: []}", "give either"),
        ("{area: house, all: [{rule: smoke}]}", "area"),
        ("{area: building, all: [{rule: both}]}", "refers to itself"),
    ],
)
def test_a_correlation_that_makes_no_sense_is_refused(rule: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ruleset(SMOKE, a_rule("both", "correlate", "device_kind: smoke_alarm", rule))


def test_a_correlation_takes_no_overrides() -> None:
    with pytest.raises(ConfigError, match="takes no overrides"):
        ruleset(SMOKE, a_rule("both", "correlate", "device_kind: smoke_alarm", "{area: unit, all: [{rule: smoke}]}", more="overrides: [{scope: {tag: x}, enabled: false, why: odd}]"))  # fmt: skip


def test_a_life_safety_alarm_with_an_on_delay_is_refused() -> None:
    with pytest.raises(ConfigError, match="never waits"):
        ruleset(a_rule("late", "threshold", "device_kind: smoke_alarm, quantity: smoke", "{equals: true, hold_s: 5}", severity="P1"))  # fmt: skip


def test_two_detectors_of_a_building_confirm_a_fire_even_when_the_first_one_cleared_shortly_before() -> None:
    story = rows(("s1", "smoke", 1, 0), ("s1", "smoke", 0, 100), ("s2", "smoke", 1, 3_000))
    assert found(story, "two") == [("raised", "two", "s2")]
    assert found(rows(("s1", "smoke", 1, 0), ("s1", "smoke", 0, 100), ("s2", "smoke", 1, 3_200)), "two") == []


def test_a_confirmed_fire_ends_when_the_window_has_passed_without_another_message() -> None:
    story: list[Any] = [
        *rows(("s1", "smoke", 1, 0), ("s2", "smoke", 1, 0), ("s1", "smoke", 0, 500)),
        *ticks(3_000, 3_501, 4_000),
    ]
    assert found(story, "two") == [("raised", "two", "s2"), ("cleared", "two", "s2")]


def test_the_same_detector_twice_does_not_confirm_a_fire() -> None:
    assert found(rows(("s1", "smoke", 1, 0), ("s1", "smoke", 0, 10), ("s1", "smoke", 1, 20)), "two") == []


def test_a_blocked_lane_becomes_urgent_with_a_fire_and_hangs_on_the_camera_whichever_came_first() -> None:
    first = rows(("c1", "lane_occupied", 1, 0), ("s1", "smoke", 1, 5_000))
    second = rows(("s1", "smoke", 1, 0), ("c1", "lane_occupied", 1, 5_000))
    assert found(first, "lane-fire") == found(second, "lane-fire") == [("raised", "lane-fire", "c1")]
    assert found(first, "occupied") == [], "a condition for other rules tells nobody"


def test_a_share_counts_those_that_the_rule_watches_there() -> None:
    said = [(START, 0), *[(START + at, n) for n, at in enumerate((1_000, 2_000), 1)]]
    gone = rows(("s1", "online", 0, 2_500))
    assert found([*said, *gone, (START + 3_000, 9)], "many-lost") == []
    both = rows(("s1", "online", 0, 2_500), ("s2", "online", 0, 2_600))
    assert found([*said, *both, (START + 3_000, 9)], "many-lost") == [("raised", "many-lost", "s2")]


def test_a_gate_that_does_not_open_on_a_confirmed_fire_alarms_though_nothing_more_is_said() -> None:
    fire = rows(("gate", "lock_state", 0, 0), ("s1", "smoke", 1, 100), ("s2", "smoke", 1, 200))
    assert found([*fire, *ticks(3_100)], "open-gate") == []
    assert found([*fire, *ticks(3_200)], "open-gate") == [("raised", "open-gate", "gate")]
    opened = rows(
        ("gate", "lock_state", 0, 0), ("s1", "smoke", 1, 100), ("s2", "smoke", 1, 200), ("gate", "lock_state", 1, 900)
    )
    assert found([*opened, *ticks(3_200)], "open-gate") == []


def test_a_flapping_condition_keeps_one_alert_open_asks_for_maintenance_once_and_ends_after_a_quiet_minute() -> None:
    story: list[Any] = []
    for n, row in enumerate(rows(*(("s1", "smoke", float(n % 2 == 0), n * 5_000) for n in range(40)))):
        story += [row, (row[4], n)]
    told_once = [
        ("raised", "smoke", "s1"),
        ("cleared", "smoke", "s1"),
        ("raised", "smoke", "s1"),
        ("chatter", "smoke", "s1"),
    ]
    assert found(story, "smoke") == told_once
    last = 39 * 5_000
    quiet = ticks(*range(last, last + 59_999, 10_000), last + 59_999)
    assert found([*story, *quiet], "smoke") == told_once
    assert found([*story, *quiet, *ticks(last + 60_000)], "smoke") == [*told_once, ("cleared", "smoke", "s1")]


@pytest.mark.parametrize("jump_ms", [86_400_000, -86_400_000])
def test_a_device_clock_that_jumps_a_day_neither_fires_nor_hides_anything(jump_ms: int) -> None:
    slot = TOWN.slot_of["h1"]
    calm = [(slot, "temperature_c", 20.0 + n / 10, START + n * 1_000 + (jump_ms if n > 4 else 0), START + n * 1_000, 0, n) for n in range(12)]  # fmt: skip
    assert found(calm) == []
    hot = [(slot, "temperature_c", 20.0 + 9 * n, START + n * 1_000 + (jump_ms if n > 1 else 0), START + n * 1_000, 0, n) for n in range(12)]  # fmt: skip
    assert {("raised", "heat", "h1"), ("raised", "rise", "h1")} <= set(found(hot))


def test_the_hubs_clock_set_back_or_forth_ends_no_delay_and_loses_none() -> None:
    for leap in (86_400_000, -86_400_000):
        story: list[Any] = [*rows(("h1", "temperature_c", 52, 0)), (START + 1_000, 10), (START + 1_000 + leap, 11)]
        assert found(story, "warm") == []
        assert found([*story, (START + 2_100 + leap, 12)], "warm") == [("raised", "warm", "h1")]


# Taking over ---------------------------------------------------------------------------------------------------------


def burning() -> Engine:
    one = engine()
    told(
        one,
        [*rows(("s1", "smoke", 1, 0), ("s2", "smoke", 1, 0), ("e3", "temperature_c", 50, 0)), *ticks(2_500)],
        batch=9,
    )
    return one


def taken_over(rules: RuleSet, registry: Registry = TOWN) -> tuple[Engine, list[tuple[str, str, str, str]]]:
    one, gone = rebased(burning(), rules, registry, now_ms=START + 3_000, position=7)
    return one, sorted((e.kind, e.rule.id, e.device, e.reason) for e in gone)


def without(rule_id: str) -> RuleSet:
    return RuleSet(tuple(r for r in RULES.rules if r.spec.id != rule_id), "less")


def test_alerts_of_a_removed_rule_are_withdrawn_with_the_reason_and_others_keep_their_state() -> None:
    one, gone = taken_over(without("warm"))
    assert gone == [("withdrawn", "warm", "e3", REMOVED)]
    assert {(e.rule.id, e.device) for e in one.active(START, 0)} == {("smoke", "s1"), ("smoke", "s2"), ("two", "s2")}
    assert kinds_of(one, rows(("s1", "smoke", 0, 9_000))) == [("cleared", "smoke", "s1")]


def kinds_of(one: Engine, story: list[Row]) -> list[tuple[str, str, str]]:
    return [(e.kind, e.rule.id, e.device) for e in one.evaluate(ReadingBatch.of(story)).events]


def test_a_rule_switched_off_and_a_scope_made_narrower_withdraw_what_they_no_longer_watch() -> None:
    off = ruleset(SMOKE.replace("certainty: C", "certainty: C, enabled: false"))
    gone = rebased(burning(), off, TOWN, now_ms=START, position=7)[1]
    assert {(e.rule.id, e.device, e.reason) for e in gone if e.rule.id == "smoke"} == {
        ("smoke", "s1", SWITCHED_OFF),
        ("smoke", "s2", SWITCHED_OFF),
    }
    narrow = ruleset(SMOKE.replace("quantity: smoke", "quantity: smoke, device: s1"))
    one, left = rebased(burning(), narrow, TOWN, now_ms=START, position=7)
    assert ("smoke", "s2", NOT_WATCHED) in {(e.rule.id, e.device, e.reason) for e in left}
    assert [(e.rule.id, e.device) for e in one.active(START, 0)] == [("smoke", "s1")]


def test_a_rule_with_a_new_limit_keeps_what_is_active_until_a_reading_says_otherwise() -> None:
    changed = ruleset(a_rule("warm", "threshold", "device_kind: env, quantity: temperature_c", "{above: 60}"))
    one, gone = rebased(burning(), changed, TOWN, now_ms=START + 3_000, position=7)
    assert [e.rule.id for e in gone if e.rule.id == "warm"] == []
    assert kinds_of(one, rows(("e3", "temperature_c", 50, 9_000))) == [("cleared", "warm", "e3")]


def test_the_engine_that_is_replaced_does_not_change() -> None:
    one = burning()
    before = snapshot.dump(one, {})
    rebased(one, without("smoke"), TOWN, now_ms=START + 9_000, position=7)
    assert snapshot.dump(one, {}) == before


def test_a_start_from_the_ledger_knows_what_burns_and_what_that_means_together() -> None:
    one = engine()
    assert seed(one, [("smoke", "s1", START - 9), ("two", "s1", START - 5)]) == 2
    assert kinds_of(one, rows(("s2", "smoke", 1, 0))) == [("raised", "smoke", "s2")], "the fire is confirmed already"


def test_names_that_the_registry_does_not_know_are_reported_with_the_nearest_one() -> None:
    odd = ruleset(SMOKE.replace("quantity: smoke", f'quantity: smoke, place: "{UNIT}x", device: s11'))
    said = [str(c) for c in strangers(odd, TOWN)]
    assert len(said) == 2
    assert f"did you mean '{UNIT}'" in said[0]


def test_a_thousand_rules_for_other_places_cost_a_reading_nothing() -> None:
    many = [
        a_rule(
            f"r{n}",
            "threshold",
            f"device_kind: env, quantity: temperature_c, device: e{n % 4 + 1}",
            f"{{above: {10 + n}}}",
        )
        for n in range(60)
    ]
    rules = ruleset(*many)
    index = engine(rules)._narrow[CODE["temperature_c"]]
    batch = ReadingBatch.of(rows(("e1", "temperature_c", 15, 0)))
    asked = [table.spec.id for table, _ in index.concerned(batch.slot, batch.value)]
    assert asked == ["r0", "r4"], "only rules of this device whose limit it has reached"
