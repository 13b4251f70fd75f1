"""The shipped rules answer every need of the list, as severely as asked, and say so in their page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hub.registry.loader import load
from hub.rules.ruleset import Rule, RuleSet, load_rules
from hub.rules.scope import effective, strangers

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "default-rules.md"

NEEDS: dict[str, dict[str, str]] = {
    "S1": {"smoke-alarm": "P1", "heat-alarm": "P1"},
    "S2": {"fire-confirmed": "P1", "cabinet-fire-confirmed": "P1", "manual-call": "P1", "fire-word": ""},
    "S3": {"heat-high": "P1", "heat-rise": "P1"},
    "S4": {"fire-unattended": "P1"},
    "S5": {},
    "S6": {
        "smoke-battery-low": "P3",
        "smoke-battery-level": "P3",
        "smoke-battery-overdue": "P2",
        "smoke-battery-level-overdue": "P2",
    },
    "S7": {"detector-fault": "P3"},
    "S8": {"detector-tamper": "P2"},
    "S9": {"battery-device-offline": "P3", "building-devices-offline": "P2"},
    "S10": {"gateway-offline": "P2"},
    "S11": {
        "detector-false-alarms": "P3",
        "site-false-alarms": "P3",
        "detector-alarms-often": "P3",
        "detector-false-once": "",
    },
    "S12": {"chatter": "P3"},
    "S13": {},
    "C1": {"cabinet-smoke": "P1"},
    "C2": {"cell-overheat": "P1"},
    "C3": {"cell-warm": "P2"},
    "C4": {"cell-runaway": "P1", "cell-rising": "P2", "cell-heating-up": "P2"},
    "C5": {"cabinet-overheat": "P2", "cabinet-fire-heat": "P1"},
    "C6": {"bay-overcurrent": "P2"},
    "C7": {"bay-not-cut-current": "P1", "bay-not-cut-temperature": "P1"},
    "C8": {"residual-current": "P2", "feeder-residual-current": "P2"},
    "C9": {"cut-unconfirmed": "P1"},
    "C10": {"bay-full": ""},
    "C11": {"charge-long": "P3", "charge-overlong": "P2"},
    "C12": {"cabinet-water": "P2"},
    "C13": {"cabinet-open-live": "P3", "cabinet-door-open": "", "cabinet-energised": "", "cabinet-relay-on": ""},
    "G1": {"gate-shut-in-fire": "P1", "exit-locked-in-fire": "P1"},
    "G2": {"forced-open": "P2", "opened-without-access": "P2"},
    "G3": {"gate-held-open": "P3", "fire-door-held-open": "P3"},
    "G4": {"gate-offline": "P3", "gate-fault": "P3", "gate-drive-fault": "P3"},
    "G5": {"exit-locked-in-alarm": "P2", "gate-locked-in-alarm": "P2", "gate-locked": ""},
    "L1": {"lane-occupied": "P3"},
    "L2": {"lane-blocked": "P2"},
    "L3": {"lane-blocked-in-fire": "P1", "lane-now": ""},
    "H1": {"hub-canary-missed": "P2"},
    "H2": {"hub-channel-refused": "P3"},
    "H3": {"hub-unmanned": "P2", "hub-thin-shift": "P3", "hub-duty-unanswered": "P2"},
    "H4": {"hub-alarm-flood": "P4"},
    "A1": {
        "pressure-unusual": "P4",
        "pressure-drift": "P4",
        "pressure-stuck": "P4",
        "smoke-chamber-drift": "P4",
        "smoke-alarm-stuck": "P4",
        "cabinet-unusual": "P4",
    },
}
"""Number of the need → rules that answer it with their severity; "" = a condition that tells nobody."""


@pytest.fixture(scope="module")
def shipped() -> RuleSet:
    return load_rules(ROOT / "config" / "rules")


def spoken(rule: Rule) -> str:
    return rule.spec.severity if rule.spec.alert else ""


def test_every_need_is_answered_as_severely_as_asked(shipped: RuleSet) -> None:
    severity = {rule.spec.id: spoken(rule) for rule in shipped.rules}
    for number, rules in NEEDS.items():
        assert {rule: severity.get(rule) for rule in rules} == rules, number


def test_the_page_says_which_rules_answer_which_need() -> None:
    rows = re.findall(r"^\| ([A-Z]\d+) \|.*\| ([^|]*) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert {number: set(re.findall(r"`([^`]+)`", cell)) for number, cell in rows} == {
        number: set(rules) for number, rules in NEEDS.items()
    }


def test_the_page_names_every_shipped_rule_and_no_other(shipped: RuleSet) -> None:
    text = PAGE.read_text("utf-8")
    known = {rule.spec.id for rule in shipped.rules}
    answering = {rule for rules in NEEDS.values() for rule in rules}
    besides = set(re.findall(r"`([^`]+)`", text.split("Beyond these")[1].split("##")[0]))
    assert answering | besides == known
    assert not answering & besides


def test_a_condition_that_tells_nobody_is_counted_by_a_rule_that_does(shipped: RuleSet) -> None:
    counted = {other for rule in shipped.rules for other in rule.refers_to}
    hidden = {rule.spec.id for rule in shipped.rules if not rule.spec.alert}
    assert hidden - counted == {"bay-full"}, "offered to those who want it"


def test_every_anomaly_is_advisory(shipped: RuleSet) -> None:
    found = [rule for rule in shipped.rules if rule.spec.kind == "deviation"]
    assert found
    assert {rule.spec.severity for rule in found} == {"P4"}


def test_the_example_place_knows_every_name_that_the_rules_use(shipped: RuleSet) -> None:
    assert list(strangers(shipped, load(ROOT / "config" / "registry"))) == []


def test_a_lost_gate_is_more_severe_where_people_flee_or_engines_come_in(shipped: RuleSet) -> None:
    registry = load(ROOT / "config" / "registry")
    gate = next(device for device in registry.devices() if "fire-lane" in device.tags)
    found = {one.rule.spec.id: one for one in effective(shipped, registry, registry.slot_of[gate.id])}
    assert (found["gate-offline"].rule.spec.severity, found["gate-held-open"].rule.spec.severity) == ("P2", "P3")
    assert "fire lane" in found["gate-offline"].origin


def test_a_life_safety_rule_waits_for_nothing_but_what_it_counts(shipped: RuleSet) -> None:
    """A P1 of a detector's own verdict has no delay, and no P1 can be inhibited."""
    for rule in shipped.rules:
        if rule.spec.severity == "P1":
            assert rule.inhibitors == (), rule.spec.id
            if rule.spec.kind == "threshold":
                assert rule.run.hold_ms == 0, rule.spec.id
