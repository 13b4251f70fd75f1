"""What telephones answer: reports of text messages and calls, texts that people send back, keys that they press. Pure.

The words of the reports are those of Aliyun's services (SmsReport, SmsUp, VoiceReport); other gateways speak the same through
a relay. A callback is believed when it is signed, or when it comes to the address that only the gateway knows.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.dispatch.aliyun import digits_of
from hub.dispatch.links import LinkAction

FRESH_MS = 300_000
LEAST_SECRET = 16
MOST_ITEMS = 500

KEYS: Mapping[str, LinkAction] = {"1": "acknowledge", "2": "on_scene", "3": "false_alarm", "4": "reinforce"}
"""What a pressed key, or a text of one digit, means."""

_WORDS: tuple[tuple[LinkAction, tuple[str, ...]], ...] = (
    ("false_alarm", ("误报", "false")),
    ("reinforce", ("增援", "求援", "help")),
    ("on_scene", ("到场", "已到", "on scene")),
    ("acknowledge", ("受理", "收到", "ok", "ack")),
)
_NOT = ("不", "没", "未", "not", "n't", "no ")
_ANSWERED = "200000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """The service says that what it took under `receipt` reached the telephone, or did not, and why."""

    receipt: str
    good: bool
    reason: str = ""
    key: LinkAction | None = None  # pressed by whoever took the call


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Somebody has sent a text back. `id` is the service's own, "" when it gives none."""

    number: str = field(repr=False)
    action: LinkAction | None
    content: str = field(repr=False)
    id: str = ""


def is_signed(secret: str, timestamp: str, signature: str, body: bytes, now_ms: int) -> bool:
    """As webhooks that the hub sends: `sha256=` and the HMAC of timestamp, a dot and the body; not older than five minutes."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 16):
        return False
    wanted = "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    good = hmac.compare_digest(wanted.encode(), signature.encode("utf-8", "replace"))
    return good and abs(now_ms - int(timestamp)) < FRESH_MS


def is_secret(secret: str, given: str) -> bool:
    """Whether the callback came to the address that only the gateway knows."""
    return hmac.compare_digest(secret.encode(), given.encode("utf-8", "replace"))


def said_by(channel: str, body: Any) -> Iterator[Reached | Text]:
    """What a callback of `channel` (sms, voice) says; what cannot be understood is left out."""
    items = body if isinstance(body, list) else [body]
    for item in items[:MOST_ITEMS]:
        if not isinstance(item, dict):
            continue
        found = _call(item) if channel == "voice" else _text(item) if "content" in item else _report(item)
        if found is not None:
            yield found


def meant(content: str) -> LinkAction | None:
    """The answer in a text: a digit, or a word; None when it is unclear, for an unclear answer must not silence a fire."""
    text = " ".join(content.strip().lower().split())[:200]
    if (found := KEYS.get(text.strip(" .。!！"))) is not None:
        return found
    actions = [action for action, words in _WORDS if any(word in text for word in words)]
    return actions[0] if len(actions) == 1 and not any(word in text for word in _NOT) else None


def _report(item: Mapping[str, Any]) -> Reached | None:
    receipt = _string(item, "biz_id")
    success = item.get("success")
    if not receipt or not isinstance(success, bool):
        return None
    return Reached(receipt=receipt, good=success, reason=_string(item, "err_code"))


def _text(item: Mapping[str, Any]) -> Text | None:
    number, content = digits_of(_string(item, "phone_number")), _string(item, "content")
    if not number:
        return None
    return Text(number=number, action=meant(content), content=content, id=_string(item, "sequence_id"))


def _call(item: Mapping[str, Any]) -> Reached | None:
    receipt = _string(item, "call_id")
    if not receipt:
        return None
    key = KEYS.get(_string(item, "dtmf").strip()[-1:])  # the last one: people correct themselves
    status = _string(item, "status_code")
    return Reached(receipt=receipt, good=key is not None or status == _ANSWERED, reason=status, key=key)


def _string(item: Mapping[str, Any], key: str) -> str:
    value = item.get(key)
    return str(value)[:500] if isinstance(value, str | int) and not isinstance(value, bool) else ""
