"""What the hub knows of its own work, said as readings: so that rules about it are rules like all others.

`hub_facts` and `ledger_facts` are pure. `Facts` finds out each few seconds what there is, and says what has changed, through
a callable that puts it into the journal; from there it goes the way of every reading, and a replay finds it again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hub.clock import Clock
from hub.errors import Unavailable
from hub.loops import Loop
from hub.stores import state_file
from hub.stores.fact_queries import FactQueries
from hub.telemetry import FACTS, log

Key = tuple[str, str]
"""Device id and quantity."""

HUB: Final = "hub"
EVERY_S = 3.0
YEAR_MS = 365 * 86_400_000
DAY_MS = 86_400_000
REFUSED_WITHIN_MS = 300_000
LOAD_WITHIN_MS = 600_000
_FALSE_ALARMS_EVERY_MS = 30_000
_MOST = 1_000.0
AT_HAND: Final = frozenset({"canary_missed", "unmanned_grids", "thin_stations"})
IN_LEDGER: Final = frozenset(
    {
        "unattended_s",
        "false_alarms_12m",
        "fire_confirmed",
        "channel_refusals",
        "alarms_per_person_10min",
        "duty_unanswered",
        "command_failed",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the ledger was asked for; see `FactQueries` for each."""

    unattended: Collection[tuple[str, int]] = ()
    confirmed: Collection[str] = ()
    false_alarms: Mapping[str, int] = field(default_factory=dict)
    refusals: Mapping[str, int] = field(default_factory=dict)
    told: Mapping[str, int] = field(default_factory=dict)
    unanswered: Collection[str] = ()
    failed: Collection[str] = ()


def hub_facts(*, missed: int, unmanned: Collection[str], thin: Collection[str] = ()) -> dict[Key, float]:
    """What is known without the ledger. A fact that is 0 is left out, here and below."""
    return _told(
        {
            (HUB, "canary_missed"): float(missed),
            (HUB, "unmanned_grids"): float(len(unmanned)),
            (HUB, "thin_stations"): float(len(thin)),
        }
    )


def ledger_facts(known: Known, now_ms: int) -> dict[Key, float]:
    """What follows from the ledger at `now_ms`."""
    found: dict[Key, float] = {}
    for device, acked_at_ms in known.unattended:
        key = (device, "unattended_s")
        found[key] = max(found.get(key, 0.0), stepped((now_ms - acked_at_ms) / 1_000))
    found |= {(device, "fire_confirmed"): 1.0 for device in known.confirmed}
    found |= {(device, "false_alarms_12m"): float(count) for device, count in known.false_alarms.items()}
    found |= {(device, "command_failed"): 1.0 for device in known.failed}
    found[HUB, "channel_refusals"] = float(max(known.refusals.values(), default=0))
    found[HUB, "alarms_per_person_10min"] = float(max(known.told.values(), default=0))
    found[HUB, "duty_unanswered"] = float(len(known.unanswered))
    return _told(found)


