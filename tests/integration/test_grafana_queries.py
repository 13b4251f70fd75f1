"""Every query of the dashboards, on a real InfluxQL engine that the hub's own writer has filled."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from grafana.src.build import DASHBOARDS, FOLDER
from hub.model.readings import ReadingBatch
from hub.stores.history import AlertEvent, GridStatus
from hub.stores.history_influx import InfluxHistory
from tests.support.influx import Influx, running_influx
from tests.support.small_town import registry

pytestmark = pytest.mark.needs_influx

MINUTE = 60_000
NOW = int(time.time() * 1_000) // MINUTE * MINUTE
GRIDS = {"g1": "c1", "g2": "c1", "g3": "c2"}
BOARDS = {name: json.loads((FOLDER / name).read_text("utf-8")) for name in DASHBOARDS}
PANELS = [
    pytest.param(panel, target["query"], id=f"{name}: {panel['title']}")
    for name, board in BOARDS.items()
    for panel in board["panels"]
    for target in panel["targets"]
]
VARIABLES = [
    pytest.param(variable, id=variable["name"])
    for board in BOARDS.values()
    for variable in board["templating"]["list"]
    if variable["type"] == "query"
]
MARKS = [pytest.param(mark, id=mark["name"]) for board in BOARDS.values() for mark in board["annotations"]["list"]]


def alert(
    sequence: int, device: str, grid: str, at_ms: int, *, live: bool, state: Any, action: str, severity: str
) -> AlertEvent:
    return AlertEvent(
        sequence=sequence, at_ms=at_ms, alert_id=f"alert-{device}", rule="smoke-alarm", action=action, community=GRIDS[grid],
        grid=grid, device=device, kind="smoke_alarm", severity=severity, case_state=state, alarm_state="active_unacked",
        live=live, value=1.0, msg="烟雾报警 / Smoke alarm", place="1号楼 / Building 1",
    )  # fmt: skip


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    """Two hours: smoke-1 burns and stays open, smoke-9 was closed; g2 has two silent devices."""
    with running_influx() as influx:
        store = InfluxHistory(
            url=influx.url,
            org=influx.org,
            bucket=influx.bucket,
            token=influx.token,
            data_dir=tmp_path_factory.mktemp("hub"),
        )
        rows = []
        for at in range(NOW - 120 * MINUTE, NOW, MINUTE):
            burning = at >= NOW - 10 * MINUTE
            for slot in range(5):
                rows.append((slot, "temperature_c", 20.0 + slot + 60.0 * (burning and slot == 0), at, at + 9, 0, 0))
                if slot < 3:
                    rows.append((slot, "smoke", float(burning and slot == 0), at, at + 9, 0, 0))
        store.write(ReadingBatch.of(rows), registry())
        store.write_alerts(
            [
                alert(
                    1, "smoke-9", "g3", NOW - 90 * MINUTE, live=True, state="reported", action="raised", severity="P1"
                ),
                alert(
                    2, "smoke-1", "g1", NOW - 10 * MINUTE, live=True, state="reported", action="raised", severity="P1"
                ),
                alert(
                    3,
                    "smoke-1",
                    "g1",
                    NOW - 9 * MINUTE,
                    live=True,
                    state="accepted",
                    action="acknowledge",
                    severity="P1",
                ),
                alert(4, "smoke-9", "g3", NOW - 80 * MINUTE, live=False, state="closed", action="close", severity="P1"),
            ]
        )
        store.write_grid_status(
            [
                GridStatus(at_ms=at, community=community, grid=grid, name=grid, devices=10, silent=2 * (grid == "g2"), open_p1=int(grid == "g1"))
                for at in range(NOW - 120 * MINUTE, NOW, MINUTE)
                for grid, community in GRIDS.items()
            ]
        )  # fmt: skip
        store.close()
        yield influx


def expanded(query: str, *, span: str = "6h", community: str = ".*", grid: str = ".*") -> str:
    """`query` as Grafana would send it: variables in regex format, the time range, an interval."""
    minutes = {"m": 1, "h": 60, "d": 1_440}[span[-1]] * int(span[:-1])
    since = NOW + MINUTE - minutes * MINUTE
    filled_in = (
        query.replace("$timeFilter", f"time >= {since}ms and time <= {NOW + MINUTE}ms")
        .replace("$__interval", "1m")
        .replace("${community:regex}", community)
        .replace("${grid:regex}", grid)
    )
    assert "$" not in filled_in.replace("$/", ""), filled_in
    return filled_in


@pytest.mark.parametrize(("panel", "query"), PANELS)
@pytest.mark.parametrize(("community", "grid"), [(".*", ".*"), ("c1", "(g1|g2)")], ids=["all", "some"])
def test_every_panel_query_gives_rows(
    filled: Influx, panel: dict[str, Any], query: str, community: str, grid: str
) -> None:
    rows = filled.rows(expanded(query, span=panel.get("timeFrom") or "6h", community=community, grid=grid))
    assert rows
    assert any(v is not None for row in rows for k, v in row.items() if k != "time")


@pytest.mark.parametrize(("panel", "query"), PANELS)
def test_another_community_gives_nothing(filled: Influx, panel: dict[str, Any], query: str) -> None:
    assert filled.rows(expanded(query, community="elsewhere")) == []


@pytest.mark.parametrize("variable", VARIABLES)
def test_every_variable_offers_its_values(filled: Influx, variable: dict[str, Any]) -> None:
    offered = {row["value"] for row in filled.rows(expanded(variable["query"]))}
    assert offered == ({"c1", "c2"} if variable["name"] == "community" else set(GRIDS))


@pytest.mark.parametrize("mark", MARKS)
def test_marks_are_the_raised_alerts_with_their_text(filled: Influx, mark: dict[str, Any]) -> None:
    rows = filled.rows(expanded(mark["target"]["query"]))
    assert len(rows) == 2
    for column in (mark["target"]["textColumn"], *mark["target"]["tagsColumn"].split(",")):
        assert all(row[column] for row in rows)


def panel_rows(filled: Influx, title: str, **scope: str) -> list[dict[str, Any]]:
    (panel,) = (p for p in BOARDS["safety.json"]["panels"] if title in p["title"])
    return filled.rows(expanded(panel["targets"][0]["query"], span=panel.get("timeFrom") or "6h", **scope))


def test_the_counts_are_of_now_and_over_all_grids(filled: Influx) -> None:
    (counts,) = panel_rows(filled, "Open alerts")
    assert [counts[s] for s in ("P1", "P2", "P3", "P4")] == [1, 0, 0, 0]
    (silent,) = panel_rows(filled, "失联设备 / Silent devices")
    assert silent["silent"] == 2
    (devices,) = panel_rows(filled, "在册设备")
    assert devices["devices"] == 30


def test_only_open_alerts_are_listed_with_their_present_state(filled: Influx) -> None:
    (row,) = panel_rows(filled, "Alerts now")
    assert (row["alert_id"], row["state_i"], row["severity"], row["device"]) == ("alert-smoke-1", 1, "P1", "smoke-1")


def test_smoke_is_counted_by_detector_not_by_message(filled: Influx) -> None:
    burning = [r for r in panel_rows(filled, "Detectors reporting smoke", grid="g1") if r["sum"]]
    assert len(burning) == 10
    assert {r["sum"] for r in burning} == {1}


def test_the_log_is_newest_first(filled: Influx) -> None:
    times = [row["time"] for row in panel_rows(filled, "Alert log")]
    assert times == sorted(times, reverse=True)
    assert len(times) == 4


def test_a_dead_hub_shows_no_data_instead_of_old_numbers(filled: Influx) -> None:
    (panel,) = (p for p in BOARDS["safety.json"]["panels"] if "Open alerts" in p["title"])
    query = expanded(panel["targets"][0]["query"], span=panel["timeFrom"])
    later = re.sub(r"\d{13}ms", lambda m: f"{int(m[0][:-2]) + 60 * MINUTE}ms", query)
    assert filled.rows(later) == []
