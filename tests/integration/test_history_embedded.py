"""The embedded history on a real file."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.errors import Unavailable
from hub.model.quantities import QUANTITIES
from hub.model.readings import Quality, ReadingBatch
from hub.stores.history import GridStatus
from hub.stores.history_embedded import EmbeddedHistory
from tests.support.small_town import device, registry

T = 1_795_318_380_000
HOUR = 3_600_000
TOWN = registry()


@pytest.fixture(params=[1, 7, 1_000_000], ids=["folded at once", "folded now and then", "never folded"])
def history(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EmbeddedHistory]:
    """Every promise holds whether a reading lies in a block or in a chunk."""
    store = EmbeddedHistory(tmp_path / "history.db", retain_days=2, fold_rows=request.param)
    yield store
    store.close()


def batch_of(*rows: tuple[int, str, float, int], quality: int = 0, received_at_ms: int | None = None) -> ReadingBatch:
    return ReadingBatch.of([(s, q, v, at, received_at_ms or at + 20, quality, 0) for s, q, v, at in rows])


def values(history: EmbeddedHistory, device: str = "smoke-1", quantity: str = "temperature_c") -> list[float]:
    return [p.value for p in history.series(device, quantity, 0, T * 2, 1_000_000)]


def test_what_was_written_is_read_after_a_restart(tmp_path: Path) -> None:
    first = EmbeddedHistory(tmp_path / "h.db")
    first.write(batch_of((0, "temperature_c", 21.5, T), (0, "smoke", 1.0, T), (1, "smoke", 0.0, T)), TOWN)
    first.close()
    again = EmbeddedHistory(tmp_path / "h.db")
    assert [(v.quantity, v.value, v.unit) for v in again.latest("smoke-1")] == [
        ("smoke", True, ""),
        ("temperature_c", 21.5, "°C"),
    ]
    assert values(again) == [21.5]
    assert values(again, "smoke-2", "smoke") == [0.0]
    again.close()


def test_many_devices_may_report_for_the_first_time_at_once(tmp_path: Path) -> None:
    town = registry(*(device(f"meter-{n}", "meter") for n in range(1_200)))
    store = EmbeddedHistory(tmp_path / "h.db")
    for slots in (range(600, 610), range(1_200), range(1_200)):  # some are known already, then all
        store.write(batch_of(*[(slot, "power_w", float(slot), T) for slot in slots]), town)
    for slot in (0, 499, 500, 605, 999, 1_000, 1_199):
        assert [v.value for v in store.latest(f"meter-{slot}")] == [float(slot)]
        assert values(store, f"meter-{slot}", "power_w") == [float(slot)]
    store.close()


def test_the_same_batch_again_adds_nothing(history: EmbeddedHistory) -> None:
    batch = batch_of(*[(slot, "temperature_c", float(n), T + n) for n in range(100) for slot in range(5)])
    for _ in range(3):
        history.write(batch, TOWN)
    assert values(history) == [float(n) for n in range(100)]


def test_a_series_crosses_hours_and_gives_the_newest_points_oldest_first(history: EmbeddedHistory) -> None:
    history.write(batch_of(*[(0, "temperature_c", float(n), T + n * HOUR // 3) for n in range(12)]), TOWN)
    step = HOUR // 3
    assert [p.value for p in history.series("smoke-1", "temperature_c", T + step, T + 9 * step, 5)] == [
        4.0,
        5.0,
        6.0,
        7.0,
        8.0,
    ]
    assert [p.at_ms for p in history.series("smoke-1", "temperature_c", T, T + 1, 5)] == [T]
    assert history.series("smoke-1", "temperature_c", T, T, 5) == []
    assert history.series("smoke-1", "nothing of ours", 0, T * 2, 5) == []
    assert history.series("nobody", "temperature_c", 0, T * 2, 5) == []


def test_the_latest_value_is_the_one_observed_last_not_the_one_received_last(history: EmbeddedHistory) -> None:
    history.write(batch_of((0, "temperature_c", 30.0, T)), TOWN)
    history.write(batch_of((0, "temperature_c", 10.0, T - 5_000), quality=Quality.LATE, received_at_ms=T + 99), TOWN)
    assert [v.value for v in history.latest("smoke-1")] == [30.0]
    assert values(history) == [10.0, 30.0]


def test_of_several_rows_in_one_batch_the_newest_is_the_latest(history: EmbeddedHistory) -> None:
    history.write(
        batch_of((0, "temperature_c", 1.0, T), (0, "temperature_c", 3.0, T + 9), (0, "temperature_c", 2.0, T + 5)), TOWN
    )
    assert [v.value for v in history.latest("smoke-1")] == [3.0]


def test_states_and_switches_are_shown_in_words(history: EmbeddedHistory) -> None:
    open_ = float(QUANTITIES["gate_state"].states.index("open"))
    history.write(batch_of((3, "gate_state", open_, T), (3, "relay_on", 0.0, T)), TOWN)
    assert {v.quantity: v.value for v in history.latest("cabinet-1")} == {"gate_state": "open", "relay_on": False}


def test_unknown_is_no_point_but_is_the_latest_value(history: EmbeddedHistory) -> None:
    history.write(batch_of((0, "temperature_c", 21.5, T)), TOWN)
    history.write(batch_of((0, "temperature_c", math.nan, T + 1), quality=Quality.UNKNOWN), TOWN)
    assert values(history) == [21.5]
    assert [v.value for v in history.latest("smoke-1")] == [None]


def test_readings_of_a_test_leave_no_trace(history: EmbeddedHistory) -> None:
    history.write(batch_of((0, "smoke", 1.0, T), quality=Quality.TEST), TOWN)
    assert history.latest("smoke-1") == []
    assert values(history, quantity="smoke") == []


def test_a_device_keeps_its_series_when_its_slot_changes(history: EmbeddedHistory) -> None:
    history.write(batch_of((0, "temperature_c", 1.0, T)), TOWN)
    other = registry(device("somebody"), device("smoke-1"))
    history.write(batch_of((1, "temperature_c", 2.0, T + 1), (0, "temperature_c", 9.0, T + 1)), other)
    assert values(history) == [1.0, 2.0]
    assert values(history, "somebody") == [9.0]


def test_old_readings_go_and_older_ones_do_not_come_in(history: EmbeddedHistory) -> None:
    history.write(batch_of((0, "temperature_c", 1.0, T)), TOWN)
    history.write(batch_of((0, "temperature_c", 2.0, T + 50 * HOUR)), TOWN)
    assert values(history) == [2.0]
    history.write(batch_of((0, "temperature_c", 3.0, T), quality=Quality.HISTORY, received_at_ms=T + 50 * HOUR), TOWN)
    assert values(history) == [2.0]


def test_the_file_stays_within_its_bound_and_keeps_the_newest(tmp_path: Path) -> None:
    history = EmbeddedHistory(tmp_path / "h.db", most_mib=1, fold_rows=4_000)
    for hour in range(60):
        rows = [(slot, "temperature_c", n + 0.25, T + hour * HOUR + n) for slot in range(5) for n in range(800)]
        history.write(batch_of(*rows), TOWN)
        assert history.used_bytes() <= 1.2 * 1024 * 1024
    assert (tmp_path / "h.db").stat().st_size < 2 * 1024 * 1024
    newest = history.series("smoke-1", "temperature_c", T + 59 * HOUR, T + 60 * HOUR, 10_000)
    assert len(newest) == 800
    assert history.series("smoke-1", "temperature_c", T, T + HOUR, 10) == []
    history.close()


def test_the_newest_hour_stays_whatever_its_size(tmp_path: Path) -> None:
    start = T // HOUR * HOUR
    history = EmbeddedHistory(tmp_path / "h.db", most_mib=1, fold_rows=10_000)
    for n in range(0, 40_000, 2_000):
        rows = [(slot, "temperature_c", 0.5, start + k) for slot in range(5) for k in range(n, n + 2_000)]
        history.write(batch_of(*rows), TOWN)
    assert len(history.series("smoke-1", "temperature_c", start, start + HOUR, 100_000)) == 40_000
    history.close()


def test_the_last_writer_of_a_time_wins_across_blocks_and_chunks(tmp_path: Path) -> None:
    history = EmbeddedHistory(tmp_path / "h.db")
    for value in (1.0, 2.0, 3.0, 4.0):
        history.write(batch_of((0, "temperature_c", value, T), (0, "smoke", 0.0, T + int(value))), TOWN)
        if value < 4:
            history.fold()
        assert values(history) == [value]
        assert [v.value for v in history.latest("smoke-1")] == [False, value]
    assert len(values(history, quantity="smoke")) == 4
    history.close()


def test_another_process_sees_what_the_hub_writes(tmp_path: Path) -> None:
    hub = EmbeddedHistory(tmp_path / "h.db", fold_rows=10)
    console = EmbeddedHistory(tmp_path / "h.db")
    for n in range(40):
        hub.write(batch_of((0, "temperature_c", float(n), T + n), (1, "smoke", 1.0, T + n)), TOWN)
        if n % 3 == 0:
            assert [v.value for v in console.latest("smoke-1")] == [float(n)]
            assert len(values(console)) == n + 1
    hub.close()
    console.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(
            st.tuples(
                st.integers(0, 2), st.sampled_from(["temperature_c", "smoke"]), st.integers(0, 9), st.integers(0, 6)
            ),
            max_size=8,
        ),
        max_size=8,
    ),
    st.integers(1, 12),
    st.integers(1, 9),
)
def test_series_and_latest_are_what_a_plain_dictionary_says(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[tuple[int, str, int, int]]], fold_rows: int, limit: int
) -> None:
    history = EmbeddedHistory(tmp_path_factory.mktemp("h") / "h.db", fold_rows=fold_rows)
    told: dict[tuple[int, str], dict[int, float]] = {}
    latest: dict[tuple[int, str], tuple[int, float]] = {}
    for batch in batches:
        rows = [(slot, q, float(v > 4) if q == "smoke" else float(v), T + t * HOUR // 2) for slot, q, v, t in batch]
        history.write(batch_of(*rows), TOWN)
        for slot, q, v, at in rows:
            told.setdefault((slot, q), {})[at] = v
            if at >= latest.get((slot, q), (0, 0.0))[0]:
                latest[slot, q] = (at, v)
    for slot, name in enumerate(("smoke-1", "smoke-2", "smoke-9")):
        for q in ("temperature_c", "smoke"):
            wanted = sorted(told.get((slot, q), {}).items())
            assert [(p.at_ms, p.value) for p in history.series(name, q, 0, T * 2, limit)] == wanted[-limit:]
            cut = [(at, v) for at, v in wanted if T + HOUR <= at < T + 2 * HOUR]
            assert [(p.at_ms, p.value) for p in history.series(name, q, T + HOUR, T + 2 * HOUR, limit)] == cut[-limit:]
        shown = {v.quantity: (v.observed_at_ms, float(v.value)) for v in history.latest(name)}  # type: ignore[arg-type]
        assert shown == {q: found for (s, q), found in latest.items() if s == slot}
    history.close()


def test_grid_states_are_a_series_of_their_own(history: EmbeddedHistory) -> None:
    rows = [
        GridStatus(at_ms=T + n * 60_000, community="c1", grid="g1", name="x", devices=4, silent=n, open_p1=1)
        for n in range(3)
    ]
    history.write_grid_status(rows)
    history.write_grid_status(rows)
    assert [p.value for p in history.grid_series("g1", "silent", T, T + HOUR, 10)] == [0.0, 1.0, 2.0]
    assert history.grid_series("g2", "silent", T, T + HOUR, 10) == []


def test_a_failed_write_leaves_nothing_behind_and_can_be_repeated(history: EmbeddedHistory) -> None:
    batch = batch_of((0, "temperature_c", 21.5, T))
    history._values._db.execute("PRAGMA max_page_count = 1")  # as small as the file is now: no page more
    rows = [(slot, "temperature_c", 1.0, T + n) for n in range(2_000) for slot in range(5)]
    with pytest.raises(Unavailable, match="disk is full"):
        history.write(batch_of(*rows), TOWN)
    assert history.latest("smoke-1") == []
    assert values(history) == []
    history._values._db.execute("PRAGMA max_page_count = 1000000")
    history.write(batch, TOWN)
    assert values(history) == [21.5]


def test_a_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "h.db").write_bytes(b"this is no database, and longer than a header of one " * 20)
    with pytest.raises(Unavailable, match="move it away"):
        EmbeddedHistory(tmp_path / "h.db")


def test_readers_are_not_disturbed_by_the_writer(history: EmbeddedHistory) -> None:
    failures: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                history.latest("smoke-1")
                history.series("smoke-1", "temperature_c", T, T + HOUR, 100)
        except BaseException as bad:
            failures.append(bad)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for n in range(50):
        history.write(batch_of(*[(slot, "temperature_c", float(n), T + n * 100 + slot) for slot in range(5)]), TOWN)
    done.set()
    for reader in readers:
        reader.join(5)
    assert failures == []
    assert len(values(history)) == 50
