"""What a codec has understood of one device so far; shared by the careful (not the fast) paths of all dialects."""

from __future__ import annotations

from typing import Any

from hub.ingest.values import Verdict, canonical, is_suspect, short
from hub.model.quantities import QUANTITIES
from hub.model.readings import Event, Quality, Reading

_CLOCK = int(Quality.CLOCK)
_SUSPECT = int(Quality.SUSPECT)
_TEST = int(Quality.TEST)


class Findings:
    """Collects readings, unknown quantities, events and warnings of one device in one message."""

    __slots__ = ("events", "readings", "unknown", "warnings")

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self.unknown: list[str] = []
        self.events: list[Event] = []
        self.warnings: list[str] = []

    def take(
        self, quantity: str, value: Any, at_ms: int | None, quality: int, *, unit: str = "", key: str = ""
    ) -> None:
        """Adds `value` as canonical `quantity`, or as unknown. An unclear alarm value is shown as an event of its own."""
        known = QUANTITIES[quantity]
        key = key or quantity
        found = canonical(known, value, unit, key, self.warnings)
        if found is Verdict.UNCLEAR or found is Verdict.UNFIT or found is None:
            if quantity not in self.unknown:
                self.unknown.append(quantity)
            if found is Verdict.UNCLEAR and known.alarm:
                self.events.append(Event("alarm_unclear", known.alarm, None, None, {"key": key, "value": short(value)}))
            return
        if is_suspect(quantity, found):
            quality |= _SUSPECT
            self.warnings.append(f"{key}: {found} can be an error value of the sensor: kept and flagged as suspect")
        if at_ms is None:
            quality |= _CLOCK
        self.readings.append(Reading(quantity, found, at_ms, quality))

    def keep(self, name: str, value: Any, at_ms: int | None, quality: int, *, unit: str = "") -> bool:
        """Adds a value that the hub has no quantity for under its own name; False when it is no plain value."""
        if value is None:
            self.unknown.append(name[:100])
            return True
        if not isinstance(value, bool | int | float | str):
            return False
        if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
            self.unknown.append(name[:100])
            return True
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            self.warnings.append(f"{name[:40]}: integer beyond 64 bits")
            if abs(value) > 10**300:
                self.unknown.append(name[:100])
                return True
            value = float(value)
        if at_ms is None:
            quality |= _CLOCK
        self.readings.append(Reading(name[:100], value, at_ms, quality, unit[:40]))
        return True

    def name_alarms(self) -> None:
        """Adds an event for each alarm that is on, and one for a test; alarms of a message with test:true are test alarms."""
        test = next((r.value for r in self.readings if r.quantity == "test"), None)
        tested = False
        for n, reading in enumerate(self.readings):
            known = QUANTITIES.get(reading.quantity)
            if known is None or not known.alarm or reading.value is not True:
                continue
            if test is True:
                self.readings[n] = reading._replace(quality=reading.quality | _TEST)
                tested = True
            if known.alarm in EDGE_ALARMS:
                self.events.append(Event("alarm", known.alarm, True, None if test is None else bool(test)))
        if test is True and not tested:
            alarm = next((QUANTITIES[r.quantity].alarm for r in self.readings if r.quantity in LIFE_SAFETY), "")
            self.events.append(Event("test", alarm, None, True))

    def mark_tested(self) -> None:
        """Marks the alarms of a message whose device says that it is being tested; its other readings are as real as ever."""
        for n, reading in enumerate(self.readings):
            known = QUANTITIES.get(reading.quantity)
            if known is not None and known.alarm:
                self.readings[n] = reading._replace(quality=reading.quality | _TEST)


LIFE_SAFETY = frozenset(("smoke", "gas_alarm", "co_alarm", "heat_alarm", "water_leak", "manual_call"))
"""Switches whose test button a `test` in the same message means."""
EDGE_ALARMS = frozenset(
    ("smoke", "gas", "co", "heat", "water_leak", "manual_call", "tamper", "forced_open", "lane_occupied")
)
"""Alarms that a message with level values names as an event when they are on."""
