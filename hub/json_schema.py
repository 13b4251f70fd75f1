"""JSON Schema for editors, drawn from the models that check the files: draft 7, which editors of YAML understand best."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

DRAFT = "http://json-schema.org/draft-07/schema#"

Schema = dict[str, Any]


def of_model(model: type[BaseModel], definitions: Schema, *, name: str = "", prefix: str = "") -> Schema:
    """A reference to the schema of `model`, which is put into `definitions` with all that it needs.

    `prefix` keeps parts of different models with the same name apart.
    """
    drawn = model.model_json_schema(ref_template=f"#/definitions/{prefix}{{model}}", mode="validation")
    parts = drawn.pop("$defs", {})
    own = name or f"{prefix}{model.__name__}"
    for part, schema in {**{f"{prefix}{n}": s for n, s in parts.items()}, own: drawn}.items():
        if definitions.get(part, schema) != schema:
            raise ValueError(f"two parts of a schema are called {part!r}")
        definitions[part] = schema
    return {"$ref": f"#/definitions/{own}"}


def whole(title: str, schema: Schema, definitions: Schema) -> Schema:
    """The document: `schema` with its `definitions`, without what only says what an editor shows anyway."""
    body = _tidy(schema)
    described = {name: _tidy(definitions[name]) for name in sorted(definitions)}
    return {"$schema": DRAFT, "title": title, **body, "definitions": described}


def written(schema: Schema) -> str:
    """As it stands in its file."""
    return json.dumps(schema, ensure_ascii=False, indent=2) + "\n"


def described(schema: Schema, words: Mapping[str, str]) -> None:
    """Gives the properties of `schema` that say nothing about themselves the `words` for them. KeyError for one that is not there."""
    for key, text in words.items():
        schema["properties"][key].setdefault("description", text)


def one_or_several(values: list[Any]) -> Schema:
    """One of `values`, or a list of them."""
    return {"anyOf": [{"enum": values}, {"type": "array", "items": {"enum": values}}]}


def _tidy(schema: Any) -> Any:
    """Without the titles and empty defaults that pydantic makes up; a reference with something beside it in the way of draft 7."""
    if isinstance(schema, list):
        return [_tidy(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found: Schema = {}
    for key, value in schema.items():
        if key in ("title", "default") and not isinstance(value, dict) and (key == "title" or value in (None, "", [])):
            continue
        if key == "description":
            found[key] = " ".join(inspect.cleandoc(value).split())
        elif key in ("properties", "definitions", "patternProperties"):
            found[key] = {name: _tidy(one) for name, one in value.items()}
        elif key in ("enum", "const", "default", "examples"):
            found[key] = value
        else:
            found[key] = _tidy(value)
    if "$ref" in found and len(found) > 1:
        found = {"allOf": [{"$ref": found.pop("$ref")}], **found}
    return found
