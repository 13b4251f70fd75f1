"""Compares what was decoded with what a fixture line expects: what is listed must match, more may be there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import isclose
from typing import Any

from hub.ingest.decoded_json import event_json
from hub.model.quantities import QUANTITIES
from hub.model.readings import Decoded, Reading, Reject

Said = Sequence[Decoded] | Reject
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SEPARATORS = ":;/_.-# "


def counter_resets(said: Said, before: Mapping[str, Any]) -> list[str]:
    """Warnings for counters that are lower than the value `before` had: a reset, not a negative consumption."""
    if isinstance(said, Reject):
        return []
    return [
        f"{r.quantity} {r.value} is lower than last {before[r.quantity]}: reset, not a negative consumption"
        for d in said
        for r in d.readings
        if r.quantity in before
        and QUANTITIES.get(r.quantity) is not None
        and QUANTITIES[r.quantity].kind == "counter"
        and isinstance(r.value, int | float)
        and r.value < before[r.quantity]
    ]


def differences(said: Said, expect: Mapping[str, Any], more_warnings: Sequence[str] = ()) -> list[str]:
    """Every difference, in words; empty when `said` fulfils `expect`."""
    if isinstance(said, Reject):
        if expect.get("reject"):
            return []
        return [f"rejected: {said.reason} ({said.detail})"]
    if expect.get("reject"):
        return [f"accepted, expected to be rejected: {expect['reject']}"]
    found: list[str] = []
    for key, wanted in expect.items():
        check = _CHECKS.get(key, _said_of(key))
        if key == "warnings":
            found += _warnings(said, wanted, more_warnings)
        else:
            found += check(said, wanted)
    return found


def _readings(said: Sequence[Decoded]) -> list[Reading]:
    return [r for d in said for r in d.readings]


def _metrics(said: Sequence[Decoded], wanted: Mapping[str, Any]) -> list[str]:
    unknown = [name for d in said for name in d.unknown]
    shown = {name: value for name, value in wanted.items() if value is not None}
    missing = [name for name in wanted if name not in shown and name not in unknown]
    return _in_readings(_readings(said), shown) + [f"{name}: expected to be unknown" for name in missing]


def _in_readings(readings: Sequence[Reading], wanted: Mapping[str, Any]) -> list[str]:
    found = []
    for name, value in wanted.items():
        values = [r.value for r in readings if r.quantity == name]
        if not values:
            found.append(f"{name}: expected {value!r}, not there")
        elif not any(_same(value, v) for v in values):
            found.append(f"{name}: expected {value!r}, found {values[-1]!r}")
    return found


def _same(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, bool) or isinstance(found, bool):
        return wanted is found
    if isinstance(wanted, int | float) and isinstance(found, int | float):
        return isclose(wanted, found, rel_tol=1e-6, abs_tol=1e-12)
    return bool(wanted == found)


def _at_ms(iso: str) -> int:
    return (datetime.fromisoformat(iso) - _EPOCH) // timedelta(milliseconds=1)


def _ts(said: Sequence[Decoded], wanted: str | None) -> list[str]:
    times = [d.observed_at_ms for d in said]
    if wanted is None:
        given = [t for t in times if t is not None]
        given += [r.observed_at_ms for r in _readings(said) if r.observed_at_ms is not None]
        # A wall clock resolved in a zone that was given is a time of its own; the line only says what it is without one.
        if given and not any(d.ts_local for d in said):
            return [f"ts: expected the receive time, found {given[0]}"]
        return []
    if _at_ms(wanted) not in times:
        return [f"ts: expected {wanted} = {_at_ms(wanted)}, found {times}"]
    return []


def _device(said: Sequence[Decoded], wanted: str | None) -> list[str]:
    names = [d.device for d in said]
    if any(_is_device(wanted, name) for name in names):
        return []
    return [f"device: expected {wanted!r}, found {names}"]


def _is_device(wanted: str | None, name: str) -> bool:
    """Separators at the end are not part of a name: SenML base names end with them or not."""
    return (wanted or "").rstrip(_SEPARATORS) == name.rstrip(_SEPARATORS)


def _devices(said: Sequence[Decoded], wanted: Sequence[Mapping[str, Any]]) -> list[str]:
    found = []
    for one in wanted:
        match = [d for d in said if _is_device(one.get("device"), d.device)]
        if not match:
            found.append(f"device: expected {one.get('device')!r}, found {[d.device for d in said]}")
            continue
        inner = differences(match, {k: v for k, v in one.items() if k != "device"})
        found += [f"{one.get('device')}: {difference}" for difference in inner]
    return found


def _events(said: Sequence[Decoded], wanted: Sequence[Mapping[str, Any]]) -> list[str]:
    given = [event_json(e) for d in said for e in d.events]
    return [
        f"events: expected {one}, found {given}"
        for one in wanted
        if not any(all(k in e and _same(v, e[k]) for k, v in one.items()) for e in given)
    ]


def _availability(said: Sequence[Decoded], wanted: str) -> list[str]:
    states = ["online" if d.availability else "offline" for d in said if d.availability is not None]
    return [] if wanted in states else [f"availability: expected {wanted}, found {states}"]


def _history(said: Sequence[Decoded], wanted: Sequence[Mapping[str, Any]]) -> list[str]:
    points = [r for d in said for r in d.history]
    found = []
    for one in wanted:
        at_ms = _at_ms(one["ts"])
        found += [f"history {one['ts']}: {d}" for d in _in_readings(
            [r for r in points if r.observed_at_ms == at_ms], one["metrics"])]  # fmt: skip
    return found


def _records(said: Sequence[Decoded], wanted: Sequence[Mapping[str, Any]]) -> list[str]:
    given = _readings(said)

    def fits(one: Mapping[str, Any], r: Reading) -> bool:
        at_ms = _at_ms(one["ts"]) if one.get("ts") else None
        return (
            r.quantity == one["metric"]
            and _same(one.get("v"), r.value)
            and ("ts" not in one or r.observed_at_ms == at_ms)
            and ("unit" not in one or r.unit == one["unit"])
            and ("sum" not in one or (r.sum is not None and _same(one["sum"], r.sum)))
        )

    found = []
    for one in wanted:
        if "metrics" in one:
            at_ms = _at_ms(one["ts"]) if one.get("ts") else None
            found += _in_readings([r for r in given if "ts" not in one or r.observed_at_ms == at_ms], one["metrics"])
        elif not any(fits(one, r) for r in given):
            found.append(f"records: expected {dict(one)}, not among {[tuple(r) for r in given]}")
    return found


def _unknown(said: Sequence[Decoded], wanted: Sequence[str]) -> list[str]:
    given = [name for d in said for name in d.unknown]
    return [f"unknown: expected {name}, found {given}" for name in wanted if name not in given]


def _ignore(said: Sequence[Decoded], wanted: str) -> list[str]:
    if all(d.ignored for d in said):
        return []
    return [f"expected to be ignored ({wanted})"]


def _warnings(said: Sequence[Decoded], wanted: Sequence[str], more: Sequence[str]) -> list[str]:
    if not wanted or more or any(d.warnings for d in said):
        return []
    return [f"warnings: expected one such as {wanted[0]!r}, found none"]


def _info(said: Sequence[Decoded], wanted: Mapping[str, Any]) -> list[str]:
    given = dict(said[0].info or {})
    return [f"info.{k}: expected {v!r}, found {given.get(k)!r}" for k, v in wanted.items() if given.get(k) != v]


def _field(name: str, absent: Any) -> Callable[[Sequence[Decoded], Any], list[str]]:
    def check(said: Sequence[Decoded], wanted: Any) -> list[str]:
        given = [getattr(d, name) for d in said]
        wanted = absent if wanted is None else wanted
        return [] if any(_same(wanted, g) for g in given) else [f"{name}: expected {wanted!r}, found {given}"]

    return check


def _said_of(name: str) -> Callable[[Sequence[Decoded], Any], list[str]]:
    """What a dialect says beyond readings and events, each thing by its name: descriptions, aliases, ports …"""

    def check(said: Sequence[Decoded], wanted: Any) -> list[str]:
        given = [(d.info or {}).get(name) for d in said]
        return [] if any(_within(wanted, g) for g in given) else [f"{name}: expected {wanted!r}, found {given}"]

    return check


def _within(wanted: Any, found: Any) -> bool:
    """Whether all that is wanted is there; more may be."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(k in found and _within(v, found[k]) for k, v in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list | tuple) and all(any(_within(w, f) for f in found) for w in wanted)
    return _same(wanted, found)


