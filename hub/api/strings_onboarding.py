"""Every text that the script of the page of unknown devices shows, by the key it uses."""

from __future__ import annotations

from hub.api.strings import KINDS, quantity_name
from hub.i18n import _, text
from hub.model.quantities import QUANTITIES
from hub.registry.kinds import CANARY, DEVICE_KINDS, HUB

CLAIMABLE = tuple(kind for kind in DEVICE_KINDS if kind not in (HUB, CANARY))
ONBOARDING: dict[str, str] = {
    "no_connection": _("No connection to the hub. Try again."),
    "try_again": _("Try again"),
    "unknown": _("unknown"),
    "yes": _("yes"),
    "no": _("no"),
    "none": _("No unknown device has spoken."),
    "hint": _(
        "These speak to the hub and are not believed, because nobody has said what they are and where they hang."
    ),
    "heard": _("{n} messages, the last {at}"),
    "in_alarm": _("It says alarm: {what}. Nobody is told of it before it is claimed: look there."),
    "messages": _("Latest messages"),
    "choose": _("Choose…"),
    "kind": _("Kind"),
    "grid": _("Grid"),
    "place": _("Place (code; empty = the grid)"),
    "name": _("Name"),
    "id": _("Id"),
    "claim": _("Claim"),
    "claimed": _("Claimed. Earlier messages that are read again: {n}."),
    "claimed_alarms": _("Claimed. Earlier messages that are read again: {n}, alarms among them: {alarms}. Look there."),
    "claimed_only": _("Claimed. What it said before could not be read again: {why}"),
}


def for_onboarding(locale: str) -> dict[str, dict[str, str]]:
    """All texts of the page's script in `locale`."""
    say = text(locale)
    return {
        "text": {key: say(message) for key, message in ONBOARDING.items()},
        "kind": {kind: say(KINDS[kind]) for kind in CLAIMABLE},
        "quantity": {name: quantity_name(name, locale) for name in QUANTITIES},
        "state": {},
    }
