"""A simulated fleet, for `make bench-anomaly`: what the shipped rules that look for oddities find, and what they say on normal days.

The world is that of the simulators (calm_day), with weather on top; its columns go straight to the compiled rules, without MQTT.
Played are the rules of config/rules of the kinds deviation, flatline, rate_of_change and forecast, and `offline` by the engine.

Expected interval of detection, against three times of which each fault is measured:
  stuck    `for_s` of the flatline rule
  dropout  the silence that the supervision class of the device allows
  drift    the days after which a drift of known size makes a CUSUM of its own scale reach the limit, without any noise
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.simulators.behaviours.calm_day import CalmDay
from devices.simulators.families import FAMILIES
from devices.simulators.world import World
from hub.model.places import Device, Name
from hub.model.quantities import CODE, QUANTITIES
from hub.model.readings import ReadingBatch
from hub.registry.loader import load
from hub.rules.condition import ACTIVE, NEXT, PENDING
from hub.rules.engine import Engine
from hub.rules.kinds import KINDS
from hub.rules.kinds.kind import Compiled, Context, Look
from hub.rules.ruleset import Rule, RuleSet, load_rules

ROOT = Path(__file__).parents[2]
START_MS = 1_709_481_600_000  # Monday 2024-03-04, midnight in Shanghai
DAY_MS = 86_400_000
LEARNING_DAYS, DAYS = 14, 30
FLEET = {"smoke_alarm": 0.84, "water_pressure": 0.08, "env": 0.04, "charging_cabinet": 0.04}
EVERY_S = {"smoke_alarm": 600.0, "water_pressure": 300.0, "env": 600.0, "charging_cabinet": 300.0}
"""Families' own intervals, but for the mains powered ones, which are thinned so that six weeks pass in a minute."""
ODD = ("deviation", "flatline")
STEEP = ("rate_of_change", "forecast")
REFERENCE = {"rises": 4.0, "per": "min", "over_s": 120, "min_samples": 4}
"""A ramp rule to stand in while none is shipped; the report says so."""
Say = Callable[[str], None]
Column = NDArray[np.float64]


