"""What rules would have said to readings of the past: episodes by day, rule and device. Nothing is stored, nobody is told."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from statistics import median
from zoneinfo import ZoneInfo

import numpy as np

from hub.model.readings import ReadingBatch
from hub.model.rules import ConditionEvent
from hub.registry.snapshot import Registry
from hub.rules.engine import Engine
from hub.rules.ruleset import RuleSet
from hub.rules.testing.comparison import Comparison, Side
from hub.rules.testing.player import Player

MOST_EPISODES = 200_000
_PUT_OFF = 240
HOLE_MS = 2 * 86_400_000
"""Readings further apart than this leave a hole in which nobody was there to judge: no silence is counted across it."""
_NEVER = np.int64(1 << 61)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One episode. `cleared_ms` None: it lasted when the data ended."""

    rule: str
    device: str
    severity: str
    raised_ms: int
    cleared_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFigures:
    """One rule over the whole time."""

    rule: str
    severity: str
    episodes: int
    devices: int
    per_day: float
    median_s: float | None  # of those that ended
    longest_s: float | None
    open: int
    chatter: int


class Episodes:
    """Collects the events of one rule set. Counts everything, and keeps the first `MOST_EPISODES` whole."""

    def __init__(self, zone: str, *, since_ms: int = 0) -> None:
        """What began before `since_ms` is not counted."""
        self._zone, self._since_ms = ZoneInfo(zone), since_ms
        self._open: dict[tuple[str, str], int] = {}  # → index of the kept row, -1 when it is not kept
        self._names: list[tuple[str, str, str]] = []
        self._number: dict[tuple[str, str, str], int] = {}
        self._who, self._raised, self._cleared = array("i"), array("q"), array("q")
        self.days: dict[str, Counter[str]] = {}
        self.by_device: Counter[tuple[str, str]] = Counter()
        self.severity: dict[str, str] = {}
        self.chatter: Counter[str] = Counter()
        self.tests = 0
        self.total = 0
        self._day = (0, 0, "")  # [from, to) of the day that was asked for last

    @property
    def kept_all(self) -> bool:
        return self.total == len(self._raised)

    def take(self, events: Sequence[ConditionEvent]) -> None:
        for e in events:
            key = (e.rule.id, e.device)
            if e.kind == "raised" and e.at_ms >= self._since_ms:
                self._begin(key, e)
            elif e.kind in ("cleared", "withdrawn"):
                row = self._open.pop(key, -1)
                if row >= 0:
                    self._cleared[row] = e.at_ms
            elif e.kind == "chatter":
                self.chatter[e.rule.id] += e.at_ms >= self._since_ms
            elif e.kind == "test":
                self.tests += e.at_ms >= self._since_ms

    def _begin(self, key: tuple[str, str], e: ConditionEvent) -> None:
        rule, device = key
        self.total += 1
        self.by_device[key] += 1
        self.days.setdefault(self.day_of(e.at_ms), Counter())[rule] += 1
        self.severity.setdefault(rule, e.rule.severity)
        if len(self._raised) >= MOST_EPISODES:
            self._open[key] = -1
            return
        name = (rule, device, e.rule.severity)
        number = self._number.get(name)
        if number is None:
            number = self._number[name] = len(self._names)
            self._names.append(name)
        self._open[key] = len(self._raised)
        self._who.append(number)
        self._raised.append(e.at_ms)
        self._cleared.append(-1)

    def day_of(self, at_ms: int) -> str:
        """The date at the site."""
        begin, end, name = self._day
        if not begin <= at_ms < end:
            local = datetime.fromtimestamp(at_ms / 1_000, UTC).astimezone(self._zone)
            name = local.date().isoformat()
            begin = at_ms // 60_000 * 60_000  # a minute: whole days are not of one length everywhere
            self._day = (begin, begin + 60_000, name)
        return name

    def __iter__(self) -> Iterator[Row]:
        for who, raised, cleared in zip(self._who, self._raised, self._cleared, strict=True):
            rule, device, severity = self._names[who]
            yield Row(
                rule=rule,
                device=device,
                severity=severity,
                raised_ms=raised,
                cleared_ms=None if cleared < 0 else cleared,
            )

    def figures(self, days: float) -> list[RuleFigures]:
        """Every rule that said something, the most talkative first."""
        lasted: dict[str, list[int]] = {}
        for row in self:
            if row.cleared_ms is not None:
                lasted.setdefault(row.rule, []).append(row.cleared_ms - row.raised_ms)
        totals: Counter[str] = Counter()
        devices: Counter[str] = Counter()
        still: Counter[str] = Counter(rule for rule, _ in self._open)
        for (rule, _), times in self.by_device.items():
            totals[rule] += times
            devices[rule] += 1
        return [
            RuleFigures(
                rule=rule,
                severity=self.severity[rule],
                episodes=number,
                devices=devices[rule],
                per_day=number / days if days else 0.0,
                median_s=median(lasted[rule]) / 1_000 if rule in lasted else None,
                longest_s=max(lasted[rule]) / 1_000 if rule in lasted else None,
                open=still[rule],
                chatter=self.chatter[rule],
            )
            for rule, number in sorted(totals.items(), key=lambda item: (-item[1], item[0]))
        ]


