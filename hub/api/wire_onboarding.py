"""Shapes of unknown devices, claims and replays on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from hub.api.wire import Line, Wire

Cell = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=500, strip_whitespace=True)]


class UnknownMessage(Wire):
    """The latest message of one topic; `payload` is base64, at most 4 KiB."""

    topic: str
    count: int
    last_at: datetime
    last_at_ms: int
    payload: str
    payload_bytes: int


class UnknownDeviceOut(Wire):
    """Somebody who speaks without being in the registry. `guess` "" = no idea; `alarms` stand in the latest messages."""

    address: str
    codec: str
    count: int
    first_at: datetime
    first_at_ms: int
    last_at: datetime
    last_at_ms: int
    guess: str
    why: str
    suggested_id: str
    model: str
    interval_s: float | None
    behind: str
    alarms: list[str]
    messages: list[UnknownMessage]


class ClaimIn(BaseModel):
    """A row of devices.csv as texts; id, names and grid are filled in where that is safe."""

    model_config = ConfigDict(extra="forbid")

    address: Annotated[Cell, Field(min_length=1, description="As the list shows it; several with ';' between")]
    kind: Annotated[Cell, Field(min_length=1)]
    place: Annotated[Cell, Field(min_length=1)]
    grid: Cell = ""
    id: Cell = ""
    name_zh: Cell = ""
    name_en: Cell = ""
    parent: Cell = ""
    model: Cell = ""
    interval_s: Cell = ""
    supervision: Cell = ""
    tags: Cell = ""
    lat: Cell = ""
    lon: Cell = ""


class ClaimsIn(BaseModel):
    """Claims that are taken all together, or not at all."""

    model_config = ConfigDict(extra="forbid")

    claims: Annotated[list[ClaimIn], Field(min_length=1, max_length=500)]
    dry_run: bool = False


class ClaimedOut(Wire):
    """What was claimed, or would be: the rows as they stand in devices.csv."""

    written: bool
    devices: list[ClaimIn]


class ReplayIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    addresses: Annotated[list[Line], Field(max_length=500)] = []
    dry_run: bool = False


class PastAlarm(Wire):
    """An alarm among messages that were read again: it rings no bell unless it is minutes old."""

    at: datetime
    at_ms: int
    device: str
    quantity: str


class ReplayOut(Wire):
    """What reading again comes to. `gone`: older messages are no longer in the journal."""

    handed_over: bool
    messages: int
    readings: int
    devices: list[str]
    alarms: list[PastAlarm]
    gone: bool


class ClockOut(Wire):
    """A device whose clock is off: by how much its last message lay behind its receipt, and what the hub makes of it."""

    device: str
    behind_ms: int
    behind: str
    policy: str
    meaning: str
