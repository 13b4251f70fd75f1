"""Decoded messages as plain JSON, for people and for tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hub.model.readings import Decoded, Event, Quality, Reading, Reject


def as_json(said: Sequence[Decoded] | Reject, more_warnings: Sequence[str] = ()) -> dict[str, Any]:
    """One object for all that a message says: readings of all its devices in one list, each with its device."""
    if isinstance(said, Reject):
        rejected = {"codec": said.codec, "reason": said.reason, "detail": said.detail, "field": said.field}
        return {
            "device": said.device,
            "readings": [],
            "events": [],
            "availability": None,
            "history": [],
            "unknown": [],
            "ignored": "",
            "rejected": {k: v for k, v in rejected.items() if v},
            "warnings": list(more_warnings),
        }
    first = said[0] if said else None
    states = [d.availability for d in said if d.availability is not None]
    optional = {} if first is None else _optional(first)
    return {
        "device": first.device if first else "",
        "address": first.address if first else "",
        "devices": [d.device for d in said] if len(said) > 1 else None,
        "readings": [_reading(d.device, r) for d in said for r in d.readings],
        "events": [event_json(e) for d in said for e in d.events],
        "availability": ("online" if states[0] else "offline") if states else None,
        "history": [_reading(d.device, r) for d in said for r in d.history],
        "unknown": [name for d in said for name in d.unknown],
        "ignored": "; ".join(dict.fromkeys(d.ignored for d in said if d.ignored)),
        "rejected": None,
        "warnings": [*dict.fromkeys(w for d in said for w in d.warnings), *more_warnings],
        "observed_at_ms": first.observed_at_ms if first else None,
        **optional,
    }


def _optional(one: Decoded) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "cascade": one.cascade,
        "ts_local": one.ts_local,
        "dedupe_key": one.dedupe_key,
        "seq": one.seq,
        "site": one.site,
        "gateway": one.gateway,
        "device_uid": one.device_uid,
        "expected_interval_s": one.expected_interval_s,
        "info": plain(one.info),
        "retained_state": one.retained_state,
    }
    return {k: v for k, v in fields.items() if v not in (None, "", False)}


def _reading(device: str, reading: Reading) -> dict[str, Any]:
    found: dict[str, Any] = {
        "device": device,
        "quantity": reading.quantity,
        "value": reading.value,
        "observed_at_ms": reading.observed_at_ms,
    }
    if reading.quality:
        found["quality"] = [str(flag.name) for flag in Quality(reading.quality)]
    if reading.unit:
        found["unit"] = reading.unit
    if reading.sum is not None:
        found["sum"] = reading.sum
    return found


def event_json(event: Event) -> dict[str, Any]:
    """The event as the dialects' descriptions write it: absent fields are left out, further ones stand beside."""
    found: dict[str, Any] = {"type": event.type}
    if event.alarm:
        found["alarm"] = event.alarm
    if event.active is not None:
        found["active"] = event.active
    if event.test is not None:
        found["test"] = event.test
    return {**(plain(event.detail) or {}), **found}


def plain(value: Any) -> Any:
    """`value` with NaN and infinities as null, for JSON."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value
