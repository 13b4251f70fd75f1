"""Home Assistant discovery as an importer: its retained messages say which topics carry what; those topics are then read.

State topics lie where devices want them, so a source of this dialect names them in `also`; topics below another source's root
stay that source's. What discovery told is kept in memory only: the broker holds it retained.
"""

from __future__ import annotations

from typing import Any, Final

from hub.ingest.codecs.context import CodecContext
from hub.ingest.codecs.homeassistant_entities import Bundle, Entity, Presence, bundle_of
from hub.ingest.payload import MAX_BYTES, TOO_LARGE, Malformed, parse, parse_object, text_of
from hub.ingest.saying import Saying
from hub.ingest.topics import Filter
from hub.ingest.values import short
from hub.model.quantities import QUANTITIES
from hub.model.readings import Decoded, Reject

NAME: Final = "homeassistant-discovery"
_MOST_ENTITIES: Final = 50_000
_LONG: Final = 4_096


class HomeAssistantCodec:
    """Decodes discovery below `root`, and the topics that it named. Never raises. One owner thread."""

    name = NAME

    def __init__(self, root: str = "homeassistant", context: CodecContext | None = None) -> None:
        self.root, self._context = root, context or CodecContext()
        self._bundles: dict[str, Bundle] = {}  # by discovery topic
        self._states: dict[str, dict[str, tuple[Entity, ...]]] = {}  # state topic → discovery topic → entities
        self._presence: dict[
            str, dict[str, tuple[str, Presence, str]]
        ] = {}  # topic → discovery topic → device, how, mode
        self._online: dict[str, dict[str, bool]] = {}  # device → topic → whether it is there
        self._count = 0

    def decode(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool
    ) -> tuple[Decoded, ...] | Reject:
        if len(payload) > MAX_BYTES:
            return Reject(codec=NAME, reason=TOO_LARGE, detail=f"{len(payload)} bytes, at most {MAX_BYTES}")
        if topic.startswith(self.root + "/"):
            levels = topic[len(self.root) + 1 :].split("/")
            if levels == ["status"]:
                return (Saying(NAME, "-", "", received_at_ms).decoded(ignored="birth message of Home Assistant"),)
            if levels[-1] == "config" and len(levels) in (3, 4):
                return self._discovery(topic, levels, payload, received_at_ms)
        if topic in self._presence or topic in self._states:
            return self._published(topic, payload, received_at_ms)
        return Reject(codec=NAME, reason="unknown topic", detail="no discovery message has named it")

    # -- discovery ------------------------------------------------------------------------------------------------------

    def _discovery(
        self, topic: str, levels: list[str], payload: bytes, received_at_ms: int
    ) -> tuple[Decoded, ...] | Reject:
        kind, object_id = levels[0], levels[-2]
        node = levels[1] if len(levels) == 4 else ""
        known = self._bundles.get(topic)
        if not payload.strip():
            self._forget(topic)
            device = known.device if known is not None else node or object_id
            saying = Saying(NAME, device, device, received_at_ms)
            saying.event("discovery_removed", {"topic": topic[:200]})
            return (saying.decoded(info={"discovery": {"device": device, "removed": True}}),)
        parsed = parse_object(payload)
        if isinstance(parsed, Malformed) or not isinstance(parsed.value, dict):
            reason, detail = parsed if isinstance(parsed, Malformed) else ("not an object", short(parsed.value))
            return Reject(codec=NAME, reason=reason, detail=str(detail), device=node or object_id)
        bundle = bundle_of(parsed.value, kind, node, object_id)
        saying = Saying(NAME, bundle.device, bundle.device, received_at_ms)
        for warning in parsed.warnings:
            saying.warn(warning)
        for entity in bundle.entities:
            if entity.refused:
                saying.warn(
                    f"template of {short(entity.id)} is not of the safe subset: refused: {short(entity.refused)}"
                )
        if self._count + len(bundle.entities) > _MOST_ENTITIES:
            saying.warn("too many entities: not remembered")
        else:
            self._forget(topic)
            self._learn(topic, bundle)
        told: dict[str, Any] = {"device": bundle.device, "availability_topics": [p.topic for p in bundle.presence]}
        if bundle.mode != "latest":
            told["availability_mode"] = bundle.mode
        if bundle.skipped:
            told["skipped"] = list(bundle.skipped)
        if kind == "device":
            told["components"] = [entity.told() for entity in bundle.entities]
        elif bundle.entities:
            told |= bundle.entities[0].told()
        else:
            told |= {"kind": kind}
        intervals = [e.expire_after_s for e in bundle.entities if e.expire_after_s is not None]
        if intervals:
            saying.fields["expected_interval_s"] = min(intervals)
        return (saying.decoded(info={**dict(bundle.info), "discovery": told}, retained_state=True),)

    def _learn(self, topic: str, bundle: Bundle) -> None:
        self._bundles[topic] = bundle
        by_topic: dict[str, list[Entity]] = {}
        for entity in bundle.entities:
            if not entity.refused:
                by_topic.setdefault(entity.state_topic, []).append(entity)
                self._count += 1
        for state_topic, entities in by_topic.items():
            self._states.setdefault(state_topic, {})[topic] = tuple(entities)
        for presence in bundle.presence:
            self._presence.setdefault(presence.topic, {})[topic] = (bundle.device, presence, bundle.mode)

    def _forget(self, topic: str) -> None:
        bundle = self._bundles.pop(topic, None)
        if bundle is None:
            return
        for entity in bundle.entities:
            self._count -= not entity.refused
            self._drop(self._states, entity.state_topic, topic)
        for presence in bundle.presence:
            self._drop(self._presence, presence.topic, topic)

    @staticmethod
    def _drop(table: dict[str, dict[str, Any]], key: str, topic: str) -> None:
        if key in table:
            table[key].pop(topic, None)
            if not table[key]:
                del table[key]

    # -- what devices publish -------------------------------------------------------------------------------------------

    def _published(self, topic: str, payload: bytes, received_at_ms: int) -> tuple[Decoded, ...] | Reject:
        said: dict[str, Saying] = {}
        if not payload.strip():
            return (Saying(NAME, "-", "", received_at_ms).decoded(ignored="retained clear"),)
        body = _Body(payload)
        for device, presence, mode in dict.fromkeys(self._presence.get(topic, {}).values()):
            word = body.word(presence.path)
            if word in (presence.online, presence.offline):
                saying = said.setdefault(device, Saying(NAME, device, device, received_at_ms, self._context.zone))
                saying.fields["availability"] = self._available(device, topic, word == presence.online, mode)
        trouble = ""
        for entities in self._states.get(topic, {}).values():
            for entity in entities:
                saying = said.setdefault(
                    entity.device, Saying(NAME, entity.device, entity.device, received_at_ms, self._context.zone)
                )
                trouble = self._state(entity, body, saying) or trouble
        kept = [saying for saying in said.values() if not saying.empty]
        for saying in kept:
            if any(event.type == "alarm_unclear" for event in saying.findings.events) and not body.is_object:
                # a bare word has no closing bracket: what is no word of an alarm can be a part of one, cut off
                return Reject(
                    codec=NAME,
                    reason="bad value",
                    detail=short(body.text[:60]),
                    device=saying.device,
                    address=saying.address,
                )
        if kept:
            return tuple(saying.decoded() for saying in kept)
        first = next(iter(said.values()), None)
        if trouble:
            return Reject(codec=NAME, reason="bad value", detail=trouble, device=first.device if first else "")
        return ((first or Saying(NAME, "-", "", received_at_ms)).decoded(ignored="no value that discovery named"),)

    def _available(self, device: str, topic: str, online: bool, mode: str) -> bool:
        known = (
            self._online.setdefault(device, {}) if len(self._online) < _MOST_ENTITIES or device in self._online else {}
        )
        known.pop(topic, None)
        known[topic] = online
        if mode == "all":
            return all(known.values())
        return any(known.values()) if mode == "any" else online

    @staticmethod
    def _state(entity: Entity, body: _Body, saying: Saying) -> str:
        """Adds the value of `entity`; why there is none, or ""."""
        found, value = body.at(entity.path or (), entity.is_json)
        if not found:
            return "" if body.is_object else f"{entity.id}: the message is no JSON"
        if isinstance(value, dict | list):
            return ""
        word = str(value).strip().lower() if not isinstance(value, bool) else "true" if value else "false"
        if value is None or word in ("none", "unknown", "unavailable", ""):
            saying.unknown(entity.metric)
            return ""
        if entity.kind in ("binary_sensor", "switch", "light", "fan", "siren"):
            if word == entity.on or (entity.on == "on" and word in ("true",)):
                saying.put(entity.metric, True, key=entity.id)
            elif word == entity.off or (entity.off == "off" and word in ("false",)):
                saying.put(entity.metric, False, key=entity.id)
            else:
                known = QUANTITIES.get(entity.metric)
                if known is not None and known.alarm:
                    saying.put(entity.metric, f"?{word[:40]}", key=entity.id)
                else:
                    saying.warn(f"{entity.id} {short(value)} is neither {entity.on} nor {entity.off}")
                    saying.unknown(entity.metric)
            return ""
        if entity.words:
            saying.put(entity.metric, dict(entity.words).get(word, value), key=entity.id)
            return ""
        saying.put(entity.metric, value, unit=entity.unit if entity.metric in QUANTITIES else "", key=entity.id)
        return ""


