"""Telephone calls that read a text aloud, by Aliyun's service or one that speaks as it does. A target is a telephone number.

Sent means that the call is on its way: who answered and which key was pressed comes in the service's reports, with the CallId
that is the receipt here. The service calls a number once a minute, five times an hour and twenty times a day at most.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from pydantic import Field, model_validator

from hub.dispatch import aliyun
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
from hub.dispatch.pace import Limit
from hub.dispatch.service import Service
from hub.model.deliveries import Message, Outcome, Refused

CODES = aliyun.codes("CallId")


class Config(ChannelConfig):
    """An account and its spoken template. `shown_number`: the caller, for accounts with a number of their own."""

    access_key_id: str = Field(min_length=1)
    access_key_secret_env: str = ""
    access_key_secret_file: str = ""
    template: str = Field(min_length=1)
    template_en: str = ""
    shown_number: str = ""
    params: dict[str, aliyun.Word] = {"danger": "danger", "place": "place", "action": "action"}
    most_characters: int = Field(35, ge=4, le=500)  # of one variable
    play_times: int = Field(3, ge=1, le=3)
    base_url: BaseUrl = "https://dyvmsapi.aliyuncs.com"
    timeout_s: Patience = 5.0
    ca: str = ""
    callback_secret_env: str = ""  # signs reports and replies; without it they are not taken
    callback_secret_file: str = ""

    @model_validator(mode="after")
    def _one_secret(self) -> Config:
        one_source(self, "access_key_secret")
        one_source(self, "callback_secret", needed=False)
        return self

    def missing(self, environ: Mapping[str, str]) -> list[Missing]:
        return [
            *missing_secret(self, "access_key_secret", environ),
            *missing_secret(self, "callback_secret", environ),
            *missing_authorities(self.ca, ("ca",)),
        ]

    def wrong_target(self, target: str) -> str:
        return "" if aliyun.digits_of(target) else "a contact by call is one telephone number"


class Voice:
    """Sent = the call is on its way. The receipt is its CallId."""

    name = "voice"
    idempotent = False
    limits: tuple[Limit, ...] = (Limit(1, 60.0),)

    def __init__(self, config: Config, tools: Tools) -> None:
        self._config, self._clock = config, tools.clock
        self._secret = secret_of(config, "access_key_secret", tools.environ)
        self._service = Service(
            CODES, config.base_url, secrets=(self._secret,), clock=tools.clock, most=8, ca=config.ca
        )

    def send(self, target: str, message: Message, *, timeout_s: float) -> Outcome:
        config, number = self._config, aliyun.digits_of(target)
        if not number:
            return Refused(config.wrong_target(target))
        parameters = {
            "Action": "SingleCallByTts",
            "RegionId": "cn-hangzhou",
            "CalledNumber": number,
            "TtsCode": (message.locale == "en" and config.template_en) or config.template,
            "TtsParam": aliyun.words(message, config.params, config.most_characters),
            "PlayTimes": str(config.play_times),
            "OutId": message.id,
        }
        request = aliyun.signed_request(
            config.base_url,
            parameters | ({"CalledShowNumber": config.shown_number} if config.shown_number else {}),
            key_id=config.access_key_id,
            secret=self._secret,
            now_ms=self._clock(),
            nonce=secrets.token_hex(16),
        )
        return self._service.call(
            request, timeout_s=min(timeout_s, config.timeout_s), private=(number, target, config.access_key_id)
        )

    def close(self) -> None:
        self._service.close()


def open_channel(config: Config, tools: Tools) -> Channel:
    return Voice(config, tools)
