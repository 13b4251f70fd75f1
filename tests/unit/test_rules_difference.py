"""What changes between two sets of rules: key by key, for how many devices, and what is no longer protected."""

from __future__ import annotations

import re
from typing import Any

from hub import documents
from hub.registry.snapshot import Registry
from hub.rules.difference import Difference, FieldChange, RuleChange, difference, facts
from hub.rules.ruleset import RuleSet, rules_of
from tests.support.small_town import device, registry

SMOKE = """
  - id: smoke-alarm
    kind: threshold
    name: {zh: "烟雾报警", en: "Smoke alarm"}
    on: {device_kind: smoke_alarm, quantity: smoke}
    when: {equals: true}
    severity: P1
    cause: {zh: "起火", en: "Fire"}
    consequence: {zh: "危及生命", en: "Lives"}
    action: {zh: "到场核实", en: "Go and verify"}
    respond_within_s: 60
    responder: station
    source: "GB 26875"
    certainty: A
"""
HOT = (
    SMOKE.replace("smoke-alarm", "cabinet-hot")
    .replace("smoke_alarm, quantity: smoke", "charging_cabinet, quantity: temperature_c")
    .replace("{equals: true}", "{above: 55, hold_s: 60}")
    .replace("P1", "P2")
)


def rules(*texts: str) -> RuleSet:
    document, complaints = documents.parse("rules:" + "".join(texts), "x.yaml")
    assert document is not None
    return rules_of([document], complaints)


def only(found: Difference) -> RuleChange:
    (change,) = found.changes
    return change


def keys(change: RuleChange) -> dict[str, tuple[Any, Any]]:
    return {field.key: (field.old, field.new) for field in change.fields}


def test_the_same_rules_in_other_files_lines_and_spellings_are_no_difference() -> None:
    spelt = HOT.replace("{above: 55, hold_s: 60}", "{above: 55.0, hold_s: 60.0, samples: 1}")
    assert not difference(rules(SMOKE, HOT), rules("\n\n\n", spelt, SMOKE), registry())


def test_rules_that_come_and_go_are_named() -> None:
    found = difference(rules(SMOKE), rules(HOT))
    assert [(change.what, change.id) for change in found.changes] == [
        ("added", "cabinet-hot"),
        ("removed", "smoke-alarm"),
    ]
    assert found.devices is None
    assert found.summary() == {
        "added": ["cabinet-hot"],
        "removed": ["smoke-alarm"],
        "loses": {"smoke-alarm": ["removed"]},
    }


def test_a_changed_rule_is_shown_key_by_key() -> None:
    after = (
        HOT.replace("above: 55, hold_s: 60", "at_least: 60, hold_s: 60").replace("P2", "P3").replace("Go and", "Run,")
    )
    change = only(difference(rules(HOT), rules(after)))
    assert change.what == "changed"
    assert keys(change) == {
        "severity": ("P2", "P3"),
        "action.en": ("Go and verify", "Run, verify"),
        "when.above": (55.0, None),
        "when.at_least": (None, 60.0),
    }


def test_other_words_are_told_apart_from_other_behaviour() -> None:
    words = only(difference(rules(HOT), rules(HOT.replace("起火", "火").replace("GB 26875", "chosen")), registry()))
    assert (words.what, set(keys(words))) == ("texts", {"cause.zh", "source"})
    assert words.reach is not None
    assert words.reach.devices == 0
    assert not FieldChange("when.text", 1, 2).is_text
    assert FieldChange("overrides[place b1].why", 1, 2).is_text
    assert not FieldChange("overrides[tag name].severity", 1, 2).is_text


def test_other_limits_start_the_rule_afresh_and_another_severity_does_not() -> None:
    limit = only(difference(rules(HOT), rules(HOT.replace("55", "56")), registry()))
    severity = only(difference(rules(HOT), rules(HOT.replace("P2", "P3")), registry()))
    assert limit.reach is not None
    assert severity.reach is not None
    assert (limit.reach.devices, limit.reach.restarted) == (1, 1)
    assert (severity.reach.devices, severity.reach.restarted) == (1, 0)


def overridden(more: str) -> str:
    return SMOKE + f"    overrides:\n{more}"


SCHOOL = "      - {scope: {place: b1}, enabled: false, why: kitchen}\n"


def test_an_override_is_a_change_of_its_devices_only() -> None:
    change = only(difference(rules(SMOKE), rules(overridden(SCHOOL)), registry()))
    assert keys(change) == {
        "overrides[place b1].enabled": (None, False),
        "overrides[place b1].why": (None, "kitchen"),
    }
    assert change.reach is not None
    assert (change.reach.devices, change.reach.lost, change.reach.restarted) == (1, 1, 0)
    assert change.loses == ("devices",)


