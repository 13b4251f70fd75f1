"""Webhook receivers for tests: real HTTP servers on 127.0.0.1, well behaved or not.

`Receiver` answers as told and remembers what came. `raw` is a server that gets the connection and does what it likes.
"""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.pace import patient


@dataclass
class Post:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes
    at_s: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """Answers every POST with `status`, `body` and `headers` after `delay_s`; change them at any time."""

    status: int = 200
    body: bytes = b'{"errcode":0,"errmsg":"ok"}'
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    delay_s: float = 0.0
    posts: list[Post] = field(default_factory=list)
    url: str = ""
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, count: int, timeout_s: float = 5.0) -> list[Post]:
        """The first `count` posts, as soon as they are there. Fails loudly when they do not come."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.posts) >= count, patient(timeout_s)), (
                f"{len(self.posts)} of {count} posts came within {timeout_s} s"
            )
            return self.posts[:count]


@contextmanager
def receiver(*, tls: ssl.SSLContext | None = None, **settings: Any) -> Iterator[Receiver]:
    """A running receiver."""
    state = Receiver(**settings)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            post = Post(self.path, {k.lower(): v for k, v in self.headers.items()}, body, time.monotonic())
            with state.arrived:
                state.posts.append(post)
                state.arrived.notify_all()
            if state.delay_s:
                time.sleep(state.delay_s)
            self.send_response(state.status)
            for name, value in {"Content-Length": str(len(state.body)), **state.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(state.body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a sender that hangs up is part of the tests

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scheme = "https" if tls else "http"
    state.url = f"{scheme}://127.0.0.1:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="receiver", daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@contextmanager
def raw(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that reads one request per connection and leaves the rest to `answer`. Yields its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    closing = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                connection.settimeout(10)
                connection.recv(65_536)
                answer(connection)
            except OSError:
                pass  # the sender hung up

    def accept() -> None:
        while not closing.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, name="raw receiver", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/hook"
    finally:
        closing.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def drip(data: bytes, every_s: float = 0.1) -> Callable[[socket.socket], None]:
    """Sends `data` byte by byte: each byte comes in time, the whole never does."""

    def answer(connection: socket.socket) -> None:
        for n in range(len(data)):
            connection.sendall(data[n : n + 1])
            time.sleep(every_s)

    return answer


def certificate(folder: Path, *, name: str = "127.0.0.1") -> tuple[Path, ssl.SSLContext]:
    """A self-signed certificate for `name`, and the server side of TLS with it."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", "/CN=receiver", "-addext", f"subjectAltName=IP:{name}", "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return cert, context
