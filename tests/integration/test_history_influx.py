"""The InfluxDB writer against a real engine: refusals, outages, types, queries."""

from __future__ import annotations

import json
import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from hub.clock import SteppedClock
from hub.errors import Unavailable
from hub.model.readings import Quality, ReadingBatch
from hub.registry.snapshot import Registry
from hub.stores.history import FIGURES, AlertEvent, GridStatus
from hub.stores.history_influx import InfluxHistory
from hub.telemetry import HISTORY_DROPPED
from tests.support.influx import Influx, running_influx
from tests.support.small_town import device, registry

pytestmark = pytest.mark.needs_influx
T = 1_795_318_380_000


@pytest.fixture(scope="module")
def engine() -> Iterator[Influx]:
    with running_influx() as influx:
        yield influx


@pytest.fixture
def influx(engine: Influx) -> Influx:
    """The engine with an empty bucket."""
    engine.query(f'DROP DATABASE "{engine.bucket}"', database="")
    engine.create()
    return engine


def history_of(
    influx: Influx, folder: Path, *, url: str = "", token: str | None = None, bucket: str = ""
) -> InfluxHistory:
    return InfluxHistory(
        url=url or influx.url,
        org=influx.org,
        bucket=bucket or influx.bucket,
        token=influx.token if token is None else token,
        data_dir=folder,
        timeout_s=10,
        clock=SteppedClock(),
    )


@pytest.fixture
def history(influx: Influx, tmp_path: Path) -> Iterator[InfluxHistory]:
    store = history_of(influx, tmp_path)
    yield store
    store.close()


@pytest.fixture
def town() -> Registry:
    return registry()


def batch_of(*rows: tuple[int, str, float, int], quality: int = 0) -> ReadingBatch:
    return ReadingBatch.of([(slot, quantity, value, at, at + 20, quality, 0) for slot, quantity, value, at in rows])


def refused(folder: Path) -> list[dict[str, object]]:
    file = folder / "history-refused.jsonl"
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []


def test_readings_come_back_from_the_engine_with_their_tags_and_types(
    influx: Influx, history: InfluxHistory, town: Registry
) -> None:
    history.write(
        batch_of((0, "temperature_c", 1e-7, T), (0, "energy_import_kwh", 1e21, T), (0, "smoke", 1.0, T)), town
    )
    (row,) = influx.rows('SELECT * FROM "telemetry"')
    assert row == {
        "time": T,
        "building": "b1",
        "community": "c1",
        "compound": "k1",
        "device": "smoke-1",
        "grid": "g1",
        "kind": "smoke_alarm",
        "temperature_c": 1e-7,
        "energy_import_kwh": 1e21,
        "smoke": 1,
    }
    types = {r["fieldKey"]: r["fieldType"] for r in influx.rows('SHOW FIELD KEYS FROM "telemetry"')}
    assert types == {"temperature_c": "float", "energy_import_kwh": "float", "smoke": "integer"}


def test_the_same_batch_again_adds_nothing(influx: Influx, history: InfluxHistory, town: Registry) -> None:
    batch = batch_of(*[(slot, "temperature_c", float(n), T + n) for n in range(200) for slot in range(5)])
    for _ in range(3):
        history.write(batch, town)
    assert influx.rows('SELECT count("temperature_c") FROM "telemetry"')[0]["count"] == 1_000


@pytest.mark.parametrize(
    "name", ["a b,c=d", 'qu"ote', "back\\slash\\", "new\nline", "中文-é-🔥", "'; DROP SERIES FROM x --", "#x", "\u2028"]
)
def test_a_device_of_any_name_is_written_and_found_again(
    influx: Influx, history: InfluxHistory, name: str, tmp_path: Path
) -> None:
    town = registry(device(name))
    history.write(batch_of((0, "temperature_c", 21.5, T)), town)
    assert [p.value for p in history.series(name, "temperature_c", T, T + 1, 10)] == [21.5]
    assert refused(tmp_path) == []


