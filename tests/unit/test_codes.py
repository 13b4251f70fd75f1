"""What an answer with a service's own codes means: only the code says yes, and what is not understood is never a yes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.dispatch.answers import Answer
from hub.dispatch.codes import Again, Codes, Meaning, Never
from hub.model.deliveries import Outcome, Refused, Retry, Sent

NUMBERS = Codes(
    keys=("errcode", "code"),
    good=frozenset({0}),
    meanings={-1: Again(), 45009: Again(60.0), 40058: Never("shorten it")},
    receipt=lambda body: body.get("msgid", ""),
)
WORDS = Codes(keys=("Code",), good=frozenset({"OK"}), meanings={"isv.LIMIT": Again(60.0)})


def answered(
    body: Any, status: int = 200, *, codes: Codes = NUMBERS, retry_after: str = "", whole: bool = True
) -> Outcome:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return codes.judge(Answer(status, content, whole, retry_after), 0)


@pytest.mark.parametrize(
    ("body", "status", "outcome"),
    [
        ({"errcode": 0, "errmsg": "ok"}, 200, Sent()),
        ({"errcode": "0"}, 200, Sent()),
        ({"errcode": 0, "msgid": "m-1"}, 200, Sent("m-1")),
        ({"errcode": 0, "msgid": {"no": "text"}}, 200, Sent()),
        ({"code": 0}, 200, Sent()),
        ({"errcode": False}, 200, Refused("errcode False")),
        ({"errcode": 45009, "errmsg": "freq"}, 200, Retry(60.0, "errcode 45009: freq")),
        ({"errcode": 40058, "errmsg": "too long"}, 200, Refused("errcode 40058: too long (shorten it)")),
        ({"errcode": 7}, 200, Refused("errcode 7")),
        ({"errcode": 7, "errmsg": "rate limit reached"}, 200, Retry(0.0, "errcode 7: rate limit reached")),
        ({"errcode": 7}, 503, Retry(0.0, "errcode 7")),
        ({"errcode": 0}, 404, Refused("errcode 0")),
        ({"errcode": 0}, 302, Refused("HTTP 302: redirects are not followed, correct base_url")),
        (b"", 403, Refused("HTTP 403")),
        (b"busy", 429, Retry(0.0, "HTTP 429")),
    ],
)  # fmt: skip
def test_the_code_decides_and_not_the_status(body: Any, status: int, outcome: Outcome) -> None:
    assert answered(body, status) == outcome


def test_a_service_may_say_when_to_come_again_in_the_header_too() -> None:
    assert answered({"errcode": 45009}, 429, retry_after="90") == Retry(90.0, "errcode 45009")
    assert answered({"errcode": 45009}, 429, retry_after="5") == Retry(60.0, "errcode 45009")


@pytest.mark.parametrize(
    "body", [b"", b"ok", b"\xff", b"[]", b'{"errmsg":"ok"}', b'{"errcode":null}', b"<html>Sign in"]
)
def test_an_answer_without_a_code_is_tried_again(body: bytes) -> None:
    assert isinstance(answered(body), Retry)


def test_half_an_answer_is_tried_again() -> None:
    assert isinstance(answered(b'{"errcode":0', whole=False), Retry)


def test_codes_that_are_words_are_not_taken_for_numbers() -> None:
    assert answered({"Code": "OK"}, codes=WORDS) == Sent()
    assert answered({"Code": "0"}, codes=WORDS) == Refused("Code 0")
    assert answered({"Code": "isv.LIMIT", "Message": "1/min"}, codes=WORDS) == Retry(60.0, "Code isv.LIMIT: 1/min")


def test_words_beside_a_code_can_change_its_meaning() -> None:
    def refine(code: Any, said: str) -> Meaning | None:
        return Again(5.0) if code == 9499 and "too many" in said else None

    codes = Codes(keys=("code",), good=frozenset({0}), meanings={9499: Never()}, refine=refine)
    assert isinstance(answered({"code": 9499, "msg": "Bad Request"}, codes=codes), Refused)
    assert answered({"code": 9499, "msg": "too many request"}, codes=codes) == Retry(5.0, "code 9499: too many request")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | st.sampled_from(["errcode", "code", "errmsg", "msgid"]), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@given(anything, st.sampled_from([200, 204, 301, 400, 429, 500]))
def test_no_answer_makes_it_raise_and_only_a_zero_is_a_yes(body: Any, status: int) -> None:
    outcome = answered(body, status)
    if isinstance(outcome, Sent):
        code = body.get("errcode")
        code = code if isinstance(code, int) or (isinstance(code, str) and code) else body.get("code")
        assert code in (0, "0", "-0", "00", "000")
        assert status in (200, 204)


@given(st.binary(max_size=60), st.booleans())
def test_no_bytes_make_it_raise(body: bytes, whole: bool) -> None:
    assert isinstance(answered(body, whole=whole), Retry | Refused)
