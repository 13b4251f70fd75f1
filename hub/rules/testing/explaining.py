"""From a trace to words: why a rule fired for a device, or why it did not. Sentences are message ids with what fills them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hub import documents
from hub.i18n import _
from hub.model.quantities import QUANTITIES
from hub.rules.condition import STATE_NAMES
from hub.rules.ruleset import Rule
from hub.rules.testing.sentences import Instant, Sentence, condition, in_words
from hub.rules.testing.subject import Subject
from hub.rules.testing.trace import Standing, Step, Story

NORMAL, PENDING, ACTIVE, CLEARING = STATE_NAMES


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The answer. `fired`: whether the rule's condition was active at that time. `verdict` in one sentence, `because` in detail;
    `kept_quiet`: what was not looked at, or says nothing because of this; `notes`: how far the answer can be trusted."""

    rule: Rule
    watches: bool
    device: str
    at_ms: int
    fired: bool
    verdict: Sentence
    because: tuple[Sentence, ...]
    kept_quiet: tuple[Sentence, ...]
    notes: tuple[Sentence, ...]
    steps: tuple[Step, ...]
    standing: Standing | None
    evidence: Mapping[str, Any]
    text: str
    played_from_ms: int
    played_messages: int


def explained(
    story: Story, *, text: str = "", evidence: Mapping[str, Any] | None = None, notes: tuple[Sentence, ...] = ()
) -> Explanation:
    """What the trace of `story` shows. `text` is the rule as written; `evidence` what was kept when it fired."""
    trace = story.trace
    subject, standing = trace.subject, trace.standing()
    rule = subject.rule or subject.base
    raised = [event for event in trace.events if event.kind == "raised"]
    fired = standing.state in (ACTIVE, CLEARING)
    own = dict(evidence or {}) or (dict(raised[-1].evidence) if raised else {})
    steps = tuple(trace.steps)
    if not subject.enabled:
        verdict, because = _not_looking(subject)
    elif fired:
        verdict, because = _fired(subject, rule, standing, steps)
    else:
        verdict, because = _not_fired(subject, rule, standing, steps, story)
    return Explanation(
        rule=rule,
        watches=subject.rule is not None,
        device=subject.registry.ids[subject.slot],
        at_ms=story.to_ms,
        fired=fired,
        verdict=verdict,
        because=(*because, *_numbers(subject, rule)),
        kept_quiet=(*_left_out(trace.left_out, trace.dropped), *_silenced(subject, rule, fired)),
        notes=(*notes, *_notes(story, rule)),
        steps=steps,
        standing=standing,
        evidence=own,
        text=text,
        played_from_ms=story.from_ms,
        played_messages=story.messages,
    )


# -- why it says nothing ----------------------------------------------------------------------------------------------------


def _not_looking(subject: Subject) -> tuple[Sentence, tuple[Sentence, ...]]:
    base = subject.base
    if subject.rule is None:
        device = subject.registry.device(subject.slot)
        values = {"rule": base.spec.id, "scope": str(base.scope) or "*", "device": device.id, "kind": device.kind}
        text = _("Rule {rule} does not watch this device: it is for {scope}, and {device} is of kind {kind}.")
        return Sentence("not-in-scope", text, values), ()
    origin = subject.rule.spec.origin
    if origin and base.spec.enabled:
        text = _("Rule {rule} is switched off for this device by the override {origin}.")
        return Sentence("disabled-by-override", text, {"rule": base.spec.id, "origin": origin}), ()
    return Sentence("disabled", _("Rule {rule} is switched off."), {"rule": base.spec.id}), ()


def _not_fired(
    subject: Subject, rule: Rule, standing: Standing, steps: tuple[Step, ...], story: Story
) -> tuple[Sentence, tuple[Sentence, ...]]:
    if rule.run.driven_by == "silence":
        return _not_silent(subject, rule, standing)
    if rule.run.driven_by == "conditions":
        return _not_met(rule, standing)
    if standing.state == PENDING:
        return _pending(rule, standing)
    looked = [step for step in steps if step.what == "reading"]
    if not looked:
        values = {"quantity": rule.spec.quantity, "since": Instant(story.from_ms)}
        heard = _heard(standing, story)
        return Sentence("no-reading", _("No reading of {quantity} came since {since}."), values), heard
    last = looked[-1]
    if last.left_out:
        verdict = _ignored(last)
        good = next((step for step in reversed(looked) if not step.left_out), None)
        return verdict, () if good is None else (_value(rule, good),)
    return _value(rule, last), (*_override_matters(subject, rule, last), *_cut_short(rule, steps))


