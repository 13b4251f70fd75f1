"""`gridhub selftest`: sends a marked test fire through the broker and follows it to the notification."""

from __future__ import annotations

import json
import secrets
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hub.cli.migrate import no_ledger_yet
from hub.clock import now_ms
from hub.errors import ConfigError, Unavailable
from hub.telemetry import configure_logging

_RULE = "hub-selftest"
ALIVE_WITHIN_S = 5.0


@dataclass
class Report:
    """Stages reached, with the milliseconds since the test fire was published."""

    started_ms: int = 0
    stages: list[dict[str, Any]] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    missing: str = ""

    def reached(self, stage: str, at_ms: int, detail: str = "") -> None:
        self.stages.append({"stage": stage, "at_ms": at_ms, "after_ms": at_ms - self.started_ms, "detail": detail})

    def in_order(self) -> list[dict[str, Any]]:
        return sorted(self.stages, key=lambda stage: int(stage["at_ms"]))

    def fails(self, stage: str, why: str) -> None:
        self.missing = f"{stage}: {why}"


def register(app: typer.Typer) -> None:
    app.command("selftest")(selftest)


def selftest(
    config: Annotated[Path, typer.Option("--config", help="Configuration folder of the running hub.")] = Path("config"),
    timeout_s: Annotated[float, typer.Option("--timeout", min=1, max=300, help="Seconds for the whole way.")] = 20.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Publish a test fire as the hub's own test device and follow it: broker, journal, rules, ledger, notification.

    Nobody is woken: a test goes to the console and the webhook only, marked as one. Exit code 1 if any part is missing.
    """
    configure_logging(level="ERROR")
    report = Report()
    try:
        _follow(config, timeout_s, report)
    except Unavailable as away:
        report.fails("ledger", str(away))
    except ConfigError as wrong:
        if not as_json:
            raise
        report.fails("configuration", "; ".join(map(str, wrong.complaints)))
    if as_json:
        said = {"ok": not report.missing, "missing": report.missing, "stages": report.in_order(), "gaps": report.gaps}
        print(json.dumps(said, ensure_ascii=False))
    else:
        _show(report)
    raise typer.Exit(1 if report.missing else 0)


def _follow(config: Path, timeout_s: float, report: Report) -> None:
    from hub.app import broker_of
    from hub.ingest.mqtt import PahoSession
    from hub.registry.loader import load
    from hub.settings import load_settings
    from hub.stores.alert_queries import AlertQueries
    from hub.stores.ledger import Ledger

    settings = load_settings(config)
    registry = load(config / "registry")
    device = next((d for d in registry.devices() if d.kind == "canary"), None)
    topic = _topic(settings, registry)
    assert device is not None
    report.gaps += _gaps(settings, registry, device)
    if missing := no_ledger_yet(settings.ledger_url):
        report.fails("ledger", missing)
        return
    until = time.monotonic() + timeout_s
    ledger = Ledger.open(settings.ledger_url, migrate=False)
    session: Any = None
    try:
        if not _is_alive(ledger):
            report.fails("hub", _nobody(settings, ledger.name))
            return
        queries = AlertQueries(ledger)
        broker = broker_of(settings)
        from dataclasses import replace

        own = replace(broker, client_id=f"gridhub-selftest-{secrets.token_hex(4)}", persistent=False)
        session = PahoSession(own, "main", [], lambda envelope: None)
        session.start()
        if not _until(until, lambda: session.connected):
            report.fails("broker", session.trouble)
            return
        _clear(session, topic)
        if not _until(until, lambda: not _active(queries, device.id)):
            report.fails("rules", "an earlier test fire does not clear")
            return
        before = queries.last_change()
        report.started_ms = now_ms()
        if not session.publish(topic, _fire(True)):
            report.fails("broker", "the test fire was not acknowledged by the broker")
            return
        report.reached("published", now_ms(), topic)
        found: list[Any] = []

        def appeared() -> bool:
            found.extend(filter(None, [_alert(queries, device.id, before)]))
            return bool(found)

        if not _until(until, appeared):
            report.fails("alert", "no alert appeared: is the hub running with the roles ingest and rules?")
            return
        alert = found[-1]
        report.reached("received", alert.received_at_ms, f"journal position {alert.position}")
        report.reached(
            "alert recorded",
            min((row.at_ms for row in queries.audit(alert.id) if row.id > before), default=alert.raised_at_ms),
            f"alert {alert.id}, grid {alert.grid}, station {alert.station}",
        )
        rows: list[Any] = []

        def settled() -> bool:
            rows[:] = [
                d
                for d in queries.deliveries(alert.id)
                if d.created_at_ms >= report.started_ms and "raised" in d.transition
            ]
            return bool(rows) and all(
                d.state in ("accepted", "delivered", "read", "sent", "failed", "cancelled") for d in rows
            )

        done = _until(until, settled)
        for row in rows:
            if row.accepted_at_ms or row.sent_at_ms:
                report.reached(f"notified by {row.channel}", row.accepted_at_ms or row.sent_at_ms, row.recipient)
            else:
                report.fails(
                    f"notification by {row.channel}", f"{row.state}: {row.reason or 'no answer'} (to {row.recipient})"
                )
        if not done and not report.missing:
            why = "; ".join(report.gaps) if report.gaps and not rows else "is the hub running with the role courier?"
            report.fails("notification", f"no delivery was accepted in time: {why}")
    finally:
        if session is not None:
            if session.connected:
                _clear(session, topic)
            session.stop()
        ledger.close()


def _is_alive(ledger: Any) -> bool:
    """Whether a hub works on this ledger: it moves its cursor every second, also when nothing happens.

    Looked at before anything is published: a test fire must not go to a hub whose ledger is another one.
    """
    from hub.pipeline import CONSUMER
    from hub.stores.alert_rows import position_of

    def cursor() -> Any:
        with ledger.read() as connection:
            return position_of(connection, CONSUMER)

    before = cursor()
    return _until(time.monotonic() + ALIVE_WITHIN_S, lambda: cursor() != before, every_s=0.2)


def _nobody(settings: Any, ledger: str) -> str:
    """What to say when no hub moves the ledger; nothing was published."""
    url = f"http://{settings.api.host}:{settings.api.port}/readyz"
    told = f"no hub with the role rules is working on {ledger}"
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except urllib.error.HTTPError as answer:  # not ready, and perhaps for this very reason
        return f"{told}; {url} answers with {answer.code}. Nothing was published"
    except (OSError, ValueError):
        return (
            f"{told}: start it with gridhub run, or name its configuration folder with --config. Nothing was published"
        )
    return f"{told}; the hub that answers at {url} has another one: name its configuration folder with --config. Nothing was published"


def _gaps(settings: Any, registry: Any, device: Any) -> list[str]:
    """Ways to the canary's station that stand in its contacts but lead nowhere."""
    from hub.dispatch.channels import check_channels, known_targets
    from hub.settings import document_of

    station = registry.station_for(device.grid)
    configs, wrong = check_channels(settings.channels, document_of(settings.folder))
    if wrong:
        raise ConfigError(wrong)
    known = known_targets(configs)
    contacts = () if station is None else station.contacts
    return [
        f"{channel}: not set up (gap): hub.yaml has no endpoint '{address}' for station {station.id}"
        for channel, address in contacts
        if channel == "webhook" and address not in known.get(channel, (address,))
    ]


def _topic(settings: Any, registry: Any) -> str:
    from hub.canary import CODEC, topic_of

    native = next((s.root for s in settings.sources if s.codec == CODEC), None)
    topic = topic_of(registry, native) if native is not None else None
    if topic is None:
        raise ConfigError.one(
            "registry/devices.csv",
            "the self-test needs a device of kind canary with a native-v1 address, and the source native-v1",
        )
    return topic


def _fire(active: bool) -> bytes:
    from hub.canary import event

    return event("canary", active=active, now_ms=now_ms())


def _clear(session: Any, topic: str) -> None:
    session.publish(topic, _fire(False))


def _active(queries: Any, device: str) -> bool:
    return any(a.alarm_state.startswith("active") for a in _tests(queries, device))


def _alert(queries: Any, device: str, before: int) -> Any:
    return next((a for a in _tests(queries, device) if a.change > before and a.alarm_state.startswith("active")), None)


def _tests(queries: Any, device: str) -> list[Any]:
    from hub.model.alerts import Actor

    hub = Actor(id="selftest", name="selftest", role="admin", grids=("*",), stations=("*",), via="selftest")
    rows: list[Any] = queries.list(scope=hub, device=device, limit=5).rows
    return [a for a in rows if a.rule_id == _RULE and a.live]


def _until(end_s: float, ready: Any, *, every_s: float = 0.02) -> bool:
    while not ready():
        if time.monotonic() > end_s:
            return False
        time.sleep(every_s)
    return True


def _show(report: Report) -> None:
    table = Table(title="Self-test: from the broker to the notification")
    for column in ("stage", "after", "detail"):
        table.add_column(column, justify="right" if column == "after" else "left")
    for stage in report.in_order():
        table.add_row(stage["stage"], f"{stage['after_ms']} ms", Text(stage["detail"]))
    for gap in report.gaps:
        channel, _, why = gap.partition(": ")
        table.add_row(channel, "–", Text(why))
    console = Console(soft_wrap=True, highlight=False)
    if table.row_count:
        console.print(table, soft_wrap=False)
    if report.missing:
        console.print(Text("MISSING ", style="bold red").append(report.missing, style="not bold default"))
    else:
        console.print("[bold green]every part answered[/]")