class _Body:
    """A message, read once: as text, and as JSON when somebody asks for a path."""

    def __init__(self, payload: bytes) -> None:
        self.text = text_of(payload[:_LONG])[0].strip()
        self.is_object = payload.lstrip()[:1] in (b"{", b"[")
        self._value: Any = None
        if self.is_object or payload.lstrip()[:1] == b'"':
            parsed = parse(payload)
            if isinstance(parsed, Malformed):
                self.is_object, self.text = False, "?"
            else:
                self._value = parsed.value

    def at(self, path: tuple[str, ...], is_json: bool) -> tuple[bool, Any]:
        if not is_json and not path:
            return (not self.is_object and self.text != "?"), self.text
        value: Any = self._value
        if not self.is_object:
            return False, None
        for key in path:
            if isinstance(value, dict) and key in value:
                value = value[key]
            elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
                value = value[int(key)]
            else:
                return False, None
        return True, value

    def word(self, path: tuple[str, ...]) -> str:
        found, value = self.at(path, bool(path))
        if not found:
            return ""
        return ("true" if value else "false") if isinstance(value, bool) else str(value).strip().lower()


def filters(root: str) -> tuple[Filter, ...]:
    """Discovery alone: the topics of the states are the source's to name."""
    return (Filter(f"{root}/+/+/config"), Filter(f"{root}/+/+/+/config"), Filter(f"{root}/status"))


def root_of(topic: str) -> str:
    levels = topic.split("/")
    return "/".join(levels[: levels.index("homeassistant") + 1]) if "homeassistant" in levels else levels[0]
