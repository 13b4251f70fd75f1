"""What every channel promises."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Protocol

from pydantic import AfterValidator, Field

from hub.clock import Clock, now_ms
from hub.dispatch.exchange import wrong_address
from hub.dispatch.pace import Limit
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


def _address(value: str) -> str:
    if wrong := wrong_address(value):
        raise ValueError(wrong)
    return value.rstrip("/")


BaseUrl = Annotated[str, AfterValidator(_address)]
"""Where a service is: its public address, or that of a private cloud or a relay."""

Patience = Annotated[float, Field(gt=0, le=30)]
"""Seconds for a whole exchange, connecting and slow answers included."""


class ChannelConfig(Strict):
    """Base of every channel's part of hub.yaml."""

    def missing(self, environ: Mapping[str, str]) -> list[Missing]:
        """Secrets and files that are named and not there."""
        return []

    def targets(self) -> frozenset[str] | None:
        """The targets that can be told, where they have names; None when any target may be right."""
        return None

    def wrong_target(self, target: str) -> str:
        """Why `target` cannot be an address within this channel, "" when it can. Does not repeat it: it may be a number."""
        return ""


def secret_of(entry: Strict, key: str, environ: Mapping[str, str]) -> str:
    """The secret that `<key>_env` or `<key>_file` of `entry` names; "" when neither is given, or it is not there."""
    variable, file = getattr(entry, f"{key}_env"), getattr(entry, f"{key}_file")
    if variable:
        return environ.get(variable, "").strip()
    return Path(file).read_text("utf-8").strip() if file else ""


def unreadable(file: str) -> str:
    """Why `file` cannot be read, "" when it can."""
    try:
        Path(file).read_text("utf-8")
    except UnicodeDecodeError:
        return "not text in UTF-8"
    except OSError as bad:
        return bad.strerror or type(bad).__name__
    return ""


def missing_secret(entry: Strict, key: str, environ: Mapping[str, str], at: tuple[str, ...] = ()) -> list[Missing]:
    """What is wrong with the secret that `<key>_env` or `<key>_file` of `entry` names."""
    variable, file = getattr(entry, f"{key}_env"), getattr(entry, f"{key}_file")
    if variable and not environ.get(variable, "").strip():
        return [((*at, f"{key}_env"), f"the variable {variable} is not set", "set it, or use a file")]
    if file and (wrong := unreadable(file)):
        return [((*at, f"{key}_file"), f"{file} cannot be read: {wrong}", "mount it or fix the path")]
    if file and not secret_of(entry, key, environ):
        return [((*at, f"{key}_file"), f"{file} is empty", "write the secret into it")]
    return []


def missing_authorities(file: str, at: tuple[str, ...]) -> list[Missing]:
    """What is wrong with `file` as the authorities of a private PKI; "" = the system's authorities."""
    if not file:
        return []
    try:
        ssl.create_default_context(cafile=file)
    except ssl.SSLError:
        return [(at, f"{file} holds no certificate", "name a PEM file with the authority's certificate")]
    except OSError as bad:
        return [(at, f"{file} cannot be read: {bad.strerror or type(bad).__name__}", "mount it or fix the path")]
    return []


def one_source(entry: Strict, key: str, *, needed: bool = True) -> None:
    """For validators: `<key>_env` or `<key>_file` is given, not both."""
    given = sum(map(bool, (getattr(entry, f"{key}_env"), getattr(entry, f"{key}_file"))))
    if given > 1 or (needed and not given):
        raise ValueError(f"give {'exactly one' if needed else 'at most one'} of {key}_env and {key}_file")


class Channel(Protocol):
    """One way to tell somebody.

    `send` gives a value for whatever the other side does: it never raises for that, never takes longer than `timeout_s` by
    more than a moment, says Sent only for what is known, and tells no secret in a reason. It may be called from several
    threads at once, for different targets. `close` ends sends in flight (they give Retry) and returns at once.
    `idempotent`: a repetition after a crash does no harm, so sends need not take turns. `limits`: what the service takes for
    each target; the courier keeps to them, with a share for P1.
    """

    name: str
    idempotent: bool
    limits: tuple[Limit, ...]

    def send(self, target: str, message: Message, *, timeout_s: float) -> Outcome:
        """Tells `target`. Sent, Retry (with the seconds that the receiver asked for, 0 when it did not) or Refused."""

    def close(self) -> None:
        """Gives back what the channel holds. Idempotent."""