class Backtest:
    """Plays readings, oldest first, to one rule set or to two side by side.

    `run` takes readings and makes the ticks itself; `segment` takes readings and the tick behind them, as a journal has them.
    `judge_unheard`: whether a device that never reports is judged silent from the start (False: only after its first reading).
    `count_from_ms`: what begins before it is followed, so that delays and silence are known, and not counted.
    """

    def __init__(
        self,
        registry: Registry,
        rules: RuleSet,
        compare: RuleSet | None = None,
        *,
        start_ms: int,
        zone: str,
        judge_unheard: bool,
        count_from_ms: int = 0,
    ) -> None:
        self.registry, self.start_ms, self.end_ms = registry, start_ms, start_ms
        self.count_from_ms = max(start_ms, count_from_ms)
        self.readings = 0
        self.disordered = 0
        self.holes = 0
        self._put_off: list[tuple[ReadingBatch, int | None]] = []
        self._judge_unheard = judge_unheard
        self.comparison = Comparison(since_ms=count_from_ms) if compare is not None else None
        self.sides: list[Episodes] = []
        self._players: list[Player] = []
        self._heard = np.zeros(len(registry), bool)
        sides: tuple[Side, ...] = ("a", "b")
        for side, ruleset in zip(sides, (rules, compare), strict=True):
            if ruleset is None:
                continue
            engine = Engine(ruleset, registry, start_ms=start_ms)
            episodes = Episodes(zone, since_ms=count_from_ms)
            self.sides.append(episodes)
            tell = episodes.take if self.comparison is None else partial(self._told, side, episodes)
            self._players.append(Player(engine, start_ms=start_ms, tell=tell))
            if not judge_unheard:
                engine.last_heard_ms[:] = _NEVER

    def _told(self, side: Side, episodes: Episodes, events: Sequence[ConditionEvent]) -> None:
        episodes.take(events)
        assert self.comparison is not None
        for e in events:
            if e.kind == "raised":
                self.comparison.raised(side, e.rule.id, e.device, e.at_ms, e.rule.severity)
            elif e.kind in ("cleared", "withdrawn"):
                self.comparison.cleared(side, e.rule.id, e.device, e.at_ms)

    def run(self, batch: ReadingBatch) -> None:
        """Readings in the order of their receipt; those that lie before what came already are judged as if they came now."""
        if not len(batch):
            return
        now_ms = self._players[0].at_ms
        received = np.maximum.accumulate(np.maximum(batch.received_at_ms, now_ms))
        late = int((received != batch.received_at_ms).sum())
        if late:
            self.disordered += late
            batch.received_at_ms[:] = received
        if not self._judge_unheard:
            self._heard[batch.slot] = True
        holes = np.flatnonzero(np.diff(received, prepend=max(self.end_ms, now_ms)) > HOLE_MS)
        for part in np.split(np.arange(len(batch)), holes) if len(holes) else [None]:
            if part is not None and not len(part):
                continue
            rows = batch if part is None else batch.take(part)
            self._over_a_hole(int(rows.received_at_ms[0]))
            for player in self._players:
                player.run(rows)
            self.end_ms = int(rows.received_at_ms[-1])
        self.readings += len(batch)
        self._settle()

    def _over_a_hole(self, next_ms: int) -> None:
        if next_ms - self.end_ms <= HOLE_MS:
            return
        self.holes += 1
        for player in self._players:
            player.advance(self.end_ms + 1_000)
            player.tick(next_ms // 1_000 * 1_000)
            if not self._judge_unheard:
                player.engine.last_heard_ms[~self._heard] = _NEVER

    def segment(self, batch: ReadingBatch, tick_ms: int | None, last_ms: int) -> None:
        """Readings of a journal's stretch, and the tick that ends it, if one does. Some are put off to be judged together."""
        self._put_off.append((batch, tick_ms))
        self.readings += len(batch)
        self.end_ms = max(self.end_ms, last_ms)
        if len(self._put_off) >= _PUT_OFF:
            self._catch_up()

    def _catch_up(self) -> None:
        parts, self._put_off = self._put_off, []
        for player in self._players:
            player.follow(parts)
        self._settle()

    def _settle(self) -> None:
        if self.comparison is not None:
            self.comparison.settle(self.end_ms)

    def finish(self, end_ms: int | None = None) -> None:
        """The readings end; time may go on to `end_ms`, so that silence up to there is judged."""
        self._catch_up()
        if end_ms is not None and 0 < end_ms - self.end_ms <= HOLE_MS:
            for player in self._players:
                player.advance(end_ms)
            self.end_ms = max(self.end_ms, end_ms)
        if self.comparison is not None:
            self.comparison.finish()

    @property
    def days(self) -> float:
        return max(0, self.end_ms - self.count_from_ms) / 86_400_000
