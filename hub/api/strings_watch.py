"""Texts of the pages of duty, silences and proof, and of the banner of drills, by the key their scripts use."""

from __future__ import annotations

from hub.api.strings import KINDS, ROLES
from hub.i18n import _, text

_SHARED: dict[str, str] = {
    "no_connection": _("No connection to the hub. Try again."),
    "loading": _("Loading…"),
    "sending": _("Sending…"),
    "unknown": _("Unknown"),
    "yes": _("Yes"),
    "no": _("No"),
}

DRILL_ON = _("Drill in {place} until {until}: {reason} ({name}). Its alarms are marked, and only its people are told.")
"""The banner of a drill."""

TITLES = {"duty": _("On duty"), "silences": _("Silences and drills"), "audit": _("Proof")}

DUTY: dict[str, str] = {
    **_SHARED,
    "between": _(", "),
    "no_stations": _("There is no station in your area."),
    "now": _("Now"),
    "next": _("Next, from {at}"),
    "later": _("The next 24 hours"),
    "nobody_on_duty": _("Nobody on duty"),
    "missing": _("{n} short"),
    "thin_n": _("Fewer than three on duty in {n} stretches of the next 24 hours"),
    "call": _("Call {name}"),
    "no_station": _("No station"),
    "swaps": _("Swaps"),
    "swap": _("{day} {begins}: {incoming} for {outgoing}"),
    "all_shifts": _("all shifts"),
    "leave": _("On leave"),
    "leave_of": _("{name}, {start} to {end}"),
    "helpers": _("Helped by {names}"),
    "check": _("Duty check"),
    "check_hint": _("Asks whoever is on duty to answer within three minutes."),
    "check_answer": _("We are here"),
    "check_here": _("Answered. It is being taken down."),
    "check_asked": _("Asked {at}, waiting for an answer until {due}"),
    "check_answered": _("Answered by {name} after {s} s ({at})"),
    "check_unanswered": _("No answer: asked {at}, due {due}"),
    "check_earlier": _("Earlier duty checks"),
    "contacts": _("Contacts that nobody has verified"),
    "contacts_hint": _(
        "A message to them may reach nobody. Send a test: it is verified when the person taps its link, or reads its code out."
    ),
    "contacts_none": _("Every contact is verified."),
    "contact_unusable": _("not set up in this hub"),
    "contact_asked": _("test sent {at}"),
    "away": _("on leave, deputy: {name}"),
    "away_alone": _("on leave without a deputy"),
    "test": _("Send a test"),
    "code": _("Code"),
    "code_send": _("Enter code"),
    "code_wrong": _("Wrong code, too old, or guessed too often."),
    "channel_webhook": _("Webhook"),
    "channel_siren": _("Siren"),
    "show_all": _("Show all {n}"),
}

SILENCES: dict[str, str] = {
    **_SHARED,
    "between": _(", "),
    "make": _("New silence or drill"),
    "kind_silence": _("Alarm silence"),
    "kind_maintenance": _("Maintenance"),
    "kind_drill": _("Drill"),
    "what": _("What"),
    "what_silence": _(
        "Alarms in it are shown and tell nobody. At the end what still holds alarms anew. 24 hours at the longest."
    ),
    "what_maintenance": _("Like a silence, for works on the devices. 7 days at the longest."),
    "what_drill": _(
        "Alarms in it are marked as a drill, and only the people named here are told. 8 hours at the longest."
    ),
    "place": _("Place"),
    "place_none": _("No place"),
    "place_code": _("Code of a building or other place, instead"),
    "device_kinds": _("Kind of device"),
    "all_kinds": _("All kinds"),
    "devices": _("Devices (ids, with spaces between)"),
    "begins": _("From (empty = now)"),
    "lasts": _("For how long"),
    "minutes_n": _("{n} min"),
    "hours_n": _("{n} h"),
    "days_n": _("{n} days"),
    "include_p1": _("Fires (P1) too, 4 hours at the longest"),
    "include_p1_warn": _("A fire in this area will tell nobody. Somebody must keep watch there."),
    "tell": _("Who is told"),
    "tell_people": _("People (ids, with spaces between)"),
    "reason": _("Reason"),
    "begin": _("Begin"),
    "cancel": _("Cancel"),
    "end": _("End"),
    "end_sure": _("End it now? What still holds alarms at once."),
    "running": _("Running"),
    "planned": _("From {at}"),
    "over": _("Over"),
    "until_by": _("until {until}, by {name}"),
    "ended_by": _("ended {at} by {name}"),
    "covers_p1": _("fires too"),
    "told": _("Told: {who}"),
    "caught_n": _("{n} alerts in it"),
    "everywhere": _("Everywhere"),
    "show_over": _("Show those that are over"),
    "none": _("Nothing is silenced, and no drill is on."),
    "hub": _("Hub"),
}

AUDIT: dict[str, str] = {
    **_SHARED,
    "good": _("Every alarm is accounted for"),
    "bad": _("{n} findings: alarms may not be accounted for"),
    "not_looked": _("The self-audit has not looked yet, or does not run in this process."),
    "looked_at": _("Last look: {at}"),
    "stale": _("The last look is {s} s old. It should not be older than 30 s."),
    "checked": _("Looked at"),
    "checked_alarms_in_journal": _("Alarms in the journal"),
    "checked_open_alarms": _("Open alarms"),
    "checked_audit_rows": _("Rows of the audit log"),
    "head": _("Head of the audit log"),
    "head_hint": _(
        "Write it down now and then: with it `gridhub audit verify --head` proves that the log was not written anew."
    ),
    "finding_no_alert": _("an alarm is in the journal and no alert followed"),
    "finding_no_delivery": _("nobody was to be told"),
    "finding_nobody_reached": _("no notification got through"),
    "finding_not_climbing": _("nobody has answered, and nothing more is planned"),
    "finding_timer_overdue": _("an escalation is overdue"),
    "finding_delivery_stuck": _("a notification is overdue and nobody carries it"),
    "finding_pipeline_stopped": _("the rules do not get on"),
    "finding_chain_broken": _("the audit log was changed"),
    "finding_part_down": _("a part of the hub is down"),
    "finding_test_fire_failed": _("a test fire did not get through"),
    "report": _("Report on every P1 and P2"),
    "report_day": _("Last 24 hours"),
    "report_week": _("Last 7 days"),
    "report_month": _("Last 30 days"),
    "report_html": _("to print"),
    "report_csv": _("as CSV"),
    "report_all": _("{n} alarms, {k} findings"),
    "report_missing": _("What is missing"),
}


def texts(what: dict[str, str], locale: str) -> dict[str, dict[str, str]]:
    """All texts of a page's scripts in `locale`."""
    say = text(locale)
    return {
        "text": {key: say(message) for key, message in what.items()},
        "kind": {kind: say(message) for kind, message in KINDS.items()},
        "quantity": {},
        "state": {},
        "role": {role: say(message) for role, message in ROLES.items()},
    }
