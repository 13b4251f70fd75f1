"""What a digest says: alerts of one incident that came after its first one, told to each receiver in one message. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from hub.i18n import _ as mark
from hub.model.alerts import Alert
from hub.model.deliveries import Delivery

MOST_SHOWN = 5
Say = Callable[[str], str]


class Bundle(NamedTuple):
    """The alerts that a digest tells of: how many `more`, their ids, and where the first of them are (place, device)."""

    incident: str
    more: int
    alerts: tuple[str, ...]
    where: tuple[tuple[str, str], ...]


def bundle_of(delivery: Delivery) -> Bundle | None:
    """What `delivery` tells of, in its language; None when it is no digest."""
    if not delivery.about:
        return None
    about: dict[str, Any] = json.loads(delivery.about)
    place = "place_en" if delivery.locale == "en" else "place_zh"
    return Bundle(
        incident=str(about["incident"]),
        more=int(about["more"]),
        alerts=tuple(map(str, about["alerts"])),
        where=tuple((str(each[place]), str(each["device"])) for each in about["first"]),
    )


def headline(bundle: Bundle, alert: Alert, say: Say, locale: str) -> str:
    """How many more, of what."""
    what = alert.title_en if locale == "en" else alert.title_zh
    return say(mark("{n} more: {what}")).format(n=bundle.more, what=what)


def places(bundle: Bundle, say: Say) -> str:
    """Where they are; the first ones by name."""
    shown = [f"{place} {device}".strip() for place, device in bundle.where[:MOST_SHOWN]]
    left = bundle.more - len(shown)
    listed = say(mark("; ")).join(shown)
    return say(mark("{places} and {n} others")).format(places=listed, n=left) if left > 0 else listed


def fields(bundle: Bundle) -> dict[str, Any]:
    """For machines."""
    return {"incident": bundle.incident, "more": bundle.more, "alerts": list(bundle.alerts)}
