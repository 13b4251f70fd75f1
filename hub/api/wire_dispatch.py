"""How routes, silences, drills, rosters and contacts look over the API."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from hub.api.wire import ActorRef, InstantIn, Line, StationRef, Text, Wire
from hub.model.rules import Severity
from hub.model.silences import SilenceKind

Id = Annotated[Line, Field(max_length=128, min_length=1)]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500, pattern=r"^[^\x00]*$")]


class HearerOut(Wire):
    """A station or person that is told. `verified`: channels that were proven to reach them; `on_duty`: the crew of a station."""

    id: str
    name: Text
    is_station: bool
    contacts: list[str]
    verified: list[str]
    on_duty: list[str]


class RouteStepOut(Wire):
    after_s: int
    unless: str
    tell: list[str]
    hearers: list[HearerOut]
    gaps: list[Text]


class RouteOut(Wire):
    """Whom an alert of `severity` at this device reaches at `at_ms`: rung by rung, and what is missing."""

    device: str
    severity: Severity
    at_ms: int
    night: bool
    place: str
    grid: str
    station: StationRef
    steps: list[RouteStepOut]
    repeat_s: int | None
    go_on_s: int | None
    gaps: list[Text]
    reaches: bool = Field(description="At least one person hears it at once by a verified way")


class RouteGapOut(Wire):
    """One cause, over all moments. `open`: while it lasts nothing proves that anybody is reached."""

    cause: Text
    open: bool
    devices: int
    examples: list[str]
    moments: int
    first_ms: int
    last_ms: int


class RouteAuditOut(Wire):
    from_ms: int
    until_ms: int
    devices: int
    routes: int
    moments: int
    gaps: list[RouteGapOut]


class SilenceIn(BaseModel):
    """What is silent, from when (default: now) until when, and why. `tell` is the list of a drill."""

    model_config = ConfigDict(extra="forbid")

    kind: SilenceKind = "silence"
    place: Annotated[Line, Field(max_length=64)] = ""
    device_kinds: Annotated[list[Id], Field(max_length=50)] = []
    devices: Annotated[list[Id], Field(max_length=200)] = []
    start: InstantIn | None = None
    end: InstantIn
    include_p1: Annotated[bool, Field(description="Also fires: officers and administrators, 4 hours at most")] = False
    tell: Annotated[list[Id], Field(max_length=100)] = []
    reason: Reason


class SilenceOut(Wire):
    """`running`: it covers alarms now. `devices` and `caught` (alerts that were raised in it): those that you may see."""

    id: int
    kind: SilenceKind
    place: str
    place_name: Text
    device_kinds: list[str]
    devices: list[str]
    start_ms: int
    end_ms: int
    include_p1: bool
    tell: list[str]
    by: ActorRef
    reason: str
    made_at_ms: int
    ended_at_ms: int | None
    ended_by: ActorRef | None
    running: bool
    caught: int


class DutySpan(Wire):
    """Who is on duty from then until the next span. `missing` of the three that the norm asks for."""

    from_ms: int
    until_ms: int
    people: list[str]
    missing: int


class SwapOut(Wire):
    """Who stands in for whom in the shift that begins on `day`; `begins` null: in every shift of that day."""

    day: str
    begins: str | None
    outgoing: str
    incoming: str


class LeaveOut(Wire):
    """Who is away, from and until when on the clock of the wall (`2026-12-01 08:00`)."""

    person: str
    start: str
    end: str


class RosterOut(Wire):
    """`names` of everybody named by id. `swaps` and `leave`: those that touch the hours asked for; for who acts on alerts."""

    station: StationRef
    backups: list[StationRef]
    spans: list[DutySpan]
    names: dict[str, Text]
    swaps: list[SwapOut]
    leave: list[LeaveOut]


class ContactOut(Wire):
    """One contact of a person, without its address. `verified_at_ms` null with `verified`: the registry says so."""

    channel: str
    usable: bool
    verified: bool
    verified_at_ms: int | None
    asked_at_ms: int | None


class PersonContacts(Wire):
    id: str
    name: Text
    on_leave: bool
    deputy: str
    contacts: list[ContactOut]


class ContactTestIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    channels: Annotated[list[Id], Field(max_length=20, description="Empty: all")] = []


class ContactTestOut(Wire):
    """A test that was sent: the alert that it travels as."""

    channel: str
    alert: str


class CodeIn(BaseModel):
    """The code that the person has read out."""

    model_config = ConfigDict(extra="forbid")

    code: Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[0-9 ]{1,12}$")]


class VerifiedOut(Wire):
    channel: str | None = Field(
        description="The channel that is verified now; null: wrong, too old, or guessed too often"
    )


class DutyIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    answer_s: Annotated[int, Field(ge=30, le=3_600, description="Seconds in which somebody has to answer")] = 180


class DutyOut(Wire):
    """One duty check (查岗)."""

    station: str
    alert: str
    asked_at_ms: int
    due_at_ms: int
    by: ActorRef
    answered_at_ms: int | None
    answered_by: ActorRef | None
    unanswered: bool
