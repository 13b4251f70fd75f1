"""`gridhub actions`: what the hub may move, what it did or would have done, and the word of a person about it."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from hub.cli.migrate import ConfigFolder, complain, no_ledger_yet
from hub.clock import now_ms, wall_clock
from hub.errors import Refusal, Unavailable

if TYPE_CHECKING:
    from hub.actuation.desk import CommandDesk
    from hub.actuation.formats import Spoken
    from hub.actuation.table import Action, Table
    from hub.model.alerts import Actor
    from hub.model.commands import Command
    from hub.registry.snapshot import Registry
    from hub.settings import Settings

group = typer.Typer(help="What the hub may move, what it moved, and what people say about it.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="JSON instead: times as ms UTC.")]
Why = Annotated[str, typer.Option("--why", help="The reason; it stays in the audit with your name.")]
CommandId = Annotated[str, typer.Argument(metavar="COMMAND", help="The id that `log` shows.")]


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="actions")


class _Given(NamedTuple):
    table: Table
    registry: Registry
    settings: Settings


@group.command("list")
def list_(as_json: Json = False, config: ConfigFolder = Path("config")) -> None:
    """Show the table of config/actions.yaml: what may be moved, when, and whether anything is sent. Needs no running hub."""
    given = _given(config)
    if as_json:
        print(json.dumps([one.model_dump(mode="json") for one in given.table.actions], ensure_ascii=False))
        return
    if not given.table.actions:
        print("nothing may be moved: config/actions.yaml names no action")
        return
    for action in given.table.actions:
        quantity, value = action.set.one
        unknown = [device for device in action.devices if device not in given.registry.slot_of]
        print(
            f"{action.id}: {'LIVE' if action.live else 'dry'}, sets {quantity} {json.dumps(value)} in the same {action.area}"
        )
        print(f"  at once for        {', '.join(action.on.confirmed) or '-'}")
        print(f"  asks a person for  {', '.join(action.on.suspected) or '-'}")
        print(f"  devices            {', '.join(action.devices)}")
        if unknown:
            print(f"  not in the registry, never moved: {', '.join(unknown)}")
    print("one of them in full, with what would be sent: gridhub actions show ACTION")


@group.command("show")
def show(
    action: Annotated[str, typer.Argument(metavar="ACTION", help="The id that `list` shows.")],
    as_json: Json = False,
    config: ConfigFolder = Path("config"),
) -> None:
    """Show what each device of an action would be sent, in its own dialect. Exit code 1 when one cannot be told. Sends nothing."""
    given = _given(config)
    found = _action(given.table, action)
    rows = [(device, _message(given, found, device)) for device in found.devices]
    if as_json:
        said = {
            device: None if one is None else {"topic": one.topic, "payload": one.payload.decode()}
            for device, one in rows
        }
        print(json.dumps(said, ensure_ascii=False))
    else:
        for device, one in rows:
            print(f"{device}: " + ("no source speaks a dialect in which it can be told" if one is None else one.topic))
            if one is not None:
                print(f"  {one.payload.decode()}")
    raise typer.Exit(1 if any(one is None for _, one in rows) else 0)


@group.command("log")
def log(
    alert: Annotated[str, typer.Option("--alert", help="Only what this alert asked for.")] = "",
    device: Annotated[str, typer.Option("--device", help="Only commands to this device.")] = "",
    count: Annotated[int, typer.Option("-n", min=1, max=500, help="How many.")] = 50,
    as_json: Json = False,
    config: ConfigFolder = Path("config"),
) -> None:
    """Show the commands, the latest first: what was sent, what would have been, and what became of it."""
    with _desk(config) as (desk, settings):
        found = desk.commands.list(scope=None, alert=alert or None, device=device or None, limit=count)
    if as_json:
        print(json.dumps([asdict(one) for one in found], ensure_ascii=False))
        return
    if not found:
        print("no commands")
    for one in found:
        at = wall_clock(one.planned_at_ms, settings.timezone, "%m-%d %H:%M:%S")
        waits = "  waits for a person" if one.needs_a_person and one.state == "planned" else ""
        what = f"{one.quantity} {json.dumps(one.wanted)}"
        print(f"{at} {one.id} {one.state:<11} {one.mode:<4} {one.action_id} {one.device_id} {what}{waits}")
        if one.reason:
            print(f"                                    {one.reason}")


@group.command("approve")
def approve(command: CommandId, why: Why, config: ConfigFolder = Path("config")) -> None:
    """Let a command go that one trigger asks for."""
    with _desk(config) as (desk, _):
        _tell(_heard(lambda: desk.approve(command, _operator(), why)))


@group.command("forbid")
def forbid(command: CommandId, why: Why, config: ConfigFolder = Path("config")) -> None:
    """Stop a command that has not left yet."""
    with _desk(config) as (desk, _):
        _tell(_heard(lambda: desk.forbid(command, _operator(), why)))


@group.command("test")
def rehearse(
    action: Annotated[str, typer.Argument(metavar="ACTION", help="The id that `list` shows.")],
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="One of its devices.")],
    why: Why,
    config: ConfigFolder = Path("config"),
) -> None:
    """Try the way to a device; nothing moves. The running hub does it: look at `log` a second later."""
    with _desk(config) as (desk, _):
        _tell(_heard(lambda: desk.rehearse(action, device, _operator(), why)))


@group.command("ban")
def ban(
    why: Why,
    action: Annotated[str, typer.Option("--action", help="Only this action; left out = every one.")] = "",
    device: Annotated[str, typer.Option("--device", help="Only this device; left out = every one.")] = "",
    hours: Annotated[float, typer.Option("--hours", min=0.02, max=720, help="For how long.")] = 8,
    config: ConfigFolder = Path("config"),
) -> None:
    """Keep a device, an action, or everything still for a time."""
    with _desk(config) as (desk, settings):
        until_ms = now_ms() + int(hours * 3_600_000)
        made = _heard(lambda: desk.ban(action, device, until_ms, _operator(), why))
        until = wall_clock(made.until_ms, settings.timezone)
    print(f"ban {made.id}: {made.action_id or 'every action'} on {made.device_id or 'every device'} until {until}")


@group.command("lift")
def lift(
    number: Annotated[int, typer.Argument(metavar="BAN", min=1, help="The number that `ban` has shown.")],
    config: ConfigFolder = Path("config"),
) -> None:
    """End a ban before its time."""
    with _desk(config) as (desk, _):
        _heard(lambda: desk.lift(number, _operator()))
    print(f"ban {number} is over")


def _given(config: Path) -> _Given:
    from hub.actuation.table import load_actions
    from hub.registry.loader import load
    from hub.settings import load_settings

    return _Given(load_actions(config), load(config / "registry"), load_settings(config))


def _action(table: Table, action_id: str) -> Action:
    found = table.find(action_id)
    if found is None:
        complain(
            f"no action {action_id!r}: use one of {', '.join(one.id for one in table.actions) or '(there is none)'}"
        )
    return found


def _message(given: _Given, action: Action, device_id: str) -> Spoken | None:
    from hub.actuation.formats import Saying, spoken

    device = given.registry.find(device_id)
    if device is None:
        return None
    roots: dict[str, list[str]] = {}
    for source in given.settings.sources:
        roots.setdefault(source.codec, []).append(source.root)
    quantity, wanted = action.set.one
    at_ms = now_ms()
    saying = Saying(
        id="0" * 20,
        quantity=quantity,
        wanted=wanted,
        at_ms=at_ms,
        expires_at_ms=at_ms + action.expires_s * 1_000,
        sound_s=action.sound_s,
    )
    return spoken(roots, device.addresses, saying)


@contextmanager
def _desk(config: Path) -> Iterator[tuple[CommandDesk, Settings]]:
    """The desk over the ledger of the hub that `config` configures."""
    from hub.actuation.desk import CommandDesk
    from hub.stores.alert_queries import AlertQueries
    from hub.stores.commands import Commands
    from hub.stores.ledger import Ledger

    given = _given(config)
    if missing := no_ledger_yet(given.settings.ledger_url):
        complain(missing)
    try:
        ledger = Ledger.open(given.settings.ledger_url, migrate=False)
        try:
            yield (
                CommandDesk(Commands(ledger), given.table, lambda: given.registry, AlertQueries(ledger).one, now_ms),
                given.settings,
            )
        finally:
            ledger.close()
    except Unavailable as away:
        complain(str(away))


def _heard(say: Any) -> Any:
    try:
        return say()
    except Refusal as refused:
        complain(f"{refused.message}: {refused.remedy}" if refused.remedy else refused.message)


def _tell(command: Command) -> None:
    print(f"{command.id} {command.state}: {command.action_id} on {command.device_id}")


def _operator() -> Actor:
    from hub.model.alerts import Actor

    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "operator"
    return Actor(id=f"cli:{name}", name=name, role="admin", grids=("*",), stations=("*",), via="cli")
