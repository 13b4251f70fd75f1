"""From a topic to the codec that reads it. Roots are matched on whole levels, the longest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from hub.ingest.codecs import CODECS, CodecContext
from hub.ingest.topics import Filter
from hub.model.readings import Decoded, Reject

_UNKNOWN_TOPIC: Final = Reject(codec="-", reason="unknown topic", detail="no source is configured for it")


class _Decode(Protocol):
    def __call__(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool
    ) -> tuple[Decoded, ...] | Reject: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One row of `sources` in hub.yaml: which dialect speaks below which topic root."""

    codec: str
    root: str


class Router:
    """Decodes any message by the codec of its root. Never raises for what a device sent.

    Raises KeyError for a codec name that is not in the table: settings check that before.
    """

    def __init__(self, sources: Sequence[Source], context: CodecContext | None = None) -> None:
        context = context or CodecContext()
        ordered = sorted(sources, key=lambda source: len(source.root), reverse=True)
        self._codecs: list[tuple[str, _Decode]] = [
            (source.root + "/", CODECS[source.codec].make(source.root, context).decode) for source in ordered
        ]
        self._filters = tuple(dict.fromkeys(f for source in sources for f in CODECS[source.codec].filters(source.root)))

    @property
    def filters(self) -> tuple[Filter, ...]:
        """What to subscribe to, by lane."""
        return self._filters

    def decode(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool = False
    ) -> tuple[Decoded, ...] | Reject:
        """What the message says, per device; or why it says nothing that can be understood."""
        for below, read in self._codecs:
            if topic.startswith(below):
                return read(topic, payload, received_at_ms=received_at_ms, retained=retained)
        return _UNKNOWN_TOPIC
