"""Draws the condition machine and the table of the default rules. `python -m hub.rules.diagram docs/rules.md` redraws a file's."""

from __future__ import annotations

from pathlib import Path

from hub.drawings import redraw
from hub.rules.condition import NEXT, STATE_NAMES
from hub.rules.ruleset import Rule, load_rules

SIGNAL_NAMES = ("clear", "breach", "between", "unknown")
DEFAULT_RULES = Path("config/rules")


def _answers() -> list[list[tuple[str, str]]]:
    """Of every state, for every signal: the state after it while the delay runs, and when it is over."""
    return [[(STATE_NAMES[running], STATE_NAMES[over]) for running, over in row] for row in NEXT.tolist()]


def mermaid() -> str:
    """The machine as a state diagram; what stays in its state is left out."""
    lines = ["stateDiagram-v2", f"    [*] --> {STATE_NAMES[0]}"]
    for state, row in zip(STATE_NAMES, _answers(), strict=True):
        arrows: dict[str, list[str]] = {}
        for signal, (running, over) in zip(SIGNAL_NAMES, row, strict=True):
            if running == over:
                arrows.setdefault(over, []).append(signal)
            else:
                arrows.setdefault(running, []).append(f"{signal} (delay runs)")
                arrows.setdefault(over, []).append(f"{signal} (delay over)")
        lines += [f"    {state} --> {to}: {', '.join(said)}" for to, said in arrows.items() if to != state]
    return "\n".join(lines)


def table() -> str:
    """The machine as Markdown: states down, signals across."""
    lines = ["| state | " + " | ".join(SIGNAL_NAMES) + " |", "|---" * (len(SIGNAL_NAMES) + 1) + "|"]
    for state, row in zip(STATE_NAMES, _answers(), strict=True):
        cells = [over if running == over else f"{running}, then {over}" for running, over in row]
        lines.append(f"| **{state}** | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def default_rules(folder: Path = DEFAULT_RULES) -> str:
    """The rules of `folder` as Markdown, the most severe first."""
    lines = [
        "| rule | | watches | when | latch | respond | who | source | sure |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    rules = sorted(load_rules(folder).rules, key=lambda rule: (rule.spec.severity, rule.spec.id))
    return "\n".join(lines + [_line(rule) for rule in rules])


def _line(rule: Rule) -> str:
    spec = rule.spec
    kinds = ", ".join(f"`{kind}`" for kind in spec.device_kinds)
    cells = (
        f"**{spec.severity}** `{spec.id}`",
        f"{spec.name.zh} {spec.name.en}",
        f"{kinds}: `{spec.quantity}`" if spec.quantity else kinds,
        _condition(rule),
        "yes" if spec.latch else "",
        _duration(spec.respond_within_s),
        spec.responder,
        spec.source,
        spec.certainty,
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _condition(rule: Rule) -> str:
    """What is written under `when`, e.g. above 55, clear_below 50, hold_s 60."""
    given = rule.spec.when.model_dump(exclude_unset=True, by_alias=True)
    words = [f"{key} {_word(value)}" for key, value in given.items()]
    if rule.run.driven_by == "silence" and not words:
        return "silent longer than its supervision class allows"
    return ", ".join(words)


def _word(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return " or ".join(map(_word, value))
    if isinstance(value, dict):
        return "(" + ", ".join(f"{key} {_word(inner)}" for key, inner in value.items()) + ")"
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _duration(seconds: int) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def drawings() -> dict[str, str]:
    """Every generated block of docs/rules.md by its name."""
    return {"condition": f"```mermaid\n{mermaid()}\n```\n\n{table()}", "default rules": default_rules()}


if __name__ == "__main__":
    redraw(drawings())
