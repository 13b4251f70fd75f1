"""`gridhub rules list|show|diff|schema|history|rollback`: which rules there are, what holds for a device, what changed and the way back."""

from __future__ import annotations

import difflib
import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from hub.cli.migrate import LedgerUrl, complain, ledger_url, no_ledger_yet
from hub.errors import ConfigError, Unavailable

if TYPE_CHECKING:
    from rich.console import Console

    from hub.model.places import Device
    from hub.registry.snapshot import Registry
    from hub.rulebook import RuleBook
    from hub.rules.ruleset import Rule, RuleSet
    from hub.rules.scope import Effective
    from hub.settings import Settings
    from hub.stores.rule_versions import RuleVersion

ConfigFolder = Annotated[Path, typer.Option("--config", help="Configuration folder.")]
_WAIT_S = 4.0  # a running hub looks every two seconds


def register(group: typer.Typer) -> None:
    for name, command in (
        ("list", list_),
        ("show", show),
        ("diff", diff),
        ("schema", schema),
        ("history", history),
        ("rollback", rollback),
    ):
        group.command(name)(command)


# -- what there is ----------------------------------------------------------------------------------------------------


def list_(
    text: Annotated[str, typer.Argument(help="Only rules with this in id, name, quantity or kind.")] = "",
    severity: Annotated[str, typer.Option("--severity", help="Only P1, P2, P3 or P4.")] = "",
    config: ConfigFolder = Path("config"),
) -> None:
    """List the rules of a configuration: severity, condition, how many devices, and where each stands."""
    from rich.text import Text

    from hub.cli.rules_text import SEVERITY_STYLE, condition_text
    from hub.rules.scope import Members, shared_out

    console = _console()
    rules, registry = _read(config, console)
    members = Members(registry)
    shown = []
    for rule in sorted(rules.rules, key=lambda r: (r.spec.severity, r.spec.id)):
        spec = rule.spec
        words = " ".join((spec.id, spec.name.zh, spec.name.en, spec.quantity, spec.kind)).lower()
        if text.lower() in words and severity.upper() in ("", spec.severity):
            shown.append(rule)
    width = max((len(rule.spec.id) for rule in shown), default=0)
    for rule in shown:
        spec = rule.spec
        count = sum(len(slots) for _, slots in shared_out(rule, members))
        marks = [] if spec.enabled else ["off"]
        marks += ["tells nobody"] if not spec.alert else []
        marks += [f"{len(rule.overrides)} override{'s' if len(rule.overrides) > 1 else ''}"] if rule.overrides else []
        line = Text(spec.severity, style=SEVERITY_STYLE[spec.severity])
        line.append(f" {spec.id:<{width}}", style="bold")
        line.append(f" {count:>6}  {spec.name.zh} / {spec.name.en}", style="default")
        line.append(f"  {spec.kind}: {condition_text(rule)}  {spec.file}:{spec.line}", style="dim")
        line.append(f"  {', '.join(marks)}" if marks else "", style="yellow")
        console.print(line)
    console.print(f"{len(shown)} of {len(rules.rules)} rules; the number is that of the devices that each watches")


def show(
    device: Annotated[str, typer.Argument(help="Id of a device, or one of its addresses.", metavar="DEVICE")],
    config: ConfigFolder = Path("config"),
) -> None:
    """Show the rules that hold for one device: the limits in force, and which scope or override decided them."""
    from hub.rules.scope import effective

    console = _console()
    rules, registry = _read(config, console)
    slot = registry.slot_of.get(device, registry.slot_of_address.get(device, -1))
    if slot < 0:
        near = difflib.get_close_matches(device, registry.slot_of, n=3, cutoff=0.7)
        complain(f"no device '{device}'" + (f"; did you mean {', '.join(near)}?" if near else ""))
    found = sorted(effective(rules, registry, slot), key=lambda e: (e.rule.spec.severity, e.rule.spec.id))
    _print_effective(console, registry.device(slot), registry, found)