def _heard(standing: Standing, story: Story) -> tuple[Sentence, ...]:
    if standing.heard_ms <= story.trace.start_ms:
        return (Sentence("not-heard", _("The device was not heard at all in that time.")),)
    text = _("The device was last heard at {at}, with something else.")
    return (Sentence("heard", text, {"at": Instant(standing.heard_ms)}),)


def _value(rule: Rule, step: Step) -> Sentence:
    """The latest value against the limit."""
    quantity = QUANTITIES.get(step.quantity)
    unit = quantity.unit if quantity is not None else ""
    values = {
        "quantity": step.quantity,
        "value": f"{in_words(step.value)} {unit}".strip(),
        "at": Instant(step.at_ms),
        "condition": condition(rule),
    }
    if step.figure is not None:
        values |= {"figure": f"{step.figure:g} {rule.run.figure_unit}".strip()}
        text = _("{quantity} was {value} at {at}, from which the rule measures {figure}; it wants {condition}.")
        return Sentence("not-reached", text, values)
    if step.signal == "between":
        text = _("{quantity} was {value} at {at}: below the limit, though not yet clear of it ({condition}).")
        return Sentence("between", text, values)
    if step.signal == "breach":
        text = _("{quantity} was {value} at {at}, which is beyond the limit ({condition}), but the alarm had ended.")
        return Sentence("breach", text, values)
    text = _("{quantity} was {value} at {at}; the rule wants {condition}.")
    return Sentence("not-reached", text, values)


_WHY_IGNORED = {
    "duplicate": _("The reading at {at} ({quantity} {value}) repeats a message that had come before: a sign of life, nothing more."),
    "history": _("The reading at {at} ({quantity} {value}) was filled in afterwards by the device: it is stored, not judged."),
    "implausible": _("The reading at {at} ({quantity}) was impossible, so it counts as unknown."),
    "test": _("The reading at {at} ({quantity} {value}) was a test: it is logged, nobody is paged."),
    "late": _("The reading at {at} ({quantity} {value}) was measured long before, at {observed}: a late value raises only a life-safety alarm."),
    "unknown": _("The reading at {at} said that {quantity} is unknown: that neither raises nor clears."),
}  # fmt: skip


def _ignored(step: Step) -> Sentence:
    values = {
        "at": Instant(step.at_ms),
        "observed": Instant(step.observed_ms),
        "quantity": step.quantity,
        "value": in_words(step.value),
    }
    return Sentence(f"left-out-{step.left_out}", _WHY_IGNORED[step.left_out], values)


def _pending(rule: Rule, standing: Standing) -> tuple[Sentence, tuple[Sentence, ...]]:
    """It is beyond the limit, and something is still missing."""
    more: list[Sentence] = []
    for other, device in standing.inhibited_by:
        text = _("It keeps quiet while {other} is active for {device}, which explains it.")
        more.append(Sentence("inhibited", text, {"other": other, "device": device}))
    held_s = (standing.at_ms - standing.since_ms) / 1_000
    if rule.run.hold_ms and held_s * 1_000 < rule.run.hold_ms:
        values = {"held": round(held_s), "hold": f"{rule.run.hold_ms / 1_000:g}", "since": Instant(standing.since_ms)}
        text = _("The condition held for {held} s of the {hold} s that it must, since {since}.")
        return Sentence("hold-not-over", text, values), tuple(more)
    if rule.run.samples > standing.count:
        values = {"count": standing.count, "samples": rule.run.samples}
        return Sentence("samples", _("{count} of the {samples} readings in a row had come."), values), tuple(more)
    if more:
        return more[0], tuple(more[1:])
    text = _("The condition held since {since}; the hub's next tick decides.")
    return Sentence("next-tick", text, {"since": Instant(standing.since_ms)}), ()


def _not_silent(subject: Subject, rule: Rule, standing: Standing) -> tuple[Sentence, tuple[Sentence, ...]]:
    limit_ms = rule.run.silent_ms or int(subject.registry.silence_limit_ms[subject.slot])
    if not limit_ms:
        return Sentence("not-supervised", _("The silence of this device means nothing: it is not supervised.")), ()
    if standing.deaf:
        text = _("The hub did not hear its broker then: nobody's silence counts.")
        return Sentence("deaf", text), ()
    silent_s = (standing.at_ms - standing.heard_ms) / 1_000
    values = {"silent": round(silent_s), "limit": f"{limit_ms / 1_000:g}", "at": Instant(standing.heard_ms)}
    text = _("It was silent for {silent} s of the {limit} s that it may; last heard at {at}.")
    verdict = Sentence("not-silent-long-enough", text, values)
    more = tuple(
        Sentence(
            "inhibited",
            _("It keeps quiet while {other} is active for {device}, which explains it."),
            {"other": other, "device": device},
        )
        for other, device in standing.inhibited_by
    )
    return (more[0], (*more[1:], verdict)) if more else (verdict, ())


