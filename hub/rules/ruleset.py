"""Loads rules: YAML files of a folder → RuleSet. Every complaint at once; a rule without its rationalisation does not load."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from hub import documents
from hub.documents import Document, Strict
from hub.errors import Complaint, ConfigError
from hub.model.places import Name
from hub.model.quantities import QUANTITIES
from hub.model.rules import RuleSpec, Severity
from hub.registry.kinds import DEVICE_KINDS
from hub.rules.kinds import KINDS
from hub.rules.kinds.kind import Compiled, Context


class Words(Strict):
    """A text in both languages."""

    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)


class On(Strict):
    """What the rule watches: one or several kinds of device, and (for most kinds of rule) one quantity."""

    device_kind: str | list[str]
    quantity: str = ""

    @field_validator("device_kind")
    @classmethod
    def _known_kinds(cls, value: str | list[str]) -> str | list[str]:
        import difflib

        for kind in [value] if isinstance(value, str) else value:
            if kind not in DEVICE_KINDS and kind != "*":
                near = difflib.get_close_matches(kind, DEVICE_KINDS, n=1)
                raise ValueError(f"unknown device kind {kind!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        return value


class RuleEntry(Strict):
    """One rule as written. All of the rationalisation (ISA-18.2) is required."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{1,63}$")
    kind: str
    name: Words
    on: On
    when: dict[str, Any] = {}
    severity: Severity
    latch: bool = False
    enabled: bool = True
    cause: Words
    consequence: Words
    action: Words
    respond_within_s: int = Field(gt=0, le=30 * 86_400)
    responder: Literal["station", "grid_worker", "property", "electrician", "maintainer", "officer"]
    source: str = Field(min_length=1)
    certainty: Literal["A", "B", "C", "M"]

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, value: str) -> str:
        if value not in KINDS:
            raise ValueError(f"unknown rule kind {value!r}; known: {', '.join(KINDS)}")
        return value


@dataclass(frozen=True, slots=True)
class Rule:
    """A loaded rule and its runnable form."""

    spec: RuleSpec
    run: Compiled


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Rules in the order of their ids; `version` changes when any rule does."""

    rules: tuple[Rule, ...]
    version: str

    def find(self, rule_id: str) -> Rule | None:
        return next((r for r in self.rules if r.spec.id == rule_id), None)


def load_rules(folder: Path) -> RuleSet:
    """All rules of `folder`/*.yaml. Raises ConfigError with every complaint of every file."""
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise ConfigError.one(str(folder), "no rules: the folder has no *.yaml file", remedy="copy config/rules")
    complaints: list[Complaint] = []
    rules: list[Rule] = []
    for path in files:
        document, wrong = documents.read(path)
        complaints += wrong
        if document is not None:
            found, wrong = _rules_of(document)
            rules += found
            complaints += wrong
    complaints += _doubled(rules)
    if complaints:
        raise ConfigError(complaints)
    rules.sort(key=lambda r: r.spec.id)
    joined = "\n".join(r.spec.version for r in rules)
    return RuleSet(tuple(rules), hashlib.sha256(joined.encode()).hexdigest()[:12])


def _rules_of(document: Document) -> tuple[list[Rule], list[Complaint]]:
    data = document.data
    entries = data.get("rules") if isinstance(data, dict) else None
    if not isinstance(entries, list):
        return [], [document.complain((), "expected a key 'rules' with a list", "start the file with 'rules:'")]
    extra = [document.complain((k,), "unknown key", "only 'rules' stands at the top") for k in data if k != "rules"]
    rules, complaints = [], extra
    for n, entry in enumerate(entries):
        rule, wrong = _rule(document, n, entry)
        complaints += wrong
        if rule is not None:
            rules.append(rule)
    return rules, complaints


def _rule(document: Document, n: int, data: Any) -> tuple[Rule | None, list[Complaint]]:
    at: documents.Path_ = ("rules", n)
    entry, wrong = documents.check(RuleEntry, document, data, at)
    if entry is None:
        return None, wrong
    kind = KINDS[entry.kind]
    when, wrong = documents.check(kind.When, document, entry.when, (*at, "when"))
    if kind.needs_quantity and entry.on.quantity not in QUANTITIES:
        import difflib

        near = difflib.get_close_matches(entry.on.quantity, QUANTITIES, n=1)
        wrong.append(
            document.complain(
                (*at, "on", "quantity"),
                f"unknown quantity {entry.on.quantity!r}" if entry.on.quantity else "this key is missing",
                f"did you mean '{near[0]}'?" if near else "see hub/model/quantities.py for the table",
            )
        )
    if not kind.needs_quantity and entry.on.quantity:
        wrong.append(
            document.complain((*at, "on", "quantity"), f"a rule of kind {kind.name} takes no quantity", "remove it")
        )
    if when is None or wrong:
        return None, wrong
    try:
        run = kind.compile(when, QUANTITIES.get(entry.on.quantity), Context())
    except ValueError as bad:
        return None, [document.complain((*at, "when"), str(bad), "correct the limit")]
    kinds = entry.on.device_kind
    spec = RuleSpec(
        id=entry.id,
        kind=entry.kind,
        name=_name(entry.name),
        severity=entry.severity,
        device_kinds=(kinds,) if isinstance(kinds, str) else tuple(kinds),
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
        version=_version(entry),
    )
    return Rule(spec, run), []


def _name(words: Words) -> Name:
    return Name(zh=words.zh, en=words.en)


def _version(entry: RuleEntry) -> str:
    """Of what decides when the rule fires; its texts may change without forgetting its state."""
    core = {"id": entry.id, "kind": entry.kind, "on": entry.on.model_dump(), "when": entry.when}
    return hashlib.sha256(json.dumps(core, sort_keys=True).encode()).hexdigest()[:12]


def _doubled(rules: list[Rule]) -> list[Complaint]:
    first: dict[str, RuleSpec] = {}
    complaints = []
    for rule in rules:
        other = first.setdefault(rule.spec.id, rule.spec)
        if other is not rule.spec:
            complaints.append(
                Complaint(
                    file=rule.spec.file,
                    line=rule.spec.line,
                    key=rule.spec.id,
                    message="a rule with this id exists already",
                    remedy=f"rename it (the first is in {other.file}:{other.line})",
                )
            )
    return complaints
