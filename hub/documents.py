"""Strict reading of YAML files: every complaint carries file, line, key and remedy, and all are collected before any is raised."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from hub.errors import Complaint

Path_ = tuple[str | int, ...]
M = TypeVar("M", bound="Strict")


class Strict(BaseModel):
    """Base of every configuration model: unknown keys are errors, as are numbers that are none (.nan, .inf); values are frozen after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, allow_inf_nan=False)


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
                remedy="check indentation, quotes and colons at this line",
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
                        remedy=f"keep one (the first is at line {document.lines[here]})",
                    )
                )
                continue
            document.lines[here] = key_node.start_mark.line + 1
            result[key] = _plain(value_node, here, document, complaints)
        return result
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*path, n), document, complaints) for n, item in enumerate(node.value)]
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
        return None, [
            document.complain(at, f"expected keys and values, found {_what(value)}", "see the example in config/")
        ]
    try:
        return model.model_validate(value), []
    except ValidationError as bad:
        return None, [_translated(model, document, at, error) for error in bad.errors(include_url=False)]


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


def _translated(model: type[BaseModel], document: Document, at: Path_, error: Any) -> Complaint:
    loc = tuple(part for part in error["loc"] if (*at, part) is not None)
    path = _real_path(document, at, loc)
    kind, given = error["type"], error.get("input")
    if kind == "extra_forbidden":
        name = str(loc[-1])
        near = difflib.get_close_matches(name, _field_names(model, loc[:-1]), n=1)
        return document.complain(
            path,
            "unknown key",
            f"did you mean '{near[0]}'?" if near else "remove it, or see the schema for the known keys",
        )
    if kind == "missing":
        return document.complain(path, "this key is missing", f"add '{loc[-1]}'")
    if kind == "literal_error":
        return document.complain(path, f"{given!r} is not known here", f"use {error['ctx']['expected']}")
    if kind in _EXPECTED:
        remedy = "see the example in config/" if kind.startswith(("dict", "model")) else "correct the value"
        return document.complain(path, f"expected {_EXPECTED[kind]}, found {_what(given)}", remedy)
    message = str(error["msg"]).removeprefix("Value error, ")
    shown = "" if isinstance(given, dict | list) else f" (found {given!r})"
    return document.complain(path, message[:1].lower() + message[1:] + shown, "correct the value")


def _real_path(document: Document, at: Path_, loc: Path_) -> Path_:
    """`loc` without the parts that pydantic adds for unions (they are not keys of the file)."""
    path = at
    for n, part in enumerate(loc):
        if (*path, part) in document.lines or n == len(loc) - 1:
            path = (*path, part)
    return path


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
