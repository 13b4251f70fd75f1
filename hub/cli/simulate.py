"""`gridhub simulate`: publishes what the devices of a place would say to a real broker."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from devices.simulators.behaviours import BEHAVIOURS, Cue, NoSuchDevice
from devices.simulators.drive import Drive
from devices.simulators.drive import Progress as Sent
from devices.simulators.fleet import Fleet
from devices.simulators.publisher import BrokerAway, BrokerRefused, Interrupted, Link, Publisher, Tls
from devices.simulators.scenefile import Scene, load_scene
from devices.simulators.world import Behaviour, World
from hub.cli import traffic
from hub.clock import now_ms
from hub.errors import ConfigError
from hub.registry.loader import load
from hub.registry.snapshot import Registry
from hub.settings import Settings, load_settings, secret_from

_AUTO = "auto"
_ZONE_OF_SCENES_MS = 8 * 3_600_000


class _Refusal(Exception):
    """Something about the call is wrong; the text says what and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """The place to simulate and how it is spoken to."""

    registry: Registry
    roots: tuple[tuple[str, str], ...]
    zone: str
    settings: Settings | None


def register(app: typer.Typer) -> None:
    app.command("simulate", help="Publish what the devices of a place would say: a calm day, a kitchen fire, a scene.")(
        simulate
    )
    traffic.register(app)


def simulate(
    config: Annotated[
        Path, typer.Option(help="The place: a configuration folder. Its hub.yaml also names the broker.")
    ] = Path("config"),
    devices: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="Generate a town of so many devices instead of --config.")
    ] = None,
    broker: Annotated[str | None, typer.Option(help="HOST:PORT of the MQTT broker (default: as in hub.yaml).")] = None,
    behaviour: Annotated[
        list[str] | None, typer.Option(help=f"What happens, repeatable: {', '.join(BEHAVIOURS)}. Default: calm_day.")
    ] = None,
    device: Annotated[str, typer.Option(help="Where the behaviour happens; it chooses itself when not given.")] = "",
    kitchen_fire: Annotated[
        str | None, typer.Option(help=f"Smoke alarm above a kitchen fire, or `{_AUTO}`; adds that behaviour.")
    ] = None,
    scene: Annotated[
        Path | None,
        typer.Option(help="A file of what happens, and of the alerts that must come of it; see docs/simulators.md."),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="With --scene: play it through codecs and rules here, without a broker, and compare."
        ),
    ] = False,
    at: Annotated[float, typer.Option(min=0, help="Seconds after the start when the behaviour begins.")] = 0.0,
    rate: Annotated[
        float | None, typer.Option(min=0.1, help="Messages a second in all; default: each device's own heartbeat.")
    ] = None,
    speed: Annotated[float, typer.Option(min=0.01, max=3_600, help="How much faster than the clock time runs.")] = 1.0,
    duration: Annotated[float | None, typer.Option(min=0.1, help="Stop after so many seconds of real time.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same town, same day.")] = 1,
    protocol: Annotated[str | None, typer.Option(help="MQTT version: 5 or 311.")] = None,
    username: Annotated[str | None, typer.Option(help="MQTT user; password from GRIDHUB_MQTT_PASSWORD.")] = None,
    tls_ca: Annotated[Path | None, typer.Option(help="CA file: connect with TLS.")] = None,
    window: Annotated[int, typer.Option(min=1, max=65_535, help="Unconfirmed messages per connection.")] = 1_000,
    connections: Annotated[int, typer.Option(min=1, max=2_000, help="At most so many MQTT connections.")] = 200,
    qos: Annotated[
        int,
        typer.Option(
            min=0, max=1, help="At most this QoS; 0 is faster, and confirmed means handed to the network only."
        ),
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object.")] = False,
) -> None:
    try:
        _check(behaviour, protocol, kitchen_fire)
        if check and scene is None:
            raise _Refusal("--check needs a --scene")
        story = load_scene(scene) if scene is not None else None
        if story is not None:
            if behaviour or kitchen_fire is not None or device:
                raise _Refusal("a --scene says itself what happens and where")
            seed = story.seed
        with _place(config, devices, seed) as place:
            if story is not None and check:
                raise typer.Exit(_compare(story, place, config, as_json))
            if story is not None and duration is None:
                duration = story.lasts / speed
            link = _link(place.settings, broker, protocol, username, tls_ca)
            start_ms = now_ms()
            if story is not None:
                fleet = _played(place, story, start_ms, rate, speed)
            else:
                fleet = _fleet(place, start_ms, behaviour, device, kitchen_fire, at, rate, speed, seed)
            code = _run(fleet, link, start_ms, speed, rate, duration, window, connections, seed, qos, as_json)
    except ConfigError:
        raise
    except (_Refusal, NoSuchDevice, ValueError) as wrong:
        typer.echo(f"gridhub simulate: {wrong}", err=True)
        raise typer.Exit(2) from wrong
    except (BrokerAway, BrokerRefused) as away:
        typer.echo(f"gridhub simulate: {away}", err=True)
        raise typer.Exit(1) from away
    raise typer.Exit(code)


