"""Kind `counter`: a meter counts too much in a time, or something goes on for too long (a charging session)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from pydantic import Field, model_validator

from hub.documents import Strict
from hub.model.quantities import Quantity
from hub.model.readings import Floats, Ints
from hub.rules.condition import BETWEEN, BREACH, CLEAR, UNKNOWN
from hub.rules.kinds.calendar import local_ms
from hub.rules.kinds.kind import Compiled, Context, Kind, Look, Memory, Signals
from hub.rules.kinds.limit import Limit, verdicts
from hub.rules.kinds.sampling import CLOCK_FIELDS, Bools, Clock

_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 86_400_000
_SLACK: Final = 1 + 1e-9  # ten times 0.1 is not more than 1

_PARTS: Final = 12  # of a window that moves on; the thirteenth moves out of it

_METER: Final[list[Any]] = [
    *CLOCK_FIELDS,
    ("last", np.float64),  # what the meter said last
    ("high", np.float64),  # and before it fell back
    ("last_at", np.int64),  # ms; this and what follows does not move when the hub's time leaps: consumption went on
    ("begun", np.uint8),
]
_PERIOD: Final = np.dtype(
    [
        *_METER,
        ("period", np.int64),  # number of the hour or day
        ("sum", np.float64),  # what was counted in it
        ("whole", np.uint8),  # whether its beginning was seen
    ],
    align=True,
)
_WINDOW: Final = np.dtype(
    [
        *_METER,
        ("since", np.int64),  # ms
        ("part", np.int64),  # number of the newest part
        ("counted", np.float64, (_PARTS + 1,)),  # in part n: at n modulo _PARTS + 1
    ],
    align=True,
)
_SESSION: Final = np.dtype(
    [
        ("since_ms", np.int64),
        ("off_ms", np.int64),  # since when it pauses
        ("last_ms", np.int64),
        ("seen", np.uint8),  # whether its beginning was seen
    ],
    align=True,
)


class When(Strict):
    """Either a counter that counts `more_than` so much, `per` hour or day (from midnight on, by the clock of the site) or in any
    `window_s`; or something that goes on: `while` a value is beyond a limit, for `longer_than_s`.

    A meter that falls back, was reset or replaced goes on counting from where it is; what it counted unseen is not made up.
    A reading that falls back and returns was an error. What was counted from one reading to the next is spread evenly over the time
    between them. Until a whole window, hour or day was seen, nothing is known to be little.
    """

    more_than: float | None = Field(None, ge=0, description="In the counter's unit.")
    window_s: float | None = Field(
        None,
        ge=60,
        le=86_400,
        description="Counted in the last so many seconds.",
    )
    per: Literal["hour", "day"] | None = Field(
        None, description="Counted since the hour or the day began, by the clock of the site (`timezone` in hub.yaml)."
    )
    max_per_h: float | None = Field(
        None, gt=0, description="More than this cannot be counted in an hour: a greater step is a replaced meter."
    )
    while_: Limit | None = Field(
        None, alias="while", description="A limit as of kind threshold: it goes on while the value is beyond it."
    )
    longer_than_s: float | None = Field(
        None, gt=0, le=30 * 86_400, description="Goes on for more than so many seconds."
    )
    pause_s: float = Field(
        0, ge=0, le=86_400, description="With while: an interruption of so many seconds or less does not end it."
    )

    @model_validator(mode="after")
    def _one_form(self) -> When:
        if (self.while_ is None) == (self.more_than is None):
            raise ValueError(
                "give either more_than with window_s or per (it counts), or while with longer_than_s (it goes on)"
            )
        if self.while_ is not None:
            extra = [key for key in ("window_s", "per", "max_per_h") if getattr(self, key) is not None]
            if extra:
                raise ValueError(f"{' and '.join(extra)} go with more_than, not with while")
            if self.longer_than_s is None:
                raise ValueError("while needs longer_than_s: after how many seconds it is too long")
        else:
            if self.longer_than_s is not None or self.pause_s:
                raise ValueError("longer_than_s and pause_s go with while, not with more_than")
            if (self.window_s is None) == (self.per is None):
                raise ValueError("more_than needs either window_s (the last so many seconds) or per (this hour or day)")
        return self


def _compile(when: Any, quantity: Quantity | None, context: Context) -> Compiled:
    assert isinstance(when, When)
    assert quantity is not None
    if when.while_ is not None:
        return _session(when, when.while_, quantity)
    if quantity.kind != "counter":
        raise ValueError(
            f"{quantity.name} is a {quantity.kind} and does not count: use while with longer_than_s, or another kind of rule"
        )
    return _window(when, quantity) if when.window_s is not None else _period(when, quantity, context.zone)


@dataclass(frozen=True, slots=True)
class Counted:
    """What a wave of readings counts: `step` in the time from `from_ms` to `to_ms`; `first` for the first readings of a device."""

    step: Floats
    from_ms: Ints
    to_ms: Ints
    known: Bools
    first: Bools


def _count(look: Look, memory: Memory, clock: Clock, max_per_h: float | None) -> Counted:
    """What was counted since the reading before, 0 where it is not known. Changes `memory` (fields of _METER)."""
    value, last, high = look.value, memory["last"], memory["high"]
    known, begun = np.isfinite(value), memory["begun"] == 1
    from_ms = memory["last_at"].copy()
    to_ms = clock.place(look.at_ms, look.observed_ms, known, memory).at_ms
    fell = begun & (value < last)
    back = (last < high) & (value >= high)  # what looked like a new meter was a wrong reading
    step = np.where(begun & ~fell, np.where(back, value - high, value - last), 0.0)
    if max_per_h is not None:
        hours = np.maximum((to_ms - from_ms) / _HOUR_MS, 1.0)
        step = np.where(step > max_per_h * hours, 0.0, step)
    step = np.where(known, step, 0.0)
    high = np.where(fell, np.maximum(high, last), np.where(back, 0.0, high))
    np.copyto(memory["high"], high, where=known)
    np.copyto(memory["last"], value, where=known)
    np.copyto(memory["last_at"], to_ms, where=known)
    memory["begun"] |= known
    return Counted(step, np.where(begun, from_ms, to_ms), to_ms, known, known & ~begun)


def _window(when: When, quantity: Quantity) -> Compiled:
    assert when.window_s is not None
    assert when.more_than is not None
    more_than, window_ms = when.more_than * _SLACK, int(when.window_s * 1_000)
    part_ms, clock = -(-window_ms // _PARTS), Clock(window_ms)
    places = np.arange(_PARTS + 1)

    def judge(look: Look, memory: Memory) -> Signals:
        with np.errstate(all="ignore"):
            new = _count(look, memory, clock, when.max_per_h)
            known, at = new.known, new.to_ms
            part = at // part_ms
            anew = new.first | (part < memory["part"] - _PARTS)  # the latter: the hub's clock was set back
            part = np.where(anew, part, np.maximum(part, memory["part"]))
            parts = part[:, None] - (part[:, None] - places) % (_PARTS + 1)  # the part that each place now stands for
            kept = np.where((parts > memory["part"][:, None]) | anew[:, None], 0.0, memory["counted"])
            begin = parts * part_ms
            inside = np.minimum(at[:, None], begin + part_ms) - np.maximum(new.from_ms[:, None], begin)
            share = np.maximum(inside, 0) / (at - new.from_ms)[:, None]
            share = np.where((at > new.from_ms)[:, None], share, parts == part[:, None])
            np.copyto(memory["counted"], kept + share * new.step[:, None], where=known[:, None])
            np.copyto(memory["part"], part, where=known)
            np.copyto(memory["since"], at, where=known & anew)
            below = np.where(at - memory["since"] >= window_ms, CLEAR, UNKNOWN)
            result = np.where(figure(memory) > more_than, BREACH, below).astype(np.uint8)
        result[~known] = UNKNOWN
        return result

    def figure(memory: Memory) -> Floats:
        """What was counted in the window up to the latest reading, in the counter's unit."""
        part, counted = memory["part"], memory["counted"]
        with np.errstate(all="ignore"):
            gone = np.clip((memory["last_at"] - part * part_ms) / part_ms, 0.0, 1.0)
            oldest = counted[np.arange(len(part)), (part + 1) % (_PARTS + 1)]
            return np.where(memory["begun"] == 1, counted.sum(axis=1) - gone * oldest, np.nan)

    return Compiled(
        driven_by="values",
        threshold=when.more_than,
        memory=_WINDOW,
        judge=judge,
        figure=figure,
        figure_unit=quantity.unit,
    )


