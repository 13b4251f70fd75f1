"""The JSON Schema of profiles, for editors: with the short forms that the models take and pydantic does not tell of."""

from __future__ import annotations

from typing import Any, Final

from hub.ingest.mapping.schema import Profile
from hub.json_schema import Schema, of_model, whole
from hub.model.quantities import QUANTITIES

_TEXT: Final[Schema] = {"type": "string"}
_SCALAR: Final[Schema] = {"type": ["string", "number", "boolean", "null"]}
_TEXTS: Final[Schema] = {"type": "array", "items": _TEXT}
_SHORT: Final[dict[str, list[Schema]]] = {
    "Looked": [_TEXT, _TEXTS],
    "Metric": [{"type": "string", "examples": sorted(QUANTITIES)}],
    "TimeSpec": [_TEXT, _TEXTS],
    "Availability": [_TEXT, {"type": "boolean"}, _TEXTS],
    "Condition": [_SCALAR, {"type": "array", "items": _SCALAR}],
}
"""What stands for a model when only its main key is to be said."""
_LISTS: Final = frozenset(("messages", "samples", "subscribe", "events", "warn", "kinds", "unknown"))


def profile_schema() -> Schema:
    definitions: Schema = {}
    of_model(Profile, definitions, name="profile")
    body = definitions.pop("profile")
    return whole(
        "GridHub: a dialect described", _loose(body, ""), {name: _loose(d, "") for name, d in definitions.items()}
    )


def _loose(schema: Any, key: str) -> Any:
    if isinstance(schema, list):
        return [_loose(one, key) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {
        k: _loose(v, k) if k not in ("properties", "patternProperties") else {n: _loose(p, n) for n, p in v.items()}
        for k, v in schema.items()
    }
    ref = str(found.get("$ref", "")).rpartition("/")[2]
    if ref in _SHORT:
        rest = {k: v for k, v in found.items() if k != "$ref"}
        return {"anyOf": [*_SHORT[ref], {"$ref": found["$ref"]}], **rest}
    if found.get("type") == "array" and key not in _LISTS and "items" in found:
        return {"anyOf": [found["items"], found]}
    return found
