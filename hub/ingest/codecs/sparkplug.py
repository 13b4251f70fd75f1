"""Sparkplug B: births, data by name or alias, deaths. Births are not retained, so data by an alias that nobody explained is set
aside and a rebirth is asked for (`asks`): the hub keeps no guess."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hub.ingest.codecs.context import CodecContext
from hub.ingest.codecs.sparkplug_protobuf import Malformed, Metric, Payload, read_payload, value_of
from hub.ingest.payload import MAX_BYTES, TOO_LARGE, parse_object, text_of
from hub.ingest.payload import Malformed as NotJson
from hub.ingest.saying import Saying
from hub.ingest.topics import Filter
from hub.ingest.values import named, short
from hub.model.readings import Decoded, Reject

NAME: Final = "sparkplug-b"
_KINDS: Final = frozenset(("NBIRTH", "NDEATH", "DBIRTH", "DDEATH", "NDATA", "DDATA", "NCMD", "DCMD"))
_MOST_NODES: Final = 20_000
_MOST_ALIASES: Final = 5_000
_ASK_EVERY_MS: Final = 60_000
REBIRTH: Final = bytes.fromhex("121a0a144e6f646520436f6e74726f6c2f52656269727468200b7001")
"""A command that sets Node Control/Rebirth to true."""


@dataclass(slots=True)
class _Node:
    """What births of an edge node and its devices have explained."""

    aliases: dict[int, tuple[str, int]] = field(default_factory=dict)
    types: dict[str, int] = field(default_factory=dict)
    seq: int | None = None
    bdseq: int | None = None
    asked_at_ms: int = -_ASK_EVERY_MS


class SparkplugCodec:
    """Decodes `{root}/<group>/<kind>/<edge>[/<device>]`. Never raises. Remembers births; one owner thread."""

    name = NAME

    def __init__(self, root: str = "spBv1.0", context: CodecContext | None = None) -> None:
        self.root, self._context = root, context or CodecContext()
        self._nodes: dict[str, _Node] = {}
        self._asked: dict[str, bytes] = {}

    def asks(self) -> Sequence[tuple[str, bytes]]:
        """Commands that should be published: rebirths of nodes whose aliases are not known, at most one a minute each."""
        wanted, self._asked = tuple(self._asked.items()), {}
        return wanted

    def decode(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool
    ) -> tuple[Decoded, ...] | Reject:
        if len(payload) > MAX_BYTES:
            return Reject(codec=NAME, reason=TOO_LARGE, detail=f"{len(payload)} bytes, at most {MAX_BYTES}")
        if topic.startswith("STATE/"):
            host = topic[6:][:128]
            return (
                Saying(NAME, f"host:{host}", f"host:{host}", received_at_ms).decoded(
                    ignored="state of a host application (2.x)"
                ),
            )
        levels = topic[len(self.root) + 1 :].split("/") if topic.startswith(self.root + "/") else []
        if len(levels) == 2 and levels[0] == "STATE":
            return self._host(levels[1], payload, received_at_ms)
        if len(levels) not in (3, 4) or levels[1] not in _KINDS or not all(levels):
            return Reject(
                codec=NAME, reason="unknown topic", detail=f"expected {self.root}/<group>/<kind>/<edge>[/<device>]"
            )
        group, kind, edge = levels[0], levels[1], levels[2]
        own = levels[3] if len(levels) == 4 else ""
        if (kind[0] == "D") != bool(own):
            return Reject(
                codec=NAME, reason="unknown topic", detail=f"{kind} {'needs a' if not own else 'has no'} device"
            )
        node = f"{group}/{edge}"
        device = f"{node}/{own}" if own else node
        saying = Saying(NAME, device, device, received_at_ms)
        if own:
            saying.fields["gateway"] = node
        if kind in ("NCMD", "DCMD"):
            return (saying.decoded(ignored="command"),)
        if not payload:
            return self._reject(saying, "empty payload", "a Sparkplug message is never empty")
        try:
            message = read_payload(payload)
        except Malformed as bad:
            return self._reject(saying, "bad Sparkplug payload", str(bad))
        if kind != "NDEATH" and message.seq is None:  # also what a message lacks that was cut behind its metrics
            return self._reject(saying, "bad Sparkplug payload", "seq is missing")
        return self._message(kind, node, own, message, saying, retained)

    def _message(
        self, kind: str, node: str, own: str, message: Payload, saying: Saying, retained: bool
    ) -> tuple[Decoded, ...] | Reject:
        known = self._nodes.get(node)
        if known is None:
            if len(self._nodes) >= _MOST_NODES:
                self._nodes.clear()
            known = self._nodes[node] = _Node()
        if message.timestamp is not None:
            saying.time(message.timestamp)
        if kind in ("NDEATH", "DDEATH"):
            return self._death(kind, message, known, saying)
        if message.seq is not None:
            saying.fields["seq"] = message.seq & 0xFF
        self._sequence(kind, message, known, saying, retained)
        if kind in ("NBIRTH", "DBIRTH"):
            self._birth(kind, own, message, known, saying)
        unknown = [m.alias for m in message.metrics if not m.name and m.alias not in known.aliases]
        if unknown and kind in ("NDATA", "DDATA"):
            self._ask(node, known, saying.received_at_ms)
            return self._reject(saying, "unknown alias", f"alias {unknown[0]} was in no birth: a rebirth is asked for")
        for metric in message.metrics:
            self._metric(own, metric, known, saying, message.timestamp)
        return (saying.decoded(),)

    def _death(self, kind: str, message: Payload, known: _Node, saying: Saying) -> tuple[Decoded, ...]:
        fields: dict[str, Any] = {"availability": False}
        if kind == "NDEATH":
            bdseq = _bdseq(message)
            fields["cascade"] = True
            if bdseq is not None:
                fields["info"] = {"bdseq": bdseq}
                if known.bdseq is not None and known.bdseq != bdseq:
                    saying.warn(
                        f"bdSeq {bdseq} is not that of the present birth ({known.bdseq}): an old will, not believed"
                    )
                    return (saying.decoded(ignored="old will", info=fields["info"]),)
            if message.timestamp is not None:
                saying.warn("the time in a will is that of its CONNECT")
            known.seq = None
        elif message.seq is not None:
            fields["seq"] = message.seq & 0xFF
        return (saying.decoded(**fields),)

    def _sequence(self, kind: str, message: Payload, known: _Node, saying: Saying, retained: bool) -> None:
        if message.seq is None or retained:
            return
        seq = message.seq & 0xFF
        if kind != "NBIRTH" and known.seq is not None and seq not in ((known.seq + 1) & 0xFF, known.seq):
            saying.warn(f"seq {seq} after {known.seq}: messages were lost or came out of order")
        known.seq = seq

    def _birth(self, kind: str, own: str, message: Payload, known: _Node, saying: Saying) -> None:
        saying.fields["availability"] = True
        if kind == "NBIRTH":
            known.aliases.clear()
            known.types.clear()
            known.bdseq = _bdseq(message)
            if known.bdseq is not None:
                saying.fields["info"] = {"bdseq": known.bdseq}
        aliases: dict[str, str] = {}
        for metric in message.metrics:
            if not metric.name:
                continue
            if len(known.types) < _MOST_ALIASES:
                known.types[f"{own}\0{metric.name}"] = metric.datatype
            if metric.alias is not None and len(known.aliases) < _MOST_ALIASES:
                known.aliases[metric.alias] = (metric.name, metric.datatype)
                aliases[str(metric.alias)] = metric.name
        if aliases:
            saying.fields["info"] = {**(saying.fields.get("info") or {}), "aliases": dict(list(aliases.items())[:100])}

    def _metric(self, own: str, metric: Metric, known: _Node, saying: Saying, sent_at: int | None) -> None:
        name, datatype = metric.name, metric.datatype
        if not name and metric.alias is not None:
            name, told = known.aliases.get(metric.alias, ("", 0))
            datatype = datatype or told
        datatype = datatype or known.types.get(f"{own}\0{name}", 0)
        if (
            not name
            or name == "bdSeq"
            or name.startswith(("Node Control/", "Device Control/", "Properties/", "Node Info/"))
        ):
            return
        found = _quantity(name)
        if metric.null:
            saying.unknown(found[0] if found else name)
            return
        value = value_of(metric, datatype)
        if value is None:
            return
        at_ms = saying.at.at_ms
        if metric.timestamp is not None and metric.timestamp != sent_at:
            at_ms = saying.instant(metric.timestamp).at_ms or at_ms
        if isinstance(value, float) and value != value:
            saying.warn(f"{short(name)} is nan: unknown")
            saying.unknown(found[0] if found else name)
            return
        if not metric.historical:
            self._put(name, found, value, saying, at_ms)
            return
        live = saying.findings
        saying.findings = type(live)()
        self._put(name, found, value, saying, saying.instant(metric.timestamp).at_ms)
        live.warnings.extend(saying.findings.warnings)
        saying.to_history()
        saying.findings = live

    @staticmethod
    def _put(name: str, found: tuple[str, str] | None, value: Any, saying: Saying, at_ms: int | None) -> None:
        if found is not None and not (
            isinstance(value, str) and not any(c.isdigit() for c in value) and found[1] == ""
        ):
            saying.put(found[0], value, unit=found[1], key=name, at_ms=at_ms)
        elif found is not None:
            saying.put_named(name.rpartition("/")[2], value, at_ms=at_ms)
        else:
            saying.put(name[:100], value, at_ms=at_ms)

    def _host(self, host: str, payload: bytes, received_at_ms: int) -> tuple[Decoded, ...]:
        saying = Saying(NAME, f"host:{host[:128]}", f"host:{host[:128]}", received_at_ms)
        parsed = parse_object(payload)
        body = None if isinstance(parsed, NotJson) else parsed.value
        if isinstance(body, dict):
            saying.time(body.get("timestamp"))
            if isinstance(body.get("online"), bool):
                saying.fields["availability"] = body["online"]
        elif text_of(payload[:16])[0].strip().upper() in ("ONLINE", "OFFLINE"):
            saying.fields["availability"] = text_of(payload[:16])[0].strip().upper() == "ONLINE"
        return (saying.decoded(ignored="state of a host application, not a device"),)

    def _ask(self, node: str, known: _Node, now_ms: int) -> None:
        if now_ms - known.asked_at_ms >= _ASK_EVERY_MS and len(self._asked) < 1_000:
            known.asked_at_ms = now_ms
            group, _, edge = node.partition("/")
            self._asked[f"{self.root}/{group}/NCMD/{edge}"] = REBIRTH

    def _reject(self, saying: Saying, reason: str, detail: str) -> Reject:
        return Reject(codec=NAME, reason=reason, detail=detail, device=saying.device, address=saying.address)


def _quantity(name: str) -> tuple[str, str] | None:
    """The quantity of a metric's name, whole or by its last level; names with blanks are the plant's own words."""
    return named(name) or (named(name.rpartition("/")[2]) if "/" in name else None)


def _bdseq(message: Payload) -> int | None:
    for metric in message.metrics:
        if metric.name == "bdSeq" and isinstance(metric.value, int) and not isinstance(metric.value, bool):
            return metric.value
    return None


def filters(root: str) -> tuple[Filter, ...]:
    """All kinds but commands, which others give."""
    kinds = sorted(_KINDS - {"NCMD", "DCMD"})
    return (*(Filter(f"{root}/+/{kind}/#") for kind in kinds), Filter(f"{root}/STATE/+"))


def root_of(topic: str) -> str:
    return "spBv1.0" if topic.startswith(("spBv1.0/", "STATE/")) else topic.split("/")[0]
