"""Scenes as written in YAML: strict models, from which the JSON Schema for editors is drawn too."""

from __future__ import annotations

from datetime import date
from functools import partial
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, create_model, model_validator

from hub.documents import Strict
from hub.model.places import Level
from hub.model.quantities import QUANTITIES, Quantity, coded
from hub.model.readings import Quality
from hub.model.rules import Severity
from hub.registry.kinds import DEVICE_KINDS, SILENCE_LIMIT_MS
from hub.rules.testing import spans

FLAGS: Final = {
    "late": Quality.LATE,
    "duplicate": Quality.DUPLICATE,
    "test": Quality.TEST,
    "history": Quality.HISTORY,
    "retained": Quality.RETAINED,
}
PATTERNS: Final = ("ramp", "cycle", "noise")
_MOST_READINGS = 100_000


def _span(value: object) -> object:
    return spans.parsed(value) if isinstance(value, str) else _refuse_number(value)


def _refuse_number(value: object) -> object:
    raise ValueError("write a length of time with its unit, e.g. 90s, 1m30s, 2h or 500ms")


def _value(quantity: Quantity, given: Any) -> Any:
    """A value of `quantity` as a number, NaN for null (unknown), or a pattern {ramp|cycle|noise: [...]} of numbers."""
    if given is None:
        return float("nan")
    if isinstance(given, dict):
        return _pattern(quantity, given)
    number = coded(quantity, given)
    if number is None:
        raise ValueError(f"{quantity.name} cannot be {given!r}; it takes {_takes(quantity)}")
    return number


def _pattern(quantity: Quantity, given: dict[str, Any]) -> dict[str, list[float]]:
    name, values = next(iter(given.items())) if len(given) == 1 else ("", None)
    if name not in PATTERNS or not isinstance(values, list) or not values:
        raise ValueError("give one pattern: {ramp: [from, to]}, {cycle: [a, b, …]} or {noise: [middle, amplitude]}")
    if name != "cycle" and (len(values) != 2 or quantity.kind in ("switch", "state")):
        raise ValueError(f"{name} takes two numbers and is for numbers only; use {{cycle: [a, b, …]}} for words")
    if name == "noise":
        plain = [coded(QUANTITIES["power_w"], value) for value in values]  # an amplitude need not be plausible
        if None in plain:
            raise ValueError("noise takes two numbers: middle and amplitude")
        return {name: [float(value) for value in values]}
    return {name: [_value(quantity, value) for value in values]}


def _takes(quantity: Quantity) -> str:
    if quantity.kind == "switch":
        return "true or false"
    return (
        ", ".join(quantity.states) if quantity.states else f"a number{f' of {quantity.unit}' if quantity.unit else ''}"
    )


def _schema(quantity: Quantity) -> dict[str, Any]:
    one: dict[str, Any]
    if quantity.kind == "switch":
        one = {"type": ["boolean", "null"]}
    elif quantity.kind == "state":
        one = {"enum": [*quantity.states, None]}
    else:
        one = {"type": ["number", "null"], "description": quantity.unit}
    values = {"type": "array", "items": one, "minItems": 1}
    patterns = dict.fromkeys(("cycle",) if quantity.kind in ("switch", "state") else PATTERNS, values)
    pattern = {"type": "object", "properties": patterns, "additionalProperties": False, "maxProperties": 1}
    return {"anyOf": [one, pattern]}


Span = Annotated[
    int,
    BeforeValidator(_span),
    WithJsonSchema({"type": "string", "pattern": spans.PATTERN, "examples": ["+90s", "1m30s", "2h"]}),
]
"""A length of time with its unit; milliseconds once read. `+` is decoration."""
DeviceKind = Annotated[
    str, BeforeValidator(lambda v: _known(v, DEVICE_KINDS)), WithJsonSchema({"enum": [*DEVICE_KINDS]})
]
Supervision = Annotated[
    str, BeforeValidator(lambda v: _known(v, tuple(SILENCE_LIMIT_MS))), WithJsonSchema({"enum": [*SILENCE_LIMIT_MS]})
]
Several = str | list[str]


def _known(value: object, names: tuple[str, ...]) -> object:
    if value not in names:
        raise ValueError(f"{value!r} is not known here; use {', '.join(names)}")
    return value


