"""Loads rules: YAML files of a folder → RuleSet. Every complaint at once; a rule without its rationalisation does not load."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hub import documents
from hub.documents import Document
from hub.errors import Complaint, ConfigError
from hub.model.places import Name
from hub.model.quantities import QUANTITIES
from hub.model.rules import RuleSpec
from hub.rules.entries import OverrideEntry, RuleEntry, Where, Words, names_in
from hub.rules.kinds import KINDS
from hub.rules.kinds.kind import Compiled, Context
from hub.rules.naming import named
from hub.wrong_values import near


@dataclass(frozen=True, slots=True)
class Scope:
    """Devices that every given word fits; an empty tuple asks nothing."""

    kinds: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def __str__(self) -> str:
        words = ("kind", self.kinds), ("model", self.models), ("place", self.places), ("device", self.devices)
        return ", ".join(f"{word} {' or '.join(names)}" for word, names in (*words, ("tag", self.tags)) if names)


@dataclass(frozen=True, slots=True)
class Inhibitor:
    """A rule whose condition keeps another one quiet, and where it must hold: the device's parent or an area around it."""

    rule: str
    where: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A loaded rule (or one of its overrides: same id, own numbers) and its runnable form."""

    spec: RuleSpec
    run: Compiled
    scope: Scope = Scope()
    inhibitors: tuple[Inhibitor, ...] = ()
    overrides: tuple[Rule, ...] = ()

    @property
    def refers_to(self) -> tuple[str, ...]:
        """Ids of the rules whose conditions this one needs to know."""
        counted = self.run.counted.rules if self.run.counted is not None else ()
        triggers = tuple(rule for trigger in self.run.triggers for rule in trigger.rules)
        return (*counted, *triggers, *(one.rule for one in self.inhibitors))


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Rules in the order of their ids; `version` changes when any rule does."""

    rules: tuple[Rule, ...]
    version: str

    def find(self, rule_id: str) -> Rule | None:
        return next((r for r in self.rules if r.spec.id == rule_id), None)

    def in_turn(self) -> tuple[Rule, ...]:
        """Every rule after those that it refers to."""
        order = _in_turn({rule.spec.id: rule for rule in self.rules})
        assert order is not None, "a circle is refused when the rules are loaded"
        return order


def _in_turn(rules: dict[str, Rule]) -> tuple[Rule, ...] | None:
    """`rules` after those that they refer to, else by id; None when they refer to each other in a circle."""
    placed: dict[str, Rule] = {}
    waiting = dict(rules)
    while waiting:
        ready = [r for r in waiting.values() if all(other in placed or other not in rules for other in _needs(r))]
        if not ready:
            return None
        for rule in ready:
            placed[rule.spec.id] = waiting.pop(rule.spec.id)
    return tuple(placed.values())


def _needs(rule: Rule) -> tuple[str, ...]:
    return tuple(other for one in (rule, *rule.overrides) for other in one.refers_to)


def load_rules(folder: Path, *, context: Context | None = None) -> RuleSet:
    """All rules of `folder`/*.yaml. Raises ConfigError with every complaint of every file."""
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise ConfigError.one(str(folder), "no rules: the folder has no *.yaml file", remedy="copy config/rules")
    found = [documents.read(path) for path in files]
    return rules_of(
        [document for document, _ in found if document is not None],
        [complaint for _, wrong in found for complaint in wrong],
        context=context,
    )


def rules_of(
    read: list[Document], complaints: list[Complaint] | None = None, *, context: Context | None = None
) -> RuleSet:
    """The rules of documents that were read already, e.g. texts that are not on disk yet. Raises ConfigError with every
    complaint, `complaints` included."""
    complaints = list(complaints or ())
    rules: list[Rule] = []
    for document in read:
        found, wrong = _rules_of(document, context or Context())
        rules += found
        complaints += wrong
    complaints += _doubled(rules) + _lost_references(rules, complaints)
    if complaints:
        raise ConfigError(named(complaints, read))
    return as_set(rules)


def laid_over(
    base: RuleSet, read: list[Document], complaints: list[Complaint] | None = None, *, context: Context | None = None
) -> RuleSet:
    """`base` with the rules of `read` in the place of those with the same id, and beside the others. Raises ConfigError with
    every complaint, `complaints` included."""
    wrong = list(complaints or ())
    rules: list[Rule] = []
    for document in read:
        found, more = _rules_of(document, context or Context())
        rules += found
        wrong += more
    wrong += _doubled(rules)
    own = {rule.spec.id for rule in rules}
    whole = [*rules, *(rule for rule in base.rules if rule.spec.id not in own)]
    wrong += _lost_references(whole, wrong)
    if wrong:
        raise ConfigError(wrong)
    return as_set(whole)


