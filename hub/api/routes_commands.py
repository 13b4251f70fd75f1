"""Commands to devices: what may be moved, what was, and what people say about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from fastapi import APIRouter, Path, Query

from hub.actuation.desk import CommandDesk
from hub.actuation.table import Action
from hub.api import problems
from hub.api.auth import ActingCaller, Caller, Parts
from hub.api.parts import ApiParts
from hub.api.present import Presenter
from hub.api.routes_alerts import presenter_of
from hub.api.wire import InstantIn, Line, Text, instant, ms_of
from hub.api.wire_commands import (
    ActionDeviceOut,
    BanIn,
    BanOut,
    CommandOut,
    MovableOut,
    OrderIn,
    RehearseIn,
    SettingOut,
    WhyIn,
)
from hub.errors import IllegalAction, NotAllowed, NotFound
from hub.i18n import _
from hub.model.alerts import Actor
from hub.model.commands import Ban, Command, CommandState

router = APIRouter(tags=["commands"])

T = TypeVar("T")
CommandId = Annotated[str, Path(pattern=r"^[0-9a-f]{1,32}$")]
ActionId = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
BanId = Annotated[int, Path(ge=1, le=2**62)]


@router.get("/actions", response_model=list[MovableOut], summary="What the hub may move, and when")
def list_actions(parts: Parts, caller: Caller) -> list[MovableOut]:
    desk = _desk(parts)
    present, now_ms = presenter_of(parts), parts.clock()
    bans = desk.commands.bans(now_ms)
    return [_movable(parts, present, caller, action, bans, now_ms) for action in desk.table.actions]


@router.post(
    "/actions/{action_id}/order",
    response_model=list[CommandOut],
    status_code=201,
    summary="Ask for an action while an alarm holds: one trigger, and your word",
    responses=problems.described(404, 409),
)
def order(parts: Parts, caller: ActingCaller, action_id: ActionId, body: OrderIn) -> list[CommandOut]:
    desk, present = _desk(parts), presenter_of(parts)
    found = _heard(caller, lambda: desk.order(action_id, body.alert, caller, body.reason, device_id=body.device))
    return [_command(present, desk, one) for one in found]


@router.post(
    "/actions/{action_id}/test",
    response_model=CommandOut,
    status_code=201,
    summary="Try the way to a device: nothing moves",
    responses=problems.described(404, 409),
)
def rehearse(parts: Parts, caller: ActingCaller, action_id: ActionId, body: RehearseIn) -> CommandOut:
    desk = _desk(parts)
    one = _heard(caller, lambda: desk.rehearse(action_id, body.device, caller, body.reason))
    return _command(presenter_of(parts), desk, one)


@router.get("/commands", response_model=list[CommandOut], summary="Commands to devices, the latest first")
def list_commands(
    parts: Parts,
    caller: Caller,
    alert: Annotated[Line | None, Query(description="Only those that this alert asked for")] = None,
    device: Annotated[Line | None, Query(description="Only those to this device")] = None,
    action: Annotated[Line | None, Query(description="Only those of this action")] = None,
    state: Annotated[CommandState | None, Query(description="Only those in this state")] = None,
    since: Annotated[InstantIn | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> list[CommandOut]:
    desk, present = _desk(parts), presenter_of(parts)
    found = desk.commands.list(
        scope=caller,
        alert=alert,
        device=device,
        action=action,
        states=() if state is None else (state,),
        since_ms=ms_of(since),
        limit=limit,
    )
    return [_command(present, desk, one) for one in found]


@router.get(
    "/commands/{command_id}", response_model=CommandOut, summary="One command", responses=problems.described(404)
)
def one_command(parts: Parts, caller: Caller, command_id: CommandId) -> CommandOut:
    desk = _desk(parts)
    found = desk.commands.one(command_id, scope=caller)
    if found is None:
        raise problems.no_such(_("There is no such command in your grids."))
    return _command(presenter_of(parts), desk, found)


@router.post(
    "/commands/{command_id}/approve",
    response_model=CommandOut,
    summary="Let a command go that one trigger asks for",
    responses=problems.described(404, 409),
)
def approve(parts: Parts, caller: ActingCaller, command_id: CommandId, body: WhyIn) -> CommandOut:
    desk = _desk(parts)
    one = _heard(caller, lambda: desk.approve(command_id, caller, body.reason))
    return _command(presenter_of(parts), desk, one)


@router.post(
    "/commands/{command_id}/forbid",
    response_model=CommandOut,
    summary="Stop a command that has not left yet",
    responses=problems.described(404, 409),
)
def forbid(parts: Parts, caller: ActingCaller, command_id: CommandId, body: WhyIn) -> CommandOut:
    desk = _desk(parts)
    one = _heard(caller, lambda: desk.forbid(command_id, caller, body.reason))
    return _command(presenter_of(parts), desk, one)


@router.get("/command-bans", response_model=list[BanOut], summary="What is not to be moved for now")
def list_bans(parts: Parts, caller: Caller) -> list[BanOut]:
    return [_ban(ban) for ban in _desk(parts).commands.bans(parts.clock(), scope=caller)]


@router.post(
    "/command-bans",
    response_model=BanOut,
    status_code=201,
    summary="Keep a device, an action, or everything still for a time",
    responses=problems.described(404, 409),
)
def ban(parts: Parts, caller: ActingCaller, body: BanIn) -> BanOut:
    until_ms = parts.clock() + body.for_s * 1_000
    return _ban(_heard(caller, lambda: _desk(parts).ban(body.action, body.device, until_ms, caller, body.reason)))


@router.delete(
    "/command-bans/{ban_id}",
    response_model=BanOut,
    summary="Let it be moved again",
    responses=problems.described(404, 409),
)
def lift(parts: Parts, caller: ActingCaller, ban_id: BanId) -> BanOut:
    return _ban(_heard(caller, lambda: _desk(parts).lift(ban_id, caller)))


def _desk(parts: ApiParts) -> CommandDesk:
    if parts.moving is None:
        raise problems.no_such(_("This process moves nothing."))
    return parts.moving


def _heard(caller: Actor, say: Callable[[], T]) -> T:
    try:
        return say()
    except NotFound as missing:
        raise problems.no_such(missing.message, missing.remedy) from missing
    except NotAllowed as refused:
        wrong_role = refused.code == "command-wrong-role"
        raise (problems.wrong_role(caller.role) if wrong_role else problems.not_your_area()) from refused
    except IllegalAction as illegal:
        raise problems.illegal_action(illegal) from illegal


def _movable(
    parts: ApiParts, present: Presenter, caller: Actor, action: Action, bans: Sequence[Ban], now_ms: int
) -> MovableOut:
    registry = parts.registry()
    devices = []
    for device_id in action.devices:
        device = registry.find(device_id)
        grid = device.grid if device is not None else ""
        if not caller.may_see(grid, registry.station_of_grid.get(grid, "")):
            continue
        banned = any(ban.covers(action.id, device_id, now_ms) for ban in bans)
        name = present.device_name(device_id)
        devices.append(
            ActionDeviceOut.model_construct(id=device_id, name=name, known=device is not None, banned=banned)
        )
    quantity, value = action.set.one
    return MovableOut.model_construct(
        id=action.id,
        name=Text(zh=action.name.zh, en=action.name.en),
        live=action.live,
        confirmed=list(action.on.confirmed),
        suspected=list(action.on.suspected),
        area=action.area,
        set=SettingOut(quantity=quantity, value=value),
        expires_s=action.expires_s,
        read_back_s=action.read_back_s if action.can_be_read_back else None,
        devices=devices,
    )


def _command(present: Presenter, desk: CommandDesk, command: Command) -> CommandOut:
    action = desk.table.find(command.action_id)
    copied = (
        "id", "mode", "ground", "state", "reason", "needs_a_person", "planned_at_ms", "expires_at_ms", "approved_by",
        "approved_at_ms", "sent_at_ms", "answer_by_ms", "done_at_ms",
    )  # fmt: skip
    name = Text(zh=command.action_id, en=command.action_id) if action is None else action.name
    return CommandOut.model_construct(
        **{key: getattr(command, key) for key in copied},
        action=command.action_id,
        action_name=Text(zh=name.zh, en=name.en),
        device=command.device_id,
        device_name=present.device_name(command.device_id),
        set=SettingOut(quantity=command.quantity, value=command.wanted),
        alert=command.alert_id,
        rule=command.rule_id,
        planned_at=instant(command.planned_at_ms, present.zone),
    )


def _ban(ban: Ban) -> BanOut:
    return BanOut(
        id=ban.id,
        action=ban.action_id,
        device=ban.device_id,
        since_ms=ban.since_ms,
        until_ms=ban.until_ms,
        by=ban.actor_name,
        reason=ban.reason,
    )
