"""A broken gateway: every second something that is no message, on topics that carry alarms. It must raise nothing, and end nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from devices.simulators.behaviours.behaviour import BehaviourKind, Cue, Span
from devices.simulators.publisher import Message
from devices.simulators.world import Behaviour, World

LASTS_S = 300.0
EVERY_MS: Final = 1_000
_RUBBISH: Final = (
    b"",
    b"\x00\xff\xfe\x80 smoke",
    b"[[[[[[[[",
    b'{"v":1,"m":',
    b'{"v":1,"m":{"smoke":2,"co_alarm":"perhaps"}}',
    b'{"v":1,"m":{"temperature_c":1e999}}',
    b'{"v":1,"m":[1,2,3]}',
    b'{"smoke":"?","battery":-5,"gas":null}',
    b'{"v":9,"id":7,"type":"alarm"}',
    b"smoke=1;fire=yes",
    b"[" * 200 + b"]" * 200,
)


class Garbage:
    """Rubbish under the topics that were heard last: fixed examples, and beginnings of real messages."""

    def __init__(self, world: World, start_ms: int, cue: Cue) -> None:
        self.span = Span.of(start_ms, cue, LASTS_S)
        self._rng = world.rng("garbage")
        self._heard: list[Message] = []
        self._next_ms = self.span.start_ms

    def finished(self, now_ms: int) -> bool:
        return self.span.over(now_ms)

    def step(self, world: World, now_ms: int) -> None:
        if self.span.since_s(now_ms) is not None:
            self.span.tell(world, "a broken gateway sends rubbish")

    def pass_on(self, messages: Iterable[Message], now_ms: int) -> Iterator[Message]:
        for message in messages:
            self._heard = [*self._heard[-63:], message]
            yield message
        if self.span.since_s(now_ms) is None or now_ms < self._next_ms or not self._heard:
            return
        self._next_ms = now_ms + EVERY_MS
        real = self._heard[int(self._rng.integers(len(self._heard)))]
        n = int(self._rng.integers(len(_RUBBISH) + 4))
        cut = int(self._rng.integers(1, max(2, len(real.payload) - 1)))
        payload = _RUBBISH[n] if n < len(_RUBBISH) else real.payload[:cut]
        yield real._replace(payload=payload, retain=False)


def _make(world: World, start_ms: int, cue: Cue) -> Behaviour:
    return Garbage(world, start_ms, cue)


BEHAVIOUR = BehaviourKind(
    name="garbage",
    summary="rubbish on the topics of real devices, once a second for five minutes",
    make=_make,
    lasts_s=LASTS_S,
)
