"""The native contract as an AsyncAPI 3 document, drawn from the topic grammar, the codec's structs and the table of quantities."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from hub.ingest.codecs import native
from hub.ingest.payload import MAX_BYTES
from hub.ingest.topics import CHANNELS, NATIVE_ROOT
from hub.model.quantities import ALARM_QUANTITY, OWN, QUANTITIES, WANTED, Quantity
from hub.registry.kinds import DEVICE_KINDS

VERSION: Final = "1.0.0"
Schema = dict[str, Any]
_LEVEL: Final = "1 to 64 of a-z 0-9 _ -"
_V: Final[Schema] = {"const": 1, "description": "version of this contract"}
_TS: Final[Schema] = {
    "type": "integer",
    "description": "milliseconds since 1970 UTC; left out while the clock is not set. Never the uptime",
    "examples": [1704067200123],
}
_SEQ: Final[Schema] = {
    "type": "integer",
    "minimum": 0,
    "description": "grows with each message of a node, begins again with boot",
}
_METRICS: Final[Schema] = {"$ref": "#/components/schemas/metrics"}


class Channel(NamedTuple):
    """One row of the contract. `by_device`: the device sends it; else the hub (or whoever commands)."""

    title: str
    body: Schema
    examples: tuple[Any, ...]
    retain: bool = False
    by_device: bool = True
    heard: bool = True


def _object(required: tuple[str, ...], **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


def _drawn(struct: type[msgspec.Struct], **told: Schema) -> Schema:
    """The schema of a struct of the codec; `told` says of its fields what the types cannot, and must name fields that are there."""
    schema = msgspec.json.schema(struct)
    drawn: Schema = schema["$defs"][struct.__name__]
    unknown = told.keys() - drawn["properties"].keys()
    if unknown:
        raise ValueError(f"{struct.__name__} has no {', '.join(sorted(unknown))}")
    properties = {
        name: {
            **{k: v for k, v in one.items() if k != "default"},
            **({} if one.get("default") is None else {"default": one["default"]}),
        }
        for name, one in drawn["properties"].items()
    }
    closed = {"additionalProperties": False} if drawn.get("additionalProperties") is False else {}
    return {"type": "object", "properties": {**properties, **told}, "required": drawn["required"], **closed}


def _of_quantity(quantity: Quantity) -> Schema:
    if quantity.kind == "switch":
        kind: Schema = {"type": ["boolean", "null"]}
    elif quantity.kind == "state":
        kind = {"enum": [*quantity.states, None]}
    else:
        kind = {"type": ["number", "null"]}
        limits = {"minimum": quantity.low, "maximum": quantity.high}
        kind |= {key: value for key, value in limits.items() if abs(value) != float("inf")}
    said = [quantity.unit, f"alarm {quantity.alarm}" if quantity.alarm else ""]
    text = ", ".join(filter(None, said))
    return {**kind, **({"description": text} if text else {})}


def _metrics() -> Schema:
    return {
        "type": "object",
        "description": "values by quantity; null is unknown, left out is unchanged. Others are kept, and judged by no rule",
        "properties": {name: _of_quantity(q) for name, q in QUANTITIES.items() if name not in OWN},
        "additionalProperties": {"type": ["number", "boolean", "string", "null"]},
    }


def _wishes() -> Schema:
    wished = {name: _of_quantity(QUANTITIES[name]) for name in WANTED}
    return {"type": "object", "properties": wished, "minProperties": 1}


def contract() -> dict[str, Channel]:
    """The rows, by the last level of the topic."""
    levels = _drawn(native._Levels, m=_METRICS, ts=_TS, seq=_SEQ, v=_V)
    event = _drawn(
        native._Alarm, ts=_TS, seq=_SEQ, v=_V, type={"const": "alarm"}, alarm={"enum": sorted(ALARM_QUANTITY)}
    )
    record = _object(("ts", "m"), ts=_TS, seq=_SEQ, m=_METRICS)
    text: Schema = {"type": "string"}
    return {
        "birth": Channel(
            "What the device is, and how often it reports",
            _object(
                ("kind",),
                v=_V,
                kind={"type": "string", "examples": list(DEVICE_KINDS)},
                vendor=text,
                model=text,
                fw=text,
                hw=text,
                interval_s={"type": "number", "exclusiveMinimum": 0, "maximum": 31_536_000},
                metrics={"type": "array", "items": text},
            ),
            ({"v": 1, "kind": "smoke_alarm", "vendor": "Example", "model": "SD-1", "fw": "1.4.2", "interval_s": 3600,
              "metrics": ["smoke", "battery_pct"]},),
            retain=True,
        ),
        "online": Channel(
            "Presence of the node (device -); also its will, which has no ts",
            _object(("online",), online={"type": "boolean"}, ts=_TS, boot={"type": "integer"}, reason=text),
            ({"online": True, "ts": 1704067200123, "boot": 17}, {"online": False, "reason": "lwt"}),
            retain=True,
        ),
        "state": Channel(
            "Slow states and alarm levels, repeated with every heartbeat",
            levels,
            ({"v": 1, "seq": 4713, "ts": 1704067200123, "m": {"smoke": True, "lock_state": "locked"}},),
            retain=True,
        ),
        "tele": Channel(
            "Measurements",
            levels,
            ({"v": 1, "seq": 4711, "ts": 1704067200123, "m": {"power_w": 1291, "voltage_v": 229.9, "temperature_c": None}},),
        ),
        "event": Channel(
            "An edge, with an id of its own",
            event,
            ({"v": 1, "id": "01HK0000000000000000000001", "seq": 4712, "ts": 1704067200123, "type": "alarm", "alarm": "smoke",
              "active": True, "test": False},),
        ),
        "batch": Channel(
            "Measurements from a buffer, after an outage",
            _object(("r",), v=_V, hist={"const": True}, r={"type": "array", "items": record}),
            ({"v": 1, "hist": True, "r": [{"seq": 1, "ts": 1704060000000, "m": {"power_w": 1000}}]},),
        ),
        "senml": Channel(
            "Measurements as SenML (RFC 8428)",
            {"type": "array", "items": {"type": "object"}, "minItems": 1},
            ([{"bt": 1704067200, "n": "temperature", "u": "Cel", "v": 21.5}],),
        ),
        "cmd": Channel(
            "A command to the device",
            _object(
                ("id",),
                v=_V,
                id=text,
                ts=_TS,
                set=_wishes(),
                cmd={"const": "siren"},
                on={"type": "boolean"},
                alert=text,
                expires_ms={**_TS, "description": "from then on it must be ignored"},
                test={"type": "boolean", "description": "true: must not be acted upon"},
            ),
            ({"v": 1, "id": "c-17", "ts": 1704067200123, "set": {"relay_on": False}},),
            by_device=False,
        ),
        "ack": Channel(
            "The device's answer to a command; the hub believes the next state instead",
            _object(("id",), id=text, ok={"type": "boolean"}),
            ({"id": "c-17", "ok": True},),
            heard=False,
        ),
        "reject": Channel(
            "Why the hub could not use a message",
            _object(
                ("v", "channel", "reason", "ts"),
                v=_V,
                channel={"enum": list(CHANNELS)},
                reason=text,
                detail=text,
                field=text,
                seq={},
                id={},
                count={"type": "integer", "minimum": 1, "description": "such messages since the last answer"},
                ts=_TS,
            ),
            ({"v": 1, "channel": "tele", "reason": "malformed JSON", "detail": "no JSON at character 2", "seq": 7, "count": 1,
              "ts": 1704067200123},),
            by_device=False,
        ),
    }  # fmt: skip


def document(root: str = NATIVE_ROOT) -> dict[str, Any]:
    """The whole document, for the topics below `root`. The hub is the application that it describes."""
    rows = contract()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "GridHub native contract",
            "version": VERSION,
            "description": "What devices made for GridHub say over MQTT, and what it says to them. QoS 1; at most "
            f"{MAX_BYTES // 1024} KiB a message. Unknown never clears an alarm, and silence is not recovery.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {name: _channel(name, row, root) for name, row in rows.items()},
        "operations": dict(_operation(name, row) for name, row in rows.items() if row.heard),
        "components": {
            "messages": {name: _message(name, row) for name, row in rows.items()},
            "schemas": {"metrics": _metrics(), **{name: row.body for name, row in rows.items()}},
            "parameters": {
                "site": {"description": f"the site: {_LEVEL}"},
                "node": {"description": f"MQTT user name of the gateway: {_LEVEL}"},
                "device": {"description": f"the device: {_LEVEL}; a single - is the node itself"},
            },
        },
    }


def _channel(name: str, row: Channel, root: str) -> Schema:
    return {
        "address": f"{root}/{{site}}/{{node}}/{{device}}/{name}",
        "title": row.title,
        "parameters": {level: {"$ref": f"#/components/parameters/{level}"} for level in ("site", "node", "device")},
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
    }


def _operation(name: str, row: Channel) -> tuple[str, Schema]:
    action = "receive" if row.by_device else "send"
    return f"{action}-{name}", {
        "action": action,
        "channel": {"$ref": f"#/channels/{name}"},
        "summary": row.title,
        "messages": [{"$ref": f"#/channels/{name}/messages/{name}"}],
        "bindings": {"mqtt": {"qos": 1, "retain": row.retain, "bindingVersion": "0.2.0"}},
    }


def _message(name: str, row: Channel) -> Schema:
    return {
        "name": name,
        "summary": row.title,
        "payload": {"$ref": f"#/components/schemas/{name}"},
        "examples": [{"payload": example} for example in row.examples],
    }
