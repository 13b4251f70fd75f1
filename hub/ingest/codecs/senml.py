"""SenML JSON (RFC 8428, units of RFC 8798): base fields resolved, relative times made absolute, units turned into quantities."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from hub.ingest.codecs.context import CodecContext
from hub.ingest.findings import Findings
from hub.ingest.instants import instant
from hub.ingest.payload import Malformed, parse_object
from hub.ingest.topics import Filter
from hub.ingest.values import named, quantity_for_unit, short, unit_of
from hub.model.quantities import QUANTITIES
from hub.model.readings import Decoded, Reject

NAME: Final = "senml"
ABSOLUTE_FROM_S: Final = 2**28  # RFC 8428 4.5.3: smaller times are relative to now
EARLIEST_MS: Final = 1_262_304_000_000  # 2010-01-01: the RFC's own examples are of that year
_VERSIONS: Final = frozenset((*range(1, 11), 26))  # RFC 8428, and with the secondary units of RFC 8798
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-:./_]*\Z")
_SEPARATORS: Final = ":;/_.-# "
_SUFFIX: Final = re.compile(r"[_\-](l[123]|ch(?:1[0-6]|[1-9]))\Z", re.IGNORECASE)
_KNOWN: Final = frozenset(("bn", "bt", "bu", "bv", "bs", "bver", "n", "u", "v", "vs", "vb", "vd", "s", "t", "ut"))

# Units of the registries (RFC 8428 12.1, RFC 8798); others are understood, with a warning.
_REGISTERED: Final = frozenset(
    ["m", "kg", "g", "s", "A", "K", "cd", "mol", "Hz", "rad", "sr", "N", "Pa", "J", "W", "C", "V", "F", "Ohm", "S", "Wb", "T", "H", "Cel", "lm", "lx", "Bq", "Gy", "Sv", "kat", "m2", "m3", "l", "m/s", "m/s2", "m3/s", "l/s", "W/m2", "cd/m2", "bit", "bit/s", "lat", "lon", "pH", "dB", "dBW", "Bspl", "count", "/", "%", "%RH", "%EL", "EL", "1/s", "1/min", "beat/min", "beats", "S/m", "B", "VA", "VAs", "var", "vars", "J/m", "kg/m3", "deg", "NTU", "ms", "min", "h", "MHz", "kW", "kVA", "kvar", "Ah", "Wh", "kWh", "varh", "kvarh", "kVAh", "Wh/km", "KiB", "GB", "Mbit/s", "B/s", "MB/s", "mV", "mA", "dBm", "ug/m3", "mm/h", "m/h", "ppm", "/100", "/1000", "hPa", "mm", "cm", "km", "km/h", "ppb", "ppt", "VAh", "mg/l", "ug/l", "g/l", "gn"]
)  # fmt: skip


@dataclass(slots=True)
class Record:
    """One resolved record: `base` + `name` is its full name; `value` None when it carries only a sum."""

    base: str
    name: str
    unit: str
    value: float | int | bool | str | None
    at_ms: int | None
    sum: float | None = None

    def put(self, metric: str, findings: Findings, *, exact: bool = False) -> None:
        """Adds the record to `findings` under the quantity that its name or unit means.

        `exact`: the name belongs to the native contract, so only canonical names and units count, no common names.
        """
        quantity, stated = self._quantity(metric, exact)
        before = len(findings.readings)
        if not quantity:
            if self.value is None and self.sum is None:
                return
            findings.keep(
                metric or "value", self.sum if self.value is None else self.value, self.at_ms, 0, unit=self.unit
            )
        else:
            if self.unit and self.unit not in _REGISTERED:
                findings.warnings.append(f"unit {short(self.unit)} is not a SenML unit")
            findings.take(quantity, self.value, self.at_ms, 0, unit=self.unit or stated, key=metric or quantity)
        if self.sum is not None and len(findings.readings) > before:
            findings.readings[-1] = findings.readings[-1]._replace(sum=self.sum)

    def _quantity(self, metric: str, exact: bool) -> tuple[str, str]:
        if metric in QUANTITIES:
            return metric, ""
        if self.unit and not isinstance(self.value, bool | str):
            stem = _SUFFIX.sub("", metric)
            found = quantity_for_unit(self.unit, stem)
            suffixed = f"{found}{metric[len(stem) :].replace('-', '_').lower()}"
            found = suffixed if suffixed in QUANTITIES else found
            # A name that says more than its unit wins, if the unit fits: "cable_temp" in Cel, "residual" in mA.
            by_name = named(metric)
            if by_name and (unit := unit_of(self.unit)) and QUANTITIES[by_name[0]].unit == unit[0]:
                return by_name
            return found, ""
        # A number without unit keeps its own name: guessing °C for "temp" could be guessing °F.
        if not exact and isinstance(self.value, bool | str) and (by_name := named(metric)):
            return by_name if QUANTITIES[by_name[0]].kind in ("switch", "state") else ("", "")
        return "", ""


def resolve(body: Any, received_at_ms: int, warnings: list[str]) -> list[Record] | str:
    """The records of a SenML pack, resolved; or why it is none. Old forms ({"e": [...]}, a lone record) are taken with a warning."""
    pack = _pack(body, warnings)
    if isinstance(pack, str):
        return pack
    base: dict[str, Any] = {"bn": "", "bt": 0, "bu": "", "bv": None, "bs": None}
    found: list[Record] = []
    for n, entry in enumerate(pack):
        if not isinstance(entry, dict):
            return f"record {n} is no object"
        for key, value in entry.items():
            if key in base:
                if not isinstance(value, str if key in ("bn", "bu") else (int, float)) or isinstance(value, bool):
                    return f"record {n}: {key} is {short(value)}"
                base[key] = value
            elif key == "bver":
                if isinstance(value, bool) or value not in _VERSIONS:
                    return f"record {n}: version {short(value)} is not understood"
            elif key not in _KNOWN and key.endswith("_"):
                return f"record {n}: field {short(key)} must be understood, and is not"
        record = _record(entry, base, received_at_ms, warnings, n)
        if isinstance(record, str):
            return record
        if record is not None:
            found.append(record)
    # RFC 8428 4.6: resolved records are in chronological order; those without a time count as now.
    found.sort(key=lambda r: received_at_ms if r.at_ms is None else r.at_ms)
    return found


def _pack(body: Any, warnings: list[str]) -> list[Any] | str:
    if isinstance(body, dict):
        if isinstance(body.get("e"), list):
            warnings.append("old SenML form with e: not RFC 8428")
            base = {k: v for k, v in body.items() if k in ("bn", "bt", "bu")}
            records = [dict(entry) if isinstance(entry, dict) else entry for entry in body["e"]]
            for entry in records:
                if isinstance(entry, dict) and "sv" in entry:
                    entry["vs"] = entry.pop("sv")
                if isinstance(entry, dict) and "bv" in entry:
                    entry["vb"] = entry.pop("bv")
            return [base, *records] if base else records
        if _KNOWN & body.keys():
            warnings.append("a lone SenML record, not in a list")
            return [body]
    if not isinstance(body, list) or not body:
        return "a SenML pack is a list of records"
    return body


def _record(
    entry: dict[str, Any], base: dict[str, Any], received_at_ms: int, warnings: list[str], n: int
) -> Record | str | None:
    given: list[str] = [key for key in ("v", "vs", "vb", "vd") if key in entry]
    if len(given) > 1:
        return f"record {n} has {' and '.join(given)}"
    for key, kinds in (("n", str), ("u", str), ("t", (int, float)), ("s", (int, float, type(None)))):
        if key in entry and (not isinstance(entry[key], kinds) or isinstance(entry[key], bool)):
            return f"record {n}: {key} is {short(entry[key])}"
    name = entry.get("n", "")
    total = entry.get("s")
    if base["bs"] is not None or total is not None:
        total = (total or 0) + (base["bs"] or 0)
    value = _value(entry, given, base["bv"], n)
    if isinstance(value, _Bad):
        return value.why
    if not given and base["bv"] is None and total is None:
        if entry.keys() - base.keys() - {"bver"}:
            return f"record {n} has no value"
        return None  # base fields only: legal, speaks for the records after it
    full = base["bn"] + name
    if not full:
        return f"record {n} has no name"
    if not _NAME.match(full):
        warnings.append(f"name {short(full)} has characters that SenML does not allow")
    if given == ["vd"]:
        warnings.append(f"{short(full)}: binary value left out")
        return None
    at_ms = _time(base["bt"] + entry.get("t", 0), received_at_ms, warnings)
    return Record(base["bn"], name, entry.get("u", base["bu"]), value, at_ms, None if total is None else float(total))


class _Bad:
    def __init__(self, why: str) -> None:
        self.why = why


def _value(entry: dict[str, Any], given: list[str], base: float | int | None, n: int) -> Any:
    if not given:
        return base
    value = entry[given[0]]
    if given == ["v"]:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return _Bad(f"record {n}: v is {short(value)}, not a number")
        try:
            return value + (base or 0)
        except OverflowError:
            return _Bad(f"record {n}: v is {short(value)}, too large")
    if given == ["vb"] and not isinstance(value, bool):
        return _Bad(f"record {n}: vb is {short(value)}")
    if given in (["vs"], ["vd"]) and not isinstance(value, str):
        return _Bad(f"record {n}: {given[0]} is {short(value)}")
    return value


def _time(seconds: float | int, received_at_ms: int, warnings: list[str]) -> int | None:
    if seconds != seconds or abs(seconds) > 1e12:
        warnings.append("time is out of range")
        return None
    if seconds >= ABSOLUTE_FROM_S:
        found = instant(float(seconds), received_at_ms, earliest_ms=EARLIEST_MS)
        if found.warning:
            warnings.append(found.warning)
        return found.at_ms
    if seconds == 0:
        return None
    if seconds > 0:
        warnings.append(f"relative time {seconds} s is in the future")
        return None
    return received_at_ms + round(seconds * 1_000)


class SenmlCodec:
    """Decodes SenML packs on any topic below `root`. The device is in the name, not in the topic."""

    name = NAME

    def __init__(self, root: str, context: CodecContext | None = None) -> None:
        self.root = root
        self._context = context or CodecContext()

    def decode(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool
    ) -> tuple[Decoded, ...] | Reject:
        if not payload.strip():
            return (Decoded(codec=NAME, address="", device="", ignored="retained clear"),)
        parsed = parse_object(payload)
        if isinstance(parsed, Malformed):
            return Reject(codec=NAME, reason=parsed.reason, detail=parsed.detail)
        warnings = list(parsed.warnings)
        records = resolve(parsed.value, received_at_ms, warnings)
        if isinstance(records, str):
            return Reject(codec=NAME, reason="bad SenML", detail=records)
        update = _update_time(parsed.value)
        several = len(records) > 1
        devices: dict[str, tuple[str, Findings]] = {}
        for record in records:
            device, metric = device_and_metric(record, several, topic, self.root)
            key = device.rstrip(_SEPARATORS) or device
            _, findings = devices.setdefault(key, (device, Findings()))
            record.put(metric, findings)
        if not devices:
            return (Decoded(codec=NAME, address="", device="", ignored="no values", warnings=tuple(warnings)),)
        return tuple(self._said(key, device, findings, warnings, update) for key, (device, findings) in devices.items())

    def _said(self, key: str, device: str, findings: Findings, warnings: list[str], update: float | None) -> Decoded:
        findings.name_alarms()
        times = [r.observed_at_ms for r in findings.readings if r.observed_at_ms is not None]
        return Decoded(
            codec=NAME,
            address=f"{NAME}:{key}",
            device=device,
            readings=tuple(findings.readings),
            events=tuple(findings.events),
            unknown=tuple(findings.unknown),
            expected_interval_s=update,
            observed_at_ms=max(times, default=None),
            warnings=tuple(dict.fromkeys((*warnings, *findings.warnings))),
        )


def _update_time(body: Any) -> float | None:
    """The longest update time of the pack: the next message is due within it."""
    entries = body if isinstance(body, list) else [body]
    times = [e["ut"] for e in entries if isinstance(e, dict) and isinstance(e.get("ut"), int | float)]
    return max((t for t in times if not isinstance(t, bool) and 0 < t < 31_536_000), default=None)


def device_and_metric(record: Record, several: bool, topic: str, root: str) -> tuple[str, str]:
    """Splits a full name. RFC 8428 knows names only; by custom the base name is the device and the rest the metric.

    The address drops separators at the end of the device, so that "dev:" and "dev;" are "dev". `device` shows a base name
    that several records share as it was written, up to the ";" of old packs.
    """
    if record.base and record.name:
        if named(record.name.strip(_SEPARATORS)) is None and record.base[-1] not in _SEPARATORS:
            # "urn:dev:x:te" + "mp" is legal too: when the base does not end a word, look at the whole name.
            whole = _split(record.base + record.name)
            if whole is not None and not whole[0].startswith(record.base):
                return whole
        device = record.base.rstrip(";/ ") if several else record.base.rstrip(_SEPARATORS)
        return device or record.base, record.name.strip(_SEPARATORS) or record.name
    full = record.base or record.name
    split = _split(full)
    if split is not None:
        return split
    if named(full) is not None:
        # a bare metric: the device can only be in the topic
        levels = [level for level in topic[len(root) :].split("/") if level]
        device = levels[-2] if len(levels) > 1 else levels[0] if levels else root.rsplit("/", 1)[-1]
        return device, full
    return full.rstrip(_SEPARATORS) or full, ""


def _split(full: str) -> tuple[str, str] | None:
    """Device and metric of a whole name, when its last part is a name of a quantity."""
    for at in (n for n, c in enumerate(full) if c in ":;/." and 0 < n < len(full) - 1):
        if named(full[at + 1 :]) is not None:
            return full[:at], full[at + 1 :]
    return None


def filters(root: str) -> tuple[Filter, ...]:
    return (Filter(f"{root}/#"),)


def root_of(topic: str) -> str:
    """The first level of the topic."""
    return topic.split("/", 1)[0]
