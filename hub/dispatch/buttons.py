"""What a channel with buttons, mentions and priorities makes of a message. Pure."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from hub.i18n import _ as mark
from hub.i18n import text as translation
from hub.model.deliveries import Message

_LABELS = {
    "acknowledge": mark("Acknowledge"),
    "on_scene": mark("On scene"),
    "reinforce": mark("Call reinforcement"),
    "false_alarm": mark("False alarm"),
    "alert": mark("Open the alert"),
}
"""Links of a message by name, the most urgent answer first. A link that is not here keeps its name."""

_OVER = ("cleared", "closed")


def buttons(message: Message, *, most: int, public: bool = False) -> list[tuple[str, str]]:
    """(label, address) for each link, the answers first. `public`: only addresses that a service outside can take."""
    say = translation(message.locale)
    named = [name for name in _LABELS if name in message.links]
    named += [name for name in message.links if name not in _LABELS]
    found = [(say(_LABELS[name]) if name in _LABELS else name, message.links[name]) for name in named]
    return [(label, url) for label, url in found if not public or is_public(url)][:most]


def is_public(url: str) -> bool:
    """Whether a phone outside the building could open `url`: services refuse buttons that lead to localhost."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    try:
        address = ip_address(host)
    except ValueError:
        return parts.scheme in ("http", "https") and "." in host.strip(".")
    return parts.scheme in ("http", "https") and not (address.is_loopback or address.is_unspecified)


def calls(message: Message) -> bool:
    """Whether somebody must come now: a P1 that is not over and not a test. Only these mention people and break silence."""
    return message.severity == "P1" and not message.test and not is_over(message)


def is_over(message: Message) -> bool:
    """Whether it says that the danger is gone, or the case is closed."""
    return str(message.fields.get("transition", "")).split(":")[0] in _OVER
