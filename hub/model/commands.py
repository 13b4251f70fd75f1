"""A command to a device: what it asks for, why it may go, and how far it has come. A ban keeps commands from going."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal, get_args

CommandState = Literal["planned", "sent", "confirmed", "unconfirmed", "refused", "expired", "rehearsed"]
STATES: tuple[CommandState, ...] = get_args(CommandState)
Mode = Literal["live", "dry", "test"]
Ground = Literal["confirmed", "suspected", "person", "test"]
Value = bool | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One device is to set one quantity. `grid` and `station` are the device's, as they were when it was planned.

    `ground`: `confirmed` = two independent triggers; `suspected` = one, so a person has to approve; `person` = somebody asked
    for it while one trigger held; `test` = nothing holds, nothing may move. `mode`: `dry` goes all the way but to the broker.
    `answer_by_ms` is when the read-back must be there; None where the device reports nothing to read back.
    """

    id: str
    action_id: str
    device_id: str
    quantity: str
    wanted: Value
    mode: Mode
    ground: Ground
    alert_id: str | None
    rule_id: str
    occurrence: int
    grid: str
    station: str
    state: CommandState = "planned"
    reason: str = ""
    planned_at_ms: int
    expires_at_ms: int
    approved_by: str | None = None
    approved_at_ms: int | None = None
    sent_at_ms: int | None = None
    answer_by_ms: int | None = None
    done_at_ms: int | None = None
    topic: str = ""

    @property
    def needs_a_person(self) -> bool:
        """Whether it waits for somebody's word: one trigger alone moves nothing."""
        return self.ground == "suspected" and self.approved_by is None

    @property
    def is_open(self) -> bool:
        return self.state in ("planned", "sent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ban:
    """No command of an action ("" = of any) goes to a device ("" = to any) until then, because somebody said so."""

    id: int
    action_id: str
    device_id: str
    grid: str
    station: str
    since_ms: int
    until_ms: int
    actor: str
    actor_name: str
    reason: str
    ended_at_ms: int | None = None
    ended_by: str | None = None

    def covers(self, action_id: str, device_id: str, now_ms: int) -> bool:
        holds = self.ended_at_ms is None and now_ms < self.until_ms
        return holds and self.action_id in ("", action_id) and self.device_id in ("", device_id)


def command_id(action_id: str, device_id: str, cause: str) -> str:
    """Deterministic identity: the same cause (an alert's occurrence, a person's request) gives one command, whoever plans it."""
    return blake2b(f"command:{action_id}:{device_id}:{cause}".encode(), digest_size=10).hexdigest()
