"""What one message says of one device, on its way to a `Decoded`; for all codecs but the quickest paths."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

from hub.ingest.findings import Findings
from hub.ingest.instants import ABSENT, EARLIEST_MS, Instant, instant
from hub.ingest.values import Verdict, canonical, named, short
from hub.model.quantities import ALARM_QUANTITY, QUANTITIES
from hub.model.readings import Decoded, Event, Quality, Reading

_HISTORY: Final = int(Quality.HISTORY)
_CLOCK: Final = int(Quality.CLOCK)
_TEST: Final = int(Quality.TEST)
_MOST_WARNINGS: Final = 50
_PART: Final = re.compile(r"_(?:ch|l)?\d+\Z")  # one of several alike
_BARE: Final = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?\Z")


@lru_cache(maxsize=4_096)
def base_of(name: str) -> str:
    """The quantity that `name` is a variety of (`energy_import_kwh_l1` → `energy_import_kwh`), or ""."""
    stem = name
    while stem:
        known = QUANTITIES.get(stem)
        if known is not None:
            return stem if stem == name or known.kind in ("gauge", "counter") or _PART.match(name, len(stem)) else ""
        stem = stem.rpartition("_")[0]
    return ""


class Saying:
    """Collects what is understood of one device in one message. Times given as `at` are the message's unless said otherwise."""

    __slots__ = ("address", "at", "codec", "device", "fields", "findings", "past", "received_at_ms", "zone")

    def __init__(self, codec: str, identity: str, device: str, received_at_ms: int, zone: str = "") -> None:
        self.codec, self.address, self.device = codec, f"{codec}:{identity}", device
        self.received_at_ms, self.zone = received_at_ms, zone
        self.findings = Findings()
        self.past: list[Reading] = []
        self.at: Instant = ABSENT
        self.fields: dict[str, Any] = {}

    def warn(self, text: str) -> None:
        if len(self.findings.warnings) < _MOST_WARNINGS:
            self.findings.warnings.append(text)

    def time(self, value: Any, *, earliest_ms: int = EARLIEST_MS) -> Instant:
        """`value` as the time of the message."""
        self.at = self.instant(value, earliest_ms=earliest_ms)
        return self.at

    def instant(self, value: Any, *, earliest_ms: int = EARLIEST_MS) -> Instant:
        """`value` as a time; what is wrong with it becomes a warning."""
        found = instant(value, self.received_at_ms, self.zone, earliest_ms=earliest_ms)
        if found.warning:
            self.warn(found.warning)
        return found

    def put(self, name: str, value: Any, *, unit: str = "", key: str = "", at_ms: int | None = None) -> None:
        """Adds `value` under `name`: a quantity, a variety of one, or a name that the hub only reports."""
        at_ms = self.at.at_ms if at_ms is None else at_ms
        if name in QUANTITIES:
            self.findings.take(name, value, at_ms, 0, unit=unit, key=key)
            return
        base = base_of(name)
        if base and QUANTITIES[base].kind != "state":
            found = canonical(QUANTITIES[base], value, unit, key or name, self.findings.warnings)
            if isinstance(found, Verdict):
                found = None
            self.findings.keep(name, found, at_ms, 0)
        elif not self.findings.keep(name, value, at_ms, 0, unit=unit):
            self.warn(f"{short(key or name)} is no plain value: left out")

    def put_named(self, key: str, value: Any, *, unit: str = "", at_ms: int | None = None) -> None:
        """Adds `value` under the quantity that the common name `key` means, or else under `key` itself."""
        known = named(key)
        if known is None or (isinstance(value, str) and _is_other(known[0], value)):
            if isinstance(value, str) and _BARE.match(value) and len(value) < 32:
                value = float(value) if any(c in value for c in ".eE") else int(value)
            if isinstance(value, bool | int | float | str):
                self.findings.keep(key, value, self.at.at_ms if at_ms is None else at_ms, 0, unit=unit)
            elif value is None:
                self.unknown(key)
            return
        quantity, stated = known
        if quantity == "power_w" and isinstance(value, bool):
            quantity = "relay_on"
        self.put(quantity, value, unit=unit or stated, key=key, at_ms=at_ms)

    def unknown(self, *names: str) -> None:
        for name in names:
            if name not in self.findings.unknown:
                self.findings.unknown.append(name[:100])

    def event(
        self,
        kind: str,
        detail: Mapping[str, Any] | None = None,
        *,
        alarm: str = "",
        active: bool | None = None,
        test: bool | None = None,
    ) -> None:
        kept = {k: v for k, v in (detail or {}).items() if v is not None}
        self.findings.events.append(Event(kind[:64], alarm, active, test, kept or None))

    def alarm(
        self, alarm: str, active: bool | None, detail: Mapping[str, Any] | None = None, *, test: bool | None = None
    ) -> None:
        """An alarm that the message names: its switch, where the hub has one, and the event."""
        name = ALARM_QUANTITY.get(alarm) or (alarm if alarm in QUANTITIES else "")
        if name and active is not None:
            quality = (_CLOCK if self.at.at_ms is None else 0) | (_TEST if test else 0)
            self.findings.readings.append(Reading(name, active, self.at.at_ms, quality))
        self.event("alarm", detail, alarm=QUANTITIES[name].alarm if name else alarm, active=active, test=test)

    def to_history(self) -> None:
        """Everything found so far was filled in later: it is stored, not judged."""
        for reading in self.findings.readings:
            if reading.observed_at_ms is None:
                self.warn(f"back-filled {reading.quantity} without a usable time: left out")
            else:
                self.past.append(reading._replace(quality=reading.quality | _HISTORY))
        self.findings.readings, self.findings.events, self.findings.unknown = [], [], []

    @property
    def empty(self) -> bool:
        """Whether nothing was understood."""
        found = self.findings
        return not (found.readings or found.unknown or found.events or self.past or self.fields)

    def decoded(self, *, name_alarms: bool = True, **more: Any) -> Decoded:
        """All of it. `name_alarms`: an event for each alarm that is on."""
        findings = self.findings
        if name_alarms:
            _name_alarms(findings)
        at = self.at
        at_ms = at.at_ms
        if at_ms is None and not at.warning and not at.local:  # a value can carry the time instead of the message
            at_ms = max((r.observed_at_ms for r in findings.readings if r.observed_at_ms), default=None)
        return Decoded(
            codec=self.codec,
            address=self.address,
            device=self.device,
            readings=tuple(findings.readings),
            history=tuple(sorted(self.past, key=_observed)),
            events=tuple(findings.events),
            unknown=tuple(findings.unknown),
            observed_at_ms=at_ms,
            ts_local=at.local,
            warnings=tuple(dict.fromkeys(findings.warnings)),
            **self.fields,
            **more,
        )


def _name_alarms(findings: Findings) -> None:
    """As `Findings.name_alarms`, but for alarms that have no event yet."""
    before = len(findings.events)
    named_already = {event.alarm for event in findings.events if event.alarm}
    findings.name_alarms()
    if named_already:
        findings.events[before:] = [e for e in findings.events[before:] if e.alarm not in named_already]


def _observed(reading: Reading) -> int:
    return reading.observed_at_ms or 0


def _is_other(quantity: str, value: str) -> bool:
    """Whether a word cannot be a value of a measured quantity (`Power: "on"`)."""
    if QUANTITIES[quantity].kind in ("switch", "state"):
        return False
    return not any(c.isdigit() for c in value) and value.strip().lower() not in (
        "",
        "nan",
        "null",
        "n/a",
        "none",
        "unknown",
    )


def masked(value: str) -> str:
    """Stands for a plate, a card, a face or a name: the same each time, and not to be turned back by reading it."""
    return "#" + sha256(value.encode("utf-8", "replace")).hexdigest()[:12] if value else ""
