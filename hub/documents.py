"""Strict reading of YAML files: every complaint carries file, line, key and remedy, and all are collected before any is raised."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import yaml
from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from hub.errors import Complaint
from hub.wrong_values import Path_, form, near, told, what

__all__ = ["Document", "Path_", "Strict", "check", "near", "parse", "read"]

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
        return None, [document.complain(at, f"expected keys and values, found {what(value)}", form(model))]
    try:
        return model.model_validate(value), []
    except ValidationError as bad:
        return None, told(model, document.complain, at, value, bad.errors(include_url=False))
