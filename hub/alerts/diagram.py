"""Draws the lifecycle tables as Mermaid state diagrams: `python -m hub.alerts.diagram docs/alerts.md`, and docs/cases.md."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from hub.alerts.casework import CASEWORK
from hub.alerts.lifecycle import ALARM, CASE
from hub.drawings import redraw

Rows = Mapping[Any, Mapping[Any, str | None]]


def mermaid(rows: Rows, first: str, last: tuple[str, ...]) -> str:
    """The table as a state diagram: one arrow per pair of states, with its events; refused ones are left out."""
    lines = ["stateDiagram-v2", f"    [*] --> {first}"]
    for state, answers in rows.items():
        arrows: dict[str, list[str]] = {}
        for event, to in answers.items():
            if to is not None:
                arrows.setdefault(to, []).append(event)
        lines += [f"    {state} --> {to}: {', '.join(events)}" for to, events in arrows.items()]
    lines += [f"    {state} --> [*]" for state in last]
    return "\n".join(lines)


def table(rows: Rows) -> str:
    """The table as Markdown: states down, events across; a dash is a refusal."""
    events = list(next(iter(rows.values())))
    lines = ["| state | " + " | ".join(events) + " |", "|---" * (len(events) + 1) + "|"]
    lines += [
        f"| **{state}** | " + " | ".join(answers[e] or "–" for e in events) + " |" for state, answers in rows.items()
    ]
    return "\n".join(lines)


def drawings() -> dict[str, str]:
    """Every generated block of docs/alerts.md by its name."""
    return {
        "alarm": f"```mermaid\n{mermaid(ALARM, 'active_unacked', ('normal',))}\n```\n\n{table(ALARM)}",
        "case": f"```mermaid\n{mermaid(CASE, 'reported', ('closed', 'false_alarm'))}\n```\n\n{table(CASE)}",
    }


def case_drawings() -> dict[str, str]:
    """Every generated block of docs/cases.md by its name."""
    steps = mermaid(CASEWORK, "reported", ("closed", "false_alarm"))
    return {"casework": f"```mermaid\n{steps}\n```\n\n{table(CASEWORK)}"}


if __name__ == "__main__":
    redraw(case_drawings() if sys.argv[1].endswith("cases.md") else drawings())
