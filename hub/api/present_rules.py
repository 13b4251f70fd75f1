"""The rules as the API shows them: a rule with its text, a difference key by key, an entry of the history."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from hub import documents
from hub.api.wire import ActorRef, Text, instant
from hub.api.wire_rules import (
    DifferenceOut,
    FieldOut,
    RuleChangeOut,
    RuleDetail,
    RuleOut,
    RuleOverride,
    RuleScope,
    VersionOut,
)
from hub.i18n import _, text
from hub.model.places import Name
from hub.registry.snapshot import Registry
from hub.rulebook import Loaded
from hub.rules.difference import Difference, RuleChange, facts
from hub.rules.ruleset import Rule
from hub.rules.scope import Members, shared_out
from hub.stores.rule_versions import FILE, RuleVersion

_BY_HAND = _("Files edited by hand")


class Reaches:
    """How many devices each rule and each of its overrides decides for; counted once per set of rules and registry."""

    def __init__(self, loaded: Loaded, registry: Registry) -> None:
        self.of_what = (loaded.rules, registry)
        members = Members(registry)
        self._shares = {
            rule.spec.id: [len(slots) for _, slots in shared_out(rule, members)] for rule in loaded.rules.rules
        }

    def of(self, rule_id: str) -> list[int]:
        """Devices of the rule itself, then of each override."""
        return self._shares[rule_id]


def rule_out(rule: Rule, reaches: Reaches) -> RuleOut:
    return RuleOut(**_rule(rule, reaches))


def rule_detail(rule: Rule, reaches: Reaches, loaded: Loaded) -> RuleDetail:
    """The rule with its own lines of its file."""
    spec = rule.spec
    name = base_name(spec.file)
    whole = loaded.texts.text(name)
    first, last, parsed = lines_of(whole, spec.id)
    return RuleDetail(
        **_rule(rule, reaches),
        cause=_text(spec.cause),
        consequence=_text(spec.consequence),
        action=_text(spec.action),
        text="".join(whole.splitlines(keepends=True)[first - 1 : last]),
        last_line=last,
        parsed=parsed,
        version=loaded.texts.version,
    )


def lines_of(whole: str, rule_id: str) -> tuple[int, int, dict[str, Any]]:
    """First and last line of a rule in its file, and what it says. What stands between two rules belongs to the second."""
    document, _wrong = documents.parse(whole, "")
    assert document is not None
    entries = document.data["rules"]
    number = next(n for n, entry in enumerate(entries) if entry.get("id") == rule_id)
    first = document.line(("rules", number)) or 1
    lines = whole.splitlines()
    after = document.line(("rules", number + 1)) if number + 1 < len(entries) else None
    last = (after or len(lines) + 1) - 1
    while last > first and (not lines[last - 1].strip() or lines[last - 1].lstrip().startswith("#")):
        last -= 1
    return first, last, entries[number]


def difference_out(difference: Difference) -> DifferenceOut:
    return DifferenceOut(changes=[_change(change) for change in difference.changes], devices=difference.devices or 0)


def version_out(
    entry: RuleVersion, registry: Registry, zone: ZoneInfo, *, running: str | None, locale: str
) -> VersionOut:
    """`running` names the content of the files in force. What the hub itself gave as the reason is said in `locale`."""
    return VersionOut(
        id=entry.id,
        at=instant(entry.at_ms, zone),
        at_ms=entry.at_ms,
        who=who_is(entry.who, registry),
        why=text(locale)(entry.why) if entry.who == FILE else entry.why,
        version=entry.version,
        parent=entry.parent,
        rolled_back_to=entry.rolled_back_to,
        applied_at_ms=entry.applied_at_ms,
        failed=entry.failed,
        running=entry.version == running,
        summary=dict(entry.summary),
    )


def who_is(who: str, registry: Registry) -> ActorRef:
    if who == FILE:
        return ActorRef(id=who, name=Text(zh=text("zh-CN")(_BY_HAND), en=_BY_HAND))
    person = registry.people.get(who)
    plain = who.removeprefix("token:")
    return ActorRef(id=who, name=_text(person.name) if person else Text(zh=plain, en=plain))


def base_name(file: str) -> str:
    return file.rpartition("/")[2]


def _rule(rule: Rule, reaches: Reaches) -> dict[str, Any]:
    spec, scope, counts = rule.spec, rule.scope, reaches.of(rule.spec.id)
    every = facts(rule)
    return {
        "id": spec.id,
        "kind": spec.kind,
        "name": _text(spec.name),
        "severity": spec.severity,
        "enabled": spec.enabled,
        "alert": spec.alert,
        "latch": spec.latch,
        "on": RuleScope(
            device_kind=list(spec.device_kinds),
            model=list(scope.models),
            place=list(scope.places),
            device=list(scope.devices),
            tag=list(scope.tags),
        ),
        "quantity": spec.quantity,
        "when": spec.when.model_dump(mode="json", by_alias=True, exclude_unset=True),
        "inhibited_by": every["inhibited_by"],
        "overrides": [
            _override(override, rule, count)
            # Where the rule watches no device at all, nothing is counted for its overrides.
            for override, count in zip(rule.overrides, counts[1:] or [0] * len(rule.overrides), strict=True)
        ],
        "respond_within_s": spec.respond_within_s,
        "responder": spec.responder,
        "source": spec.source,
        "certainty": spec.certainty,
        "devices": sum(counts),
        "file": base_name(spec.file),
        "line": spec.line,
    }


def _override(override: Rule, rule: Rule, devices: int) -> RuleOverride:
    where = str(override.scope)
    own, base = facts(replace(override, overrides=())), facts(replace(rule, overrides=()))
    changes = {key: value for key, value in own.items() if value != base.get(key) and not key.startswith("on.")}
    return RuleOverride(
        scope=where, why=override.spec.origin.removeprefix(f"{where}: "), devices=devices, changes=changes
    )


def _change(change: RuleChange) -> RuleChangeOut:
    spec, reach = change.rule, change.reach
    return RuleChangeOut(
        what=change.what,
        id=spec.id,
        name=_text(spec.name),
        severity=spec.severity,
        file=base_name(spec.file),
        line=spec.line,
        fields=[FieldOut(key=f.key, old=f.old, new=f.new, is_text=f.is_text) for f in change.fields],
        devices=reach.devices if reach else 0,
        restarted=reach.restarted if reach else 0,
        gained=reach.gained if reach else 0,
        lost=reach.lost if reach else 0,
        loses=list(change.loses),
    )


def _text(name: Name) -> Text:
    return Text(zh=name.zh, en=name.en)