def test_overrides_are_recognised_by_their_scope_whatever_their_order() -> None:
    other = "      - {scope: {place: b2}, severity: P2, why: shed}\n"
    assert not difference(rules(overridden(SCHOOL + other)), rules(overridden(other + SCHOOL)), registry())
    change = only(
        difference(rules(overridden(SCHOOL + other)), rules(overridden(other.replace("P2", "P3"))), registry())
    )
    assert keys(change) == {
        "overrides[place b1].enabled": (False, None),
        "overrides[place b1].why": ("kitchen", None),
        "overrides[place b2].severity": ("P2", "P3"),
    }
    assert change.reach is not None
    assert (change.reach.devices, change.reach.gained) == (2, 1)


def test_two_overrides_with_the_same_scope_are_kept_apart() -> None:
    text = overridden(SCHOOL + SCHOOL.replace("kitchen", "again"))
    found = facts(rules(text).rules[0])
    assert found["overrides[place b1].why"] == "kitchen"
    assert found["overrides[place b1 #2].why"] == "again"


def test_less_protection_from_a_p1_or_p2_is_said() -> None:
    for old, new, lost in (
        ("certainty: A", "certainty: A\n    enabled: false", ("disabled",)),
        ("certainty: A", "certainty: A\n    alert: false", ("silenced",)),
        ("P1", "P3", ("severity",)),
        ("quantity: smoke}", "quantity: smoke, place: b2}", ("devices",)),
        ("equals: true", "equals: false", ("limits",)),
        ("equals: true", "equals: true, samples: 20", ("limits",)),
        ("Fire", "fire", ()),
        ("equals: true", "equals: true, clear_hold_s: 5", ()),
    ):
        assert only(difference(rules(SMOKE), rules(SMOKE.replace(old, new)), registry())).loses == lost
    p3 = SMOKE.replace("P1", "P3")
    assert only(difference(rules(p3, HOT), rules(HOT), registry())).loses == ()
    assert only(difference(rules(p3), rules(SMOKE), registry())).loses == ()
    off = SMOKE.replace("certainty: A", "certainty: A\n    enabled: false")
    assert only(difference(rules(off, HOT), rules(HOT))).loses == (), "it protected nobody before"


def test_a_limit_further_away_protects_less_and_a_nearer_one_does_not() -> None:
    for new, lost in (("above: 5500", ("limits",)), ("above: 54", ()), ("above: 55, samples: 2", ("limits",))):
        assert only(difference(rules(HOT), rules(HOT.replace("above: 55", new)))).loses == lost, new
    town = registry(device("c-1", "charging_cabinet", place="b1"))
    for new, lost in ((5500, ("limits",)), (54, ())):
        over = HOT.replace(
            "certainty: A", f"certainty: A\n    overrides: [{{scope: {{place: b1}}, when: {{above: {new}}}, why: x}}]"
        )
        assert only(difference(rules(HOT), rules(over), town)).loses == lost, new


def test_a_rule_with_an_override_may_come_and_go() -> None:
    town = registry(device("s-1", place="b1"), device("s-2", place="b2"))
    with_override = SMOKE.replace(
        "certainty: A", "certainty: A\n    overrides: [{scope: {place: b1}, when: {samples: 2}, why: x}]"
    )
    added = only(difference(rules(HOT), rules(HOT, with_override), town))
    removed = only(difference(rules(HOT, with_override), rules(HOT), town))
    assert (added.reach.devices, added.reach.gained) == (2, 2)
    assert (removed.reach.devices, removed.reach.lost) == (2, 2)


def test_devices_are_counted_once_and_a_rule_that_is_off_has_none() -> None:
    town = registry(device("s-1"), device("s-2", place="b2"), device("c-1", "charging_cabinet"))
    off = HOT.replace("certainty: A", "certainty: A\n    enabled: false")
    twice = SMOKE.replace("smoke-alarm", "smoke-again")
    found = difference(rules(off), rules(SMOKE, twice), town)
    assert found.devices == 2
    assert [change.reach.devices for change in found.changes if change.reach is not None] == [0, 2, 2]
    assert difference(rules(SMOKE), rules(SMOKE), town).devices == 0


def test_an_empty_registry_is_no_trouble() -> None:
    assert difference(rules(SMOKE), rules(HOT), Registry.of(())).devices == 0


def test_the_summary_is_short_and_says_old_and_new() -> None:
    long = HOT.replace("Go and verify", "x" * 1_000).replace("55", "60")
    summary = difference(rules(HOT, SMOKE), rules(long, SMOKE.replace("起火", "火")), registry()).summary()
    assert summary["texts"] == ["smoke-alarm"]
    assert summary["changed"]["cabinet-hot"]["when.above"] == [55.0, 60.0]
    assert len(summary["changed"]["cabinet-hot"]["action.en"][1]) == 120
    assert summary["devices"] == 1
    assert re.fullmatch(r"x+…", summary["changed"]["cabinet-hot"]["action.en"][1])
