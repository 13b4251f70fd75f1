"""One-tap links in a notification: signed, for one recipient, for one action, for a while. Pure.

A link is all that its holder needs to act, so it is treated as a secret: it stands in no log, and only its id is stored.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Literal, get_args

from hub.dispatch.asked import ASKED, CONTACT_TEST
from hub.model.alerts import Alert
from hub.model.deliveries import Delivery

LinkAction = Literal["acknowledge", "on_scene", "false_alarm", "reinforce"]
ACTIONS: tuple[LinkAction, ...] = get_args(LinkAction)
PATH = "/l"
"""Short: the addresses travel in messages that have little room."""

LEAST_KEY_BYTES = 16
_SIGNATURE_BYTES = 16
_MOST_CHARACTERS = 600
_OVER = ("cleared", "closed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What a good link says. `occurrence`: which time the alert fired when it was sent; `id` is the same for every try of it."""

    action: LinkAction
    alert_id: str
    recipient: str
    transition: str
    occurrence: int
    expires_at_ms: int
    id: str = field(repr=False)

    def has_expired(self, now_ms: int) -> bool:
        return now_ms >= self.expires_at_ms

    def is_outdated(self, alert: Alert) -> bool:
        """Whether `alert` has fired again since: an answer to the fire before must not silence this one."""
        return alert.occurrences > self.occurrence and self.action in ("acknowledge", "false_alarm")


class Links:
    """Makes links and reads them. `key` is the same on every hub that must understand them; it is never shown."""

    def __init__(self, key: bytes, public_url: str, *, lifetime_ms: int = 12 * 3_600_000) -> None:
        if len(key) < LEAST_KEY_BYTES:
            raise ValueError("a key for links has at least 16 bytes")
        self._key, self._lifetime_ms = key, lifetime_ms
        self._base = f"{public_url.rstrip('/')}{PATH}"

    def of(self, alert: Alert, delivery: Delivery, now_ms: int) -> dict[str, str]:
        """Action → address for the recipient of `delivery`. Nothing for tests, news that it is over, and several alerts in one.

        A question (a test of a contact, a duty check) can only be acknowledged; the former has a `code` beside the link.
        """
        if alert.rule_id in ASKED and alert.live and alert.acked_at_ms is None:
            until_s = (now_ms + self._lifetime_ms) // 1_000
            code = {"code": self.code(alert.id)} if alert.rule_id == CONTACT_TEST else {}
            return {"acknowledge": f"{self._base}/{self._token('acknowledge', alert, delivery, until_s)}", **code}
        if alert.test or not alert.live or delivery.about or delivery.transition.split(":")[0] in _OVER:
            return {}
        until_s = (now_ms + self._lifetime_ms) // 1_000
        wanted = [a for a in ACTIONS if not (a == "acknowledge" and alert.acked_at_ms is not None)]
        return {action: f"{self._base}/{self._token(action, alert, delivery, until_s)}" for action in wanted}

    def code(self, alert_id: str) -> str:
        """Six digits that only who has received the test `alert_id` of their contact can know."""
        number = hmac.new(self._key, b"gridhub contact code 1:" + alert_id.encode(), hashlib.sha256).digest()
        return f"{int.from_bytes(number[:8], 'big') % 1_000_000:06d}"

    def read(self, token: str) -> Link | None:
        """What `token` says; None when it is none of ours. Whether it has expired is for the caller to ask."""
        body, dot, signature = token.partition(".")
        if not dot or len(token) > _MOST_CHARACTERS or not _same(self._sign(body), signature):
            return None
        number, alert_id, recipient, transition, occurrence, until_s = json.loads(_unpacked(body))
        return Link(
            action=ACTIONS[number],
            alert_id=alert_id,
            recipient=recipient,
            transition=transition,
            occurrence=occurrence,
            expires_at_ms=until_s * 1_000,
            id=_id(ACTIONS[number], alert_id, recipient, transition),
        )

    def _token(self, action: LinkAction, alert: Alert, delivery: Delivery, until_s: int) -> str:
        said = [ACTIONS.index(action), alert.id, delivery.recipient, delivery.transition, alert.occurrences, until_s]
        body = _packed(json.dumps(said, separators=(",", ":")).encode())
        return f"{body}.{self._sign(body)}"

    def _sign(self, body: str) -> str:
        digest = hmac.new(self._key, b"gridhub link 1:" + body.encode("utf-8", "replace"), hashlib.sha256).digest()
        return _packed(digest[:_SIGNATURE_BYTES])


def _id(action: str, alert_id: str, recipient: str, transition: str) -> str:
    """What is stored of a link that was used: the same for one person, whatever channel it came by."""
    text = json.dumps([action, alert_id, recipient, transition]).encode()
    return hashlib.blake2b(text, digest_size=12).hexdigest()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode("utf-8", "replace"))


def _packed(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _unpacked(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
