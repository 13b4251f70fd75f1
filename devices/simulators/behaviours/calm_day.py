"""An ordinary day: warm noons, evening charging, doors and gates at rush hours, meters that count. Nothing alarms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.simulators.behaviours.behaviour import BehaviourKind, Cue
from devices.simulators.world import Behaviour, Floats, Group, World
from hub.model.quantities import CHARGER_STATES, QUANTITIES

# Local hour → how much of the day's peak there is; linear in between.
_HOURS: Final = np.array([0, 2, 5, 7, 8.5, 10, 12, 14, 17, 18.5, 20, 22, 24], np.float64)
_COMING_AND_GOING: Final = np.array([0.05, 0.01, 0.05, 0.7, 1.0, 0.4, 0.6, 0.4, 0.8, 1.0, 0.6, 0.3, 0.05])
_AT_HOME: Final = np.array([0.3, 0.2, 0.2, 0.5, 0.4, 0.35, 0.5, 0.4, 0.6, 1.0, 1.0, 0.8, 0.3])
_PLUGGED_IN: Final = np.array([0.5, 0.35, 0.2, 0.15, 0.1, 0.1, 0.2, 0.2, 0.4, 0.8, 1.0, 0.9, 0.5])

AVAILABLE, CHARGING, FINISHED = (float(CHARGER_STATES.index(s)) for s in ("available", "charging", "finished"))
GATE_CLOSED, GATE_OPENING, GATE_OPEN, GATE_CLOSING = (
    float(QUANTITIES["gate_state"].states.index(s)) for s in ("closed", "opening", "open", "closing")
)
LOCKED, UNLOCKED = (float(QUANTITIES["lock_state"].states.index(s)) for s in ("locked", "unlocked"))

_LONGEST_STEP_S = 30.0  # after a gap (a paused simulation) counters do not leap
_SOCKET_RATED_A = 2.5
_SHUT_FOR_S = 10.0  # what has closed stays closed for a moment, so that two openings never look like a long one


def _of_day(curve: Floats, hour: float) -> float:
    return float(np.interp(hour, _HOURS, curve))


def warmth(hour: float) -> float:
    """−1 before sunrise … +1 in the early afternoon."""
    return float(np.sin(2 * np.pi * (hour - 8.5) / 24))


class _Openings:
    """Things that open now and then and close again by themselves, after `low_s`…`high_s`."""

    def __init__(self, n: int, per_hour: float, low_s: float, high_s: float) -> None:
        self.per_hour, self.low_s, self.high_s = per_hour, low_s, high_s
        self.opened_s = np.full(n, -1e9)
        self.closes_s = np.full(n, -1e9)

    def step(self, now_s: float, dt_s: float, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Which are open at `now_s`. None stays open longer than `high_s`, whatever the step width."""
        chance = 1.0 - np.exp(-self.per_hour * share * dt_s / 3_600)
        n = len(self.closes_s)
        open_now: NDArray[np.bool_] = self.closes_s > now_s
        opens = (now_s - self.closes_s >= _SHUT_FOR_S) & (rng.random(n) < chance)
        self.opened_s[opens] = now_s
        self.closes_s[opens] = now_s + rng.uniform(self.low_s, self.high_s, n)[opens]
        open_now |= opens
        return open_now


class _Sessions:
    """Charging sessions of a bank of sockets: free → charging (constant current, then less) → finished → free."""

    def __init__(self, n: int, hour: float, rng: np.random.Generator) -> None:
        self.state = np.where(rng.random(n) < 0.6 * _of_day(_PLUGGED_IN, hour), CHARGING, AVAILABLE)
        self.needs_s = rng.uniform(2, 6, n) * 3_600
        self.peak_w = rng.uniform(120, 420, n)
        self.age_s = rng.random(n) * self.needs_s
        self.energy_kwh = self.peak_w * self.age_s / 3.6e6 * 0.85
        self.waits_s = np.zeros(n)

    def step(self, dt_s: float, share: float, rng: np.random.Generator) -> Floats:
        """Power drawn by each socket, W."""
        n = len(self.state)
        draws = rng.random((3, n))
        starts = (self.state == AVAILABLE) & (draws[0] < 1.0 - np.exp(-0.5 * share * dt_s / 3_600))
        self.state[starts] = CHARGING
        self.needs_s[starts] = 7_200 + draws[1][starts] * 14_400
        self.peak_w[starts] = 120 + draws[2][starts] * 300
        self.age_s[starts] = self.energy_kwh[starts] = 0.0
        charging = self.state == CHARGING
        self.age_s[charging] += dt_s
        done = charging & (self.age_s >= self.needs_s)
        self.state[done] = FINISHED
        self.waits_s[done] = 600 + draws[1][done] * 7_200
        finished = self.state == FINISHED
        self.waits_s[finished] -= dt_s
        self.state[finished & (self.waits_s <= 0)] = AVAILABLE
        taper = np.clip((self.needs_s - self.age_s) / (0.25 * self.needs_s), 0.08, 1.0)
        power = np.where(self.state == CHARGING, self.peak_w * taper, 0.0)
        self.energy_kwh += power * dt_s / 3.6e6
        return power