def as_set(rules: list[Rule]) -> RuleSet:
    rules = sorted(rules, key=lambda r: r.spec.id)
    joined = "\n".join(one.spec.version + one.spec.severity for r in rules for one in (r, *r.overrides))
    return RuleSet(tuple(rules), hashlib.sha256(joined.encode()).hexdigest()[:12])


def _rules_of(document: Document, context: Context = Context()) -> tuple[list[Rule], list[Complaint]]:
    data = document.data
    entries = data.get("rules") if isinstance(data, dict) else None
    if not isinstance(entries, list):
        return [], [document.complain((), "expected a key 'rules' with a list", "start the file with 'rules:'")]
    extra = [document.complain((k,), "unknown key", "only 'rules' stands at the top") for k in data if k != "rules"]
    rules, complaints = [], extra
    for n, entry in enumerate(entries):
        rule, wrong = _rule(document, n, entry, context)
        complaints += wrong
        if rule is not None:
            rules.append(rule)
    return rules, complaints


def _rule(document: Document, n: int, data: Any, context: Context) -> tuple[Rule | None, list[Complaint]]:
    at: documents.Path_ = ("rules", n)
    entry, wrong = documents.check(RuleEntry, document, data, at)
    if entry is None:
        given = data if isinstance(data, dict) else {}
        known = KINDS.get(str(given.get("kind")))
        if known is not None and isinstance(given.get("when"), dict):  # its mistakes are said as well
            wrong += documents.check(known.When, document, given["when"], (*at, "when"))[1]
        return None, wrong
    kind = KINDS[entry.kind]
    if kind.needs_quantity and entry.on.quantity not in QUANTITIES:
        wrong.append(
            document.complain(
                (*at, "on", "quantity"),
                f"unknown quantity {entry.on.quantity!r}" if entry.on.quantity else "this key is missing",
                near(entry.on.quantity, QUANTITIES, "see hub/model/quantities.py for the table"),
            )
        )
    if not kind.needs_quantity and entry.on.quantity:
        wrong.append(
            document.complain((*at, "on", "quantity"), f"a rule of kind {kind.name} takes no quantity", "remove it")
        )
    when, run, more = _runnable(document, entry, entry.when, (*at, "when"), context, quantity_known=not wrong)
    wrong += more
    if when is None or run is None or wrong:
        return None, wrong
    spec = RuleSpec(
        id=entry.id,
        kind=entry.kind,
        name=_name(entry.name),
        severity=entry.severity,
        device_kinds=names_in(entry.on.device_kind),
        quantity=entry.on.quantity,
        when=when,
        cause=_name(entry.cause),
        consequence=_name(entry.consequence),
        action=_name(entry.action),
        respond_within_s=entry.respond_within_s,
        responder=entry.responder,
        source=entry.source,
        certainty=entry.certainty,
        latch=entry.latch,
        enabled=entry.enabled,
        file=document.file,
        line=document.line(at) or 0,
        version=_version(entry, entry.when),
        alert=entry.alert,
    )
    base = Rule(
        spec,
        run,
        _scope(names_in(entry.on.device_kind), entry.on),
        tuple(Inhibitor(one.rule, one.where) for one in entry.inhibited_by),
    )
    overrides = []
    for number, override in enumerate(entry.overrides):
        one, more = _override(document, base, entry, override, (*at, "overrides", number), context)
        wrong += more
        if one is not None:
            overrides.append(one)
    rule = replace(base, overrides=tuple(overrides))
    wrong += [c for one in (rule, *overrides) for c in _unsafe(document, one, at)]
    return (None if wrong else rule), wrong


def _override(
    document: Document, base: Rule, entry: RuleEntry, override: OverrideEntry, at: documents.Path_, context: Context
) -> tuple[Rule | None, list[Complaint]]:
    scope = _scope(names_in(override.scope.device_kind), override.scope)
    if scope == Scope():
        return None, [
            document.complain((*at, "scope"), "names no devices", "give device, place, tag, model or device_kind")
        ]
    merged = {**entry.when, **override.when}
    when, run, wrong = _runnable(document, entry, merged, (*at, "when"), context)
    if when is None or run is None:
        return None, wrong
    changed: dict[str, Any] = {
        "when": when,
        "version": _version(entry, merged),
        "line": document.line(at) or base.spec.line,
        "origin": f"{scope}: {override.why}",
    }
    for key in ("severity", "respond_within_s", "enabled"):
        if getattr(override, key) is not None:
            changed[key] = getattr(override, key)
    return replace(base, spec=replace(base.spec, **changed), run=run, scope=scope), []


