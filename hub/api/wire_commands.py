"""The API's shapes of actions, commands to devices, and bans on them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from hub.api.wire import Line, Text, Wire
from hub.model.commands import CommandState, Ground, Mode

Why = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500, pattern=r"^[^\x00]*$")]


class SettingOut(Wire):
    """What a device is to set."""

    quantity: str
    value: bool | str


class ActionDeviceOut(Wire):
    """A device that an action names. `known` false: it is not in the registry, so nothing ever moves it."""

    id: str
    name: Text
    known: bool
    banned: bool = Field(description="Somebody has forbidden to move it for now")


class MovableOut(Wire):
    """One row of config/actions.yaml, with those of its devices that are in your area. Not `live`: nothing is sent."""

    id: str
    name: Text
    live: bool
    confirmed: list[str] = Field(description="Rules of two independent triggers: it goes at once")
    suspected: list[str] = Field(description="Rules of one trigger: it waits for a person")
    area: str
    set: SettingOut
    expires_s: int
    read_back_s: int | None = Field(description="By when the device must show that it obeyed; null: it shows nothing")
    devices: list[ActionDeviceOut]


class CommandOut(Wire):
    """One command to one device.

    `mode` live: it goes to the device; dry: everything but the sending; test: nothing may move. `ground` confirmed: two triggers;
    suspected: one, and a person has to approve; person: somebody asked for it while one trigger held.
    """

    id: str
    action: str
    action_name: Text
    device: str
    device_name: Text
    set: SettingOut
    mode: Mode
    ground: Ground
    state: CommandState
    reason: str
    needs_a_person: bool
    alert: str | None
    rule: str
    planned_at: datetime
    planned_at_ms: int
    expires_at_ms: int
    approved_by: str | None
    approved_at_ms: int | None
    sent_at_ms: int | None
    answer_by_ms: int | None
    done_at_ms: int | None


class BanOut(Wire):
    """Somebody's word that an action ("" = any) moves a device ("" = any) not before `until_ms`."""

    id: int
    action: str
    device: str
    since_ms: int
    until_ms: int
    by: str
    reason: str


class WhyIn(BaseModel):
    """Why; it stays in the record with your name."""

    model_config = ConfigDict(extra="forbid")
    reason: Why


class OrderIn(WhyIn):
    """Which alarm holds, and which device is to be moved: left out = all that the action names near it."""

    alert: Annotated[str, StringConstraints(pattern=r"^[0-9a-zA-Z_-]{1,32}$")]
    device: Line = ""


class RehearseIn(WhyIn):
    """Which device of the action the way is tried to."""

    device: Line


class BanIn(WhyIn):
    """What is not to be moved, and for how long."""

    action: Line = ""
    device: Line = ""
    for_s: Annotated[int, Field(ge=60, le=30 * 86_400)]
