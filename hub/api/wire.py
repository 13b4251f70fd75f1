"""The API's shapes on the wire. Instants travel twice: ISO 8601 in the site's time zone, and integer milliseconds UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from hub.model.alerts import Action, AlarmState, CaseState, Quiet, Role
from hub.model.deliveries import DeliveryState
from hub.model.rules import Severity

T = TypeVar("T")

Line = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=200)]
"""Text on one line, e.g. a code or a search."""

MAX_MS = 253_402_300_799_999


def _written(value: object) -> object:
    """Refuses a bare number, which would be read as seconds where milliseconds are meant."""
    if isinstance(value, str) and value.strip().lstrip("+-").replace(".", "", 1).isdigit():
        raise ValueError("a number must be milliseconds since 1970 UTC, from 0 to 253402300799999")
    return value


InstantIn = Annotated[
    Annotated[int, Field(ge=0, le=MAX_MS)] | Annotated[AwareDatetime, BeforeValidator(_written)],
    Field(union_mode="left_to_right", description="ISO 8601 with zone, or milliseconds since 1970 UTC", examples=[0]),
]


def ms_of(instant: int | datetime | None) -> int | None:
    """Milliseconds of an instant given by a client; a date before 1970 counts as 1970."""
    if instant is None or isinstance(instant, int):
        return instant
    return min(MAX_MS, max(0, int((instant - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000)))


def instant(at_ms: int, zone: ZoneInfo) -> datetime:
    """`at_ms` as an aware date and time in `zone`."""
    return datetime.fromtimestamp(at_ms / 1_000, UTC).astimezone(zone)


def instant_or_none(at_ms: int | None, zone: ZoneInfo) -> datetime | None:
    return None if at_ms is None else instant(at_ms, zone)


class Wire(BaseModel):
    model_config = ConfigDict(frozen=True)


class Text(Wire):
    """A text in both languages."""

    zh: str
    en: str


class Page(Wire, Generic[T]):
    """One page of a list. Give `next` as the cursor of the following page; null = this was the last one."""

    items: list[T]
    next: str | None


class FieldError(Wire):
    field: str
    message: str


class ComplaintOut(Wire):
    """One thing wrong in a file of the configuration, with the place and the remedy."""

    file: str
    line: int | None
    rule: str = Field(description="Id of the rule, where it is known")
    key: str
    message: str
    remedy: str


class ProblemOut(Wire):
    """An RFC 9457 problem: what is wrong (`detail`) and what to do about it (`remedy`).

    `reason` is there when an action was refused: a code for why, e.g. nobody-on-scene. `complaints` are there when files were
    refused.
    """

    type: str
    title: str
    status: int
    code: str
    detail: str
    remedy: str
    reason: str = ""
    errors: list[FieldError] = []
    complaints: list[ComplaintOut] = []


class GridRef(Wire):
    code: str
    name: Text


class StationRef(Wire):
    id: str
    name: Text


class ActorRef(Wire):
    """Somebody who did something: "hub", a person's id or "token:<name>", and how they are called."""

    id: str
    name: Text


class AlertDevice(Wire):
    id: str
    kind: str
    name: Text


class AlertOut(Wire):
    """One alert. `actions` are those that its present state takes (whether you may do them is in /me).

    When nobody acknowledged by `acknowledge_by_ms`, or stood there by `on_scene_by_ms`, it climbs to the next people.
    """

    id: str
    severity: Severity
    alarm_state: AlarmState
    case_state: CaseState
    live: bool
    test: bool
    rule_id: str
    title: Text
    place: Text
    place_code: str
    action: Text
    device: AlertDevice
    grid: GridRef
    station: StationRef
    quantity: str
    unit: str
    value: Any
    threshold: float | None
    lat: float | None
    lon: float | None
    raised_at: datetime
    raised_at_ms: int
    received_at_ms: int
    observed_at_ms: int
    returned_at_ms: int | None
    acked_at: datetime | None
    acked_at_ms: int | None
    acked_by: ActorRef | None
    on_scene_at: datetime | None
    on_scene_at_ms: int | None
    on_scene_by: ActorRef | None
    closed_at: datetime | None
    closed_at_ms: int | None
    closed_by: ActorRef | None
    close_reason: str | None
    escalation_level: int
    escalation_steps: int = Field(description="Steps of the ladder; a level above is a repetition of the last one")
    acknowledge_by_ms: int | None
    on_scene_by_ms: int | None
    occurrences: int
    chattering: bool = Field(description="The condition flaps: it ends only after a minute of quiet")
    incident_id: str | None = Field(description="The incident that it is told with; P3 and P4 only")
    bundled_until_ms: int | None = Field(
        description="When it is (or was) told in one message with others; null: at once"
    )
    drill: bool = Field(description="Raised in a drill (演练): told to its list only")
    silence_id: int | None = Field(description="The silence or drill in which it was raised")
    quiet: Quiet = Field(description="It tells nobody for a time: shelved, or its device is out of service")
    quiet_until_ms: int | None
    change: int
    actions: list[Action]