def _not_met(rule: Rule, standing: Standing) -> tuple[Sentence, tuple[Sentence, ...]]:
    counted = rule.run.counted
    values = {"number": len(standing.members), "area": counted.area, "condition": condition(rule)}
    text = _("{number} of the conditions that it counts were there in the same {area}; the rule wants {condition}.")
    return Sentence("too-few", text, values), tuple(_members(standing))


def _members(standing: Standing) -> Iterator[Sentence]:
    for rule, device, began, ended in standing.members:
        values = {"other": rule, "device": device, "began": Instant(began), "ended": Instant(ended)}
        lasting = _("{other} was active for {device} since {began}.")
        over = _("{other} was active for {device} from {began} to {ended}.")
        yield Sentence("member", over if ended else lasting, values)


def _override_matters(subject: Subject, rule: Rule, step: Step) -> Iterator[Sentence]:
    """Whether the rule itself would call the value a breach, had no override changed its numbers."""
    base = subject.base
    quantity = QUANTITIES.get(step.quantity)
    if not rule.spec.origin or base.run.breach is None or quantity is None or not isinstance(step.value, int | float):
        return
    if base.run.breach(np.array([float(step.value)]))[0] and step.signal != "breach":
        values = {"base": condition(base), "origin": rule.spec.origin}
        text = _("The rule itself says {base}, which this is; an override changes that here: {origin}.")
        yield Sentence("override", text, values)


def _cut_short(rule: Rule, steps: tuple[Step, ...]) -> Iterator[Sentence]:
    """The latest time that the condition began and ended before its delay was over."""
    begun = None
    for step in reversed(steps):
        if step.state == NORMAL and step.before == PENDING and begun is None:
            begun = step
        elif begun is not None and step.before == NORMAL and step.state == PENDING:
            values = {
                "held": round((begun.at_ms - step.at_ms) / 1_000),
                "hold": f"{rule.run.hold_ms / 1_000:g}",
                "since": Instant(step.at_ms),
                "until": Instant(begun.at_ms),
            }
            text = _(
                "Before that it was beyond the limit from {since} to {until}: {held} s of the {hold} s that it must."
            )
            yield Sentence("cut-short", text, values)
            return


# -- why it fired -----------------------------------------------------------------------------------------------------------


def _fired(
    subject: Subject, rule: Rule, standing: Standing, steps: tuple[Step, ...]
) -> tuple[Sentence, tuple[Sentence, ...]]:
    cause = next((s for s in reversed(steps) if "raised" in s.event and s.what != "condition"), None)
    more: list[Sentence] = []
    if cause is None:
        text = _("It was active at the beginning of the records that are left.")
        return Sentence("active-before", text), tuple(_members(standing))
    values: dict[str, Any] = {"at": Instant(cause.at_ms), "condition": condition(rule)}
    if any(s.event.startswith("rule changed") and s.at_ms > cause.at_ms for s in steps):
        verdict = Sentence("fired", _("It fired at {at}, by the rule as it was then."), values)
        return verdict, tuple(_readings(steps, cause))
    if rule.run.driven_by == "silence":
        more += _silence(subject, rule, standing, cause)
        verdict = Sentence("fired", _("It fired at {at}: the device was lost."), values)
    elif rule.run.driven_by == "conditions":
        more += _members(standing)
        text = _("It fired at {at}, because these came together: {condition}.")
        verdict = Sentence("fired", text, values)
    else:
        verdict = Sentence("fired", _("It fired at {at}: {condition}."), values)
        more += _what_it_saw(rule, steps, cause)
    if standing.state == CLEARING:
        text = _("It has been clear since {since}, and ends when it has stayed so for long enough.")
        more.append(Sentence("clearing", text, {"since": Instant(standing.since_ms)}))
    return verdict, tuple(more)


def _silence(subject: Subject, rule: Rule, standing: Standing, cause: Step) -> Iterator[Sentence]:
    if cause.what == "reading":
        text = _("The broker or its gateway said at {at} that the device is gone.")
        yield Sentence("said-offline", text, {"at": Instant(cause.at_ms)})
        return
    limit_ms = rule.run.silent_ms or int(subject.registry.silence_limit_ms[subject.slot])
    values = {"at": Instant(standing.heard_ms), "limit": f"{limit_ms / 1_000:g}"}
    yield Sentence("silent", _("It was last heard at {at}, and may be silent for {limit} s."), values)


def _beginning(upto: list[Step]) -> Step | None:
    return next((s for s in reversed(upto) if s.what == "reading" and s.before == NORMAL and s.state != NORMAL), None)


