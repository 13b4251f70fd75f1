"""Bytes that one more device costs: registry, rules' state and reader of a generated place. Run as a process of its own."""

from __future__ import annotations

import gc
import shutil
import sys
import tempfile
import tracemalloc
from pathlib import Path

from hub.ingest.reader import Reader
from hub.ingest.screen import Limits, Screen
from hub.registry.loader import load
from hub.rules.engine import Engine
from hub.rules.ruleset import load_rules
from tests.bench.load import START_MS, town_of
from tests.bench.stages import CONFIG, native_router


def bytes_per_device(devices: int) -> int:
    """Allocated bytes (Python and numpy) of everything that grows with the devices, divided by their number. What the same place
    costs without devices of its own (its grids, people and outlines, and the rules) is left out.

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
        empty = load(_without_devices(place))
        for_none = Engine(rules, empty, start_ms=START_MS)
        gc.collect()
        without, _ = tracemalloc.get_traced_memory()
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
        del for_none, empty
        return round((used - 2 * without) / len(registry))


def _without_devices(place: Path) -> Path:
    bare = place / "bare"
    shutil.copytree(place, bare)
    devices = bare / "devices.csv"
    head, *lines = devices.read_text("utf-8").splitlines()
    own = [line for line in lines if line.split(",")[0] in ("hub", "canary")]  # no place is without these
    devices.write_text("\n".join([head, *own, ""]), "utf-8")
    return bare


if __name__ == "__main__":
    print(bytes_per_device(int(sys.argv[1])))
