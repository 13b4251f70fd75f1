"""Why somebody could not be told, in the reader's words: the audit keeps short English notes with ids in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from hub.api.wire import Text
from hub.i18n import _, text

_GAPS = (
    (r"no station serves grid (?P<grid>.+)", _("no station serves {grid}")),
    (
        r"station (?P<station>\S+) has a contact that this hub does not know \((?P<ways>.+)\)",
        _("{station} has a contact that this hub does not know ({ways})"),
    ),
    (
        r"nobody is on duty at station (?P<station>\S+); telling all its members",
        _("nobody is on duty at {station}; all its members are told"),
    ),
    (r"no backup station for grid (?P<grid>.+)", _("there is no backup station for {grid}")),
    (r"no backup station for (?P<station>.+)", _("there is no backup station for {station}")),
    (r"backup station (?P<station>.+) does not exist", _("the backup station {station} does not exist")),
    (
        r"nobody is responsible for (?P<level>grid|compound|community|street) (?P<places>.+)",
        _("nobody is responsible for {places}"),
    ),
    (
        r"no responsible person can be reached; telling station (?P<station>.+)",
        _("no responsible person can be reached; {station} is told"),
    ),
    (
        r"no responsible person can be reached; telling everybody who has a contact",
        _("no responsible person can be reached; everybody who has a contact is told"),
    ),
    (
        r"person (?P<person>\S+) is on leave and has no deputy",
        _("{person} is on leave and has no deputy"),
    ),
    (r"person (?P<person>\S+) has no verified contact", _("{person} has no verified contact")),
    (
        r"nobody who is told at once has a verified contact",
        _("nobody who is told at once has a verified contact"),
    ),
    (
        r"only (?P<present>\d+) of (?P<norm>\d+) on duty at station (?P<station>\S+)",
        _("only {present} of {norm} on duty at {station}"),
    ),
    (r"nobody of the drill's list can be reached", _("nobody of the drill's list can be reached")),
    (r"nobody at all can be reached", _("nobody at all can be reached")),
    (r"no person has the role maintainer", _("no person has the role of a maintainer")),
    (r"person (?P<person>.+) does not exist", _("the person {person} does not exist")),
    (r"person (?P<person>\S+) has no contact", _("{person} has no contact")),
    (
        r"person (?P<person>\S+) has no contact that this hub can use \((?P<ways>.+)\)",
        _("{person} has no contact that this hub can use ({ways})"),
    ),
    (r"planning failed: .*", _("who is to be told could not be found out; the hub's log says why")),
)
_KNOWN = tuple((re.compile(pattern, re.S), message) for pattern, message in _GAPS)

_WAYS = {"webhook": _("Webhook"), "siren": _("Siren"), "console": _("Console")}

Called = Callable[[str, str], Mapping[str, str]]
"""The name of (kind, id) by locale; kind is station, grid or person."""


def told(gap: str, called: Called) -> Text:
    """`gap` in both languages; as it is when it is of no known form."""
    for pattern, message in _KNOWN:
        if found := pattern.fullmatch(gap):
            return Text(
                zh=text("zh-CN")(message).format(**_names(found.groupdict(), called, "zh-CN")),
                en=text("en")(message).format(**_names(found.groupdict(), called, "en")),
            )
    return Text(zh=gap, en=gap)


def _names(found: Mapping[str, str], called: Called, locale: str) -> dict[str, str]:
    between = "、" if locale == "zh-CN" else ", "
    return {
        kind: between.join(text(locale)(_WAYS.get(way, way)) for way in value.split(", "))
        if kind == "ways"
        else between.join(called("grid", code)[locale] for code in value.split(", "))
        if kind == "places"
        else value
        if kind in ("present", "norm")
        else called(kind, value)[locale]
        for kind, value in found.items()
        if kind != "level"
    }
