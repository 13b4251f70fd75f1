"""Sentences as message ids with what fills them, and rules, values and times in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.clock import wall_clock
from hub.i18n import _
from hub.rules.ruleset import Rule

Say = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Instant:
    """A time that is shown as the clock at the site shows it."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Sentence:
    """A message id and what fills its placeholders. `code` is stable, for machines."""

    code: str
    text: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def said(self, say: Say, zone: str) -> str:
        """In the language that `say` translates to."""
        return say(self.text).format(**{name: _shown(value, say, zone) for name, value in self.values.items()})


def _shown(value: Any, say: Say, zone: str) -> str:
    if isinstance(value, Instant):
        return wall_clock(value.at_ms, zone, "%Y-%m-%d %H:%M:%S")
    if isinstance(value, Sentence):
        return value.said(say, zone)
    if value is None:
        return say(_("unknown"))
    if isinstance(value, bool):
        return say(_("yes")) if value else say(_("no"))
    return f"{value:g}" if isinstance(value, float) else str(value)


def condition(rule: Rule) -> str:
    """What is written under `when`, e.g. above 55, clear_below 50, hold_s 60. The keys are those of the file in any language."""
    given = rule.spec.when.model_dump(exclude_unset=True)
    words = f"{rule.spec.quantity}: " if rule.spec.quantity else f"{rule.spec.kind}: "
    return words + ", ".join(f"{key} {_plain(value)}" for key, value in given.items())


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {_plain(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_plain, value)) + "]"
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def in_words(value: float | bool | str | None) -> str:
    """A value as it is written in files; "?" for one that is unknown."""
    if isinstance(value, bool):
        return str(value).lower()
    return "?" if value is None else value if isinstance(value, str) else f"{value:g}"
