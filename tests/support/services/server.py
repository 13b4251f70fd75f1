"""The ground of the fake services: a real HTTP server on 127.0.0.1 that answers as its service does, or fails as told."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

FAILURES = (
    "hangs", "hangs up", "resets", "stops in the middle", "talks nonsense", "drips its body",
    "answers nothing", "answers with a web page", "answers with half a JSON", "answers 500", "answers 502", "answers 503",
)  # fmt: skip
"""What any service may do on a bad day. After each of these nobody knows whether the message was taken: it is tried again."""


@dataclass(frozen=True)
class Call:
    """One request as it came."""

    method: str
    path: str  # without the query
    query: dict[str, str]
    raw_query: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True, strict_parsing=True))


@dataclass(frozen=True)
class Reply:
    """What is answered: a dict as JSON."""

    body: bytes | dict[str, Any]
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body, ensure_ascii=False).encode()


class Window:
    """Counts what came within the last `seconds`."""

    def __init__(self, most: int, seconds: float) -> None:
        self.most, self.seconds = most, seconds
        self.times: deque[float] = deque()

    def full(self, now_s: float) -> bool:
        """Counts one more. Whether that is too much."""
        while self.times and self.times[0] <= now_s - self.seconds:
            self.times.popleft()
        if len(self.times) >= self.most:
            return True
        self.times.append(now_s)
        return False


class FakeService:
    """Answers each call by `answer`. `calls` are all that came, `taken` what it would have shown to people.

    `script` holds failures for the next calls, `always` one for all calls: a name out of FAILURES, or a Reply.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.taken: list[Any] = []
        self.script: deque[str | Reply] = deque()
        self.always: str | Reply | None = None
        self.url = ""
        self.ahead_s = 0.0
        self.lock = threading.RLock()
        self._arrived = threading.Condition(self.lock)
        self._closing = threading.Event()

    def answer(self, call: Call) -> Reply:
        raise NotImplementedError

    def refusal(self, words: str) -> Reply:
        """A refusal for good, in the service's own form, that says `words`."""
        raise NotImplementedError

    def now_s(self) -> float:
        """Seconds for its limits; `ahead_s` moves them."""
        return time.monotonic() + self.ahead_s

    def wall_s(self) -> float:
        return time.time() + self.ahead_s

    def wait_for(self, calls: int, timeout_s: float = 5.0) -> None:
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.calls) >= calls, timeout_s), f"{len(self.calls)} calls came"

    def took(self, call: Call) -> str | Reply:
        """Notes `call`. What to answer: a Reply, or the name of a failure."""
        with self._arrived:
            self.calls.append(call)
            self._arrived.notify_all()
            how = self.always or (self.script.popleft() if self.script else None)
            if how is None or how in ("drips its body", "answers with half a JSON", "stops in the middle"):
                reply = self.answer(call)
                return reply if how is None else str(how)
            return how

    @contextmanager
    def running(self) -> Iterator[Self]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                parts = urlsplit(self.path)
                query = dict(parse_qsl(parts.query, keep_blank_values=True))
                headers = {name.lower(): value for name, value in self.headers.items()}
                how = service.took(Call(self.command, parts.path, query, parts.query, headers, body))
                if isinstance(how, Reply):
                    self._reply(how)
                else:
                    service.fail(how, self)

            do_POST = do_GET = do_PUT = _serve

            def _reply(self, reply: Reply) -> None:
                content = reply.content
                self.send_response(reply.status)
                given = {"Content-Type": "application/json", "Content-Length": str(len(content)), **reply.headers}
                for name, value in given.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a sender that hangs up is part of the tests

        server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="fake service", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._closing.set()
            server.shutdown()
            server.server_close()
            thread.join(5)

    def fail(self, how: str, handler: Any) -> None:
        """Does what `how` says with the connection of `handler`, and closes it."""
        handler.close_connection = True
        send = handler.connection.sendall
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        match how:
            case "hangs":
                self._closing.wait(30)
            case "hangs up":
                handler.connection.shutdown(socket.SHUT_RDWR)
            case "resets":
                handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                handler.connection.close()
            case "stops in the middle":
                send(head + b'Content-Length: 100\r\n\r\n{"err')
            case "talks nonsense":
                send(b"\x16\x03\x01 this is not HTTP\r\n\r\n")
            case "drips its body":
                send(head + b"Content-Length: 500\r\n\r\n")
                while not self._closing.wait(0.05):
                    send(b" ")
            case "answers nothing":
                send(head + b"Content-Length: 0\r\nConnection: close\r\n\r\n")
            case "answers with a web page":
                send(head + b"Content-Length: 28\r\nConnection: close\r\n\r\n<!DOCTYPE html><h1>Sign in</")
            case "answers with half a JSON":
                send(head + b'Content-Length: 10\r\nConnection: close\r\n\r\n{"errcode"')
            case _ if how.startswith("answers "):
                status = how.removeprefix("answers ").encode()
                send(b"HTTP/1.1 " + status + b" Bad Day\r\nContent-Length: 4\r\nConnection: close\r\n\r\noops")
            case _:
                raise AssertionError(f"nobody knows how to {how!r}")
