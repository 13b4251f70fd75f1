"""Somebody pulls a gate open: its own contact says so, while nobody has shown a card and its drive believes that it is shut."""

from __future__ import annotations

from devices.simulators.behaviours.behaviour import BehaviourKind, Cue, Span, chosen, named
from devices.simulators.behaviours.calm_day import GATE_CLOSED
from devices.simulators.world import Behaviour, World

LASTS_S = 180.0


class ForcedGate:
    """Open and forced from the cue on, shut again by a guard after `LASTS_S`."""

    def __init__(self, world: World, start_ms: int, cue: Cue) -> None:
        self.gate = chosen(world, cue, "a forced gate", ("gate",), lambda d: "access-control" in d.tags)
        self.span = Span.of(start_ms, cue, LASTS_S)

    def finished(self, now_ms: int) -> bool:
        return self.span.over(now_ms)

    def step(self, world: World, now_ms: int) -> None:
        # A few seconds before, it is shut: a gate that somebody has just opened properly is not forced.
        if -30_000 <= now_ms - self.span.start_ms < 0:
            world.set(self.gate.id, "gate_state", GATE_CLOSED)
            world.set(self.gate.id, "door_open", 0.0)
        if self.span.since_s(now_ms) is None:
            return
        self.span.tell(world, f"{named(self.gate)} is forced open")
        world.set(self.gate.id, "gate_state", GATE_CLOSED)
        world.set(self.gate.id, "door_open", 1.0)
        world.set(self.gate.id, "forced_open", 1.0)


def _make(world: World, start_ms: int, cue: Cue) -> Behaviour:
    return ForcedGate(world, start_ms, cue)


BEHAVIOUR = BehaviourKind(
    name="forced_gate",
    summary="a gate is forced open, and shut by a guard after three minutes",
    make=_make,
    lasts_s=LASTS_S,
    needs=("gate",),
)
