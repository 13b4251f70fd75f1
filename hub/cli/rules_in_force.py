"""The rules to show: those of the files, or, where a file is broken, those that the ledger says are in force."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hub.cli.instants import local
from hub.cli.migrate import ledger_url, no_ledger_yet
from hub.errors import ConfigError, Unavailable

if TYPE_CHECKING:
    from rich.console import Console

    from hub.rules.ruleset import RuleSet

_MOST_COMPLAINTS = 10


def rules_to_show(config: Path, console: Console) -> RuleSet:
    """The rules of `config`. Where they cannot be read, what is wrong is printed, and the recorded rules in force come instead;
    raises ConfigError when none are recorded."""
    from rich.text import Text

    from hub.cli.rules_text import complaint_line
    from hub.rules.calendar_file import load_context
    from hub.rules.ruleset import load_rules
    from hub.settings import load_settings

    zone = load_settings(config).timezone if (config / "hub.yaml").exists() else "UTC"
    context = load_context(config, zone=zone)
    try:
        return load_rules(config / "rules", context=context)
    except ConfigError as wrong:
        found = _recorded(config)
        if found is None:
            raise
        texts, number, since_ms = found
        rules = _parsed(texts, config, zone)
        for complaint in wrong.complaints[:_MOST_COMPLAINTS]:
            console.print(complaint_line(complaint, "complaint", "bold red"))
        more = len(wrong.complaints) - _MOST_COMPLAINTS
        if more > 0:
            console.print(Text(f"… and {more} more: gridhub check {config}", style="bold red"))
        said = f"The files change nothing until that is mended. In force since {local(since_ms, zone)}, entry {number} of the history:"
        console.print(Text(said, style="yellow"))
        return rules


def _recorded(config: Path) -> tuple[dict[str, str], int, int] | None:
    """Files, number and time of the entry that came into force last."""
    from hub.stores.ledger import Ledger
    from hub.stores.rule_versions import RuleVersions

    url = ledger_url(config, "")
    if no_ledger_yet(url):
        return None
    try:
        ledger = Ledger.open(url, migrate=False)
        try:
            versions = RuleVersions(ledger)
            applied = versions.applied_between(-1, 1 << 62)
            texts = versions.files(applied[-1].id) if applied else None
            return None if texts is None else (texts, applied[-1].id, applied[-1].applied_at_ms or 0)
        finally:
            ledger.close()
    except Unavailable:
        return None


def _parsed(texts: dict[str, str], config: Path, zone: str) -> RuleSet:
    from hub import documents
    from hub.rules.calendar_file import load_context
    from hub.rules.ruleset import rules_of

    read = [documents.parse(text, name) for name, text in sorted(texts.items())]
    known = [document for document, _ in read if document is not None]
    wrong = [one for _, several in read for one in several]
    return rules_of(known, wrong, context=load_context(config, zone=zone))
