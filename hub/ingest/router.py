"""From a topic to the codec that reads it. Roots are matched on whole levels, the longest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from hub.ingest.codecs import CODECS, CodecContext
from hub.ingest.plain import Glance, Plain
from hub.ingest.topics import Filter
from hub.model.readings import Decoded, Reject

_UNKNOWN_TOPIC: Final = Reject(codec="-", reason="unknown topic", detail="no source is configured for it")


@runtime_checkable
class Glancing(Protocol):
    """A codec that can tell everyday messages at a glance."""

    def plain(self, topic: str, payload: bytes, received_at_ms: int) -> Plain | None: ...


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
        codecs = [CODECS[source.codec].make(source.root, context) for source in ordered]
        self._codecs: list[tuple[str, _Decode]] = [
            (source.root + "/", codec.decode) for source, codec in zip(ordered, codecs, strict=True)
        ]
        self._glances: list[Glance] = [codec.plain for codec in codecs if isinstance(codec, Glancing)]
        self._filters = tuple(dict.fromkeys(f for source in sources for f in CODECS[source.codec].filters(source.root)))

    @property
    def filters(self) -> tuple[Filter, ...]:
        """What to subscribe to, by lane."""
        return self._filters

    @property
    def plain(self) -> Glance:
        """Tells an everyday message at a glance; for the hot path, which asks `decode` about what is not plain.

        A codec knows only devices of which `decode` has told it, so there is no need to look for the right one.
        """
        return self._glances[0] if len(self._glances) == 1 else self._glance

    def _glance(self, topic: str, payload: bytes, received_at_ms: int) -> Plain | None:
        for glance in self._glances:
            found = glance(topic, payload, received_at_ms)
            if found is not None:
                return found
        return None

    def decode(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool = False
    ) -> tuple[Decoded, ...] | Reject:
        """What the message says, per device; or why it says nothing that can be understood."""
        for below, read in self._codecs:
            if topic.startswith(below):
                return read(topic, payload, received_at_ms=received_at_ms, retained=retained)
        return _UNKNOWN_TOPIC
