"""An alert and a delivery for tests: a smoke alarm in grid A of the small registry, at 12:03:05 in Shanghai."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hub.model.alerts import Alert
from hub.model.deliveries import Delivery
from tests.support.registry import GRID_A, UNIT

ZONE = "Asia/Shanghai"
NOW_MS = 1_704_081_785_000  # 2024-01-01 12:03:05 in Shanghai

_ALERT = Alert(
    id="a1b2c3",
    rule_id="smoke-alarm",
    rule_version="1",
    device_id="smoke-1",
    device_kind="smoke_alarm",
    severity="P1",
    alarm_state="active_unacked",
    case_state="reported",
    live=True,
    test=False,
    episode_start_ms=NOW_MS,
    raised_at_ms=NOW_MS,
    received_at_ms=NOW_MS,
    observed_at_ms=NOW_MS,
    quantity="smoke",
    value="true",
    threshold=None,
    place=UNIT,
    grid=GRID_A,
    station="north",
    title_zh="烟雾报警",
    title_en="Smoke alarm",
    place_zh="幸福里 3 栋 2 单元",
    place_en="Xingfuli, Building 3, Unit 2",
    action_zh="带灭火器到场，断电，组织疏散",
    action_en="Go there with an extinguisher, cut the power, evacuate",
)

_DELIVERY = Delivery(
    id=1,
    alert_id="a1b2c3",
    transition="raised",
    recipient="crew-1",
    channel="webhook",
    target="hook-crew-1",
    locale="zh-CN",
    severity="P1",
    due_at_ms=NOW_MS,
    attempts=0,
    needed_while="live",
    created_at_ms=NOW_MS,
)


def an_alert(**changes: Any) -> Alert:
    return replace(_ALERT, **changes)


def a_delivery(**changes: Any) -> Delivery:
    return replace(_DELIVERY, **changes)
