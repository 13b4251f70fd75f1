"""Text messages by Aliyun's service, or one that speaks as it does. A target is a telephone number.

The text is a template that the carriers approved; `params` says which of its variables says what. There are no links in it:
the service takes none. How much one number may get in a minute, an hour and a day is set in the service's console.
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

CODES = aliyun.codes("BizId")


class Config(ChannelConfig):
    """An account, its signature name and its template. `template_en`: for readers of English, else they get the other."""

    access_key_id: str = Field(min_length=1)
    access_key_secret_env: str = ""
    access_key_secret_file: str = ""
    sign_name: str = Field(min_length=1)
    template: str = Field(min_length=1)
    template_en: str = ""
    params: dict[str, aliyun.Word] = {"danger": "danger", "place": "place", "device": "device", "action": "action"}
    most_characters: int = Field(35, ge=4, le=500)  # of one variable: the limit of a template for notices
    base_url: BaseUrl = "https://dysmsapi.aliyuncs.com"
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
        return "" if aliyun.digits_of(target) else "a contact by text message is one telephone number"


class Sms:
    """Sent = the service has taken the message. The receipt is its BizId; whether the phone got it is in its reports."""

    name = "sms"
    idempotent = False
    limits: tuple[Limit, ...] = ()

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
        request = aliyun.signed_request(
            config.base_url,
            {
                "Action": "SendSms",
                "RegionId": "cn-hangzhou",
                "PhoneNumbers": number,
                "SignName": config.sign_name,
                "TemplateCode": (message.locale == "en" and config.template_en) or config.template,
                "TemplateParam": aliyun.words(message, config.params, config.most_characters),
                "OutId": message.id,
            },
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
    return Sms(config, tools)
