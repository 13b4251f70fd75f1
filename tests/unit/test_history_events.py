"""What an audit row becomes in the history."""

from __future__ import annotations

import dataclasses
from typing import get_args

import pytest

from hub.model.alerts import AlarmState, Alert, CaseState
from hub.stores.history import ALARM_CODES, CASE_CODES, alert_event
from tests.support.small_town import registry

ALERT = Alert(
    id="a1", rule_id="smoke-alarm", rule_version="1", device_id="smoke-1", device_kind="smoke_alarm", severity="P1",
    alarm_state="active_acked", case_state="on_scene", live=True, test=False, episode_start_ms=1, raised_at_ms=2,
    received_at_ms=1, observed_at_ms=1, quantity="smoke", value="true", threshold=None, place="b1-101", grid="g1",
    station="st-1", title_zh="烟雾报警", title_en="Smoke alarm", place_zh="1号楼", place_en="Building 1", action_zh="疏散",
    action_en="Evacuate",
)  # fmt: skip


def test_an_event_tells_the_states_that_its_own_row_led_to() -> None:
    event = alert_event(ALERT, registry(), sequence=9, at_ms=5, action="raised", to_state="active_unacked/reported")
    assert (event.alarm_state, event.case_state) == ("active_unacked", "reported")
    assert (event.community, event.grid, event.device, event.value) == ("c1", "g1", "smoke-1", 1.0)
    assert event.msg == "烟雾报警 / Smoke alarm"


@pytest.mark.parametrize("told", ["", "delivered", "queued/sent"])
def test_a_row_without_states_of_the_alert_tells_its_present_ones(told: str) -> None:
    event = alert_event(ALERT, registry(), sequence=9, at_ms=5, action="delivery", to_state=told)
    assert (event.alarm_state, event.case_state) == ("active_acked", "on_scene")


@pytest.mark.parametrize(
    ("text", "number"), [("55.5", 55.5), ("false", 0.0), ('"open"', None), ("null", None), ("}", None)]
)
def test_a_value_that_is_no_number_is_left_out(text: str, number: float | None) -> None:
    alert = dataclasses.replace(ALERT, value=text)
    assert alert_event(alert, registry(), sequence=1, at_ms=5, action="raised").value == number


def test_an_alert_of_a_place_that_is_gone_keeps_its_grid_and_community() -> None:
    event = alert_event(dataclasses.replace(ALERT, place="gone"), registry(), sequence=1, at_ms=5, action="raised")
    assert (event.community, event.grid) == ("c1", "g1")


def test_every_state_has_a_code_of_its_own() -> None:
    assert set(CASE_CODES) == set(get_args(CaseState))
    assert set(ALARM_CODES) == set(get_args(AlarmState))
    assert len(set(CASE_CODES.values())) == len(CASE_CODES)
    assert len(set(ALARM_CODES.values())) == len(ALARM_CODES)
