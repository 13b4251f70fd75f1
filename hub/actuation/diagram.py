"""Draws the states of a command as a Mermaid diagram. `python -m hub.actuation.diagram docs/actuation.md` redraws a file's."""

from __future__ import annotations

from hub.actuation.machine import COMMAND, EVENTS
from hub.drawings import redraw


def drawings() -> dict[str, str]:
    """Every generated block of docs/actuation.md by its name."""
    lines = ["stateDiagram-v2", "    [*] --> planned"]
    for state, answers in COMMAND.items():
        arrows: dict[str, list[str]] = {}
        for event, to in answers.items():
            if to not in (None, state):
                arrows.setdefault(str(to), []).append(event)
        lines += [f"    {state} --> {to}: {', '.join(events)}" for to, events in arrows.items()]
        lines += [] if arrows else [f"    {state} --> [*]"]
    rows = ["| state | " + " | ".join(EVENTS) + " |", "|---" * (len(EVENTS) + 1) + "|"]
    rows += [f"| **{state}** | " + " | ".join(to[e] or "–" for e in EVENTS) + " |" for state, to in COMMAND.items()]
    drawing = "\n".join(lines)
    return {"command": f"```mermaid\n{drawing}\n```\n\n" + "\n".join(rows)}


if __name__ == "__main__":
    redraw(drawings())
