"""ntfy: push notifications to phones by a server of one's own (or ntfy.sh). A target is a topic.

Whoever knows a topic can read it unless the server asks for tokens. A message of more than 4,096 bytes would become a file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import model_validator

from hub.dispatch.buttons import buttons, is_over
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
from hub.dispatch.fit import fitted, title_of
from hub.dispatch.pace import Limit
from hub.dispatch.service import Service, json_request
from hub.model.deliveries import Message, Outcome, Refused

MOST_TEXT_BYTES = 4_000
MOST_TITLE_BYTES = 500
_MOST_ACTIONS = 3
_TOPIC = re.compile(r"[-_A-Za-z0-9]{1,64}")
_PRIORITY = {"P1": 5, "P2": 4, "P3": 3, "P4": 2}
_TAG = {"P1": "rotating_light", "P2": "warning", "P3": "wrench", "P4": "information_source"}
_OVER_PRIORITY, _OVER_TAG = 3, "white_check_mark"

CODES = Codes(
    keys=("code", "event"),
    good=frozenset({"message"}),
    meanings={
        40009: Never("the server does not allow this topic"),
        40017: Never("the message is not understood"),
        40018: Never("the buttons are not understood"),
        40101: Never("the token is not accepted"),
        40301: Never("the token may not write to this topic"),
        41301: Never("too long"),
        41303: Never("too long"),
        42901: Again(5.0, "too many requests from this hub"),
        42904: Again(60.0, "the server has as many topics as it may have"),
        42905: Again(600.0, "the server's daily limit for this hub is reached"),
        42908: Again(600.0, "the server's daily limit for this hub is reached"),
        42909: Again(60.0, "too many tokens that were not accepted"),
    },
    receipt=lambda body: body.get("id", ""),
)


class Config(ChannelConfig):
    """One server. `token_*` may be left out where the server lets everybody write."""

    base_url: BaseUrl
    token_env: str = ""
    token_file: str = ""
    timeout_s: Patience = 5.0
    ca: str = ""

    @model_validator(mode="after")
    def _one_token(self) -> Config:
        one_source(self, "token", needed=False)
        return self

    def missing(self, environ: Mapping[str, str]) -> list[Missing]:
        return [*missing_secret(self, "token", environ), *missing_authorities(self.ca, ("ca",))]

    def wrong_target(self, target: str) -> str:
        return "" if _TOPIC.fullmatch(target) else "an ntfy topic has up to 64 letters, digits, - and _"


class Ntfy:
    """Sent = the server has the message for whoever has subscribed. The receipt is its id."""

    name = "ntfy"
    idempotent = False
    limits: tuple[Limit, ...] = ()  # the server counts for the whole hub, over all topics

    def __init__(self, config: Config, tools: Tools) -> None:
        self._config = config
        self._token = secret_of(config, "token", tools.environ)
        self._service = Service(CODES, config.base_url, secrets=(self._token,), clock=tools.clock, most=8, ca=config.ca)

    def send(self, target: str, message: Message, *, timeout_s: float) -> Outcome:
        if wrong := self._config.wrong_target(target):
            return Refused(wrong)
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        request = json_request(f"{self._config.base_url}/", {"topic": target, **body_of(message)}, headers)
        return self._service.call(request, timeout_s=min(timeout_s, self._config.timeout_s))

    def close(self) -> None:
        self._service.close()


def body_of(message: Message) -> dict[str, Any]:
    """The message without its topic. A tap opens the alert; the first three answers are buttons."""
    title = title_of(message, MOST_TITLE_BYTES)
    over = is_over(message)
    body: dict[str, Any] = {
        "title": title,
        "message": fitted(message, MOST_TEXT_BYTES, without=("title", "link")) or title,
        "priority": _OVER_PRIORITY if over else _PRIORITY.get(message.severity, 3),
        "tags": [_OVER_TAG if over else _TAG.get(message.severity, "warning")],
    }
    if page := message.links.get("alert"):
        body["click"] = page
    shown = buttons(message, most=_MOST_ACTIONS)
    if shown:
        body["actions"] = [{"action": "view", "label": label, "url": url, "clear": True} for label, url in shown]
    return body


def open_channel(config: Config, tools: Tools) -> Channel:
    return Ntfy(config, tools)
