"""Bytes → plain data. The fast path is strict JSON; what fails there is read tolerantly, with a warning for each liberty taken.

Nothing is ever completed: a message that was cut short is malformed, so that noise cannot become an alarm.
"""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import Any, Final, NamedTuple

import msgspec

from hub.ingest.lenient import NotReadable, read_lenient

MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 32
MAX_KEYS: Final = 2_000
MAX_LENIENT_BYTES: Final = 4 * 1024  # the tolerant reader is slow: larger messages must be JSON
MAX_VALUES: Final = 10_000
MAX_BRACKETS: Final = 8_000
MAX_DIGITS: Final = 4_300

TOO_LARGE: Final = "payload too large"
TOO_DEEP: Final = "nesting too deep"
TOO_MANY_KEYS: Final = "too many keys"
INTEGER_TOO_LONG: Final = "integer too long"
MALFORMED: Final = "malformed JSON"
EMPTY: Final = "empty payload"

STRICT_ERRORS: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What a msgspec decoder may raise on foreign bytes."""

strict: Final = msgspec.json.Decoder().decode
"""Strict JSON without limits of depth and keys: only for payloads that `is_small` let through."""
_PLAIN_BYTES: Final = 1_024  # too short to hold 2,000 keys
_STARTS: Final = frozenset(bytes((byte,)) for byte in b'{["-0123456789tfnNI')
_CONTROLS: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_STRINGS: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_BRACKETS: Final = re.compile(rb"[\[\]{}]")
_DIGITS_ALIKE: Final = bytes.maketrans(b"0123456789", b"0000000000")
_TOO_LONG: Final = b"0" * (MAX_DIGITS + 1)
_WIDE_INTEGER: Final = re.compile(rb"\d{19}")
_LONE_SURROGATE: Final = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)


class Parsed(NamedTuple):
    """Plain data (dict, list, str, int, float, bool, None; floats may be NaN) and the liberties taken."""

    value: Any
    warnings: tuple[str, ...] = ()


class Malformed(NamedTuple):
    """Why the bytes are not data: a short stable reason and a detail."""

    reason: str
    detail: str = ""


def parse(payload: bytes) -> Parsed | Malformed:
    """`payload` as data within the limits (256 KiB, depth 32, 2,000 keys). Never raises."""
    if len(payload) > MAX_BYTES:
        return Malformed(TOO_LARGE, f"{len(payload)} bytes, at most {MAX_BYTES}")
    if not payload.strip():
        return Malformed(EMPTY)
    if len(payload) > MAX_LENIENT_BYTES and _is_noise(payload):
        return Malformed(MALFORMED, "no text at all")
    beyond = beyond_limits(payload)
    if beyond is not None:
        return beyond
    if len(payload) <= _PLAIN_BYTES and b"\\u" not in payload and not _WIDE_INTEGER.search(payload):
        try:
            value = strict(payload)
        except STRICT_ERRORS:
            pass
        else:
            # As many keys as there are colons after a quote: no key came twice.
            if type(value) is dict and len(value) == payload.count(b'":') and not any(map(_nests, value.values())):
                return Parsed(value)
    text, warning = text_of(payload)
    warnings = [warning] if warning else []
    if warning and (beyond := beyond_limits(text.encode("utf-8", "replace"))) is not None:
        return beyond
    try:
        value = _standard(text, warnings)
    except RecursionError:
        return Malformed(TOO_DEEP, f"more than {MAX_DEPTH} levels")
    except ValueError as refusal:
        if len(payload) > MAX_LENIENT_BYTES:
            return Malformed(MALFORMED, _in_words(refusal))
        try:
            value = read_lenient(text, warnings, MAX_DEPTH)
        except NotReadable:
            return Malformed(MALFORMED, _in_words(refusal))
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        return _encoded_twice(value, warnings)
    return Parsed(value, tuple(dict.fromkeys(warnings)))


def _is_noise(payload: bytes) -> bool:
    """Whether a long payload cannot be JSON in any encoding: told before its bytes are decoded, which takes long for noise."""
    if payload.startswith((b"\xff\xfe", b"\xfe\xff")) or payload[:4].count(0) == 2:
        return False
    start = payload.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    return start not in _STARTS or _CONTROLS.search(payload) is not None


def _in_words(refusal: ValueError) -> str:
    """Where it stops being JSON, for people who do not read Python."""
    if not isinstance(refusal, json.JSONDecodeError):
        return str(refusal)
    at = f"character {refusal.pos + 1}"
    if refusal.msg.startswith("Extra data"):
        return f"more text behind the JSON, from {at} on"
    if refusal.msg.startswith("Unterminated string"):
        return f"the string that begins at {at} does not end"
    return f"no JSON at {at}"


def _nests(value: Any) -> bool:
    return type(value) is dict or type(value) is list


def beyond_limits(payload: bytes) -> Malformed | None:
    """Whether the text has too many levels, keys, values or digits; counted on the bytes, so that no parser meets them."""
    values, quotes = payload.count(b","), payload.count(b'"')
    if values > MAX_VALUES or quotes > 2 * MAX_VALUES:
        return Malformed("too many values", f"{max(values, quotes // 2)}, at most {MAX_VALUES}")
    opens = payload.count(b"{") + payload.count(b"[")
    if opens > MAX_DEPTH or payload.count(b":") > MAX_KEYS:
        bare = _STRINGS.sub(b"", payload)
        depth = seen = 0
        for bracket in islice(_BRACKETS.finditer(bare), MAX_BRACKETS + 1):
            seen += 1
            depth += 1 if bracket[0] in b"{[" else -1
            if depth > MAX_DEPTH:
                return Malformed(TOO_DEEP, f"more than {MAX_DEPTH} levels")
        if seen > MAX_BRACKETS:
            return Malformed("too many objects", f"more than {MAX_BRACKETS} brackets")
        keys = bare.count(b":")
        if keys > MAX_KEYS:
            return Malformed(TOO_MANY_KEYS, f"{keys} keys, at most {MAX_KEYS}")
    if len(payload) > MAX_DIGITS and _TOO_LONG in payload.translate(_DIGITS_ALIKE):
        return Malformed(INTEGER_TOO_LONG, f"more than {MAX_DIGITS} digits")
    return None


def text_of(payload: bytes) -> tuple[str, str]:
    """The bytes as text, and a warning ("" = plain UTF-8): byte order marks, UTF-16, then UTF-8, GB18030, Latin-1."""
    if payload.startswith(b"\xef\xbb\xbf"):
        payload, mark = payload[3:], "byte order mark"
    elif payload.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return payload.decode("utf-16").lstrip("\ufeff"), "UTF-16, not UTF-8"
        except UnicodeDecodeError:
            mark = ""
    else:
        mark = ""
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        pass
    else:
        if text[:4].count("\0") == 2 and len(payload) % 2 == 0:
            try:
                return payload.decode("utf-16-le" if payload[1] == 0 else "utf-16-be"), "UTF-16, not UTF-8"
            except UnicodeDecodeError:
                pass
        return text, mark
    try:
        return payload.decode("gb18030"), "not UTF-8, read as GB18030"
    except UnicodeDecodeError:
        return payload.decode("latin-1"), "not UTF-8, read as Latin-1"


def _standard(text: str, warnings: list[str]) -> Any:
    """`text` by the standard library's reader, noting NaN, duplicate keys, wide integers, NUL and lone surrogates."""

    def constant(name: str) -> float:
        warnings.append(f"{name} is not JSON: value unknown")
        return float("nan")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            warnings.append("duplicate key: last wins")
        return found

    def integer(digits: str) -> int:
        value = int(digits)
        if not -(2**63) <= value < 2**63:
            warnings.append("integer beyond 64 bits")
        return value

    is_short = len(text) <= MAX_LENIENT_BYTES
    if "\\u" in text and _LONE_SURROGATE.search(text):
        if not is_short:
            raise ValueError("lone surrogate")
        text = _LONE_SURROGATE.sub(r"\\ufffd", text)
        warnings.append("lone surrogate replaced")
    if "\\u0000" in text or "\0" in text:
        warnings.append("NUL in text")
    hooks: dict[str, Any] = {"parse_constant": constant, "object_pairs_hook": unique}
    if is_short:  # a call for each integer: in longer messages only the values that become readings are looked at
        hooks["parse_int"] = integer
    return json.loads(text, **hooks)


