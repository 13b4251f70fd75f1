"""Texts of cases: steps, moves, and what the case pages say."""

from __future__ import annotations

from hub.i18n import _

STEPS: dict[str, str] = {
    "reported": _("Reported"),
    "accepted": _("Accepted"),
    "dispatched": _("Dispatched"),
    "on_scene": _("On scene"),
    "handled": _("Handled"),
    "feedback": _("Feedback given"),
    "verified": _("Verified"),
    "closed": _("Closed"),
    "false_alarm": _("False alarm"),
}
