"""What the answer to a webhook means. Pure.

Many services answer HTTP 200 to a message that they refuse and say so only in the body (WeCom, DingTalk, Feishu: `errcode`,
`code`, `StatusCode`), so the status alone proves nothing.
"""

from __future__ import annotations

import json
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from pydantic import model_validator

from hub.documents import Strict
from hub.model.deliveries import Outcome, Refused, Retry, Sent

MOST_RETRY_AFTER_S = 3_600.0
AGAIN = (408, 425, 429)
_BUSY_CODES = {-1, 429, 9499, 11232, 45009, 45033, 130101, 660026}
"""Too fast, or busy: DingTalk 130101, Feishu 9499 and 11232, WeCom 45009, 45033 and -1."""
_BUSY_WORDS = (
    "too many",
    "too fast",
    "too frequent",
    "freq",
    "rate limit",
    "limit exceeded",
    "busy",
    "限流",
    "频率",
    "繁忙",
)
_GOOD_CODES = (0, 200, 201, 202, 204, "0", "00000", "0000", "200", "ok", "success")
_CODE_KEYS = ("errcode", "errorcode", "error_code", "code", "statuscode", "status_code", "errno", "ret")
_YES_KEYS = ("ok", "success", "succeeded")
_TEXT_KEYS = ("errmsg", "msg", "message", "error", "description", "statusmessage", "error_description", "detail")
_LONGEST_REASON = 160


class Answer(NamedTuple):
    """An HTTP answer. `body` is what was read of it; `whole` False = there was more, or it was encoded."""

    status: int
    body: bytes = b""
    whole: bool = True
    retry_after: str = ""


class Accept(Strict):
    """What a good answer says: the value at the JSON pointer `pointer` is `equals`; or any status 2xx, whatever the body."""

    pointer: str | None = None
    equals: bool | int | float | str | None = None
    any_2xx: bool = False

    @model_validator(mode="after")
    def _one_of_both(self) -> Accept:
        if self.any_2xx == (self.pointer is not None):
            raise ValueError("give either pointer (with equals) or any_2xx: true")
        if self.pointer and not self.pointer.startswith("/"):
            raise ValueError("a JSON pointer begins with '/', e.g. /errcode")
        return self


def judge(answer: Answer, accept: Accept | None, now_ms: int) -> Outcome:
    """Sent only for an answer that says yes; `verified` is False when the body says nothing either way."""
    status = answer.status
    if status in AGAIN or status >= 500:
        return Retry(seconds(answer.retry_after, now_ms), f"HTTP {status}")
    if 300 <= status < 400:
        return Refused(f"HTTP {status}: redirects are not followed, give the final address")
    if not 200 <= status < 300:
        return Refused(f"HTTP {status}" + quoted(said_in(json_of(answer))))
    if accept is not None and accept.any_2xx:
        return Sent(verified=False)
    said = json_of(answer)
    if accept is not None and accept.pointer is not None:
        return _as_configured(said, accept, answer)
    if isinstance(said, dict):
        return _as_usual(said)
    if is_web_page(answer.body):
        return Refused("answered with a web page: a login or an error page, not a receiver")
    return Sent(verified=False)


def _as_configured(said: Any, accept: Accept, answer: Answer) -> Outcome:
    if said is None:
        why = "is not JSON" if answer.whole else "cannot be read whole"
        return Refused(f"the answer {why}, so {accept.pointer} cannot be checked")
    found, value = _at(said, accept.pointer or "")
    if found and _same(value, accept.equals):
        return Sent(receipt=_receipt(said))
    shown = clip(json.dumps(value, ensure_ascii=False)) if found else "missing"
    reason = f"{accept.pointer} is {shown}{quoted(said_in(said))}"
    return Retry(0.0, reason) if is_busy(value, said) else Refused(reason)


def _as_usual(said: dict[str, Any]) -> Outcome:
    """Without a rule of its own: known ways to say no. A body that knows none of them is accepted, unverified."""
    lower = {str(key).lower(): value for key, value in said.items()}
    said_yes = False
    for key in _CODE_KEYS:
        value = lower.get(key)
        if value is None or isinstance(value, dict | list):
            continue
        if (value.lower() if isinstance(value, str) else value) not in _GOOD_CODES or isinstance(value, bool):
            reason = f"{key} {clip(str(value))}{quoted(said_in(said))}"
            return Retry(0.0, reason) if is_busy(value, said) else Refused(reason)
        said_yes = True
    for key in _YES_KEYS:
        if lower.get(key) is False:
            reason = f"{key} is false{quoted(said_in(said))}"
            return Retry(0.0, reason) if is_busy(None, said) else Refused(reason)
        said_yes = said_yes or lower.get(key) is True
    if not said_yes and (
        lower.get("error") or lower.get("errors") or lower.get("status") in ("error", "fail", "failed")
    ):
        return (
            Retry(0.0, "busy" + quoted(said_in(said)))
            if is_busy(None, said)
            else Refused("error" + quoted(said_in(said)))
        )
    return Sent(receipt=_receipt(said), verified=said_yes)


def is_busy(code: Any, said: Any) -> bool:
    if isinstance(code, str) and code.lstrip("-").isdigit():
        code = int(code[:20])
    if isinstance(code, int) and not isinstance(code, bool) and code in _BUSY_CODES:
        return True
    return any(word in said_in(said).lower() for word in _BUSY_WORDS)


def json_of(answer: Answer) -> Any:
    if not answer.whole or not answer.body:
        return None
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        return None


def _at(said: Any, pointer: str) -> tuple[bool, Any]:
    """The value at a JSON pointer (RFC 6901), and whether there is one."""
    for raw in pointer.split("/")[1:]:
        part = raw.replace("~1", "/").replace("~0", "~")
        if isinstance(said, dict) and part in said:
            said = said[part]
        elif isinstance(said, list) and part.isdigit() and int(part[:9]) < len(said):
            said = said[int(part[:9])]
        else:
            return False, None
    return True, said


def _same(found: Any, wanted: Any) -> bool:
    return isinstance(found, bool) == isinstance(wanted, bool) and bool(found == wanted)


def said_in(said: Any) -> str:
    if not isinstance(said, dict):
        return ""
    lower = {str(key).lower(): value for key, value in said.items()}
    return next((value for key in _TEXT_KEYS if isinstance(value := lower.get(key), str) and value), "")


def _receipt(said: Any) -> str:
    if not isinstance(said, dict):
        return ""
    value = next((said[key] for key in ("receipt", "msgid", "message_id", "messageId", "id") if said.get(key)), "")
    return str(value)[:128] if isinstance(value, str | int) else ""


def quoted(text: str) -> str:
    return f": {clip(text)}" if text else ""


def clip(text: str) -> str:
    flat = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * _LONGEST_REASON]).split())
    return flat if len(flat) <= _LONGEST_REASON else flat[: _LONGEST_REASON - 1] + "…"


def is_web_page(body: bytes) -> bool:
    return body[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype html", b"<html"))


def seconds(retry_after: str, now_ms: int) -> float:
    """The header Retry-After in seconds, 0 when it is absent or nonsense."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MOST_RETRY_AFTER_S)
    try:
        at = parsedate_to_datetime(text)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
        return min(max(at.timestamp() - now_ms / 1_000, 0.0), MOST_RETRY_AFTER_S)
    except (TypeError, ValueError, OverflowError, IndexError):
        return 0.0
