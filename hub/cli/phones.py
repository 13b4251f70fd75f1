"""Receivers for the demonstration: a small HTTP server that stands for the phones of station crews."""

from __future__ import annotations

import json
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self
from urllib.parse import quote, unquote

_MOST_BODY_BYTES = 256 * 1024


class Call(NamedTuple):
    """A notification that arrived: at whom, and what it says."""

    to: str
    severity: str
    title: str


class Phones:
    """Takes the hub's webhooks on a free port of 127.0.0.1 while it is open, and remembers whom it said what."""

    def __init__(self) -> None:
        calls: deque[Call] = deque(maxlen=1_000)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                try:
                    said: Any = json.loads(self.rfile.read(min(length, _MOST_BODY_BYTES)))
                    call = Call(unquote(self.path.strip("/")), str(said["severity"]), str(said["title"]))
                except (ValueError, KeyError, TypeError):
                    self._answer(400, {"ok": False})
                    return
                calls.append(call)
                self._answer(200, {"ok": True})

            def _answer(self, status: int, body: object) -> None:
                encoded = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(encoded)))
                self.end_headers()
                self.wfile.write(encoded)

            def log_message(self, format: str, *args: Any) -> None:
                pass  # its talk would stand between the lines of the demonstration

        self._calls = calls
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="phones", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/{quote(name, safe='')}"

    def calls(self) -> list[Call]:
        """What arrived since the last call of this."""
        found = []
        while self._calls:
            found.append(self._calls.popleft())
        return found
