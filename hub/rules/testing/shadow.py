"""Rules in shadow mode: a new version runs beside the live one over the same readings and is compared; nobody is told."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hub.clock import monotonic_s
from hub.model.readings import ReadingBatch
from hub.model.rules import ConditionEvent
from hub.registry.snapshot import Registry
from hub.rules.engine import Engine
from hub.rules.found import Found
from hub.rules.ruleset import RuleSet
from hub.rules.testing.comparison import Comparison, Difference, Side, Tally
from hub.rules.testing.scenes import with_references
from hub.telemetry import SHADOW_DIFFERENCES, SHADOW_DOWN, log

_MOST_KEPT = 500
_WINDOW_S = 60.0
_MOST_BUSY_S = 15.0
"""A shadow that needs more than this of a minute is given up: the live rules share the processor with it."""
_WORDS = {
    "only in a": "would not have fired",
    "only in b": "would have fired",
    "earlier": "earlier",
    "later": "later",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowRule:
    """One rule in the shadow, against the live one with the same id (`live_version` "": there is none)."""

    id: str
    name_zh: str
    name_en: str
    severity: str
    version: str
    live_version: str
    same: int = 0
    would_have_fired: int = 0
    would_not_have: int = 0
    earlier: int = 0
    later: int = 0
    mean_earlier_s: float = 0.0
    mean_later_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowReport:
    """What the shadow has seen since it began. `trouble`: why it was given up, "" while it runs."""

    since_ms: int
    at_ms: int
    readings: int
    rules: tuple[ShadowRule, ...]
    differences: tuple[dict[str, Any], ...]  # newest first; `open` ones are not decided yet
    not_listed: int
    trouble: str

    def as_data(self) -> dict[str, Any]:
        return asdict(self)


class Shadow:
    """`take` and `tick` belong to the thread of the live engine and never raise; `report` is for any thread.

    `rules`: the live set with the shadow's rules laid over it; `ids`: which rules are compared; `active`: what is active for
    the live rules when the shadow begins. Any fault gives the shadow up, loudly, and the live rules go on.
    """

    def __init__(
        self,
        live: RuleSet,
        rules: RuleSet,
        ids: Iterable[str],
        registry: Registry,
        *,
        start_ms: int,
        active: Iterable[ConditionEvent] = (),
    ) -> None:
        self.ids = frozenset(ids)
        self.live, self.rules, self.registry = live, rules, registry
        self.since_ms = self.at_ms = start_ms
        self.readings = 0
        self.trouble = ""
        self._lock = threading.Lock()
        self._comparison = Comparison(since_ms=start_ms, most_kept=_MOST_KEPT, told=_counted)
        self._began_s, self._busy_s = monotonic_s(), 0.0
        self._engine: Engine | None = None
        SHADOW_DOWN.set(0)
        try:
            self._engine = Engine(with_references(rules, self.ids), registry, start_ms=start_ms)
            for event in active:
                if event.rule.id in self.ids:
                    self._comparison.known("a", event.rule.id, event.device, event.episode_start_ms)
        except Exception as fault:
            self._give_up(f"it could not begin: {fault!r}")

    def take(self, batch: ReadingBatch, live_events: Sequence[ConditionEvent]) -> None:
        """Readings that the live rules have judged, and what they said. Call it after those events were recorded."""
        if self._engine is None:
            return
        began = monotonic_s()
        try:
            with self._lock:
                self._tell("a", live_events)
                if len(batch):
                    self._conclude(self._engine.evaluate(batch))
                    self.readings += len(batch)
        except Exception as fault:  # whatever it is, it is the shadow's
            self._give_up(repr(fault))
        self._spent(began)

    def tick(self, now_ms: int, position: int, live_events: Sequence[ConditionEvent]) -> None:
        """The tick that the live rules have judged, and what they said."""
        if self._engine is None:
            return
        began = monotonic_s()
        try:
            with self._lock:
                self._tell("a", live_events)
                self._conclude(self._engine.tick(now_ms, position))
                self.at_ms = now_ms
                self._comparison.settle(now_ms)
        except Exception as fault:
            self._give_up(repr(fault))
        self._spent(began)

    def report(self) -> ShadowReport:
        """What there is to say so far."""
        with self._lock:
            comparison = self._comparison
            decided = [_told(d, open=False) for d in reversed(comparison.kept)]
            undecided = [_told(d, open=True) for d in comparison.waiting if d.raised_ms >= self.since_ms]
            undecided.sort(key=lambda d: -int(d["raised_ms"]))
            return ShadowReport(
                since_ms=self.since_ms,
                at_ms=self.at_ms,
                readings=self.readings,
                rules=tuple(self._rule(rule_id) for rule_id in sorted(self.ids)),
                differences=(*undecided[:_MOST_KEPT], *decided),
                not_listed=comparison.dropped + max(0, len(undecided) - _MOST_KEPT),
                trouble=self.trouble,
            )

    def _rule(self, rule_id: str) -> ShadowRule:
        own, live = self.rules.find(rule_id), self.live.find(rule_id)
        assert own is not None
        tally = self._comparison.tallies.get(rule_id, Tally())
        return ShadowRule(
            id=rule_id,
            name_zh=own.spec.name.zh,
            name_en=own.spec.name.en,
            severity=own.spec.severity,
            version=own.spec.version,
            live_version="" if live is None else live.spec.version,
            same=tally.same,
            would_have_fired=tally.only_b,
            would_not_have=tally.only_a,
            earlier=tally.earlier,
            later=tally.later,
            mean_earlier_s=round(tally.earlier_ms / 1_000 / tally.earlier, 1) if tally.earlier else 0.0,
            mean_later_s=round(tally.later_ms / 1_000 / tally.later, 1) if tally.later else 0.0,
        )

    def _conclude(self, found: Found) -> None:
        assert self._engine is not None
        self._tell("b", found.events)
        self._engine.commit(found)

    def _tell(self, side: Side, events: Sequence[ConditionEvent]) -> None:
        for event in events:
            if event.rule.id not in self.ids:
                continue
            if event.kind == "raised":
                self._comparison.raised(side, event.rule.id, event.device, event.at_ms, event.rule.severity)
            elif event.kind in ("cleared", "withdrawn"):
                self._comparison.cleared(side, event.rule.id, event.device, event.at_ms)

    def _spent(self, began: float) -> None:
        now = monotonic_s()
        self._busy_s += now - began
        if self._busy_s > _MOST_BUSY_S and self._engine is not None:
            self._give_up(f"it took more than {_MOST_BUSY_S:g} s of a minute")
        if now - self._began_s > _WINDOW_S:
            self._began_s, self._busy_s = now, 0.0

    def _give_up(self, why: str) -> None:
        self._engine, self.trouble = None, why
        SHADOW_DOWN.set(1)
        effect = "the live rules go on; change a file of the shadow to try again"
        log.error("shadow.given_up", reason=why, effect=effect, exc_info=sys.exc_info()[0] is not None)


def _counted(difference: Difference) -> None:
    SHADOW_DIFFERENCES.labels(kind=_WORDS[difference.kind]).inc()


def _told(difference: Difference, *, open: bool) -> dict[str, Any]:
    told = asdict(difference)
    told["kind"] = _WORDS[difference.kind]
    told["open"] = open
    return told
