"""`gridhub explain`: why an alert fired, or why a rule did not fire for a device at a time."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.instants import instant, local
from hub.cli.migrate import ConfigFolder, complain, no_ledger_yet
from hub.clock import now_ms
from hub.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from hub.replay.answers import Answers, InForce
    from hub.rules.testing.explaining import Explanation
    from hub.rules.testing.trace import Step
    from hub.settings import Settings
    from hub.stores.ledger import Ledger

_SHOWN = 25
AlertId = Annotated[
    str, typer.Argument(help="Id of an alert: why it fired, the last time that it did.", metavar="ALERT")
]
Device = Annotated[str, typer.Option("--device", help="Instead of an alert: a device.")]
Rule = Annotated[str, typer.Option("--rule", help="The rule in question.")]
At = Annotated[
    str, typer.Option("--at", metavar="TIME", help="2024-01-01T08:00, an instant with offset, or -10m; default: now.")
]
JournalOf = Annotated[Path | None, typer.Option("--journal", help="The journal's folder, instead of that of --config.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")]
All = Annotated[bool, typer.Option("--all", help="List every step, not only the latest.")]


def register(app: typer.Typer) -> None:
    app.command("explain")(explain)


def explain(
    alert: AlertId = "",
    device: Device = "",
    rule: Rule = "",
    at: At = "now",
    journal: JournalOf = None,
    config: ConfigFolder = Path("config"),
    as_json: AsJson = False,
    every: All = False,
) -> None:
    """Say why an alert fired (ALERT), or why a rule did not fire (--device D --rule R --at T): readings, states, limits, times.

    The journal's records of the device are played again to the engine that runs live. Nothing is changed.
    """
    from hub import telemetry
    from hub.settings import load_settings

    telemetry.configure_logging(level="CRITICAL")
    if bool(alert) == bool(device) or bool(device) != bool(rule):
        complain("give the id of an alert, or --device and --rule (and --at)")
    settings = load_settings(config)
    with ExitStack() as closing:
        try:
            ledger = None if no_ledger_yet(settings.ledger_url) else _ledger(settings, closing)
            answers = _answers(settings, config, journal, ledger, closing)
            if alert:
                found = _of_alert(answers, ledger, alert)
            else:
                when = instant(at, "--at", zone=settings.timezone, now_ms=now_ms())
                found = answers.of_device(device, rule, when)
        except NotFound as missing:
            complain(f"{missing}{_near(missing, answers)}")
        except Unavailable as away:
            complain(str(away))
    if as_json:
        json.dump(as_data(found, settings.timezone), sys.stdout, ensure_ascii=False)
        sys.stdout.write("\n")
    else:
        _show(found, settings.timezone, every=every)


def _ledger(settings: Settings, closing: ExitStack) -> Ledger:
    from hub.stores.ledger import Ledger

    ledger = Ledger.open(settings.ledger_url, migrate=False)
    closing.callback(ledger.close)
    return ledger


def _answers(
    settings: Settings, config: Path, journal: Path | None, ledger: Ledger | None, closing: ExitStack
) -> Answers:
    from hub.cli.backtest_sources import screen_of
    from hub.ingest.sources import sources_of
    from hub.registry.loader import load
    from hub.replay.answers import Answers
    from hub.replay.explainer import Explainer
    from hub.replay.journal_source import shelf_of

    registry = load(config / "registry")
    shelf = shelf_of(journal or settings.journal_folder)
    closing.callback(shelf.close)
    explainer = Explainer(
        records=shelf,
        sources=tuple(sources_of(settings.sources, settings.folder)),
        zone=settings.timezone,
        limits=screen_of(settings).limits,
        most_records=1 << 40,
    )
    return Answers(explainer=explainer, registry=lambda: registry, in_force=_in_force(settings, config, ledger))


def _in_force(settings: Settings, config: Path, ledger: Ledger | None) -> Callable[[int], InForce]:
    from hub.replay.answers import InForce, rules_at
    from hub.rules.calendar_file import load_context
    from hub.rules.ruleset import load_rules
    from hub.stores.rule_files import RuleFiles
    from hub.stores.rule_versions import RuleVersions

    context = load_context(config, zone=settings.timezone)
    files = RuleFiles(config / "rules").read()
    now = InForce(load_rules(config / "rules", context=context), files.texts(), files.version, sure=False)
    if ledger is None:
        return lambda at_ms: now
    versions = RuleVersions(ledger)
    return lambda at_ms: rules_at(versions, at_ms, context, now)


def _of_alert(answers: Answers, ledger: Ledger | None, alert_id: str) -> Explanation:
    from hub.stores.alert_queries import AlertQueries

    if ledger is None:
        complain("there is no ledger yet, so there is no alert: start the hub first, or name its --config")
    queries = AlertQueries(ledger)
    alert = queries.one(alert_id)
    if alert is None:
        complain(f"there is no alert {alert_id!r}: its id stands at the end of the address that the console shows")
    return answers.of_alert(alert, queries.occurrences(alert_id))


def _near(missing: NotFound, answers: Answers) -> str:
    import difflib

    known: Any = answers.registry().slot_of
    if missing.code == "no-rule":
        known = [rule.spec.id for rule in answers.in_force(now_ms()).rules.rules]
    found = difflib.get_close_matches(next(iter(missing.values.values()), ""), known, n=2)
    return f"; did you mean {' or '.join(found)}?" if found else ""


# -- showing --------------------------------------------------------------------------------------------------------------


def _show(found: Explanation, zone: str, *, every: bool) -> None:
    from rich.console import Console
    from rich.panel import Panel
    from rich.syntax import Syntax
    from rich.text import Text

    from hub.i18n import text

    say = text("en")
    console = Console(highlight=False)
    spec = found.rule.spec
    title = f"{spec.severity} {spec.id} ({spec.name.en}) of {found.device} at {local(found.at_ms, zone)}"
    style = "bold red" if found.fired else "bold green"
    console.print(Panel(Text(found.verdict.said(say, zone), style=style), title=title, title_align="left"))
    for sentence in found.because:
        console.print(Text(f"  {sentence.said(say, zone)}"))
    if found.kept_quiet:
        console.print(Text("kept quiet", style="bold"))
    for sentence in found.kept_quiet:
        console.print(Text(f"  {sentence.said(say, zone)}", style="dim"))
    _show_steps(console, found, zone, every=every)
    if found.evidence:
        console.print(Text("evidence that was kept", style="bold"))
        console.print(Text(f"  {json.dumps(dict(found.evidence), ensure_ascii=False)}", style="dim"))
    if found.text:
        console.print(
            Text(f"the rule as it was ({spec.file.rpartition('/')[2]}, version {spec.version})", style="bold")
        )
        console.print(Syntax(found.text, "yaml", background_color="default", word_wrap=True))
    for sentence in found.notes:
        console.print(Text(f"note: {sentence.said(say, zone)}", style="yellow"))


def _show_steps(console: Any, found: Explanation, zone: str, *, every: bool) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    steps = found.steps if every else found.steps[-_SHOWN:]
    if not steps:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("time", "what", "says", "state", "event"):
        table.add_column(head, no_wrap=head == "time", overflow="fold")
    for step in steps:
        state = step.state if step.state == step.before else f"{step.before} → {step.state}"
        style = (
            "red" if "raised" in step.event else "green" if "cleared" in step.event else "dim" if step.left_out else ""
        )
        cells = (local(step.at_ms, zone), what(step), step.left_out or step.signal, state, step.event)
        table.add_row(*(Text(cell, style=style) for cell in cells))
    console.print(table)
    if len(steps) < len(found.steps):
        console.print(Text(f"  {len(found.steps) - len(steps)} earlier steps; --all lists them", style="dim"))


def what(step: Step) -> str:
    """One step in words."""
    from hub.model.quantities import QUANTITIES
    from hub.rules.testing.sentences import in_words

    if step.what == "condition":
        return f"{step.rule} of {step.device} {step.event}"
    if step.what == "time":
        return "time passed"
    unit = QUANTITIES[step.quantity].unit
    figure = "" if step.figure is None else f" → {step.figure:g}"
    return f"{step.quantity} {in_words(step.value)} {unit}".rstrip() + figure


def as_data(found: Explanation, zone: str) -> dict[str, Any]:
    """The explanation as JSON, texts in both languages."""
    from hub.replay.telling import told

    return told(found, zone)
