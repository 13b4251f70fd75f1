"""An account at a service that tells people over HTTP: its connections, how it answers, and what of it must not be told."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from hub.clock import Clock
from hub.dispatch.answers import Answer
from hub.dispatch.codes import Codes
from hub.dispatch.exchange import Lines, Private, Request
from hub.model.deliveries import Outcome, Retry


class Service:
    """Thread-safe. `call` gives an outcome for whatever the other side does, within `timeout_s`, and tells no secret."""

    def __init__(
        self, codes: Codes, base_url: str, *, secrets: Iterable[str], clock: Clock, most: int = 1, ca: str = ""
    ) -> None:
        self._codes, self._clock = codes, clock
        self._secrets = tuple(secrets)
        self._lines = Lines(base_url, most=most, ca=ca)

    def call(self, request: Request, *, timeout_s: float, private: Iterable[str] = ()) -> Outcome:
        """`private`: what else must not be told, a phone number or a token of the hour."""
        answer = self.ask(request, timeout_s=timeout_s)
        return self.judged(answer, private)

    def ask(self, request: Request, *, timeout_s: float) -> Answer | Retry:
        """The answer as it came, for services that want it looked at twice."""
        return self._lines.ask(request, within_s=timeout_s)

    def judged(self, answer: Answer | Retry, private: Iterable[str] = ()) -> Outcome:
        """What `answer` means, without anything in it that must not be told."""
        secrets = Private((*self._secrets, *private))
        if isinstance(answer, Retry):
            return secrets.told(answer)
        return secrets.told(self._codes.judge(secrets.cut_from_answer(answer), self._clock()))

    def close(self) -> None:
        self._lines.close()


def json_request(url: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Request:
    """A POST of `body` as JSON in UTF-8: not in escapes, which would triple the bytes that the service counts."""
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8", "replace")
    return Request(
        url=url, content=content, headers={"Content-Type": "application/json; charset=utf-8", **(headers or {})}
    )


def token_in(given: str, parameter: str = "") -> str:
    """The token of a robot: `given` itself, or what is in the whole address that people copy from the service's page.

    `parameter`: its name in the query of the address; "" = it is the last part of the path.
    """
    if not given.startswith(("http://", "https://")):
        return given
    parts = urlsplit(given)
    return dict(parse_qsl(parts.query)).get(parameter, "") if parameter else parts.path.rsplit("/", 1)[-1]


def other_host(given: str, base_url: str) -> str:
    """What to say when an address was copied whole and is not at `base_url`; "" when all is well."""
    if not given.startswith(("http://", "https://")):
        return ""
    return "" if urlsplit(given).netloc == urlsplit(base_url).netloc else "the address is not at base_url"
