"""The power of a yard fails for ten minutes: what lives on the mains falls silent, batteries and gateways (buffered) go on."""

from __future__ import annotations

from devices.simulators.behaviours.behaviour import BehaviourKind, Cue, Span, chosen, named
from devices.simulators.world import Behaviour, World

LASTS_S = 600.0
LAST_WORD_S = 2.0
ON_THE_MAINS = ("charging_cabinet", "charging_socket", "fire_lane_camera", "gate", "meter", "siren")


class PowerCut:
    """At every device of `ON_THE_MAINS` behind the gateway of the cue's device. Meters tell with their last word that the voltage is gone."""

    def __init__(self, world: World, start_ms: int, cue: Cue) -> None:
        self.origin = chosen(world, cue, "a power cut", ON_THE_MAINS)
        self.span = Span.of(start_ms, cue, LASTS_S)
        near = world.behind(self.origin.parent) if self.origin.parent else []
        self._dead = [d for d in near if d.kind in ON_THE_MAINS] or [self.origin]

    def finished(self, now_ms: int) -> bool:
        return self.span.over(now_ms)

    def step(self, world: World, now_ms: int) -> None:
        since_s = self.span.since_s(now_ms)
        if since_s is None:
            return
        self.span.tell(world, f"the power fails around {named(self.origin)}: {len(self._dead)} devices")
        for device in self._dead:
            if device.kind == "meter" and since_s < LAST_WORD_S:
                for quantity in ("voltage_v", "current_a", "power_w"):
                    world.set(device.id, quantity, 0.0)
            else:
                world.mute(device.id)


def _make(world: World, start_ms: int, cue: Cue) -> Behaviour:
    return PowerCut(world, start_ms, cue)


BEHAVIOUR = BehaviourKind(
    name="power_cut",
    summary="cabinets, sockets, cameras, gates, meters and sirens of a yard are silent for ten minutes",
    make=_make,
    lasts_s=LASTS_S,
)
