"""Errors by who has to act. What a device did wrong is a value (`model.readings.Reject`), never raised."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


class GridHubError(Exception):
    """Base of every error that GridHub raises on purpose."""


class Unavailable(GridHubError):
    """A dependency is away; the loop that owns the work tries again after `after_s` seconds."""

    def __init__(self, what: str, *, after_s: float = 1.0) -> None:
        super().__init__(what)
        self.after_s = after_s


class JournalFull(Unavailable):
    """The journal cannot be written (disk full, read-only); the hub goes on from memory and says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """One thing wrong in a configuration file, with the place and the remedy. `rule`: id of the rule, where it is about one."""

    file: str
    line: int | None
    key: str
    message: str
    remedy: str = ""
    rule: str = ""

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        what = " ".join((*([f"rule '{self.rule}'"] if self.rule else ()), *([self.key] if self.key else ())))
        remedy = f" → {self.remedy}" if self.remedy else ""
        return f"{where}:{f' {what}:' if what else ''} {self.message}{remedy}"


class ConfigError(GridHubError):
    """The operator's files are wrong. Carries every complaint at once; nothing was started or swapped."""

    def __init__(self, complaints: Iterable[Complaint]) -> None:
        self.complaints: tuple[Complaint, ...] = tuple(complaints)
        super().__init__("\n".join(str(c) for c in self.complaints))

    @classmethod
    def one(cls, file: str, message: str, *, line: int | None = None, key: str = "", remedy: str = "") -> ConfigError:
        return cls([Complaint(file=file, line=line, key=key, message=message, remedy=remedy)])


class Refusal(GridHubError):
    """Somebody asked for what cannot be done. `remedy` says what to do instead; both are safe to show.

    `code` is stable, for machines and for translations of both texts, whose placeholders `values` fill.
    """

    def __init__(
        self, message: str, *, remedy: str = "", code: str = "", values: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.message, self.remedy, self.code = message, remedy, code
        self.values: dict[str, str] = dict(values or {})


class NotFound(Refusal):
    """There is no such thing."""


class NotAllowed(Refusal):
    """The actor's role or area does not cover it."""


class IllegalAction(Refusal):
    """The state of the alert does not permit it."""
