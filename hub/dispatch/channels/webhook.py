"""Webhooks: a signed HTTP POST to a named endpoint. The contract for receivers is in docs/dispatch.md."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping

from pydantic import Field, model_validator

from hub.clock import Clock
from hub.dispatch.answers import Accept, judge
from hub.dispatch.channels.channel import (
    Channel,
    ChannelConfig,
    Missing,
    Tools,
    missing_authorities,
    missing_secret,
    secret_of,
)
from hub.dispatch.exchange import Lines, Private, Request, private_parts, wrong_address
from hub.dispatch.pace import Limit
from hub.documents import Strict
from hub.model.deliveries import Message, Outcome, Refused, Retry


class Endpoint(Strict):
    """One receiver. An address with a key in it is a secret: give it by `url_env` or `url_file`."""

    url: str = ""
    url_env: str = ""
    url_file: str = ""
    secret_env: str = ""
    secret_file: str = ""
    timeout_s: float = Field(5.0, gt=0, le=30)  # for the whole exchange, connecting and slow answers included
    accept: Accept | None = None
    ca: str = ""  # file with the authorities of a private PKI

    @model_validator(mode="after")
    def _one_address(self) -> Endpoint:
        if sum(map(bool, (self.url, self.url_env, self.url_file))) != 1:
            raise ValueError("give exactly one of url, url_env and url_file")
        if self.url and (wrong := wrong_address(self.url)):
            raise ValueError(wrong)
        if self.secret_env and self.secret_file:
            raise ValueError("give secret_env or secret_file, not both")
        return self


class Config(ChannelConfig):
    """Endpoints by the name that contacts of people and stations use."""

    endpoints: dict[str, Endpoint] = {}

    def missing(self, environ: Mapping[str, str]) -> list[Missing]:
        found: list[Missing] = []
        for name, endpoint in self.endpoints.items():
            at = ("endpoints", name)
            wrong = [
                *missing_secret(endpoint, "url", environ, at),
                *missing_secret(endpoint, "secret", environ, at),
                *missing_authorities(endpoint.ca, (*at, "ca")),
            ]
            if not wrong and not endpoint.url and (why := wrong_address(_address(endpoint, environ))):
                wrong.append(((*at, "url_env" if endpoint.url_env else "url_file"), why, "correct it"))
            found += wrong
        return found

    def targets(self) -> frozenset[str]:
        return frozenset(self.endpoints)


class Webhook:
    """Posts a message as JSON, and believes only an answer that says yes (`hub.dispatch.answers`)."""

    name = "webhook"
    idempotent = False
    limits: tuple[Limit, ...] = ()

    def __init__(self, config: Config, tools: Tools) -> None:
        self._receivers = {
            name: _Receiver(
                endpoint, _address(endpoint, tools.environ), secret_of(endpoint, "secret", tools.environ), tools.clock
            )
            for name, endpoint in config.endpoints.items()
        }

    def send(self, target: str, message: Message, *, timeout_s: float) -> Outcome:
        receiver = self._receivers.get(target)
        if receiver is None:
            return Refused(f"no webhook endpoint is named {target!r} in hub.yaml")
        return receiver.post(message, timeout_s)

    def close(self) -> None:
        for receiver in self._receivers.values():
            receiver.close()


class _Receiver:
    """One endpoint with its connection. One exchange at a time; a second one waits for the first."""

    def __init__(self, endpoint: Endpoint, address: str, secret: str, clock: Clock) -> None:
        self._endpoint, self._address, self._secret, self._clock = endpoint, address, secret, clock
        self._private = Private((secret, *private_parts(address)))
        self._lines = Lines(address, most=1, ca=endpoint.ca)

    def post(self, message: Message, timeout_s: float) -> Outcome:
        body = body_of(message)
        request = Request(url=self._address, content=body, headers=self._headers(message, body))
        answer = self._lines.ask(request, within_s=min(timeout_s, self._endpoint.timeout_s))
        if isinstance(answer, Retry):
            return self._private.told(answer)
        return self._private.told(judge(self._private.cut_from_answer(answer), self._endpoint.accept, self._clock()))

    def _headers(self, message: Message, body: bytes) -> dict[str, str]:
        timestamp = str(self._clock())
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Accept": "application/json",
            "Idempotency-Key": message.id,
            "X-GridHub-Timestamp": timestamp,
        }
        if self._secret:
            headers["X-GridHub-Signature"] = signature(self._secret, timestamp, body)
        return headers

    def close(self) -> None:
        self._lines.close()


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Value of X-GridHub-Signature: HMAC-SHA256 over timestamp, a dot, and the body as sent."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def body_of(message: Message) -> bytes:
    """The body of the POST: the text for people, and every field for machines, on one level."""
    whole = {
        "v": 1,
        "id": message.id,
        "title": message.title,
        "text": message.text,
        "locale": message.locale,
        "severity": message.severity,
        "test": message.test,
        "links": dict(message.links),
        **message.fields,
    }
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def open_channel(config: Config, tools: Tools) -> Channel:
    return Webhook(config, tools)


def _address(endpoint: Endpoint, environ: Mapping[str, str]) -> str:
    return endpoint.url or secret_of(endpoint, "url", environ)
