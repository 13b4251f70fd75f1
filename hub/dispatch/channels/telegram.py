"""Telegram: a message of a bot to a person, a group or a channel, with buttons that lead to the alert. A target is a chat id or @name.

A group that became a supergroup has a new id: the service names it, and the message goes there in the same send.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import model_validator

from hub.clock import monotonic_s
from hub.dispatch.answers import MOST_RETRY_AFTER_S, Answer, json_of
from hub.dispatch.buttons import buttons
from hub.dispatch.channels.channel import (
    BaseUrl,
    Channel,
    ChannelConfig,
    Missing,
    Patience,
    Tools,
    missing_authorities,
    missing_secret,
    one_source,
    secret_of,
)
from hub.dispatch.codes import Again, Codes, Never
from hub.dispatch.fit import fitted
from hub.dispatch.pace import Limit
from hub.dispatch.service import Service, json_request
from hub.model.deliveries import Message, Outcome, Refused, Retry

MOST_TEXT_BYTES = 4_096
"""The service takes as many characters, after it has read its marks; bytes are never fewer."""

_MOST_BUTTONS = 5
_TARGET = re.compile(r"-?[0-9]{1,19}|@[A-Za-z][A-Za-z0-9_]{3,31}")

CODES = Codes(
    keys=("error_code", "ok"),
    good=frozenset({True}),
    meanings={
        400: Never("the chat is not known to the bot, or the message is not understood"),
        401: Never("the token is not accepted"),
        403: Never("the bot was blocked, removed, or never started by this person"),
        404: Never("the token is not accepted"),
        409: Again(),
        429: Again(),
    },
    receipt=lambda body: _message_id(body),
)


def _message_id(body: Mapping[str, Any]) -> Any:
    result = body.get("result")
    return result.get("message_id", "") if isinstance(result, dict) else ""


class Config(ChannelConfig):
    """One bot. `base_url`: a relay, or a Bot API server of one's own, where the public one cannot be reached."""

    token_env: str = ""
    token_file: str = ""
    base_url: BaseUrl = "https://api.telegram.org"
    timeout_s: Patience = 5.0
    ca: str = ""

    @model_validator(mode="after")
    def _one_token(self) -> Config:
        one_source(self, "token")
        return self

    def missing(self, environ: Mapping[str, str]) -> list[Missing]:
        return [*missing_secret(self, "token", environ), *missing_authorities(self.ca, ("ca",))]

    def wrong_target(self, target: str) -> str:
        return "" if _TARGET.fullmatch(target) else "a Telegram contact is a chat id or the @name of a channel"


class Telegram:
    """Sent = the message is in the chat. The receipt is its message_id."""

    name = "telegram"
    idempotent = False
    limits: tuple[Limit, ...] = (Limit(20, 60.0, reserved=5),)

    def __init__(self, config: Config, tools: Tools) -> None:
        self._config = config
        token = secret_of(config, "token", tools.environ)
        self._url = f"{config.base_url}/bot{token}/sendMessage"
        self._service = Service(CODES, config.base_url, secrets=(token,), clock=tools.clock, most=8, ca=config.ca)
        self._moved: dict[str, str] = {}  # old id → new id; each entry is written by the thread that sends to this chat

    def send(self, target: str, message: Message, *, timeout_s: float) -> Outcome:
        if wrong := self._config.wrong_target(target):
            return Refused(wrong)
        until_s = monotonic_s() + min(timeout_s, self._config.timeout_s)
        body = body_of(message, with_buttons=True)
        while True:
            chat = self._moved.get(target, target)
            request = json_request(self._url, {"chat_id": chat, **body})
            answer = self._service.ask(request, timeout_s=max(until_s - monotonic_s(), 0.05))
            said = json_of(answer) if isinstance(answer, Answer) else None
            if chat == target and (new := _new_chat(said)):
                self._moved[target] = new
            elif "reply_markup" in body and _dislikes_buttons(said):
                body = body_of(message, with_buttons=False)
            else:
                break
        outcome = self._service.judged(answer)
        after_s = _retry_after_s(said)
        return Retry(after_s, outcome.reason) if isinstance(outcome, Retry) and after_s > outcome.after_s else outcome

    def close(self) -> None:
        self._service.close()


def body_of(message: Message, *, with_buttons: bool) -> dict[str, Any]:
    """The message without its chat. P3 and P4 make no sound."""
    rows = buttons(message, most=_MOST_BUTTONS, public=True) if with_buttons else []
    body: dict[str, Any] = {
        "text": fitted(message, MOST_TEXT_BYTES, without=("link",) if rows else ()),
        "disable_notification": message.severity in ("P3", "P4"),
        "link_preview_options": {"is_disabled": True},
    }
    if rows:
        body["reply_markup"] = {"inline_keyboard": [[{"text": label, "url": url}] for label, url in rows]}
    return body


def _parameters(said: Any) -> Mapping[str, Any]:
    found = said.get("parameters") if isinstance(said, dict) else None
    return found if isinstance(found, dict) else {}


def _new_chat(said: Any) -> str:
    new = _parameters(said).get("migrate_to_chat_id")
    return str(new) if isinstance(new, int) and not isinstance(new, bool) else ""


def _retry_after_s(said: Any) -> float:
    after_s = _parameters(said).get("retry_after")
    return min(max(float(after_s), 0.0), MOST_RETRY_AFTER_S) if isinstance(after_s, int | float) else 0.0


def _dislikes_buttons(said: Any) -> bool:
    """A refusal for the sake of a button's address: the message itself is good."""
    text = str(said.get("description", "")).lower() if isinstance(said, dict) and said.get("ok") is False else ""
    return "button" in text or "inline keyboard" in text or "wrong http url" in text


def open_channel(config: Config, tools: Tools) -> Channel:
    return Telegram(config, tools)
