"""What every channel promises."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from hub.clock import Clock, now_ms
from hub.documents import Strict
from hub.model.deliveries import Message, Outcome


def _no_broker(topic: str, payload: bytes) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What the application hands to the channels: publish over MQTT (True = the broker has it), the clock, the environment."""

    publish: Callable[[str, bytes], bool] = _no_broker
    clock: Clock = now_ms
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)


Missing = tuple[tuple[str, ...], str, str]
"""A thing that the configuration names and the machine does not have: key path within the channel, complaint, remedy."""


class ChannelConfig(Strict):
    """Base of every channel's part of hub.yaml."""

    def missing(self, environ: Mapping[str, str]) -> list[Missing]:
        """Secrets and files that are named and not there."""
        return []

    def targets(self) -> frozenset[str] | None:
        """The targets that can be told, where they have names; None when any target may be right."""
        return None


class Channel(Protocol):
    """One way to tell somebody.

    `send` gives a value for whatever the other side does: it never raises for that, never takes longer than `timeout_s` by
    more than a moment, says Sent only for what is known, and tells no secret in a reason. It may be called from several
    threads at once, for different targets. `close` ends sends in flight (they give Retry) and returns at once.
    `idempotent`: a repetition after a crash does no harm, so sends need not take turns.
    """

    name: str
    idempotent: bool

    def send(self, target: str, message: Message, *, timeout_s: float) -> Outcome:
        """Tells `target`. Sent, Retry (with the seconds that the receiver asked for, 0 when it did not) or Refused."""

    def close(self) -> None:
        """Gives back what the channel holds. Idempotent."""
