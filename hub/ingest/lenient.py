"""A reader for almost-JSON: single quotes, bare keys, trailing commas, None/True/nan, several objects in a row.

It takes only what has one meaning, and never completes what is missing: an unclosed bracket or a bare word is not readable.
"""

from __future__ import annotations

import re
from typing import Any, Final

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<mark>[{}\[\],:])|"(?P<double>[^"\\]*(?:\\.[^"\\]*)*)"|'(?P<single>[^'\\]*(?:\\.[^'\\]*)*)'|(?P<bare>[^\s{}\[\],:"']+))"""
)
_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?\Z")
_KEY: Final = re.compile(r"[^\W\d][\w.-]*\Z")
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "0": "\0"}
_PYTHON: Final = {"None": None, "True": True, "False": False}
_JSON: Final = {"null": None, "true": True, "false": False}
_NOT_A_NUMBER: Final = frozenset(("nan", "inf", "infinity", "undefined"))

Token = tuple[str, str]


class NotReadable(Exception):
    """The text has no single meaning."""


def read_lenient(text: str, warnings: list[str], max_depth: int) -> Any:
    """`text` as data; each liberty is appended to `warnings`. Several objects in a row come as a list of them."""
    reader = _Reader(text, max_depth)
    values = [reader.value(reader.next(), 0)]
    while (token := reader.next()) != ("end", ""):
        values.append(reader.value(token, 0))
    if len(values) > 1:
        if not all(isinstance(value, dict) for value in values):
            raise NotReadable
        reader.notes.append("several JSON values in one message")
    if not isinstance(values[0], dict | list):
        raise NotReadable
    warnings.extend(reader.notes)
    return values if len(values) > 1 else values[0]


class _Reader:
    def __init__(self, text: str, max_depth: int) -> None:
        self._text = text.rstrip()
        self._at = 0
        self._max_depth = max_depth
        self.notes: list[str] = []

    def next(self) -> Token:
        if self._at >= len(self._text):
            return "end", ""
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            raise NotReadable
        self._at = found.end()
        kind = str(found.lastgroup)
        return kind, found[kind]

    def value(self, token: Token, depth: int) -> Any:
        kind, text = token
        if kind == "mark" and text in "{[":
            if depth >= self._max_depth:
                raise NotReadable
            return self._object(depth + 1) if text == "{" else self._list(depth + 1)
        if kind in ("double", "single"):
            return self._string(kind, text)
        if kind == "bare":
            return self._word(text)
        raise NotReadable

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while True:
            kind, text = self.next()
            if (kind, text) == ("mark", "}"):
                if found:
                    self.notes.append("trailing comma")
                return found
            key = self._key(kind, text)
            if self.next() != ("mark", ":"):
                raise NotReadable
            if key in found:
                self.notes.append("duplicate key: last wins")
            found[key] = self.value(self.next(), depth)
            closing = self.next()
            if closing == ("mark", "}"):
                return found
            if closing != ("mark", ","):
                raise NotReadable

    def _list(self, depth: int) -> list[Any]:
        found: list[Any] = []
        while True:
            token = self.next()
            if token == ("mark", "]"):
                if found:
                    self.notes.append("trailing comma")
                return found
            found.append(self.value(token, depth))
            closing = self.next()
            if closing == ("mark", "]"):
                return found
            if closing != ("mark", ","):
                raise NotReadable

    def _key(self, kind: str, text: str) -> str:
        if kind in ("double", "single"):
            return self._string(kind, text)
        if kind == "bare" and _KEY.match(text):
            self.notes.append("unquoted key, not JSON")
            return text
        raise NotReadable

    def _string(self, kind: str, text: str) -> str:
        if kind == "single":
            self.notes.append("python repr, not JSON")
        return _ESCAPE.sub(_unescaped, text) if "\\" in text else text

    def _word(self, text: str) -> Any:
        if text in _JSON:
            return _JSON[text]
        if text in _PYTHON:
            self.notes.append("python repr, not JSON")
            return _PYTHON[text]
        if text.lstrip("+-").lower() in _NOT_A_NUMBER:
            self.notes.append(f"{text} is not JSON: value unknown")
            return float("nan")
        if not _NUMBER.match(text) or len(text) > 64:
            raise NotReadable
        return float(text) if any(c in text for c in ".eE") else int(text)


def _unescaped(found: re.Match[str]) -> str:
    code = found[1] or found[2]
    if code:
        character = chr(int(code, 16))
        return "\ufffd" if "\ud800" <= character <= "\udfff" else character
    return _ESCAPES.get(found[3], found[3])
