"""Kind `state_change`: a switch or state goes into (or out of) certain values: a gate into fault, a door open though nobody was let
in, a lock that is opened outside working hours, a door that is held open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, model_validator

from hub.documents import Strict
from hub.model.quantities import QUANTITIES, Quantity
from hub.model.readings import Floats, Ints
from hub.rules.condition import BREACH, CLEAR, UNKNOWN
from hub.rules.kinds.calendar import During, Window
from hub.rules.kinds.kind import Compiled, Context, Kind, Look, Memory, Signals
from hub.rules.kinds.limit import Words, codes_of

_UNHEARD, _ELSEWHERE, _ORIGIN, _TARGET = range(4)  # field `was`: where the latest known value lies


class Excuse(Strict):
    """Another quantity of the same device that makes the change right: access granted, or a lock that is open.

    With `within_s` its value must have been received that shortly before the change (at the latest). Without, its latest known
    value counts, however old.
    """

    quantity: str = Field(description="A switch or state of the same device, e.g. access_result.")
    equals: Words = Field(description="The value (or values, of a state) that makes the change right, e.g. granted.")
    within_s: float | None = Field(
        None,
        gt=0,
        le=86_400,
        description="Received at most so long before the change. Left out: the latest known value.",
    )


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


Excuses = Annotated[
    list[Excuse],
    BeforeValidator(_listed, json_schema_input_type=Excuse | Annotated[list[Excuse], Field(min_length=1)]),
    Field(min_length=1),
]


class When(Strict):
    """A change of a switch or state: `to` a value, `from` a value, or both; for as long as the value then stays.

    What a device was before its first reading was not seen. A rule with `to` alone takes a first reading for a change; one that
    judges the moment of the change (`from`, `unless`, `outside`) waits for one that it has seen.
    """

    to: Words | None = Field(None, description="It changes into this value, or one of these (of a state).")
    from_: Words | None = Field(
        None, alias="from", description="It changes out of this value, or one of these (of a state)."
    )
    unless: Excuses | None = Field(
        None, description="The change is right if another quantity of the device said so shortly before; one or a list."
    )
    wait_s: float = Field(
        0,
        ge=0,
        le=60,
        description="With unless: wait so long for a word that comes after the change, where messages overtake each other. "
        "Delays the alert.",
    )
    outside: During | None = Field(
        None, description="Only a change outside these hours and days counts, for as long as the value then stays."
    )
    for_s: float = Field(
        0, ge=0, le=7 * 86_400, description="It must stay so for so long: held open. Counts from the change."
    )
    clear_hold_s: float = Field(0, ge=0, le=7 * 86_400, description="Off-delay: the return must last so long.")

    @model_validator(mode="after")
    def _makes_sense(self) -> When:
        if self.to is None and self.from_ is None:
            raise ValueError("give to (the value that it changes into), from (that it changes out of), or both")
        if self.wait_s and self.unless is None:
            raise ValueError("wait_s waits for the word of unless: add unless, or use for_s")
        return self


@dataclass(frozen=True, slots=True)
class _Excuse:
    code: int
    values: Floats
    within_ms: int  # 0 = its latest value
    told_ms: str  # names of its fields in memory
    stands: str

    def heard(self, look: Look, known: NDArray[np.bool_], memory: Memory) -> NDArray[np.bool_]:
        """Takes its readings into memory; returns where it was told now."""
        here = known & (look.quantity == self.code)
        told: NDArray[np.bool_] = here & np.isin(look.value, self.values)
        memory[self.told_ms][told] = look.at_ms[told]
        memory[self.stands][here] = told[here]
        return told

    def covers(self, at_ms: Ints, memory: Memory) -> NDArray[np.bool_]:
        if not self.within_ms:
            return np.asarray(memory[self.stands] == 1)
        told_ms = memory[self.told_ms]
        return np.asarray((told_ms != 0) & (at_ms - told_ms <= self.within_ms))


_FIELDS: Final = [("was", np.uint8), ("breach", np.uint8), ("changed_ms", np.int64)]


def _compile(when: Any, quantity: Quantity | None, context: Context) -> Compiled:
    assert isinstance(when, When)
    assert quantity is not None
    if quantity.kind not in ("switch", "state"):
        raise ValueError(
            f"{quantity.name} is a {quantity.kind}, it has no states to change between: use kind threshold"
        )
    own, target, origin = quantity.code, _values(quantity, when.to, "to"), _values(quantity, when.from_, "from")
    if not len(target):
        target = np.setdiff1d(_all(quantity), origin)
    if np.isin(target, origin).any():
        raise ValueError("to and from name the same value: a change needs two")
    if not len(np.setdiff1d(_all(quantity), target)):
        raise ValueError(f"{quantity.name} has no other value: name fewer")
    excuses = _excuses(when, quantity)
    outside = None if when.outside is None else Window.of(when.outside, context)
    wait_ms = int(when.wait_s * 1_000)
    first_counts = not len(origin) and not excuses and outside is None

    def judge(look: Look, memory: Memory) -> Signals:
        known = ~np.isnan(look.value)
        for excuse in excuses:
            late = excuse.heard(look, known, memory) & (look.at_ms - memory["changed_ms"] < wait_ms)
            memory["breach"][late] = 0
        mine = known & (look.quantity == own)
        if mine.any():
            _change(look, memory, mine)
        breach = memory["breach"] == 1
        return np.where(known & (memory["was"] != _UNHEARD), np.where(breach, BREACH, CLEAR), UNKNOWN).astype(np.uint8)

    def _change(look: Look, memory: Memory, mine: NDArray[np.bool_]) -> None:
        inside, was = np.isin(look.value, target), memory["was"]
        if len(origin):
            before = was == _ORIGIN
        else:
            before = (was == _ELSEWHERE) | ((was == _UNHEARD) & first_counts)
        enters = mine & inside & before
        wrong = enters.copy()
        for excuse in excuses:
            wrong &= ~excuse.covers(look.at_ms, memory)
        if outside is not None and wrong.any():
            wrong &= ~outside.open_at(look.at_ms)
        memory["breach"][enters] = wrong[enters]
        memory["changed_ms"][enters] = look.at_ms[enters]
        memory["breach"][mine & ~inside] = 0
        where = np.where(inside, _TARGET, np.where(np.isin(look.value, origin), _ORIGIN, _ELSEWHERE))
        memory["was"][mine] = where[mine]

    fields = [f for excuse in excuses for f in ((excuse.told_ms, np.int64), (excuse.stands, np.uint8))]
    return Compiled(
        driven_by="values",
        hold_ms=max(int(when.for_s * 1_000), wait_ms),
        clear_hold_ms=int(when.clear_hold_s * 1_000),
        memory=np.dtype([*_FIELDS, *fields]),
        judge=judge,
        also=tuple(dict.fromkeys(excuse.quantity for excuse in when.unless or ())),
    )


def _excuses(when: When, quantity: Quantity) -> list[_Excuse]:
    found = []
    for n, excuse in enumerate(when.unless or ()):
        other = QUANTITIES.get(excuse.quantity)
        if other is None:
            raise ValueError(f"unless: unknown quantity {excuse.quantity!r}; see hub/model/quantities.py for the table")
        if other is quantity:
            raise ValueError("unless: names the quantity that changes; name another one of the device")
        values = _values(other, excuse.equals, "unless")
        found.append(_Excuse(other.code, values, int((excuse.within_s or 0) * 1_000), f"told_{n}_ms", f"stands_{n}"))
    return found


def _values(quantity: Quantity, words: Words | None, key: str) -> Floats:
    try:
        return np.array([] if words is None else codes_of(quantity, words), np.float64)
    except ValueError as bad:
        raise ValueError(f"{key}: {bad}") from None


def _all(quantity: Quantity) -> Floats:
    return np.arange(2.0 if quantity.kind == "switch" else float(len(quantity.states)))


KIND = Kind(name="state_change", When=When, compile=_compile)
