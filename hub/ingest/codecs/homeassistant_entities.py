"""Home Assistant discovery messages → entities: abbreviations, device bundles, classes and units, and the safe subset of templates.

Templates are never evaluated: only paths into the message, with filters that change nothing but the type, are understood; all
others are refused by name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from hub.ingest.values import named, quantity_for_unit, unit_of
from hub.model.quantities import QUANTITIES

_ABBREVIATIONS: Final = {
    "avty": "availability", "avty_mode": "availability_mode", "avty_t": "availability_topic", "avty_tpl": "availability_template",
    "cmd_t": "command_topic", "cmps": "components", "cmp": "components", "dev": "device", "dev_cla": "device_class", "exp_aft": "expire_after",
    "frc_upd": "force_update", "o": "origin", "obj_id": "object_id", "pl_avail": "payload_available", "pl_not_avail": "payload_not_available",
    "pl_on": "payload_on", "pl_off": "payload_off", "p": "platform", "stat_cla": "state_class", "stat_t": "state_topic", "stat_on": "state_on",
    "stat_off": "state_off", "stat_locked": "state_locked", "stat_unlocked": "state_unlocked", "stat_open": "state_open", "stat_clsd": "state_closed",
    "stat_opening": "state_opening", "stat_closing": "state_closing", "t": "topic", "uniq_id": "unique_id", "unit_of_meas": "unit_of_measurement", "val_tpl": "value_template",
    "stat_val_tpl": "state_value_template", "json_attr_t": "json_attributes_topic", "ent_cat": "entity_category", "def_ent_id": "default_entity_id",
    "pos_t": "position_topic", "off_dly": "off_delay", "stat_jam": "state_jammed", "stat_lock": "state_locking", "stat_unlock": "state_unlocking",
}  # fmt: skip
_DEVICE: Final = {"ids": "identifiers", "cns": "connections", "mf": "manufacturer", "mdl": "model", "mdl_id": "model_id", "sw": "sw_version",
                  "hw": "hw_version", "sa": "suggested_area", "sn": "serial_number", "cu": "configuration_url"}  # fmt: skip
_SENSOR: Final = {
    "temperature": "temperature_c", "humidity": "humidity_pct", "battery": "battery_pct", "voltage": "voltage_v", "power": "power_w",
    "energy": "energy_import_kwh", "current": "current_a", "carbon_dioxide": "co2_ppm", "carbon_monoxide": "co_ppm", "pm25": "pm25_ugm3",
    "pm10": "pm10_ugm3", "pm1": "pm1_ugm3", "illuminance": "illuminance_lx", "pressure": "pressure_hpa", "atmospheric_pressure": "pressure_hpa",
    "signal_strength": "rssi_dbm", "power_factor": "power_factor", "frequency": "frequency_hz", "apparent_power": "apparent_power_va",
    "reactive_power": "reactive_power_var", "gas": "gas_m3", "water": "water_m3", "moisture": "soil_moisture_pct", "volume_flow_rate": "flow_m3_h",
    "volatile_organic_compounds": "voc", "aqi": "aqi",
}  # fmt: skip
_BINARY: Final = {
    "smoke": "smoke", "gas": "gas_alarm", "carbon_monoxide": "co_alarm", "heat": "heat_alarm", "moisture": "water_leak", "door": "door_open",
    "window": "door_open", "garage_door": "door_open", "opening": "door_open", "motion": "occupancy", "occupancy": "occupancy", "presence": "occupancy",
    "tamper": "tamper", "battery": "battery_low", "problem": "fault", "vibration": "vibration",
}  # fmt: skip
_PLATFORMS: Final = frozenset(("sensor", "binary_sensor", "switch", "lock", "cover", "light", "fan", "valve", "siren"))
_PATH: Final = re.compile(
    r"\{\{\s*(value_json|value)((?:\.[A-Za-z_]\w*|\[(?:'[^'\]]*'|\"[^\"\]]*\"|\d{1,4})\])*)\s*((?:\|\s*[a-z_]+(?:\(\s*[-\w.'\"]*\s*\))?\s*)*)\}\}\s*\Z"
)
_STEP: Final = re.compile(r"\.([A-Za-z_]\w*)|\['([^']*)'\]|\[\"([^\"]*)\"\]|\[(\d+)\]")
_FILTERS: Final = frozenset(
    ("float", "int", "is_defined", "round", "string", "lower", "upper", "trim", "default", "bool")
)
_MOST_COMPONENTS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """One state of a device: where it is published, and what it means."""

    id: str
    device: str
    kind: str
    metric: str
    unit: str = ""
    state_topic: str = ""
    path: tuple[str, ...] | None = ()  # into the JSON message; () = as it is
    is_json: bool = False
    refused: str = ""  # a template that is not understood
    on: str = "on"
    off: str = "off"
    words: tuple[tuple[str, str], ...] = ()  # state texts of locks and covers
    expire_after_s: float | None = None
    inverted: bool = False

    def told(self) -> dict[str, Any]:
        """As the description of the discovery shows it."""
        found: dict[str, Any] = {
            "id": self.id,
            "kind": self.kind,
            "metric": self.metric,
            "state_topic": self.state_topic,
        }
        if self.path:
            found["json_path"] = ".".join(self.path)
        if self.unit:
            found["unit"] = self.unit
        if self.refused:
            found["refused"] = self.refused
        if self.kind == "binary_sensor" or self.kind == "switch":
            found |= {"payload_on": self.on, "payload_off": self.off}
        if self.expire_after_s is not None:
            found["expire_after"] = found["expire_after_s"] = self.expire_after_s
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """A topic that tells whether a device is there."""

    topic: str
    online: str = "online"
    offline: str = "offline"
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What one discovery message announces."""

    device: str
    entities: tuple[Entity, ...]
    presence: tuple[Presence, ...] = ()
    mode: str = "latest"
    skipped: tuple[str, ...] = ()
    info: tuple[tuple[str, str], ...] = ()