def test_a_bad_line_loses_no_other_and_is_kept_aside(
    influx: Influx, history: InfluxHistory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = registry(*[device(f"d{n}") for n in range(300)])
    huge = "x" * 70_000  # InfluxDB takes no series key above 64 KiB
    town = registry(*[device(f"d{n}") for n in range(300)], device(huge), previous=town)
    rows = [(slot, "temperature_c", 20.0, T) for slot in range(300)]
    rows.insert(123, (300, "temperature_c", 99.0, T))
    before = HISTORY_DROPPED._value.get()
    history.write(batch_of(*rows), town)
    assert influx.rows('SELECT count("temperature_c") FROM "telemetry"')[0]["count"] == 300
    (aside,) = refused(tmp_path)
    assert huge in str(aside["line"])
    assert HISTORY_DROPPED._value.get() == before + 1


def test_many_bad_lines_are_all_found(influx: Influx, history: InfluxHistory, tmp_path: Path) -> None:
    bad = [device("y" * 70_000 + str(n)) for n in range(4)]
    town = registry(*[device(f"d{n}") for n in range(60)], *bad)
    order = list(range(64))
    random.Random(3).shuffle(order)
    history.write(batch_of(*[(slot, "temperature_c", 20.0, T) for slot in order]), town)
    assert influx.rows('SELECT count("temperature_c") FROM "telemetry"')[0]["count"] == 60
    assert len(refused(tmp_path)) == 4


def test_a_field_of_another_type_costs_only_that_field(
    influx: Influx, history: InfluxHistory, town: Registry, tmp_path: Path
) -> None:
    influx.write_directly(f"telemetry,device=other humidity_pct=40i {T}")
    history.write(
        batch_of(
            *[(slot, q, 21.5, T + 1) for slot in range(5) for q in ("temperature_c", "humidity_pct", "battery_pct")]
        ),
        town,
    )
    (counts,) = influx.rows(
        'SELECT count("temperature_c") AS t, count("battery_pct") AS b, count("humidity_pct") AS h FROM "telemetry"'
    )
    assert (counts["t"], counts["b"], counts["h"]) == (5, 5, 1)
    assert len(refused(tmp_path)) == 5
    assert "field type conflict" in str(refused(tmp_path)[0]["reason"])


def test_points_older_than_the_bucket_keeps_cost_no_others(
    influx: Influx, history: InfluxHistory, town: Registry, tmp_path: Path
) -> None:
    influx.query('ALTER RETENTION POLICY "autogen" ON "telemetry" DURATION 24h SHARD DURATION 1h', database="")
    now = int(time.time() * 1_000)
    before = HISTORY_DROPPED._value.get()
    history.write(
        batch_of((0, "smoke", 0.0, now - 90_000_000), (0, "smoke", 0.0, now - 1_000), (1, "smoke", 0.0, now - 1_000)),
        town,
    )
    assert influx.rows('SELECT count("smoke") FROM "telemetry"')[0]["count"] == 2
    assert HISTORY_DROPPED._value.get() == before + 1
    assert [r["lines"] for r in refused(tmp_path)] == [1]


def test_a_wrong_token_asks_the_operator_and_loses_nothing(influx: Influx, town: Registry, tmp_path: Path) -> None:
    store = history_of(influx, tmp_path, token="wrong")
    with pytest.raises(Unavailable, match=r"token.*history\.token_file"):
        store.write(batch_of((0, "smoke", 0.0, T)), town)
    store.close()
    assert refused(tmp_path) == []


def test_a_missing_bucket_asks_the_operator(influx: Influx, town: Registry, tmp_path: Path) -> None:
    store = history_of(influx, tmp_path, bucket="nobody-made-it")
    with pytest.raises(Unavailable, match=r"no bucket 'nobody-made-it'.*create it"):
        store.write(batch_of((0, "smoke", 0.0, T)), town)
    store.close()


def test_nothing_listening_is_unavailable_and_latest_values_are_there_all_the_same(
    influx: Influx, town: Registry, tmp_path: Path
) -> None:
    store = history_of(influx, tmp_path, url="http://127.0.0.1:9")
    with pytest.raises(Unavailable, match="does not answer"):
        store.write(batch_of((0, "temperature_c", 21.5, T)), town)
    with pytest.raises(Unavailable):
        store.series("smoke-1", "temperature_c", 0, T, 10)
    assert not store.ping()
    assert [(v.quantity, v.value) for v in store.latest("smoke-1")] == [("temperature_c", 21.5)]
    store.close()


class _Canned(BaseHTTPRequestHandler):
    status = 200

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.send_header("Retry-After", "7")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def canned() -> Iterator[Callable[[int], str]]:
    server = HTTPServer(("127.0.0.1", 0), _Canned)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def answering(status: int) -> str:
        _Canned.status = status
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield answering
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.mark.parametrize("status", [200, 202, 301, 405, 429, 500, 502, 503, 504])
def test_an_answer_that_is_not_a_proof_loses_nothing(
    influx: Influx, town: Registry, tmp_path: Path, canned: Callable[[int], str], status: int
) -> None:
    store = history_of(influx, tmp_path, url=canned(status))
    with pytest.raises(Unavailable) as raised:
        store.write(batch_of((0, "smoke", 0.0, T)), town)
    if status in (429, 503):
        assert raised.value.after_s == 7
    store.close()
    assert refused(tmp_path) == []


def test_a_server_that_never_answers_is_given_up_after_the_time_limit(town: Registry, tmp_path: Path) -> None:
    import socket

    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(1)
        store = InfluxHistory(
            url=f"http://127.0.0.1:{deaf.getsockname()[1]}",
            org="o",
            bucket="b",
            token="",
            data_dir=tmp_path,
            timeout_s=0.3,
        )
        with pytest.raises(Unavailable):
            store.write(batch_of((0, "smoke", 0.0, T)), town)
        store.close()


def test_an_engine_killed_in_mid_stream_misses_nothing_afterwards(
    influx: Influx, history: InfluxHistory, town: Registry
) -> None:
    """The caller's part of the contract: keep the batch until `write` returns, bring it again after `Unavailable`."""
    batches = [
        batch_of(*[(slot, "temperature_c", float(n), T + n * 1_000 + k) for slot in range(5) for k in range(40)])
        for n in range(60)
    ]
    kills = {15, 35}
    failures = 0
    for n, batch in enumerate(batches):
        if n in kills:
            influx.kill()
            threading.Timer(0.3, influx.start).start()
        give_up = time.monotonic() + 60
        while True:
            try:
                history.write(batch, town)
                break
            except Unavailable:
                failures += 1
                assert time.monotonic() < give_up
                time.sleep(0.1)
    assert failures >= len(kills)
    assert influx.rows('SELECT count("temperature_c") FROM "telemetry"')[0]["count"] == 60 * 5 * 40


def test_a_batch_above_the_limit_goes_in_several_requests(
    influx: Influx, history: InfluxHistory, town: Registry
) -> None:
    before = influx.requests
    history.write(batch_of(*[(0, "temperature_c", 1.0, T + n) for n in range(12_000)]), town)
    assert influx.requests - before == 3
    assert influx.rows('SELECT count("temperature_c") FROM "telemetry"')[0]["count"] == 12_000


def test_a_series_is_the_newest_points_oldest_first(history: InfluxHistory, town: Registry) -> None:
    history.write(batch_of(*[(0, "temperature_c", float(n), T + n * 10) for n in range(10)]), town)
    points = history.series("smoke-1", "temperature_c", T + 10, T + 80, 3)
    assert [(p.at_ms, p.value) for p in points] == [(T + 50, 5.0), (T + 60, 6.0), (T + 70, 7.0)]
    assert history.series("smoke-1", "no such quantity", T, T + 80, 3) == []
    assert history.series("nobody", "temperature_c", T, T + 80, 3) == []


def test_a_device_that_moved_keeps_one_series(history: InfluxHistory, town: Registry) -> None:
    import dataclasses

    history.write(batch_of((0, "temperature_c", 1.0, T)), town)
    moved = registry(dataclasses.replace(town.device(0), place="b9", grid="g3"), previous=town)
    history.write(batch_of((0, "temperature_c", 2.0, T + 1)), moved)
    assert [p.value for p in history.series("smoke-1", "temperature_c", T, T + 10, 10)] == [1.0, 2.0]


def test_alert_events_and_grid_states_are_written_once(influx: Influx, history: InfluxHistory) -> None:
    def event(sequence: int) -> AlertEvent:
        return AlertEvent(
            sequence=sequence, at_ms=T, alert_id="a", rule="r", action="raised", community="c1", grid="g1",
            device="smoke-1", kind="smoke_alarm", severity="P1", case_state="reported", alarm_state="active_unacked",
            live=True, value=1.0, msg='"烟"\n', place="b1",
        )  # fmt: skip

    events = [event(n) for n in range(3)]
    states = [GridStatus(at_ms=T, community="c1", grid=g, name=g, devices=4, silent=1, open_p1=2) for g in ("g1", "g2")]
    for _ in range(2):
        history.write_alerts(events)
        history.write_grid_status(states)
    assert len(influx.rows('SELECT "msg" FROM "alert_event"')) == 3
    assert len(influx.rows('SELECT "devices" FROM "grid_status"')) == 2
    assert {f: history.grid_series("g1", f, T, T + 1, 5)[0].value for f in FIGURES} == {
        "devices": 4, "silent": 1, "open_p1": 2, "open_p2": 0, "open_p3": 0, "open_p4": 0,
    }  # fmt: skip
    history.write_alerts([])
    history.write_grid_status([])


def test_unknown_is_no_point_but_is_the_latest_value(influx: Influx, history: InfluxHistory, town: Registry) -> None:
    history.write(batch_of((0, "temperature_c", 21.5, T)), town)
    history.write(batch_of((0, "temperature_c", math.nan, T + 5), quality=Quality.UNKNOWN), town)
    assert len(influx.rows('SELECT "temperature_c" FROM "telemetry"')) == 1
    (value,) = history.latest("smoke-1")
    assert (value.value, value.observed_at_ms, value.quality) == (None, T + 5, int(Quality.UNKNOWN))
