"""Answers to "why?": finds the rules that were in force, has the records played again, and puts what came of it into words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hub import documents
from hub.errors import ConfigError, NotFound, Unavailable
from hub.i18n import _
from hub.model.alerts import Alert, Occurrence
from hub.registry.snapshot import Registry
from hub.replay.explainer import Explainer
from hub.rules.kinds.kind import Context
from hub.rules.ruleset import RuleSet, rules_of
from hub.rules.testing.explaining import Explanation, explained, rule_text
from hub.rules.testing.sentences import Instant, Sentence
from hub.stores.rule_versions import RuleVersions

_MOST_VERSIONS = 500


@dataclass(frozen=True, slots=True)
class InForce:
    """The rules of a time, and the files that said so, named by `version`. `sure` False: it is not recorded what ran then."""

    rules: RuleSet
    texts: Mapping[str, str]
    version: str = ""
    sure: bool = True


def rules_at(versions: RuleVersions, at_ms: int, context: Context, now: InForce) -> InForce:
    """What ran at `at_ms` by the history of the rules; `now` where it does not reach so far back or cannot be read any more."""
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
        found = self.of_device(alert.device_id, alert.rule_id, at_ms, evidence=evidence)
        if found.fired:
            return found
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
        return replace(found, fired=True, verdict=verdict, because=_kept(alert, evidence), notes=(*note, *found.notes))

    def of_device(
        self, device: str, rule_id: str, at_ms: int, *, evidence: Mapping[str, Any] | None = None
    ) -> Explanation:
        """Whether and why rule `rule_id` was active for `device` at `at_ms`, or why not. Raises NotFound, Unavailable."""
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
        story = self.explainer.story(then.rules, registry, rule_id, slot, at_ms)
        text = next((found for one in then.texts.values() if (found := rule_text(one, rule_id))), "")
        return explained(story, text=text, evidence=evidence, notes=notes)


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
