"""DingTalk (钉钉) group robots: a signed text to a group. A target is the robot's name in hub.yaml.

The service answers HTTP 200 to everything and says in `errcode` what became of it. A robot that sends more than 20 messages in
a minute is shut out for ten: nothing is sent to it in that time, so that the next channel is due at once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from pydantic import model_validator

from hub.clock import monotonic_s
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
from hub.model.deliveries import Message, Outcome, Refused, Retry

MOST_TEXT_BYTES = 8_000
"""The whole request may have 20,000 bytes; in the worst case every character of the text is written with two."""

SHUT_OUT_S = 600.0
_SHUT_OUT = "130101"
_SECURITY = 310000


def _refined(code: Code, said: str) -> Meaning | None:
    """310000 is three different mistakes of the same page of settings."""
    lower = said.lower()
    if code != _SECURITY:
        return None
    if "keyword" in lower or "关键词" in said:
        return Never("the message lacks the robot's keyword: set `keyword`")
    if "timestamp" in lower:
        return Never("the hub's clock is wrong by more than an hour")
    if "sign" in lower or "签名" in said:
        return Never("the secret is not that of the robot, or the hub's clock is wrong")
    if "ip" in lower:
        return Never("the hub's address is not among those that the robot allows")
    return None


CODES = Codes(
    keys=("errcode",),
    good=frozenset({0}),
    meanings={
        -1: Again(hint="the service is busy"),
        130101: Again(SHUT_OUT_S, "more than 20 messages in a minute: the robot is shut out for ten minutes"),
        410100: Again(60.0, "too fast"),
        310000: Never("the robot's security settings refuse it"),
        300001: Never("there is no robot with this token"),
        300005: Never("there is no robot with this token"),
        400013: Never("the group is gone, or the robot is switched off"),
        400101: Never("there is no robot with this token"),
        400102: Never("the robot is switched off"),
        400105: Never("this kind of message is not known"),
        400106: Never("the robot is not there any more"),
        40035: Never("the message is not understood"),
        43004: Never("the message is not understood"),
        430101: Never("the service takes the link for unsafe"),
        430102: Never("the service does not like the text"),
        430103: Never("the service does not like a picture"),
        430104: Never("the service does not like the content"),
        460101: Never("longer than 20,000 bytes"),
    },
    refine=_refined,
)


class Robot(Strict):
    """One robot. `token_*`: the access_token of its address, or the whole address. `secret_*`: the key of its signature.

    `at_all`, `at_users`, `at_mobiles`: whom a P1 mentions. `keyword`: for robots that take only messages with this word.
    """

    token_env: str = ""
    token_file: str = ""
    secret_env: str = ""
    secret_file: str = ""
    at_all: bool = True
    at_users: tuple[str, ...] = ()
    at_mobiles: tuple[str, ...] = ()
    keyword: str = ""

    @model_validator(mode="after")
    def _one_of_each(self) -> Robot:
        one_source(self, "token")
        one_source(self, "secret", needed=False)
        return self


class Config(ChannelConfig):
    """Robots by the name that contacts of people and stations use."""

    robots: dict[str, Robot] = {}
    base_url: BaseUrl = "https://oapi.dingtalk.com"
    timeout_s: Patience = 5.0
    ca: str = ""

    def missing(self, environ: Mapping[str, str]) -> list[Missing]:
        found = missing_authorities(self.ca, ("ca",))
        for name, robot in self.robots.items():
            at = ("robots", name)
            wrong = missing_secret(robot, "token", environ, at)
            if not wrong and (why := other_host(secret_of(robot, "token", environ), self.base_url)):
                wrong = [
                    ((*at, "token_env" if robot.token_env else "token_file"), why, "copy it again, or set base_url")
                ]
            found += [*wrong, *missing_secret(robot, "secret", environ, at)]
        return found

    def targets(self) -> frozenset[str]:
        return frozenset(self.robots)


class DingtalkRobot:
    """Sent = the service has taken the message for the group. Nobody is known to have read it."""

    name = "dingtalk_robot"
    idempotent = False
    limits: tuple[Limit, ...] = (Limit(20, 60.0, reserved=5),)

    def __init__(self, config: Config, tools: Tools) -> None:
        self._config, self._clock = config, tools.clock
        self._tokens, self._secrets = {}, {}
        for name, robot in config.robots.items():
            self._tokens[name] = token_in(secret_of(robot, "token", tools.environ), "access_token")
            self._secrets[name] = secret_of(robot, "secret", tools.environ)
        private = (*self._tokens.values(), *self._secrets.values())
        self._services = {
            name: Service(CODES, config.base_url, secrets=private, clock=tools.clock, ca=config.ca)
            for name in config.robots
        }
        self._shut_out_until_s: dict[str, float] = {}  # each entry is written by the thread that sends to this robot

    def send(self, target: str, message: Message, *, timeout_s: float) -> Outcome:
        service = self._services.get(target)
        if service is None:
            return Refused("no DingTalk robot of this name is in hub.yaml")
        left_s = self._shut_out_until_s.get(target, 0.0) - monotonic_s()
        if left_s > 0:
            return Retry(left_s, f"the robot is shut out for sending too fast ({_SHUT_OUT}), {left_s:.0f} s are left")
        request = json_request(self._address(target), body_of(message, self._config.robots[target]))
        outcome = service.call(request, timeout_s=min(timeout_s, self._config.timeout_s))
        if isinstance(outcome, Retry) and outcome.after_s >= SHUT_OUT_S and _SHUT_OUT in outcome.reason:
            self._shut_out_until_s[target] = monotonic_s() + SHUT_OUT_S
        return outcome

    def _address(self, target: str) -> str:
        query = {"access_token": self._tokens[target]}
        if secret := self._secrets[target]:
            timestamp = str(self._clock())
            query |= {"timestamp": timestamp, "sign": signature(secret, timestamp)}
        return f"{self._config.base_url}/robot/send?{urlencode(query)}"

    def close(self) -> None:
        for service in self._services.values():
            service.close()


def signature(secret: str, timestamp: str) -> str:
    """HMAC-SHA256 of timestamp, line feed and secret, with the secret as its key, in base64."""
    digest = hmac.new(secret.encode(), f"{timestamp}\n{secret}".encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def body_of(message: Message, robot: Robot) -> dict[str, Any]:
    """A text, and not Markdown or a card: only a text mentions reliably. Who is mentioned must stand in the text too."""
    text = with_keyword(fitted(message, MOST_TEXT_BYTES), robot.keyword)
    if not calls(message):
        return {"msgtype": "text", "text": {"content": text}}
    named = " ".join(f"@{who}" for who in (*robot.at_users, *robot.at_mobiles))
    return {
        "msgtype": "text",
        "text": {"content": f"{text}\n{named}" if named else text},
        "at": {"isAtAll": robot.at_all, "atUserIds": list(robot.at_users), "atMobiles": list(robot.at_mobiles)},
    }


def open_channel(config: Config, tools: Tools) -> Channel:
    return DingtalkRobot(config, tools)
