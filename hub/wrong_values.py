"""What pydantic finds wrong in a value of a file, in the words of those who write it, with what to write instead."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from pydantic import BaseModel

from hub.errors import Complaint

Path_ = tuple[str | int, ...]
Complain = Callable[[Path_, str, str], Complaint]
"""Makes a complaint of the place in the file, a message and a remedy."""


def what(value: Any) -> str:
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "keys and values"
    return "nothing" if value is None else f"{value!r}"


_EXPECTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "a text",
    "list_type": "a list",
    "float_parsing": "a number",
    "float_type": "a number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "dict_type": "keys and values",
    "model_type": "keys and values",
}
"""What a kind of error of pydantic's means to somebody who writes the file."""
_LENGTH = re.compile(r"(\d+(?:\.\d+)?) ?(ms|s|sec|min|m|h|d)")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0}
_LENGTHS: Final = {
    "ms": ("milliseconds", 0.001),
    "s": ("seconds", 1.0),
    "min": ("minutes", 60.0),
    "h": ("hours", 3_600.0),
    "days": ("days", 86_400.0),
}
"""By the end of a key: the unit of its number, and how many seconds that is."""


def told(model: type[BaseModel], complain: Complain, at: Path_, value: Any, errors: Sequence[Any]) -> list[Complaint]:
    """The complaints that `errors` of pydantic's about `value`, which stands at `at` and should be a `model`, come to."""
    return _Translator(model, complain, at, value).told(errors)


class _Translator:
    """What pydantic found wrong in `value`, at `at` of the document, as complaints."""

    def __init__(self, model: type[BaseModel], complain: Complain, at: Path_, value: Any) -> None:
        self.model, self.complain, self.at, self.value = model, complain, at, value

    def told(self, errors: Sequence[Any]) -> list[Complaint]:
        placed = [(*self._path(error), error) for error in errors]
        paths = {path for path, _, _ in placed}
        deeper = {path[:n] for path in paths for n in range(len(path))}
        found: list[Complaint] = []
        merged: set[Path_] = set()
        for path, is_branch, error in placed:
            if not is_branch:
                found.append(self._one(path, error))
            elif path not in deeper and path not in merged:
                merged.add(path)
                found += self._of_union(path, [e for p, branch, e in placed if branch and p == path])
        return found

    def _path(self, error: Any) -> tuple[Path_, bool]:
        """Where the error is in the file, and whether it is about one branch of a union, whose name is no key of the file."""
        path, inside, is_branch = self.at, self.value, False
        for n, part in enumerate(error["loc"]):
            known = isinstance(inside, dict) and part in inside
            if known or (isinstance(inside, list) and isinstance(part, int) and part < len(inside)):
                path, inside, is_branch = (*path, part), inside[part], False
            elif error["type"] == "missing" and n == len(error["loc"]) - 1:
                path, is_branch = (*path, part), False
            else:
                is_branch = True
        return path, is_branch

    def _of_union(self, path: Path_, errors: list[Any]) -> list[Complaint]:
        """A value that fits none of the forms it may have: one complaint that names them all, unless one form fitted nearly."""
        nearly = [error for error in errors if error["type"] not in _EXPECTED]
        if nearly or len(errors) == 1:
            return [self._one(path, error) for error in (nearly or errors)]
        words = list(dict.fromkeys(_EXPECTED[error["type"]] for error in errors))
        types = {error["type"] for error in errors}
        given = errors[0].get("input")
        message = f"expected {' or '.join(words)}, found {what(given)}"
        return [self.complain(path, message, self._remedy(path, types, given, errors[0]["loc"]))]

    def _one(self, path: Path_, error: Any) -> Complaint:
        loc, kind, given = error["loc"], error["type"], error.get("input")
        if kind == "extra_forbidden":
            otherwise = "remove it, or see the schema for the known keys"
            return self.complain(path, "unknown key", near(str(loc[-1]), _field_names(self.model, loc[:-1]), otherwise))
        if kind == "missing":
            return self.complain(path, "this key is missing", f"add '{loc[-1]}'")
        if kind == "literal_error":
            known = str(error["ctx"]["expected"])
            remedy = near(str(given), re.findall(r"'([^']*)'", known), f"use {known}")
            return self.complain(path, f"{given!r} is not known here", remedy)
        if kind in _EXPECTED:
            message = f"expected {_EXPECTED[kind]}, found {what(given)}"
            return self.complain(path, message, self._remedy(path, {kind}, given, loc))
        message, _, remedy = str(error["msg"]).removeprefix("Value error, ").partition(" → ")
        shown = "" if remedy or isinstance(given, dict | list) else f" (found {given!r})"
        return self.complain(path, message[:1].lower() + message[1:] + shown, remedy or "correct the value")

    def _remedy(self, path: Path_, types: set[str], given: Any, loc: Path_) -> str:
        if types & {"dict_type", "model_type"} and len(types) == 1:
            return _form_at(self.model, loc)
        if types & {"float_type", "int_type"} and isinstance(given, bool):
            return "write a number; without quotes, yes and on are read as true, no and off as false"
        if "string_type" in types and isinstance(given, int | float) and not isinstance(given, bool):
            return f'put it in quotes: "{given}"'
        if types & {"float_parsing", "int_parsing"} and (said := _in_its_unit(str(path[-1]) if path else "", given)):
            return said
        return "correct the value"


