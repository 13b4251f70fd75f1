"""A bad network: messages come twice, out of their order, and late. None is lost, and none is made up."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import Final

from devices.simulators.behaviours.behaviour import BehaviourKind, Cue, Span
from devices.simulators.publisher import Message
from devices.simulators.world import Behaviour, World

TWICE: Final = 0.25
KEPT_BACK: Final = 0.2
LATEST_S: Final = 30.0
LASTS_S = 900.0


class RoughDelivery:
    """Of the messages said in its span a quarter comes twice (at once or later) and a fifth late by up to `LATEST_S`.

    What a node retains is kept in its order: a broker that mixed up the copies that it keeps would show a wrong last word for ever.
    """

    def __init__(self, world: World, start_ms: int, cue: Cue) -> None:
        self.span = Span.of(start_ms, cue, LASTS_S)
        self._rng = world.rng("rough_delivery")
        self._kept: list[tuple[int, int, Message]] = []
        self._n = 0

    def finished(self, now_ms: int) -> bool:
        return self.span.over(now_ms) and not self._kept

    def step(self, world: World, now_ms: int) -> None:
        if self.span.since_s(now_ms) is not None:
            self.span.tell(world, "the network repeats messages, keeps some back and loses their order")

    def pass_on(self, messages: Iterable[Message], now_ms: int) -> Iterator[Message]:
        while self._kept and (self._kept[0][0] <= now_ms or self.span.over(now_ms)):
            yield heapq.heappop(self._kept)[2]
        for message in messages:
            if self.span.since_s(now_ms) is None or message.retain:
                yield message
                continue
            twice, late, when = self._rng.random(3)
            if late >= KEPT_BACK:
                yield message
            else:
                self._keep(message, now_ms, when)
            if twice < TWICE:
                self._keep(message, now_ms, 1.0 - when)

    def _keep(self, message: Message, now_ms: int, when: float) -> None:
        self._n += 1
        heapq.heappush(self._kept, (now_ms + int(when * LATEST_S * 1_000), self._n, message))


def _make(world: World, start_ms: int, cue: Cue) -> Behaviour:
    return RoughDelivery(world, start_ms, cue)


BEHAVIOUR = BehaviourKind(
    name="rough_delivery",
    summary="messages come twice, out of order and up to half a minute late, for a quarter of an hour",
    make=_make,
    lasts_s=LASTS_S,
)