def _encoded_twice(inner: str, warnings: list[str]) -> Parsed | Malformed:
    """JSON inside a JSON string: unpacked once, never again."""
    beyond = beyond_limits(inner.encode("utf-8", "replace"))
    if beyond is not None:
        return beyond
    try:
        value = _standard(inner, warnings)
    except (ValueError, RecursionError):
        return Malformed(MALFORMED, "JSON inside a string, not readable")
    return Parsed(value, tuple(dict.fromkeys((*warnings, "JSON encoded twice"))))


def is_small(payload: bytes) -> bool:
    """Whether `payload` is certainly within the limits of depth and keys."""
    return len(payload) <= _PLAIN_BYTES and payload.count(b"{") + payload.count(b"[") <= MAX_DEPTH


def parse_object(payload: bytes) -> Parsed | Malformed:
    """As `parse`, faster for strict JSON; keeps no note of duplicate keys. `value` may still be anything JSON can say."""
    if len(payload) > MAX_BYTES:
        return Malformed(TOO_LARGE, f"{len(payload)} bytes, at most {MAX_BYTES}")
    if not is_small(payload):
        if len(payload) > MAX_LENIENT_BYTES and payload.strip() and _is_noise(payload):
            return Malformed(MALFORMED, "no text at all")
        beyond = beyond_limits(payload)
        if beyond is not None:
            return beyond
    try:
        value = strict(payload)
    except STRICT_ERRORS:
        return parse(payload)
    if type(value) is str:
        return parse(payload)
    return Parsed(value)
