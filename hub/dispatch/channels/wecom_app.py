"""WeCom (企业微信) application messages: to a member, a department or a tag of the company, with a card that opens the alert.

A target is a userid, or `party:<id>`, or `tag:<id>`. The service answers HTTP 200 to everything; `errcode` 0 can still name the
member as invalid. What goes beyond 30 messages a minute to a member it drops without a word, so the courier keeps to that.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlencode

from pydantic import Field, model_validator

from hub.clock import monotonic_s
from hub.dispatch.answers import Answer, json_of
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
from hub.dispatch.exchange import Request
from hub.dispatch.fit import cut, fitted, title_of
from hub.dispatch.pace import Limit
from hub.dispatch.service import Service, json_request
from hub.model.deliveries import Message, Outcome, Refused, Retry, Sent

MOST_TEXT_BYTES = 2_048
MOST_TITLE_BYTES = 128
MOST_DESCRIPTION_BYTES = 512
_MOST_JUMPS = 3
_EARLY_S = 120.0
"""A token is renewed so long before its end."""

_STALE = (40014, 42001, 41001)
_TARGET = re.compile(r"(?:party:|tag:)?[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")

CODES = Codes(
    keys=("errcode",),
    good=frozenset({0}),
    meanings={
        -1: Again(hint="the service is busy"),
        40001: Never("the secret is not that of this application"),
        40008: Never("this kind of message is not known"),
        40013: Never("corp_id is wrong"),
        40014: Again(hint="the token was not accepted, twice"),
        40035: Never("the message is not understood"),
        40056: Never("agent_id is wrong"),
        40058: Never("too long, or a field is wrong"),
        41001: Again(hint="the token was not accepted, twice"),
        42001: Again(hint="the token was not accepted, twice"),
        44004: Never("the text is empty"),
        45002: Never("too long"),
        45009: Again(60.0, "too many messages or tokens"),
        45033: Again(5.0, "too many calls at once"),
        60011: Never("the application may not see this member"),
        60020: Never("the hub's address is not among the trusted addresses of the application"),
        81013: Never("the member, department or tag does not exist or does not see the application"),
        301002: Never("the application may not be used with this secret"),
    },
    receipt=lambda body: body.get("msgid", ""),
)


class Config(ChannelConfig):
    """One application of one company. `form`: what people see; every form carries the same words."""

    corp_id: str = Field(min_length=1)
    agent_id: int = Field(gt=0)
    secret_env: str = ""
    secret_file: str = ""
    form: Literal["textcard", "template_card", "text"] = "textcard"
    base_url: BaseUrl = "https://qyapi.weixin.qq.com"
    timeout_s: Patience = 5.0
    ca: str = ""

    @model_validator(mode="after")
    def _one_secret(self) -> Config:
        one_source(self, "secret")
        return self

    def missing(self, environ: Mapping[str, str]) -> list[Missing]:
        return [*missing_secret(self, "secret", environ), *missing_authorities(self.ca, ("ca",))]

    def wrong_target(self, target: str) -> str:
        return "" if _TARGET.fullmatch(target) else "a WeCom contact is a userid, party:<id> or tag:<id>"


class WecomApp:
    """Sent = the service has taken the message for this member. The receipt is its msgid."""

    name = "wecom_app"
    idempotent = False
    limits: tuple[Limit, ...] = (Limit(30, 60.0, reserved=10), Limit(1_000, 3_600.0, reserved=200))

    def __init__(self, config: Config, tools: Tools) -> None:
        self._config = config
        self._secret = secret_of(config, "secret", tools.environ)
        self._service = Service(
            CODES, config.base_url, secrets=(self._secret,), clock=tools.clock, most=8, ca=config.ca
        )
        self._turn = threading.Lock()  # one asks for a token, the others wait for it
        self._token = ""
        self._token_until_s = 0.0

    def send(self, target: str, message: Message, *, timeout_s: float) -> Outcome:
        if wrong := self._config.wrong_target(target):
            return Refused(wrong)
        until_s = monotonic_s() + min(timeout_s, self._config.timeout_s)
        body = body_of(message, self._config.form) | addressed(target) | {"agentid": self._config.agent_id}
        stale = token = ""
        for again in (False, True):
            fresh = self._fresh_token(stale, until_s)
            if not isinstance(fresh, str):
                return fresh
            token = fresh
            url = f"{self._config.base_url}/cgi-bin/message/send?{urlencode({'access_token': token})}"
            answer = self._service.ask(json_request(url, body), timeout_s=max(until_s - monotonic_s(), 0.05))
            if again or not _is_stale(answer):
                break
            stale = token
        outcome = self._service.judged(answer, (token, stale))
        return Refused(left_out) if isinstance(outcome, Sent) and (left_out := _left_out(answer)) else outcome

    def _fresh_token(self, stale: str, until_s: float) -> str | Outcome:
        """A token that is not `stale` and not about to end, or why there is none."""
        if not self._turn.acquire(timeout=max(until_s - monotonic_s(), 0.05)):
            return Retry(0.0, "another message still waits for a token")
        try:
            if self._token and self._token != stale and monotonic_s() < self._token_until_s:
                return self._token
            query = urlencode({"corpid": self._config.corp_id, "corpsecret": self._secret})
            request = Request(url=f"{self._config.base_url}/cgi-bin/gettoken?{query}", method="GET")
            answer = self._service.ask(request, timeout_s=max(until_s - monotonic_s(), 0.05))
            given = json_of(answer) if isinstance(answer, Answer) else None
            token = given.get("access_token") if isinstance(given, dict) else None
            private = (token,) if isinstance(token, str) and token else ()
            outcome = self._service.judged(answer, private)
            if not isinstance(outcome, Sent):
                return outcome
            if not private:
                return Retry(0.0, "the service gave no token")
            lasts_s = given.get("expires_in") if isinstance(given, dict) else None
            self._token = private[0]
            self._token_until_s = monotonic_s() + max((lasts_s if isinstance(lasts_s, int) else 0) - _EARLY_S, 0.0)
            return self._token
        finally:
            self._turn.release()

    def close(self) -> None:
        self._service.close()


def addressed(target: str) -> dict[str, str]:
    kind, colon, code = target.partition(":")
    return {f"to{kind}": code} if colon else {"touser": target}


def body_of(message: Message, form: str) -> dict[str, Any]:
    """The message without its receiver. A card needs an address to open: without one it is a text."""
    links = buttons(message, most=_MOST_JUMPS + 1)
    page = message.links.get("alert", links[0][1] if links else "")
    if form == "text" or not page:
        return {"msgtype": "text", "text": {"content": fitted(message, MOST_TEXT_BYTES)}}
    title = title_of(message, MOST_TITLE_BYTES)
    told = fitted(message, MOST_DESCRIPTION_BYTES, without=("title", "link")) or title
    if form == "textcard":
        return {
            "msgtype": "textcard",
            "textcard": {"title": title, "description": cut(_plain(told), MOST_DESCRIPTION_BYTES), "url": page},
        }
    jumps = [{"type": 1, "title": label, "url": url} for label, url in links if url != page][:_MOST_JUMPS]
    card: dict[str, Any] = {
        "card_type": "text_notice",
        "main_title": {"title": title},
        "sub_title_text": told,
        "card_action": {"type": 1, "url": page},
    }
    return {"msgtype": "template_card", "template_card": card | ({"jump_list": jumps} if jumps else {})}


def _plain(text: str) -> str:
    """A description may hold tags: ours are none."""
    return text.replace("<", "‹").replace(">", "›")


def _is_stale(answer: Answer | Retry) -> bool:
    body = json_of(answer) if isinstance(answer, Answer) else None
    return isinstance(body, dict) and body.get("errcode") in _STALE


def _left_out(answer: Answer | Retry) -> str:
    """Why a message that was taken reaches nobody: each of ours has one receiver, and it is named as invalid."""
    body = json_of(answer) if isinstance(answer, Answer) else None
    for key, why in (
        ("invaliduser", "there is no such member, or the application may not see them"),
        ("invalidparty", "there is no such department, or the application may not see it"),
        ("invalidtag", "there is no such tag, or the application may not see it"),
        ("unlicenseduser", "the member has no licence for messages of applications"),
    ):
        if isinstance(body, dict) and body.get(key):
            return f"errcode 0, but {key}: {why}"
    return ""


def open_channel(config: Config, tools: Tools) -> Channel:
    return WecomApp(config, tools)
