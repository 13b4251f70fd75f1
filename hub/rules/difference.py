"""What is different between two sets of rules, as people mean it: key by key, by device, and whether protection is lost. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from hub.model.places import Name
from hub.model.rules import SEVERITIES, RuleSpec
from hub.registry.snapshot import Registry
from hub.rules.ruleset import Rule, RuleSet
from hub.rules.scope import Members, shared_out

What = Literal["added", "removed", "changed", "texts"]
TEXTS = ("name", "cause", "consequence", "action", "source", "certainty", "why")
"""Keys that only say something to people: changing them changes no alert but its words."""
_FIELDS = (
    "kind",
    "name",
    "severity",
    "latch",
    "enabled",
    "alert",
    "cause",
    "consequence",
    "action",
    "respond_within_s",
)
_MORE = ("responder", "source", "certainty")
_ABSENT = object()

_MORE_IS_LESS: Final = frozenset(
    (
        "above",
        "at_least",
        "clear_below",
        "samples",
        "hold_s",
        "rises",
        "falls",
        "changes",
        "min_samples",
        "min_span_s",
        "for_s",
        "times",
        "more_than",
        "longer_than_s",
        "pause_s",
        "count",
        "share",
        "silent_s",
        "wait_s",
        "fresh_s",
        "max_per_h",
    )
)
"""Keys of `when` that, made greater, make a rule speak later or less often."""
_LESS_IS_LESS: Final = frozenset(
    (
        "below",
        "at_most",
        "clear_above",
        "within_s",
    )
)
_OTHER_IS_LESS: Final = frozenset(
    (
        "equals",
        "reaches",
        "direction",
        "per",
        "over_s",
        "window_s",
        "to",
        "from",
        "unless",
        "outside",
        "during",
        "all",
        "any",
        "expect",
        "after",
        "area",
        "kind",
        "quantity",
        "tolerance",
        "idle_at",
        "method",
        "sensitivity",
    )
)
"""Keys of which it cannot be told; better a word too many."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One key of a rule, e.g. `when.above`, as JSON values. `old` or `new` None: the key is not there."""

    key: str
    old: Any
    new: Any

    @property
    def is_text(self) -> bool:
        return any(part in TEXTS for part in self.key.rsplit("]", 1)[-1].split("."))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Devices that a change of a rule touches. `restarted`: delays and memory of the rule start afresh there; `gained` and
    `lost` are watched by the rule only afterwards, or only before."""

    devices: int = 0
    restarted: int = 0
    gained: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleChange:
    """One rule that is different. `fields` are empty for one that was added or removed."""

    what: What
    before: Rule | None
    after: Rule | None
    fields: tuple[FieldChange, ...] = ()
    reach: Reach | None = None  # None: asked without a registry

    @property
    def rule(self) -> RuleSpec:
        """The rule as it will be; for a removed one as it was."""
        rule = self.after or self.before
        assert rule is not None
        return rule.spec

    @property
    def id(self) -> str:
        return self.rule.id

    @property
    def loses(self) -> tuple[str, ...]:
        """In which way a P1 or P2 protects less afterwards: a word each for machines, none when it does not."""
        before, after = self.before, self.after
        if before is None or before.spec.severity not in ("P1", "P2") or not before.spec.enabled:
            return ()
        if after is None:
            return ("removed",)
        found = []
        if not after.spec.enabled:
            found.append("disabled")
        if before.spec.alert and not after.spec.alert:
            found.append("silenced")
        if SEVERITIES.index(after.spec.severity) > SEVERITIES.index(before.spec.severity):
            found.append("severity")
        if self.reach is not None and self.reach.lost and after.spec.enabled:
            found.append("devices")
        if any(_less(one, _own_facts(before), _own_facts(after)) for one in self.fields):
            found.append("limits")
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Difference:
    """All rules that are different, by id. Moving a rule to another line or file is no difference."""

    changes: tuple[RuleChange, ...] = ()
    devices: int | None = None  # touched by any of them

    def __bool__(self) -> bool:
        return bool(self.changes)

    def of(self, what: What) -> tuple[RuleChange, ...]:
        return tuple(change for change in self.changes if change.what == what)

    @property
    def losses(self) -> tuple[RuleChange, ...]:
        return tuple(change for change in self.changes if change.loses)

    def summary(self) -> dict[str, Any]:
        """As short JSON, for logs and for the history."""
        found: dict[str, Any] = {what: [c.id for c in self.of(what)] for what in ("added", "removed", "texts")}
        found["changed"] = {c.id: {f.key: [_short(f.old), _short(f.new)] for f in c.fields} for c in self.of("changed")}
        found["loses"] = {c.id: list(c.loses) for c in self.losses}
        if self.devices is not None:
            found["devices"] = self.devices
        return {key: value for key, value in found.items() if value or key == "devices"}


def _less(field: FieldChange, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether with `field` a rule may speak later or less often. What an override leaves out is as in the rule itself."""
    key = field.key.rsplit("]", 1)[-1].strip(".")
    name = key.rsplit(".", 1)[-1]
    if name in _OTHER_IS_LESS:
        return key.startswith("when") or key in ("kind", "on.quantity")
    if not key.startswith("when") or name not in _MORE_IS_LESS | _LESS_IS_LESS:
        return False
    old = before.get(key) if field.old is None else field.old
    new = after.get(key) if field.new is None else field.new
    if not isinstance(old, int | float) or not isinstance(new, int | float):
        return True
    return bool(new > old) if name in _MORE_IS_LESS else bool(new < old)


