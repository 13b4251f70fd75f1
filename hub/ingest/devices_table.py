"""Draws the table of supported dialects from CODECS and the profiles. `python -m hub.ingest.devices_table docs/devices.md` redraws a file's."""

from __future__ import annotations

import inspect
import re

from hub.drawings import redraw
from hub.ingest.codecs import CODECS, CodecKind, Profiled
from hub.ingest.codecs.thing_models import DIALECTS

_THING_MODELS = {dialect.name for dialect in DIALECTS}


def drawings() -> dict[str, str]:
    """Name of the block → its table."""
    return {"profiles": profiles(), "codecs": codecs()}


def profiles() -> str:
    """Dialects that a file in devices/profiles describes."""
    lines = ["| codec | what | connects | root | subscribes to |", "|---|---|---|---|---|"]
    for name, kind in sorted(CODECS.items()):
        if isinstance(kind, Profiled):
            profile = kind.profile
            cells = (
                f"[`{name}`](../devices/profiles/{name}.yaml)",
                profile.title,
                ", ".join(profile.kinds),
                _root(kind),
            )
            lines.append(f"| {' | '.join(map(_cell, cells))} | {_filters(kind)} |")
    return "\n".join(lines)


def codecs() -> str:
    """Dialects that are written in Python."""
    lines = ["| codec | what | root | subscribes to |", "|---|---|---|---|"]
    for name, kind in sorted(CODECS.items()):
        if not isinstance(kind, Profiled):
            lines.append(f"| `{name}` | {_cell(_words(name, kind))} | {_cell(_root(kind))} | {_filters(kind)} |")
    return "\n".join(lines)


def _words(name: str, kind: CodecKind) -> str:
    if name in _THING_MODELS:
        return "Thing model of a cloud platform"
    module = inspect.getmodule(kind.make)
    text = inspect.getdoc(module) or ""
    return re.split(r"[.:](?:\s|$)|;", text.split("\n\n")[0].replace("\n", " "))[
        0
    ]  # what it is, without what is special about it


def _root(kind: CodecKind) -> str:
    return f"`{kind.usual_root}`" if kind.usual_root else "own"


def _filters(kind: CodecKind) -> str:
    """Alarms' own connection is marked, as they come before everything else."""
    said = [f"`{f.topic}`{' (alarms)' if f.lane == 'fire' else ''}" for f in kind.filters(kind.usual_root)]
    more = f" and {len(said) - 6} more" if len(said) > 6 else ""
    return _cell(" ".join(said[:6]) + more)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    redraw(drawings())