def expanded(body: dict[str, Any]) -> dict[str, Any]:
    """`body` with its abbreviated keys written out and `~` replaced."""
    found = {_ABBREVIATIONS.get(k, k): v for k, v in body.items()}
    base = body.get("~")
    if isinstance(base, str):
        for key, value in list(found.items()):
            if isinstance(value, str) and key.endswith("topic"):
                found[key] = _based(value, base)
        places = found.get("availability")
        if isinstance(places, list):
            found["availability"] = [
                {**p, **{k: _based(p[k], base) for k in ("topic", "t") if isinstance(p.get(k), str)}}
                if isinstance(p, dict)
                else p
                for p in places
            ]
    return found


def _based(topic: str, base: str) -> str:
    if topic.startswith("~"):
        return base + topic[1:]
    return topic[:-1] + base if topic.endswith("~") else topic


def bundle_of(body: dict[str, Any], kind: str, node: str, object_id: str) -> Bundle:
    """The entities of a discovery message on `<prefix>/<kind>/[<node>/]<object_id>/config`."""
    body = expanded(body)
    about = body.get("device")
    about = {_DEVICE.get(k, k): v for k, v in about.items()} if isinstance(about, dict) else {}
    device = (
        _identity(about) or (object_id if kind == "device" else "") or node or str(body.get("unique_id", object_id))
    )
    device = device[:128]
    entities: list[Entity] = []
    skipped: list[str] = []
    presence = list(_presence(body))
    if kind == "device":
        components = body.get("components")
        shared = {k: v for k, v in body.items() if k not in ("components", "device", "origin")}
        for name, one in list(components.items())[:_MOST_COMPONENTS] if isinstance(components, dict) else []:
            merged = {
                **shared,
                **(expanded({**({"~": body["~"]} if "~" in body else {}), **one}) if isinstance(one, dict) else {}),
            }
            entity = _entity(str(name)[:64], str(merged.get("platform", "")), device, merged)
            if entity is None:
                skipped.append(str(name)[:64])
            else:
                entities.append(entity)
                presence += [p for p in _presence(merged) if p not in presence]
    else:
        entity = _entity(object_id, kind, device, body)
        if entity is None:
            skipped.append(object_id)
        else:
            entities.append(entity)
    info = tuple((name, about[key][:80]) for name, key in (("name", "name"), ("model", "model"), ("vendor", "manufacturer"), ("firmware", "sw_version")) if isinstance(about.get(key), str))  # fmt: skip
    mode = body.get("availability_mode")
    return Bundle(
        device=device,
        entities=tuple(entities),
        presence=tuple(presence[:16]),
        mode=mode if mode in ("all", "any", "latest") else "latest",
        skipped=tuple(skipped),
        info=info,
    )


def _identity(about: dict[str, Any]) -> str:
    given = about.get("identifiers")
    first = given[0] if isinstance(given, list) and given else given
    if isinstance(first, str) and first:
        return first
    pairs = about.get("connections")
    pair = pairs[0] if isinstance(pairs, list) and pairs else None
    return pair[1] if isinstance(pair, list) and len(pair) > 1 and isinstance(pair[1], str) else ""


def _presence(body: dict[str, Any]) -> list[Presence]:
    places = body.get("availability")
    entries: list[Any] = places if isinstance(places, list) else [places] if isinstance(places, dict) else []
    found = []
    if isinstance(body.get("availability_topic"), str):
        found.append(
            _one_presence(
                {"topic": body["availability_topic"], "value_template": body.get("availability_template")}, body
            )
        )
    for entry in entries[:16]:
        if isinstance(entry, dict):
            entry = expanded(entry)
            if isinstance(entry.get("topic"), str):
                found.append(_one_presence(entry, {}))
    return found