def _check(behaviour: list[str] | None, protocol: str | None, kitchen_fire: str | None) -> None:
    for name in behaviour or ():
        if name not in BEHAVIOURS:
            raise _Refusal(f"there is no behaviour {name!r}; there are {', '.join(BEHAVIOURS)}")
    if protocol not in (None, "5", "311"):
        raise _Refusal(f"--protocol {protocol} is neither 5 nor 311")
    if kitchen_fire == "":
        raise _Refusal(f"--kitchen-fire needs the id of a smoke alarm, or {_AUTO}")


@contextmanager
def _place(config: Path, devices: int | None, seed: int) -> Iterator[_Place]:
    """The place, from `config` or made for the occasion in a folder that is removed again."""
    settings: Settings | None
    if devices is None:
        settings = load_settings(config)
        roots = tuple((source.codec, source.root) for source in settings.sources)
        yield _Place(registry=load(config / "registry"), roots=roots, zone=settings.timezone, settings=settings)
        return
    from devices.simulators.town import write_town

    settings = load_settings(config) if (config / "hub.yaml").exists() else None
    site = settings.site if settings else "demo"
    with tempfile.TemporaryDirectory(prefix="gridhub-town-") as folder:
        write_town(Path(folder), devices=devices, seed=seed, site=site)
        registry = load(Path(folder))
    yield _Place(
        registry=registry, roots=(), zone=settings.timezone if settings else "Asia/Shanghai", settings=settings
    )


def _link(
    settings: Settings | None, broker: str | None, protocol: str | None, username: str | None, tls_ca: Path | None
) -> Link:
    mqtt = settings.mqtt if settings else None
    tls = Tls(ca=str(tls_ca)) if tls_ca else None
    password = os.environ.get("GRIDHUB_MQTT_PASSWORD")
    version = int(protocol or (mqtt.protocol if mqtt else "5"))
    if broker is not None or mqtt is None:
        more: dict[str, Any] = {"tls": tls} if tls else {}
        address = broker or "127.0.0.1:1883"
        return Link.parse(address, protocol=version, username=username, password=password, **more)
    if tls is None and mqtt.tls is not None:
        tls = Tls(ca=mqtt.tls.ca or None, cert=mqtt.tls.cert or None, key=mqtt.tls.key or None)
    return Link(
        host=mqtt.host,
        port=mqtt.port,
        protocol=version,
        username=username or mqtt.username or None,
        password=password or secret_from("", mqtt.password_file) or None,
        tls=tls,
    )


def _fleet(
    place: _Place,
    start_ms: int,
    behaviour: list[str] | None,
    device: str,
    kitchen_fire: str | None,
    at_s: float,
    rate: float | None,
    speed: float,
    seed: int,
) -> Fleet:
    offset = datetime.now(ZoneInfo(place.zone)).utcoffset()
    world = World(
        place.registry.devices(),
        places=place.registry.places.values(),
        seed=seed,
        zone_offset_ms=int(offset.total_seconds() * 1_000) if offset else 0,
    )
    if not len(world):
        raise _Refusal("this place has no device that can be simulated; see devices.csv or use --devices N")
    cues = [(name, Cue(device=device, at_s=at_s * speed)) for name in behaviour or ["calm_day"]]
    if kitchen_fire is not None:
        where = "" if kitchen_fire == _AUTO else kitchen_fire
        cues.append(("kitchen_fire", Cue(device=where, at_s=at_s * speed)))
    happening = [BEHAVIOURS[name].make(world, start_ms, cue) for name, cue in cues]
    return _speaking(place, world, happening, start_ms, rate, speed)


def _played(place: _Place, story: Scene, start_ms: int, rate: float | None, speed: float) -> Fleet:
    """The fleet of a scene: its devices only, and its time of the day whatever the clock says."""
    world = World(
        [device for device in place.registry.devices() if story.takes_part(device.id)],
        places=place.registry.places.values(),
        seed=story.seed,
        zone_offset_ms=story.start_ms + _ZONE_OF_SCENES_MS - start_ms,
    )
    happening = [BEHAVIOURS[one.behaviour].make(world, start_ms, one.cue) for one in story.happens]
    return _speaking(place, world, happening, start_ms, rate, speed)


