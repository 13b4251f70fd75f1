"""The shapes of the rules on the wire: what runs, what would change, and the history of changes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from hub.api.wire import ActorRef, ComplaintOut, Text, Wire
from hub.model.rules import Severity

Why = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")
]


class RuleScope(Wire):
    """Which devices, each key narrowing the others; an empty list asks nothing."""

    device_kind: list[str]
    model: list[str]
    place: list[str]
    device: list[str]
    tag: list[str]


class RuleOverride(Wire):
    """What an override says differently for `devices` devices. `changes` has keys as in the file, e.g. when.above."""

    scope: str
    why: str
    devices: int
    changes: dict[str, Any]


class RuleOut(Wire):
    """One rule in force. `devices` counts those that the rule or one of its overrides watches now."""

    id: str
    kind: str
    name: Text
    severity: Severity
    enabled: bool
    alert: bool
    latch: bool
    on: RuleScope
    quantity: str
    when: dict[str, Any]
    inhibited_by: list[str]
    overrides: list[RuleOverride]
    respond_within_s: int
    responder: str
    source: str
    certainty: str
    devices: int
    file: str
    line: int


class RuleDetail(RuleOut):
    """A rule with its words. `text` is how it stands in `file`, from `line` to `last_line`; `parsed` the same as JSON."""

    cause: Text
    consequence: Text
    action: Text
    text: str
    last_line: int
    parsed: dict[str, Any]
    version: str = Field(description="Of the files that the text is from")


class RuleFileRef(Wire):
    name: str
    bytes: int


class RulesOut(Wire):
    """The rules. `version` is of the files; `running` of the rules in force where this process knows (null: another one runs
    them). The two differ while a change is taken over, and while the files have `complaints`.
    """

    version: str
    running: str | None
    may_edit: bool
    files: list[RuleFileRef]
    complaints: list[ComplaintOut]
    items: list[RuleOut]


class RuleFileOut(Wire):
    name: str
    text: str
    version: str = Field(description="Of all rule files; give it as If-Match to change one")
    complaints: list[ComplaintOut]


class RuleFileIn(BaseModel):
    """The whole new text of the file, and why (not needed to try it with dry_run)."""

    model_config = ConfigDict(extra="forbid")

    text: str
    why: Why | None = None


class CheckIn(BaseModel):
    """Files as they would be: name → text, null = without it. What is not named stays as it is."""

    model_config = ConfigDict(extra="forbid")

    files: dict[str, str | None] = Field({}, max_length=200)


class RollbackIn(BaseModel):
    """`to` is a number of the history; without it one step back. `why` is not needed to try it with dry_run."""

    model_config = ConfigDict(extra="forbid")

    to: int | None = Field(None, ge=1, le=2**53)
    why: Why | None = None


class FieldOut(Wire):
    """One key of a rule, old and new; null = the key is not there. `is_text`: words for people only."""

    key: str
    old: Any
    new: Any
    is_text: bool


class RuleChangeOut(Wire):
    """What becomes of one rule, and of how many devices. `restarted`: delays start afresh there; `gained`, `lost`: watched only
    afterwards, or only before. `loses` says in which way a P1 or P2 protects less.
    """

    what: Literal["added", "removed", "changed", "texts"]
    id: str
    name: Text
    severity: Severity
    file: str
    line: int
    fields: list[FieldOut]
    devices: int
    restarted: int
    gained: int
    lost: int
    loses: list[Literal["removed", "disabled", "silenced", "severity", "devices", "limits"]]


class DifferenceOut(Wire):
    changes: list[RuleChangeOut]
    devices: int = Field(description="Touched by any of the changes")


class CheckOut(Wire):
    """Whether the files could run. `difference` is against the rules in force; null when there are complaints."""

    ok: bool
    version: str = Field(description="Of the files as they are")
    complaints: list[ComplaintOut]
    warnings: list[ComplaintOut]
    difference: DifferenceOut | None


class VersionOut(Wire):
    """One entry of the history. `who` is "file" when somebody edited the files by hand. `applied_at_ms` null: these rules have
    never run (yet). `failed`: the files could not be written, nothing changed.
    """

    id: int
    at: datetime
    at_ms: int
    who: ActorRef
    why: str
    version: str
    parent: int | None
    rolled_back_to: int | None
    applied_at_ms: int | None
    failed: str | None
    running: bool
    summary: dict[str, Any]


class VersionDetail(VersionOut):
    """An entry with its files. `lines` are unified diffs against the entry `against`; `difference` is null when one of the two is
    not understood by this hub any more.
    """

    files: dict[str, str]
    against: int | None
    lines: dict[str, str]
    difference: DifferenceOut | None


class ChangeOut(Wire):
    """What a change did, or with dry_run would do. `changed` false: the files say so already. `applied`: the rules run; else the
    files are written and the rules follow within seconds.
    """

    dry_run: bool
    changed: bool
    applied: bool
    base: str
    version: str
    entry: VersionOut | None
    difference: DifferenceOut
    lines: dict[str, str]
    warnings: list[ComplaintOut]