def _print_effective(console: Console, device: Device, registry: Registry, found: list[Effective]) -> None:
    from rich.text import Text

    from hub.cli.rules_text import SEVERITY_STYLE

    place = " ".join(p.name.zh for p in registry.path(device.place))
    more = [f"model {device.model}" if device.model else "", f"tags {', '.join(device.tags)}" if device.tags else ""]
    about = ", ".join(filter(None, (device.kind, *more)))
    console.print(
        Text(device.id, style="bold").append(
            f"  {about}; {place} ({device.place}), grid {device.grid}", style="default"
        )
    )
    for one in found:
        spec = one.rule.spec
        line = Text(spec.severity, style=SEVERITY_STYLE[spec.severity])
        line.append(f" {spec.id}", style="bold").append(f"  {spec.name.zh} / {spec.name.en}", style="default")
        if not spec.enabled:
            line.append("  off here", style="bold red")
        console.print(line)
        rows = [
            ("when", _condition(one.rule, device, registry) + (", latched" if spec.latch else "")),
            ("decided by", one.origin or f"the rule itself ({_scope_text(one)})"),
            *(("beaten", other) for other in one.beaten),
            *(("quiet while", f"{other.rule} ({other.where})") for other in one.rule.inhibitors),
            *([("tells", "nobody: a condition for other rules")] if not spec.alert else []),
            ("answer", f"within {spec.respond_within_s} s, by {spec.responder}"),
            ("stands in", f"{spec.file}:{spec.line}"),
        ]
        for what, said in rows:
            console.print(Text(f"     {what:<11} ", style="dim").append(said, style="not dim"))
    console.print(f"{len(found)} rules hold for {device.id}" if found else f"no rule watches {device.id}")


def _condition(rule: Rule, device: Device, registry: Registry) -> str:
    """The condition with what the device itself brings to it: how long it may be silent."""
    from hub.cli.rules_text import condition_text

    if rule.run.driven_by != "silence":
        return f"{rule.spec.kind}: {condition_text(rule)}"
    limit_ms = rule.run.silent_ms or int(registry.silence_limit_ms[device.slot])
    why = "" if rule.run.silent_ms else f" (its supervision: {device.supervision})"
    return f"{rule.spec.kind}: " + (f"silent for {limit_ms / 1_000:g} s{why}" if limit_ms else f"never{why}")


def _scope_text(one: Effective) -> str:
    return str(one.rule.scope) or "every device"


def diff(
    folder: Annotated[
        Path, typer.Argument(help="Rules: a folder of rule files, or a configuration folder.", metavar="DIR")
    ],
    other: Annotated[
        Path | None,
        typer.Argument(help="The rules to compare with; without it, those of --config come first.", metavar="DIR2"),
    ] = None,
    config: ConfigFolder = Path("config"),
    exit_code: Annotated[bool, typer.Option("--exit-code", help="End with 1 when something is different.")] = False,
) -> None:
    """Say what is different between two sets of rules, key by key, and for how many devices."""
    from hub.cli.rules_text import difference_lines
    from hub.registry.loader import load
    from hub.rules.difference import difference

    before, after = (config, folder) if other is None else (folder, other)
    registry = load(config / "registry")
    found = difference(_rules_in(before, config), _rules_in(after, config), registry)
    console = _console()
    for line in difference_lines(found):
        console.print(line)
    if found and exit_code:
        raise typer.Exit(1)


def schema(
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the schemas of all configuration files into this folder.")
    ] = None,
) -> None:
    """Print the JSON Schema of rule files, for editors; or write those of all YAML files with --out."""
    from hub.cli import schemas
    from hub.json_schema import written
    from hub.rules.schema import rules_schema

    if out is None:
        print(written(rules_schema()), end="")
        return
    for file in schemas.write(out):
        print(file)


# -- what changed -----------------------------------------------------------------------------------------------------


def history(
    number: Annotated[int | None, typer.Argument(help="Show what this entry changed.", min=1, metavar="NUMBER")] = None,
    count: Annotated[int, typer.Option("-n", help="So many entries, the newest first.", min=1, max=1000)] = 20,
    config: ConfigFolder = Path("config"),
    url: LedgerUrl = "",
) -> None:
    """Show who changed the rules, when and why; with a number, what that change was."""
    from rich.text import Text

    from hub.cli.rules_text import difference_lines
    from hub.rulebook import unlike
    from hub.rules.difference import difference

    console = _console()
    with _book(config, url) as (book, settings):
        if number is None:
            entries = book.versions.list(limit=count)
            for entry in entries:
                console.print(_entry_line(entry, settings), markup=False)
            if not entries:
                console.print("The history is empty: it begins when the hub first runs.")
            return
        entry_or_none = book.versions.one(number)
        if entry_or_none is None:
            complain(f"the history has no entry {number}: see `gridhub rules history`")
        console.print(_entry_line(entry_or_none, settings), markup=False)
        after = book.versions.files(number) or {}
        before = book.versions.files(entry_or_none.parent) or {} if entry_or_none.parent is not None else {}
        try:
            found = difference(book.rules_in(before), book.rules_in(after), book.registry())
            for line in difference_lines(found):
                console.print(line)
        except ConfigError as wrong:
            console.print(
                Text(f"This hub does not understand these rules any more: {wrong.complaints[0]}", style="yellow")
            )
        for text in unlike(before, after).values():
            for row in text.splitlines():
                style = {"+": "green", "-": "red", "@": "cyan"}.get(row[:1], "dim")
                console.print(Text(row, style=style))


