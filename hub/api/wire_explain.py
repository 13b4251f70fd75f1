"""The shape of an explanation on the wire."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from hub.api.wire import Text, Wire
from hub.model.rules import Severity


class SentenceOut(Wire):
    """One sentence. `code` is stable, for machines."""

    code: str
    text: Text


class StepOut(Wire):
    """One step of the condition: a reading of the device, the passing of time, or another rule's condition (`rule`, `device`).

    `signal`: what the reading said by itself; `left_out`: why the rule did not look at it; `figure`: what a rule with memory
    measured; `before` and `state`: normal, pending, active, clearing; `event`: what came of it.
    """

    at_ms: int
    what: Literal["reading", "time", "condition"]
    before: str
    state: str
    quantity: str
    value: float | bool | str | None
    observed_ms: int
    left_out: str
    signal: str
    figure: float | None
    rule: str
    device: str
    event: str


class ExplainedRule(Wire):
    """The rule as it was in force for the device then, with the numbers that an override gave it (`origin`)."""

    id: str
    name: Text
    severity: Severity
    kind: str
    version: str
    origin: str
    condition: str
    threshold: float | None
    hold_s: float
    clear_hold_s: float
    samples: int
    text: str = Field(description="As it is written in its file")


class ExplanationOut(Wire):
    """Whether a rule's condition was active for a device at a time, and why, or why not."""

    device: str
    rule: ExplainedRule
    at_ms: int
    watches: bool
    fired: bool
    verdict: SentenceOut
    because: list[SentenceOut]
    kept_quiet: list[SentenceOut] = Field(description="What was not judged, and what says nothing because of this")
    notes: list[SentenceOut] = Field(description="How far the answer can be trusted")
    steps: list[StepOut] = Field(description="Oldest first; the newest 300")
    state: str
    evidence: dict[str, Any] = Field(description="What was kept when it fired")
    played_from_ms: int
    played_messages: int
