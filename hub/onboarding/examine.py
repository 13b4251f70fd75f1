"""One message, examined: what the hub would understand of it, what not, why, and what helps. For commissioning on site."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from hub.ingest.clocks import MEANING, behind, policy_of
from hub.ingest.codecs import CODECS, CodecContext
from hub.ingest.reader import HUB_TOPIC
from hub.ingest.router import Router
from hub.ingest.screen import Limits
from hub.model.quantities import ALARM_QUANTITY, QUANTITIES
from hub.model.readings import Decoded, Envelope, Quality, Reading, Reject
from hub.registry.snapshot import Registry

State = Literal["understood", "partly", "unknown device", "rejected", "passed over", "no source"]
ORDER: Final[tuple[State, ...]] = ("understood", "partly", "unknown device", "rejected", "no source", "passed over")
_UNKNOWN = int(Quality.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What became of one message. `says` is what was understood, `why` what was not and why, `remedy` what helps."""

    state: State
    topic: str
    codec: str = ""
    devices: tuple[str, ...] = ()
    says: str = ""
    why: tuple[str, ...] = ()
    remedy: str = ""


class Examiner:
    """Examines messages by the sources and the registry of a hub. Never raises for what a device sent."""

    def __init__(self, router: Router, registry: Registry, limits: Limits, *, zone: str = "") -> None:
        self._router, self._registry, self._limits, self._zone = router, registry, limits, zone
        self._lags: dict[str, int] = {}  # address → lag of its last late message

    def examine(self, envelope: Envelope) -> Finding:
        topic, payload = envelope.topic, envelope.payload
        if topic.startswith(HUB_TOPIC):
            return Finding(state="rejected", topic=topic, why=("topics below $hub are the hub's own",))
        try:
            said = self._router.decode(
                topic, payload, received_at_ms=envelope.received_at_ms, retained=envelope.retained
            )
        except Exception as fault:  # as in the reader: a codec never raises; should one do so, say it and go on
            return Finding(state="rejected", topic=topic, why=(f"the codec failed: {fault!r}",), remedy="report it")
        if isinstance(said, Reject):
            return self._rejected(envelope, said)
        return self._understood(envelope, said)

    def _rejected(self, envelope: Envelope, said: Reject) -> Finding:
        if said.reason == "unknown topic" and said.codec == "-":
            codec, root = suggested(envelope, self._zone)
            remedy = f"in hub.yaml, sources: {{codec: {codec}, root: {root}}}" if codec else "no dialect reads it yet"
            why = "no source is configured for this topic"
            return Finding(state="no source", topic=envelope.topic, codec=codec, why=(why,), remedy=remedy)
        field = f" (field {said.field})" if said.field and said.field not in said.detail else ""
        why = f"{said.reason}: {said.detail}{field}" if said.detail else f"{said.reason}{field}"
        return Finding(
            state="rejected",
            topic=envelope.topic,
            codec=said.codec,
            devices=(said.address,) if said.address else (),
            why=(why,),
        )

    def _understood(self, envelope: Envelope, said: Sequence[Decoded]) -> Finding:
        heard = [one for one in said if not one.ignored]
        codec = said[0].codec if said else ""
        if not heard:
            reasons = tuple(dict.fromkeys(one.ignored for one in said)) or ("it holds nothing",)
            return Finding(state="passed over", topic=envelope.topic, codec=codec, why=reasons)
        unknown = [one.address for one in heard if one.address not in self._registry.slot_of_address]
        why: list[str] = []
        for one in heard:
            why += self._doubts(one, envelope)
        devices = tuple(dict.fromkeys(self._name(one.address) for one in heard))
        says = "; ".join(filter(None, map(_said, heard)))
        if unknown:
            remedy = f"gridhub devices claim '{unknown[0]}' --place CODE"
            state: State = "unknown device"
            why.insert(0, f"{', '.join(dict.fromkeys(unknown))} is not in the registry")
        else:
            state, remedy = ("partly" if why else "understood"), ""
        return Finding(
            state=state,
            topic=envelope.topic,
            codec=codec,
            devices=devices,
            says=says,
            why=tuple(dict.fromkeys(why)),
            remedy=remedy,
        )

    def _name(self, address: str) -> str:
        slot = self._registry.slot_of_address.get(address)
        return address if slot is None else self._registry.ids[slot]

    def _doubts(self, one: Decoded, envelope: Envelope) -> list[str]:
        found = list(one.warnings)
        if not_judged := [r.quantity for r in one.readings if r.quantity not in QUANTITIES]:
            found.append(f"no rule knows {', '.join(not_judged[:8])}: only reported")
        found += [
            f"{event.alarm}: neither on nor off"
            if event.type == "alarm_unclear"
            else f"no rule knows the alarm {event.alarm!r}"
            for event in one.events
            if event.type == "alarm_unclear"
            or (event.alarm and event.active is not False and not _is_known(event.alarm))
        ]
        observed = one.observed_at_ms
        if observed is not None and not envelope.retained:
            lag = envelope.received_at_ms - observed
            before = self._lags.get(one.address)
            policy = policy_of(lag, self._limits, steady=before is not None and abs(lag - before) < 30_000)
            if policy not in ("good", "none"):
                self._lags[one.address] = lag
                found.append(f"clock {behind(lag)}: {MEANING[policy]}")
        return found


def _is_known(alarm: str) -> bool:
    return alarm in ALARM_QUANTITY or alarm in QUANTITIES


def _said(one: Decoded) -> str:
    parts = [_reading(reading) for reading in one.readings[:12]]
    if len(one.readings) > 12:
        parts.append(f"and {len(one.readings) - 12} more")
    if one.history:
        parts.append(f"{len(one.history)} points of the past")
    if one.availability is not None:
        parts.append("online" if one.availability else "offline")
    parts += [f"event {event.type} {event.alarm}".strip() for event in one.events[:4]]
    if one.unknown:
        parts.append(f"unknown now: {', '.join(one.unknown[:6])}")
    if not parts and one.info:
        parts.append("description of itself")
    return " ".join(parts)


def _reading(reading: Reading) -> str:
    if reading.value is None or reading.quality & _UNKNOWN:
        return f"{reading.quantity}=?"
    value = reading.value
    shown = f"{value:.6g}" if isinstance(value, float) else str(value)
    return f"{reading.quantity}={shown}"


def suggested(envelope: Envelope, zone: str = "") -> tuple[str, str]:
    """The dialect and root that would most likely read a message which no source takes; ("", "") when none does."""
    topic = envelope.topic
    context = CodecContext(zone=zone, personal=False)
    for name, kind in CODECS.items():
        usual = kind.usual_root
        if not usual or not (topic.startswith(usual + "/") or f"/{usual}/" in topic):
            continue
        root = kind.root_of(topic)
        said = kind.make(root, context).decode(
            topic, envelope.payload, received_at_ms=envelope.received_at_ms, retained=envelope.retained
        )
        if not isinstance(said, Reject):
            return name, root
    root = topic.partition("/")[0]
    if envelope.payload.lstrip()[:1] in (b"{", b"[") and root:
        return "generic-json", root
    return "", ""
