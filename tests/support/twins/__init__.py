"""Plays one story to a rule kind with memory, and to its slow twin: one file here per kind, plain Python, written from the prose.

A twin is one object per (rule, device):

    class Twin:
        def __init__(self, when, quantity, context): ...
        def judge(self, quantity: str, value: float, at_ms: int, observed_ms: int) -> str   # clear breach between unknown
        def passing(self, now_ms: int) -> str
        def leap(self, leap_ms: int, now_ms: int) -> None       # the hub was away, or its clock was set
        def triggered(self, raised: bool, at_ms: int) -> str    # only kinds with triggers
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from hub.model.quantities import BY_CODE, CODE, QUANTITIES
from hub.rules.kinds import KINDS
from hub.rules.kinds.kind import Compiled, Context, Look

SIGNALS = ("clear", "breach", "between", "unknown")
START = 1_704_067_200_000  # 2024-01-01 08:00 in Shanghai, a Monday
DAY = 86_400_000


class Say(NamedTuple):
    """A reading of one device."""

    device: int
    quantity: str
    value: float
    at_ms: int
    observed_ms: int


class Tick(NamedTuple):
    now_ms: int


class Leap(NamedTuple):
    """Time leapt by `leap_ms` up to `now_ms`: the hub was away, or its clock was set."""

    leap_ms: int
    now_ms: int


class Trigger(NamedTuple):
    """A condition that the rule waits for began (or ended) at a device."""

    device: int
    raised: bool
    at_ms: int


Step = Say | Tick | Leap | Trigger
Told = list[str]
"""What each step said: a Say or Trigger one word, a Tick one for each device, a Leap none."""


class Player:
    """A compiled kind over `devices` devices, played as the engine plays it: waves of at most `width` devices, on copies."""

    def __init__(self, run: Compiled, devices: int, *, width: int = 10_000, restarts: bool = False) -> None:
        assert run.memory is not None
        self.run, self.width, self.restarts = run, width, restarts
        self.memory = np.zeros(devices, run.memory)

    def play(self, story: Sequence[Step]) -> Told:
        told: dict[int, list[str]] = {}
        wave: list[tuple[int, Say]] = []
        for n, step in enumerate(story):
            if isinstance(step, Say) and len(wave) < self.width and all(step.device != w.device for _, w in wave):
                wave.append((n, step))
                continue
            self._judge(wave, told)
            wave = [(n, step)] if isinstance(step, Say) else []
            if not isinstance(step, Say):
                told[n] = self._other(step)
            if self.restarts:
                self.memory = np.frombuffer(self.memory.tobytes(), self.memory.dtype).copy()
        self._judge(wave, told)
        return [word for n in sorted(told) for word in told[n]]

    def _judge(self, wave: list[tuple[int, Say]], told: dict[int, list[str]]) -> None:
        if not wave:
            return
        at = np.array([step.device for _, step in wave])
        copies = self.memory[at]
        look = Look(
            quantity=np.array([CODE[step.quantity] for _, step in wave], np.int16),
            value=np.array([step.value for _, step in wave], np.float64),
            at_ms=np.array([step.at_ms for _, step in wave], np.int64),
            observed_ms=np.array([step.observed_ms for _, step in wave], np.int64),
        )
        assert self.run.judge is not None
        signals = self.run.judge(look, copies)
        assert (signals.dtype, signals.shape) == (np.uint8, (len(wave),))
        self.memory[at] = copies
        for (n, _), signal in zip(wave, signals.tolist(), strict=True):
            told[n] = [SIGNALS[signal]]

    def _other(self, step: Tick | Leap | Trigger) -> list[str]:
        if isinstance(step, Leap):
            leap(self.memory, step.leap_ms, step.now_ms)
            return []
        if isinstance(step, Trigger):
            assert self.run.triggered is not None
            copies = self.memory[[step.device]]
            signals = self.run.triggered(copies, step.raised, step.at_ms)
            self.memory[[step.device]] = copies
            return [SIGNALS[signals[0]]]
        if self.run.passing is None:
            return ["unknown"] * len(self.memory)
        before = self.memory.tobytes()
        signals = self.run.passing(self.memory, step.now_ms)
        assert self.memory.tobytes() == before, "the passing of time is only looked at"
        assert (signals.dtype, signals.shape) == (np.uint8, self.memory.shape)
        return [SIGNALS[s] for s in signals.tolist()]


def leap(memory: Any, leap_ms: int, now_ms: int) -> None:
    """What the engine does to memory when time leaps: every `*_ms` that is set moves along, none beyond now."""
    for name in memory.dtype.names or ():
        if name.endswith("_ms"):
            told = memory[name]
            memory[name] = np.where(told != 0, np.minimum(told + leap_ms, now_ms), 0)


def leapt(instant_ms: int, leap_ms: int, now_ms: int) -> int:
    """The same for one instant of a twin (0 = not yet)."""
    return min(instant_ms + leap_ms, now_ms) if instant_ms else 0


def twin_told(name: str, when: Any, quantity: str, devices: int, story: Sequence[Step], context: Context) -> Told:
    """The story as told by the twins of kind `name`, tests/support/twins/<name>.py."""
    twin = importlib.import_module(f"tests.support.twins.{name}").Twin
    twins = [twin(when, QUANTITIES.get(quantity), context) for _ in range(devices)]
    told: Told = []
    for step in story:
        if isinstance(step, Say):
            told.append(twins[step.device].judge(step.quantity, step.value, step.at_ms, step.observed_ms))
        elif isinstance(step, Trigger):
            told.append(twins[step.device].triggered(step.raised, step.at_ms))
        elif isinstance(step, Tick):
            told.extend(one.passing(step.now_ms) for one in twins)
        else:
            for one in twins:
                one.leap(step.leap_ms, step.now_ms)
    return told


def compiled(name: str, quantity: str, when: Any, context: Context | None = None) -> tuple[Compiled, Any]:
    """The runnable rule and its `when` model."""
    model = KINDS[name].When.model_validate(when)
    return KINDS[name].compile(model, QUANTITIES.get(quantity), context or Context()), model


def agrees_with_twin(
    name: str, quantity: str, when: Any, story: Sequence[Step], devices: int, context: Context | None = None
) -> Told:
    """Asserts that kind `name` says what its twin says, in waves of any width and over restarts. Returns what it said."""
    run, model = compiled(name, quantity, when, context)
    told = Player(run, devices).play(story)
    assert told == twin_told(name, model, quantity, devices, story, context or Context())
    assert Player(run, devices, width=1).play(story) == told, "one device at a time says the same"
    assert Player(run, devices, width=2, restarts=True).play(story) == told, "memory that was stored says the same"
    return told


_PAUSES = (0, 0, 1, 40, 250, 1_000, 1_000, 1_000, 2_500, 5_000, 10_000, 10_000, 60_000, 61_000, 600_000, 3_600_000)
_SKEWS = (0, 0, 0, 300, -2_000, 20_000, 120_000, -120_000, DAY, -DAY)
_DELAYS = (0, 0, 0, 0, 1, 120, 900, 5_000, 30_000, 200_000)


@st.composite
def stories(
    draw: st.DrawFn,
    values: Sequence[float],
    *,
    quantities: Sequence[str],
    devices: int = 3,
    pauses: Sequence[int] = _PAUSES,
    triggers: bool = False,
    size: int = 60,
) -> list[Step]:
    """Readings of several devices with NaN, equal times, late and out-of-order device times, device clocks that are set by up to a
    day, repetitions, ticks, and leaps of the hub's own time."""
    odd = ["again", "tick", "tick", "tick", "skew", "leap"] + ["trigger"] * 3 * triggers
    steps = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["say"] * 12 + odd),
                st.integers(0, devices - 1),
                st.sampled_from([*values, *values, float("nan")]),
                st.sampled_from(pauses),
                st.sampled_from(_DELAYS),
                st.sampled_from(_SKEWS),
                st.sampled_from(list(quantities)),
            ),
            min_size=1,
            max_size=size,
        )
    )
    now, skew = START, [0] * devices
    last: dict[int, Say] = {}
    story: list[Step] = []
    for what, device, value, pause, delay, jump, quantity in steps:
        now += pause
        if what == "skew":
            skew[device] += jump
        elif what == "leap":
            by = jump if jump else 3_600_000
            now += by
            story.append(Leap(by, now))
        elif what == "tick":
            story.append(Tick(now))
        elif what == "trigger":
            story.append(Trigger(device, value == value and value > 0, now))
        elif what == "again" and device in last:
            story.append(last[device]._replace(at_ms=now))
        else:
            last[device] = Say(device, quantity, value, now, now + skew[device] - delay)
            story.append(last[device])
    return story


def values_of(quantity: str) -> list[float]:
    """Every value of a switch or state, some of a gauge or counter."""
    one = QUANTITIES[quantity]
    if one.kind in ("switch", "state"):
        return [float(n) for n in range(int(one.high) + 1)]
    return [v for v in (0.0, 1.0, 2.5, 9.9, 10.0, 20.0, 40.0, 55.0, 60.0, 141.0, 5_000.0) if one.low <= v <= one.high]


def quantities_of(run: Compiled, quantity: str) -> list[str]:
    """The quantities whose readings come by a rule: its own and `also`."""
    return [q for q in (quantity, *run.also) if q] or [BY_CODE[0].name]