class CalmDay:
    """Writes every family's values for the time of day; each family has its own random numbers."""

    def __init__(self, world: World, start_ms: int) -> None:
        self._last_ms = start_ms
        self._rng = {kind: world.rng(f"calm_day/{kind}") for kind in world.groups}
        self._wander = {kind: np.zeros(len(group)) for kind, group in world.groups.items()}
        self._counted = {kind: np.zeros(len(group)) for kind, group in world.groups.items()}
        hour = world.hour(start_ms)
        self._sessions = {
            kind: _Sessions(len(group), hour, self._rng[kind])
            for kind, group in world.groups.items()
            if kind in ("charging_socket", "charging_cabinet")
        }
        limits = {"door": (6.0, 5, 25), "gate": (20.0, 10, 25), "lock": (2.0, 8, 20), "fire_lane_camera": (0.5, 20, 90)}
        self._openings = {
            kind: _Openings(len(world.groups[kind]), *how) for kind, how in limits.items() if kind in world.groups
        }

    def finished(self, now_ms: int) -> bool:
        return False

    def step(self, world: World, now_ms: int) -> None:
        dt_s = min(max(now_ms - self._last_ms, 0) / 1_000, _LONGEST_STEP_S)
        self._last_ms = now_ms
        hour = world.hour(now_ms)
        for kind, group in world.groups.items():
            rng = self._rng[kind]
            # A slow wander around the curve: each step forgets a little and adds a little, whatever the step width.
            keep = np.exp(-dt_s / 900)
            wander = self._wander[kind] = self._wander[kind] * keep + rng.normal(
                0, np.sqrt(1 - keep * keep), len(group)
            )
            write = _WRITERS.get(kind)
            if write is not None:
                write(self, group, hour, now_ms / 1_000, dt_s, np.clip(wander, -2.5, 2.5))

    def opened(self, kind: str, now_s: float, dt_s: float, hour: float) -> NDArray[np.bool_]:
        return self._openings[kind].step(now_s, dt_s, _of_day(_COMING_AND_GOING, hour), self._rng[kind])

    def sessions(self, kind: str, hour: float, dt_s: float) -> tuple[_Sessions, Floats]:
        sessions = self._sessions[kind]
        return sessions, sessions.step(dt_s, _of_day(_PLUGGED_IN, hour), self._rng[kind])

    def draw(self, group: Group, power_w: Floats, wander: Floats, dt_s: float) -> None:
        """Writes a mains connection that draws `power_w`: voltage sags a little, current follows, energy counts up."""
        counted = self._counted[group.family.kind]
        counted += power_w * dt_s / 3.6e6
        group.columns["power_w"][:] = power_w
        group.columns["voltage_v"] += wander - power_w / 5_000
        group.columns["current_a"][:] = power_w / group.columns["voltage_v"]
        group.columns["energy_import_kwh"] += counted


Writer = Callable[[CalmDay, Group, float, float, float, Floats], None]


def _indoors(day: CalmDay, group: Group, hour: float, now_s: float, dt_s: float, wander: Floats) -> None:
    group.columns["temperature_c"] += 1.8 * warmth(hour) + 0.4 * wander
    if "smoke_density_db_m" in group.columns:
        group.columns["smoke_density_db_m"][:] = np.abs(group.columns["smoke_density_db_m"] + 0.004 * wander)


def _outdoors(day: CalmDay, group: Group, hour: float, now_s: float, dt_s: float, wander: Floats) -> None:
    group.columns["temperature_c"] += 5.5 * warmth(hour) + 0.6 * wander
    group.columns["humidity_pct"][:] = np.clip(group.columns["humidity_pct"] - 14 * warmth(hour) + 2 * wander, 15, 98)
    sun = max(0.0, float(np.sin(np.pi * (hour - 6) / 12.5)))
    group.columns["illuminance_lx"][:] = np.maximum(0.0, 40_000 * sun * (1 + 0.15 * wander) + 2)


def _co(day: CalmDay, group: Group, hour: float, now_s: float, dt_s: float, wander: Floats) -> None:
    group.columns["co_ppm"][:] = np.abs(group.columns["co_ppm"] + 0.5 * wander + 1.2 * _of_day(_AT_HOME, hour))


