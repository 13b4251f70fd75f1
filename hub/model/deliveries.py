"""Who is told what through which channel, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

DeliveryState = Literal["queued", "sending", "sent", "accepted", "delivered", "read", "failed", "cancelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    """A delivery to be written with the alert change that causes it; unique by (alert, transition, recipient, channel)."""

    alert_id: str
    transition: str  # raised | step:<n> | reinforce:<n> | cleared | closed
    recipient: str  # person id or station id
    channel: str
    target: str  # address within the channel
    locale: str
    due_at_ms: int
    needed_while: Literal["always", "unacknowledged", "not_on_scene", "live"] = "live"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTimer:
    """A durable escalation timer; unique by (alert, step)."""

    alert_id: str
    step: int
    due_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What must follow an alert change: written in the same transaction."""

    deliveries: tuple[NewDelivery, ...] = ()
    timers: tuple[NewTimer, ...] = ()
    gaps: tuple[str, ...] = ()  # why somebody who should be told cannot be (shown, audited)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One outbox row as claimed by the courier."""

    id: int
    alert_id: str
    transition: str
    recipient: str
    channel: str
    target: str
    locale: str
    severity: str
    due_at_ms: int
    attempts: int
    needed_while: str
    created_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A notification ready for a channel: plain text, plus structured fields for machines."""

    id: str  # stable per delivery: the idempotency key for the receiver
    title: str
    text: str
    locale: str
    severity: str
    test: bool
    fields: Mapping[str, Any]
    links: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sent:
    """The receiver said yes. `receipt` is its own id when it gives one; `verified` False = it only did not refuse."""

    receipt: str = ""
    verified: bool = True


@dataclass(frozen=True, slots=True)
class Retry:
    """Not now: try again after `after_s`."""

    after_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Never: the receiver refused this message for good; the next channel is due."""

    reason: str


Outcome = Sent | Retry | Refused
