"""Scenes: what happens at a place, in what order, and which alerts must come of it. A YAML file each; the shipped ones lie in `scenes/`."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, model_validator

from devices.simulators.behaviours import BEHAVIOURS, Cue
from hub import documents
from hub.documents import Strict
from hub.errors import ConfigError
from hub.model.rules import Severity

FOLDER: Final = Path(__file__).with_name("scenes")
_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3_600.0}
_LENGTH: Final = re.compile(r"\+?(?:\d+(?:\.\d+)?[smh])+\Z")
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)([smh])")
_CLOCK: Final = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d\Z")


def _seconds(value: object) -> object:
    if not isinstance(value, str) or not _LENGTH.match(value):
        raise ValueError("write a length of time with its unit, e.g. 90s, 1m30s or 2h")
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(value))


def _known_behaviour(value: object) -> object:
    if value not in BEHAVIOURS:
        raise ValueError(f"there is no behaviour {value!r}; there are {', '.join(BEHAVIOURS)}")
    return value


def _of_the_day(value: object) -> object:
    if not isinstance(value, str) or not _CLOCK.match(value):
        raise ValueError('write a time of the day in quotes, e.g. "08:00"')
    return value


Length = Annotated[float, BeforeValidator(_seconds)]
"""Seconds, written with a unit: 90s, 1m30s, 2h."""


class Happening(Strict):
    """One behaviour: where (it chooses itself when not given) and how long after the scene's start."""

    behaviour: Annotated[str, BeforeValidator(_known_behaviour)]
    device: str = ""
    at: Length = 0.0

    @property
    def cue(self) -> Cue:
        return Cue(device=self.device, at_s=self.at)


class Expectation(Strict):
    """A rule that must be raised: how often (at least once without `count`), by which device, when for the first time."""

    rule: str
    device: str = ""
    severity: Severity | None = None
    count: int | None = Field(None, ge=1)
    after: Length | None = None
    within: Length = 30.0
    ends: bool | None = None
    """Whether each of them is over at the end of the scene; not looked at when not given."""


class Scene(Strict):
    """`silent` rules must not be raised; with `only: true` none but the expected ones. `step` is how often the hub's time ticks."""

    name: str = Field(min_length=1)
    start: Annotated[str, BeforeValidator(_of_the_day)] = "10:00"
    lasts: Length
    step: Length = 1.0
    seed: int = Field(1, ge=0)
    devices: list[str] = []
    """Ids or patterns (`*c1b1*`) of the devices that take part; all of the place when there are none."""
    happens: list[Happening] = Field(min_length=1)
    expect: list[Expectation] = []
    silent: list[str] = []
    only: bool = False
    quarantine: bool = False
    """Whether messages must land in the quarantine. Without it, none may."""

    @model_validator(mode="after")
    def _proves_something(self) -> Scene:
        if not (self.expect or self.silent or self.only):
            raise ValueError("a scene without outcome proves nothing: add expect, silent or only: true")
        return self

    def takes_part(self, device_id: str) -> bool:
        return not self.devices or any(fnmatchcase(device_id, pattern) for pattern in self.devices)

    @property
    def start_ms(self) -> int:
        """When it begins if it is not played to a real broker: at that time of a Monday in winter, UTC+8."""
        hours, _, minutes = self.start.partition(":")
        return _MIDNIGHT_MS + (int(hours) * 60 + int(minutes)) * 60_000


_MIDNIGHT_MS: Final = 1_704_038_400_000  # 2024-01-01 00:00 in Shanghai


def load_scene(path: Path) -> Scene:
    """The scene of the file at `path`. ConfigError with file, line and key of all that is wrong."""
    document, complaints = documents.read(path)
    if document is None:
        raise ConfigError(complaints)
    found, more = documents.check(Scene, document)
    if found is None or complaints or more:
        raise ConfigError([*complaints, *more])
    return found
