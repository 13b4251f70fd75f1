"""Every text that the scripts of the rules' page show, by the key they use."""

from __future__ import annotations

from hub.api.strings import KINDS, quantity_name
from hub.i18n import _, text
from hub.model.quantities import QUANTITIES
from hub.registry.kinds import DEVICE_KINDS

RULES: dict[str, str] = {
    "no_connection": _("No connection to the hub. Try again."),
    "try_again": _("Try again"),
    "not_found": _("There is nothing at this address."),
    "leave_unsaved": _("What you typed is not saved. Leave it?"),
    "tab_rules": _("In force"),
    "tab_history": _("History"),
    "all_rules": _("All rules"),
    "and": _("; "),
    "comma": _(", "),
    "unknown": _("unknown"),
    "yes": _("yes"),
    "no": _("no"),
    # the list
    "search": _("Search by name, id, device or quantity"),
    "by_severity": _("Filter by severity"),
    "found_n": _("{n} of {all} rules"),
    "devices_n": _("{n} devices"),
    "device_one": _("1 device"),
    "overrides_n": _("Overrides: {n}"),
    "is_off": _("off"),
    "tells_nobody": _("tells nobody"),
    "new_rule": _("New rule"),
    "files": _("Rule files"),
    "files_wrong": _("The rule files have mistakes"),
    "files_wrong_text": _(
        "Somebody edited them by hand. The rules before that stay in force until the files are right again."
    ),
    "open_file": _("Open the file"),
    "taking_over": _("The files have changed; the hub is taking them over."),
    # one rule
    "text": _("Text"),
    "text_of": _("Text of the rule {id}"),
    "edit": _("Edit"),
    "remove_rule": _("Remove the rule"),
    "remove_title": _("Remove “{name}”?"),
    "remove_hint": _(
        "Its open alerts are closed with the reason that the rule was withdrawn. To pause it, write enabled: false instead."
    ),
    "moved_in_file": _("The file has changed; find the rule here."),
    "overrides": _("Overrides"),
    "latch_text": _("stays until somebody has looked"),
    "respond_text": _("within {s} s, {who}"),
    "fact_condition": _("Condition"),
    "fact_quantity": _("Quantity"),
    "fact_watches": _("Watches"),
    "fact_latch": _("Held"),
    "fact_tells": _("Tells"),
    "fact_quiet_while": _("Quiet while"),
    "fact_cause": _("Cause"),
    "fact_consequence": _("Consequence"),
    "fact_action": _("Do"),
    "fact_respond": _("Answer"),
    "fact_source": _("Source"),
    "on_device_kind": _("Devices"),
    "on_model": _("Model"),
    "on_place": _("Place"),
    "on_device": _("Device"),
    "on_tag": _("Tag"),
    "responder_station": _("by the station"),
    "responder_grid_worker": _("by the grid worker"),
    "responder_property": _("by the property management"),
    "responder_electrician": _("by an electrician"),
    "responder_maintainer": _("by the maintainer"),
    "responder_officer": _("by the safety officer"),
    # a new rule, a file
    "new_hint": _("Write the rule at the end of a file. Every key is explained in docs/rules.md."),
    "into_file": _("Into the file"),
    "new_file": _("a new file"),
    "file_name": _("Name of the new file"),
    # a change
    "check_changes": _("Show what would change"),
    "check_remove": _("Show what would be lost"),
    "checking": _("Checking…"),
    "refused_n": _("Nothing was changed. Mistakes: {n}"),
    "at_line": _("{file}, line {line}"),
    "show_line": _("Show the line"),
    "would_change": _("What would change"),
    "nothing_changed": _("The files say so already: nothing to do."),
    "warnings": _("Worth a look"),
    "why": _("Why?"),
    "why_hint": _("Stays in the history for good, with your name: {name}."),
    "apply": _("Put into force"),
    "apply_less": _("Put into force with less protection"),
    "applying": _("Putting into force…"),
    "go_on_editing": _("Back"),
    "cancel": _("Cancel"),
    "in_force_now": _("In force now."),
    "in_force_soon": _("Saved. The hub takes it over within seconds."),
    "changed_meanwhile": _(
        "Somebody else has changed the rules meanwhile. Your text is kept; check again what would change."
    ),
    "touched_n": _("Devices touched: {n}"),
    "restarted_n": _("delays start afresh on {n}"),
    "gained_n": _("{n} more watched"),
    "lost_n": _("{n} no longer watched"),
    "less_protection": _("Less protection"),
    "loses_removed": _("is removed"),
    "loses_disabled": _("is switched off"),
    "loses_silenced": _("tells nobody any more"),
    "loses_severity": _("becomes less urgent"),
    "loses_devices": _("leaves devices that it watched"),
    "loses_limits": _("may speak later or less often"),
    "what_added": _("new"),
    "what_removed": _("removed"),
    "what_changed": _("changed"),
    "what_texts": _("words only"),
    "no_difference": _("No rule is different."),
    "not_understood": _("This hub does not understand these rules any more; the lines are below."),
    "lines_of": _("Lines of {files}"),
    "key": _("Key"),
    "old": _("Old"),
    "new": _("New"),
    # the history
    "no_history": _("The history is empty: it begins when the hub first runs."),
    "more_entries": _("Show older ones"),
    "undo_title": _("One step back"),
    "undo_hint": _("Brings back the rules as they were before the last change. You see first what that changes."),
    "undo": _("Undo the last change"),
    "entry_failed": _("failed"),
    "entry_running": _("in force"),
    "entry_waiting": _("has not run"),
    "entry_who": _("Who"),
    "entry_at": _("When"),
    "entry_applied": _("In force since"),
    "entry_back": _("Back to"),
    "back_to": _("back to #{n}"),
    "and_n": _("and {n} more"),
    "go_back_title": _("Go back to #{n}"),
    "go_back": _("Show what that would change"),
    "against": _("Compared with #{n}"),
    "first_entry": _("The first rules that this hub has seen"),
}

RULE_KINDS: dict[str, str] = {
    "threshold": _("Limit or state"),
    "offline": _("Silence"),
    "correlate": _("Several devices together"),
    "rate_of_change": _("Rate of change"),
    "flatline": _("Stuck value"),
    "repeat": _("Repetition"),
    "state_change": _("Change of state"),
    "schedule": _("Schedule"),
    "counter": _("Amount or duration"),
    "deviation": _("Deviation from the usual"),
    "forecast": _("Time to a limit"),
    "absence": _("Missing answer"),
}

SKELETON = """\
  - id: my-rule
    kind: threshold
    name: {zh: "", en: ""}
    on: {device_kind: charging_cabinet, quantity: temperature_c}
    when: {above: 55, clear_below: 50, hold_s: 300}
    severity: P3
    cause: {zh: "", en: ""}
    consequence: {zh: "", en: ""}
    action: {zh: "", en: ""}
    respond_within_s: 3600
    responder: grid_worker
    source: "chosen here"
    certainty: C"""
"""A rule to begin with: its empty texts are refused until they are written."""


def for_rules(locale: str) -> dict[str, dict[str, str]]:
    """All texts of the page's scripts in `locale`."""
    say = text(locale)
    return {
        "text": {key: say(message) for key, message in RULES.items()},
        "kind": {kind: say(KINDS[kind]) for kind in DEVICE_KINDS},
        "quantity": {name: quantity_name(name, locale) for name in QUANTITIES},
        "rule_kind": {kind: say(message) for kind, message in RULE_KINDS.items()},
        "state": {},
    }