def _readings(steps: tuple[Step, ...], cause: Step) -> Iterator[Sentence]:
    """The reading that began it, and the one that was the cause, where one was."""
    began = _beginning([s for s in steps if s.at_ms <= cause.at_ms])
    for step in dict.fromkeys(s for s in (began, cause) if s is not None and s.what == "reading"):
        unit = QUANTITIES[step.quantity].unit
        values = {
            "quantity": step.quantity,
            "value": f"{in_words(step.value)} {unit}".strip(),
            "at": Instant(step.at_ms),
        }
        yield Sentence("value", _("{quantity} was {value} at {at}."), values)


def _what_it_saw(rule: Rule, steps: tuple[Step, ...], cause: Step) -> Iterator[Sentence]:
    """The reading that began it, the delay, and the reading or tick that ended the delay."""
    upto = [s for s in steps if s.at_ms <= cause.at_ms]
    began = _beginning(upto)
    yield from _readings(steps, cause)
    if rule.run.hold_ms and began is not None:
        values = {"hold": f"{rule.run.hold_ms / 1_000:g}", "since": Instant(began.at_ms)}
        text = _("It stayed so for {hold} s from {since}; no reading in between said otherwise.")
        yield Sentence("held", text, values)
    if rule.run.samples > 1:
        text = _("{samples} readings in a row said so.")
        yield Sentence("samples", text, {"samples": rule.run.samples})
    if cause.figure is not None:
        figure = f"{cause.figure:g} {rule.run.figure_unit}".strip()
        yield Sentence("figure", _("The rule measured {figure}."), {"figure": figure})
    for step in upto:
        if step.what == "condition" and step.event == "raised":
            text = _("{other} became active for {device} at {at}.")
            yield Sentence("condition", text, {"other": step.rule, "device": step.device, "at": Instant(step.at_ms)})


# -- what goes with it ------------------------------------------------------------------------------------------------------


def _numbers(subject: Subject, rule: Rule) -> Iterator[Sentence]:
    if rule.spec.origin:
        yield Sentence("origin", _("These numbers come from an override: {origin}."), {"origin": rule.spec.origin})
    if not rule.spec.alert:
        yield Sentence("no-alert", _("The rule is a condition for other rules to refer to: nobody is told of it."))


def _left_out(left_out: Mapping[str, int], dropped: int) -> Iterator[Sentence]:
    words = {
        "duplicate": _("{number} repeated messages counted as signs of life only."),
        "history": _("{number} back-filled readings were stored and not judged."),
        "implausible": _("{number} impossible readings counted as unknown."),
        "test": _("{number} readings were tests."),
        "late": _("{number} readings came too late to be judged."),
        "unknown": _("{number} readings were unknown."),
    }
    for reason, number in sorted(left_out.items()):
        yield Sentence(f"left-out-{reason}", words[reason], {"number": number})


def _silenced(subject: Subject, rule: Rule, fired: bool) -> Iterator[Sentence]:
    """What keeps quiet because of this: known only of the rules that were played along, so it is said for what refers here."""
    for other in subject.inhibits if fired else ():
        values = {"other": other.spec.id, "where": next(i.where for i in other.inhibitors if i.rule == rule.spec.id)}
        text = _("While it lasts, {other} keeps quiet for devices of the same {where}.")
        yield Sentence("inhibits", text, values)


def _notes(story: Story, rule: Rule) -> Iterator[Sentence]:
    trace = story.trace
    if not story.complete:
        values = {"since": Instant(story.from_ms), "until": Instant(trace.at_ms)}
        text = _("The journal's records of that time are not all there: what was read reaches from {since} to {until}.")
        yield Sentence("incomplete", text, values)
    for gap in story.gaps:
        yield Sentence("gap", "{gap}", {"gap": gap})
    if trace.dropped:
        text = _("{number} earlier steps are not listed.")
        yield Sentence("dropped", text, {"number": trace.dropped})
    if rule.run.memory is not None:
        values = {"since": Instant(story.from_ms)}
        text = _("The rule remembers; it was played from {since} on, so what it learnt before may be missing.")
        yield Sentence("memory", text, values)


def rule_text(text: str, rule_id: str) -> str:
    """The lines of a rule file that write the rule `rule_id`, "" when it is not there."""
    document, _complaints = documents.parse(text, "")
    entries = document.data.get("rules") if document is not None and isinstance(document.data, dict) else None
    if document is None or not isinstance(entries, list):
        return ""
    for n, entry in enumerate(entries):
        if isinstance(entry, dict) and entry.get("id") == rule_id:
            lines = text.splitlines()
            begin = (document.lines.get(("rules", n)) or 1) - 1
            end = (document.lines.get(("rules", n + 1)) or len(lines) + 1) - 1
            return "\n".join(lines[begin:end]).rstrip()
    return ""
