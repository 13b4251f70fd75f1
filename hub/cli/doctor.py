"""`gridhub doctor`: watches the broker live and says of each message what the hub understands, what not, and why."""

from __future__ import annotations

import json
import os
import queue
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.migrate import ConfigFolder, complain
from hub.cli.payload_text import shown, visible
from hub.clock import now_ms, wall_clock
from hub.telemetry import configure_logging

if TYPE_CHECKING:
    from rich.table import Table

    from hub.model.readings import Envelope
    from hub.onboarding.examine import Examiner, Finding

_CONNECT_S = 5.0
_ROWS = 24
_STYLES = {
    "understood": "green", "partly": "yellow", "unknown device": "magenta", "rejected": "red", "no source": "red", "passed over": "dim",
}  # fmt: skip


def register(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


def doctor(
    topic: Annotated[
        str, typer.Option("--topic", help="MQTT filter, e.g. '#' or 'sc/v1/+/gw-1/#'; default: all sources.")
    ] = "",
    count: Annotated[int, typer.Option("-n", min=0, help="End after so many messages; 0 = go on.")] = 0,
    seconds: Annotated[float, typer.Option("--seconds", min=0, help="End after so many seconds; 0 = go on.")] = 0,
    problems: Annotated[bool, typer.Option("--problems", help="Show only messages with something wrong.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a message.")] = False,
    config: ConfigFolder = Path("config"),
) -> None:
    """Watch the broker live: what the hub understands of each message, what not, why, and what helps. Ctrl-C ends it.

    It listens beside the hub with a session of its own and changes nothing. Exit code 1 when the broker cannot be heard.
    """
    configure_logging(level="CRITICAL")
    examiner, session, arrived, where = _prepared(config, topic)
    session.start()
    try:
        _wait_for(session, where)
        watch = _Watch(examiner, problems=problems)
        print(f"listening to {where} on {', '.join(session.filters)}", file=sys.stderr)
        end = time.monotonic() + seconds if seconds else None
        if as_json or not sys.stdout.isatty():
            _lines(watch, arrived, count, end, as_json)
        else:
            _live(watch, arrived, count, end)
        if session.trouble:
            print(session.trouble, file=sys.stderr)
    except KeyboardInterrupt:
        pass
    finally:
        session.stop()
    if not as_json:
        _summary(watch)


class _Watch:
    """What was seen so far."""

    def __init__(self, examiner: Examiner, *, problems: bool) -> None:
        self.examiner, self.problems = examiner, problems
        self.states: Counter[str] = Counter()
        self.wrong: Counter[tuple[str, str, str]] = Counter()  # state, what, remedy
        self.last: deque[tuple[Envelope, Finding]] = deque(maxlen=_ROWS)

    def take(self, envelope: Envelope) -> Finding | None:
        """Examines a message; None when it is not to be shown."""
        finding = self.examiner.examine(envelope)
        self.states[finding.state] += 1
        fine = finding.state in ("understood", "passed over")
        if not fine:
            what = finding.why[0] if finding.why else finding.topic
            self.wrong[finding.state, what[:200], finding.remedy] += 1
        if fine and self.problems:
            return None
        self.last.append((envelope, finding))
        return finding


def _prepared(config: Path, topic: str) -> tuple[Examiner, Any, queue.SimpleQueue[Envelope], str]:
    from hub.app import broker_of
    from hub.cli.understanding import router_for
    from hub.ingest.mqtt import PahoSession
    from hub.ingest.screen import Limits
    from hub.onboarding.examine import Examiner
    from hub.registry.loader import load
    from hub.settings import load_settings

    settings = load_settings(config)
    registry = load(config / "registry")
    router = router_for(settings, registry)
    limits = Limits(
        past_ms=int(settings.screen.past_days * 86_400_000),
        future_ms=int(settings.screen.future_s * 1_000),
        late_ms=int(settings.screen.late_s * 1_000),
    )
    broker = broker_of(settings)
    # a session of its own that the broker keeps nothing for: the hub's own is not touched
    broker = replace(broker, client_id=f"{broker.client_id}-{os.getpid()}", persistent=False)
    arrived: queue.SimpleQueue[Envelope] = queue.SimpleQueue()
    filters = [topic] if topic else [wanted.topic for wanted in router.filters]
    session = PahoSession(broker, "doctor", filters, arrived.put, clock=now_ms)
    return Examiner(router, registry, limits, zone=settings.timezone), session, arrived, f"{broker.host}:{broker.port}"


def _wait_for(session: Any, where: str) -> None:
    give_up = time.monotonic() + _CONNECT_S
    while not session.connected:
        if time.monotonic() > give_up:
            complain(f"{where}: {session.trouble or 'the broker does not answer'}")
        time.sleep(0.02)


def _each(
    watch: _Watch,
    arrived: queue.SimpleQueue[Envelope],
    count: int,
    end: float | None,
    show: Callable[[Envelope, Finding], None],
    idle: Callable[[], None] = lambda: None,
) -> None:
    seen = 0
    while (not count or seen < count) and (end is None or time.monotonic() < end):
        try:
            envelope = arrived.get(timeout=0.2)
        except queue.Empty:
            idle()
            continue
        seen += 1
        finding = watch.take(envelope)
        if finding is not None:
            show(envelope, finding)


def _lines(watch: _Watch, arrived: queue.SimpleQueue[Envelope], count: int, end: float | None, as_json: bool) -> None:
    def show(envelope: Envelope, finding: Finding) -> None:
        if as_json:
            row = {"at_ms": envelope.received_at_ms, "retained": envelope.retained, **asdict(finding)}
            row["payload"] = shown(envelope.payload, 400)
            print(json.dumps(row, ensure_ascii=False), flush=True)
            return
        said = " | ".join(filter(None, (finding.says, "; ".join(finding.why), finding.remedy)))
        print(f"{_time(envelope)} {finding.state:<14} {visible(finding.topic)}  {visible(said)}", flush=True)

    _each(watch, arrived, count, end, show)


def _live(watch: _Watch, arrived: queue.SimpleQueue[Envelope], count: int, end: float | None) -> None:
    from rich.live import Live

    with Live(_table(watch), refresh_per_second=4, screen=False, transient=False) as live:
        drawn = 0.0

        def draw(*_: object) -> None:
            nonlocal drawn
            if time.monotonic() - drawn > 0.2:  # thousands of messages a second must not all be drawn
                drawn = time.monotonic()
                live.update(_table(watch))

        _each(watch, arrived, count, end, draw, draw)
        live.update(_table(watch))


def _table(watch: _Watch) -> Table:
    from rich.table import Column, Table
    from rich.text import Text

    totals = "  ".join(f"{state} {n:,}" for state, n in watch.states.most_common()) or "nothing has come yet"
    table = Table(
        Column("time", no_wrap=True),
        Column("what", no_wrap=True),
        *(Column(name, overflow="fold") for name in ("topic", "understood", "not understood, and why", "what helps")),
        title=totals,
        title_justify="left",
        box=None,
    )
    for envelope, finding in watch.last:
        table.add_row(
            _time(envelope),
            Text(finding.state, style=_STYLES[finding.state]),
            Text(visible(finding.topic)),
            Text(visible(finding.says)),
            Text(visible("; ".join(finding.why[:3]))),
            Text(visible(finding.remedy)),
        )
    return table


def _summary(watch: _Watch) -> None:
    total = sum(watch.states.values())
    states = ", ".join(f"{n:,} {state}" for state, n in watch.states.most_common())
    print(f"{total:,} messages{': ' if total else ''}{states}")
    for (state, what, remedy), n in watch.wrong.most_common(10):
        print(f"{n:>6,} × {state}: {visible(what)}{f' → {visible(remedy)}' if remedy else ''}")


def _time(envelope: Envelope) -> str:
    mark = " R" if envelope.retained else ""
    return f"{wall_clock(envelope.received_at_ms, 'UTC', '%H:%M:%S')}{mark}"
