"""The one table of quantities: each has one canonical unit, named in it. Codecs convert at the edge, nobody after them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

QuantityKind = Literal["gauge", "counter", "switch", "state"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """What a device can report. `low`/`high` are the plausible limits (inclusive) in `unit`.

    A switch is 0 or 1. A state is the index of its value in `states`. `alarm` names the alarm that a switch means when
    it is 1 (for events); a value of such a quantity may raise even when it arrives late.
    """

    name: str
    unit: str = ""
    kind: QuantityKind = "gauge"
    low: float = float("-inf")
    high: float = float("inf")
    states: tuple[str, ...] = ()
    alarm: str = ""
    code: int = -1


def _gauge(name: str, unit: str, low: float, high: float) -> Quantity:
    return Quantity(name=name, unit=unit, low=low, high=high)


def _counter(name: str, unit: str) -> Quantity:
    return Quantity(name=name, unit=unit, kind="counter", low=0.0, high=1e12)


def _switch(name: str, alarm: str = "") -> Quantity:
    return Quantity(name=name, kind="switch", low=0.0, high=1.0, alarm=alarm)


def _state(name: str, *states: str) -> Quantity:
    return Quantity(name=name, kind="state", low=0.0, high=float(len(states) - 1), states=states)


CHARGER_STATES: Final = (
    "available", "preparing", "charging", "suspended", "finished", "faulted", "unavailable",
)  # fmt: skip

_TABLE: tuple[Quantity, ...] = (
    # life safety
    _switch("smoke", "smoke"),
    _gauge("smoke_density", "", 0.0, 10_000.0),
    _gauge("smoke_density_db_m", "dB/m", 0.0, 20.0),
    _gauge("co_ppm", "ppm", 0.0, 10_000.0),
    _switch("co_alarm", "co"),
    _gauge("co2_ppm", "ppm", 0.0, 100_000.0),
    _switch("gas_alarm", "gas"),
    _gauge("gas_lel_pct", "%LEL", 0.0, 100.0),
    _switch("heat_alarm", "heat"),
    _switch("water_leak", "water_leak"),
    _switch("manual_call", "manual_call"),
    # the device itself
    _gauge("battery_pct", "%", 0.0, 100.0),
    _gauge("battery_v", "V", 0.0, 100.0),
    _switch("battery_low", "battery_low"),
    _switch("tamper", "tamper"),
    _switch("fault", "fault"),
    _switch("test"),
    _switch("mute"),
    _switch("online"),
    _switch("canary", "canary"),
    # climate
    _gauge("temperature_c", "°C", -60.0, 1_300.0),
    _gauge("humidity_pct", "%", 0.0, 100.0),
    _gauge("pressure_hpa", "hPa", 300.0, 1_200.0),
    _gauge("illuminance_lx", "lx", 0.0, 200_000.0),
    _switch("occupancy"),
    _switch("lane_occupied", "lane_occupied"),
    # electricity; _l1.._l3 phases, _ch1.._ch16 channels
    *(
        _gauge(f"{name}{suffix}", unit, low, high)
        for name, unit, low, high in (
            ("power_w", "W", -1e7, 1e7),
            ("current_a", "A", -5_000.0, 5_000.0),
            ("voltage_v", "V", -1_000.0, 50_000.0),
        )
        for suffix in ("", "_l1", "_l2", "_l3", *(f"_ch{n}" for n in range(1, 17)))
    ),
    _counter("energy_import_kwh", "kWh"),
    _counter("energy_export_kwh", "kWh"),
    _gauge("power_factor", "", -1.0, 1.0),
    _gauge("frequency_hz", "Hz", 0.0, 1_000.0),
    _gauge("residual_current_ma", "mA", 0.0, 100_000.0),
    _gauge("cable_temperature_c", "°C", -60.0, 1_300.0),
    _gauge("apparent_power_va", "VA", -1e7, 1e7),
    _gauge("reactive_power_var", "var", -1e7, 1e7),
    # switching and charging
    _switch("relay_on"),
    _state("charger_state", *CHARGER_STATES),
    _counter("session_energy_kwh", "kWh"),
    _counter("session_duration_s", "s"),
    _gauge("current_limit_a", "A", 0.0, 1_000.0),
    _gauge("soc_pct", "%", 0.0, 100.0),
    _gauge("cell_temperature_c", "°C", -60.0, 1_300.0),
    _gauge("current_ratio", "", -10.0, 100.0),
    # doors, gates, access
    _switch("door_open"),
    _state("lock_state", "locked", "unlocked", "unlocking", "locking", "jammed", "unknown"),
    _state("gate_state", "closed", "opening", "open", "closing", "stopped", "fault"),
    _state("access_result", "granted", "denied", "unknown"),
    _switch("forced_open", "forced_open"),
    # what a command asked the device for; said to it, not by it
    _switch("relay_wanted"),
    _state("lock_wanted", "locked", "unlocked"),
    _state("gate_wanted", "closed", "open"),
    # radio
    _gauge("rssi_dbm", "dBm", -200.0, 50.0),
    _gauge("snr_db", "dB", -50.0, 100.0),
    _gauge("linkquality", "", 0.0, 255.0),
    # water and gas
    _counter("water_m3", "m³"),
    _counter("gas_m3", "m³"),
    _gauge("water_pressure_kpa", "kPa", 0.0, 10_000.0),
    _gauge("water_level_m", "m", -10.0, 100.0),
    _gauge("flow_m3_h", "m³/h", -10_000.0, 10_000.0),
    # what the hub knows of its own work; see OWN
    _gauge("unattended_s", "s", 0.0, 1e9),
    _gauge("false_alarms_12m", "", 0.0, 1e6),
    _switch("fire_confirmed"),
    _switch("chattering"),
    _gauge("canary_missed", "", 0.0, 1e6),
    _switch("heartbeat", "heartbeat"),
    _gauge("channel_refusals", "", 0.0, 1e6),
    _gauge("unmanned_grids", "", 0.0, 1e6),
    _gauge("thin_stations", "", 0.0, 1e6),
    _gauge("duty_unanswered", "", 0.0, 1e6),
    _gauge("alarms_per_person_10min", "", 0.0, 1e6),
    _switch("command_failed"),
    _switch("flooding"),
)


def _numbered(table: tuple[Quantity, ...]) -> tuple[Quantity, ...]:
    return tuple(
        Quantity(
            name=q.name,
            unit=q.unit,
            kind=q.kind,
            low=q.low,
            high=q.high,
            states=q.states,
            alarm=q.alarm,
            code=n,
        )
        for n, q in enumerate(table)
    )


BY_CODE: Final[tuple[Quantity, ...]] = _numbered(_TABLE)
"""Quantities by their code. Codes are of this process only: what is stored carries the name."""

QUANTITIES: Final[dict[str, Quantity]] = {q.name: q for q in BY_CODE}
CODE: Final[dict[str, int]] = {q.name: q.code for q in BY_CODE}
WANTED: Final[dict[str, str]] = {"relay_on": "relay_wanted", "lock_state": "lock_wanted", "gate_state": "gate_wanted"}
"""What a command can set → the quantity that tells of it. Such a row is no sign of life: others said it to the device."""
OWN: Final[frozenset[str]] = frozenset({
    "unattended_s", "false_alarms_12m", "fire_confirmed", "chattering", "canary_missed", "channel_refusals", "unmanned_grids",
    "thin_stations", "duty_unanswered", "alarms_per_person_10min", "command_failed", "flooding",
})  # fmt: skip
"""Quantities that the hub alone says (hub/facts.py), of devices and of itself: no device may claim them."""

ALARM_QUANTITY: Final[dict[str, str]] = {q.alarm: q.name for q in BY_CODE if q.alarm}
"""Alarm name of a native event → the switch that it sets, e.g. gas → gas_alarm."""


def coded(quantity: Quantity, value: object) -> float | None:
    """`value` as the number that travels in a batch, or None when it is none of the quantity's values.

    A switch takes bool, 0 and 1; a state takes one of its words; a number must be finite. None is for the caller to flag.
    """
    if quantity.kind == "state":
        return float(quantity.states.index(value)) if isinstance(value, str) and value in quantity.states else None
    if isinstance(value, bool):
        return float(value) if quantity.kind == "switch" else None
    if isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:  # an integer of hundreds of digits
            return None
        if number != number or number in (float("inf"), float("-inf")):
            return None
        return None if quantity.kind == "switch" and number not in (0.0, 1.0) else number
    return None


def spoken(quantity: Quantity, number: float) -> float | bool | str | None:
    """The inverse of `coded`: bool for a switch, a word for a state, None for NaN (unknown)."""
    if number != number:
        return None
    if quantity.kind == "switch":
        return bool(number)
    if quantity.kind == "state":
        return quantity.states[int(number)] if 0 <= number < len(quantity.states) else None
    return number
