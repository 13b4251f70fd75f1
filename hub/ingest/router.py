"""From a topic to the codec that reads it. Roots are matched on whole levels, the longest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hub.ingest.codecs import CODECS, Codec, CodecContext
from hub.ingest.payload import MAX_BYTES, TOO_LARGE
from hub.ingest.topics import Filter
from hub.model.readings import Decoded, Reject

_REMEMBERED_TOPICS: Final = 200_000
_UNKNOWN_TOPIC: Final = Reject(codec="-", reason="unknown topic", detail="no source is configured for it")


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
        self._codecs: list[tuple[str, Codec]] = [
            (source.root, CODECS[source.codec].make(source.root, context)) for source in ordered
        ]
        self._filters = tuple(dict.fromkeys(f for source in sources for f in CODECS[source.codec].filters(source.root)))
        self._of_topic: dict[str, Codec | None] = {}

    @property
    def filters(self) -> tuple[Filter, ...]:
        """What to subscribe to, by lane."""
        return self._filters

    def decode(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool = False
    ) -> tuple[Decoded, ...] | Reject:
        """What the message says, per device; or why it says nothing that can be understood."""
        try:
            codec = self._of_topic[topic]
        except KeyError:
            codec = self._find(topic)
        if codec is None:
            return _UNKNOWN_TOPIC
        if len(payload) > MAX_BYTES:
            return Reject(codec=codec.name, reason=TOO_LARGE, detail=f"{len(payload)} bytes, at most {MAX_BYTES}")
        return codec.decode(topic, payload, received_at_ms=received_at_ms, retained=retained)

    def _find(self, topic: str) -> Codec | None:
        found = next(
            (
                codec
                for root, codec in self._codecs
                if topic.startswith(root) and topic[len(root) : len(root) + 1] == "/"
            ),
            None,
        )
        if len(self._of_topic) >= _REMEMBERED_TOPICS:
            self._of_topic.clear()
        if len(topic) <= 512:
            self._of_topic[topic] = found
        return found
