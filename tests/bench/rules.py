"""Microseconds per reading of the rules engine, by number of devices and rules. `python -m tests.bench.rules [--quick]`.

Three questions: what a batch of 8,192 readings costs under the shipped rules, whether that grows with the devices or with
rules that do not concern the readings, and how many readings a second a backtest with the shipped rules judges. Each figure is
the median of several batches of one process.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hub.documents import parse
from hub.model.places import Device, Name, Place
from hub.model.quantities import CODE
from hub.model.readings import ReadingBatch
from hub.registry.snapshot import Registry
from hub.rules.engine import Engine
from hub.rules.ruleset import RuleSet, load_rules, rules_of
from hub.rules.testing.backtest import Backtest

CONFIG = Path(__file__).parents[2] / "config"
START_MS = 1_704_067_200_000
BATCH = 8_192
ROUNDS = 15
_W = "{zh: 字, en: word}"
MIX: dict[str, tuple[float, dict[str, tuple[float, float]]]] = {
    # share of the devices; quantity → (mean, spread) of what they report
    "smoke_alarm": (0.55, {"smoke": (0, 0), "temperature_c": (22, 1), "battery_pct": (80, 5), "smoke_density_db_m": (0.02, 0.005)}),
    "charging_cabinet": (0.08, {"temperature_c": (28, 2), "power_w": (900, 50), "cell_temperature_c": (30, 2)}),
    "meter": (0.2, {"power_w": (400, 40), "voltage_v": (229, 2), "current_a": (2, 0.2), "energy_import_kwh": (900, 0)}),
    "door": (0.1, {"door_open": (0, 0)}),
    "water_leak": (0.05, {"water_leak": (0, 0), "battery_pct": (80, 5)}),
    "gate": (0.02, {"door_open": (0, 0), "lock_state": (0, 0)}),
}  # fmt: skip
GRIDS = 1_000


def registry_of(devices: int) -> Registry:
    """A place of `devices` in 1,000 grids."""
    name = Name(zh="字", en="word")
    places = [Place(code="440399001", level="street", name=name), Place(code="440399001001", level="community", name=name, parent="440399001")]  # fmt: skip
    codes = [f"440399001001{n:03d}" for n in range(GRIDS)]
    places += [Place(code=code, level="grid", name=name, parent="440399001001") for code in codes]
    shares = [(kind, share) for kind, (share, _) in MIX.items()]

    def each() -> Iterator[Device]:
        n = 0
        for kind, share in shares:
            for _ in range(round(devices * share)):
                grid = codes[n % GRIDS]
                yield Device(
                    slot=-1, id=f"d{n}", kind=kind, name=name, place=grid, grid=grid, addresses=(f"a:{n}",), supervision="nbiot"
                )  # fmt: skip
                n += 1

    return Registry.of(each(), places=places)


def batches(registry: Registry, number: int) -> list[ReadingBatch]:
    """Calm telemetry: each device reports all of its quantities, devices at random, each once in a batch."""
    rng = np.random.default_rng(1)
    found = []
    by_kind = {
        kind: np.flatnonzero(registry.kind == registry.kinds.index(kind)) for kind in MIX if kind in registry.kinds
    }
    for n in range(number):
        rows = []
        for kind, (share, quantities) in MIX.items():
            slots = by_kind[kind]
            want = min(len(slots), max(1, round(BATCH * share / 3)))
            for slot in rng.choice(slots, want, replace=False).tolist():
                for quantity, (mean, spread) in quantities.items():
                    rows.append((slot, quantity, mean + spread * rng.standard_normal()))
        at = START_MS + 1_000 * n
        rows = rows[:BATCH]
        found.append(ReadingBatch.of([(s, q, v, at, at, 0, n * BATCH + i) for i, (s, q, v) in enumerate(rows)]))
    return found


def made_up(number: int) -> RuleSet:
    """`number` threshold rules: ten for all devices of a kind, the others each for one quantity in one grid."""
    kinds = [(k, q, m + 8 * s + 20) for k, (_, qs) in MIX.items() for q, (m, s) in qs.items() if s]
    text = "rules:"
    for n in range(number):
        kind, quantity, limit = kinds[n % len(kinds)]
        grid = "" if n < 10 else f', place: "440399001001{n % GRIDS:03d}"'
        text += f"""
  - {{id: r{n}, kind: threshold, name: {_W}, on: {{device_kind: {kind}, quantity: {quantity}{grid}}}, when: {{above: {limit}, hold_s: 5}},
     severity: P2, cause: {_W}, consequence: {_W}, action: {_W}, respond_within_s: 60, responder: station, source: x, certainty: C}}"""
    document, complaints = parse(text, "bench.yaml")
    assert document is not None
    return rules_of([document], complaints)


def us_per_reading(rules: RuleSet, registry: Registry, load: list[ReadingBatch]) -> float:
    engine = Engine(rules, registry, start_ms=START_MS)
    spent = []
    for batch in load:
        began = time.process_time()
        engine.commit(engine.evaluate(batch))
        spent.append((time.process_time() - began) / len(batch) * 1e6)
    return round(statistics.median(spent[2:]), 3)


def minutes(registry: Registry, number: int) -> Iterator[ReadingBatch]:
    """So many minutes of calm telemetry: each device reports all of its quantities once a minute, in a second of its own."""
    rng = np.random.default_rng(1)
    rows: list[tuple[NDArray[Any], ...]] = []
    for kind, (_, quantities) in MIX.items():
        slots = np.flatnonzero(registry.kind == registry.kinds.index(kind))
        after = rng.integers(0, 60_000, len(slots))
        for quantity, told in quantities.items():
            rows.append((slots, after, *(np.full(len(slots), one) for one in (CODE[quantity], *told))))
    columns = [np.concatenate(column) for column in zip(*rows, strict=True)]
    order = np.argsort(columns[1], kind="stable")
    slot, after, code, mean, spread = (column[order] for column in columns)
    nowhere = np.full(len(slot), -1, np.int32)
    for n in range(number):
        value = mean + spread * rng.standard_normal(len(slot))
        at = START_MS + 60_000 * n + after
        whole = ReadingBatch(
            slot=slot.astype(np.int32),
            quantity=code.astype(np.int16),
            value=value,
            observed_at_ms=at,
            received_at_ms=at.copy(),
            quality=np.zeros(len(slot), np.uint16),
            position=np.zeros(len(slot), np.int64),
            grid=nowhere,
            building=nowhere,
        )
        for begin in range(0, len(slot), 65_536):
            yield whole.take(slice(begin, begin + 65_536))


def backtest_rate(rules: RuleSet, registry: Registry, number: int) -> float:
    """Millions of readings that a backtest judges in a second of one processor, once they are decoded: the ticks between them included.

    Two minutes go before, in which every device is heard for the first time.
    """
    backtest = Backtest(registry, rules, start_ms=START_MS, zone="Asia/Shanghai", judge_unheard=False)
    load = list(minutes(registry, number + 2))
    known = 0
    while known < len(load) and int(load[known].received_at_ms[0]) < START_MS + 120_000:
        backtest.run(load[known])
        known += 1
    before, began = backtest.readings, time.process_time()
    for batch in load[known:]:
        backtest.run(batch)
    return round((backtest.readings - before) / (time.process_time() - began) / 1e6, 3)


def main() -> None:
    quick = "--quick" in sys.argv
    shipped = load_rules(CONFIG / "rules")
    result: dict[str, object] = {"readings_per_batch": BATCH, "shipped_rules": len(shipped.rules)}
    by_rules: dict[str, dict[str, float]] = {}
    for devices in (1_000, 100_000) if quick else (1_000, 100_000, 1_000_000):
        began = time.monotonic()
        registry = registry_of(devices)
        load = batches(registry, ROUNDS)
        row = {"shipped": us_per_reading(shipped, registry, load)}
        for number in (10, 100, 1_000):
            row[str(number)] = us_per_reading(made_up(number), registry, load)
        by_rules[str(devices)] = row
        print(f"{devices} devices: {row} ({time.monotonic() - began:.0f} s)", file=sys.stderr, flush=True)
    result["us_per_reading"] = by_rules
    result["backtest_million_readings_per_s"] = {
        str(devices): statistics.median(backtest_rate(shipped, registry_of(devices), number) for _ in range(3))
        for devices, number in ((1_000, 60), (10_000, 20), (100_000, 3))
    }
    result["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps(result))


if __name__ == "__main__":
    main()
