"""How the command line shows rules: a difference key by key, a rule in one line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.text import Text

if TYPE_CHECKING:
    from hub.errors import Complaint
    from hub.rules.difference import Difference, RuleChange
    from hub.rules.ruleset import Rule

SEVERITY_STYLE = {"P1": "bold white on red", "P2": "bold dark_orange", "P3": "yellow", "P4": "blue"}
_SIGN = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "cyan"), "texts": ("~", "dim")}
_LOSES = {
    "removed": "is removed",
    "disabled": "is switched off",
    "silenced": "tells nobody any more",
    "severity": "becomes less urgent",
    "devices": "leaves devices that it watched",
    "limits": "may speak later or less often",
}


def difference_lines(found: Difference) -> Iterator[Text]:
    """One line for each rule that differs, one below it for each key; at the end the sum, and what is protected less."""
    for change in found.changes:
        sign, style = _SIGN[change.what]
        line = Text(f"{sign} ", style=f"bold {style}")
        line.append(change.rule.severity, style=SEVERITY_STYLE[change.rule.severity])
        line.append(f" {change.id}", style="bold")
        line.append(f"  {change.rule.name.zh} / {change.rule.name.en}{_devices(change)}", style="default")
        yield line
        width = max((len(field.key) for field in change.fields), default=0)
        for field in change.fields:
            row = Text(f"    {field.key:<{width}}  ", style="dim" if field.is_text else "default")
            row.append(value_text(field.old), style="red").append(" → ").append(value_text(field.new), style="green")
            yield row
    if not found:
        yield Text("No rule is different.")
        return
    counted = {"added": "added", "removed": "removed", "changed": "changed", "texts": "with other words only"}
    parts = [f"{n} {word}" for what, word in counted.items() if (n := len(found.of(what)))]  # type: ignore[arg-type]
    touched = "" if found.devices is None else f"; {found.devices} devices touched"
    yield Text(f"{', '.join(parts)}{touched}.", style="bold")
    for change in found.losses:
        ways = " and ".join(_LOSES[way] for way in change.loses)
        severity = change.before.spec.severity if change.before else change.rule.severity
        yield Text(f"Less protection: {severity} {change.id} {ways}.", style="bold red")


def _devices(change: RuleChange) -> str:
    reach = change.reach
    if reach is None:
        return ""
    said = [f"{reach.devices} devices"]
    if reach.restarted:
        said.append(f"delays start afresh on {reach.restarted}")
    if change.what == "changed":
        said += [f"{n} {word}" for n, word in ((reach.gained, "more watched"), (reach.lost, "no longer watched")) if n]
    return f"  ({', '.join(said)})"


def value_text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list):
        return f"[{', '.join(value_text(one) for one in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {value_text(one)}' for key, one in value.items())}}}"
    return str(value)


def condition_text(rule: Rule) -> str:
    """What makes the rule fire, as it stands in the file, defaults left out."""
    given = rule.spec.when.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    said = ", ".join(f"{key} {value_text(value)}" for key, value in given.items())
    return " ".join(filter(None, (rule.spec.quantity, said))) or rule.spec.kind


def complaint_line(complaint: Complaint, what: str, style: str) -> Text:
    return Text(f"{what}  ", style=style).append(str(complaint), style="default")
