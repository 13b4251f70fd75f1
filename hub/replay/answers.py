"""Answers to "why?": finds the rules that were in force, has the records played again, and puts what came of it into words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from hub import documents
from hub.clock import now_ms
from hub.errors import ConfigError, NotFound, Unavailable
from hub.i18n import _
from hub.model.alerts import Alert, Occurrence
from hub.registry.snapshot import Registry
from hub.replay.explainer import Explainer
from hub.rules.areas import Areas
from hub.rules.kinds.kind import Context
from hub.rules.ruleset import Rule, RuleSet, rules_of
from hub.rules.testing.explaining import Explanation, explained, rule_text
from hub.rules.testing.sentences import Instant, Sentence, condition
from hub.stores.record_queries import Recorded, RecordQueries
from hub.stores.rule_versions import RuleVersions

_MOST_VERSIONS = 500
_SAME_MS = 3_000
"""What lies no further apart is the same raising: delays end at the hub's next tick."""
_WRITTEN_MS = 10_000
"""What fired so long ago stands in the ledger."""


@dataclass(frozen=True, slots=True)
class InForce:
    """The rules of a time, and the files that said so, named by `version`. `sure` False: it is not recorded what ran then.

    `record` and `changes` tell what the ledger knows of that time; None where there is none. `changes`: the rules that came
    into force after a time and until this one, oldest first.
    """

    rules: RuleSet
    texts: Mapping[str, str]
    version: str = ""
    sure: bool = True
    record: RecordQueries | None = None
    changes: Callable[[int], Sequence[Change]] | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """Rules that came into force at `at_ms`, and who wanted them why."""

    at_ms: int
    rules: RuleSet
    who: str = ""
    why: str = ""


def rules_at(versions: RuleVersions, at_ms: int, context: Context, now: InForce) -> InForce:
    """What ran at `at_ms` by the history of the rules; `now` where it does not reach so far back or cannot be read any more."""
    found = _rules_at(versions, at_ms, context, now)
    if not found.sure:
        return found

    def changes(after_ms: int) -> list[Change]:
        earlier = [(entry.applied_at_ms or 0, entry) for entry in versions.applied_between(after_ms, at_ms)]
        read = [(_rules_at(versions, at, context, now), at, entry) for at, entry in earlier]
        return [Change(at, one.rules, entry.who, entry.why) for one, at, entry in read if one.sure]

    return replace(found, record=versions.record_queries, changes=changes)