def stepped(seconds: float) -> float:
    """Seconds in steps that people mean (10 s, from ten minutes on 60 s), so that a fact does not change with every look.

    Never more than it is; the same from an hour on.
    """
    whole = max(int(seconds), 0)
    step = 10 if whole < 600 else 60
    return float(min(whole // step * step, 3_600))


def _told(facts: Mapping[Key, float]) -> dict[Key, float]:
    return {key: min(value, _MOST) if key[1] != "unattended_s" else value for key, value in facts.items() if value > 0}


class Facts:
    """Says facts that changed. `loop` is its own thread, so a ledger that is away delays nobody; one owner calls `step`.

    `say(device id, quantity, value)` must take it or raise. `missed` counts heartbeats that did not arrive, `unmanned` names
    grids without anybody to tell, `thin` stations with fewer on duty than the norm, `unanswered` those that did not answer a duty
    check in time. What was said and is not 0 is remembered in `memory`: after a restart all of that is said
    again as it is then, so that a condition that ended meanwhile ends for the rules as well. While the ledger is away what
    was said of it stands: not to know is not to know better.
    """

    def __init__(
        self,
        queries: FactQueries,
        say: Callable[[str, str, float], None],
        *,
        memory: Path,
        clock: Clock,
        missed: Callable[[], int] = lambda: 0,
        unmanned: Callable[[int], Collection[str]] = lambda now_ms: (),
        thin: Callable[[int], Collection[str]] = lambda now_ms: (),
        unanswered: Callable[[int], Collection[str]] = lambda now_ms: (),
        every_s: float = EVERY_S,
    ) -> None:
        self._queries, self._say, self._memory, self._clock = queries, say, memory, clock
        self._missed, self._unmanned, self._every_s = missed, unmanned, every_s
        self._thin, self._unanswered = thin, unanswered
        self._said: dict[Key, float | None] = {}  # None: something that was not 0 before the restart
        self._written: frozenset[Key] | None = None
        self._false_alarms: tuple[int, dict[str, int]] = (-_FALSE_ALARMS_EVERY_MS, {})
        self._empty: frozenset[str] = frozenset()
        self._few: frozenset[str] = frozenset()
        self.loop = Loop("facts", self.step)

    def step(self) -> float:
        """One look. Returns the seconds to wait; raises Unavailable while the ledger is away, after what needs no ledger."""
        now_ms = self._clock()
        away = self._remember() if self._written is None else None
        empty = frozenset(self._unmanned(now_ms))
        if empty != self._empty:
            log.warning("facts.unmanned", grids=sorted(empty))
            self._empty = empty
        few = frozenset(self._thin(now_ms))
        if few != self._few:
            log.warning("facts.thin", stations=sorted(few))
            self._few = few
        self._tell(hub_facts(missed=self._missed(), unmanned=empty, thin=few), AT_HAND)
        if away is not None:
            raise away
        self._tell(ledger_facts(self._known(now_ms), now_ms), IN_LEDGER)
        return self._every_s

    def _known(self, now_ms: int) -> Known:
        asked_ms, false_alarms = self._false_alarms
        if not 0 <= now_ms - asked_ms < _FALSE_ALARMS_EVERY_MS:
            false_alarms = self._queries.false_alarms(now_ms - YEAR_MS)
            self._false_alarms = (now_ms, false_alarms)
        return Known(
            unattended=self._queries.unattended(),
            confirmed=self._queries.confirmed(),
            false_alarms=false_alarms,
            refusals=self._queries.refusals(now_ms - REFUSED_WITHIN_MS),
            told=self._queries.told(now_ms - LOAD_WITHIN_MS),
            unanswered=self._unanswered(now_ms),
            failed=self._queries.failed_commands(now_ms - DAY_MS),
        )

    def _tell(self, facts: Mapping[Key, float], of: frozenset[str]) -> None:
        mine = {key for key in self._said if key[1] in of} | facts.keys()
        changed = [
            (key, facts.get(key, 0.0)) for key in sorted(mine) if self._said.get(key, 0.0) != facts.get(key, 0.0)
        ]
        if not changed:
            return
        self._write(
            self._said.keys() | facts.keys()
        )  # before it is said: what is said must end one day, whatever comes
        for (device, quantity), value in changed:
            self._say(device, quantity, value)
            FACTS.labels(quantity=quantity).inc()
            if value:
                self._said[device, quantity] = value
            else:
                del self._said[device, quantity]

    # -- over restarts ------------------------------------------------------------------------------------------------

    def _remember(self) -> Unavailable | None:
        """Takes up what an earlier life has said; from the alerts that stand when its memory is lost. The error if neither can be read."""
        try:
            body = state_file.read(self._memory)
            keys = None if body is None else [(str(device), str(quantity)) for device, quantity in json.loads(body)]
        except (ValueError, OSError) as damaged:
            log.warning("facts.memory_unreadable", reason=str(damaged), effect="taken from the alerts that stand")
            keys = None
        try:
            found = self._queries.standing(AT_HAND | IN_LEDGER) if keys is None else keys
        except Unavailable as away:
            return away
        self._said = {**dict.fromkeys(found, None), **self._said}
        self._written = frozenset() if keys is None else frozenset(keys)
        return None

    def _write(self, keys: Iterable[Key]) -> None:
        wanted = frozenset(keys)
        if self._written is None or wanted == self._written:
            return  # None: the memory of the life before is still needed
        try:
            state_file.write(self._memory, json.dumps(sorted(wanted)).encode())
        except OSError as full:
            log.warning(
                "facts.memory_not_saved", reason=str(full), effect="after a restart a fact may stand for too long"
            )
            return
        self._written = wanted