def _speaking(
    place: _Place, world: World, happening: Sequence[Behaviour], start_ms: int, rate: float | None, speed: float
) -> Fleet:
    fleet = Fleet(
        world,
        happening,
        start_ms=start_ms,
        roots=place.roots,
        rate=None if rate is None else rate / speed,
        step_ms=max(1_000, int(100 * speed)),
        beat_ms=max(30_000, int(1_000 * speed)),
    )
    if not len(fleet):
        raise _Refusal("no device of this place has an address in a dialect that the simulator speaks")
    return fleet


def _compare(story: Scene, place: _Place, config: Path, as_json: bool) -> int:
    """Plays the scene on a clock of its own under the rules of `config`; 1 when not all came as it expects."""
    from hub.cli.simulate_play import differences, played_scene
    from hub.rules.ruleset import load_rules

    played = played_scene(story, place.registry, load_rules(config / "rules"), place.roots, place.zone)
    wrong = differences(story, played)
    raised = [event for event in played.events if event.kind == "raised"]
    if as_json:
        alerts = [
            {
                "after_s": (event.at_ms - story.start_ms) / 1_000,
                "rule": event.rule.id,
                "severity": event.rule.severity,
                "device": event.device,
            }
            for event in raised
        ]
        found = {"scene": story.name, "messages": played.messages, "alerts": alerts, "wrong": wrong}
        print(json.dumps({**found, "quarantined": dict(played.quarantined)}, ensure_ascii=False))
        return 1 if wrong else 0
    for event in raised:
        after_s = (event.at_ms - story.start_ms) / 1_000
        print(f"{after_s:>8.0f} s  {event.rule.severity}  {event.rule.id}  {event.device}")
    for text in wrong:
        print(f"wrong: {text}")
    print(f"{story.name}: {'not ' if wrong else ''}as expected, {played.messages} messages, {len(raised)} alerts")
    return 1 if wrong else 0


def _run(
    fleet: Fleet,
    link: Link,
    start_ms: int,
    speed: float,
    rate: float | None,
    duration_s: float | None,
    window: int,
    connections: int,
    seed: int,
    qos: int,
    as_json: bool,
) -> int:
    stopped: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        stopped.append(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    errors = Console(stderr=True, highlight=False)
    wanted = rate if rate is not None else fleet.natural_rate * speed
    trouble = ""
    with (
        Publisher(
            link, window=window, client_id=f"gridhub-sim-{seed}-{os.getpid()}", stop=lambda: bool(stopped)
        ) as publisher,
        _shown(errors, quiet=as_json and not sys.stderr.isatty()) as show,
    ):
        drive = Drive(
            fleet,
            publisher,
            speed=speed,
            max_connections=connections,
            qos=qos,
            on_said=lambda text: _say(text, as_json),
            on_progress=show,
        )
        _say(f"{len(fleet)} devices behind {len(fleet.nodes)} nodes to {link}, about {wanted:.1f} messages/s", as_json)
        try:
            drive.begin(start_ms, lambda: bool(stopped))
            drive.run(duration_s=duration_s, stop=lambda: bool(stopped))
        except Interrupted:
            pass
        except BrokerAway as away:
            if not publisher.connected and not publisher.counts.published:
                raise  # it never began
            trouble = str(away)
        try:
            drive.end()
        except BrokerAway as away:
            trouble = trouble or str(away)
        summary = drive.summary(wanted)
    if as_json:
        print(json.dumps(asdict(summary), ensure_ascii=False), flush=True)
    else:
        print(
            f"sent {summary.published} messages ({summary.acked} confirmed) in {summary.elapsed_s:.1f} s: "
            f"{summary.msgs_per_s:.1f}/s of {summary.wanted_per_s:.1f}/s wanted, {summary.reconnects} reconnects",
            flush=True,
        )
    if summary.skipped_reports:
        errors.print(f"this machine or the broker could not keep up: {summary.skipped_reports} reports were left out")
    if trouble:
        errors.print(f"gridhub simulate: {trouble}")
    return 1 if trouble else 0


def _say(text: str, to_stderr: bool) -> None:
    print(text, file=sys.stderr if to_stderr else sys.stdout, flush=True)


@contextmanager
def _shown(console: Console, *, quiet: bool) -> Iterator[Any]:
    """A function that shows progress: a live line on a terminal, now and then a plain one elsewhere, or nothing."""
    if quiet:
        yield lambda sent: None
        return
    if not console.is_terminal:
        due = [0.0]

        def plain(sent: Sent) -> None:
            if sent.elapsed_s >= due[0]:
                due[0] = sent.elapsed_s + 30.0
                console.print(f"{sent.published} messages sent, {sent.rate_per_s:.1f}/s, {sent.connected} connections")

        yield plain
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("connecting")
        yield lambda sent: bar.update(
            task,
            description=f"{sent.published} messages sent, {sent.rate_per_s:.1f}/s, {sent.connected} connections",
        )
