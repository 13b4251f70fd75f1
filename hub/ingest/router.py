"""From a topic to the codec that reads it. Roots are matched on whole levels, the longest first; then filters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from hub.ingest.codecs import CODECS, CodecContext, CodecKind
from hub.ingest.plain import Glance, Plain
from hub.ingest.topics import Filter, matches
from hub.model.readings import Decoded, Reject

_REMEMBERED: Final = 16_384
_UNKNOWN_TOPIC: Final = Reject(codec="-", reason="unknown topic", detail="no source is configured for it")


@runtime_checkable
class Glancing(Protocol):
    """A codec that can tell everyday messages at a glance."""

    def plain(self, topic: str, payload: bytes, received_at_ms: int) -> Plain | None: ...


@runtime_checkable
class Asking(Protocol):
    """A codec that cannot read on unless somebody is asked: its births came before the hub did."""

    def asks(self) -> Sequence[tuple[str, bytes]]:
        """(topic, payload) of what should be published; each once. Safe from another thread than that of `decode`."""
        ...


class _Decode(Protocol):
    def __call__(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool
    ) -> tuple[Decoded, ...] | Reject: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One row of `sources` in hub.yaml: which dialect speaks below which topic root.

    `also`: further filters whose topics are for this source, when no other has them below its root. `kind`: the codec itself,
    when it is none of the table (a profile of the operator's own).
    """

    codec: str
    root: str
    also: tuple[str, ...] = ()
    kind: CodecKind | None = None

    @property
    def of(self) -> CodecKind:
        return self.kind or CODECS[self.codec]

    @property
    def filters(self) -> tuple[Filter, ...]:
        return (*self.of.filters(self.root), *map(Filter, self.also))


class Router:
    """Decodes any message by the codec of its root. Never raises for what a device sent.

    Raises KeyError for a codec name that is not in the table: settings check that before.
    """

    def __init__(self, sources: Sequence[Source], context: CodecContext | None = None) -> None:
        context = context or CodecContext()
        ordered = sorted(sources, key=lambda source: len(source.root), reverse=True)
        codecs = [source.of.make(source.root, context) for source in ordered]
        self._codecs: list[tuple[str, _Decode]] = [
            (source.root + "/", codec.decode) for source, codec in zip(ordered, codecs, strict=True) if source.root
        ]
        self._wanted: list[tuple[tuple[str, ...], _Decode]] = [
            (tuple(wanted.topic for wanted in source.filters), codec.decode)
            for source, codec in zip(ordered, codecs, strict=True)
        ]
        self._elsewhere: dict[str, _Decode | None] = {}
        self._glances: list[Glance] = [codec.plain for codec in codecs if isinstance(codec, Glancing)]
        self._asking = [codec for codec in codecs if isinstance(codec, Asking)]
        self._filters = tuple(dict.fromkeys(f for source in sources for f in source.filters))

    @property
    def filters(self) -> tuple[Filter, ...]:
        """What to subscribe to, by lane."""
        return self._filters

    def asks(self) -> list[tuple[str, bytes]]:
        """What the codecs would have published, so that they can read on."""
        return [wish for codec in self._asking for wish in codec.asks()]

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
        other = self._elsewhere[topic] if topic in self._elsewhere else self._by_filter(topic)
        if other is None:
            return _UNKNOWN_TOPIC
        return other(topic, payload, received_at_ms=received_at_ms, retained=retained)

    def _by_filter(self, topic: str) -> _Decode | None:
        """The codec of the first source whose filters take `topic`: of dialects without a root, and of roots that are topics."""
        found = next((read for wanted, read in self._wanted if any(matches(f, topic) for f in wanted)), None)
        if len(self._elsewhere) >= _REMEMBERED:
            self._elsewhere.clear()
        self._elsewhere[topic] = found
        return found
