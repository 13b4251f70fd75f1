"""History in InfluxDB 2 (or 1.x behind its v2 write path): one request per 5,000 lines, no batching behind our back."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from hub.clock import Clock, now_ms
from hub.errors import Unavailable
from hub.model.quantities import QUANTITIES
from hub.model.readings import ReadingBatch
from hub.stores.history import FIGURES, AlertEvent, Directory, GridStatus, LatestValue, Point, screened
from hub.stores.latest import LatestValues
from hub.stores.line_protocol import (
    GRIDS,
    TELEMETRY,
    SeriesKeys,
    alert_line,
    grid_line,
    stored_tag,
    telemetry_bodies,
)
from hub.stores.refused_lines import RefusedLine, RefusedLines

MOST_LINES = 5_000
_MOST_POINTS = 100_000

_CONFLICT = re.compile(r'field type conflict: input field \\?"(?P<field>[^"\\]+)\\?" on measurement \\?"(?P<m>[^"\\]+)')
_EXPIRED = re.compile(r"points beyond retention policy.*?dropped=(?P<lines>\d+)")


@dataclass(frozen=True, slots=True)
class _Refusal:
    """The server understood the request and will not take it, now or later."""

    status: int
    message: str

    def __str__(self) -> str:
        return f"{self.status} {self.message}"


class InfluxHistory:
    """Writes telemetry, alert events and grid states as points that may be written again without harm.

    Same series and time = same point, so after `Unavailable` the caller brings the whole batch again. A line that the
    server will never take is searched out by halving, put into `<data_dir>/history-refused.jsonl`, counted and logged;
    the others are kept. Queries are InfluxQL, which 1.x, 2.x and 3 understand. Latest values live beside it in SQLite.
    """

    def __init__(
        self,
        *,
        url: str,
        org: str,
        bucket: str,
        token: str,
        data_dir: Path,
        timeout_s: float = 30.0,
        clock: Clock = now_ms,
    ) -> None:
        self._url, self._org, self._bucket = url.rstrip("/"), org, bucket
        self._keys = SeriesKeys()
        self._latest = LatestValues(data_dir / "latest.db")
        self._refused = RefusedLines(data_dir / "history-refused.jsonl", clock=clock)
        self._client = InfluxDBClient(url=self._url, token=token, org=org, timeout=int(timeout_s * 1_000))
        self._write_api = self._client.write_api(write_options=SYNCHRONOUS)
        self._queries = httpx.Client(
            base_url=self._url,
            headers={"Authorization": f"Token {token}"} if token else {},
            timeout=timeout_s,
            trust_env=False,  # as the client above: no proxy stands before one's own database
        )
        self._writing = threading.Lock()  # also guards the keys and the client's last response

    def write(self, batch: ReadingBatch, registry: Directory) -> None:
        sound = screened(batch, registry)
        with self._writing:
            self._latest.write(sound.batch, registry)  # first: what the API shows must not wait for InfluxDB
            refused: list[RefusedLine] = []
            for body in telemetry_bodies(sound.batch, registry, self._keys, most_lines=MOST_LINES):
                self._deliver(body, "ms", refused)
            self._refused.add(refused)
        sound.count()

    def write_alerts(self, rows: Sequence[AlertEvent]) -> None:
        self._write_lines([alert_line(row) for row in rows], "ns")

    def write_grid_status(self, rows: Sequence[GridStatus]) -> None:
        self._write_lines([grid_line(row) for row in rows], "ms")

    def latest(self, device_id: str) -> list[LatestValue]:
        return self._latest.latest(device_id)

    def series(self, device_id: str, quantity: str, from_ms: int, to_ms: int, limit: int) -> list[Point]:
        if quantity not in QUANTITIES:
            return []
        return self._points(TELEMETRY, quantity, "device", device_id, from_ms, to_ms, limit)

    def grid_series(self, grid: str, figure: str, from_ms: int, to_ms: int, limit: int) -> list[Point]:
        if figure not in FIGURES:
            return []
        return self._points(GRIDS, figure, "grid", grid, from_ms, to_ms, limit)

    def ping(self) -> bool:
        """Whether something that answers like InfluxDB is there; says nothing about token and bucket."""
        try:
            return self._queries.get("/ping", timeout=3.0).status_code == 204
        except httpx.HTTPError:
            return False

    def close(self) -> None:
        with self._writing:
            self._write_api.close()
            self._client.close()
            self._queries.close()
            self._latest.close()

    # writing

    def _write_lines(self, lines: list[str], precision: str) -> None:
        with self._writing:
            refused: list[RefusedLine] = []
            for n in range(0, len(lines), MOST_LINES):
                self._deliver("\n".join(lines[n : n + MOST_LINES]), precision, refused)
            self._refused.add(refused)

    def _deliver(self, body: str, precision: str, refused: list[RefusedLine]) -> None:
        refusal = self._post(body, precision)
        if refusal is not None:
            self._sift(body.split("\n"), precision, refusal, refused)

    def _sift(self, lines: list[str], precision: str, refusal: _Refusal, refused: list[RefusedLine]) -> None:
        """Brings all of `lines` that can be brought, after the server has refused them together."""
        expired = _EXPIRED.search(refusal.message)
        if expired is not None:  # the others are in; these are older than the bucket keeps anything
            refused.append(RefusedLine(lines[0] if len(lines) == 1 else "", str(refusal), int(expired["lines"])))
            return
        conflict = _CONFLICT.search(refusal.message)
        if conflict is not None and conflict["m"] == TELEMETRY:
            cleaned, taken = _without_field(lines, conflict["field"])
            if taken:  # lose one field, not the line
                refused.extend(RefusedLine(line, str(refusal)) for line in taken)
                if cleaned:
                    self._deliver("\n".join(cleaned), precision, refused)
                return
        if len(lines) == 1:
            refused.append(RefusedLine(lines[0], str(refusal)))
            return
        middle = len(lines) // 2
        for half in (lines[:middle], lines[middle:]):
            self._deliver("\n".join(half), precision, refused)

    def _post(self, body: str, precision: str) -> _Refusal | None:
        """One request. None = every line is durable; a refusal is for good; anything else is `Unavailable`."""
        try:
            self._write_api.write(self._bucket, self._org, body.encode("utf-8"), write_precision=precision)
        except ApiException as answer:
            return self._judge(int(answer.status or 0), _said(answer), answer)
        except (HTTPError, OSError) as away:
            raise Unavailable(f"InfluxDB at {self._url} does not answer: {type(away).__name__}", after_s=1.0) from away
        status = getattr(getattr(self._client.api_client, "last_response", None), "status", 204)
        if status != 204:
            raise Unavailable(
                f"{self._url} answered a write with {status}, which InfluxDB never does; check history.url",
                after_s=10.0,
            )
        return None

    def _judge(self, status: int, message: str, answer: ApiException) -> _Refusal | None:
        if status in (400, 413, 422):
            return _Refusal(status, message)
        advice = {
            401: f"the token is not accepted; put one that may write bucket '{self._bucket}' into history.token_file",
            403: f"the token may not write bucket '{self._bucket}'; give it that permission",
            404: f"no bucket '{self._bucket}' in organisation '{self._org}'; create it, or correct history.bucket and history.org",
        }
        if status in advice:
            raise Unavailable(f"InfluxDB at {self._url}: {advice[status]} ({status} {message})", after_s=5.0)
        after_s = _seconds(answer) if status in (429, 503) else None
        raise Unavailable(f"InfluxDB at {self._url} answered {status} {message}", after_s=after_s or 1.0)

    # reading

    def _points(
        self, measurement: str, field: str, tag: str, value: str, from_ms: int, to_ms: int, limit: int
    ) -> list[Point]:
        query = (
            f'SELECT "{field}" FROM "{measurement}" WHERE "{tag}" = {_literal(stored_tag(value))} '
            f"AND time >= {int(from_ms)}ms AND time < {int(to_ms)}ms "
            f"ORDER BY time DESC LIMIT {max(1, min(int(limit), _MOST_POINTS))}"
        )
        rows = [(int(at), float(number)) for at, number in self._query(query) if number is not None]
        return [Point(at_ms=at, value=number) for at, number in reversed(rows)]

    def _query(self, query: str) -> list[list[Any]]:
        try:
            answer = self._queries.get("/query", params={"db": self._bucket, "epoch": "ms", "q": query})
            found = answer.json() if answer.status_code == 200 else None
        except (httpx.HTTPError, ValueError) as away:
            raise Unavailable(f"InfluxDB at {self._url} does not answer: {type(away).__name__}") from away
        if found is None:
            raise Unavailable(f"InfluxDB at {self._url} answered {answer.status_code} {answer.text[:200]}")
        result = found["results"][0]
        if "error" in result:
            raise Unavailable(f"InfluxDB at {self._url}: {result['error']}", after_s=5.0)
        return [row for series in result.get("series", ()) for row in series["values"]]


def _without_field(lines: list[str], field: str) -> tuple[list[str], list[str]]:
    """Telemetry `lines` without `field`, and those that had it. Their values hold no blanks, commas or quotes."""
    kept: list[str] = []
    taken: list[str] = []
    for line in lines:
        head, fields, at = line.rsplit(" ", 2)
        parts = fields.split(",")
        rest = [part for part in parts if not part.startswith(f"{field}=")]
        if len(rest) < len(parts):
            taken.append(line)
        if rest:
            kept.append(f"{head} {','.join(rest)} {at}")
    return kept, taken


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _said(answer: ApiException) -> str:
    """The server's words, shortened; the client hides them in different places."""
    return str(answer.message or answer.body or answer.reason or "")[:500]


def _seconds(answer: ApiException) -> float | None:
    try:
        return min(300.0, max(0.0, float((answer.headers or {}).get("Retry-After", ""))))
    except ValueError:
        return None
