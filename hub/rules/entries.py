"""Rules as written in YAML: the models that check each key, and from which the JSON Schema for editors is drawn."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from hub.documents import Strict, near
from hub.model.rules import Severity
from hub.registry.kinds import DEVICE_KINDS
from hub.rules.kinds import KINDS
from hub.rules.kinds.kind import Area

Several = str | list[str]
Responder = Literal["station", "grid_worker", "property", "electrician", "maintainer", "officer"]
Certainty = Literal["A", "B", "C", "M", "A/B", "A/C", "A/M", "B/C", "B/M", "M/C"]
"""How sure the source is. Two letters: that something is asked, and the number."""


class Words(Strict):
    """A text in both languages."""

    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)


def names_in(value: Several) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


class Where(Strict):
    """Narrows a scope; each key takes one name or a list, a device must fit every key that is given."""

    model: Several = []
    place: Several = []
    device: Several = []
    tag: Several = []


class On(Where):
    """What the rule watches: one or several kinds of device (`"*"`: all), narrowed by model, place (of any level), device or
    tag, and for most kinds of rule one quantity."""

    device_kind: Several
    quantity: str = ""

    @field_validator("device_kind")
    @classmethod
    def _known_kinds(cls, value: Several) -> Several:
        return _known_device_kinds(value)


class Narrower(Where):
    """For which of the rule's devices an override holds."""

    device_kind: Several = []

    @field_validator("device_kind")
    @classmethod
    def _known_kinds(cls, value: Several) -> Several:
        return _known_device_kinds(value)


class OverrideEntry(Strict):
    """Other numbers for some of the rule's devices. `when` needs only the keys that differ; `why` tells people later."""

    scope: Narrower
    when: dict[str, Any] = {}
    severity: Severity | None = None
    respond_within_s: int | None = Field(None, gt=0, le=30 * 86_400)
    enabled: bool | None = None
    why: str = Field(min_length=1)


class InhibitEntry(Strict):
    """While `rule` is active for the device's parent (or in its room, unit …), this one keeps quiet: same cause."""

    rule: str
    where: Literal["parent"] | Area = "parent"


def _known_device_kinds(value: Several) -> Several:
    for kind in names_in(value):
        if kind not in DEVICE_KINDS and kind != "*":
            remedy = near(kind, DEVICE_KINDS, "see docs/glossary.md for the kinds of device")
            raise ValueError(f"unknown device kind {kind!r} → {remedy}")
    return value


class RuleEntry(Strict):
    """One rule as written. All of the rationalisation (ISA-18.2) is required."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{1,63}$")
    kind: str
    name: Words
    on: On
    when: dict[str, Any] = {}
    severity: Severity
    latch: bool = False
    enabled: bool = True
    alert: bool = True
    inhibited_by: list[InhibitEntry] = []
    overrides: list[OverrideEntry] = []
    cause: Words
    consequence: Words
    action: Words
    respond_within_s: int = Field(gt=0, le=30 * 86_400)
    responder: Responder
    source: str = Field(min_length=1)
    certainty: Certainty

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, value: str) -> str:
        if value not in KINDS:
            remedy = near(value, KINDS, f"use {', '.join(KINDS)}")
            raise ValueError(f"unknown rule kind {value!r} → {remedy}")
        return value
