"""`gridhub traffic`: records what real devices say, and says it again, as fast as one likes."""

from __future__ import annotations

import base64
import json
import os
import queue
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from devices.simulators.publisher import BrokerAway, BrokerRefused, Link, Message, Publisher
from hub.cli.migrate import complain
from hub.clock import monotonic_s, now_ms
from hub.telemetry import configure_logging

_CONNECT_S = 5.0
_DAY_MS = 86_400_000
_TIMES = re.compile(rb'("(?:ts|last_seen|time|timestamp)"\s*:\s*)(\d{13})(?=\s*[,}\]])')
group = typer.Typer(help="Record what devices say, and say it again.", no_args_is_help=True)

Config = Annotated[Path, typer.Option("--config", help="Configuration folder (its hub.yaml names the broker).")]
Where = Annotated[str, typer.Option("--broker", help="HOST:PORT of another broker than hub.yaml's.")]


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="traffic")


@group.command("record")
def record(
    out: Annotated[Path, typer.Argument(help="File to write; it must not exist yet.")],
    topic: Annotated[str, typer.Option("--topic", help="MQTT filter.")] = "#",
    seconds: Annotated[float, typer.Option("--seconds", min=0, help="End after so many seconds; 0 = go on.")] = 0,
    count: Annotated[int, typer.Option("-n", min=0, help="End after so many messages; 0 = go on.")] = 0,
    broker: Where = "",
    config: Config = Path("config"),
) -> None:
    """Write what the broker passes on as JSON lines, as `gridhub journal export` does. Ctrl-C ends it.

    Messages can hold personal data: the file is readable by its owner only.
    """
    from hub.app import broker_of
    from hub.ingest.mqtt import PahoSession
    from hub.model.readings import Envelope
    from hub.settings import load_settings

    configure_logging(level="CRITICAL")
    known = broker_of(load_settings(config))
    if broker:
        link = _link(broker)
        known = replace(known, host=link.host, port=link.port)
    known = replace(known, client_id=f"{known.client_id}-record-{os.getpid()}", persistent=False)
    if out.exists():
        complain(f"{out} exists already: choose another name, or delete it")
    arrived: queue.SimpleQueue[Envelope] = queue.SimpleQueue()
    session = PahoSession(known, "record", [topic], arrived.put, clock=now_ms)
    session.start()
    written = 0
    try:
        give_up = time.monotonic() + _CONNECT_S
        while not session.connected:
            if time.monotonic() > give_up:
                complain(f"{known.host}:{known.port}: {session.trouble or 'the broker does not answer'}")
            time.sleep(0.02)
        typer.echo(f"recording {topic} of {known.host}:{known.port}", err=True)
        end = time.monotonic() + seconds if seconds else None
        with open(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            while (not count or written < count) and (end is None or time.monotonic() < end):
                try:
                    envelope = arrived.get(timeout=0.1)
                except queue.Empty:
                    continue
                file.write(_line(written, envelope))
                written += 1
    except KeyboardInterrupt:
        pass
    except OSError as error:
        complain(f"{out} cannot be written: {error.strerror or error}")
    finally:
        session.stop()
    print(f"{written} messages → {out}")


def _line(n: int, envelope: Any) -> str:
    said = {
        "position": n,
        "kind": "message",
        "at_ms": envelope.received_at_ms,
        "topic": envelope.topic,
        "payload": base64.b64encode(envelope.payload).decode(),
        "retained": envelope.retained,
    }
    return json.dumps(said, ensure_ascii=False) + "\n"


@group.command("replay")
def replay(
    file: Annotated[Path, typer.Argument(help="What `gridhub traffic record` or `gridhub journal export` wrote.")],
    broker: Where = "127.0.0.1:1883",
    speed: Annotated[float, typer.Option("--speed", min=0.01, max=100_000, help="How much faster than it was.")] = 1.0,
    as_it_was: Annotated[
        bool, typer.Option("--as-it-was", help="Leave times inside messages alone: the hub will hold them for late.")
    ] = False,
    username: Annotated[str | None, typer.Option(help="MQTT user; password from GRIDHUB_MQTT_PASSWORD.")] = None,
) -> None:
    """Publish a recording at the pace in which it came. Times in milliseconds inside JSON are moved to now."""
    link = replace(_link(broker), username=username, password=os.environ.get("GRIDHUB_MQTT_PASSWORD"))
    try:
        with Publisher(link, client_id=f"gridhub-replay-{os.getpid()}") as publisher:
            publisher.open()
            begun_s, first_ms = monotonic_s(), -1
            for at_ms, message in recorded(file):
                first_ms = at_ms if first_ms < 0 else first_ms
                due_s = begun_s + (at_ms - first_ms) / 1_000 / speed
                while (wait_s := due_s - monotonic_s()) > 0:
                    publisher.poll(min(wait_s, 0.1))
                publisher.publish(message if as_it_was else moved(message, at_ms, now_ms()))
            publisher.flush()
            took_s = monotonic_s() - begun_s
            print(f"sent {publisher.counts.published} messages ({publisher.counts.acked} confirmed) in {took_s:.1f} s")
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except (BrokerAway, BrokerRefused) as away:
        complain(f"{link}: {away}")


def recorded(file: Path) -> Iterator[tuple[int, Message]]:
    """(when it came, the message) of each message of a recording, ticks left out. Ends the program at a line that is none."""
    try:
        with file.open(encoding="utf-8") as lines:
            for n, line in enumerate(lines, 1):
                try:
                    said = json.loads(line)
                    if said["kind"] != "message":
                        continue
                    at_ms, topic = int(said["at_ms"]), str(said["topic"])
                    payload = base64.b64decode(said["payload"], validate=True)
                    message = Message(topic, payload, 1, bool(said["retained"]))
                except (ValueError, KeyError, TypeError) as wrong:
                    complain(f"{file}:{n}: this is no recorded message: {wrong}")
                yield at_ms, message
    except OSError as error:
        complain(f"{file} cannot be read: {error.strerror or error}")


def moved(message: Message, at_ms: int, to_ms: int) -> Message:
    """`message` with the times in it as far from `to_ms` as they were from `at_ms`; those more than a day off stay as they are."""

    def later(found: re.Match[bytes]) -> bytes:
        then_ms = int(found[2])
        return found[1] + (str(then_ms + to_ms - at_ms).encode() if abs(then_ms - at_ms) <= _DAY_MS else found[2])

    return message._replace(payload=_TIMES.sub(later, message.payload))


def _link(broker: str) -> Link:
    try:
        return Link.parse(broker)
    except ValueError as wrong:
        complain(f"--broker {broker}: {wrong}")