def near(word: str, known: Iterable[str], otherwise: str) -> str:
    """What was probably meant, as a remedy; `otherwise` when nothing is like it."""
    found = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean '{found[0]}'?" if found else otherwise


def _in_its_unit(key: str, given: Any) -> str:
    """A length of time such as 2m as the plain number that `key` takes, "" when it is none."""
    name, seconds = _LENGTHS.get(key.rpartition("_")[2], ("", 0.0))
    match = _LENGTH.fullmatch(given.strip()) if isinstance(given, str) else None
    if not name or match is None:
        return ""
    return f"write it in {name}: {float(match[1]) * _UNITS[match[2]] / seconds:.10g}"


def form(model: type[BaseModel]) -> str:
    """The keys that a `model` must have, or may have."""
    fields = model.model_fields.items()
    keys = [str(f.alias or name) for name, f in fields if f.is_required()] or [str(f.alias or n) for n, f in fields]
    return "write keys and values: " + ", ".join(f"{key}: …" for key in keys[:5])


def _form_at(model: type[BaseModel], loc: Path_) -> str:
    """What belongs at `loc` of a `model`, where keys and values are expected."""
    annotation = _annotation(model, loc)
    inner = _model_in(annotation)
    if inner is None:
        return "write keys and values: name: …"
    keys = form(inner)
    by_name = getattr(annotation, "__origin__", None) is dict
    return f"write each under its name: name: {{{keys.partition(': ')[2]}}}" if by_name else keys


def _annotation(model: Any, loc: Path_) -> Any:
    """The type of what stands at `loc`, as far as it can be followed."""
    found: Any = model
    for part in loc:
        inner = _model_in(found)
        fields = getattr(inner, "model_fields", {})
        field_ = next((f for name, f in fields.items() if part in (name, f.alias)), None)
        if field_ is not None and not isinstance(part, int):
            found = field_.annotation
        elif getattr(found, "__args__", ()):
            found = next((one for one in reversed(found.__args__) if _model_in(one)), found)
    return found


def _field_names(model: type[BaseModel], loc: Path_) -> list[str]:
    current: Any = model
    for part in loc:
        if isinstance(part, int):
            continue
        fields = getattr(current, "model_fields", {})
        if part not in fields:
            continue
        current = _model_in(fields[part].annotation) or current
    return [str(f.alias or name) for name, f in getattr(current, "model_fields", {}).items()]


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        found = _model_in(part)
        if found is not None:
            return found
    return None
