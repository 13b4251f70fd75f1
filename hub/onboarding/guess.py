"""What an unknown device most likely is, from what it says. A guess helps a person choose; nothing is decided by it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from hub.model.readings import Decoded
from hub.registry.kinds import DEVICE_KINDS

# The first row of which a quantity was said decides: what only one kind of device says comes before what many say.
_BY_QUANTITY: Final[tuple[tuple[str, frozenset[str]], ...]] = (
    ("charging_cabinet", frozenset({"charger_state", "cell_temperature_c", "soc_pct", "session_energy_kwh"})),
    ("co_alarm", frozenset({"co_alarm", "co_ppm"})),
    ("smoke_alarm", frozenset({"smoke", "smoke_density", "smoke_density_db_m"})),
    ("gas_detector", frozenset({"gas_alarm", "gas_lel_pct"})),
    ("heat_detector", frozenset({"heat_alarm"})),
    ("fire_lane_camera", frozenset({"lane_occupied"})),
    ("gate", frozenset({"gate_state"})),
    ("lock", frozenset({"lock_state"})),
    ("door", frozenset({"door_open", "forced_open", "access_result"})),
    ("water_leak", frozenset({"water_leak"})),
    ("water_pressure", frozenset({"water_pressure_kpa", "water_level_m"})),
    ("meter", frozenset({"energy_import_kwh", "energy_export_kwh", "power_w", "water_m3", "gas_m3", "flow_m3_h"})),
    ("charging_socket", frozenset({"relay_on"})),
    ("env", frozenset({"temperature_c", "humidity_pct", "co2_ppm", "pressure_hpa", "illuminance_lx"})),
)
_BY_WORD: Final = (
    ("smoke", "smoke_alarm"), ("yangan", "smoke_alarm"), ("烟感", "smoke_alarm"), ("fire", "smoke_alarm"),
    ("cabinet", "charging_cabinet"), ("充电柜", "charging_cabinet"), ("charg", "charging_socket"), ("充电", "charging_socket"),
    ("gateway", "gateway"), ("bridge", "gateway"), ("网关", "gateway"), ("gate", "gate"), ("闸", "gate"),
    ("lock", "lock"), ("锁", "lock"), ("door", "door"), ("门", "door"), ("gas", "gas_detector"), ("燃气", "gas_detector"),
    ("leak", "water_leak"), ("meter", "meter"), ("表", "meter"), ("cam", "fire_lane_camera"), ("siren", "siren"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """`kind` "" = no idea. `why` names what it rests on; `sure`: the device itself has said so."""

    kind: str = ""
    why: str = ""
    sure: bool = False
    interval_s: float | None = None
    model: str = ""


def guess(address: str, said: Iterable[Decoded]) -> Guess:
    """What `address` is, from its messages `said`."""
    names: set[str] = set()
    kind = model = ""
    interval_s: float | None = None
    presence = False
    for one in said:
        names.update(reading.quantity for reading in (*one.readings, *one.history))
        names.update(one.unknown)
        presence = presence or one.availability is not None
        interval_s = one.expected_interval_s or interval_s
        info = one.info or {}
        told = info.get("kind")
        kind = told if isinstance(told, str) and told in DEVICE_KINDS else kind
        model = str(info.get("model") or model)[:80]
    found = Guess(interval_s=interval_s, model=model if model.isprintable() else "")
    if kind:
        return _with(found, kind, "it says so itself", sure=True)
    for candidate, telling in _BY_QUANTITY:
        if hit := sorted(telling & names):
            return _with(found, candidate, f"it says {', '.join(hit[:3])}")
    lowered = address.lower()
    for word, candidate in _BY_WORD:
        if word in lowered:
            return _with(found, candidate, f"“{word}” in its address")
    if presence and not names:
        return _with(found, "gateway", "it says only whether it is there")
    return found


def _with(found: Guess, kind: str, why: str, *, sure: bool = False) -> Guess:
    return Guess(kind=kind, why=why, sure=sure, interval_s=found.interval_s, model=found.model)