class Weather:
    """A few days warm, a few days cold, and a little warmer every week: the same for all that stand outside, half of it indoors."""

    def __init__(self, days: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.days = np.zeros(days + 2)
        for day in range(1, days + 2):
            self.days[day] = 0.7 * self.days[day - 1] + rng.normal(0, 2.0)
        self.days += 0.05 * np.arange(days + 2)

    def step(self, world: World, now_ms: int) -> None:
        at = (now_ms - START_MS) / DAY_MS
        warmer = float(np.interp(at, np.arange(len(self.days)), self.days))
        for kind, group in world.groups.items():
            if "temperature_c" in group.columns:
                group.columns["temperature_c"] += warmer * (0.5 if kind == "smoke_alarm" else 1.0)

    def finished(self, now_ms: int) -> bool:
        return False


class Mass:
    """Packs and cabinets warm up over a quarter of an hour, not at once as in the simulators when charging begins."""

    def __init__(self) -> None:
        self.was: dict[str, Column] = {}
        self.last_ms = 0

    def step(self, world: World, now_ms: int) -> None:
        part = 1.0 - np.exp(-(now_ms - self.last_ms) / 900_000)
        self.last_ms = now_ms
        group = world.groups.get("charging_cabinet")
        if group is None:
            return
        for quantity in ("temperature_c", "cell_temperature_c"):
            column = group.columns[quantity]
            was = self.was.setdefault(quantity, column.copy())
            was += part * (column - was)
            np.copyto(column, was)

    def finished(self, now_ms: int) -> bool:
        return False


def fleet(kind: str, devices: int, seed: int) -> World:
    members = [
        Device(
            slot=-1,
            id=f"{kind}-{n}",
            kind=kind,
            name=Name(zh=kind, en=kind),
            place="",
            grid="",
            addresses=(f"bench/{n}",),
            expected_interval_s=EVERY_S[kind],
        )
        for n in range(devices)
    ]
    return World(members, seed=seed)


class Watch:
    """One rule over the devices of a column: memory, the condition machine, and when each device was first raised."""

    def __init__(self, run: Compiled, devices: int) -> None:
        self.run = run
        self.memory = np.zeros(devices, run.memory)
        self.state = np.zeros(devices, np.uint8)
        self.since_ms = np.zeros(devices, np.int64)
        self.raised = 0
        self.first_ms = np.zeros(devices, np.int64)

    def see(self, quantity: str, value: Column, now_ms: int, *, counts: bool = True) -> None:
        at = np.full(len(value), now_ms, np.int64)
        assert self.run.judge is not None
        signal = self.run.judge(
            Look(quantity=np.full(len(value), CODE[quantity], np.int16), value=value, at_ms=at, observed_ms=at.copy()),
            self.memory,
        )
        before = self.state
        passed = now_ms - self.since_ms
        held = np.where(before == PENDING, passed >= self.run.hold_ms, self.run.hold_ms == 0)
        held = np.where(before >= ACTIVE, (before != ACTIVE) & (passed >= self.run.clear_hold_ms), held)
        held |= (before == ACTIVE) & (self.run.clear_hold_ms == 0)
        after = NEXT[before, signal, held.astype(np.intp)]
        self.since_ms = np.where(after != before, now_ms, self.since_ms)
        self.state = after
        if counts:
            raised = (before <= PENDING) & (after == ACTIVE)
            self.raised += int(raised.sum())
            self.first_ms[raised & (self.first_ms == 0)] = now_ms


def shipped(kinds: Sequence[str]) -> list[Rule]:
    return [rule for rule in load_rules(ROOT / "config" / "rules").rules if rule.spec.kind in kinds]


def watching(rules: Iterable[Rule], kind: str) -> list[Rule]:
    return [r for r in rules if kind in r.spec.device_kinds or "*" in r.spec.device_kinds]


def measured(world: World, kind: str, quantity: str) -> Column:
    """As the sensor says it: in steps of its own."""
    decimals = next(s.decimals for s in FAMILIES[kind].signals if s.quantity == quantity)
    values: Column = np.round(world.groups[kind].columns[quantity], decimals)
    return values


def normal_days(say: Say, devices: int) -> dict[str, Any]:
    """What the rules raise in a month of normal days, after two weeks in which they learn."""
    raised: dict[str, int] = {}
    device_months = 0.0
    for kind, part in FLEET.items():
        count = round(devices * part)
        world = fleet(kind, count, 1)
        rules = [r for r in watching(shipped(ODD + STEEP), kind) if r.spec.quantity in world.groups[kind].columns]
        watches = {rule.spec.id: (rule, Watch(rule.run, count)) for rule in rules}
        behaviours = [CalmDay(world, START_MS), Mass(), Weather(LEARNING_DAYS + DAYS, 7)]
        step_ms = int(EVERY_S[kind] * 1_000)
        rng = np.random.default_rng(3)
        told = time.monotonic()
        for now in range(START_MS + step_ms, START_MS + (LEARNING_DAYS + DAYS) * DAY_MS, step_ms):
            world.step(behaviours, now)
            _breathe(world, kind, rng)
            for rule, watch in watches.values():
                watch.see(
                    rule.spec.quantity,
                    measured(world, kind, rule.spec.quantity),
                    now,
                    counts=now >= START_MS + LEARNING_DAYS * DAY_MS,
                )
            if time.monotonic() - told > 3:
                told = time.monotonic()
                say(f"  normal days, {count} × {kind}: day {(now - START_MS) // DAY_MS} of {LEARNING_DAYS + DAYS}")
        for name, (_, watch) in watches.items():
            raised[name] = raised.get(name, 0) + watch.raised
        device_months += count * DAYS / 30
    odd = {rule.spec.id for rule in shipped(ODD)}
    advisories = sum(n for name, n in raised.items() if name in odd)
    return {
        "device_months": round(device_months),
        "advisories": advisories,
        "advisories_per_device_month": round(advisories / device_months, 4),
        "raised": raised,
    }


def _breathe(world: World, kind: str, rng: np.random.Generator) -> None:
    """Noise of the sensors themselves, which the simulators leave out where no rule minds it."""
    if kind == "smoke_alarm":
        column = world.groups[kind].columns["smoke_density_db_m"]
        np.copyto(column, np.maximum(column + rng.normal(0, 0.0015, len(column)), 0.0))


def stuck(say: Say, devices: int) -> dict[str, Any]:
    """Sensors that say the same from some moment on."""
    found: dict[str, Any] = {}
    for rule in shipped(("flatline",)):
        kind = next((k for k in rule.spec.device_kinds if k in EVERY_S), None)
        if kind is None or rule.spec.quantity not in fleet(kind, 1, 1).groups[kind].columns:
            continue
        for_ms = int(rule.spec.when.for_s * 1_000)
        world, watch, rng = fleet(kind, devices, 2), Watch(rule.run, devices), np.random.default_rng(4)
        behaviours = [CalmDay(world, START_MS), Mass(), Weather(60, 8)]
        step_ms = int(EVERY_S[kind] * 1_000)
        from_ms = START_MS + DAY_MS + rng.integers(0, DAY_MS, devices)
        frozen = np.full(devices, np.nan)
        for now in range(START_MS + step_ms, int(from_ms.max()) + 3 * for_ms + step_ms, step_ms):
            world.step(behaviours, now)
            value = measured(world, kind, rule.spec.quantity)
            frozen = np.where(np.isnan(frozen) & (now >= from_ms), value, frozen)
            watch.see(rule.spec.quantity, np.where(np.isnan(frozen), value, frozen), now)
        took = watch.first_ms - from_ms
        found[rule.spec.id] = _in_time(took, watch.first_ms > 0, np.full(devices, for_ms))
        say(f"  stuck: {rule.spec.id} {found[rule.spec.id]}")
    return found


def drift(say: Say, devices: int) -> dict[str, Any]:
    """Sensors that go off by half a standard deviation of their daily means, or a margin, more every day."""
    found: dict[str, Any] = {}
    for rule in shipped(("deviation",)):
        if rule.spec.when.method != "cusum":
            continue
        kind = next((k for k in rule.spec.device_kinds if k in EVERY_S), None)
        if kind is None or rule.spec.quantity not in fleet(kind, 1, 1).groups[kind].columns:
            continue
        world, watch, rng = fleet(kind, devices, 5), Watch(rule.run, devices), np.random.default_rng(6)
        assert rule.run.threshold is not None
        rate = 0.5
        days = drifting_days(rate, rule.run.threshold)
        behaviours = [CalmDay(world, START_MS), Mass(), Weather(LEARNING_DAYS + 3 * days + 3, 9)]
        step_ms = 4 * int(EVERY_S[kind] * 1_000)
        from_ms = START_MS + LEARNING_DAYS * DAY_MS + rng.integers(0, DAY_MS, devices)
        sign = rng.choice([-1.0, 1.0], devices)
        unit = np.zeros(devices)
        early = 0
        for now in range(START_MS + step_ms, START_MS + (LEARNING_DAYS + 3 * days + 2) * DAY_MS, step_ms):
            world.step(behaviours, now)
            _breathe(world, kind, rng)
            if now < START_MS + LEARNING_DAYS * DAY_MS:
                unit = np.maximum(1.25 * watch.memory["spread"], rule.spec.when.margin)
                early = watch.raised
            off = rate * unit * sign * np.maximum(now - from_ms, 0) / DAY_MS
            watch.see(rule.spec.quantity, measured(world, kind, rule.spec.quantity) + off, now)
        found[rule.spec.id] = _in_time(
            watch.first_ms - from_ms, watch.first_ms > from_ms, np.full(devices, days * DAY_MS)
        ) | {"expected_days": days, "raised_before_it_drifts": early}
        say(f"  drift: {rule.spec.id} {found[rule.spec.id]}")
    return found


def drifting_days(rate: float, limit: float) -> int:
    """Whole days until a CUSUM without noise reaches `limit`, when each day is off by `rate` scales more than the one before."""
    total, day = 0.0, 0
    while total < limit:
        day += 1
        total = max(0.0, total + rate * day - 0.5)
    return day + 1  # it is judged when the day is over


def _in_time(took_ms: NDArray[np.int64], detected: NDArray[np.bool_], expected_ms: NDArray[np.int64]) -> dict[str, Any]:
    ratio = took_ms / expected_ms
    return {
        "devices": len(took_ms),
        "within_3x_pct": round(100.0 * float((detected & (took_ms >= 0) & (ratio <= 3.0)).mean()), 2),
        "median_of_expected": round(float(np.median(ratio[detected])), 2) if detected.any() else None,
    }


def dropout(say: Say) -> dict[str, Any]:
    """Devices of the example place that fall silent, one reading after the other, found by the engine's own offline rules."""
    registry = load(ROOT / "config" / "registry")
    rules = load_rules(ROOT / "config" / "rules")
    offline = RuleSet(tuple(r for r in rules.rules if r.spec.kind == "offline"), rules.version)
    watched = {
        slot
        for slot in range(len(registry))
        if registry.silence_limit_ms[slot] > 0
        and any(
            registry.kinds[registry.kind[slot]] in r.spec.device_kinds or "*" in r.spec.device_kinds
            for r in offline.rules
            if r.spec.enabled
        )
    }
    slots = np.array(sorted(watched), np.int32)
    limit = registry.silence_limit_ms[slots]
    engine = Engine(offline, registry, start_ms=START_MS)
    rng = np.random.default_rng(10)
    last = START_MS + rng.integers(1_000, 60_000, len(slots))
    order = np.argsort(last, kind="stable")
    n = len(slots)
    batch = ReadingBatch(
        slot=slots[order],
        quantity=np.full(n, CODE["rssi_dbm"], np.int16),
        value=np.full(n, -60.0),
        observed_at_ms=last[order],
        received_at_ms=last[order],
        quality=np.zeros(n, np.uint16),
        position=np.arange(n, dtype=np.int64),
        grid=np.full(n, -1, np.int32),
        building=np.full(n, -1, np.int32),
    )
    engine.commit(engine.evaluate(batch))
    first: dict[int, int] = {}
    position = n
    for now in range(START_MS + 60_000, int((last + 3 * limit).max()) + 60_000, 30_000):
        position += 1
        ticked = engine.tick(now, position)
        for event in ticked.events:
            if event.kind == "raised":
                first.setdefault(event.slot, event.at_ms)
        engine.commit(ticked)
    raised = np.array([first.get(int(slot), 0) for slot in slots], np.int64)
    found = _in_time(raised - last, raised > 0, limit)
    say(f"  dropout: {found}")
    return found


def ramps(say: Say, devices: int) -> dict[str, Any]:
    """Battery packs of charging cabinets that warm up by 5 to 15 °C a minute, on top of an ordinary evening, reported every 30 s."""
    kind, quantity = "charging_cabinet", "cell_temperature_c"
    own = [r for r in watching(shipped((*STEEP, "deviation")), kind) if r.spec.quantity == quantity]
    names = [rule.spec.id for rule in own] or ["reference, none is shipped"]
    runs = [rule.run for rule in own]
    if not runs:
        model = KINDS["rate_of_change"]
        runs = [model.compile(model.When.model_validate(REFERENCE), QUANTITIES[quantity], Context())]
    world, rng = fleet(kind, devices, 11), np.random.default_rng(12)
    start = START_MS + 18 * 3_600_000
    behaviours = [CalmDay(world, start), Mass()]
    watches = [Watch(run, devices) for run in runs]
    rate = rng.uniform(5.0, 15.0, devices)
    from_ms = start + 3_600_000 + rng.integers(0, 600_000, devices)
    reached = np.zeros(devices, np.int64)
    for now in range(start + 30_000, start + 3_600_000 + 1_500_000, 30_000):
        world.step(behaviours, now)
        warm = rate * np.maximum(now - from_ms, 0) / 60_000
        true = world.groups[kind].columns[quantity] + warm
        reached[(true >= 60.0) & (reached == 0)] = now
        value = np.round(true + rng.normal(0, 0.1, devices), 1)
        for watch in watches:
            watch.see(quantity, value, now)
    first = np.min([np.where(w.first_ms > 0, w.first_ms, np.iinfo(np.int64).max) for w in watches], axis=0)
    hit = (first < reached) & (reached > 0) & (first > from_ms)
    found = {
        "rules": names,
        "ramps": devices,
        "flagged_before_60_c_pct": round(100.0 * float(hit.mean()), 2),
        "flagged_before_the_ramp": int((first <= from_ms).sum()),
        "median_s": round(float(np.median((first - from_ms)[hit]) / 1_000), 1) if hit.any() else None,
    }
    say(f"  ramps: {found}")
    return found


def report(say: Say, *, devices: int = 10_000) -> dict[str, Any]:
    few = max(200, devices // 10)
    return {
        "ramps": ramps(say, few),
        "stuck": stuck(say, few),
        "dropout": dropout(say),
        "drift": drift(say, few),
        "normal_days": normal_days(say, devices),
    }
