"""Many devices behind few nodes: decides who speaks when, and turns the world into messages. No sockets, no clock."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from devices.simulators.publisher import Message
from devices.simulators.speakers import speakers, spoken_address
from devices.simulators.speaking import Node, Speaker, Spoken, Value
from devices.simulators.world import Behaviour, Carrier, Edge, Group, World
from hub.model.quantities import QUANTITIES

ATTENTION_INTERVAL_MS = 5_000
"""How often a device reports while a behaviour says that it is in alarm."""
_LONGEST_ARREARS_MS = 2_000


@dataclass(slots=True)
class _Lane:
    """One node, its speaker and its devices."""

    node: Node
    speaker: Speaker
    devices: list[Spoken] = field(default_factory=list)
    next_beat_ms: int = 0
    dark: bool = False


@dataclass(slots=True)
class _Schedule:
    """When each device of a group reports next; devices that no speaker can speak for never do."""

    spoken: list[Spoken | None]
    interval_ms: Any
    next_ms: Any
    fast: tuple[str, ...]
    slow: tuple[str, ...]


class Fleet:
    """Speaks for every device of `world`. The same world, seed and times give the same messages, byte for byte.

    Times are of the world (`now_ms`); `stamp_ms` is what messages carry, which differs when the world runs faster than
    the clock. `rate` scales all heartbeats so that about so many messages a second (of the world) come out.
    """

    def __init__(
        self,
        world: World,
        behaviours: Sequence[Behaviour],
        *,
        start_ms: int,
        roots: Iterable[tuple[str, str]] = (),
        rate: float | None = None,
        step_ms: int = 1_000,
        beat_ms: int = 30_000,
    ) -> None:
        self.world = world
        self.behaviours = list(behaviours)
        self.step_ms = step_ms
        self.beat_ms = beat_ms
        self.unspoken: list[str] = []
        self.skipped = 0
        self._known = speakers(roots)
        self._lanes: dict[str, _Lane] = {}
        self._boot = start_ms // 1_000
        self._rng = world.rng("fleet")
        self._schedules = {kind: self._plan(group, start_ms) for kind, group in world.groups.items()}
        self.natural_rate = self._messages_per_s()
        if rate is not None:
            self._scale(rate, start_ms)
        for lane in self._lanes.values():
            lane.next_beat_ms = start_ms + int(self._rng.integers(1, beat_ms))
        self._next_step_ms = start_ms

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(self._lanes)

    def __len__(self) -> int:
        """How many devices it speaks for."""
        return sum(len(lane.devices) for lane in self._lanes.values())

    def will(self, node: str) -> Message:
        lane = self._lanes[node]
        return lane.speaker.will(lane.node)

    def greet(self, stamp_ms: int) -> Iterator[Message]:
        """Births and signs of life of every node, then the state of every device once."""
        for lane in self._lanes.values():
            yield from lane.speaker.greet(lane.node, lane.devices, stamp_ms)
        for kind, group in self.world.groups.items():
            yield from self._report(group, self._schedules[kind], np.arange(len(group)), stamp_ms)

    def leave(self, stamp_ms: int) -> Iterator[Message]:
        for lane in self._lanes.values():
            yield from lane.speaker.leave(lane.node, lane.devices, stamp_ms)

    def advance(self, now_ms: int, stamp_ms: int | None = None) -> Iterator[Message]:
        """What is said up to `now_ms`: edges first, then heartbeats that are due. Call with times that never go back.

        Of a node whose devices have all fallen silent it says the will, as the broker would, and its greeting when one is back.
        """
        said = self._advance(now_ms, now_ms if stamp_ms is None else stamp_ms)
        for behaviour in self.behaviours:
            if isinstance(behaviour, Carrier):
                said = behaviour.pass_on(said, now_ms)
        return said

    def _advance(self, now_ms: int, stamp_ms: int) -> Iterator[Message]:
        while self._next_step_ms <= now_ms:
            edges = self.world.step(self.behaviours, self._next_step_ms)
            yield from self._lights(stamp_ms)
            yield from self._edges(edges, stamp_ms)
            self._hurry(self._next_step_ms)
            self._next_step_ms += self.step_ms
        for lane in self._lanes.values():
            if lane.next_beat_ms <= now_ms:
                lane.next_beat_ms = now_ms + self.beat_ms
                if not lane.dark:
                    yield from lane.speaker.beat(lane.node, stamp_ms)
        for kind, schedule in self._schedules.items():
            due = np.flatnonzero(schedule.next_ms <= now_ms)
            if due.size:
                self._postpone(schedule, due, now_ms)
                yield from self._report(self.world.groups[kind], schedule, due, stamp_ms)

    def next_ms(self) -> int:
        """When `advance` has something to do again."""
        soonest = [self._next_step_ms, *(lane.next_beat_ms for lane in self._lanes.values())]
        soonest += [int(s.next_ms.min()) for s in self._schedules.values() if s.next_ms.size]
        return min(soonest)

    @property
    def finished(self) -> bool:
        """Whether every behaviour has ended (a calm day never does)."""
        return all(b.finished(self._next_step_ms) for b in self.behaviours)

    def _plan(self, group: Group, start_ms: int) -> _Schedule:
        interval = np.array([d.expected_interval_s or group.family.interval_s for d in group.devices]) * 1_000.0
        quantities = tuple(s.quantity for s in group.family.signals)
        spoken: list[Spoken | None] = []
        for row, device in enumerate(group.devices):
            found = spoken_address(device, self._known)
            if found is None:
                self.unspoken.append(device.id)
                spoken.append(None)
                interval[row] = math.inf
                continue
            speaker = self._known[found[0]]
            node_name, name = speaker.locate(found[1])
            lane = self._lanes.get(node_name)
            if lane is None:
                lane = self._lanes[node_name] = _Lane(Node(node_name, self._boot), speaker)
            spoken.append(Spoken(device, lane.node, name, quantities, float(interval[row]) / 1_000))
            lane.devices.append(spoken[-1])  # type: ignore[arg-type]
        phase = self._rng.random(len(group))
        next_ms = np.full(len(group), np.iinfo(np.int64).max)
        finite = np.isfinite(interval)
        next_ms[finite] = start_ms + (interval * phase)[finite].astype(np.int64)
        return _Schedule(
            spoken=spoken,
            interval_ms=interval,
            next_ms=next_ms,
            fast=tuple(s.quantity for s in group.family.signals if not s.slow),
            slow=tuple(s.quantity for s in group.family.signals if s.slow),
        )

    def _messages_per_s(self) -> float:
        total = len(self._lanes) * 1_000.0 / self.beat_ms
        for schedule in self._schedules.values():
            for n, spoken in enumerate(schedule.spoken):
                if spoken is not None:
                    speaker = self._lanes[spoken.node.name].speaker
                    said = speaker.messages_per_report(bool(schedule.fast), bool(schedule.slow))
                    total += said * 1_000.0 / schedule.interval_ms[n]
        return total

    def _scale(self, rate: float, start_ms: int) -> None:
        beats = len(self._lanes) * 1_000.0 / self.beat_ms
        factor = max(self.natural_rate - beats, 1e-9) / max(rate - beats, 1e-3)
        for schedule in self._schedules.values():
            finite = np.isfinite(schedule.interval_ms)
            schedule.interval_ms[finite] *= factor
            ahead = (schedule.next_ms[finite] - start_ms) * factor
            schedule.next_ms[finite] = start_ms + ahead.astype(np.int64)

    def _postpone(self, schedule: _Schedule, due: Any, now_ms: int) -> None:
        planned = schedule.next_ms[due] + np.maximum(schedule.interval_ms[due], 1.0).astype(np.int64)
        late = planned < now_ms - _LONGEST_ARREARS_MS
        self.skipped += int(late.sum())
        schedule.next_ms[due] = np.where(late, now_ms, planned)

    def _hurry(self, now_ms: int) -> None:
        for kind, group in self.world.groups.items():
            if group.attention.any():
                schedule = self._schedules[kind]
                rows = np.flatnonzero(group.attention & np.isfinite(schedule.interval_ms))
                schedule.next_ms[rows] = np.minimum(schedule.next_ms[rows], now_ms + ATTENTION_INTERVAL_MS)

    def _lights(self, stamp_ms: int) -> Iterator[Message]:
        """Wills of nodes that have just gone dark, and greetings of those that are back."""
        groups = self.world.groups
        quiet = any(group.silent.any() for group in groups.values())
        for lane in self._lanes.values():
            if not (quiet or lane.dark):
                continue
            where = [self.world.where[spoken.device.id] for spoken in lane.devices]
            dark = all(groups[kind].silent[row] for kind, row in where)
            if dark == lane.dark:
                continue
            lane.dark = dark
            if dark:
                yield lane.speaker.will(lane.node)
                continue
            yield from lane.speaker.greet(lane.node, lane.devices, stamp_ms)
            for kind, row in where:
                yield from self._report(groups[kind], self._schedules[kind], np.array([row]), stamp_ms)

    def _edges(self, edges: Sequence[Edge], stamp_ms: int) -> Iterator[Message]:
        for edge in edges:
            schedule = self._schedules[edge.kind]
            spoken = schedule.spoken[edge.row]
            group = self.world.groups[edge.kind]
            if spoken is None or group.silent[edge.row]:
                continue
            fast, slow = (_values(group, names, np.array([edge.row]))[0] for names in (schedule.fast, schedule.slow))
            speaker = self._lanes[spoken.node.name].speaker
            own_ms = stamp_ms + int(group.clock_off_ms[edge.row])
            yield from speaker.edge(spoken, edge.quantities, fast, slow, own_ms)

    def _report(self, group: Group, schedule: _Schedule, rows: Any, stamp_ms: int) -> Iterator[Message]:
        rows = rows[~group.silent[rows]]
        all_fast, all_slow = (_values(group, names, rows) for names in (schedule.fast, schedule.slow))
        own_ms = (stamp_ms + group.clock_off_ms[rows]).tolist()
        for row, at_ms, fast, slow in zip(rows.tolist(), own_ms, all_fast, all_slow, strict=True):
            spoken = schedule.spoken[row]
            if spoken is not None:
                yield from self._lanes[spoken.node.name].speaker.report(spoken, fast, slow, at_ms)


def _values(group: Group, names: tuple[str, ...], rows: Any) -> list[Mapping[str, Value]]:
    """The values of `rows` as devices say them, one mapping each."""
    if not names:
        return [{}] * len(rows)
    decimals = {s.quantity: s.decimals for s in group.family.signals}
    columns = [_say(name, group.columns[name][rows], decimals[name]) for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _say(name: str, numbers: Any, decimals: int) -> list[Value]:
    quantity = QUANTITIES[name]
    if quantity.kind == "switch":
        return [number != 0.0 for number in numbers.tolist()]
    if quantity.kind == "state":
        return [quantity.states[int(number)] for number in numbers.tolist()]
    rounded: list[Value] = np.round(numbers, decimals).tolist()
    return rounded if decimals else [int(number) for number in rounded]
