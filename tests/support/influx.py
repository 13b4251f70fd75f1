"""A real InfluxQL engine of one's own: Debian's influxd 1.x, with the v2 write path of 2.x in front of it.

`Influx.url` is that front: it maps `/api/v2/write?bucket=…&precision=…` to the engine's `/write`, checks the token as 2.x
does, and passes everything else through. Points, refusals, partial writes and queries are the engine's own.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.support.mosquitto import free_port
from tests.support.pace import patient

_CONFIG = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  index-version = "tsi1"
  query-log-enabled = false
  series-id-set-cache-size = 0
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
[monitor]
  store-enabled = false
[subscriber]
  enabled = false
[continuous_queries]
  enabled = false
"""


def influxd_binary() -> str:
    """The path of influxd 1.x. Fails the test under CI, skips it elsewhere, when there is none."""
    found = shutil.which("influxd")
    if found is None:
        missing = "influxd is not installed: apt-get install influxdb"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return found


class Influx:
    """One engine that can be killed and started again on the same port and folder, and the front before it."""

    bucket = "telemetry"
    org = "gridhub"

    def __init__(self, folder: Path, *, token: str = "test-token") -> None:
        self.binary = influxd_binary()
        self.folder = folder
        self.token = token
        self.engine_port, rpc = free_port(), free_port()
        self.requests = 0
        """Write requests seen by the front."""
        self._config = folder / "influxd.conf"
        self._config.write_text(_CONFIG.format(folder=folder, port=self.engine_port, rpc=rpc), "utf-8")
        self._log = folder / "influxd.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._front = _Front(("127.0.0.1", 0), self)
        self.url = f"http://127.0.0.1:{self._front.server_address[1]}"
        self._thread = threading.Thread(target=self._front.serve_forever, name="influx-front", daemon=True)
        self._thread.start()

    def start(self, *, within_s: float = 30.0) -> Influx:
        """Starts the engine and returns when it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self.binary, "-config", str(self._config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        give_up = time.monotonic() + patient(within_s)
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > give_up:
                self.stop_engine()
                raise AssertionError(f"influxd did not start on port {self.engine_port}:\n{self._log.read_text()}")
            time.sleep(0.05)
        return self

    def kill(self) -> None:
        """Ends the engine as a power cut would. The front stays and answers 502."""
        self._end(signal.SIGKILL)

    def stop_engine(self) -> None:
        self._end(signal.SIGTERM)

    def close(self) -> None:
        """Ends engine and front. Idempotent."""
        self.stop_engine()
        self._front.shutdown()
        self._front.server_close()
        self._thread.join(5)

    def create(self, database: str | None = None) -> None:
        """Makes the bucket (a database of 1.x)."""
        self.query(f'CREATE DATABASE "{database or self.bucket}"', database="")

    def query(self, query: str, *, database: str | None = None) -> list[dict[str, Any]]:
        """The series of the answer; AssertionError with the server's words when it refuses the query."""
        parameters = {"q": query, "db": self.bucket if database is None else database, "epoch": "ms"}
        status, body = self._ask("POST", "/query?" + urlencode(parameters))
        answer = json.loads(body)
        assert status == 200, answer
        result = answer["results"][0]
        assert "error" not in result, f"{result['error']}: {query}"
        series: list[dict[str, Any]] = result.get("series", [])
        return series

    def rows(self, query: str) -> list[dict[str, Any]]:
        """All rows of all series, each with its tags."""
        return [
            {**found.get("tags", {}), **dict(zip(found["columns"], row, strict=True))}
            for found in self.query(query)
            for row in found["values"]
        ]

    def write_directly(self, lines: str) -> None:
        """Writes past hub and front, as another program would."""
        status, body = self._ask("POST", f"/write?db={self.bucket}&precision=ms", lines.encode())
        assert status == 204, body

    def _ask(self, method: str, target: str, body: bytes = b"") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.engine_port, timeout=30)
        try:
            connection.request(method, target, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def _answers(self) -> bool:
        try:
            return self._ask("GET", "/ping")[0] == 204
        except OSError:
            return False

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(how)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


class _Front(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], influx: Influx) -> None:
        self.influx = influx
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Front

    def do_GET(self) -> None:
        self._pass_on(self.path, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        if parts.path != "/api/v2/write":
            self._pass_on(self.path, body)
            return
        self.server.influx.requests += 1
        if self.headers.get("Authorization") != f"Token {self.server.influx.token}":
            self._answer(401, {}, b'{"code":"unauthorized","message":"unauthorized access"}')
            return
        asked = parse_qs(parts.query)
        precision = {"us": "u", "ns": "n"}.get(asked["precision"][0], asked["precision"][0])
        self._pass_on("/write?" + urlencode({"db": asked["bucket"][0], "precision": precision}), body)

    def _pass_on(self, target: str, body: bytes) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.influx.engine_port, timeout=30)
        try:
            connection.request(self.command, target, body)
            answer = connection.getresponse()
            found = answer.read()
            kept = {k: v for k, v in answer.getheaders() if k.lower().startswith(("content-type", "x-influxdb"))}
            self._answer(answer.status, kept, found)
        except (OSError, http.client.HTTPException):
            self._answer(502, {}, b'{"code":"unavailable","message":"engine is away"}')
        finally:
            connection.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Silence: the tests look at answers."""


@contextmanager
def running_influx(folder: Path | None = None, *, token: str = "test-token") -> Iterator[Influx]:
    """A started engine with the bucket in it, for the length of a `with`."""
    with tempfile.TemporaryDirectory(prefix="gridhub-influx-", ignore_cleanup_errors=True) as temporary:
        influx = Influx(folder or Path(temporary), token=token)
        try:
            influx.start()
            influx.create()
            yield influx
        finally:
            influx.close()
