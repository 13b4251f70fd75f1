"""The example place under the shipped rules: what a simulated town says goes through codecs, screen and engine, without a broker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from devices.simulators.behaviours import BEHAVIOURS, Cue
from devices.simulators.fleet import Fleet
from devices.simulators.world import World
from hub.ingest.codecs import CodecContext
from hub.ingest.reader import Reader
from hub.ingest.router import Router, Source
from hub.ingest.screen import Limits, Screen
from hub.model.rules import ConditionEvent
from hub.registry.loader import load
from hub.rules.engine import Engine
from hub.rules.ruleset import load_rules
from hub.stores.journal import MESSAGE, TICK, Record

CONFIG = Path(__file__).resolve().parents[2] / "config"
SOURCES = (("native-v1", "sc/v1"), ("zigbee2mqtt", "zigbee2mqtt"))


def told(
    behaviours: Sequence[tuple[str, Cue]], *, start_ms: int, hours: float, step_s: int = 1, seed: int = 1
) -> list[ConditionEvent]:
    """What the shipped rules tell of the example place while these behaviours go on; a tick each `step_s`."""
    registry = load(CONFIG / "registry")
    world = World(registry.devices(), places=registry.places.values(), seed=seed)
    happening = [BEHAVIOURS[name].make(world, start_ms, cue) for name, cue in behaviours]
    fleet = Fleet(world, happening, start_ms=start_ms, roots=SOURCES, step_ms=step_s * 1_000)
    router = Router(
        [Source(codec=codec, root=root) for codec, root in SOURCES],
        CodecContext(known=lambda address: address in registry.slot_of_address),
    )
    reader = Reader(router.decode, lambda: registry, Screen(Limits()), plain=router.plain)
    engine = Engine(load_rules(CONFIG / "rules"), registry, start_ms=start_ms)
    events: list[ConditionEvent] = []
    records: list[Record] = []
    position = 0

    def say(kind: int, at_ms: int, topic: str = "", payload: bytes = b"") -> None:
        nonlocal position
        records.append(Record(position, kind, at_ms, topic, payload, False))
        position += 1

    def judge() -> None:
        for segment in reader.read(records):
            assert segment.quarantine == ()
            found = engine.evaluate(segment.batch)
            events.extend(found.events)
            engine.commit(found)
            if segment.tick_ms is not None:
                found = engine.tick(segment.tick_ms, segment.next)
                events.extend(found.events)
                engine.commit(found)
        records.clear()

    for message in fleet.greet(start_ms):
        say(MESSAGE, start_ms, message.topic, message.payload)
    for now_ms in range(start_ms, start_ms + int(hours * 3_600_000), step_s * 1_000):
        for message in fleet.advance(now_ms):
            say(MESSAGE, now_ms, message.topic, message.payload)
        say(TICK, now_ms)
        if len(records) > 2_000:
            judge()
    judge()
    return events


def raised(events: Sequence[ConditionEvent]) -> Counter[tuple[str, str]]:
    """How often each rule was raised, with its severity."""
    return Counter((event.rule.severity, event.rule.id) for event in events if event.kind == "raised")
