"""The receiving end of webhooks: an HTTP server that keeps what it was sent, and answers as it is told."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Call:
    """One POST: when it came (perf_counter_ns and epoch ms), where to, its idempotency key, and its JSON."""

    path: str
    key: str
    at_ns: int
    at_ms: int
    body: dict[str, Any]


@dataclass
class Phone:
    """`with Phone() as phone:` listens on 127.0.0.1:`port`. `answer` is (status, body)."""

    answer: tuple[int, bytes] = (200, b'{"ok":true}')
    calls: list[Call] = field(default_factory=list)
    answers: threading.Event = field(default_factory=threading.Event)
    """Cleared: what comes is kept, and its sender waits for an answer."""

    def __post_init__(self) -> None:
        self.answers.set()

    def __enter__(self) -> Phone:
        phone = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                at_ns, at_ms = time.perf_counter_ns(), time.time_ns() // 1_000_000
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                key = self.headers.get("Idempotency-Key", "")
                phone.calls.append(Call(self.path, key, at_ns, at_ms, json.loads(raw)))
                phone.answers.wait(60)
                status, body = phone.answer
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a hub that is killed in mid-request is what some tests do

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"

    def repeated(self) -> int:
        """How many calls came more than once, by their idempotency key."""
        return sum(n - 1 for n in Counter(c.key for c in self.calls).values())
