"""Reading profiles from YAML, with every complaint at its file and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hub.documents import Document, check, parse, read
from hub.errors import Complaint, ConfigError
from hub.ingest.mapping.looking import topic_pattern
from hub.ingest.mapping.schema import Part, Profile


def shipped_folder() -> Path:
    """Where the profiles that come with the hub are."""
    return Path(__file__).resolve().parents[3] / "devices" / "profiles"


def load(path: Path, shown_as: str | None = None) -> tuple[Profile, Document]:
    """The profile at `path`. Raises ConfigError with all complaints."""
    document, complaints = read(path, shown_as)
    return _checked(document, complaints)


def parse_profile(text: str, file: str = "profile.yaml") -> Profile:
    """As `load`, from a text."""
    return _checked(*parse(text, file))[0]


def _checked(document: Document | None, complaints: list[Complaint]) -> tuple[Profile, Document]:
    if document is None:
        raise ConfigError(complaints)
    profile, more = check(Profile, document)
    complaints += more
    if profile is not None:
        complaints += _sense(profile, document)
    if complaints or profile is None:
        raise ConfigError(complaints)
    return profile, document


def _sense(profile: Profile, document: Document) -> list[Complaint]:
    """What the form alone does not tell: topic patterns, quantities without a name, binary that cannot be."""
    found: list[Complaint] = []
    for n, row in enumerate(profile.messages):
        for pattern in row.topic:
            try:
                topic_pattern(pattern, profile.root)
            except ValueError as bad:
                remedy = "levels are text, +, #, {name}, {name+} or {name*}"
                found.append(document.complain(("messages", n, "topic"), str(bad), remedy))
        if row.binary is not None:
            try:
                bytes.fromhex(row.binary.starts)
            except ValueError:
                found.append(document.complain(("messages", n, "binary", "starts"), "is no hex", "e.g. 7e01"))
        if row.device is None and not row.ignore and not row.reject and not any(e.device for e in row.each):
            remedy = "e.g. device: '{device}' for a level of the topic, or device: /id for a field of the message"
            found.append(document.complain(("messages", n), "nothing says which device it is", remedy))
        found += _in_part(row, document, ("messages", n))
    return found


def _in_part(part: Part, document: Document, at: tuple[Any, ...]) -> list[Complaint]:
    from hub.ingest.saying import base_of
    from hub.ingest.values import converted
    from hub.model.quantities import QUANTITIES

    found = []
    for source, metrics in part.metrics.items():
        for n, metric in enumerate(metrics):
            quantity = QUANTITIES.get(base_of(metric.quantity))
            path = (*at, "metrics", source)
            if quantity is None:
                continue
            if metric.unit and converted(quantity, 1.0, metric.unit) is None:
                remedy = f"{quantity.name} is in {quantity.unit or 'plain numbers'}"
                found.append(document.complain(path, f"the unit '{metric.unit}' does not fit {quantity.name}", remedy))
            for word, value in metric.words.items():
                if value is None:
                    continue
                if quantity.kind == "state" and value not in quantity.states:
                    remedy = f"use {', '.join(quantity.states)}, or null for unknown"
                    found.append(document.complain(path, f"'{word}' → {value!r}: no state of {quantity.name}", remedy))
                elif quantity.kind == "switch" and not isinstance(value, bool):
                    found.append(
                        document.complain(
                            path, f"'{word}' → {value!r}: {quantity.name} is true or false", "use true, false or null"
                        )
                    )
            del n
    for n, each in enumerate(part.each):
        found += _in_part(each, document, (*at, "each", n))
    return found
