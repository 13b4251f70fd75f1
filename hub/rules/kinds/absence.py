"""Kind `absence`: something should have followed and did not: a gate that does not open on a fire, a cut command without its
read-back, power that still flows though the limit is exceeded."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator

from hub.documents import Strict
from hub.model.quantities import QUANTITIES, Quantity
from hub.rules.condition import BREACH, CLEAR, UNKNOWN
from hub.rules.kinds.kind import Area, Compiled, Context, Kind, Look, Memory, Signals, Trigger
from hub.rules.kinds.limit import Bound, Limit, Verdicts, Words, verdicts

_IDLE, _WAITING, _ANSWERED = range(3)  # field `stage`
_UNHEARD, _UNMET, _MET = range(3)  # field `answer`: what the latest known value of the rule's own quantity says
_LIMITS: Final = ("above", "at_least", "below", "at_most", "equals", "clear_below", "clear_above")


class After(Strict):
    """What the answer is waited for after: a `quantity` of the same device beyond a limit (a command, or a measurement), or a
    condition of another `rule` in an area around the device. It lasts until that ends.
    """

    quantity: str | None = Field(
        None, description="A quantity of the same device, e.g. relay_wanted: what it was told to do."
    )
    above: float | None = Field(None, description="The quantity is more than this.")
    at_least: float | None = Field(None, description="The quantity is this or more.")
    below: float | None = Field(None, description="The quantity is less than this.")
    at_most: float | None = Field(None, description="The quantity is this or less.")
    equals: Words | None = Field(None, description="The switch or state has this value, or one of these.")
    clear_below: float | None = Field(None, description="With above, at_least: it ends only below this.")
    clear_above: float | None = Field(None, description="With below, at_most: it ends only above this.")
    rule: str | list[str] | None = Field(
        None,
        description="Id of another rule, or several: from when the first of their conditions begins until none lasts.",
    )
    area: Area | None = Field(
        None,
        description="With rule: where its condition counts, as seen from the device: device, room, unit, building, grid …",
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> After:
        if (self.quantity is None) == (self.rule is None):
            raise ValueError("give quantity (and its limit) or rule (and its area), one of the two")
        if self.rule is not None:
            if any(getattr(self, key) is not None for key in _LIMITS):
                raise ValueError("a rule has its own limit: remove it here, or give quantity instead of rule")
            if not self.rule:
                raise ValueError("rule names none: give the id of a rule")
        elif self.area is not None:
            raise ValueError("area goes with rule: a quantity is the device's own")
        else:
            try:
                self.limit()
            except ValidationError as bad:
                raise ValueError(str(bad.errors()[0]["msg"]).removeprefix("Value error, ")) from None
        return self

    def limit(self) -> Limit:
        return Limit(**{key: getattr(self, key) for key in _LIMITS})


class When(Strict):
    """After something, an answer is expected of the rule's own quantity within a time; it is missing if it has not come by then.

    The answer, or the end of what it was waited for after, clears. A last known value that fits counts as an answer: a gate that
    stands open need not say so again (unless it said so longer than `fresh_s` ago). No reading at all is no answer.
    """

    after: After = Field(description="What the answer is waited for after.")
    expect: Bound = Field(description="The answer: what the rule's own quantity should be.")
    within_s: float = Field(gt=0, le=86_400, description="The answer must have been received within so long.")
    fresh_s: float | None = Field(
        None,
        gt=0,
        le=30 * 86_400,
        description="A value received longer ago than this counts as no answer. Left out: any last known value counts.",
    )
    keep: bool = Field(
        False,
        description="true: the answer must also last as long as what it came after; a gate that closes again during the fire is "
        "waited for anew. false: one answer will do.",
    )


def _compile(when: Any, quantity: Quantity | None, context: Context) -> Compiled:
    assert isinstance(when, When)
    assert quantity is not None
    own, expected = quantity.code, _checked("expect", when.expect, quantity)
    fresh_ms = None if when.fresh_s is None else int(when.fresh_s * 1_000)
    cause, asked = _cause(when.after, quantity)
    code = -1 if cause is None else cause.code

    def judge(look: Look, memory: Memory) -> Signals:
        known = ~np.isnan(look.value)
        mine, other = known & (look.quantity == own), known & (look.quantity == code)
        met = mine & expected.breach(look.value)
        memory["answer"][mine] = np.where(met, _MET, _UNMET)[mine]
        memory["answered_ms"][mine] = look.at_ms[mine]
        memory["stage"][met & (memory["stage"] == _WAITING)] = _ANSWERED
        if when.keep:
            memory["stage"][mine & ~met & (memory["stage"] == _ANSWERED)] = _WAITING
        if asked is not None and other.any():
            said = asked.signals(look.value)
            memory["stage"][other & (said == CLEAR)] = _IDLE
            _ask(memory, other & (said == BREACH), look.at_ms)
        return np.where(known, _missing(memory), UNKNOWN).astype(np.uint8)

    def triggered(memory: Memory, raised: bool, at_ms: int) -> Signals:
        if raised:
            everywhere = np.ones(memory.shape, np.bool_)
            _ask(memory, everywhere, np.full(memory.shape, at_ms, np.int64))
        else:
            memory["stage"] = _IDLE
        return _missing(memory)

    def _ask(memory: Memory, where: NDArray[np.bool_], at_ms: NDArray[np.int64]) -> None:
        """Waits for an answer, unless it is there. While one is waited for, asking again changes nothing: the delay runs on."""
        there = memory["answer"] == _MET
        if fresh_ms is not None:
            there = there & (at_ms - memory["answered_ms"] <= fresh_ms)
        memory["stage"][where] = np.where(there, _ANSWERED, _WAITING)[where]

    return Compiled(
        driven_by="values",
        hold_ms=int(
            when.within_s * 1_000
        ),  # a missing answer is a breach at once, and the on-delay is the time that it has
        threshold=expected.threshold,
        memory=np.dtype([("stage", np.uint8), ("answer", np.uint8), ("answered_ms", np.int64)]),
        judge=judge,
        also=() if cause is None else (cause.name,),
        triggers=() if when.after.rule is None else (_trigger(when.after),),
        triggered=None if when.after.rule is None else triggered,
    )


def _missing(memory: Memory) -> Signals:
    return np.where(memory["stage"] == _WAITING, BREACH, CLEAR).astype(np.uint8)


def _trigger(after: After) -> Trigger:
    assert after.rule is not None
    return Trigger(
        rules=(after.rule,) if isinstance(after.rule, str) else tuple(after.rule), area=after.area or "device"
    )


def _cause(after: After, quantity: Quantity) -> tuple[Quantity | None, Verdicts | None]:
    if after.quantity is None:
        return None, None
    cause = QUANTITIES.get(after.quantity)
    if cause is None:
        raise ValueError(f"after: unknown quantity {after.quantity!r}; see hub/model/quantities.py for the table")
    if cause is quantity:
        raise ValueError("after: names the quantity that the answer is expected of; name another one of the device")
    return cause, _checked("after", after.limit(), cause)


def _checked(key: str, bound: Bound, quantity: Quantity) -> Verdicts:
    try:
        return verdicts(bound, quantity)
    except ValueError as bad:
        raise ValueError(f"{key}: {bad}") from None


KIND = Kind(name="absence", When=When, compile=_compile)
