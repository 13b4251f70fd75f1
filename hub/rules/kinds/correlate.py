"""Kind `correlate`: conditions of other rules that come together in one room, unit, building, grid … within a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, model_validator

from hub.documents import Strict
from hub.model.quantities import Quantity
from hub.rules.kinds.kind import Area, Compiled, Context, Kind


class Term(Strict):
    """So many devices (`count`), or such a share of those that the rules watch in the area (`share`), with a condition of
    `rule` active now or within the last `within_s`. `distinct: kinds` counts kinds of device instead of devices."""

    rule: str | list[str]
    count: int = Field(1, ge=1, le=10_000)
    share: float | None = Field(None, gt=0, le=1)
    distinct: Literal["devices", "kinds"] = "devices"


class When(Strict):
    """In one `area`, every term of `all` holds, or every term of one of the lists in `any`."""

    area: Area
    within_s: float = Field(0, ge=0, le=86_400)
    all: list[Term] = []
    any: list[list[Term]] = []

    @model_validator(mode="after")
    def _one_form(self) -> When:
        if bool(self.all) == bool(self.any) or not all(self.any):
            raise ValueError("give either `all` with terms, or `any` with lists of terms")
        return self


@dataclass(frozen=True, slots=True)
class Wanted:
    """One term, ready to count."""

    rules: tuple[str, ...]
    count: int
    share: float | None
    by_kind: bool


@dataclass(frozen=True, slots=True)
class Counted:
    """What a correlation counts: in each area, any of `alternatives`, of which each term must hold."""

    area: Area
    within_ms: int
    alternatives: tuple[tuple[Wanted, ...], ...]

    @property
    def rules(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(rule for terms in self.alternatives for term in terms for rule in term.rules))


def _compile(when: Any, quantity: Quantity | None, context: Context) -> Compiled:
    assert isinstance(when, When)
    alternatives = tuple(tuple(_wanted(term) for term in terms) for terms in (when.any or [when.all]))
    return Compiled(driven_by="conditions", counted=Counted(when.area, int(when.within_s * 1_000), alternatives))


def _wanted(term: Term) -> Wanted:
    rules = (term.rule,) if isinstance(term.rule, str) else tuple(term.rule)
    if not rules:
        raise ValueError("a term names at least one rule")
    return Wanted(rules, term.count, term.share, term.distinct == "kinds")


KIND = Kind(name="correlate", When=When, compile=_compile, needs_quantity=False)
