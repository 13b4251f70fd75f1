"""A rule as loaded, and what the rules find in a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hub.model.places import Name

Severity = Literal["P1", "P2", "P3", "P4"]
SEVERITIES: tuple[Severity, ...] = ("P1", "P2", "P3", "P4")
EventKind = Literal["raised", "cleared", "test", "chatter", "withdrawn"]
"""`chatter`: the condition flaps, the source wants maintenance. `withdrawn`: the rule that watched it was removed or changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSpec:
    """One loaded rule with its rationalisation. `when` holds the kind's own parameters, already checked by the kind."""

    id: str
    kind: str
    name: Name
    severity: Severity
    device_kinds: tuple[str, ...]
    quantity: str  # "" for kinds that need none (offline)
    when: Any
    cause: Name
    consequence: Name
    action: Name
    respond_within_s: int
    responder: str
    source: str
    certainty: str = ""
    latch: bool = False
    enabled: bool = True
    file: str = ""
    line: int = 0
    version: str = ""
    origin: str = ""  # why these numbers: "" = the rule itself, else the override that applies
    alert: bool = True  # False: a condition for other rules to refer to; nobody is told of it


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionEvent:
    """One transition that a rule found. `episode_start_ms` + rule + device identify the episode (`alert_id`).

    `at_ms` is the journal's time. `position` is the record that caused it (ticks included). `canary` marks the hub's own test fire.
    """

    kind: EventKind
    rule: RuleSpec
    slot: int
    device: str
    at_ms: int
    observed_at_ms: int
    episode_start_ms: int
    position: int
    value: float | bool | str | None
    quantity: str
    threshold: float | None = None
    received_at_ms: int = 0
    canary: bool = False
    reason: str = ""
    evidence: Mapping[str, Any] = field(
        default_factory=dict
    )  # what made it fire, as JSON: figures, thresholds, delays, members

    @property
    def alert_id(self) -> str:
        return alert_id(self.rule.id, self.device, self.episode_start_ms)


def alert_id(rule_id: str, key: str, episode_start_ms: int) -> str:
    """Deterministic identity of an alert: rule : key : start of the episode. A replay gives the same one."""
    from hashlib import blake2b

    return blake2b(f"{rule_id}:{key}:{episode_start_ms}".encode(), digest_size=10).hexdigest()
