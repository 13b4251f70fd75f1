"""Questions to people that are alerts of their own: tests of contacts and duty checks. See hub/asking.py."""

from __future__ import annotations

from typing import Final

from hub.model.alerts import Alert

CONTACT_TEST: Final = "contact-test"
DUTY_CHECK: Final = "duty-check"
ASKED: Final = frozenset({CONTACT_TEST, DUTY_CHECK})
_CONTACT, _STATION = "contact:", "station:"


def contact_device(person: str, channel: str) -> str:
    """What stands in the place of the device in a test of a contact."""
    return f"{_CONTACT}{channel}:{person}"


def station_device(station: str) -> str:
    """What stands in the place of the device in a duty check."""
    return f"{_STATION}{station}"


def contact_of(alert: Alert) -> tuple[str, str]:
    """(person, channel) that a test of a contact is for; ("", "") when it is none."""
    if alert.rule_id != CONTACT_TEST or not alert.device_id.startswith(_CONTACT):
        return "", ""
    channel, _, person = alert.device_id.removeprefix(_CONTACT).partition(":")
    return person, channel


def station_in(device_id: str) -> str:
    """The station that a duty check is for; "" when `device_id` is none."""
    return device_id.removeprefix(_STATION) if device_id.startswith(_STATION) else ""
