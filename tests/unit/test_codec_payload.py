from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.ingest.payload import MAX_BYTES, Malformed, Parsed, parse, parse_object, text_of
from hub.ingest.values import canonical, named, number_in
from hub.model.quantities import BY_CODE, QUANTITIES

JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1)
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=10),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(st.characters(exclude_categories=("Cs",)), max_size=6), inner, max_size=5),
    max_leaves=20,
)  # fmt: skip


@given(JSON)
def test_strict_json_is_read_as_it_is(value: object) -> None:
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        return  # JSON in a string is unpacked
    payload = json.dumps(value).encode()
    for read in (parse, parse_object):
        found = read(payload)
        assert isinstance(found, Parsed)
        assert found.value == value


@pytest.mark.parametrize(
    ("payload", "value", "warning"),
    [
        (b'{"a":1,}', {"a": 1}, "trailing comma"),
        (b"[1,2,]", None, ""),
        (b"{a:1}", {"a": 1}, "unquoted key, not JSON"),
        (b"{'a': None, 'b': True}", {"a": None, "b": True}, "python repr, not JSON"),
        (b'{"a":1,"a":2}', {"a": 2}, "duplicate key: last wins"),
        (b"{a:1,a:2}", {"a": 2}, "duplicate key: last wins"),
        (b'{"a":.5,"b":+1,"c":5.}', {"a": 0.5, "b": 1, "c": 5.0}, ""),
        (b'"{\\"a\\":1}"', {"a": 1}, "JSON encoded twice"),
        (b'{"a":1}{"a":2}', [{"a": 1}, {"a": 2}], "several JSON values in one message"),
        (b'\xef\xbb\xbf{"a":1}', {"a": 1}, "byte order mark"),
        ('{"a":"°"}'.encode("utf-16"), {"a": "°"}, "UTF-16, not UTF-8"),
        ('{"a":"三楼"}'.encode("gb18030"), {"a": "三楼"}, "not UTF-8, read as GB18030"),
        (b'{"a":"\xff"}', {"a": "ÿ"}, "not UTF-8, read as Latin-1"),
        (b'{"a":"x\\u0000y"}', {"a": "x\0y"}, "NUL in text"),
        (b'{"a":"\\ud800"}', {"a": "\ufffd"}, "lone surrogate replaced"),
        (b'{"a":"\\ud83d\\ude00"}', {"a": "😀"}, ""),
        (b'{"a":99999999999999999999}', {"a": 99999999999999999999}, "integer beyond 64 bits"),
        (b"{'a': 'it\\'s', 'b': \"\\u00b0\"}", {"a": "it's", "b": "°"}, "python repr, not JSON"),
    ],
)
def test_liberties_are_taken_and_named(payload: bytes, value: object, warning: str) -> None:
    found = parse(payload)
    assert isinstance(found, Parsed), found
    if value is not None:
        assert found.value == value
    assert not warning or warning in found.warnings


@pytest.mark.parametrize(
    "payload",
    [b"{", b'{"a":1', b'{"a":', b'{"a"', b'{"a":1]', b"{a:b}", b"a:1", b'{"a":1};', b"{,}", b"[1 2]", b'{"a" 1}', b'{"a":1 "b":2}',
     b"{1:2}", b'{"a":tru}', b"{'a':1", b"nonsense", b'{"a":1}{"b":', b'{"key1":, "key2":true}', b"\x00", b"{'a': datetime(1)}"],
)  # fmt: skip
def test_what_has_no_single_meaning_is_malformed(payload: bytes) -> None:
    assert parse(payload) == Malformed("malformed JSON", parse(payload)[1])
    assert isinstance(parse_object(payload), Malformed)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"[" * 33 + b"]" * 33, "nesting too deep"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "nesting too deep"),
        (b"[" * 100_000, "nesting too deep"),
        (b"{a:" * 50_000, "nesting too deep"),
        (b"{" + b",".join(b'"k%d":1' % n for n in range(2_001)) + b"}", "too many keys"),
        (b"[" + b"1," * 20_000 + b"1]", "too many values"),
        (b'{"a":' + b"9" * 4_301 + b"}", "integer too long"),
        (b" " * (MAX_BYTES + 1), "payload too large"),
        (b"", "empty payload"),
        (b" \n", "empty payload"),
    ],
)
def test_limits_are_named(payload: bytes, reason: str) -> None:
    found = parse(payload)
    assert isinstance(found, Malformed)
    assert found.reason == reason


def test_what_is_just_within_the_limits_is_read() -> None:
    deep = b"[" * 32 + b"]" * 32
    wide = b"{" + b",".join(b'"k%d":1' % n for n in range(2_000)) + b"}"
    brackets_in_text = json.dumps({"a": "[" * 500 + ":" * 5_000}).encode()
    for payload in (deep, wide, brackets_in_text, b'{"a":' + b"9" * 4_300 + b"}"):
        assert isinstance(parse(payload), Parsed)
        assert isinstance(parse_object(payload), Parsed)


@given(st.binary(max_size=300))
def test_any_bytes_become_text(payload: bytes) -> None:
    text, warning = text_of(payload)
    assert isinstance(text, str)
    try:
        payload.decode()
    except UnicodeDecodeError:
        assert warning


@pytest.mark.parametrize(
    ("text", "number", "unit"),
    [("23,5", 23.5, ""), ("41 %", 41, "%"), ("1.2 kW", 1.2, "kW"), ("-5", -5, ""), ("1,234.5", 1234.5, ""), ("12.5m3", 12.5, "m3"),
     ("1e3", 1000.0, ""), ("1 234", 1234, ""), ("0,125", 0.125, "")],
)  # fmt: skip
def test_numbers_in_text_are_found(text: str, number: float, unit: str) -> None:
    assert number_in(text, "x", []) == (number, unit)


@pytest.mark.parametrize("text", ["1,234", "1.234,5", "1,2,3", "abc", "12 34 kW h2", "5 or 6", "x5", "1.2.3"])
def test_numbers_with_two_readings_are_not_guessed(text: str) -> None:
    assert number_in(text, "x", []) is None


@given(
    st.sampled_from(BY_CODE),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.lists(st.integers()),
)
def test_any_value_of_any_quantity_gets_an_answer(quantity: object, value: object) -> None:
    warnings: list[str] = []
    found = canonical(quantity, value, "", "x", warnings)  # type: ignore[arg-type]
    assert not isinstance(found, float) or found == found


def test_names_that_people_use_lead_to_quantities() -> None:
    for key, quantity in (
        ("Temperature", "temperature_c"),
        ("batteryVoltage", "battery_v"),
        ("water-leak", "water_leak"),
        ("温度", "temperature_c"),
    ):
        assert (named(key) or ("",))[0] == quantity
        assert quantity in QUANTITIES
    assert named("contact") is None
    assert named("t") is None
