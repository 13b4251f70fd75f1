"""The dialects that simulated devices speak: SPEAKERS is the table, by the codec's name in registry addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from devices.simulators.speak_native import Native
from devices.simulators.speak_z2m import Zigbee2Mqtt
from devices.simulators.speaking import Speaker
from hub.model.places import Device

SPEAKERS: Final[Mapping[str, Callable[[Sequence[str]], Speaker]]] = {
    "native-v1": lambda roots: Native(roots[0]),
    "zigbee2mqtt": Zigbee2Mqtt,
}
"""Codec name → speaker for the topic roots that the hub listens to."""

DEFAULT_ROOTS: Final[Mapping[str, tuple[str, ...]]] = {"native-v1": ("sc/v1",), "zigbee2mqtt": ("zigbee2mqtt",)}


def speakers(roots: Iterable[tuple[str, str]] = ()) -> dict[str, Speaker]:
    """Speakers for (codec, root) pairs as in hub.yaml; without pairs for the default roots."""
    by_codec: dict[str, list[str]] = {}
    for codec, root in roots:
        if codec in SPEAKERS:
            by_codec.setdefault(codec, []).append(root)
    found = by_codec or {codec: list(default) for codec, default in DEFAULT_ROOTS.items()}
    return {codec: SPEAKERS[codec](tuple(given)) for codec, given in found.items()}


def spoken_address(device: Device, known: Mapping[str, Speaker]) -> tuple[str, str] | None:
    """(codec, rest) of the first address of `device` in a dialect that we speak."""
    for address in device.addresses:
        codec, _, rest = address.partition(":")
        if codec in known:
            return codec, rest
    return None
