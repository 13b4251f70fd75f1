"""How each dialect says a command: one function for each, and its row in FORMATS. Pure.

To add one: write the function, add its line. It gets the topic root of its source, the device's address in that dialect
(without the dialect's name) and what is to be said; None when this dialect has no word for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from hub.model.commands import Value


class Spoken(NamedTuple):
    """What to publish. `echoed`: the hub itself reads this topic, and so hears what was asked for."""

    topic: str
    payload: bytes
    echoed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """One command, whatever the dialect. A test must be marked as one, or not be said at all."""

    id: str
    quantity: str
    wanted: Value
    at_ms: int
    expires_at_ms: int
    alert: str = ""
    sound_s: int = 120
    test: bool = False


def native(root: str, address: str, saying: Saying) -> Spoken | None:
    """`{root}/{site}/{node}/{device}/cmd`; see docs/integrators.md."""
    body: dict[str, Any] = {"v": 1, "id": saying.id, "ts": saying.at_ms, "expires_ms": saying.expires_at_ms}
    if saying.quantity == "siren":
        until_ms = saying.at_ms + saying.sound_s * 1_000
        body |= {"cmd": "siren", "on": bool(saying.wanted), "expires_ms": until_ms}
    else:
        body["set"] = {saying.quantity: saying.wanted}
    if saying.alert:
        body["alert"] = saying.alert
    if saying.test:
        body["test"] = True
    return Spoken(f"{root}/{address}/cmd", _json(body), echoed=saying.quantity != "siren")


_Z2M: Final[Mapping[tuple[str, Value], Mapping[str, Any]]] = {
    ("relay_on", False): {"state": "OFF"},
    ("lock_state", "unlocked"): {"state": "UNLOCK"},
    ("gate_state", "open"): {"state": "OPEN"},
}


def zigbee2mqtt(root: str, address: str, saying: Saying) -> Spoken | None:
    """`{base}/{friendly name}/set`; the address has the base topic in it. It knows neither tests nor an expiry."""
    if saying.test:
        return None
    if saying.quantity == "siren":
        warning = {"mode": "fire", "level": "very_high", "strobe": True, "duration": saying.sound_s}
        return Spoken(f"{address}/set", _json({"warning": warning}))
    words = _Z2M.get((saying.quantity, saying.wanted))
    return None if words is None else Spoken(f"{address}/set", _json(words))


Format = Callable[[str, str, Saying], Spoken | None]
FORMATS: Final[dict[str, Format]] = {"native-v1": native, "zigbee2mqtt": zigbee2mqtt}


def spoken(roots: Mapping[str, Sequence[str]], addresses: Sequence[str], saying: Saying) -> Spoken | None:
    """The command in the first dialect of a device's `addresses` that has a word for it. `roots`: codec → roots of its sources."""
    for address in sorted(addresses, key=lambda one: one.endswith("/-")):  # the node only where there is nothing finer
        dialect, colon, own = address.partition(":")
        say = FORMATS.get(dialect)
        if not colon or say is None:
            continue
        fits = [root for root in roots.get(dialect, ()) if dialect == "native-v1" or own.startswith(f"{root}/")]
        if fits and (found := say(fits[0], own, saying)) is not None:
            return found
    return None


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
