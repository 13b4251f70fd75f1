"""Where values are: sources of a profile, compiled to functions that find them in a message."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from hub.ingest.mapping.schema import Condition, Looked, When, as_word

MISSING: Final = object()
"""Nothing is there; null is something else."""
_HOLE: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*|\^?/[^{}]*)\}")
_MOST_TEXT: Final = 256


class Scope:
    """What sources can see: the part of the message in hand, the whole of it, and the names of levels and `let`."""

    __slots__ = ("body", "names", "personal", "received_at_ms", "whole")

    def __init__(
        self, body: Any, whole: Any, names: Mapping[str, str], received_at_ms: int, personal: Callable[[str], str]
    ) -> None:
        self.body, self.whole, self.names = body, whole, names
        self.received_at_ms, self.personal = received_at_ms, personal

    def within(self, body: Any, **more: str) -> Scope:
        return Scope(
            body, self.whole, {**self.names, **more} if more else self.names, self.received_at_ms, self.personal
        )


Look = Callable[[Scope], Any]


def path_of(source: str) -> tuple[str, ...]:
    """The keys of a JSON pointer or of a single key."""
    if not source.startswith("/"):
        return (source,) if source else ()
    return tuple(key.replace("~1", "/").replace("~0", "~") for key in source[1:].split("/"))


def at_path(body: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if isinstance(body, dict):
            body = body.get(key, MISSING)
        elif isinstance(body, list) and key.isdigit() and len(key) < 6:
            body = body[int(key)] if int(key) < len(body) else MISSING
        else:
            return MISSING
        if body is MISSING:
            return MISSING
    return body


def look(source: str) -> Look:
    """A function that finds `source`."""
    if source.startswith("="):
        text = source[1:]
        return (lambda scope: text) if "{" not in text else _template(text)
    if "{" in source:
        whole = _HOLE.fullmatch(source)
        if whole is None:
            return _template(source)
        name = whole[1]
        if "/" in name:
            return look(name)
        return lambda scope: scope.names.get(name) or MISSING
    if source.startswith("^"):
        path = path_of(source[1:])
        return lambda scope: at_path(scope.whole, path)
    path = path_of(source)
    if not path:
        return lambda scope: scope.body
    if len(path) == 1:
        key = path[0]
        return lambda scope: scope.body.get(key, MISSING) if type(scope.body) is dict else at_path(scope.body, path)
    return lambda scope: at_path(scope.body, path)


def _template(text: str) -> Look:
    pieces = _HOLE.split(text)
    parts: list[str | Look] = [piece if n % 2 == 0 else look("{" + piece + "}") for n, piece in enumerate(pieces)]

    def fill(scope: Scope) -> Any:
        found = []
        for part in parts:
            if isinstance(part, str):
                found.append(part)
                continue
            value = part(scope)
            if value is MISSING or value is None or isinstance(value, dict | list):
                return MISSING
            found.append(_text(value))
        return "".join(found)[:_MOST_TEXT]

    return fill


def _text(value: Any) -> str:
    return value if isinstance(value, str) else as_word(value)


def first(sources: list[str]) -> Look:
    """The first of `sources` that is there and not null."""
    looks = [look(source) for source in sources]
    if len(looks) == 1:
        return looks[0]

    def find(scope: Scope) -> Any:
        found: Any = MISSING
        for one in looks:
            value = one(scope)
            if value is not MISSING and value is not None and value != "":
                return value
            if found is MISSING:
                found = value
        return found

    return find


def text(sources: list[str]) -> Callable[[Scope], str]:
    """As `first`, as a name: "" when there is none."""
    find = first(sources)

    def name(scope: Scope) -> str:
        value = find(scope)
        if value is MISSING or value is None or isinstance(value, dict | list | float):
            return ""
        return _text(value)[:_MOST_TEXT].strip()

    return name


def looked(spec: Looked) -> Look:
    """A value with its words; MISSING when there is none."""
    find, words, default = first(spec.source), spec.words, spec.default
    scale, minus = spec.scale, first(spec.minus) if spec.minus else None

    def value_of(scope: Scope) -> Any:
        value = find(scope)
        if value is not MISSING and words:
            value = words.get(
                as_word(value) if not isinstance(value, dict | list) else "", MISSING if default is not None else value
            )
        if value is MISSING:
            return default if default is not None else MISSING
        if minus is not None or scale != 1:
            less = 0 if minus is None else minus(scope)
            if not _is_number(value) or not _is_number(less):
                return MISSING
            return round((value - less) * scale, 9)
        if spec.personal and isinstance(value, str | int):
            return scope.personal(str(value)[:_MOST_TEXT])
        return value

    return value_of


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15


_KINDS: Final[dict[str, Callable[[Any], bool]]] = {
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "text": lambda v: isinstance(v, str),
    "switch": lambda v: isinstance(v, bool),
    "list": lambda v: isinstance(v, list),
    "object": lambda v: isinstance(v, dict),
    "null": lambda v: v is None,
}


def condition(when: When) -> Callable[[Scope], bool] | None:
    """Whether all that `when` says holds; None when it says nothing."""
    if not when:
        return None
    tests = [(look(source), _test(what)) for source, what in when.items()]
    pairs = [(look(source), look(what.differs)) for source, what in when.items() if what.differs is not None]
    if not pairs:
        return lambda scope: all(test(find(scope)) for find, test in tests)
    return lambda scope: (
        all(test(find(scope)) for find, test in tests)
        and all(as_word(one(scope)) != as_word(other(scope)) for one, other in pairs)
    )


def _test(what: Condition) -> Callable[[Any], bool]:
    eq = None if what.eq is None else {as_word(value) for value in what.eq}
    ne = None if what.ne is None else {as_word(value) for value in what.ne}
    kind = _KINDS[what.kind] if what.kind else None

    def holds(value: Any) -> bool:
        there = value is not MISSING
        if what.present is not None and there != what.present:
            return False
        if not there:
            return what.present is False and eq is None
        word = "" if isinstance(value, dict | list) else as_word(value)
        if (eq is not None and word not in eq) or (ne is not None and word in ne):
            return False
        if kind is not None and not kind(value):
            return False
        if what.starts is not None and not (isinstance(value, str) and value.startswith(tuple(what.starts))):
            return False
        if what.above is not None or what.below is not None:
            return (
                _is_number(value)
                and (what.above is None or value > what.above)
                and (what.below is None or value < what.below)
            )
        return True

    return holds


def topic_pattern(pattern: str, root: str) -> re.Pattern[str]:
    """A topic pattern as an expression whose groups are its names. ValueError for what is none."""
    pattern = pattern.replace("{root}", root) if root else pattern.removeprefix("{root}/").replace("{root}", "")
    expression, seen = "", set[str]()
    for n, level in enumerate(pattern.split("/")):
        hole = re.fullmatch(r"\{([A-Za-z_][A-Za-z0-9_]*)([+*]?)\}", level)
        if hole is not None:
            name, more = hole[1], hole[2]
            if name in seen:
                raise ValueError(f"the name {name!r} is given twice")
            seen.add(name)
            inner = f"(?P<{name}>{'.+' if more else '[^/]+'})"
            if more == "*":  # with the slash behind it, for there may be nothing at all
                expression += f"(?:{inner}/)?"
                continue
        elif level == "#":
            expression = expression.removesuffix("/") + "(?:/.*)?" if n else ".*"
            continue
        elif level == "+":
            inner = "[^/]+"
        elif any(c in level for c in "{}+#"):
            raise ValueError(f"the level {level!r}: a name or a wildcard stands alone between slashes")
        else:
            inner = re.escape(level)
        expression += inner + "/"
    return re.compile(expression.removesuffix("/") + r"\Z", re.DOTALL)
