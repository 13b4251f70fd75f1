"""Cases, photos, shelvings and work orders as the API writes and reads them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from hub.api.wire import ActorRef, GridRef, InstantIn, Line, StationRef, Text, Wire
from hub.model.alerts import ShelvingKind
from hub.model.cases import Handling, Move, Source, Stage, Step
from hub.model.rules import Severity

Words = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500, pattern=r"^[^\x00]*$")]
Title = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")
]
Number = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64, pattern=r"^[\x21-\x7e]*$")
]


class CaseOut(Wire):
    """One case. `moves` are those that you can make now; `handling` tells self-handled (自行处置) from transferred (流转)."""

    id: str
    source: Source
    number: str | None
    alert_id: str | None
    category: str
    severity: Severity
    title: Text
    text: str
    place: Text
    place_code: str
    grid: GridRef
    station: StationRef
    lat: float | None
    lon: float | None
    reporter: str
    step: Step
    handling: Handling
    needs_check: bool = Field(description="It closes only after feedback (反馈) and verification (核查)")
    assignee: str
    assignee_name: Text
    opened_at: datetime
    opened_at_ms: int
    due_at_ms: int | None
    overdue: bool
    reached: dict[Step, int] = Field(description="When each step was last reached, ms since 1970 UTC")
    closed_at_ms: int | None
    closed_by: ActorRef | None
    close_reason: str | None
    sent_back: int
    reopened: int
    revision: int
    moves: list[Move]


class CaseEntryOut(Wire):
    """One line of the case's timeline."""

    id: int
    at: datetime
    at_ms: int
    actor: ActorRef
    action: str
    detail: dict[str, Any]


class CommentOut(Wire):
    id: int
    at: datetime
    at_ms: int
    author: ActorRef
    text: str


class PhotoOut(Wire):
    """A photo; `href` gives its bytes to whoever may see the case."""

    id: str
    stage: Stage
    href: str
    media_type: str
    bytes: int
    width: int
    height: int
    at: datetime
    at_ms: int
    author: ActorRef


class CaseDetail(CaseOut):
    """A case with what happened to it, what people wrote, and its photos, each oldest first."""

    timeline: list[CaseEntryOut]
    comments: list[CommentOut]
    photos: list[PhotoOut]


class MoveIn(BaseModel):
    """Words (for feedback, sending back, a false alarm, reopening), whom to send, and the alarm that you had before your eyes."""

    model_config = ConfigDict(extra="forbid")

    reason: Words = ""
    to: Annotated[Line, Field(max_length=100, description="A person, a station or an office: of a dispatch")] = ""
    occurrence: Annotated[int | None, Field(ge=1, le=1_000_000, description="`occurrences` of the alert as seen")] = (
        None
    )
    severity: Annotated[Severity | None, Field(description="`severity` of the alert as seen")] = None


class CommentIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000, pattern=r"^[^\x00]*$")
    ]


class ReportIn(BaseModel):
    """What somebody saw (随手拍). `number`: the client's own, so that sending it again makes no second case.

    Name the `place` (a code of the registry) or at least the `grid`. P1 and P2 tell people at once, like an alarm.
    """

    model_config = ConfigDict(extra="forbid")

    title: Title
    text: Annotated[str, StringConstraints(strip_whitespace=True, max_length=2_000, pattern=r"^[^\x00]*$")] = ""
    category: Annotated[Line, Field(max_length=40)] = ""
    severity: Severity = "P3"
    place: Annotated[Line, Field(max_length=64)] = ""
    grid: Annotated[Line, Field(max_length=64)] = ""
    where: Annotated[Line, Field(max_length=200, description="The place in words")] = ""
    lat: Annotated[float | None, Field(ge=-90, le=90)] = None
    lon: Annotated[float | None, Field(ge=-180, le=180)] = None
    reporter: Annotated[Line, Field(max_length=60, description="Who saw it, if not you")] = ""
    number: Number | None = None
    at: InstantIn | None = None


class OrderIn(BaseModel):
    """One work order of the 12345 line. Who called is not taken over."""

    model_config = ConfigDict(extra="forbid")

    number: Annotated[str, Field(max_length=64)]
    title: Annotated[str, Field(max_length=400)]
    grid: Annotated[str, Field(max_length=64, description="Code or name of the grid")]
    text: Annotated[str, Field(max_length=8_000)] = ""
    category: Annotated[str, Field(max_length=120)] = ""
    place: Annotated[str, Field(max_length=600)] = ""
    severity: Annotated[str, Field(max_length=20)] = ""
    at: Annotated[str, Field(max_length=40, description="Date and time on the wall of the site, or ISO 8601")] = ""
    due: Annotated[str, Field(max_length=40)] = ""


class OrdersIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    orders: Annotated[list[OrderIn], Field(min_length=1, max_length=1_000)]
    dry_run: bool = False


class OrderResult(Wire):
    """What became of one order, in the order given. `case` is null for a refused one, and for a new one in a dry run."""

    number: str
    result: Literal["new", "known", "refused"]
    case: str | None
    wrong: list[str]


class OrdersOut(Wire):
    new: int
    known: int
    refused: int
    results: list[OrderResult]


class ShelveIn(BaseModel):
    """For how long, and why. One shot: until the condition ends, at the longest for the allowed time."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["one_shot", "timed"] = "timed"
    for_s: Annotated[int | None, Field(ge=1, le=31_536_000)] = None
    reason: Words


class OutIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    for_s: Annotated[int, Field(ge=1, le=31_536_000)]
    reason: Words


class ShelvingOut(Wire):
    """A condition or a device that tells nobody for a time. `rule_id` "" = the whole device."""

    id: int
    kind: ShelvingKind
    rule_id: str
    device_id: str
    device: Text
    grid: GridRef
    since_ms: int
    until_ms: int
    by: ActorRef
    reason: str
    ended_at_ms: int | None
    ended_by: ActorRef | None
