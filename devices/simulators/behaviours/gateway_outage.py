"""A gateway loses its network for ten minutes: the broker says its will, everything behind it is silent, then it is greeted again."""

from __future__ import annotations

from devices.simulators.behaviours.behaviour import BehaviourKind, Cue, Span, chosen, named
from devices.simulators.world import Behaviour, World

LASTS_S = 600.0


class GatewayOutage:
    def __init__(self, world: World, start_ms: int, cue: Cue) -> None:
        self.gateway = chosen(world, cue, "a gateway outage", ("gateway",))
        self.span = Span.of(start_ms, cue, LASTS_S)
        self._silent = (self.gateway, *world.behind(self.gateway.id))

    def finished(self, now_ms: int) -> bool:
        return self.span.over(now_ms)

    def step(self, world: World, now_ms: int) -> None:
        if self.span.since_s(now_ms) is None:
            return
        self.span.tell(
            world, f"{named(self.gateway)} loses its network; {len(self._silent) - 1} devices hang behind it"
        )
        for device in self._silent:
            world.mute(device.id)


def _make(world: World, start_ms: int, cue: Cue) -> Behaviour:
    return GatewayOutage(world, start_ms, cue)


BEHAVIOUR = BehaviourKind(
    name="gateway_outage",
    summary="a gateway and all behind it are silent for ten minutes",
    make=_make,
    lasts_s=LASTS_S,
    needs=("gateway",),
)