def _period(when: When, quantity: Quantity, zone: str) -> Compiled:
    assert when.per is not None
    assert when.more_than is not None
    per, more_than = when.per, when.more_than * _SLACK
    clock = Clock(_HOUR_MS if per == "hour" else _DAY_MS)

    def judge(look: Look, memory: Memory) -> Signals:
        with np.errstate(all="ignore"):
            new = _count(look, memory, clock, when.max_per_h)
            period, start_ms = _period_of(new.to_ms, zone, per)
            share = np.clip((new.to_ms - start_ms) / (new.to_ms - new.from_ms), 0.0, 1.0)
            step = np.where(new.from_ms < start_ms, new.step * share, new.step)
            begins = period != memory["period"]
            np.copyto(memory["sum"], np.where(begins, step, memory["sum"] + step), where=new.known)
            np.copyto(memory["whole"], ~new.first, where=new.known & begins, casting="unsafe")
            np.copyto(memory["period"], period, where=new.known)
        below = np.where(memory["whole"] == 1, CLEAR, UNKNOWN)
        result = np.where(memory["sum"] > more_than, BREACH, below).astype(np.uint8)
        result[~new.known] = UNKNOWN
        return result

    def figure(memory: Memory) -> Floats:
        """What was counted in the hour or day of the latest reading, in the counter's unit."""
        return np.where(memory["begun"] == 1, memory["sum"], np.nan)

    return Compiled(
        driven_by="values",
        threshold=when.more_than,
        memory=_PERIOD,
        judge=judge,
        figure=figure,
        figure_unit=f"{quantity.unit}/{per}",
    )


