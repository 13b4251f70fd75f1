"""What rules in shadow mode would have said otherwise than the live ones."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import Field

from hub.api import problems
from hub.api.auth import Parts, RulesReader
from hub.api.wire import Text, Wire
from hub.i18n import _
from hub.model.alerts import Actor
from hub.model.rules import Severity
from hub.registry.snapshot import Registry

router = APIRouter(prefix="/rules", tags=["rules"])


class ShadowRuleOut(Wire):
    """One rule in the shadow against the live one with the same id; `live_version` "": there is none."""

    id: str
    name: Text
    severity: Severity
    version: str
    live_version: str
    same: int
    would_have_fired: int
    would_not_have: int
    earlier: int
    later: int
    mean_earlier_s: float
    mean_later_s: float


class ShadowDifferenceOut(Wire):
    """One episode that both see differently. `open`: not decided yet. `later_ms`: by how much the shadow was later."""

    rule: str
    device: str
    kind: Literal["would have fired", "would not have fired", "earlier", "later"]
    raised_ms: int
    cleared_ms: int | None
    later_ms: int
    severity: str
    open: bool


class ShadowOut(Wire):
    """What the shadow has seen since it began. `trouble`: why it was given up, "" while it runs.

    Differences are those of the reader's grids; the counts of `rules` are of the whole site and name nobody.
    """

    since_ms: int
    at_ms: int
    readings: int
    rules: list[ShadowRuleOut]
    differences: list[ShadowDifferenceOut] = Field(description="Newest first")
    not_listed: int = Field(description="Further differences: not kept any more, or of grids that are not the reader's")
    trouble: str


@router.get(
    "/shadow",
    response_model=ShadowOut,
    summary="What rules in shadow mode would have said otherwise; they tell nobody",
    responses=problems.described(404),
)
def shadow(parts: Parts, reader: RulesReader) -> ShadowOut:
    told = parts.shadow()
    if told is None:
        raise problems.no_such(
            _("No rules are in shadow mode here."), _("Put rule files into the folder rules/shadow of the hub.")
        )
    rules = [
        {
            **{k: v for k, v in rule.items() if not k.startswith("name_")},
            "name": {"zh": rule["name_zh"], "en": rule["name_en"]},
        }
        for rule in told["rules"]
    ]
    seen = [one for one in told["differences"] if _may_see(parts.registry(), reader, one["device"])]
    hidden = len(told["differences"]) - len(seen)
    more = {"rules": rules, "differences": seen, "not_listed": told["not_listed"] + hidden}
    return ShadowOut.model_validate({**told, **more})


def _may_see(registry: Registry, reader: Actor, device_id: str) -> bool:
    """A device that has left the registry is of no grid: only those who see everything see it."""
    device = registry.find(device_id)
    grid = "" if device is None else device.grid
    return reader.may_see(grid, registry.station_of_grid.get(grid, "") if grid else "")
