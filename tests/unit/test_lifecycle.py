"""The two tables of an alert's life, and what the drawings in docs/alerts.md say about them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from hub.alerts import lifecycle
from hub.alerts.diagram import drawings
from hub.alerts.lifecycle import ACTIVE, ALARM, CASE, OPEN, acted, objection, opened, raised_again, returned, settled
from hub.drawings import redrawn
from hub.model.alerts import ACTIONS, AlarmState, Alert, CaseState, Subject
from tests.support.alerts import T0, event, rule

DOCS = Path(__file__).parents[2] / "docs" / "alerts.md"


def _alert(severity="P1", *, latch=False, canary=False) -> Alert:
    subject = Subject(grid="g", station="s", place_zh="楼", place_en="House")
    return opened(event(of=rule("r", severity, latch=latch), canary=canary), subject)


def _gone(alert: Alert, *, latch=False) -> Alert:
    end = event("cleared", of=rule("r", alert.severity, latch=latch), at_ms=T0 + 5_000, start_ms=T0)
    return returned(alert, end)


def _do(alert: Alert, *actions: str, reason: str = "seen") -> Alert:
    for action in actions:
        assert objection(alert, action, reason) is None
        alert = acted(alert, action, "li", T0 + 1_000, reason)
        alert = settled(alert, T0 + 1_000) or alert
    return alert


def test_every_state_answers_every_event():
    assert set(ALARM) == set(get_args(AlarmState))
    assert set(CASE) == set(get_args(CaseState))
    assert all(set(answers) == set(get_args(lifecycle.AlarmEvent)) for answers in ALARM.values())
    assert all(set(answers) == set(get_args(lifecycle.CaseEvent)) for answers in CASE.values())
    assert all(to in ALARM for answers in ALARM.values() for to in answers.values())
    assert all(to is None or to in CASE for answers in CASE.values() for to in answers.values())


def test_a_new_episode_always_alarms_again():
    assert {answers["raised"] for answers in ALARM.values()} == {"active_unacked"}
    assert {CASE[state]["raised"] for state in OPEN} == {"reported"}


def test_an_acknowledgement_never_turns_an_alarm_off():
    assert all(ALARM[state]["acknowledged"] in ACTIVE for state in ACTIVE)
    assert ALARM["latched"]["acknowledged"] == "latched"


def test_a_finished_case_stays_finished():
    for state in set(CASE) - OPEN:
        assert {to for to in CASE[state].values() if to is not None} == {state}


@pytest.mark.parametrize("latch", [False, True])
def test_a_p1_never_closes_by_itself(latch):
    alert = _gone(_do(_alert("P1"), "acknowledge"), latch=latch)
    assert (alert.alarm_state, alert.live) == ("latched", True)
    assert settled(alert, T0) is None
    assert settled(_do(alert, "on_scene"), T0) is None


@pytest.mark.parametrize("severity", ["P2", "P3", "P4"])
@pytest.mark.parametrize("first", ["acknowledged", "returned"])
def test_a_lesser_alert_closes_itself_once_it_is_acknowledged_and_gone(severity, first):
    alert = _alert(severity)
    if first == "acknowledged":
        alert = _do(alert, "acknowledge")
        assert settled(alert, T0) is None
        alert = _gone(alert)
        alert = settled(alert, T0 + 9) or alert
        assert alert.closed_at_ms == T0 + 9
    else:
        alert = _gone(alert)
        assert (alert.alarm_state, settled(alert, T0)) == ("returned_unacked", None)
        alert = _do(alert, "acknowledge")
    assert (alert.case_state, alert.live, alert.closed_by) == ("closed", False, "hub")


def test_a_latched_alarm_of_any_severity_waits_for_a_person():
    alert = _gone(_do(_alert("P3", latch=True), "acknowledge"), latch=True)
    assert (alert.alarm_state, settled(alert, T0)) == ("latched", None)
    assert _do(alert, "close").alarm_state == "normal"


def test_an_alert_with_somebody_on_scene_is_ended_by_a_person_only():
    alert = _gone(_do(_alert("P2"), "acknowledge", "on_scene"))
    assert (alert.alarm_state, settled(alert, T0)) == ("normal", None)
    assert _do(alert, "close").closed_by == "li"


def test_the_hubs_own_test_fire_closes_itself_when_it_ends():
    alert = _alert("P1", canary=True)
    assert alert.test
    assert settled(alert, T0) is None
    over = settled(_gone(alert), T0 + 9)
    assert over is not None
    assert (over.case_state, over.closed_by, over.alarm_state) == ("closed", "hub", "normal")


def test_firing_again_voids_every_earlier_answer():
    alert = _gone(_do(_alert("P1"), "acknowledge", "on_scene"))
    again = raised_again(replace(alert, escalation_level=2), event(at_ms=T0 + 60_000, of=rule("r", "P1"), value=0.9))
    assert (again.alarm_state, again.case_state, again.occurrences) == ("active_unacked", "reported", 2)
    assert (again.acked_at_ms, again.acked_by, again.on_scene_at_ms, again.on_scene_by) == (None, None, None, None)
    assert (again.returned_at_ms, again.escalation_level) == (None, 0)
    assert (again.id, again.raised_at_ms, again.episode_start_ms) == (alert.id, T0, T0)
    assert (again.value, again.received_at_ms) == ("0.9", T0 + 60_000)
    assert (again.grid, again.station, again.place_zh) == (alert.grid, alert.station, alert.place_zh)


@pytest.mark.parametrize("severity", ["P1", "P2"])
def test_a_grave_alert_that_the_device_still_reports_cannot_be_closed(severity):
    message, remedy, *_ = objection(_do(_alert(severity), "on_scene"), "close", "done") or ("", "")
    assert f"the device still reports the {severity} condition" in message
    assert "false_alarm" in remedy


def test_a_light_alert_that_the_device_still_reports_closes_with_a_reason():
    assert "needs a reason" in (objection(_alert("P3"), "close", " ") or ("",))[0]
    closed = _do(_alert("P3"), "close", reason="battery ordered")
    assert (closed.case_state, closed.close_reason, closed.alarm_state) == ("closed", "battery ordered", "active_acked")


def test_a_p1_closes_only_after_somebody_was_there():
    alert = _gone(_do(_alert("P1"), "acknowledge"))
    message, remedy, *_ = objection(alert, "close", "") or ("", "")
    assert "nobody has been on scene" in message
    assert "on_scene first" in remedy
    assert _do(alert, "on_scene", "close").case_state == "closed"


def test_a_false_alarm_needs_a_reason_and_then_ends_even_an_active_p1():
    assert "needs a reason" in (objection(_alert("P1"), "false_alarm", "  ") or ("",))[0]
    alert = _do(_alert("P1"), "false_alarm", reason=" cooking ")
    assert (alert.case_state, alert.live, alert.close_reason) == ("false_alarm", False, "cooking")
    assert alert.alarm_state == "active_acked"  # the device still says it
    assert _gone(alert).alarm_state == "normal"


def test_a_reason_has_its_length():
    assert "longer than 500" in (objection(_alert(), "false_alarm", "x" * 501) or ("",))[0]


def test_doing_it_again_changes_nothing():
    for actions in (["acknowledge"], ["on_scene"], ["false_alarm"]):
        alert = _do(_alert(), *actions)
        assert acted(alert, actions[-1], "wang", T0 + 2_000, "again") is alert
    closed = _do(_gone(_alert("P2")), "close")
    assert acted(closed, "close", "wang", T0 + 2_000, "") is closed


@pytest.mark.parametrize("last", ["close", "false_alarm"])
def test_a_closed_alert_takes_no_other_action(last):
    ended = _do(_gone(_do(_alert("P1"), "on_scene")), last)
    for action in set(ACTIONS) - {last}:
        message, remedy, *_ = objection(ended, action, "why") or ("", "")
        assert "already closed" in message
        assert "opens a new alert" in remedy


def test_a_call_for_help_is_no_acknowledgement():
    alert = _alert()
    assert acted(alert, "reinforce", "li", T0, "") is alert
    assert CASE["reported"]["reinforce"] == "reported"


def test_whoever_goes_there_has_acknowledged():
    alert = _do(_alert(), "on_scene")
    assert (alert.acked_by, alert.on_scene_by, alert.alarm_state) == ("li", "li", "active_acked")


def test_odd_values_become_valid_json():
    strange = opened(event(value=float("nan")), Subject())
    assert (strange.value, opened(event(value="门开"), Subject()).value) == ("null", '"门开"')


def test_the_drawings_in_the_docs_are_of_these_tables():
    text = DOCS.read_text("utf-8")
    assert redrawn(text, drawings()) == text, "run: python -m hub.alerts.diagram docs/alerts.md"