def difference(before: RuleSet, after: RuleSet, registry: Registry | None = None) -> Difference:
    """What becomes different when `after` takes the place of `before`; with a registry, also for how many devices."""
    old, new = ({rule.spec.id: rule for rule in rules.rules} for rules in (before, after))
    members = None if registry is None else Members(registry)
    touched = None if registry is None else np.zeros(len(registry), np.bool_)
    changes = []
    for rule_id in sorted(old.keys() | new.keys()):
        one, other = old.get(rule_id), new.get(rule_id)
        if one is None or other is None:
            what: What = "added" if one is None else "removed"
            fields: tuple[FieldChange, ...] = ()
        else:
            fields = tuple(_fields(facts(one), facts(other)))
            what = "texts" if all(f.is_text for f in fields) else "changed"
            if not fields:
                continue
        reach = None
        if members is not None and touched is not None:
            reach, slots = _reach(one, other, members)
            touched |= slots
        changes.append(RuleChange(what=what, before=one, after=other, fields=fields, reach=reach))
    return Difference(tuple(changes), None if touched is None else int(touched.sum()))


def facts(rule: Rule) -> dict[str, Any]:
    """Every key of a rule as it stands in its file, nested ones with dots, as JSON values; what is left out has its default."""
    found = _own_facts(rule)
    seen: dict[str, int] = {}
    for override in rule.overrides:
        where = str(override.scope)
        seen[where] = seen.get(where, 0) + 1
        place = f"overrides[{where}]" if seen[where] == 1 else f"overrides[{where} #{seen[where]}]"
        differing = {k: v for k, v in _own_facts(override).items() if v != found.get(k) and not k.startswith("on.")}
        why = override.spec.origin.removeprefix(f"{where}: ")
        found |= {f"{place}.{key}": value for key, value in {**differing, "why": why}.items()}
    return found


def _own_facts(rule: Rule) -> dict[str, Any]:
    spec, scope = rule.spec, rule.scope
    found: dict[str, Any] = {}
    for key in _FIELDS + _MORE:
        value = getattr(spec, key)
        found |= {f"{key}.zh": value.zh, f"{key}.en": value.en} if isinstance(value, Name) else {key: value}
    found["on.device_kind"] = list(spec.device_kinds)
    found["on.quantity"] = spec.quantity
    for key, names in (
        ("model", scope.models),
        ("place", scope.places),
        ("device", scope.devices),
        ("tag", scope.tags),
    ):
        found[f"on.{key}"] = list(names)
    found["inhibited_by"] = [f"{one.rule} ({one.where})" for one in rule.inhibitors]
    return found | _flat("when", spec.when)


def _flat(key: str, value: Any) -> dict[str, Any]:
    """`value` as JSON, one entry per key however deep."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    if not isinstance(value, dict):
        return {key: value}
    return {inner: leaf for name, one in value.items() for inner, leaf in _flat(f"{key}.{name}", one).items()}


def _fields(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[FieldChange]:
    for key in dict.fromkeys((*old, *new)):
        one, other = old.get(key, _ABSENT), new.get(key, _ABSENT)
        if one != other:
            yield FieldChange(key, None if one is _ABSENT else one, None if other is _ABSENT else other)


def _reach(before: Rule | None, after: Rule | None, members: Members) -> tuple[Reach, NDArray[np.bool_]]:
    """How many devices the change touches, and which (by slot). A rule that is off watches nothing."""
    old, new = _variants(before, members), _variants(after, members)
    was, will = old[0] >= 0, new[0] >= 0
    both = was & will
    acts = _table(old[1], new[1], lambda a, b: _acts(a) != _acts(b))
    versions = _table(old[1], new[1], lambda a, b: a.spec.version != b.spec.version)
    changed, restarted = (both & table[old[0], new[0]] for table in (acts, versions))
    touched = changed | (was ^ will)
    reach = Reach(
        devices=int(touched.sum()),
        restarted=int(restarted.sum()),
        gained=int((will & ~was).sum()),
        lost=int((was & ~will).sum()),
    )
    return reach, touched


def _table(old: Sequence[Rule], new: Sequence[Rule], differ: Callable[[Rule, Rule], bool]) -> NDArray[np.bool_]:
    """Which variants differ, by number; False for -1, which is none of them, on either side."""
    table = np.zeros((len(old) + 1, len(new) + 1), bool)
    for n, a in enumerate(old):
        table[n, : len(new)] = [differ(a, b) for b in new]
    return table


def _variants(rule: Rule | None, members: Members) -> tuple[NDArray[np.int32], list[Rule]]:
    """By slot: which of the rule's variants decides there, -1 none; and the variants."""
    by_slot = np.full(len(members.registry), -1, np.int32)
    if rule is None:
        return by_slot, []
    shares = shared_out(rule, members)
    for number, (one, slots) in enumerate(shares):
        if one.spec.enabled:
            by_slot[slots] = number
    return by_slot, [one for one, _ in shares]


def _acts(rule: Rule) -> dict[str, Any]:
    """What decides when the variant alerts and how: not its words, and not where it holds."""
    own = _own_facts(rule)
    return {key: value for key, value in own.items() if not key.startswith("on.") and key.split(".")[0] not in TEXTS}


def _short(value: Any) -> Any:
    text = value if isinstance(value, str) else str(value)
    return value if len(text) <= 120 else f"{text[:119]}…"
