"""Strict reading of YAML files: every complaint carries file, line, key and remedy, and all are collected before any is raised."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, cast

import yaml
from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from hub.errors import Complaint

Path_ = tuple[str | int, ...]
M = TypeVar("M", bound="Strict")


class _NoTruth:
    """Lets every value pass but true and false, which pydantic would take for 1 and 0."""

    def __init__(self, error: Literal["float_type", "int_type"]) -> None:
        self._error: Literal["float_type", "int_type"] = error

    def __call__(self, value: Any) -> Any:
        if isinstance(value, bool):
            raise PydanticKnownError(self._error)
        return value


_NO_FLOAT, _NO_INT = _NoTruth("float_type"), _NoTruth("int_type")


def _guarded(schema: Any) -> Any:
    """`schema` with a guard before each number in it."""
    if isinstance(schema, list | tuple):
        return type(schema)(_guarded(one) for one in schema)
    if not isinstance(schema, dict):
        return schema
    function = schema.get("function")
    if isinstance(function, dict) and isinstance(function.get("function"), _NoTruth):
        return schema  # of a model within this one, guarded already
    inside = {key: one if key in _NO_SCHEMAS else _guarded(one) for key, one in schema.items()}
    guard = {"float": _NO_FLOAT, "int": _NO_INT}.get(str(schema.get("type")))
    return inside if guard is None else core_schema.no_info_before_validator_function(guard, cast(CoreSchema, inside))


_NO_SCHEMAS = frozenset(("metadata", "config", "default", "expected", "ref", "cls"))


class Strict(BaseModel):
    """Base of every configuration model: unknown keys are errors, as are numbers that are none (.nan, .inf, yes, no); values are frozen after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, allow_inf_nan=False)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        guarded: CoreSchema = _guarded(handler(source))
        return guarded


@dataclass(slots=True)
class Document:
    """A parsed YAML file: plain data, and the line of each key path."""

    file: str
    data: Any
    lines: dict[Path_, int] = field(default_factory=dict)
    room: int = 0  # values that may still be read; aliases of aliases would fill any memory

    def line(self, path: Path_) -> int | None:
        """The line of `path`, or of its nearest ancestor that has one."""
        for n in range(len(path), -1, -1):
            found = self.lines.get(path[:n])
            if found is not None:
                return found
        return None

    def complain(self, path: Path_, message: str, remedy: str = "") -> Complaint:
        return Complaint(
            file=self.file, line=self.line(path), key=".".join(map(str, path)), message=message, remedy=remedy
        )


class _NotPlain(Exception):
    def __init__(self, mark: Any, message: str, remedy: str) -> None:
        super().__init__(message)
        self.mark, self.message, self.remedy = mark, message, remedy


_MAX_DEPTH = 32
_SCALARS = yaml.SafeLoader("")
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_ZERO_FIRST = re.compile(r"([-+]?)0[0_]*([0-7_]+)")


def read(path: Path, shown_as: str | None = None) -> tuple[Document | None, list[Complaint]]:
    """Parses the YAML file at `path`. Returns the document (None if unreadable) and the complaints about its form."""
    file = shown_as or str(path)
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return None, [Complaint(file=file, line=None, key="", message="file not found", remedy="create it")]
    except UnicodeDecodeError as bad:
        return None, [
            Complaint(file=file, line=None, key="", message=f"not UTF-8 at byte {bad.start}", remedy="save it as UTF-8")
        ]
    except OSError as bad:
        return None, [Complaint(file=file, line=None, key="", message=f"cannot be read: {bad.strerror}")]
    return parse(text, file)


def parse(text: str, file: str) -> tuple[Document | None, list[Complaint]]:
    """As `read`, from a string."""
    document = Document(file, None, room=4 * len(text) + 10_000)
    complaints: list[Complaint] = []
    try:
        node = _composed(text)
        document.data = None if node is None else _plain(node, (), document, complaints)
    except yaml.MarkedYAMLError as bad:
        mark = bad.problem_mark or bad.context_mark
        line = None if mark is None else mark.line + 1
        return None, [
            Complaint(
                file=file,
                line=line,
                key="",
                message=f"not valid YAML: {bad.problem or bad.context}",
                remedy="begin each entry of the list with '- ' and indent them alike"
                if bad.context == "while parsing a block collection"
                else "check indentation, quotes and colons at this line",
            )
        ]
    except (yaml.YAMLError, RecursionError) as bad:
        return None, [
            Complaint(file=file, line=None, key="", message=f"not valid YAML: {str(bad) or 'nested too deep'}")
        ]
    except _NotPlain as bad:
        line = None if bad.mark is None else bad.mark.line + 1
        return None, [Complaint(file=file, line=line, key="", message=bad.message, remedy=bad.remedy)]
    return document, complaints


def _composed(text: str) -> yaml.Node | None:
    """The node tree of `text`: by libyaml where there is one (four times faster), whose errors our slower parser words better.

    libyaml's composer recurses in C and dies of deep nesting; its event stream does not, so that is looked at first.
    """
    fast = getattr(yaml, "CSafeLoader", None)
    if fast is None:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    try:
        depth = 0
        for event in yaml.parse(text, Loader=fast):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_DEPTH:
                raise _NotPlain(event.start_mark, f"nested deeper than {_MAX_DEPTH} levels", "flatten it")
        return yaml.compose(text, Loader=fast)
    except yaml.YAMLError:
        return yaml.compose(text, Loader=yaml.SafeLoader)


