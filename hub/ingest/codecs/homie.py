"""Homie 4 and 5: one value per topic, with a description that says what it is. Without the description a value keeps its own name."""

from __future__ import annotations

import re
from typing import Any, Final

from hub.ingest.codecs.context import CodecContext
from hub.ingest.payload import MAX_BYTES, TOO_LARGE, Malformed, parse_object, text_of
from hub.ingest.saying import Saying
from hub.ingest.topics import Filter
from hub.ingest.values import named, quantity_for_unit, short
from hub.model.quantities import QUANTITIES
from hub.model.readings import Decoded, Reject

HOMIE4: Final = "homie4"
HOMIE5: Final = "homie5"
_STATES: Final = {"init": True, "ready": True, "sleeping": True, "alert": True, "disconnected": False, "lost": False}
_NUMBER: Final = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?\Z")
_LEVEL: Final = re.compile(r"[^/]{1,128}\Z")
_MOST: Final = 50_000  # properties that are remembered
_LONG: Final = 4_096


class HomieCodec:
    """Decodes `{root}/<device>/…` of one version. Never raises. Remembers units and types; one owner thread."""

    def __init__(self, name: str, root: str, context: CodecContext | None = None) -> None:
        self.name, self.root, self._context = name, root, context or CodecContext()
        self._meta: dict[str, dict[str, str]] = {}  # device/node/property → unit, datatype
        self._children: set[str] = set()

    def decode(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool
    ) -> tuple[Decoded, ...] | Reject:
        if len(payload) > MAX_BYTES:
            return Reject(codec=self.name, reason=TOO_LARGE, detail=f"{len(payload)} bytes, at most {MAX_BYTES}")
        levels = topic[len(self.root) + 1 :].split("/") if topic.startswith(self.root + "/") else []
        if (
            not levels
            or not all(map(_LEVEL.match, levels))
            or len(levels) > 6
            or (len(levels) == 1 and levels[0] != "$broadcast")
        ):
            return Reject(codec=self.name, reason="unknown topic", detail=f"no Homie topic below {self.root}/")
        device, rest = levels[0], levels[1:]
        saying = Saying(self.name, device, device, received_at_ms)
        if device == "$broadcast":
            saying = Saying(self.name, "$broadcast", "", received_at_ms)
            if payload:
                saying.event(f"broadcast_{'_'.join(rest)}"[:64], {"text": _text(payload)[:200]})
            return (saying.decoded(),) if payload else (saying.decoded(ignored="retained clear"),)
        if rest[0].startswith("$"):
            return self._device(rest, payload, saying, received_at_ms)
        if len(rest) == 1 or rest[1].startswith("$"):
            return (saying.decoded(ignored="description of a node"),)
        if len(rest) > 2:
            return self._about(device, rest, payload, saying)
        return self._value(f"{device}/{rest[0]}/{rest[1]}", rest, payload, saying)

    def _device(
        self, rest: list[str], payload: bytes, saying: Saying, received_at_ms: int
    ) -> tuple[Decoded, ...] | Reject:
        what = rest[0]
        if what == "$state":
            if not payload:
                return (saying.decoded(ignored="retained clear"),)
            word = _text(payload)
            if word not in _STATES:
                return self._reject(saying, "bad availability", f"$state {short(word)}")
            if word == "init":
                saying.warn("init: values are not complete yet")
            online = _STATES[word]
            if word == "alert":
                saying.event("device_error", {"state": word})
            return (
                saying.decoded(
                    availability=online, cascade=not online and saying.device not in self._children, retained_state=True
                ),
            )
        if what == "$alert" and len(rest) == 2:
            if payload:
                saying.event("alert", {"id": rest[1], "text": _text(payload)[:200]}, active=True)
            else:
                saying.event("alert", {"id": rest[1]}, active=False)
            return (saying.decoded(),)
        if what == "$log" and len(rest) == 2:
            if payload:
                saying.event("log", {"level": rest[1], "text": _text(payload)[:200]})
                return (saying.decoded(),)
            return (saying.decoded(ignored="retained clear"),)
        if what == "$description" and payload:
            return self._description(saying, payload)
        if what == "$stats" and len(rest) == 2 and rest[1] in ("interval", "signal", "uptime", "battery"):
            number = _text(payload)
            if _NUMBER.match(number):
                if rest[1] == "interval" and 0 < float(number) <= 31_536_000:
                    saying.fields["expected_interval_s"] = float(number)
                elif rest[1] != "interval":
                    saying.put(
                        {"signal": "signal_pct", "uptime": "uptime_s", "battery": "battery_pct"}[rest[1]], float(number)
                    )
                return (saying.decoded(),)
        if what in ("$name", "$mac", "$localip", "$implementation", "$type") and payload:
            text = _text(payload)[:100]
            return (saying.decoded(info={what[1:]: text}),)
        return (saying.decoded(ignored="description of the device"),)

    def _description(self, saying: Saying, payload: bytes) -> tuple[Decoded, ...] | Reject:
        parsed = parse_object(payload)
        if isinstance(parsed, Malformed) or not isinstance(parsed.value, dict):
            reason, detail = parsed if isinstance(parsed, Malformed) else ("not an object", short(parsed.value))
            return self._reject(saying, reason, str(detail))
        body, meta = parsed.value, {}
        nodes = body.get("nodes")
        for node, about in list(nodes.items())[:200] if isinstance(nodes, dict) else []:
            properties = about.get("properties") if isinstance(about, dict) else None
            for name, one in list(properties.items())[:200] if isinstance(properties, dict) else []:
                if isinstance(one, dict):
                    said = {k: v for k in ("unit", "datatype") if isinstance(v := one.get(k), str)}
                    self._remember(f"{saying.device}/{node}/{name}", said)
                    meta[f"{node}/{name}"] = said
        children = body.get("children")
        for child in children[:500] if isinstance(children, list) else []:
            if isinstance(child, str) and len(self._children) < _MOST:
                self._children.add(child[:128])
        info: dict[str, Any] = {"meta": meta}
        if isinstance(body.get("name"), str):
            info["name"] = body["name"][:100]
        gateway = body.get("root") or body.get("parent")
        if isinstance(gateway, str):
            saying.fields["gateway"] = gateway[:128]
        return (saying.decoded(info=info, retained_state=True),)

    def _about(self, device: str, rest: list[str], payload: bytes, saying: Saying) -> tuple[Decoded, ...]:
        name = f"{rest[0]}/{rest[1]}"
        if rest[2] == "set":
            return (saying.decoded(ignored="command"),)
        if rest[2] == "$target":
            return (saying.decoded(ignored="target value, not the actual one"),)
        if rest[2] in ("$unit", "$datatype") and payload:
            key, text = rest[2][1:], _text(payload)[:40]
            if key == "unit":
                text = text.replace("Â°", "°")
            self._remember(f"{device}/{name}", {key: text})
            return (saying.decoded(info={"meta": {name: {key: text}}}),)
        return (saying.decoded(ignored="description of a property"),)

    def _remember(self, place: str, said: dict[str, str]) -> None:
        if len(self._meta) >= _MOST:
            self._meta.clear()
        self._meta[place] = {**self._meta.get(place, {}), **said}

    def _value(self, place: str, rest: list[str], payload: bytes, saying: Saying) -> tuple[Decoded, ...] | Reject:
        name = f"{rest[0]}/{rest[1]}"
        if not payload:
            return (saying.decoded(ignored="property deleted"),)
        if len(payload) > _LONG:
            return (saying.decoded(ignored="long text"),)
        text = "" if payload == b"\0" else _text(payload)
        meta = self._meta.get(place, {})
        kind, unit = meta.get("datatype", ""), meta.get("unit", "")
        value: Any = text
        if kind in ("", "boolean") and text in ("true", "false"):
            value = text == "true"
        elif kind in ("", "integer", "float", "percent") and _NUMBER.match(text) and len(text) <= 40:
            value = float(text) if any(c in text for c in ".eE") else int(text)
        elif kind in ("integer", "float", "percent", "boolean"):
            return self._reject(saying, "bad value", f"{name} is {short(text)}, not a {kind}")
        quantity = self._quantity(rest[1], rest[0], unit, kind, value)
        if quantity is None:
            saying.put(name, value, unit=unit)
        elif isinstance(value, str) and QUANTITIES[quantity[0]].kind not in ("switch", "state"):
            saying.put(name, value)
        else:
            saying.put(quantity[0], value, unit=quantity[1], key=name)
            saying.put(name, value)
            if any(event.type == "alarm_unclear" for event in saying.findings.events):
                return self._reject(saying, "bad value", f"{name} is {short(text)}")
        return (saying.decoded(),)

    @staticmethod
    def _quantity(name: str, node: str, unit: str, kind: str, value: Any) -> tuple[str, str] | None:
        if unit and isinstance(value, int | float) and not isinstance(value, bool):
            found = quantity_for_unit(unit, name) or quantity_for_unit(unit, f"{node}_{name}")
            if found:
                return found, unit
        known = named(name)
        if known is None or (QUANTITIES[known[0]].kind not in ("switch", "state") and not (kind and not unit)):
            return None
        if (
            QUANTITIES[known[0]].kind in ("switch", "state")
            and isinstance(value, int | float)
            and not isinstance(value, bool)
        ):
            return None
        return known

    def _reject(self, saying: Saying, reason: str, detail: str) -> Reject:
        return Reject(codec=self.name, reason=reason, detail=detail, device=saying.device, address=saying.address)


def _text(payload: bytes) -> str:
    return text_of(payload[:_LONG])[0].strip().strip("\0")


def make4(root: str, context: CodecContext) -> HomieCodec:
    return HomieCodec(HOMIE4, root, context)


def make5(root: str, context: CodecContext) -> HomieCodec:
    return HomieCodec(HOMIE5, root, context)


def filters(root: str) -> tuple[Filter, ...]:
    return (Filter(f"{root}/#"),)


def root4_of(topic: str) -> str:
    return topic.split("/")[0]


def root5_of(topic: str) -> str:
    levels = topic.split("/")
    return "/".join(levels[: levels.index("5") + 1]) if "5" in levels[:-1] else "/".join(levels[:2])
