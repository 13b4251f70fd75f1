"""`gridhub registry show DEVICE`: where a device hangs, who answers for it, and how the hub knows it."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hub.model.places import Device
    from hub.registry.snapshot import Registry

ConfigFolder = Annotated[Path, typer.Option("--config", help="Configuration folder.")]
DeviceName = Annotated[str, typer.Argument(help="Id of a device, or one of its addresses.", metavar="DEVICE")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Look into the registry.", no_args_is_help=True)
    group.callback()(_group)
    group.command("show")(show)
    app.add_typer(group, name="registry")


def _group() -> None:
    """Keeps `show` a command of its own while it is the only one."""


def show(device: DeviceName, config: ConfigFolder = Path("config")) -> None:
    """Show one device: its place, grid, station, addresses and supervision."""
    from rich.console import Console
    from rich.text import Text

    from hub.registry.loader import load

    registry = load(config / "registry")
    slot = registry.slot_of.get(device, registry.slot_of_address.get(device, -1))
    if slot < 0:
        near = difflib.get_close_matches(device, registry.slot_of, n=3, cutoff=0.7)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        typer.echo(f"{config / 'registry'}: no device '{device}'{hint}", err=True)
        raise typer.Exit(1)
    console = Console(soft_wrap=True, highlight=False)
    lines = described(registry, registry.device(slot))
    width = max(len(what) for what, _ in lines)
    for what, text in lines:
        console.print(Text(f"{what:<{width}}  ", style="bold").append(text, style="not bold"))


def described(registry: Registry, device: Device) -> list[tuple[str, str]]:
    """What there is to say about `device`, line by line."""
    station = registry.station_for(device.grid)
    parent = registry.find(device.parent) if device.parent else None
    path = registry.path(device.place)
    limit_s = int(registry.silence_limit_ms[device.slot]) // 1_000
    lines = [
        ("id", device.id),
        ("name", f"{device.name.zh} / {device.name.en}"),
        ("kind", device.kind + (f", model {device.model}" if device.model else "")),
        ("place", f"{' '.join(p.name.zh for p in path)} / {', '.join(p.name.en for p in path)} ({device.place})"),
        ("grid", device.grid),
    ]
    for place in reversed((*path, *(p for p in registry.path(device.grid) if p not in path))):
        person = registry.people.get(place.responsible)
        if person is not None:
            lines.append((f"{place.level} chief", f"{person.name.zh} / {person.name.en} ({person.id})"))
    if station is not None:
        backups = f"; then {', '.join(station.backups)}" if station.backups else ""
        lines.append(("station", f"{station.name.zh} / {station.name.en} ({station.id}{backups})"))
    lines += [("address", address) for address in device.addresses]
    if parent is not None:
        lines.append(("behind", f"{parent.name.zh} / {parent.name.en} ({parent.id})"))
    children = registry.children(device.slot)
    if len(children):
        lines.append(("in front of", f"{len(children)} devices"))
    every = f", reports every {device.expected_interval_s:g} s" if device.expected_interval_s else ""
    lost = f"lost after {limit_s} s of silence" if limit_s else "its silence means nothing"
    lines.append(("supervision", f"{device.supervision}{every}; {lost}"))
    if device.tags:
        lines.append(("tags", ", ".join(device.tags)))
    if device.lat is not None:
        lines.append(("position", f"{device.lat}, {device.lon}"))
    return lines
