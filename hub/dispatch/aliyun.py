"""Aliyun's telephone services (text messages, calls): signed requests, what their codes mean, and the words for a template. Pure.

Signature: RPC style, version 1.0, HMAC-SHA1. Checked against the example in the documentation of the service.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, get_args
from urllib.parse import quote, urlencode

from hub.dispatch.codes import Again, Code, Codes, Meaning, Never
from hub.dispatch.exchange import Request
from hub.dispatch.fit import part, sound
from hub.model.deliveries import Message

_LIMIT = "isv.BUSINESS_LIMIT_CONTROL"
_ACCOUNT = Never("the account has no money left, or the service is not switched on")
_PARAMS = Never("the template's variables do not fit `params`")
_TEMPLATE = Never("the template does not exist or is not approved")
_SIGN_NAME = Never("the signature name is not approved, or not registered with the carriers")
_BUSY = Again(hint="the service is busy")


def _refined(code: Code, said: str) -> Meaning | None:
    """The limit of calls or messages to one number: by the minute, the hour or the day, said in words only."""
    if code != _LIMIT:
        return None
    lower = said.lower()
    if "天级" in said or "日" in said or "day" in lower:
        return Never("this number has had all that it may get today")
    if "小时" in said or "hour" in lower:
        return Again(300.0, "this number has had all that it may get in an hour")
    return Again(60.0, "this number has had all that it may get in a minute")


def codes(receipt: str) -> Codes:
    """How both services answer; `receipt` is the key of their id."""
    return Codes(
        keys=("Code",),
        good=frozenset({"OK"}),
        meanings=_MEANINGS,
        receipt=lambda body: body.get(receipt, ""),
        refine=_refined,
    )


_MEANINGS: Mapping[Code, Meaning] = {
    _LIMIT: Again(60.0),
    "isv.DAY_LIMIT_CONTROL": Never("the account's limit of a day is reached: raise it in the console"),
    "isv.MONTH_LIMIT_CONTROL": Never("the account's limit of a month is reached: raise it in the console"),
    "isv.AMOUNT_NOT_ENOUGH": _ACCOUNT,
    "isv.OUT_OF_SERVICE": _ACCOUNT,
    "isv.ACCOUNT_ABNORMAL": _ACCOUNT,
    "isv.ACCOUNT_NOT_EXISTS": _ACCOUNT,
    "isv.PRODUCT_UN_SUBSCRIPT": _ACCOUNT,
    "isv.PRODUCT_UNSUBSCRIBE": _ACCOUNT,
    "isv.MOBILE_NUMBER_ILLEGAL": Never("not a telephone number"),
    "isv.MOBILE_COUNT_OVER_LIMIT": Never("not one telephone number"),
    "isv.DISPLAY_NUMBER_ILLEGAL": Never("the number that is shown is not one of the account"),
    "isv.COMPLAINT_REJECT": Never("the carrier blocks calls to this number after complaints"),
    "isv.DENY_IP_RANGE": Never("the hub's address is not on the mainland"),
    "isv.SMS_SIGNATURE_ILLEGAL": _SIGN_NAME,
    "isv.SMS_SIGN_ILLEGAL": _SIGN_NAME,
    "isv.SIGN_STATE_ILLEGAL": _SIGN_NAME,
    "isv.SMS_SIGNATURE_SCENE_ILLEGAL": _SIGN_NAME,
    "isv.SMS_TEMPLATE_ILLEGAL": _TEMPLATE,
    "isv.TTS_TEMPLATE_ILLEGAL": _TEMPLATE,
    "isv.TEMPLATE_ILLEGAL": _TEMPLATE,
    "isv.TEMPLATE_MISSING_PARAMETERS": _PARAMS,
    "isv.TEMPLATE_PARAMS_ILLEGAL": _PARAMS,
    "isv.INVALID_PARAMETERS": _PARAMS,
    "isv.INVALID_JSON_PARAM": _PARAMS,
    "isv.PARAM_LENGTH_LIMIT": Never("a variable is too long: lower `most_characters`"),
    "isv.PARAM_NOT_SUPPORT_URL": Never("a variable holds an address"),
    "isv.BLACK_KEY_CONTROL_LIMIT": Never("a variable holds a word that the service does not allow"),
    "isv.SMS_CONTENT_ILLEGAL": Never("the text holds what the service does not allow"),
    "isp.RAM_PERMISSION_DENY": Never("the access key may not use this service"),
    "isp.SYSTEM_ERROR": _BUSY,
    "isp.GATEWAY_ERROR": _BUSY,
    "isp.UNKNOWN": _BUSY,
    "isv.VOICE_CALL_FAIL": Again(10.0, "the call could not be placed"),
    "InternalError": _BUSY,
    "ServiceUnavailable": _BUSY,
    "Throttling": Again(5.0, "too many calls of the interface"),
    "Throttling.User": Again(5.0, "too many calls of the interface"),
    "Throttling.Api": Again(5.0, "too many calls of the interface"),
    "SignatureNonceUsed": Again(hint="the request arrived twice"),
    "SignatureDoesNotMatch": Never("the secret does not belong to the access key"),
    "IncompleteSignature": Never("the secret does not belong to the access key"),
    "InvalidAccessKeyId.NotFound": Never("there is no such access key"),
    "InvalidAccessKeyId.Inactive": Never("the access key is switched off"),
    "InvalidTimeStamp.Expired": Never("the hub's clock is wrong by more than 15 minutes"),
    "InvalidTimeStamp.Format": Never("the hub's clock is wrong"),
}


# Requests ------------------------------------------------------------------------------------------------------------


def signed_request(
    base_url: str, parameters: Mapping[str, str], *, key_id: str, secret: str, now_ms: int, nonce: str
) -> Request:
    """A POST of `parameters` with what every call carries, signed. A `nonce` is used once."""
    every = {
        **parameters,
        "AccessKeyId": key_id,
        "Format": "JSON",
        "SignatureMethod": "HMAC-SHA1",
        "SignatureNonce": nonce,
        "SignatureVersion": "1.0",
        "Timestamp": datetime.fromtimestamp(now_ms // 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "Version": "2017-05-25",
    }
    form = urlencode({**every, "Signature": signature("POST", every, secret)}, quote_via=quote, safe="")
    return Request(
        url=f"{base_url}/", content=form.encode(), headers={"Content-Type": "application/x-www-form-urlencoded"}
    )


def signature(method: str, parameters: Mapping[str, str], secret: str) -> str:
    """Over method, path and all parameters in the order of their names, everything percent-encoded, the whole once more."""
    query = "&".join(f"{_percent(name)}={_percent(value)}" for name, value in sorted(parameters.items()))
    text = f"{method}&{_percent('/')}&{_percent(query)}"
    return base64.b64encode(hmac.new(f"{secret}&".encode(), text.encode(), hashlib.sha1).digest()).decode()


def _percent(text: str) -> str:
    return quote(text, safe="~")


# Numbers and words ---------------------------------------------------------------------------------------------------

_NUMBER = re.compile(r"\+?[0-9]{5,15}")


def digits_of(target: str) -> str:
    """The number as the service wants it, "" when `target` is none. A mainland number comes without its country."""
    plain = target.replace(" ", "").replace("-", "")
    if not _NUMBER.fullmatch(plain):
        return ""
    digits = plain.removeprefix("+")
    for prefix in ("0086", "86"):
        rest = digits.removeprefix(prefix)
        if digits.startswith(prefix) and len(rest) == 11 and rest.startswith("1"):
            return rest
    return digits.removeprefix("00") if digits.startswith("00") else digits


Word = Literal[
    "danger", "place", "place_2", "device", "action", "action_2", "when", "measured", "time_left", "severity", "alert"
]  # fmt: skip
"""What a variable of a template can say. `…_2` is what did not fit into the first one."""
WORDS: tuple[Word, ...] = get_args(Word)

_BRACKETED = re.compile(r"(?:【([^】]*)】|\[([^\]]*)\])\s*")
_NOT_ALLOWED = re.compile(r"[【】〖〗「」『』\[\]<>{}$①-⑳★※→·\U00010000-\U0010ffff]+")


def words(message: Message, params: Mapping[str, Word], most_characters: int) -> str:
    """The template's variables as JSON, each in at most so many characters: never empty, without what is not allowed."""
    said = {name: _word(message, word, most_characters) or "-" for name, word in params.items()}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def _word(message: Message, word: Word, most: int) -> str:
    second = word.endswith("_2")
    text = " ".join(_NOT_ALLOWED.sub(" ", sound(_said(message, word.removesuffix("_2")))).split())
    return (text[most : 2 * most] if second else text[:most]).strip()


def _said(message: Message, word: str) -> str:
    fields: Mapping[str, Any] = message.fields
    title = part(message, "title") or message.title
    marks = _BRACKETED.match(title)
    found: list[str] = []
    while marks is not None:
        found.append(marks[1] or marks[2] or "")
        title = title[marks.end() :]
        marks = _BRACKETED.match(title)
    match word:
        case "danger":
            return " ".join(found) or message.severity
        case "place":
            return str(fields.get("place_name") or title)
        case "device":
            return str(fields.get("device_name") or fields.get("device") or title)
        case "action":
            return str(fields.get("action") or part(message, "do_now") or title)
        case "when":
            return part(message, "when")
        case "measured":
            return part(message, "measured")
        case "time_left":
            return part(message, "time_left")
        case "alert":
            return str(fields.get("alert", ""))
    return message.severity