def _gas(day: CalmDay, group: Group, hour: float, now_s: float, dt_s: float, wander: Floats) -> None:
    group.columns["gas_lel_pct"][:] = np.abs(group.columns["gas_lel_pct"] + 0.2 * wander)


def _socket(day: CalmDay, group: Group, hour: float, now_s: float, dt_s: float, wander: Floats) -> None:
    sessions, power = day.sessions("charging_socket", hour, dt_s)
    day.draw(group, power, wander, dt_s)
    columns = group.columns
    columns["charger_state"][:] = sessions.state
    columns["relay_on"][:] = sessions.state == CHARGING
    columns["current_ratio"][:] = columns["current_a"] / _SOCKET_RATED_A
    columns["session_energy_kwh"][:] = np.where(sessions.state == AVAILABLE, 0.0, sessions.energy_kwh)
    columns["session_duration_s"][:] = np.where(sessions.state == AVAILABLE, 0.0, sessions.age_s)


def _cabinet(day: CalmDay, group: Group, hour: float, now_s: float, dt_s: float, wander: Floats) -> None:
    _, power = day.sessions("charging_cabinet", hour, dt_s)
    power = power * 6 + 35  # six bays that share one rhythm, and the cabinet's own fans and screen
    day.draw(group, power, wander, dt_s)
    columns = group.columns
    columns["temperature_c"] += 4 * warmth(hour) + power / 400 + 0.3 * wander
    columns["cell_temperature_c"] += 3 * warmth(hour) + power / 250 + 0.4 * wander
    columns["residual_current_ma"][:] = np.abs(columns["residual_current_ma"] + wander + power / 600)


def _meter(day: CalmDay, group: Group, hour: float, now_s: float, dt_s: float, wander: Floats) -> None:
    power = 180 + 2_600 * _of_day(_AT_HOME, hour) * (1 + 0.25 * wander)
    day.draw(group, np.maximum(power, 60.0), wander, dt_s)


def _pressure(day: CalmDay, group: Group, hour: float, now_s: float, dt_s: float, wander: Floats) -> None:
    group.columns["water_pressure_kpa"] += 6 * wander - 25 * _of_day(_AT_HOME, hour)


def _door(day: CalmDay, group: Group, hour: float, now_s: float, dt_s: float, wander: Floats) -> None:
    group.columns["door_open"][:] = day.opened("door", now_s, dt_s, hour)


def _gate(day: CalmDay, group: Group, hour: float, now_s: float, dt_s: float, wander: Floats) -> None:
    is_open = day.opened("gate", now_s, dt_s, hour)
    openings = day._openings["gate"]
    state = np.where(is_open, GATE_OPEN, GATE_CLOSED)
    state[is_open & (now_s - openings.opened_s < 3)] = GATE_OPENING
    state[is_open & (openings.closes_s - now_s <= 3)] = GATE_CLOSING
    group.columns["gate_state"][:] = state
    group.columns["door_open"][:] = is_open


def _lock(day: CalmDay, group: Group, hour: float, now_s: float, dt_s: float, wander: Floats) -> None:
    group.columns["lock_state"][:] = np.where(day.opened("lock", now_s, dt_s, hour), UNLOCKED, LOCKED)


def _lane(day: CalmDay, group: Group, hour: float, now_s: float, dt_s: float, wander: Floats) -> None:
    group.columns["lane_occupied"][:] = day.opened("fire_lane_camera", now_s, dt_s, hour)


def _radio(day: CalmDay, group: Group, hour: float, now_s: float, dt_s: float, wander: Floats) -> None:
    group.columns["rssi_dbm"] += 2 * wander


_WRITERS: Final[dict[str, Writer]] = {
    "smoke_alarm": _indoors,
    "heat_detector": _indoors,
    "env": _outdoors,
    "co_alarm": _co,
    "gas_detector": _gas,
    "charging_socket": _socket,
    "charging_cabinet": _cabinet,
    "meter": _meter,
    "water_pressure": _pressure,
    "door": _door,
    "gate": _gate,
    "lock": _lock,
    "fire_lane_camera": _lane,
    "gateway": _radio,
}
"""Kind → who writes it. Kinds that are not here stay at rest all day: a siren is silent, a leak sensor dry."""


def _make(world: World, start_ms: int, cue: Cue) -> Behaviour:
    return CalmDay(world, start_ms)


BEHAVIOUR = BehaviourKind(
    name="calm_day", summary="an ordinary day of every family; nothing alarms, nothing ends", make=_make
)
