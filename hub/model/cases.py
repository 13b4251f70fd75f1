"""A case: what people do about an alarm, a report or a work order, from report to close. With comments and photos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal, get_args

from hub.model.rules import Severity

Step = Literal[
    "reported", "accepted", "dispatched", "on_scene", "handled", "feedback", "verified", "closed", "false_alarm"
]
Move = Literal[
    "raised", "accept", "dispatch", "arrive", "handle", "feed_back", "verify", "close", "send_back", "false_alarm",
    "reopen", "settled",
]  # fmt: skip
Source = Literal["alert", "report", "hotline"]
Handling = Literal["", "self", "transferred"]
Stage = Literal["before", "after"]
STEPS: tuple[Step, ...] = get_args(Step)
SOURCES: tuple[Source, ...] = get_args(Source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case. The moments are of the last time that its step was reached; a step that is before again has none.

    A case of an alert has the alert's id. `number` is what others know it by: the number of a 12345 work order, or what
    a client gave so that the same report is taken once.
    """

    id: str
    source: Source
    number: str | None = None
    alert_id: str | None = None
    category: str = ""
    severity: Severity
    title_zh: str
    title_en: str
    text: str = ""
    place: str = ""
    place_text: str = ""
    grid: str = ""
    station: str = ""
    lat: float | None = None
    lon: float | None = None
    reporter: str = ""
    step: Step = "reported"
    handling: Handling = ""
    assignee: str = ""
    opened_at_ms: int
    due_at_ms: int | None = None
    accepted_at_ms: int | None = None
    dispatched_at_ms: int | None = None
    on_scene_at_ms: int | None = None
    handled_at_ms: int | None = None
    feedback_at_ms: int | None = None
    verified_at_ms: int | None = None
    closed_at_ms: int | None = None
    closed_by: str | None = None
    close_reason: str | None = None
    sent_back: int = 0
    reopened: int = 0
    changed_at_ms: int = 0
    revision: int = 0  # grows with every change of this case

    @property
    def is_open(self) -> bool:
        return self.step not in ("closed", "false_alarm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """What somebody wrote about a case."""

    id: int
    case_id: str
    at_ms: int
    author: str
    author_name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """A photo of a case; its bytes lie outside the ledger, named by their digest."""

    id: str
    case_id: str
    stage: Stage
    media_type: str
    bytes: int
    width: int
    height: int
    at_ms: int
    author: str
    author_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseEntry:
    """One line of the audit about a case."""

    id: int
    at_ms: int
    actor: str
    action: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CasePage:
    """One page of a list. `next` is handed back as `before` to get the following page; None on the last one."""

    rows: list[Case]
    next: str | None = None


def numbered_id(source: Source, number: str) -> str:
    """The identity of what others know as `number`: the same number is the same case, however often it comes."""
    return blake2b(f"{source}:{number}".encode(), digest_size=10).hexdigest()
