"""Who is told what through which channel, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from hub.model.alerts import Alert, Subject
from hub.model.rules import ConditionEvent

DeliveryState = Literal["queued", "sending", "sent", "accepted", "delivered", "read", "failed", "cancelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    """A delivery to be written with the alert change that causes it; unique by (alert, transition, recipient, channel)."""

    alert_id: str
    transition: str  # raised | step:<n> | reinforce:<n> | cleared | closed | digest:<n>; see Planner for repeats
    recipient: str  # person id or station id
    channel: str
    target: str = field(repr=False)  # address within the channel: may be a telephone number
    locale: str
    due_at_ms: int
    needed_while: Literal["always", "unacknowledged", "not_on_scene", "live"] = "live"
    about: str = ""  # of a digest: the alerts that it tells of, as JSON (see alerts/incidents.py)


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


class Planner(Protocol):
    """Decides who is told and what escalates next. Pure apart from reading the registry; called inside a transaction.

    The transition names need not tell occurrences apart: when an alert fires again the desk adds ":<occurrence>" itself
    (`raised`, then `raised:2`; `step:1`, then `step:1:2`), so that the second fire notifies again.
    """

    def subject(self, event: ConditionEvent) -> Subject:
        """Where the condition is: copied into the alert."""

    def window_ms(self, alert: Alert) -> int:
        """For how long after `alert` others of its cause and place are told together; 0 = each by itself. Asked for P3 and P4."""

    def raised(self, alert: Alert, now_ms: int) -> Plan:
        """First notifications and escalation timers of an alert that is raised, or raised again."""

    def step(self, alert: Alert, step: int, now_ms: int) -> Plan:
        """What escalation step `step` asks for now; an empty plan when it is no longer needed."""

    def reinforced(self, alert: Alert, nth: int, now_ms: int) -> Plan:
        """Whom the `nth` (from 1) call for reinforcement goes to."""

    def returned(self, alert: Alert, now_ms: int) -> Plan:
        """Whom to tell that the condition is gone while the alert stays open."""

    def closed(self, alert: Alert, now_ms: int) -> Plan:
        """Whom to tell that the alert is closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRow:
    """One outbox row as shown to people: what became of a notification, and when."""

    id: int
    alert_id: str
    transition: str
    recipient: str
    channel: str
    target: str = field(repr=False)  # may be a telephone number
    locale: str
    severity: str
    needed_while: str
    state: str
    created_at_ms: int
    due_at_ms: int
    attempts: int
    sent_at_ms: int | None = None
    accepted_at_ms: int | None = None
    read_at_ms: int | None = None
    receipt: str | None = None
    reason: str | None = None
    about: str | None = None
    delivered_at_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One outbox row as claimed by the courier."""

    id: int
    alert_id: str
    transition: str
    recipient: str
    channel: str
    target: str = field(repr=False)  # may be a telephone number
    locale: str
    severity: str
    due_at_ms: int
    attempts: int
    needed_while: str
    created_at_ms: int
    about: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a notification's text. `kind` says what it tells; the lightest lines go first where there is little room."""

    kind: Literal["title", "when", "measured", "do_now", "responsible", "time_left", "link"]
    text: str
    weight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A notification ready for a channel: plain text, plus structured fields for machines.

    What it says is not shown by `repr`: it has no place in a log. `text` is `lines` in one; channels with less room, or with
    a place for a title or a link, make their own of them.
    """

    id: str  # stable per delivery: the idempotency key for the receiver
    title: str = field(repr=False)
    text: str = field(repr=False)
    locale: str
    severity: str
    test: bool
    fields: Mapping[str, Any] = field(repr=False)
    links: Mapping[str, str] = field(repr=False)
    lines: tuple[Line, ...] = field(default=(), repr=False)


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