def _nothing_to_check(said: Sequence[Decoded], wanted: Any) -> list[str]:
    """A remark for people: absent fields are unchanged in every dialect, as only what is there is decoded."""
    return []


_CHECKS: Mapping[str, Callable[[Sequence[Decoded], Any], list[str]]] = {
    "metrics": _metrics,
    "ts": _ts,
    "ts_local": _field("ts_local", ""),
    "device": _device,
    "devices": _devices,
    "events": _events,
    "availability": _availability,
    "cascade": _field("cascade", False),
    "history": _history,
    "records": _records,
    "unknown": _unknown,
    "ignore": _ignore,
    "reject": _nothing_to_check,  # null: not to be rejected, and it was not
    "warnings": _nothing_to_check,  # handled above: they may come from outside the codec
    "info": _info,
    "device_uid": _field("device_uid", ""),
    "dedupe_key": _field("dedupe_key", ""),
    "seq": _field("seq", None),
    "site": _field("site", ""),
    "gateway": _field("gateway", ""),
    "expected_interval_s": _field("expected_interval_s", None),
    "retained_state": _field("retained_state", False),
    "partial": _nothing_to_check,
    "requires": _nothing_to_check,  # a remark: what must have been heard before
    "parent": _field("gateway", ""),
    "note": _nothing_to_check,
}
