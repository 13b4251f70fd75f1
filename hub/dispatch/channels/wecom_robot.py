"""WeCom (企业微信) group robots: a text to a group, by the key of the robot's address. A target is the robot's name in hub.yaml.

The service answers HTTP 200 to everything and says in `errcode` what became of it. It gives no receipt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from pydantic import model_validator

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
from hub.dispatch.codes import Again, Codes, Never
from hub.dispatch.fit import fitted
from hub.dispatch.pace import Limit
from hub.dispatch.service import Service, json_request, other_host, token_in
from hub.documents import Strict
from hub.model.deliveries import Message, Outcome, Refused

MOST_TEXT_BYTES = 2_048
_EVERYBODY = "@all"

CODES = Codes(
    keys=("errcode",),
    good=frozenset({0}),
    meanings={
        -1: Again(hint="the service is busy"),
        45009: Again(60.0, "20 messages a minute for each robot"),
        45033: Again(5.0, "too many calls at once"),
        40008: Never("this kind of message is not known"),
        40035: Never("the message is not understood"),
        40058: Never("too long, or a field is wrong"),
        44004: Never("the text is empty"),
        45002: Never("too long"),
        93000: Never("there is no robot with this key: it was removed, or the key is wrong"),
        93004: Never("the robot is switched off"),
        93008: Never("the robot is not in this group any more"),
    },
)


class Robot(Strict):
    """One robot. `key_*`: the key of its address, or the whole address. `mention`: whom a P1 mentions, userids or "@all"."""

    key_env: str = ""
    key_file: str = ""
    mention: tuple[str, ...] = (_EVERYBODY,)
    mention_mobiles: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_key(self) -> Robot:
        one_source(self, "key")
        return self


class Config(ChannelConfig):
    """Robots by the name that contacts of people and stations use."""

    robots: dict[str, Robot] = {}
    base_url: BaseUrl = "https://qyapi.weixin.qq.com"
    timeout_s: Patience = 5.0
    ca: str = ""

    def missing(self, environ: Mapping[str, str]) -> list[Missing]:
        found = missing_authorities(self.ca, ("ca",))
        for name, robot in self.robots.items():
            at = ("robots", name)
            wrong = missing_secret(robot, "key", environ, at)
            if not wrong and (why := other_host(secret_of(robot, "key", environ), self.base_url)):
                wrong = [((*at, "key_env" if robot.key_env else "key_file"), why, "copy it again, or set base_url")]
            found += wrong
        return found

    def targets(self) -> frozenset[str]:
        return frozenset(self.robots)


class WecomRobot:
    """Sent = the service has taken the message for the group. Nobody is known to have read it."""

    name = "wecom_robot"
    idempotent = False
    limits: tuple[Limit, ...] = (Limit(20, 60.0, reserved=5),)

    def __init__(self, config: Config, tools: Tools) -> None:
        self._config = config
        self._keys = {
            name: token_in(secret_of(robot, "key", tools.environ), "key") for name, robot in config.robots.items()
        }
        self._services = {
            name: Service(CODES, config.base_url, secrets=self._keys.values(), clock=tools.clock, ca=config.ca)
            for name in self._keys
        }

    def send(self, target: str, message: Message, *, timeout_s: float) -> Outcome:
        service = self._services.get(target)
        if service is None:
            return Refused("no WeCom robot of this name is in hub.yaml")
        url = f"{self._config.base_url}/cgi-bin/webhook/send?{urlencode({'key': self._keys[target]})}"
        request = json_request(url, body_of(message, self._config.robots[target]))
        return service.call(request, timeout_s=min(timeout_s, self._config.timeout_s))

    def close(self) -> None:
        for service in self._services.values():
            service.close()


def body_of(message: Message, robot: Robot) -> dict[str, Any]:
    """A text, and not Markdown: only a text mentions people by telephone number."""
    text: dict[str, Any] = {"content": fitted(message, MOST_TEXT_BYTES)}
    if calls(message):
        text |= {"mentioned_list": list(robot.mention)} if robot.mention else {}
        text |= {"mentioned_mobile_list": list(robot.mention_mobiles)} if robot.mention_mobiles else {}
    return {"msgtype": "text", "text": text}


def open_channel(config: Config, tools: Tools) -> Channel:
    return WecomRobot(config, tools)
