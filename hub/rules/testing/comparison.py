"""What two rule sets make of the same readings, side by side: which episodes only one of them sees, and who is earlier."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Side = Literal["a", "b"]
WINDOW_MS = 600_000
"""Two episodes of one rule and device are the same when they overlap, or lie no further apart than this."""
_MOST_KEPT = 1_000
_SIDES: tuple[Side, Side] = ("a", "b")
Key = tuple[str, str]
"""Rule id and device."""


@dataclass(slots=True)
class Episode:
    """A condition from its raising to its end; `cleared_ms` None: it lasts."""

    raised_ms: int
    cleared_ms: int | None = None
    severity: str = ""

    def meets(self, at_ms: int) -> bool:
        """Whether an episode of the other side that begins at `at_ms` (not before this one) is the same."""
        return self.cleared_ms is None or at_ms - self.cleared_ms <= WINDOW_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that the two sides see differently. `later_ms`: by how much B raised later than A (negative: earlier)."""

    rule: str
    device: str
    kind: Literal["only in a", "only in b", "earlier", "later"]
    raised_ms: int
    cleared_ms: int | None = None
    later_ms: int = 0
    severity: str = ""


@dataclass(slots=True)
class Tally:
    """Of one rule: how many episodes both see alike, and how they differ."""

    same: int = 0
    earlier: int = 0
    later: int = 0
    only_a: int = 0
    only_b: int = 0
    earlier_ms: int = 0  # of all earlier ones together
    later_ms: int = 0

    @property
    def differs(self) -> bool:
        return bool(self.earlier or self.later or self.only_a or self.only_b)


@dataclass(slots=True)
class Comparison:
    """Follows both sides, in the order of time. Keeps the newest differences and counts them all."""

    since_ms: int = 0  # what began earlier is followed and not counted
    most_kept: int = _MOST_KEPT
    tallies: dict[str, Tally] = field(default_factory=dict)
    kept: deque[Difference] = field(default_factory=deque)
    dropped: int = 0
    told: Callable[[Difference], None] = lambda difference: None
    _alone: dict[Side, dict[Key, Episode]] = field(default_factory=lambda: {"a": {}, "b": {}})
    _matched: dict[Side, dict[Key, Episode]] = field(default_factory=lambda: {"a": {}, "b": {}})

    def raised(self, side: Side, rule: str, device: str, at_ms: int, severity: str = "") -> None:
        """An episode begins on one side."""
        key, other = (rule, device), _other(side)
        earlier = self._alone[side].pop(key, None)
        if earlier is not None:  # nobody met it, and now the same side begins anew
            self._only(side, key, earlier)
        met = self._alone[other].get(key)
        episode = Episode(at_ms, severity=severity)
        if met is not None and met.meets(at_ms):
            del self._alone[other][key]
            self._matched[other][key], self._matched[side][key] = met, episode
            self._pair(key, *((episode, met) if side == "a" else (met, episode)))
            return
        if met is not None:
            self._only(other, key, self._alone[other].pop(key))
        companion = self._matched[other].get(key)
        if companion is not None and companion.cleared_ms is None:
            self._matched[side][key] = episode  # the other side sees one long episode where this one sees several
            return
        self._alone[side][key] = episode

    def known(self, side: Side, rule: str, device: str, at_ms: int) -> None:
        """An episode that one side had before both were followed: whatever the other side says while it lasts is the same."""
        self._matched[side][(rule, device)] = Episode(at_ms)

    def cleared(self, side: Side, rule: str, device: str, at_ms: int) -> None:
        """An episode ends on one side."""
        key = (rule, device)
        for episodes in (self._alone[side], self._matched[side]):
            episode = episodes.get(key)
            if episode is not None and episode.cleared_ms is None:
                episode.cleared_ms = at_ms

    def settle(self, now_ms: int) -> None:
        """Decides what nobody can meet any more; what still lasts stays open."""
        for side in _SIDES:
            old = [k for k, e in self._alone[side].items() if not e.meets(now_ms)]
            for key in old:
                self._only(side, key, self._alone[side].pop(key))
            for key in [k for k, e in self._matched[side].items() if not e.meets(now_ms)]:
                del self._matched[side][key]

    def finish(self) -> None:
        """The data end here: what one side alone has seen stays alone."""
        for side in _SIDES:
            for key, episode in self._alone[side].items():
                self._only(side, key, episode)
            self._alone[side].clear()

    @property
    def waiting(self) -> list[Difference]:
        """Episodes that one side alone has seen so far."""
        return [_alone(side, key, e) for side in _SIDES for key, e in self._alone[side].items()]

    def tally(self, rule: str) -> Tally:
        return self.tallies.setdefault(rule, Tally())

    def _pair(self, key: Key, a: Episode, b: Episode) -> None:
        later_ms = b.raised_ms - a.raised_ms
        if max(a.raised_ms, b.raised_ms) < self.since_ms:
            return
        tally = self.tally(key[0])
        if later_ms == 0:
            tally.same += 1
            return
        if later_ms < 0:
            tally.earlier += 1
            tally.earlier_ms -= later_ms
        else:
            tally.later += 1
            tally.later_ms += later_ms
        self._keep(
            Difference(
                rule=key[0],
                device=key[1],
                kind="earlier" if later_ms < 0 else "later",
                raised_ms=b.raised_ms,
                later_ms=later_ms,
                severity=b.severity,
            )
        )

    def _only(self, side: Side, key: Key, episode: Episode) -> None:
        if episode.raised_ms < self.since_ms:
            return
        tally = self.tally(key[0])
        if side == "a":
            tally.only_a += 1
        else:
            tally.only_b += 1
        self._keep(_alone(side, key, episode))

    def _keep(self, difference: Difference) -> None:
        self.told(difference)
        self.kept.append(difference)
        if len(self.kept) > self.most_kept:
            self.kept.popleft()
            self.dropped += 1


def _alone(side: Side, key: Key, episode: Episode) -> Difference:
    return Difference(
        rule=key[0],
        device=key[1],
        kind="only in a" if side == "a" else "only in b",
        raised_ms=episode.raised_ms,
        cleared_ms=episode.cleared_ms,
        severity=episode.severity,
    )


def _other(side: Side) -> Side:
    return "b" if side == "a" else "a"
