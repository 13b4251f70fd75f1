"""HTTP exchanges with services that tell people: each ends at its deadline whatever the other side does, and tells no secret."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import httpx

from hub.clock import monotonic_s
from hub.dispatch.answers import Answer
from hub.model.deliveries import Outcome, Refused, Retry, Sent

MOST_BODY_BYTES = 64 * 1024
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux
CLOSING = "the hub is stopping"
_LEAST_SECRET = 6
"""Shorter values are not cut out of what is told: they would be found in the middle of words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An HTTP request. `url` and `headers` may hold secrets: never shown."""

    url: str = field(repr=False)
    content: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    method: str = "POST"


class Private:
    """Texts that must not be repeated anywhere: they are cut out of reasons and receipts, for a service may quote them."""

    def __init__(self, values: Iterable[str]) -> None:
        wanted = {value for value in values if len(value) >= _LEAST_SECRET}
        wanted |= {quote(value, safe="") for value in wanted}
        self._values = tuple(sorted(wanted, key=len, reverse=True))

    def cut_from(self, text: str) -> str:
        for value in self._values:
            text = text.replace(value, "…")
        return text

    def cut_from_answer(self, answer: Answer) -> Answer:
        """Before it is read: a reason is clipped, and half a secret would not be found in it."""
        body = answer.body
        for value in self._values:
            body = body.replace(value.encode("utf-8", "replace"), "…".encode())
        return answer._replace(body=body)

    def told(self, outcome: Outcome) -> Outcome:
        """`outcome` without secrets."""
        match outcome:
            case Sent(receipt, verified):
                return Sent(self.cut_from(receipt), verified)
            case Retry(after_s, reason):
                return Retry(after_s, self.cut_from(reason))
            case Refused(reason):
                return Refused(self.cut_from(reason))


def private_parts(address: str) -> tuple[str, ...]:
    """What of an address must not be repeated: a robot's key is in its path or its query."""
    parts = urlsplit(address)
    values = [value for _, value in parse_qsl(parts.query, keep_blank_values=True)]
    segments = [segment for segment in parts.path.split("/") if len(segment) >= 16]
    return (address, parts.query, *values, *segments)


class Lines:
    """Connections to one service, at most `most` at once; who finds all of them taken waits for one. Thread-safe.

    `ask` gives the answer as it came, or a Retry that says why there is none; it never raises for what the other side does
    and never takes longer than `within_s` by more than a moment. `close` ends exchanges under way. The first connection is
    made ready at once: reading the authorities takes a tenth of a second, and the first message may be a fire.
    """

    def __init__(self, address: str, *, most: int = 8, ca: str = "") -> None:
        for chatty in ("httpx", "httpcore"):
            logging.getLogger(chatty).setLevel(logging.WARNING)  # they log addresses, and some addresses are secrets
        self._most = most
        self._changed = threading.Condition()
        self._tls = _authorities(ca) if address.startswith("https:") else False
        self._all: list[_Line] = [_Line(self._tls)]
        self._idle: list[_Line] = list(self._all)
        self._closed = False

    def ask(self, request: Request, *, within_s: float) -> Answer | Retry:
        until_s = monotonic_s() + within_s
        line = self._take(within_s)
        if line is None:
            return Retry(0.0, CLOSING if self._closed else "the exchange before has not ended")
        try:
            return line.ask(request, max(until_s - monotonic_s(), 0.05))
        finally:
            with self._changed:
                self._idle.append(line)
                self._changed.notify()

    def _take(self, within_s: float) -> _Line | None:
        until_s = monotonic_s() + within_s
        with self._changed:
            while not self._closed:
                if self._idle:
                    return self._idle.pop()  # the last one used: its connection is the freshest
                if len(self._all) < self._most:
                    line = _Line(self._tls)
                    self._all.append(line)
                    return line
                left_s = until_s - monotonic_s()
                if left_s <= 0 or not self._changed.wait(left_s):
                    return None
            return None

    def close(self) -> None:
        with self._changed:
            self._closed = True
            lines = list(self._all)
            self._changed.notify_all()
        for line in lines:
            line.close()


@cache
def _authorities(ca: str) -> ssl.SSLContext:
    """Whom to believe: the authorities in the file `ca`, "" = the usual ones."""
    return ssl.create_default_context(cafile=ca) if ca else httpx.create_ssl_context()


class _Line:
    """One connection. One exchange at a time."""

    def __init__(self, verify: ssl.SSLContext | bool) -> None:
        self._turn = threading.Lock()
        self._watch = Watch()
        self._client = httpx.Client(
            verify=verify,
            follow_redirects=False,
            trust_env=False,
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=20.0),
        )

    def ask(self, request: Request, left_s: float) -> Answer | Retry:
        with self._turn:
            try:
                with self._watch.over(left_s):
                    return self._exchange(request, left_s)
            except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError, RuntimeError, ValueError) as bad:
                return Retry(0.0, self._watch.ended or _phrase(bad, left_s))

    def _exchange(self, request: Request, left_s: float) -> Answer:
        built = self._client.build_request(
            request.method,
            request.url,
            content=request.content,
            headers={"User-Agent": "gridhub", "Accept-Encoding": "identity", **request.headers},
            timeout=httpx.Timeout(left_s),
            extensions={"trace": self._watch.trace},
        )
        response = self._client.send(built, stream=True)
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

    def close(self) -> None:
        self._watch.end_for_good(CLOSING)
        if self._turn.acquire(timeout=0.2):  # else its thread is on its way out, and the process with it
            try:
                self._client.close()
            finally:
                self._turn.release()


class Watch:
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
        timer.daemon, timer.name = True, "exchange-deadline"
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
            self.watch(details["return_value"].get_extra_info("socket"))
        elif event.endswith("receive_response_headers.started") and _QUICKACK is not None:
            # A receiver that writes head and body apart waits for our acknowledgement of the head, and we would take 40 ms.
            with self._lock:
                if self._socket is not None:
                    with suppress(OSError):
                        self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)

    def watch(self, found: socket.socket | None) -> None:
        """`found` is the socket of the exchange from now on."""
        with self._lock:
            self._socket = found
            if self.ended:
                self._shut()

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


def wrong_address(url: str) -> str:
    """Why `url` cannot be called, "" when it can. Does not repeat the address: it may be a secret."""
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
