"""What a dialect must be able to say for a simulated device; SPEAKERS in `speakers.py` is the table of those that can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from devices.simulators.publisher import Message
from hub.model.places import Device

Value = float | int | bool | str
Values = Mapping[str, Value]
to_json = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Node:
    """One MQTT identity that speaks for devices: a gateway, or a Zigbee2MQTT bridge. `seq` counts its messages."""

    name: str
    boot: int
    seq: int = 0

    def next_seq(self) -> int:
        self.seq += 1
        return self.seq


@dataclass(frozen=True, slots=True)
class Spoken:
    """A device as its dialect knows it: the node it hangs behind and its name there."""

    device: Device
    node: Node
    name: str
    quantities: tuple[str, ...]
    interval_s: float


class Speaker(Protocol):
    """Encodes for one dialect. Pure: no sockets, no clock; `stamp_ms` is the time that goes into the message."""

    codec: str

    def locate(self, address: str) -> tuple[str, str]:
        """(name of the node, name of the device there) for the part of a registry address behind the codec."""

    def will(self, node: Node) -> Message:
        """What the broker says for the node when it dies."""

    def greet(self, node: Node, devices: Sequence[Spoken], stamp_ms: int) -> list[Message]:
        """What the node says when it comes up, before any value."""

    def report(self, spoken: Spoken, fast: Values, slow: Values, stamp_ms: int) -> list[Message]:
        """The heartbeat of one device: measurements and states."""

    def messages_per_report(self, fast: bool, slow: bool) -> int:
        """How many messages `report` makes for a device with measurements, with states."""

    def edge(self, spoken: Spoken, changed: Sequence[str], fast: Values, slow: Values, stamp_ms: int) -> list[Message]:
        """What a device says at once because the states named in `changed` have changed."""

    def beat(self, node: Node, stamp_ms: int) -> list[Message]:
        """The sign of life of the node itself."""

    def leave(self, node: Node, devices: Sequence[Spoken], stamp_ms: int) -> list[Message]:
        """What the node says before a clean disconnect (brokers send no will then)."""


def message(topic: str, body: Any, node: Node, *, qos: int = 1, retain: bool = False) -> Message:
    return Message(topic, to_json(body), qos, retain, node.name)