class _StepBase(Strict):
    """One thing that happens, or a series of them. Keys that are quantities give the values; null is "unknown"."""

    at: Span
    device: Several = []
    every: Span | None = None
    for_: Span | None = Field(None, alias="for")
    flags: list[Literal["late", "duplicate", "test", "history", "retained"]] = []
    device_time: Span | None = None
    restart: bool = False
    away: Span | None = None

    @property
    def values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in QUANTITIES if name in self.model_fields_set}

    @model_validator(mode="after")
    def _one_thing(self) -> _StepBase:
        things = [bool(self.values), self.restart, self.away is not None]
        if sum(things) != 1:
            raise ValueError("say one thing: values of a device (device, and quantities), restart: true, or away: 5m")
        if self.values and not self.device:
            raise ValueError("whose values? add device")
        if not self.values and (self.device or self.every is not None or self.flags or self.device_time is not None):
            raise ValueError("device, every, for, flags and device_time go with values")
        if (self.every is None) != (self.for_ is None):
            raise ValueError("every and for go together: every: 10s, for: 5m")
        if self.every is not None and self.for_ is not None:
            if self.every <= 0 or self.for_ < 0:
                raise ValueError("every and for must be longer than nothing")
            if self.for_ // self.every >= _MOST_READINGS:
                raise ValueError(f"that is more than {_MOST_READINGS:,} readings")
        if any(isinstance(value, dict) for value in self.values.values()) and self.every is None:
            raise ValueError("a pattern needs every and for")
        if self.at < 0 or (self.away is not None and self.away <= 0):
            raise ValueError("time runs forward only")
        return self


Step: Any = create_model(
    "Step",
    __base__=_StepBase,
    __doc__=_StepBase.__doc__,
    **{
        name: (
            Annotated[Any, BeforeValidator(partial(_value, quantity)), WithJsonSchema(_schema(quantity))],
            Field(None, description=quantity.unit or None),
        )
        for name, quantity in QUANTITIES.items()
    },  # type: ignore[call-overload]  # pydantic's way to make fields from a table
)


class Expected(Strict):
    """An alert that must come, each time counted from the scene's start. Without `cleared` it must stand until the end."""

    rule: str
    device: Several
    raised: Span | None = None
    cleared: Span | None = None
    tested: Span | None = None
    chatter: Span | None = None
    withdrawn: Span | None = None
    within: Span = 1_000
    severity: Severity | None = None

    @model_validator(mode="after")
    def _something(self) -> Expected:
        if all(one is None for one in (self.raised, self.tested, self.chatter, self.withdrawn)):
            raise ValueError("expect what? give raised, tested, chatter or withdrawn with a time")
        if self.cleared is not None and (self.raised is None or self.cleared < self.raised):
            raise ValueError("cleared goes with raised and comes after it")
        return self


class Quiet(Strict):
    """A rule that must say nothing, of one device or of any, though what it watches was there."""

    rule: str
    device: Several = []


class PlaceIn(Strict):
    level: Level
    parent: str


class DeviceIn(Strict):
    """A device that the town does not have by itself. What is left out is as the town would have it."""

    kind: DeviceKind
    place: str | None = None
    grid: str | None = None
    parent: str | None = None
    model: str = ""
    interval: Span | None = None
    supervision: Supervision | None = None
    tags: list[str] = []


class _Setting(Strict):
    """Where and when: what a scene says itself goes before what the top of its file says."""

    rules: list[str] | None = None
    places: dict[str, PlaceIn] = {}
    devices: dict[str, DeviceIn] = {}
    start: str | None = None
    timezone: str | None = None
    holidays: list[date] | None = None
    workdays: list[date] | None = None


class SceneIn(_Setting):
    """One story with its outcome."""

    name: str = Field(min_length=1)
    readings: list[Step] = []
    expect: list[Expected] = []
    silent: list[str | Quiet] = []
    lasts: Span | None = None

    @model_validator(mode="after")
    def _has_an_outcome(self) -> SceneIn:
        if not self.expect and not self.silent:
            raise ValueError("a scene without outcome proves nothing: add expect or silent")
        return self


class SceneFile(_Setting):
    """A file of scenes. `rules`: files of the rules folder or ids that its scenes are about; by default the file of the same name."""

    scenes: list[SceneIn] = Field(min_length=1)
