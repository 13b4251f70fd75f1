"""Webhooks: a signed HTTP POST to a named endpoint. The contract for receivers is in docs/dispatch.md."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
from pydantic import Field, model_validator

from hub.clock import Clock, monotonic_s
from hub.dispatch.answers import Accept, Answer, judge
from hub.dispatch.channels.channel import Channel, ChannelConfig, Missing, Tools
from hub.documents import Strict
from hub.model.deliveries import Message, Outcome, Refused, Retry, Sent

MOST_BODY_BYTES = 64 * 1024
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux
_CLOSING = "the hub is stopping"


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
        if self.url and (wrong := _wrong_address(self.url)):
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
            for key in ("url_env", "secret_env"):
                variable = getattr(endpoint, key)
                if variable and not environ.get(variable):
                    found.append(
                        (("endpoints", name, key), f"the variable {variable} is not set", "set it, or use a file")
                    )
            for key in ("url_file", "secret_file", "ca"):
                file = getattr(endpoint, key)
                if file and (wrong := _unreadable(file)):
                    found.append(
                        (("endpoints", name, key), f"{file} cannot be read: {wrong}", "mount it or fix the path")
                    )
            if not found and not endpoint.url and (wrong := _wrong_address(_address(endpoint, environ))):
                found.append((("endpoints", name, "url_env" if endpoint.url_env else "url_file"), wrong, "correct it"))
        return found

    def targets(self) -> frozenset[str]:
        return frozenset(self.endpoints)


class Webhook:
    """Posts a message as JSON, and believes only an answer that says yes (`hub.dispatch.answers`)."""

    name = "webhook"
    idempotent = False

    def __init__(self, config: Config, tools: Tools) -> None:
        for chatty in ("httpx", "httpcore"):
            logging.getLogger(chatty).setLevel(logging.WARNING)  # they log addresses, and some addresses are secrets
        self._receivers = {
            name: _Receiver(endpoint, _address(endpoint, tools.environ), _secret(endpoint, tools.environ), tools.clock)
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
        self._private = _private_parts(address, secret)
        self._turn = threading.Lock()
        self._watch = _Watch()
        verify: bool | ssl.SSLContext = ssl.create_default_context(cafile=endpoint.ca) if endpoint.ca else True
        self._client = httpx.Client(
            verify=verify if address.startswith("https:") else False,
            follow_redirects=False,
            trust_env=False,
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=20.0),
        )

    def post(self, message: Message, timeout_s: float) -> Outcome:
        allowed_s = min(timeout_s, self._endpoint.timeout_s)
        until_s = monotonic_s() + allowed_s
        if not self._turn.acquire(timeout=allowed_s):
            return Retry(0.0, "the exchange before has not ended")
        try:
            left_s = max(until_s - monotonic_s(), 0.05)
            with self._watch.over(left_s):
                answer = self._exchange(message, left_s)
            return self._told(judge(answer, self._endpoint.accept, self._clock()))
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError, RuntimeError, ValueError) as bad:
            return Retry(0.0, self._watch.ended or self._redacted(_phrase(bad, allowed_s)))
        finally:
            self._turn.release()

    def _exchange(self, message: Message, left_s: float) -> Answer:
        body = body_of(message)
        request = self._client.build_request(
            "POST",
            self._address,
            content=body,
            headers=self._headers(message, body),
            timeout=httpx.Timeout(left_s),
            extensions={"trace": self._watch.trace},
        )
        response = self._client.send(request, stream=True)
        try:
            plain = response.headers.get("content-encoding", "identity").lower() in ("identity", "")
            read, whole = bytearray(), plain
            if plain:
                for chunk in response.iter_raw():
                    read += chunk
                    if len(read) > MOST_BODY_BYTES:
                        whole = False
                        break
            retry_after = response.headers.get("retry-after", "")
            return Answer(response.status_code, bytes(read[:MOST_BODY_BYTES]), whole, retry_after)
        finally:
            response.close()

    def _headers(self, message: Message, body: bytes) -> dict[str, str]:
        timestamp = str(self._clock())
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "gridhub",
            "Idempotency-Key": message.id,
            "X-GridHub-Timestamp": timestamp,
        }
        if self._secret:
            headers["X-GridHub-Signature"] = signature(self._secret, timestamp, body)
        return headers

    def _told(self, outcome: Outcome) -> Outcome:
        """`outcome` without secrets: a receiver may quote what it was sent."""
        match outcome:
            case Sent(receipt, verified):
                return Sent(self._redacted(receipt), verified)
            case Retry(after_s, reason):
                return Retry(after_s, self._redacted(reason))
            case Refused(reason):
                return Refused(self._redacted(reason))

    def _redacted(self, text: str) -> str:
        for private in self._private:
            text = text.replace(private, "…")
        return text

    def close(self) -> None:
        self._watch.end_for_good(_CLOSING)
        if self._turn.acquire(timeout=0.2):  # else its thread is on its way out, and the process with it
            try:
                self._client.close()
            finally:
                self._turn.release()


class _Watch:
    """Ends an exchange from outside by shutting its socket: httpx bounds each read, not the sum of many slow ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._running = False
        self._closed = ""
        self._exchange = 0  # a timer that fires late must not end the exchange after its own
        self.ended = ""

    @contextmanager
    def over(self, seconds: float) -> Iterator[None]:
        """Watches the exchange inside. Once for good ended, none begins."""
        with self._lock:
            self.ended = self._closed
            if self._closed:
                raise RuntimeError(self._closed)
            self._running, self._exchange = True, self._exchange + 1
            reason = f"no complete answer within {seconds:.1f} s"
            timer = threading.Timer(seconds, self._end, (reason, self._exchange))
        timer.daemon, timer.name = True, "webhook-deadline"
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            with self._lock:
                self._running = False

    def trace(self, event: str, details: Mapping[str, Any]) -> None:
        """httpx tells each step of an exchange: here the new socket, then the one that TLS has put around it."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            found = details["return_value"].get_extra_info("socket")
            with self._lock:
                self._socket = found
                if self.ended:
                    self._shut()
        elif event.endswith("receive_response_headers.started") and _QUICKACK is not None:
            # A receiver that writes head and body apart waits for our acknowledgement of the head, and we would take 40 ms.
            with self._lock:
                if self._socket is not None:
                    with suppress(OSError):
                        self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)

    def end_for_good(self, reason: str) -> None:
        with self._lock:
            self._closed = reason
        self._end(reason, self._exchange)

    def _end(self, reason: str, exchange: int) -> None:
        with self._lock:
            if self._running and exchange == self._exchange and not self.ended:
                self.ended = reason
                self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            with suppress(OSError):  # closed already
                # Not SSLSocket.shutdown: that one also drops the TLS layer while the other thread is using it.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


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


def _phrase(bad: Exception, allowed_s: float) -> str:
    match bad:
        case httpx.ConnectTimeout():
            return f"no connection within {allowed_s:.1f} s"
        case httpx.TimeoutException():
            return f"no complete answer within {allowed_s:.1f} s"
        case httpx.ConnectError() if "ssl" in str(bad).lower() or "certificate" in str(bad).lower():
            return f"TLS failed: {bad}"
        case httpx.ConnectError():
            return f"no connection: {bad}"
        case httpx.RemoteProtocolError():
            return f"broken answer: {bad}"
        case _:
            return f"{type(bad).__name__}: {bad}"


def _private_parts(address: str, secret: str) -> tuple[str, ...]:
    """What must not be repeated anywhere, the longest first: a robot's key is in its path or its query."""
    parts = urlsplit(address)
    values = [value for _, value in parse_qsl(parts.query, keep_blank_values=True) if len(value) >= 6]
    segments = [segment for segment in parts.path.split("/") if len(segment) >= 16]
    private = {secret, address, parts.query, *values, *segments} - {""}
    return tuple(sorted(private, key=len, reverse=True))


def _wrong_address(url: str) -> str:
    """Why `url` cannot be an endpoint, "" when it can. Does not repeat the address: it may be a secret."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "this is not a web address"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "an address begins with https:// (or http:// inside a trusted network) and names a host"
    if parts.username or parts.password:
        return "no user name or password in an address: use the signature, or a key by url_env"
    return ""


def _unreadable(file: str) -> str:
    try:
        Path(file).read_bytes()
    except OSError as bad:
        return bad.strerror or type(bad).__name__
    return ""


def _address(endpoint: Endpoint, environ: Mapping[str, str]) -> str:
    return endpoint.url or _value(endpoint.url_env, endpoint.url_file, environ)


def _secret(endpoint: Endpoint, environ: Mapping[str, str]) -> str:
    return _value(endpoint.secret_env, endpoint.secret_file, environ)


def _value(variable: str, file: str, environ: Mapping[str, str]) -> str:
    if variable:
        return environ.get(variable, "").strip()
    return Path(file).read_text("utf-8").strip() if file else ""
