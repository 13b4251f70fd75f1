"""Evidence of a raising, as it is kept: a JSON object that every database takes, of bounded size. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any

MOST_BYTES = 32_768
"""What is longer is cut, longest member first: an alert must not fail for what it was made of."""


def written(evidence: Mapping[str, Any]) -> str | None:
    """`evidence` as JSON text; None when there is none. Never raises; what JSON has no word for is written as text or null."""
    if not evidence:
        return None
    kept = {str(key): _plain(value) for key, value in evidence.items()}
    text = json.dumps(kept)
    while len(text) > MOST_BYTES:
        longest = max(kept, key=lambda key: len(json.dumps(kept[key])))
        if kept[longest] == "(too long)":
            return json.dumps({"cut": True})
        kept[longest] = "(too long)"
        kept["cut"] = True
        text = json.dumps(kept)
    return text


def read(text: str | None) -> dict[str, Any]:
    """What `written` wrote; {} for nothing, and for what is no JSON object."""
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return value if isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    item = getattr(value, "item", None)  # a number of numpy
    return _plain(item()) if callable(item) else str(value)