def _rules_at(versions: RuleVersions, at_ms: int, context: Context, now: InForce) -> InForce:
    before: int | None = None
    for _page in range(_MOST_VERSIONS // 100):
        entries = versions.list(limit=100, before=before)
        for entry in entries:
            if entry.applied_at_ms is None or entry.applied_at_ms > at_ms:
                continue
            if entry.version == now.version:
                return replace(now, sure=True)
            texts = versions.files(entry.id) or {}
            read = [documents.parse(text, name) for name, text in sorted(texts.items())]
            try:
                rules = rules_of(
                    [document for document, _wrong in read if document is not None],
                    [one for _document, wrong in read for one in wrong],
                    context=context,
                )
            except ConfigError:
                return replace(now, sure=False)
            return InForce(rules, texts, entry.version)
        if len(entries) < 100:
            break
        before = entries[-1].id
    return replace(now, sure=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """For any thread. `explainer` None: this process has no journal, and answers from what was kept with alerts only."""

    explainer: Explainer | None
    registry: Callable[[], Registry]
    in_force: Callable[[int], InForce]  # by time

    def of_alert(self, alert: Alert, occurrences: Sequence[Occurrence]) -> Explanation:
        """Why `alert` fired, the last time that it did. Raises NotFound when neither rule nor device is known any more."""
        last = max(occurrences, key=lambda o: o.raised_at_ms, default=None)
        at_ms = alert.raised_at_ms if last is None else last.raised_at_ms
        evidence = {} if last is None else dict(last.evidence)
        found, then = self._played(alert.device_id, alert.rule_id, at_ms, evidence=evidence)
        ending = tuple(_endings([one for one in _recorded(then, found, at_ms) if one.alert_id == alert.id]))
        if found.fired and abs(_raised_ms(found, at_ms) - at_ms) <= _SAME_MS:
            return replace(found, because=(*found.because, *ending))
        gone = found.played_messages == 0
        values = {"at": Instant(at_ms)}
        text = _(
            "It fired at {at}. The records that could show how are not there any more; what was kept is its evidence."
        )
        note: tuple[Sentence, ...] = ()
        if not gone:
            text = _("It fired at {at}, which playing the records again does not show.")
            why = _(
                "Its rule, the registry or a delay that began earlier may have been another then. Played again: {verdict}"
            )
            note = (Sentence("played-otherwise", why, {"verdict": found.verdict}),)
        verdict = Sentence("fired", text, values)
        because = (*_kept(alert, evidence), *ending)
        return replace(found, fired=True, verdict=verdict, because=because, notes=(*note, *found.notes))

    def of_device(
        self, device: str, rule_id: str, at_ms: int, *, evidence: Mapping[str, Any] | None = None
    ) -> Explanation:
        """Whether and why rule `rule_id` was active for `device` at `at_ms`, or why not. Raises NotFound, Unavailable.

        What the ledger recorded is the verdict; where playing the records again shows something else, a note says so.
        """
        found, then = self._played(device, rule_id, at_ms, evidence=evidence)
        return _against_the_record(found, then, self.registry(), at_ms)

    def _played(
        self, device: str, rule_id: str, at_ms: int, *, evidence: Mapping[str, Any] | None = None
    ) -> tuple[Explanation, InForce]:
        """What playing the records again shows, with the rules as they were then, and what changed in them meanwhile."""
        registry, then = self.registry(), self.in_force(at_ms)
        slot = registry.slot_of.get(device)
        if slot is None:
            raise NotFound(
                f"there is no device {device!r} in the registry", code="no-device", values={"device": device}
            )
        base = then.rules.find(rule_id)
        if base is None:
            raise NotFound(f"there was no rule {rule_id!r} in force", code="no-rule", values={"rule": rule_id})
        if self.explainer is None:
            raise Unavailable("the journal is in another process: ask the one with the role ingest")
        notes: tuple[Sentence, ...] = ()
        if not then.sure:
            text = _("It is not recorded which rules were in force then: those of now were used.")
            notes = (Sentence("rules-of-now", text),)
        changes: list[Change] = []

        def between(from_ms: int) -> list[tuple[int, RuleSet]]:
            changes.extend(then.changes(from_ms) if then.changes is not None else ())
            if changes and (before := self.in_force(from_ms)).sure:
                changes.insert(0, Change(from_ms, before.rules))
            return [(one.at_ms, one.rules) for one in changes]

        story = self.explainer.story(then.rules, registry, rule_id, slot, at_ms, between)
        text = next((found for one in then.texts.values() if (found := rule_text(one, rule_id))), "")
        notes = (*notes, *_changed(rule_id, changes))
        return explained(story, text=text, evidence=evidence, notes=notes), then


def _changed(rule_id: str, changes: Sequence[Change]) -> Iterator[Sentence]:
    """How the rule was before each change of it."""
    for before, after in pairwise(changes):
        old, new = before.rules.find(rule_id), after.rules.find(rule_id)
        if _as_it_ran(old) == _as_it_ran(new):
            continue
        how = Sentence("rule-gone", _("it did not exist"))
        if old is not None and not old.spec.enabled:
            how = Sentence("rule-off", _("it was switched off"))
        elif old is not None:
            how = Sentence("rule-condition", "{condition}", {"condition": condition(old)})
        values = {"at": Instant(after.at_ms), "how": how, "who": after.who, "why": after.why or "–"}
        text = _("The rule was another before {at}: {how}. It was changed then by {who} ({why}).")
        yield Sentence("rule-changed", text, values)


def _as_it_ran(rule: Rule | None) -> object:
    if rule is None:
        return None
    return [(one.spec.version, one.spec.enabled, one.spec.severity, one.scope) for one in (rule, *rule.overrides)]


def _raised_ms(found: Explanation, otherwise: int) -> int:
    """When the condition began to be active, as the replay has it."""
    raised = [step.at_ms for step in found.steps if step.what != "condition" and "raised" in step.event]
    return raised[-1] if raised else otherwise


def _recorded(then: InForce, found: Explanation, at_ms: int, devices: Sequence[str] = ()) -> list[Recorded]:
    """When the ledger says that the rule fired in the stretch that was played."""
    if then.record is None or not found.rule.spec.alert:
        return []
    return then.record.fired(found.rule.spec.id, devices or [found.device], found.played_from_ms, at_ms)


def _endings(recorded: Sequence[Recorded]) -> Iterator[Sentence]:
    for one in recorded:
        values = {"raised": Instant(one.raised_ms), "ended": Instant(one.ended_ms or 0), "reason": one.reason}
        text = _("The hub recorded it as active from {raised} on.")
        if one.ended_ms is not None:
            text = _("The hub recorded it as active from {raised} to {ended}.")
        yield Sentence("recorded", text, values)
        if one.closed_ms is not None:
            said = _("That alert was closed at {at} by {by}: {reason}.")
            values = {"at": Instant(one.closed_ms), "by": one.closed_by or "?", "reason": one.reason or "–"}
            yield Sentence("alert-closed", said, values)


def _against_the_record(found: Explanation, then: InForce, registry: Registry, at_ms: int) -> Explanation:
    """The replay where the ledger agrees or knows nothing; else what the ledger says, with the replay in a note."""
    if then.record is None:
        return found
    device = registry.device(registry.slot_of[found.device])
    strange = then.record.set_aside(device.addresses, found.played_from_ms, at_ms)
    more: list[Sentence] = []
    if strange is not None:
        values = {
            "number": strange.count,
            "since": Instant(strange.first_ms),
            "until": Instant(strange.last_ms),
        }
        text = _(
            "The hub did not know the device then: {number} of its messages, from {since} to {until}, were set aside and not judged."
        )
        more.append(Sentence("unknown-then", text, values))
    if not found.rule.spec.alert or not found.watches:
        return replace(found, because=(*more, *found.because))
    recorded = _recorded(then, found, at_ms, _carriers(found, registry))
    more += _endings(recorded)
    active = [one for one in recorded if one.ended_ms is None or one.ended_ms > at_ms]
    played_ms = _raised_ms(found, at_ms)
    verdict: Sentence | None = None
    if found.fired and not active and now_ms() - played_ms > _WRITTEN_MS:
        verdict = Sentence("not-recorded", _("It was not active: the hub recorded no such alert for that time."))
    elif active and not any(one.chattering for one in active):
        began = active[-1].raised_ms
        values = {"at": Instant(began)}
        if not found.fired:
            text = _("It fired at {at}, which playing the records again does not show.")
            verdict = Sentence("fired", text, values)
        elif abs(began - played_ms) > _SAME_MS and found.verdict.code == "fired":
            verdict = Sentence("fired", _("It fired at {at}, as the hub recorded it."), values)
    if verdict is None:
        return replace(found, because=(*found.because, *more))
    if strange is not None and verdict.code == "not-recorded":
        verdict, more = more[0], more[1:]
    text = _("Playing the records again with the devices that are known now says otherwise: {verdict}")
    note = Sentence("played-otherwise", text, {"verdict": found.verdict})
    fired = verdict.code == "fired"
    return replace(found, fired=fired, verdict=verdict, because=tuple(more), notes=(note, *found.notes))


def _carriers(found: Explanation, registry: Registry) -> list[str]:
    """The devices that may carry the rule's alert: of one about an area, any device in it."""
    counted = found.rule.run.counted
    if counted is None:
        return [found.device]
    codes = Areas(registry).of(counted.area)
    own = codes[registry.slot_of[found.device]]
    return [registry.ids[slot] for slot in (codes == own).nonzero()[0].tolist() if registry.ids[slot]]


def _kept(alert: Alert, evidence: Mapping[str, Any]) -> tuple[Sentence, ...]:
    """What the alert itself knows."""
    found = []
    if alert.quantity:
        values = {"quantity": alert.quantity, "value": alert.value, "at": Instant(alert.observed_at_ms)}
        found.append(Sentence("value", _("{quantity} was {value} at {at}."), values))
    if alert.threshold is not None:
        found.append(Sentence("limit", _("The limit was {limit}."), {"limit": alert.threshold}))
    found += [
        Sentence("evidence", "{name}: {value}", {"name": name, "value": value})
        for name, value in evidence.items()
        if isinstance(value, str | int | float)
    ]
    return tuple(found)
