"""A calm day alarms nobody, and looks like a day."""

from __future__ import annotations

import numpy as np

from devices.simulators.behaviours import BEHAVIOURS, Cue
from hub.model.quantities import QUANTITIES
from tests.support.simulated import NOON_MS, a_world

DAY_MS = 86_400_000


def a_day(step_s: int, *, hours: float = 24.0):
    world = a_world(seed=3)
    calm = BEHAVIOURS["calm_day"].make(world, NOON_MS, Cue())
    for now_ms in range(NOON_MS, NOON_MS + int(hours * 3_600_000), step_s * 1_000):
        edges = world.step([calm], now_ms)
        yield now_ms, world, edges


def test_no_alarm_of_any_kind_in_a_day():
    alarming = {q.name for q in QUANTITIES.values() if q.alarm} - {"lane_occupied"}
    for now_ms, world, _ in a_day(60):
        for group in world.groups.values():
            for quantity in alarming & group.columns.keys():
                assert not group.columns[quantity].any(), (quantity, now_ms)


def test_measurements_stay_below_what_rules_call_too_much():
    most: dict[str, float] = {}
    for _, world, _ in a_day(120):
        for kind, group in world.groups.items():
            for quantity, column in group.columns.items():
                key = f"{kind}.{quantity}"
                most[key] = max(most.get(key, -np.inf), float(column.max()))
    limits = {
        "charging_cabinet.temperature_c": 50,
        "charging_cabinet.cell_temperature_c": 50,
        "charging_cabinet.residual_current_ma": 20,
        "charging_socket.current_ratio": 1.0,
        "heat_detector.temperature_c": 45,
        "gas_detector.gas_lel_pct": 5,
        "co_alarm.co_ppm": 10,
        "smoke_alarm.smoke_density_db_m": 0.05,
    }
    for key, limit in limits.items():
        assert most[key] < limit, (key, most[key])
    assert most["charging_socket.power_w"] > 100


LONGEST_OPEN_S = {
    ("door", "door_open"): 26,
    ("gate", "door_open"): 26,
    ("lock", "lock_state"): 21,
    ("fire_lane_camera", "lane_occupied"): 91,
}


def test_nothing_stays_open_long_but_everything_opens_sometimes():
    since: dict = {}
    opened: dict = {}
    for now_ms, world, _ in a_day(1, hours=3):
        for (kind, quantity), longest_s in LONGEST_OPEN_S.items():
            is_open = world.groups[kind].columns[quantity] != 0
            began = since.get(kind, np.full(len(is_open), np.nan))
            since[kind] = np.where(is_open, np.where(np.isnan(began), now_ms / 1_000, began), np.nan)
            opened[kind] = opened.get(kind, 0) + int(is_open.sum())
            assert not (now_ms / 1_000 - since[kind] > longest_s).any(), kind
    assert all(opened.values()), opened


def test_counters_never_go_back():
    before: dict[str, np.ndarray] = {}
    for _, world, _ in a_day(300):
        for kind, group in world.groups.items():
            if "energy_import_kwh" in group.columns:
                now = group.columns["energy_import_kwh"].copy()
                assert (now >= before.get(kind, now)).all()
                before[kind] = now
    assert before


def test_noon_is_warmer_than_night():
    warmth = {now_ms: float(world.groups["env"].columns["temperature_c"].mean()) for now_ms, world, _ in a_day(600)}
    assert warmth[NOON_MS + 2 * 3_600_000] > warmth[NOON_MS + 15 * 3_600_000] + 5


def test_a_pause_does_not_make_counters_leap():
    world = a_world()
    calm = BEHAVIOURS["calm_day"].make(world, NOON_MS, Cue())
    world.step([calm], NOON_MS)
    before = world.get("meter-1", "energy_import_kwh")
    world.step([calm], NOON_MS + DAY_MS)
    assert world.get("meter-1", "energy_import_kwh") - before < 0.1
