"""Bytes that one more device costs: registry, rules' state and reader of a generated place. Run as a process of its own."""

from __future__ import annotations

import gc
import sys
import tempfile
import tracemalloc
from pathlib import Path

from hub.ingest.reader import Reader
from hub.ingest.screen import Limits, Screen
from hub.registry.loader import load
from hub.registry.snapshot import Registry
from hub.rules.engine import Engine
from hub.rules.ruleset import load_rules
from tests.bench.load import START_MS, town_of
from tests.bench.stages import CONFIG, native_router


def bytes_per_device(devices: int) -> int:
    """Allocated bytes (Python and numpy) of everything that grows with the devices, divided by their number. What the rules cost
    for a place without devices is left out.

    Includes a first message of each native device, so that what is remembered per device and topic is there.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        town_of(place, devices)
        rules = load_rules(CONFIG / "rules")
        from tests.bench.load import native_topics, telemetry

        warm = load(place)  # what is loaded once and for all is not counted
        topics = native_topics(warm)
        del warm
        gc.collect()
        tracemalloc.start()
        for_none = Engine(rules, Registry.of(()), start_ms=START_MS)
        of_rules, _ = tracemalloc.get_traced_memory()
        registry = load(place)
        engine = Engine(rules, registry, start_ms=START_MS)
        router = native_router(registry)
        reader = Reader(router.decode, lambda: registry, Screen(Limits()), plain=router.plain)
        from hub.stores.journal import Record

        records = [
            Record(n, 0, START_MS + n, topic, payload, False)
            for n, (topic, payload) in enumerate(telemetry(topics, len(topics), at_ms=START_MS))
        ]
        for at in range(0, len(records), 1_000):
            for segment in reader.read(records[at : at + 1_000]):
                engine.commit(engine.evaluate(segment.batch))
        del records, segment
        gc.collect()
        used, _ = tracemalloc.get_traced_memory()
        del for_none
        return round((used - 2 * of_rules) / len(registry))


if __name__ == "__main__":
    print(bytes_per_device(int(sys.argv[1])))
