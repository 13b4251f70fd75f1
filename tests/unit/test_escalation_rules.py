"""Ladders of single rules, the window of incidents, and heartbeats: what escalation.yaml says besides severities."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.dispatch.policy import EscalationPolicy, Ladder, Step, load_policy, wrong_rules
from hub.errors import ConfigError
from hub.rules.ruleset import load_rules
from tests.support.notices import NOW_MS, an_alert
from tests.support.paths import CONFIG
from tests.unit.test_escalation import POLICY, due, planner, told

YAML = CONFIG / "escalation.yaml"


def with_ladder(rule: str, **ladder: object) -> EscalationPolicy:
    return POLICY.model_copy(update={"rules": {rule: Ladder(**ladder)}})


def test_a_fire_that_nobody_is_at_goes_to_the_street_at_once() -> None:
    plan = planner().raised(an_alert(rule_id="fire-unattended"), NOW_MS)
    assert {"street-officer", "community-officer", "worker-a", "north"} <= {who for who, _ in told(plan.deliveries)}
    assert due(plan) == [(1, 60)]
    ordinary = planner().raised(an_alert(), NOW_MS)
    assert "street-officer" not in {who for who, _ in told(ordinary.deliveries)}


def test_a_confirmed_fire_calls_the_next_station_and_the_community_at_once_and_goes_on() -> None:
    for rule in ("fire-confirmed", "cabinet-fire-confirmed"):
        plan = planner().raised(an_alert(rule_id=rule), NOW_MS)
        assert {"community-officer", "worker-a", "north", "east"} <= {who for who, _ in told(plan.deliveries)}
        assert due(plan)[0] == (1, 60)
        assert POLICY.rules[rule].repeat_s == 60


def test_a_work_order_goes_to_the_maintainer_and_else_says_that_there_is_none() -> None:
    plan = planner().raised(an_alert(rule_id="chatter", severity="P3"), NOW_MS)
    assert "no person has the role maintainer" in plan.gaps
    assert plan.deliveries


def test_the_ladder_of_a_rule_counts_for_its_deadlines_and_repeats() -> None:
    alert = an_alert(rule_id="fire-unattended")
    assert POLICY.deadlines_s(alert, "Asia/Shanghai") == (None, 60)
    later = planner().step(alert, 2, NOW_MS + 120_000)
    assert "street-officer" in {who for who, _ in told(later.deliveries)}
    assert [t.step for t in later.timers] == [3]


@pytest.mark.parametrize(
    "ladder",
    [
        {"steps": (Step(tell=("street",)),), "repeat_s": 60},
        {"steps": (Step(tell=("station",)),)},
    ],
    ids=["does not begin at the station", "gives up"],
)
def test_a_fire_climbs_its_own_severitys_ladder_where_that_of_its_rule_would_give_it_up(
    ladder: dict[str, object],
) -> None:
    policy = with_ladder("smoke-alarm", **ladder)
    assert policy.ladder_of(an_alert()) is POLICY.severities.P1
    assert policy.ladder_of(an_alert(severity="P2")) is policy.rules["smoke-alarm"]
    plan = planner(policy=policy).raised(an_alert(), NOW_MS)
    assert "north" in {who for who, _ in told(plan.deliveries)}
    assert [why.message for why in wrong_rules(YAML, policy, {"smoke-alarm": "P1"})] == [
        "the ladder of a P1 rule must begin at the station and repeat; that of P1 is used instead"
    ]


def test_the_shipped_ladders_are_of_shipped_rules() -> None:
    severities = {rule.spec.id: rule.spec.severity for rule in load_rules(CONFIG / "rules").rules}
    assert wrong_rules(YAML, POLICY, severities) == []
    assert {"fire-unattended", "chatter", "hub-canary-missed"} <= set(POLICY.rules)


def test_a_ladder_of_no_rule_is_a_complaint_with_the_nearest_one() -> None:
    found = wrong_rules(YAML, POLICY, {"fire-unattended": "P1", "chatters": "P3"})
    complaint = next(one for one in found if one.key == "rules.chatter")
    assert "did you mean 'chatters'?" in complaint.remedy
    assert complaint.line


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        ("incidents: {window_s: 1800}", "incidents: {window_s: -1}", "incidents.window_s"),
        (
            "tell: [maintainer, compound], channels: [console, webhook]",
            "tell: [maintainer], channels: [pager]",
            "rules.chatter",
        ),
        ("tell: [maintainer, compound]", "tell: [janitor]", "rules.chatter"),
    ],
)
def test_mistakes_in_the_ladders_of_rules_are_named(tmp_path: Path, before: str, after: str, key: str) -> None:
    text = YAML.read_text("utf-8")
    assert before in text
    (tmp_path / "escalation.yaml").write_text(text.replace(before, after), "utf-8")
    with pytest.raises(ConfigError) as wrong:
        load_policy(tmp_path / "escalation.yaml")
    assert wrong.value.complaints[0].key.startswith(key)


def test_lesser_alerts_are_told_together_for_half_an_hour_unless_it_is_switched_off() -> None:
    assert planner().window_ms(an_alert(severity="P3")) == 1_800_000
    off = POLICY.model_copy(update={"incidents": POLICY.incidents.model_copy(update={"window_s": 0})})
    assert planner(policy=off).window_ms(an_alert(severity="P3")) == 0


def test_a_heartbeat_tells_nobody() -> None:
    beat = an_alert(test=True, quantity="heartbeat", severity="P4", rule_id="hub-heartbeat")
    for plan in (planner().raised(beat, NOW_MS), planner().returned(beat, NOW_MS), planner().closed(beat, NOW_MS)):
        assert (plan.deliveries, plan.timers) == ((), ())
    assert (
        planner().raised(an_alert(test=True), NOW_MS).deliveries
    )  # the self-test that people start goes to the console
