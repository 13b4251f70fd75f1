"""What may be moved, as written in config/actions.yaml: which devices, to which side, for which rules, and how sure it has to be.

Only the safe side can be written down: power off, gates open, locks unlocked, sirens on. Whoever wants the opposite goes there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, field_validator, model_validator

from hub import documents
from hub.documents import Document, Strict
from hub.errors import Complaint, ConfigError
from hub.model.commands import Value
from hub.model.places import Name
from hub.wrong_values import near

FILE: Final = "actions.yaml"
Area = Literal["device", "unit", "building", "grid", "compound", "station"]
READ_BACK: Final[Mapping[str, tuple[Value, ...]]] = {
    "relay_on": (False,),
    "gate_state": ("open", "opening"),
    "lock_state": ("unlocked", "unlocking"),
}
"""Quantity of a setting → what the device says when it has done it. A siren says nothing."""


class Words(Strict):
    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)


class Setting(Strict):
    """What the devices are to set: exactly one, and only towards the safe side."""

    relay_on: Literal[False] | None = None
    gate_state: Literal["open"] | None = None
    lock_state: Literal["unlocked"] | None = None
    siren: Literal[True] | None = None

    @model_validator(mode="after")
    def _one(self) -> Setting:
        if len(self._given()) != 1:
            raise ValueError("give one of: relay_on: false, gate_state: open, lock_state: unlocked, siren: true")
        return self

    def _given(self) -> list[tuple[str, Value]]:
        found = [(name, getattr(self, name)) for name in type(self).model_fields]
        return [(name, value) for name, value in found if value is not None]

    @property
    def one(self) -> tuple[str, Value]:
        """The quantity and its value."""
        return self._given()[0]


class On(Strict):
    """What calls for the action. `confirmed`: rules that need two independent triggers themselves (kind correlate); it goes
    at once. `suspected`: rules of one trigger; it waits for a person, or a person asks for it.
    """

    confirmed: tuple[str, ...] = ()
    suspected: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _something(self) -> On:
        if not (self.confirmed or self.suspected):
            raise ValueError("name at least one rule")
        if both := set(self.confirmed) & set(self.suspected):
            raise ValueError(f"{', '.join(sorted(both))}: either confirmed or suspected")
        return self


class Action(Strict):
    """One row of the table. Devices that do not stand in `devices` are never moved.

    `live` false: everything is done and written down but the sending. `area`: a device is moved only when the alarm is in the
    same one. `expires_s`: what has not left the hub by then never does, and the device is told to ignore it after that.
    """

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    name: Words
    live: bool = False
    on: On
    area: Area
    set: Setting
    devices: tuple[str, ...] = Field(min_length=1)
    expires_s: int = Field(60, ge=5, le=3_600)
    read_back_s: int = Field(10, ge=1, le=600)
    ask_s: int = Field(900, ge=30, le=86_400)
    sound_s: int = Field(120, ge=5, le=1_800)
    tests_reach_devices: bool = False

    @field_validator("devices")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if twice := sorted({one for one in value if value.count(one) > 1}):
            raise ValueError(f"named twice: {', '.join(twice)}")
        return value

    @property
    def called(self) -> Name:
        return Name(zh=self.name.zh, en=self.name.en)

    @property
    def can_be_read_back(self) -> bool:
        return self.set.one[0] in READ_BACK

    @property
    def rules(self) -> tuple[str, ...]:
        return (*self.on.confirmed, *self.on.suspected)


class Table(Strict):
    """The whole file."""

    actions: tuple[Action, ...] = ()

    @model_validator(mode="after")
    def _own_ids(self) -> Table:
        ids = [action.id for action in self.actions]
        if twice := sorted({one for one in ids if ids.count(one) > 1}):
            raise ValueError(f"two actions are called {', '.join(twice)}")
        return self

    def find(self, action_id: str) -> Action | None:
        return next((action for action in self.actions if action.id == action_id), None)

    @property
    def rules(self) -> tuple[str, ...]:
        """Every rule that calls for something."""
        return tuple(dict.fromkeys(rule for action in self.actions for rule in action.rules))


NOTHING: Final = Table()


def load_actions(folder: Path, *, kinds: Mapping[str, str] | None = None) -> Table:
    """The table in `folder`; an empty one when there is no file. Raises ConfigError with every complaint.

    `kinds`: rule id → kind of every rule in force; then unknown rules, and confirmed ones of one trigger, are complaints too.
    """
    path = folder / FILE
    if not path.exists():
        return NOTHING
    document, complaints = documents.read(path)
    if document is None:
        raise ConfigError(complaints)
    table, wrong = documents.check(Table, document)
    complaints += wrong
    if table is not None and kinds is not None:
        complaints += _wrong_rules(table, document, kinds)
    if table is None or complaints:
        raise ConfigError(complaints)
    return table


def _wrong_rules(table: Table, document: Document, kinds: Mapping[str, str]) -> list[Complaint]:
    found = []
    for n, action in enumerate(table.actions):
        for part, rules in (("confirmed", action.on.confirmed), ("suspected", action.on.suspected)):
            for k, rule in enumerate(rules):
                at: documents.Path_ = ("actions", n, "on", part, k)
                if rule not in kinds:
                    remedy = near(rule, kinds, "write the rule, or leave it out")
                    found.append(document.complain(at, f"there is no rule {rule!r}", remedy))
                elif part == "confirmed" and kinds[rule] != "correlate":
                    message = f"rule {rule!r} needs one trigger only (kind {kinds[rule]})"
                    found.append(document.complain(at, message, "write it under suspected, or correlate two of them"))
    return found


def unknown_devices(folder: Path, table: Table, known: Collection[str]) -> list[Complaint]:
    """Devices of the table that the registry does not have: they are not moved, whatever happens."""
    document, _ = documents.read(folder / FILE)
    if document is None:
        return []
    found = []
    for n, action in enumerate(table.actions):
        for k, device in enumerate(action.devices):
            if device not in known:
                remedy = near(device, known, "add it to devices.csv, or leave it out")
                found.append(document.complain(("actions", n, "devices", k), f"there is no device {device!r}", remedy))
    return found
