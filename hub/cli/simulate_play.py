"""Plays a simulated place through codecs, screen and rules on a clock of its own: no broker, no waiting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from devices.simulators.behaviours import BEHAVIOURS, Cue
from devices.simulators.fleet import Fleet
from devices.simulators.scenefile import Expectation, Scene
from devices.simulators.world import World
from hub.ingest.codecs import CodecContext
from hub.ingest.reader import Reader
from hub.ingest.router import Router, Source
from hub.ingest.screen import Limits, Screen
from hub.model.rules import ConditionEvent
from hub.registry.snapshot import Registry
from hub.rules.engine import Engine
from hub.rules.ruleset import RuleSet
from hub.stores.journal import MESSAGE, TICK, Record

_TOGETHER = 2_000  # records that are judged at once


@dataclass(slots=True)
class Played:
    """What came of it: the events of the rules, how many messages were sent, and why some could not be used."""

    events: list[ConditionEvent] = field(default_factory=list)
    messages: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    said: list[str] = field(default_factory=list)


def play(
    registry: Registry,
    rules: RuleSet,
    behaviours: Sequence[tuple[str, Cue]],
    *,
    sources: Sequence[tuple[str, str]],
    start_ms: int,
    lasts_s: float,
    step_s: float = 1.0,
    seed: int = 1,
    zone: str = "",
    takes_part: Callable[[str], bool] = lambda device_id: True,
    on_step: Callable[[float], None] = lambda elapsed_s: None,
) -> Played:
    """What `rules` say of the place while `behaviours` go on; the hub's time ticks every `step_s`. `on_step` hears how far it is."""
    members = [device for device in registry.devices() if takes_part(device.id)]
    world = World(members, places=registry.places.values(), seed=seed)
    happening = [BEHAVIOURS[name].make(world, start_ms, cue) for name, cue in behaviours]
    step_ms = max(1, int(step_s * 1_000))
    fleet = Fleet(world, happening, start_ms=start_ms, roots=sources, step_ms=step_ms)
    context = CodecContext(zone=zone, known=lambda address: address in registry.slot_of_address)
    router = Router([Source(codec=codec, root=root) for codec, root in sources], context)
    reader = Reader(router.decode, lambda: registry, Screen(Limits()), plain=router.plain)
    engine = Engine(rules, registry, start_ms=start_ms)
    played = Played()
    records: list[Record] = []
    for record in _records(fleet, start_ms, lasts_s, step_ms):
        records.append(record)
        played.messages += record.kind == MESSAGE
        if record.kind == TICK:
            played.said += world.said()
            if len(records) >= _TOGETHER:
                _judge(reader, engine, records, played)
                on_step((record.at_ms - start_ms) / 1_000)
    _judge(reader, engine, records, played)
    # Of the others nothing was heard, and rules about silence say so.
    played.events = [event for event in played.events if takes_part(event.device)]
    return played


def _records(fleet: Fleet, start_ms: int, lasts_s: float, step_ms: int) -> Iterator[Record]:
    position = 0
    for message in fleet.greet(start_ms):
        yield Record(position, MESSAGE, start_ms, message.topic, message.payload, False)
        position += 1
    for now_ms in range(start_ms, start_ms + int(lasts_s * 1_000), step_ms):
        for message in fleet.advance(now_ms):
            yield Record(position, MESSAGE, now_ms, message.topic, message.payload, False)
            position += 1
        yield Record(position, TICK, now_ms, "", b"", False)
        position += 1


def _judge(reader: Reader, engine: Engine, records: list[Record], played: Played) -> None:
    for segment in reader.read(records):
        played.quarantined.update(rejected.reason for rejected in segment.quarantine)
        found = engine.evaluate(segment.batch)
        played.events += found.events
        engine.commit(found)
        if segment.tick_ms is not None:
            found = engine.tick(segment.tick_ms, segment.next)
            played.events += found.events
            engine.commit(found)
    records.clear()


def played_scene(
    scene: Scene,
    registry: Registry,
    rules: RuleSet,
    sources: Sequence[tuple[str, str]],
    zone: str = "",
    on_step: Callable[[float], None] = lambda elapsed_s: None,
) -> Played:
    """As `play`, of a scene."""
    return play(
        registry,
        rules,
        [(one.behaviour, one.cue) for one in scene.happens],
        sources=sources,
        start_ms=scene.start_ms,
        lasts_s=scene.lasts,
        step_s=scene.step,
        seed=scene.seed,
        zone=zone,
        takes_part=scene.takes_part,
        on_step=on_step,
    )


def differences(scene: Scene, played: Played) -> list[str]:
    """What did not come as the scene expects it, a sentence each."""
    raised = [event for event in played.events if event.kind == "raised"]
    wrong: list[str] = []
    for expected in scene.expect:
        wrong += _difference(scene, expected, raised, played.events)
    for rule in scene.silent:
        n = sum(event.rule.id == rule for event in raised)
        if n:
            wrong.append(f"{rule} was raised {n} times and should be silent")
    if scene.only:
        wanted = {expected.rule for expected in scene.expect}
        others = Counter(f"{e.rule.id} of {e.device}" for e in raised if e.rule.id not in wanted)
        wrong += [f"{what} was raised {n} times and is not expected" for what, n in sorted(others.items())]
    if scene.quarantine and not played.quarantined:
        wrong.append("nothing landed in the quarantine")
    if played.quarantined and not scene.quarantine:
        wrong.append("in the quarantine: " + ", ".join(f"{n}× {why}" for why, n in played.quarantined.items()))
    return wrong


def _difference(
    scene: Scene, expected: Expectation, raised: Sequence[ConditionEvent], events: Sequence[ConditionEvent]
) -> Iterator[str]:
    mine = [e for e in raised if e.rule.id == expected.rule and expected.device in ("", e.device)]
    who = f"{expected.rule} of {expected.device}" if expected.device else expected.rule
    if not mine:
        yield f"{who} was not raised"
        return
    if expected.count is not None and len(mine) != expected.count:
        yield f"{who} was raised {len(mine)} times instead of {expected.count}"
    if expected.severity is not None and mine[0].rule.severity != expected.severity:
        yield f"{who} is {mine[0].rule.severity} instead of {expected.severity}"
    if expected.after is not None:
        after_s = (mine[0].at_ms - scene.start_ms) / 1_000
        if abs(after_s - expected.after) > expected.within:
            yield f"{who} was raised after {after_s:.0f} s instead of {expected.after:.0f} s (± {expected.within:.0f} s)"
    if expected.ends is not None:
        ended = {e.alert_id for e in events if e.kind in ("cleared", "withdrawn")}
        if any((e.alert_id in ended) != expected.ends for e in mine):
            yield f"{who} {'is not over at the end' if expected.ends else 'is over at the end'}"
