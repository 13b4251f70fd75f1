"""All that a history holds comes back in order, from a real engine as from the embedded file."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hub.errors import Unavailable
from hub.model.readings import Quality, ReadingBatch
from hub.stores import history_scan
from hub.stores.history import HistoryStore
from hub.stores.history_embedded import EmbeddedHistory
from hub.stores.history_influx import InfluxHistory
from hub.stores.history_scan import EmbeddedScan, InfluxScan
from tests.support.influx import Influx, running_influx
from tests.support.small_town import registry

T = 1_795_318_380_000
TOWN = registry()
DEVICES = [d.slot for d in TOWN.devices()][:4]
QUANTITIES = ("smoke", "temperature_c", "lock_state", "power_w")
Point = tuple[int, int, str, float]


@pytest.fixture(scope="module")
def engine() -> Iterator[Influx]:
    with running_influx() as influx:
        yield influx


def story(rows: int, *, step_ms: int) -> list[Point]:
    rng = random.Random(7)
    return [
        (T + n * step_ms, rng.choice(DEVICES), quantity, float(rng.randint(0, 1)))
        for n in range(rows)
        for quantity in (rng.choice(QUANTITIES),)
    ]


def written(store: HistoryStore, points: list[Point]) -> None:
    for at in range(0, len(points), 50):
        rows = [(slot, q, value, at_ms, at_ms, 0, n) for n, (at_ms, slot, q, value) in enumerate(points[at : at + 50])]
        store.write(ReadingBatch.of(rows), TOWN)


def told(pieces: Iterator[ReadingBatch]) -> list[tuple[int, int, int, float]]:
    found = []
    last = 0
    for batch in pieces:
        assert (np.diff(batch.received_at_ms) >= 0).all()
        assert batch.received_at_ms[0] >= last
        last = int(batch.received_at_ms[-1])
        columns = (batch.received_at_ms, batch.slot, batch.quantity, batch.value)
        found += list(zip(*(column.tolist() for column in columns), strict=True))
    return found


def expected(points: list[Point], begin: int = 0, end: int = 1 << 61) -> list[tuple[int, int, int, float]]:
    from hub.model.quantities import CODE

    return sorted((at_ms, slot, CODE[q], value) for at_ms, slot, q, value in points if begin <= at_ms < end)


@pytest.mark.needs_influx
@pytest.mark.parametrize("most", [200_000, 60])
def test_influxdb_gives_all_back_in_slices_of_any_size(
    engine: Influx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(history_scan, "_POINTS_AT_ONCE", most)
    engine.query(f'DROP DATABASE "{engine.bucket}"', database="")
    engine.create()
    points = story(400, step_ms=20_000)
    store = InfluxHistory(url=engine.url, org=engine.org, bucket=engine.bucket, token=engine.token, data_dir=tmp_path)
    written(store, points)
    store.close()
    scan = InfluxScan(TOWN, url=engine.url, bucket=engine.bucket, token=engine.token)
    assert scan.span() == (T, points[-1][0] + 1)
    assert sorted(told(scan.pieces(0, 1 << 61))) == expected(points)
    begin, end = T + 1_000_000, T + 5_000_000
    assert sorted(told(scan.pieces(begin, end))) == expected(points, begin, end)
    scan.close()


@pytest.mark.needs_influx
def test_an_influxdb_without_the_bucket_or_out_of_reach_says_so(engine: Influx) -> None:
    empty = InfluxScan(TOWN, url=engine.url, bucket="nothing", token=engine.token)
    with pytest.raises(Unavailable, match="nothing"):
        list(empty.pieces(0, 1 << 61))
    away = InfluxScan(TOWN, url="http://127.0.0.1:1", bucket="b", token="")
    with pytest.raises(Unavailable, match="does not answer"):
        away.span()


@pytest.mark.parametrize("most_rows", [1_000_000, 25])
def test_the_embedded_file_gives_all_back_in_slices_of_any_size(tmp_path: Path, most_rows: int) -> None:
    points = story(500, step_ms=20_000)
    store = EmbeddedHistory(tmp_path / "history.db", fold_rows=300)
    written(store, points)
    scan = EmbeddedScan(tmp_path / "history.db", TOWN, most_rows=most_rows)
    assert sorted(told(scan.pieces(0, 1 << 61))) == expected(points)
    begin, end = T + 1_000_000, T + 5_000_000
    assert sorted(told(scan.pieces(begin, end))) == expected(points, begin, end)
    span = scan.span()
    assert span is not None
    assert span[0] <= T < points[-1][0] < span[1]
    store.close()


def test_of_values_that_were_written_again_the_last_one_stands(tmp_path: Path) -> None:
    store = EmbeddedHistory(tmp_path / "history.db", fold_rows=2)
    for value in (1.0, 2.0, 3.0):
        store.write(ReadingBatch.of([(DEVICES[0], "temperature_c", value, T, T, 0, 0)]), TOWN)
    store.write(ReadingBatch.of([(DEVICES[0], "temperature_c", 9.0, T, T, int(Quality.TEST), 0)]), TOWN)
    assert [row[3] for row in told(EmbeddedScan(tmp_path / "history.db", TOWN).pieces(0, 1 << 61))] == [3.0]
    store.close()


def test_a_history_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "history.db").write_text("no database")
    with pytest.raises(Unavailable, match=r"history\.db"):
        list(EmbeddedScan(tmp_path / "history.db", TOWN).pieces(0, 1 << 61))
