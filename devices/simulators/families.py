"""What each kind of device measures: one row per family, with the value at rest. A new kind of device is one entry here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hub.model.quantities import QUANTITIES, coded


@dataclass(frozen=True, slots=True)
class Signal:
    """One quantity of a family: `rest` is its calm value as a number, `spread` how much devices differ from each other."""

    quantity: str
    rest: float = 0.0
    spread: float = 0.0
    decimals: int = 2

    @property
    def slow(self) -> bool:
        """Whether it is a state that changes by edges (alarm, door, lock) and not a measurement."""
        return QUANTITIES[self.quantity].kind in ("switch", "state")


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of device. `interval_s` is its heartbeat when the registry gives none."""

    kind: str
    interval_s: float
    signals: tuple[Signal, ...]


def _word(quantity: str, word: str) -> Signal:
    number = coded(QUANTITIES[quantity], word)
    assert number is not None, f"{quantity} has no state {word}"
    return Signal(quantity, number)


_BATTERY = (Signal("battery_pct", 90.0, 6.0, 0), Signal("battery_low"))
_MAINS = (
    Signal("power_w", 0.0, 0.0, 1),
    Signal("current_a", 0.0, 0.0, 3),
    Signal("voltage_v", 226.0, 1.5, 1),
    Signal("energy_import_kwh", 1_200.0, 300.0, 3),
)

_TABLE: tuple[Family, ...] = (
    Family(
        "smoke_alarm",
        600.0,
        (
            Signal("smoke"),
            Signal("tamper"),
            *_BATTERY,
            Signal("smoke_density_db_m", 0.01, 0.004, 3),
            Signal("temperature_c", 24.0, 1.0, 1),
        ),
    ),
    Family("heat_detector", 600.0, (Signal("heat_alarm"), *_BATTERY, Signal("temperature_c", 24.0, 1.0, 1))),
    Family("co_alarm", 600.0, (Signal("co_alarm"), *_BATTERY, Signal("co_ppm", 1.0, 0.4, 1))),
    Family("gas_detector", 30.0, (Signal("gas_alarm"), Signal("fault"), Signal("gas_lel_pct", 0.6, 0.2, 2))),
    Family(
        "charging_cabinet",
        30.0,
        (
            Signal("smoke"),
            Signal("door_open"),
            Signal("water_leak"),
            Signal("temperature_c", 25.0, 1.0, 1),
            Signal("cell_temperature_c", 26.0, 1.0, 1),
            Signal("residual_current_ma", 4.0, 1.0, 1),
            *_MAINS,
        ),
    ),
    Family(
        "charging_socket",
        30.0,
        (
            _word("charger_state", "available"),
            Signal("relay_on"),
            *_MAINS,
            Signal("current_ratio", 0.0, 0.0, 3),
            Signal("session_energy_kwh", 0.0, 0.0, 3),
            Signal("session_duration_s", 0.0, 0.0, 0),
        ),
    ),
    Family("gate", 30.0, (_word("gate_state", "closed"), Signal("door_open"), Signal("forced_open"))),
    Family("door", 600.0, (Signal("door_open"), Signal("tamper"), *_BATTERY)),
    Family("lock", 600.0, (_word("lock_state", "locked"), Signal("tamper"), *_BATTERY)),
    Family("meter", 60.0, _MAINS),
    Family("water_leak", 600.0, (Signal("water_leak"), Signal("tamper"), *_BATTERY)),
    Family("water_pressure", 300.0, (Signal("water_pressure_kpa", 350.0, 12.0, 1), *_BATTERY)),
    Family("fire_lane_camera", 30.0, (Signal("lane_occupied"),)),
    Family("gateway", 30.0, (Signal("rssi_dbm", -62.0, 6.0, 0),)),
    Family(
        "env",
        120.0,
        (
            Signal("temperature_c", 22.0, 1.0, 1),
            Signal("humidity_pct", 60.0, 4.0, 1),
            Signal("illuminance_lx", 0.0, 0.0, 0),
        ),
    ),
    Family("siren", 30.0, (Signal("relay_on"), Signal("fault"))),
)

FAMILIES: Final[dict[str, Family]] = {family.kind: family for family in _TABLE}
"""Device kind → what it measures. Kinds that are not here (the hub itself, its canary) are not simulated."""
