"""One file per dialect. To add one: write the file, add its line to CODECS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hub.ingest.codecs import generic_json, native, senml, zigbee2mqtt
from hub.ingest.codecs.context import CodecContext
from hub.ingest.topics import Filter
from hub.model.readings import Decoded, Reject

__all__ = ["CODECS", "Codec", "CodecContext", "CodecKind"]


class Codec(Protocol):
    """Reads one dialect below one topic root. Pure: no clock, no network. Never raises, whatever the bytes."""

    @property
    def name(self) -> str: ...

    def decode(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool
    ) -> tuple[Decoded, ...] | Reject:
        """What the message says, per device; or why it says nothing that can be understood."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecKind:
    """A row of the table: how to make a codec for a root, and what to subscribe to for it."""

    make: Callable[[str, CodecContext], Codec]
    filters: Callable[[str], tuple[Filter, ...]]
    usual_root: str
    root_of: Callable[[str], str]  # the root that a lone topic most likely has (for tools, never for the live path)


CODECS: dict[str, CodecKind] = {
    native.NAME: CodecKind(make=native.NativeCodec, filters=native.filters, usual_root="sc/v1", root_of=native.root_of),
    zigbee2mqtt.NAME: CodecKind(
        make=zigbee2mqtt.Zigbee2MqttCodec,
        filters=zigbee2mqtt.filters,
        usual_root="zigbee2mqtt",
        root_of=zigbee2mqtt.root_of,
    ),
    senml.NAME: CodecKind(make=senml.SenmlCodec, filters=senml.filters, usual_root="senml", root_of=senml.root_of),
    generic_json.NAME: CodecKind(
        make=generic_json.GenericJsonCodec,
        filters=generic_json.filters,
        usual_root="sensors",
        root_of=generic_json.root_of,
    ),
}
"""The codecs of this hub, by the name used in `sources` of hub.yaml."""
