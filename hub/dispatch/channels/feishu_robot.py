"""Feishu (飞书) and Lark group robots: a signed text to a group. A target is the robot's name in hub.yaml.

For Lark set `base_url: https://open.larksuite.com`. The service says in `code` what became of a message, mostly with HTTP 200.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import Field, model_validator

from hub.dispatch.buttons import calls
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
from hub.dispatch.codes import Again, Code, Codes, Meaning, Never
from hub.dispatch.fit import fitted, with_keyword
from hub.dispatch.pace import Limit
from hub.dispatch.service import Service, json_request, other_host, token_in
from hub.documents import Strict
from hub.model.deliveries import Message, Outcome, Refused

MOST_TEXT_BYTES = 8_000
"""The whole request may have 20 KiB; in the worst case every character of the text is written with two."""

_GENERAL = 9499
_EVERYBODY = "all"


def _refined(code: Code, said: str) -> Meaning | None:
    """9499 is the code of every bad request, and of too many good ones."""
    return Again(5.0, "too fast") if code == _GENERAL and "too many" in said.lower() else None


CODES = Codes(
    keys=("code", "StatusCode"),
    good=frozenset({0}),
    meanings={
        9499: Never("the message is not understood"),
        11232: Again(5.0, "too fast: 5 in a second or 100 in a minute"),
        19001: Never("there is no robot with this token: it was removed, or the token is wrong"),
        19002: Never("the message is not understood"),
        19021: Never("the secret is not that of the robot, or the hub's clock is wrong by more than an hour"),
        19022: Never("the hub's address is not among those that the robot allows"),
        19024: Never("the message lacks the robot's keyword: set `keyword`"),
    },
    refine=_refined,
)


class Robot(Strict):
    """One robot. `token_*`: the last part of its address, or the whole address. `secret_*`: the key of its signature.

    `mention`: whom a P1 mentions, user ids or "all". `keyword`: for robots that take only messages with this word.
    """

    token_env: str = ""
    token_file: str = ""
    secret_env: str = ""
    secret_file: str = ""
    mention: tuple[Annotated[str, Field(pattern=r"^[\w-]+$")], ...] = (_EVERYBODY,)
    keyword: str = ""

    @model_validator(mode="after")
    def _one_of_each(self) -> Robot:
        one_source(self, "token")
        one_source(self, "secret", needed=False)
        return self


class Config(ChannelConfig):
    """Robots by the name that contacts of people and stations use."""

    robots: dict[str, Robot] = {}
    base_url: BaseUrl = "https://open.feishu.cn"
    timeout_s: Patience = 5.0
    ca: str = ""

    def missing(self, environ: Mapping[str, str]) -> list[Missing]:
        found = missing_authorities(self.ca, ("ca",))
        for name, robot in self.robots.items():
            at = ("robots", name)
            wrong = missing_secret(robot, "token", environ, at)
            if not wrong and (why := other_host(secret_of(robot, "token", environ), self.base_url)):
                remedy = "copy it again, or set base_url (Lark: https://open.larksuite.com)"
                wrong = [((*at, "token_env" if robot.token_env else "token_file"), why, remedy)]
            found += [*wrong, *missing_secret(robot, "secret", environ, at)]
        return found

    def targets(self) -> frozenset[str]:
        return frozenset(self.robots)


class FeishuRobot:
    """Sent = the service has taken the message for the group. Nobody is known to have read it."""

    name = "feishu_robot"
    idempotent = False
    limits: tuple[Limit, ...] = (Limit(100, 60.0, reserved=20), Limit(5, 1.0, reserved=1))

    def __init__(self, config: Config, tools: Tools) -> None:
        self._config, self._clock = config, tools.clock
        self._tokens, self._secrets = {}, {}
        for name, robot in config.robots.items():
            self._tokens[name] = token_in(secret_of(robot, "token", tools.environ))
            self._secrets[name] = secret_of(robot, "secret", tools.environ)
        private = (*self._tokens.values(), *self._secrets.values())
        self._services = {
            name: Service(CODES, config.base_url, secrets=private, clock=tools.clock, ca=config.ca)
            for name in config.robots
        }

    def send(self, target: str, message: Message, *, timeout_s: float) -> Outcome:
        service = self._services.get(target)
        if service is None:
            return Refused("no Feishu robot of this name is in hub.yaml")
        body = body_of(message, self._config.robots[target])
        if secret := self._secrets[target]:
            timestamp = str(self._clock() // 1_000)
            body = {"timestamp": timestamp, "sign": signature(secret, timestamp), **body}
        url = f"{self._config.base_url}/open-apis/bot/v2/hook/{quote(self._tokens[target], safe='')}"
        return service.call(json_request(url, body), timeout_s=min(timeout_s, self._config.timeout_s))

    def close(self) -> None:
        for service in self._services.values():
            service.close()


def signature(secret: str, timestamp: str) -> str:
    """HMAC-SHA256 of nothing, with timestamp, line feed and secret as its key, in base64."""
    return base64.b64encode(hmac.new(f"{timestamp}\n{secret}".encode(), b"", hashlib.sha256).digest()).decode()


def body_of(message: Message, robot: Robot) -> dict[str, Any]:
    # Text may hold tags for mentions: ours are the only ones.
    text = fitted(message, MOST_TEXT_BYTES).replace("<", "‹").replace(">", "›")
    text = with_keyword(text, robot.keyword)
    if calls(message) and robot.mention:
        text = f"{text}\n" + "".join(f'<at user_id="{who}"></at>' for who in robot.mention)
    return {"msg_type": "text", "content": {"text": text}}


def open_channel(config: Config, tools: Tools) -> Channel:
    return FeishuRobot(config, tools)