def rollback(
    to: Annotated[
        int | None,
        typer.Argument(help="Number of the entry to go back to; without it one step.", min=1, metavar="NUMBER"),
    ] = None,
    why: Annotated[str, typer.Option("--why", help="Why; it stays in the history.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    config: ConfigFolder = Path("config"),
    url: LedgerUrl = "",
) -> None:
    """Bring back the rules as they were before the last change, or as they were at an entry of the history."""
    from hub.cli.rules_text import difference_lines
    from hub.rulebook import NoSuchVersion
    from hub.stores.rule_files import RulesConflict, RulesUnwritable

    if not why.strip() and not dry_run:
        complain("say why: --why 'too many false alarms since Friday'")
    console = _console()
    with _book(config, url) as (book, _settings):
        try:
            proposal, target = book.way_back(to)
            for line in difference_lines(proposal.difference):
                console.print(line)
            if dry_run:
                return
            if not proposal.changes:
                console.print("The files are like that already: nothing to do.")
                return
            who = f"cli:{getpass.getuser()}"
            made = book.change(proposal, who=who, why=why.strip(), rolled_back_to=target.id, wait_s=_WAIT_S)
        except NoSuchVersion as nowhere:
            complain(f"{nowhere}: see `gridhub rules history`")
        except (RulesConflict, RulesUnwritable) as refused:
            complain(f"{refused}; nothing was changed")
        runs = "they run now" if made.entry.applied_at_ms is not None else "no running hub has taken them over yet"
        console.print(f"[bold green]Back[/] to the rules of entry {target.id}, recorded as {made.entry.id}; {runs}.")


def _entry_line(entry: RuleVersion, settings: Settings) -> str:
    at = datetime.fromtimestamp(entry.at_ms / 1_000, ZoneInfo(settings.timezone)).strftime("%Y-%m-%d %H:%M:%S")
    if entry.failed is not None:
        state = f"failed: {entry.failed}"
    else:
        state = "has not run" if entry.applied_at_ms is None else "ran"
    back = f", back to {entry.rolled_back_to}" if entry.rolled_back_to is not None else ""
    changed = entry.summary.get("changed", {})
    touched = [
        *entry.summary.get("added", []),
        *entry.summary.get("removed", []),
        *changed,
        *entry.summary.get("texts", []),
    ]
    what = f"  [{', '.join(touched[:6])}{', …' if len(touched) > 6 else ''}]" if touched else ""
    return f"{entry.id:>4}  {at}  {entry.who}{back}: {entry.why}  ({state}){what}"


# -- within -----------------------------------------------------------------------------------------------------------


def _console() -> Console:
    from rich.console import Console

    return Console(soft_wrap=True, highlight=False)


def _read(config: Path, console: Console) -> tuple[RuleSet, Registry]:
    from hub.cli.rules_in_force import rules_to_show
    from hub.registry.loader import load

    return rules_to_show(config, console), load(config / "registry")


def _rules_in(folder: Path, config: Path) -> RuleSet:
    """The rules of a folder of rule files, or of a whole configuration."""
    from hub.rules.calendar_file import load_context
    from hub.rules.ruleset import load_rules
    from hub.settings import load_settings

    inner = folder / "rules"
    zone = load_settings(config).timezone if (config / "hub.yaml").exists() else "UTC"
    return load_rules(inner if inner.is_dir() else folder, context=load_context(config, zone=zone))


@contextmanager
def _book(config: Path, url: str) -> Iterator[tuple[RuleBook, Settings]]:
    from hub.clock import now_ms
    from hub.registry.loader import load
    from hub.rulebook import RuleBook
    from hub.rules.calendar_file import load_context
    from hub.settings import load_settings
    from hub.stores.ledger import Ledger
    from hub.stores.rule_files import RuleFiles
    from hub.stores.rule_versions import RuleVersions

    settings, registry = load_settings(config), load(config / "registry")
    url = ledger_url(config, url)
    if missing := no_ledger_yet(url):
        complain(missing)
    try:
        ledger = Ledger.open(url, migrate=False)
        try:
            book = RuleBook(
                RuleFiles(config / "rules"),
                RuleVersions(ledger),
                now_ms,
                lambda: registry,
                context=lambda: load_context(config, zone=settings.timezone),
            )
            yield book, settings
        finally:
            ledger.close()
    except Unavailable as away:
        complain(str(away))
