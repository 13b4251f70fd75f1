"""Why a rule fired, or did not: the journal's records played again to the engine, with a trace of what it made of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hub.errors import Unavailable
from hub.ingest.codecs import CodecContext
from hub.ingest.reader import HUB_TOPIC, Reader
from hub.ingest.router import Router, Source
from hub.ingest.screen import Limits, Screen
from hub.registry.snapshot import Registry
from hub.replay.journal_source import JournalSource, Records
from hub.rules.ruleset import Rule, RuleSet
from hub.rules.testing.subject import Subject
from hub.rules.testing.trace import Story, Trace
from hub.stores.journal import Record

_AT_LEAST_MS = 600_000
_AT_MOST_MS = 7 * 86_400_000
_TOPIC_OF = {"native-v1": True, "zigbee2mqtt": True}
"""Dialects in which the address of a device stands in the topic of all that it says."""
_MOST_TOPICS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Explainer:
    """Thread-safe. One question at a time, with pauses: the rules that run come first.

    `most_records` bounds what one question may read; `breathe` is called between groups of records.
    """

    records: Records
    sources: tuple[Source, ...]
    zone: str
    limits: Limits = field(default_factory=Limits)
    most_records: int = 2_000_000
    breathe: Callable[[], object] = lambda: None
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def story(
        self,
        ruleset: RuleSet,
        registry: Registry,
        rule_id: str,
        slot: int,
        at_ms: int,
        changes: Callable[[int], Sequence[tuple[int, RuleSet]]] = lambda from_ms: (),
    ) -> Story:
        """What `rule_id` made of the device in `slot` up to `at_ms`, where `ruleset` was in force. `changes`: from a time to
        `at_ms`, which rules came into force when, the first being those in force at that time. Raises Unavailable when the
        journal cannot be read, or another question is being answered for too long."""
        if not self._one_at_a_time.acquire(timeout=10.0):
            raise Unavailable("another explanation is being worked out", after_s=5.0)
        try:
            return self._story(Subject(ruleset, registry, rule_id, slot), at_ms, changes)
        finally:
            self._one_at_a_time.release()

    def _story(self, subject: Subject, at_ms: int, changes: Callable[[int], Sequence[tuple[int, RuleSet]]]) -> Story:
        from_ms = at_ms - lookback_ms(subject)
        waiting = list(changes(from_ms))
        source = JournalSource(self.records, self._reader(subject.registry), wanted=self._wanted(subject, waiting))
        trace: Trace | None = None
        pieces = source.pieces(from_ms, at_ms + 1)
        complete = True
        breathed_at = 0
        for piece in pieces:
            if trace is None:
                first = int(piece.batch.received_at_ms[0]) if len(piece.batch) else piece.last_ms
                trace = Trace(subject, start_ms=min(first, piece.last_ms))
            if waiting and len(piece.batch):
                waiting = self._switched(trace, waiting, int(piece.batch.received_at_ms[0]))
            trace.take(piece.batch)
            if piece.tick_ms is not None:
                waiting = self._switched(trace, waiting, piece.tick_ms)
                trace.tick(piece.tick_ms)
            if source.records_read != breathed_at:
                breathed_at = source.records_read
                self.breathe()
            if source.records_read > self.most_records:
                complete = False
                break
        if trace is None:
            trace = Trace(subject, start_ms=from_ms)
            complete = False
        self._switched(trace, waiting, at_ms)
        trace.settle()
        return Story(
            trace=trace,
            from_ms=max(from_ms, trace.start_ms),
            to_ms=at_ms,
            messages=source.messages,
            gaps=tuple(source.gaps),
            complete=complete and not source.gaps and trace.at_ms >= at_ms - 60_000,
        )

    @staticmethod
    def _switched(trace: Trace, waiting: list[tuple[int, RuleSet]], now_ms: int) -> list[tuple[int, RuleSet]]:
        """Lets the rules that were in force by `now_ms` take over; returns those that are still to come."""
        due = [one for one in waiting if one[0] <= now_ms]
        for since_ms, rules in due:
            trace.switch(rules, max(since_ms, trace.start_ms))
        return waiting[len(due) :]

    def _reader(self, registry: Registry) -> Reader:
        context = CodecContext(
            zone=self.zone, known=lambda address: address in registry.slot_of_address, own_text=registry.own_text
        )
        router = Router(self.sources, context)
        return _Uncounted(router.decode, lambda: registry, Screen(self.limits), plain=router.plain)

    def _wanted(self, subject: Subject, changes: Sequence[tuple[int, RuleSet]] = ()) -> Callable[[Record], bool] | None:
        """Whether a record can speak of a device that matters, by its topic; None when topics do not tell."""
        registry, own = subject.registry, subject.base.spec.id
        concerned = subject.concerned()
        for rules in (rules for _, rules in changes if rules.find(own) is not None):
            concerned |= Subject(rules, registry, own, subject.slot).concerned()
        slots = concerned.nonzero()[0].tolist()
        if len(slots) > _MOST_TOPICS:
            return None
        sure = tuple(f"{source.root}/" for source in self.sources if source.codec in _TOPIC_OF)
        parts = []
        for slot in slots:
            for address in registry.device(slot).addresses:
                codec, _, rest = address.partition(":")
                if codec in _TOPIC_OF:
                    parts.append(rest.rstrip("-"))

        def wanted(record: Record) -> bool:
            topic = record.topic
            if record.kind or topic.startswith(HUB_TOPIC) or not topic.startswith(sure):
                return True
            return any(part in topic for part in parts)

        return wanted


class _Uncounted(Reader):
    """What it cannot read was counted when it came in, and stands in the quarantine."""

    def _set_aside(self, record: Record, reason: str, codec: str, detail: str, address: str, count: int = 1) -> None:
        pass


def lookback_ms(subject: Subject) -> int:
    """From how long before the question to read: all delays, limits and windows of the rule and of those that it refers to,
    twice; at least ten minutes, at most a week."""
    longest = max(
        (_longest(one, subject) for rule in subject.ruleset.rules for one in (rule, *rule.overrides)), default=0
    )
    return min(_AT_MOST_MS, max(_AT_LEAST_MS, 2 * longest))


def _longest(rule: Rule, subject: Subject) -> int:
    times = [rule.run.hold_ms, rule.run.clear_hold_ms, rule.run.silent_ms]
    if rule.run.driven_by == "silence" and not rule.run.silent_ms:
        times.append(int(subject.registry.silence_limit_ms[subject.concerned()].max(initial=0)))
    for key, value in rule.spec.when.model_dump().items():
        if key.endswith("_s") and isinstance(value, int | float) and not isinstance(value, bool):
            times.append(int(value * 1_000))
    return max(times)
