"""An urgent report of a person as an alert: told and climbing like any other, ended only by people. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hub.i18n import _, text
from hub.model.alerts import Alert

if TYPE_CHECKING:
    from hub.alerts.case_desk import Report

REPORT: Final = "report"
"""Rule and kind of device of an alert that people raised."""

_DO = _("Go there, and say what you find")


def alert_of_report(report: Report, alert_id: str, now_ms: int) -> Alert:
    """The alert of an urgent `report`. Its alarm is latched from the beginning: no device will ever say that it is over."""
    return Alert(
        id=alert_id,
        rule_id=REPORT,
        rule_version="",
        device_id=f"{REPORT}-{alert_id}",
        device_kind=REPORT,
        severity=report.severity,
        alarm_state="latched",
        case_state="reported",
        live=True,
        test=False,
        episode_start_ms=now_ms,
        raised_at_ms=now_ms,
        received_at_ms=now_ms,
        observed_at_ms=min(report.at_ms, now_ms),
        quantity="",
        value="true",
        threshold=None,
        place=report.place,
        grid=report.grid,
        station=report.station,
        title_zh=report.title,
        title_en=report.title,
        place_zh=report.place_zh,
        place_en=report.place_en,
        action_zh=text("zh-CN")(_DO),
        action_en=_DO,
        lat=report.lat,
        lon=report.lon,
        last_event_ms=now_ms,
    )
