"""Alarms in the journal, read apart from the rules: what devices said that must have become an alert."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

from hub.ingest.plain import Glance
from hub.model.quantities import ALARM_QUANTITY
from hub.model.readings import Decoded, Quality, Reject
from hub.registry.snapshot import Registry
from hub.rules.ruleset import Rule, RuleSet
from hub.stores.journal import TICK, Journal, Record, Trimmed

_SWITCHES = frozenset(ALARM_QUANTITY.values())
_DOUBTFUL = int(Quality.TEST | Quality.UNKNOWN | Quality.IMPLAUSIBLE)
_OWN = "$hub/"
_AT_ONCE = 256


class Said(NamedTuple):
    """A device said that `quantity` is in alarm. `position`: where in the journal."""

    device: str
    quantity: str
    at_ms: int
    position: int


class Dialects(Protocol):
    """What understands messages, e.g. a `Router`; one of its own, since it remembers devices."""

    @property
    def plain(self) -> Glance: ...

    def decode(
        self, topic: str, payload: bytes, *, received_at_ms: int, retained: bool
    ) -> tuple[Decoded, ...] | Reject: ...


def alarms_in(
    records: Iterable[Record], dialects: Dialects, registry: Registry, watched: Mapping[str, frozenset[str]]
) -> list[Said]:
    """The first alarm of each device and quantity in `records` that a rule must judge at once (`watched_at_once`).

    A message that a glance tells to be of gauges and counters only holds no alarm, and is not decoded. What is retained, only a test or doubtful is left out: whether such a thing raises is for the rules to decide.
    """
    found: dict[tuple[str, str], Said] = {}
    plain, kinds = dialects.plain, registry.kinds
    for record in records:
        if record.kind == TICK or record.retained or record.topic.startswith(_OWN):
            continue
        if plain(record.topic, record.payload, record.at_ms) is not None:
            continue
        said = dialects.decode(record.topic, record.payload, received_at_ms=record.at_ms, retained=False)
        if isinstance(said, Reject):
            continue
        for one in said:
            slot = registry.slot_of_address.get(one.address)
            if slot is None or one.ignored or not one.readings:
                continue
            for reading in one.readings:
                if reading.quantity not in _SWITCHES or reading.value is not True or int(reading.quality) & _DOUBTFUL:
                    continue
                if kinds[registry.kind[slot]] in watched.get(reading.quantity, ()):
                    key = (registry.ids[slot], reading.quantity)
                    found.setdefault(key, Said(*key, record.at_ms, record.position))
    return list(found.values())


def watched_at_once(rules: RuleSet) -> dict[str, frozenset[str]]:
    """Quantity → kinds of device whose alarm some rule makes an alert at once, wherever they are and whatever else holds."""
    found: dict[str, set[str]] = {}
    for rule in rules.rules:
        if _at_once(rule):
            found.setdefault(rule.spec.quantity, set()).update(rule.spec.device_kinds)
    return {quantity: frozenset(kinds) for quantity, kinds in found.items()}


def _at_once(rule: Rule) -> bool:
    spec, scope = rule.spec, rule.scope
    narrow = scope.models or scope.places or scope.devices or scope.tags
    if not (spec.enabled and spec.alert and spec.kind == "threshold" and spec.severity in ("P1", "P2")):
        return False
    if rule.inhibitors or rule.overrides or narrow:
        return False

    def asked(key: str) -> object:
        return spec.when.get(key) if isinstance(spec.when, Mapping) else getattr(spec.when, key, None)

    return asked("equals") is True and not asked("hold_s")


class JournalAlarms:
    """Reads the journal for alarms on a cursor of its own, from `position` on. One owner thread calls it."""

    def __init__(
        self,
        journal: Journal,
        dialects: Dialects,
        registry: Callable[[], Registry],
        watched: Callable[[], Mapping[str, frozenset[str]]],
        *,
        position: int,
        breathe: Callable[[], object] = lambda: None,
    ) -> None:
        self._journal, self._dialects, self._registry, self._watched, self._breathe = (
            journal, dialects, registry, watched, breathe,
        )  # fmt: skip
        self._position = max(position, journal.tail)

    def __call__(self) -> list[Said]:
        """What was said since the last call. In small steps, so that the rules are not kept waiting."""
        found: list[Said] = []
        registry, watched, end = self._registry(), self._watched(), self._journal.head
        while self._position < end:
            try:
                records = self._journal.read(self._position, limit=min(_AT_ONCE, end - self._position))
            except Trimmed as gone:
                self._position = gone.first_kept
                continue
            if not records:
                break
            found += alarms_in(records, self._dialects, registry, watched)
            self._position = records[-1].position + 1
            self._breathe()
        return found