class AuditOut(Wire):
    """One line of an alert's timeline."""

    id: int
    at: datetime
    at_ms: int
    actor: ActorRef
    action: str
    from_state: str
    to_state: str
    detail: dict[str, Any]
    gaps: list[Text] = Field(description="Why somebody could not be told")


class DeliveryOut(Wire):
    """One notification. `…_after_ms` count from the moment it was queued; null = not (yet), or not known."""

    id: int
    transition: str
    recipient: str
    recipient_name: Text
    channel: str
    state: DeliveryState
    attempts: int
    created_at_ms: int
    due_at_ms: int
    sent_at_ms: int | None
    accepted_at_ms: int | None
    accepted_after_ms: int | None
    delivered_at_ms: int | None
    delivered_after_ms: int | None
    read_after_ms: int | None
    read_at_ms: int | None
    reason: str | None
    alerts: int = Field(description="How many alerts it tells of: more than one in a message about an incident")


class OccurrenceOut(Wire):
    """One time that the alert's condition began to hold. `evidence` is what the rule saw: see docs/alerts.md."""

    start_at: datetime
    start_ms: int
    raised_at: datetime
    raised_at_ms: int
    cleared_at_ms: int | None
    evidence: dict[str, Any]


class QuietedOut(Wire):
    """Why an alert tells nobody, or only a drill's list: until when, who made it so, and what they said."""

    kind: Literal["shelved", "out_of_service", "silence", "maintenance", "drill"]
    since_ms: int
    until_ms: int
    by: ActorRef
    reason: str


class AlertDetail(AlertOut):
    """An alert with its timeline, its notifications and each time that it alarmed, oldest first."""

    quieted: QuietedOut | None = None
    timeline: list[AuditOut]
    deliveries: list[DeliveryOut]
    raisings: list[OccurrenceOut]


class ActionIn(BaseModel):
    """Why (required for a false alarm), and which alarm you had before your eyes: `occurrences` and `severity` of the alert.

    Without it an answer is refused once the alert has alarmed more than once, so that an old answer silences no new fire.
    """

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, StringConstraints(strip_whitespace=True, max_length=500, pattern=r"^[^\x00]*$")] = ""
    occurrence: Annotated[int | None, Field(ge=1, le=1_000_000)] = None
    severity: Severity | None = None


class DeviceOut(Wire):
    id: str
    kind: str
    name: Text
    place: Text
    place_code: str
    grid: GridRef
    station: StationRef | None
    model: str
    supervision: str
    tags: list[str]
    gateway: str
    silent: bool
    lat: float | None
    lon: float | None


class ReadingOut(Wire):
    quantity: str
    unit: str
    value: float | bool | str | None
    observed_at: datetime
    observed_at_ms: int


class DeviceDetail(DeviceOut):
    """`latest` is null while the history store is away."""

    latest: list[ReadingOut] | None
    open_alerts: list[str]


class PersonOut(Wire):
    """A person; the phone is masked for viewers and machines."""

    id: str
    name: Text
    phone: str


class GridOut(Wire):
    code: str
    name: Text
    place: Text
    dedicated: bool
    station: StationRef | None
    responsible: PersonOut | None
    outline: dict[str, Any] | None = Field(description="GeoJSON geometry, when asked for")


class StationOut(Wire):
    """A station, who is on duty there now, and what is missing (fewer than three people, nobody reachable)."""

    id: str
    name: Text
    grids: list[str]
    backups: list[StationRef]
    head: PersonOut | None
    on_duty: list[PersonOut]
    missing: int
    lat: float | None
    lon: float | None


class Me(Wire):
    id: str
    name: str
    role: Role
    grids: list[str]
    stations: list[str]
    may_act: bool
    may_see_quarantine: bool


class QuarantineOut(Wire):
    """Messages that could not be used, counted by topic and reason. `payload` is the latest one, base64, at most 4 KiB."""

    topic: str
    reason: str
    codec: str
    detail: str
    address: str
    count: int
    first_at: datetime
    first_at_ms: int
    last_at: datetime
    last_at_ms: int
    payload: str
    payload_bytes: int


class SignIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    token: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class PartOut(Wire):
    state: Literal["ok", "degraded", "down"]
    detail: str
    required: bool


class Ready(Wire):
    ready: bool
    parts: dict[str, PartOut]


class Alive(Wire):
    ok: Literal[True] = True


class Trouble(PartOut):
    """A part of the hub that is not ok. A `required` one may keep alarms from being seen or told."""

    part: str


class HubState(Wire):
    """`down`: alarms may be missing. `parts` names those that are not ok, `troubles` says what is wrong with them."""

    hub: Literal["ok", "degraded", "down"]
    parts: list[str]
    troubles: list[Trouble] = []


class Beat(HubState):
    """The hub's time and state, sent every few seconds so that a reader can tell a quiet hub from a dead line."""

    now_ms: int
    change: int


class Board(Beat):
    """The console's page as data. `more` names severities of which not all open alerts are in `alerts`."""

    alerts: list[AlertOut]
    more: list[Severity]
    recent: list[AlertOut]
    stations: list[StationOut]