def _plain(node: yaml.Node, path: Path_, document: Document, complaints: list[Complaint]) -> Any:
    document.lines.setdefault(path, node.start_mark.line + 1)
    if len(path) > _MAX_DEPTH:
        raise _NotPlain(node.start_mark, f"nested deeper than {_MAX_DEPTH} levels", "flatten it")
    document.room -= 1
    if document.room < 0:
        raise _NotPlain(node.start_mark, "aliases make too much of this text", "write the values out")
    if isinstance(node, yaml.MappingNode):
        result: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = _scalar(key_node)
            if not isinstance(key, str):
                key = str(key_node.value)
            here = (*path, key)
            if key in result:
                complaints.append(
                    Complaint(
                        file=document.file,
                        line=key_node.start_mark.line + 1,
                        key=".".join(map(str, here)),
                        message="the key is given twice",
                        remedy=f"keep one (the first is at line {document.lines[here]})"
                        + (f", or begin a new entry with '- {key}: …'" if key == next(iter(result)) else ""),
                    )
                )
                continue
            document.lines[here] = key_node.start_mark.line + 1
            result[key] = _plain(value_node, here, document, complaints)
        return result
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*path, n), document, complaints) for n, item in enumerate(node.value)]
    if node.tag == _NUMBERS[0] and (zero := _ZERO_FIRST.fullmatch(node.value)):
        message = f"'{node.value}' has a zero in front: YAML reads it to the base of 8"
        remedy = f'write {zero[1] or ""}{zero[2] or "0"}, or "{node.value}" in quotes if it is a text'
        complaints.append(document.complain(path, message, remedy))
        return node.value  # as it looks, so that nothing else is said of it
    return _scalar(node)


def _scalar(node: yaml.Node) -> Any:
    if not isinstance(node, yaml.ScalarNode):
        raise _NotPlain(node.start_mark, "a key cannot be a list or a mapping", "quote it")
    if node.tag == "tag:yaml.org,2002:str":
        return node.value
    if node.tag in _NUMBERS and ":" in node.value:
        return node.value  # a time of day: YAML 1.1 would read 22:00 as 22 sixties and nothing, 1320
    # Not construct_object: it remembers every node it ever saw, and this constructor lives as long as the process.
    construct = yaml.SafeLoader.yaml_constructors.get(node.tag)
    if construct is None:
        raise _NotPlain(node.start_mark, f"the tag '{node.tag}' means nothing here", "write a plain value, or quote it")
    try:
        value = construct(_SCALARS, node)
    except (yaml.YAMLError, ValueError) as bad:
        remedy = "correct the date" if node.tag.endswith(":timestamp") else "quote it"
        raise _NotPlain(node.start_mark, f"'{node.value}' is not a plain value: {bad}", remedy) from bad
    return value if value is None or isinstance(value, str | int | float | bool) else str(node.value)


def check(model: type[M], document: Document, data: Any = None, at: Path_ = ()) -> tuple[M | None, list[Complaint]]:
    """Validates `data` (default: the whole document), found at path `at`, against `model`."""
    value = document.data if data is None and not at else data
    if value is None:
        value = {}
    if not isinstance(value, dict):
        return None, [document.complain(at, f"expected keys and values, found {_what(value)}", _form(model))]
    try:
        return model.model_validate(value), []
    except ValidationError as bad:
        return None, _Translator(model, document, at, value).told(bad.errors(include_url=False))


def _what(value: Any) -> str:
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


class _Translator:
    """What pydantic found wrong in `value`, at `at` of the document, as complaints."""

    def __init__(self, model: type[BaseModel], document: Document, at: Path_, value: Any) -> None:
        self.model, self.document, self.at, self.value = model, document, at, value

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
        message = f"expected {' or '.join(words)}, found {_what(given)}"
        return [self.document.complain(path, message, self._remedy(path, types, given, errors[0]["loc"]))]

    def _one(self, path: Path_, error: Any) -> Complaint:
        loc, kind, given = error["loc"], error["type"], error.get("input")
        if kind == "extra_forbidden":
            otherwise = "remove it, or see the schema for the known keys"
            return self.document.complain(
                path, "unknown key", near(str(loc[-1]), _field_names(self.model, loc[:-1]), otherwise)
            )
        if kind == "missing":
            return self.document.complain(path, "this key is missing", f"add '{loc[-1]}'")
        if kind == "literal_error":
            known = str(error["ctx"]["expected"])
            remedy = near(str(given), re.findall(r"'([^']*)'", known), f"use {known}")
            return self.document.complain(path, f"{given!r} is not known here", remedy)
        if kind in _EXPECTED:
            message = f"expected {_EXPECTED[kind]}, found {_what(given)}"
            return self.document.complain(path, message, self._remedy(path, {kind}, given, loc))
        message, _, remedy = str(error["msg"]).removeprefix("Value error, ").partition(" → ")
        shown = "" if remedy or isinstance(given, dict | list) else f" (found {given!r})"
        return self.document.complain(path, message[:1].lower() + message[1:] + shown, remedy or "correct the value")

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


def _form(model: type[BaseModel]) -> str:
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
    form = _form(inner)
    by_name = getattr(annotation, "__origin__", None) is dict
    return f"write each under its name: name: {{{form.partition(': ')[2]}}}" if by_name else form


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
