"""The JSON Schemas of every YAML file of a configuration, for editors: drawn from the models that read those files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hub.json_schema import Schema, of_model, whole, written

_TIME = {"type": "string", "pattern": r"^([01]?[0-9]|2[0-3]):[0-5][0-9]$|^24:00$", "examples": ["20:00"]}
_DAY = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "examples": ["2026-12-01"]}
_MOMENT = {
    "type": "string",
    "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2})?$",
    "examples": ["2026-12-01", "2026-12-01 20:00"],
}


def schemas() -> dict[str, Schema]:
    """File name → schema."""
    return {name: draw() for name, draw in _DRAWN.items()}


def _rules() -> Schema:
    from hub.rules.schema import rules_schema

    return rules_schema()


def _hub() -> Schema:
    from hub.dispatch.channels import CHANNELS
    from hub.ingest.codecs import CODECS
    from hub.settings import Settings

    definitions: Schema = {}
    of_model(Settings, definitions, name="settings")
    body = definitions.pop("settings")
    del body["properties"]["folder"]  # is where the file lies
    definitions["SourceEntry"]["properties"]["codec"] = {
        "anyOf": [{"enum": list(CODECS)}, {"type": "string", "pattern": r"\.ya?ml$"}]
    }
    channels = {
        name: of_model(row.config, definitions, name=f"channel-{name}", prefix=f"{name}-")
        for name, row in CHANNELS.items()
    }
    body["properties"]["channels"] = {
        "type": "object",
        "properties": {name: {"anyOf": [schema, {"type": "null"}]} for name, schema in channels.items()},
        "additionalProperties": False,
    }
    return whole("GridHub: the hub itself", body, definitions)


def _escalation() -> Schema:
    from hub.dispatch.channels import CHANNELS
    from hub.dispatch.policy import EscalationPolicy

    definitions: Schema = {}
    of_model(EscalationPolicy, definitions, name="policy")
    body = definitions.pop("policy")
    definitions["Step"]["properties"]["channels"]["items"] = {"enum": list(CHANNELS)}
    definitions["Night"]["properties"] |= {"start": _TIME, "end": _TIME}
    return whole("GridHub: who is told when", body, definitions)


def _actions() -> Schema:
    from hub.actuation.table import Table

    definitions: Schema = {}
    of_model(Table, definitions, name="actions")
    body = definitions.pop("actions")
    return whole("GridHub: what the hub may move, and when", body, definitions)


def _calendar() -> Schema:
    from hub.rules.calendar_file import CalendarFile

    definitions: Schema = {}
    of_model(CalendarFile, definitions, name="calendar")
    body = definitions.pop("calendar")
    return whole("GridHub: holidays, and the working days that stand in for them", body, definitions)


def _scenes() -> Schema:
    from hub.rules.testing.scene_file import SceneFile

    definitions: Schema = {}
    of_model(SceneFile, definitions, name="scenes")
    body = definitions.pop("scenes")
    return whole("GridHub: scenes, which say what rules must and must not do", body, definitions)


def _places() -> Schema:
    from hub.registry.placefile import PlaceEntry

    definitions: Schema = {}
    return _list("places", of_model(PlaceEntry, definitions, name="place"), definitions)


def _people() -> Schema:
    from hub.registry.stationfile import PersonEntry

    definitions: Schema = {}
    entry = of_model(PersonEntry, definitions, name="person")
    definitions["LeaveEntry"]["properties"] |= {"from": _MOMENT, "until": _MOMENT}
    return _list("people", entry, definitions)


def _stations() -> Schema:
    from hub.registry.stationfile import StationEntry

    definitions: Schema = {}
    entry = of_model(StationEntry, definitions, name="station")
    definitions["ShiftEntry"]["properties"] |= {"from": _TIME, "to": _TIME}
    definitions["SwapEntry"]["properties"] |= {"on": _DAY, "from": _TIME}
    return _list("stations", entry, definitions)


def _profile() -> Schema:
    from hub.ingest.mapping.editors import profile_schema

    return profile_schema()


def _list(key: str, entry: Schema, definitions: Schema) -> Schema:
    body = {
        "type": "object",
        "properties": {key: {"type": "array", "items": entry}},
        "required": [key],
        "additionalProperties": False,
    }
    return whole(f"GridHub registry: {key}", body, definitions)


_DRAWN: dict[str, Callable[[], Schema]] = {
    "rules.schema.json": _rules,
    "scene.schema.json": _scenes,
    "hub.schema.json": _hub,
    "escalation.schema.json": _escalation,
    "actions.schema.json": _actions,
    "calendar.schema.json": _calendar,
    "places.schema.json": _places,
    "people.schema.json": _people,
    "stations.schema.json": _stations,
    "profile.schema.json": _profile,
}


def write(folder: Path) -> list[Path]:
    """Writes every schema into `folder`; those that are right already stay untouched. Returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, schema in schemas().items():
        file, text = folder / name, written(schema)
        if not file.exists() or file.read_text("utf-8") != text:
            file.write_text(text, "utf-8")
        files.append(file)
    return files