def _runnable(
    document: Document,
    entry: RuleEntry,
    given: dict[str, Any],
    at: documents.Path_,
    context: Context,
    *,
    quantity_known: bool = True,
) -> tuple[Any, Compiled | None, list[Complaint]]:
    kind = KINDS[entry.kind]
    when, wrong = documents.check(kind.When, document, given, at)
    if when is None or not quantity_known:
        return None, None, wrong
    try:
        return when, kind.compile(when, QUANTITIES.get(entry.on.quantity), context), wrong
    except ValueError as bad:
        return None, None, [document.complain(at, str(bad), "correct the limit")]


def _unsafe(document: Document, rule: Rule, at: documents.Path_) -> Iterator[Complaint]:
    """What no rule may be, whatever it watches."""
    spec = rule.spec
    if rule.overrides and rule.run.counted is not None:
        yield document.complain(
            (*at, "overrides"),
            "a rule about an area takes no overrides",
            "write a rule of its own for those places (on.place)",
        )
    if spec.severity == "P1" and rule.inhibitors:
        yield document.complain(
            (*at, "inhibited_by"), "a P1 can never be inhibited", "remove inhibited_by, or make it P2 to P4"
        )
    if KINDS[spec.kind].advisory and spec.severity != "P4":
        yield document.complain(
            (*at, "severity"), f"{spec.kind} finds what is odd, not what is dangerous: it is P4 only", "write P4"
        )
    quantity = QUANTITIES.get(spec.quantity)
    if spec.severity == "P1" and spec.kind == "threshold" and quantity and quantity.alarm and rule.run.hold_ms:
        yield document.complain(
            (*at, "when", "hold_s"), "a life-safety alarm never waits", "remove hold_s; use clear_hold_s or latch"
        )


def _scope(kinds: tuple[str, ...], where: Where) -> Scope:
    return Scope(kinds, names_in(where.model), names_in(where.place), names_in(where.device), names_in(where.tag))


def _name(words: Words) -> Name:
    return Name(zh=words.zh, en=words.en)


def _version(entry: RuleEntry, when: dict[str, Any]) -> str:
    """Of what decides when the rule fires for a device that it watches; its texts may change without forgetting its state."""
    core = {"id": entry.id, "kind": entry.kind, "quantity": entry.on.quantity, "when": when}
    return hashlib.sha256(json.dumps(core, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _doubled(rules: list[Rule]) -> list[Complaint]:
    first: dict[str, RuleSpec] = {}
    complaints = []
    for rule in rules:
        other = first.setdefault(rule.spec.id, rule.spec)
        if other is not rule.spec:
            complaints.append(
                _about(
                    rule,
                    rule.spec.id,
                    "a rule with this id exists already",
                    f"rename it (the first is in {other.file}:{other.line})",
                )
            )
    return complaints


def _lost_references(rules: list[Rule], complaints: list[Complaint]) -> list[Complaint]:
    """References to rules that are not there (unless a file could not be read whole), and circles of them."""
    known = {rule.spec.id: rule for rule in rules}
    found = []
    for rule in rules:
        for other in dict.fromkeys(_needs(rule)):
            if other not in known and not complaints:
                remedy = near(other, known, "name a rule of this folder")
                found.append(_about(rule, rule.spec.id, f"refers to a rule that is not there: {other!r}", remedy))
    if not found and _in_turn(known) is None:
        found = [
            _about(rule, rule.spec.id, "refers to itself over other rules", "break the circle")
            for rule in rules
            if rule.spec.id in _reached(known, rule)
        ]
    return found


def _reached(known: dict[str, Rule], rule: Rule) -> set[str]:
    reached: set[str] = set()
    waiting = list(_needs(rule))
    while waiting:
        one = waiting.pop()
        if one not in reached:
            reached.add(one)
            waiting += _needs(known[one]) if one in known else ()
    return reached


def _about(rule: Rule, key: str, message: str, remedy: str) -> Complaint:
    return Complaint(file=rule.spec.file, line=rule.spec.line, key=key, message=message, remedy=remedy)