def _period_of(at_ms: Ints, zone: str, per: Literal["hour", "day"]) -> tuple[Ints, Ints]:
    """The number of the hour or the day at the site, and when it began."""
    ahead = local_ms(at_ms, zone) - at_ms
    if per == "hour":  # an hour that comes twice in autumn is two hours
        minutes = ahead % _HOUR_MS
        number = (at_ms + minutes) // _HOUR_MS
        return number, number * _HOUR_MS - minutes
    number = (at_ms + ahead) // _DAY_MS
    midnight = number * _DAY_MS
    guess = midnight - ahead
    return number, midnight - (local_ms(guess, zone) - guess)  # the clocks may have been changed since


def _session(when: When, limit: Limit, quantity: Quantity) -> Compiled:
    assert when.longer_than_s is not None
    beyond = verdicts(limit, quantity)
    long_ms, pause_ms = int(when.longer_than_s * 1_000), int(when.pause_s * 1_000)

    def judge(look: Look, memory: Memory) -> Signals:
        signals, at = beyond.signals(look.value), look.at_ms
        known = signals != UNKNOWN
        since, off = memory["since_ms"].copy(), memory["off_ms"].copy()
        over = (off != 0) & (at - off > pause_ms)
        on, away = signals == BREACH, signals == CLEAR
        begins = on & ((since == 0) | over)
        stops = away & (since != 0) & (off == 0)
        ends = away & (over | (stops & (pause_ms == 0)))
        since = np.where(begins, at, np.where(ends, 0, since))
        off = np.where(on | ends, 0, np.where(stops, at, off))
        np.copyto(memory["seen"], 1, where=away | (begins & over))
        np.copyto(memory["since_ms"], since, where=known)
        np.copyto(memory["off_ms"], off, where=known)
        np.copyto(memory["last_ms"], at, where=known)
        short = np.where(memory["seen"] == 1, CLEAR, UNKNOWN)
        going_on = np.where(off != 0, BETWEEN, np.where(at - since > long_ms, BREACH, short))
        result = np.where(since == 0, short, going_on).astype(np.uint8)
        result[~known] = UNKNOWN
        return result

    def passing(memory: Memory, now_ms: int) -> Signals:
        goes_on = (memory["since_ms"] != 0) & (memory["off_ms"] == 0)
        result = np.full(len(memory), UNKNOWN, np.uint8)
        result[goes_on & (now_ms - memory["since_ms"] > long_ms)] = BREACH
        result[(memory["off_ms"] != 0) & (now_ms - memory["off_ms"] > pause_ms)] = CLEAR
        return result

    def figure(memory: Memory) -> Floats:
        """For how many seconds it had gone on at the latest reading."""
        seconds = (memory["last_ms"] - memory["since_ms"]) / 1_000
        return np.where(memory["last_ms"] == 0, np.nan, np.where(memory["since_ms"] == 0, 0.0, seconds))

    return Compiled(
        driven_by="values",
        threshold=when.longer_than_s,
        memory=_SESSION,
        judge=judge,
        passing=passing,
        figure=figure,
        figure_unit="s",
    )


KIND = Kind(name="counter", When=When, compile=_compile)