def _one_presence(entry: dict[str, Any], outer: dict[str, Any]) -> Presence:
    path, _, _ = template(entry.get("value_template"))
    return Presence(
        topic=entry["topic"][:512],
        online=_word(entry.get("payload_available", outer.get("payload_available", "online"))),
        offline=_word(entry.get("payload_not_available", outer.get("payload_not_available", "offline"))),
        path=path or (),
    )


def template(text: Any) -> tuple[tuple[str, ...] | None, bool, str]:
    """(path into the message, whether it is JSON, why it is refused)."""
    if text is None or text == "":
        return (), False, ""
    if not isinstance(text, str) or len(text) > 500:
        return None, False, "no text, or too long"
    found = _PATH.match(text.strip())
    if found is None:
        return None, False, text[:120]
    for name in re.findall(r"\|\s*([a-z_]+)", found[3] or ""):
        if name not in _FILTERS:
            return None, False, text[:120]
    if found[1] == "value":
        return (None, False, text[:120]) if found[2] else ((), False, "")
    path = tuple(next(part for part in step if part) for step in _STEP.findall(found[2]) if any(step))
    return path, True, ""


def _entity(name: str, kind: str, device: str, body: dict[str, Any]) -> Entity | None:
    topic = body.get("state_topic") or (body.get("position_topic") if kind in ("cover", "valve") else None)
    if kind not in _PLATFORMS or not isinstance(topic, str) or not topic or len(topic) > 512:
        return None
    path, is_json, refused = template(body.get("value_template", body.get("state_value_template")))
    unit = body.get("unit_of_measurement")
    unit = unit[:20] if isinstance(unit, str) else ""
    unique = body.get("unique_id")
    expire = body.get("expire_after")
    metric, inverted = _metric(kind, body, unit, path or (), name)
    on = body.get("state_on", body.get("payload_on", "ON"))
    off = body.get("state_off", body.get("payload_off", "OFF"))
    return Entity(
        id=name,
        device=device,
        kind=kind,
        metric=metric[:100] or str(unique or name)[:100],
        unit=unit,
        state_topic=topic,
        path=path,
        is_json=is_json,
        refused=refused,
        on=_word(on),
        off=_word(off),
        words=_words(kind, body),
        expire_after_s=float(expire)
        if isinstance(expire, int | float) and not isinstance(expire, bool) and 0 < expire <= 31_536_000
        else None,
        inverted=inverted,
    )


def _metric(kind: str, body: dict[str, Any], unit: str, path: tuple[str, ...], name: str) -> tuple[str, bool]:
    """The quantity of an entity, and whether on means off."""
    of = body.get("device_class")
    of = of if isinstance(of, str) else ""
    if kind in ("switch", "light", "fan", "siren"):
        return "relay_on", False
    if kind == "lock":
        return "lock_state", False
    if kind in ("cover", "valve"):
        return "gate_state", False
    if kind == "binary_sensor":
        if of in ("lock",):
            return "lock_open", False
        return _BINARY.get(of) or _by_name(body, path, name, ("switch",)), False
    found = _SENSOR.get(of, "")
    if found == "voltage_v" and "bat" in f"{name} {' '.join(path)}".lower():
        found = "battery_v"
    if found == "energy_import_kwh" and any(
        w in f"{name} {' '.join(path)}".lower() for w in ("export", "produc", "return")
    ):
        found = "energy_export_kwh"
    known = unit_of(unit) if unit else None
    if (
        found in QUANTITIES
        and known is not None
        and known[0] not in (QUANTITIES[found].unit, "")
        and found not in ("pressure_hpa", "battery_pct")
    ):
        found = quantity_for_unit(unit, name) or found
    if found:
        return found, False
    if unit:
        by_unit = quantity_for_unit(unit, " ".join((name, *path)))
        if by_unit:
            return by_unit, False
    return _by_name(body, path, name, ("gauge", "counter", "state")), False


def _by_name(body: dict[str, Any], path: tuple[str, ...], name: str, kinds: tuple[str, ...]) -> str:
    for candidate in (path[-1] if path else "", name, str(body.get("object_id", "")), str(body.get("name", ""))):
        known = named(candidate) if candidate else None
        if known is not None and QUANTITIES[known[0]].kind in kinds:
            return known[0]
    return path[-1] if path else name


def _words(kind: str, body: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    if kind == "lock":
        names = (("state_locked", "LOCKED", "locked"), ("state_unlocked", "UNLOCKED", "unlocked"), ("state_locking", "LOCKING", "locking"),
                 ("state_unlocking", "UNLOCKING", "unlocking"), ("state_jammed", "JAMMED", "jammed"))  # fmt: skip
    elif kind in ("cover", "valve"):
        names = (("state_open", "open", "open"), ("state_closed", "closed", "closed"), ("state_opening", "opening", "opening"),
                 ("state_closing", "closing", "closing"), ("state_stopped", "stopped", "stopped"))  # fmt: skip
    else:
        return ()
    return tuple((_word(body.get(key, usual)), state) for key, usual, state in names)


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).strip().lower()[:100]
