"""The committed dashboards: generated from their source, and sound by our own rules."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana.src.build import DASHBOARDS, FOLDER, text_of
from hub.model.quantities import QUANTITIES
from hub.stores.history import CASE_CODES, FIGURES
from hub.stores.line_protocol import ALERTS, GRIDS, TELEMETRY

ROOT = Path(__file__).resolve().parents[2] / "grafana"
NAMES = sorted(DASHBOARDS)


@pytest.fixture(params=NAMES)
def board(request: pytest.FixtureRequest) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / request.param).read_text("utf-8"))
    return found


def queries(board: dict[str, Any]) -> Iterator[str]:
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield target["query"]
    for mark in board["annotations"]["list"]:
        yield mark["target"]["query"]


def every(node: Any, key: str) -> Iterator[Any]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name == key:
                yield value
            yield from every(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from every(value, key)


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_file_is_what_the_source_generates(name: str) -> None:
    assert (FOLDER / name).read_text("utf-8") == text_of(name), "run: python -m grafana.src.build"


def test_every_dashboard_file_has_a_source() -> None:
    assert {str(f.relative_to(FOLDER)) for f in FOLDER.rglob("*.json")} == set(DASHBOARDS)


def test_ids_and_uids_are_unique(board: dict[str, Any]) -> None:
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    assert board["uid"]
    assert len({json.loads(text_of(n))["uid"] for n in NAMES}) == len(NAMES)


def test_panels_stay_on_the_grid_and_do_not_overlap(board: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


def test_everything_reads_the_chosen_datasource(board: dict[str, Any]) -> None:
    found = list(every(board, "datasource"))
    assert len(found) > len(board["panels"])
    assert all(d == {"type": "influxdb", "uid": "${ds}"} for d in found)


def test_panels_are_titled_and_described_in_both_languages(board: dict[str, Any]) -> None:
    words = [board["title"], *(p["title"] for p in board["panels"]), *(p["description"] for p in board["panels"])]
    words += [v["label"] for v in board["templating"]["list"]]
    for text in words:
        assert re.search(r"[\u4e00-\u9fff].*/ *[A-Za-z]", text), text


def test_units_and_thresholds_are_set(board: dict[str, Any]) -> None:
    for panel in board["panels"]:
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        if panel["type"] == "stat":
            assert len(panel["fieldConfig"]["defaults"]["thresholds"]["steps"]) >= 1
            assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] is None


def test_figures_of_now_do_not_outlive_a_dead_hub(board: dict[str, Any]) -> None:
    for panel in board["panels"]:
        if panel["type"] == "stat":
            assert panel["timeFrom"] == "10m", panel["title"]
            assert panel["fieldConfig"]["defaults"]["noValue"]


def test_queries_keep_to_the_influxql_that_every_version_speaks(board: dict[str, Any]) -> None:
    for query in queries(board):
        assert "$timeFilter" in query, query
        assert "${community:regex}" in query, query
        assert "${grid:regex}" in query, query
        assert not re.search(r"\b(SLIMIT|SOFFSET|INTO|sample|count_hll)\b", query, re.I), query
        assert not re.search(r'FROM\s+"[^"]*"\."', query), f"no retention policy in FROM: {query}"
        bare = re.sub(r"/[^/]*/|'[^']*'|\"[^\"]*\"|\$\{?\w+(:\w+)?\}?", "", query)
        words = set(re.findall(r"[A-Za-z_]+", bare))
        spoken = {
            "SELECT",
            "FROM",
            "WHERE",
            "AND",
            "GROUP",
            "BY",
            "AS",
            "ORDER",
            "DESC",
            "LIMIT",
            "fill",
            "null",
            "none",
        }
        assert words <= spoken | {"last", "max", "sum", "time"}, f"unquoted name in {query}"


def test_queries_name_only_what_the_hub_writes(board: dict[str, Any]) -> None:
    tags = {"community", "grid", "device", "kind", "severity", "rule", "building", "compound"}
    fields = {
        TELEMETRY: set(QUANTITIES),
        GRIDS: {*FIGURES, "name"},
        ALERTS: {"alert_id", "action", "state_i", "alarm_i", "live_i", "msg", "place", "value"},
    }
    for query in queries(board):
        measurements = re.findall(r'FROM "(\w+)"', query)
        assert measurements, query
        made = set(re.findall(r'AS "(\w+)"', query))
        allowed = tags | made | set(measurements) | set().union(*(fields[m] for m in measurements))
        assert set(re.findall(r'"(\w+)"', query)) <= allowed, query


def test_links_lead_to_the_console(board: dict[str, Any]) -> None:
    variables = {v["name"] for v in board["templating"]["list"]}
    urls = [u for u in every(board, "url") if u]
    assert "${console}/alerts/${__value.raw}" in urls
    for url in urls:
        assert set(re.findall(r"\$\{(\w+)\}", url)) <= variables, url


def test_every_state_of_a_case_has_its_words(board: dict[str, Any]) -> None:
    found = [v for o in every(board, "properties") for v in o if v["id"] == "mappings"]
    assert found
    for mapping in found:
        assert {int(code) for code in mapping["value"][0]["options"]} == set(CASE_CODES.values())


def test_provisioning_fits_the_dashboards() -> None:
    (source,) = yaml.safe_load((ROOT / "provisioning/datasources/history.yaml").read_text("utf-8"))["datasources"]
    default = next(
        v for v in json.loads((FOLDER / "safety.json").read_text("utf-8"))["templating"]["list"] if v["name"] == "ds"
    )
    assert default["current"]["value"] == source["uid"]
    assert default["query"] == source["type"] == "influxdb"
    assert source["jsonData"]["dbName"] == "telemetry"
    assert "$__file{/run/tokens/token}" in source["secureJsonData"]["httpHeaderValue1"]
    (provider,) = yaml.safe_load((ROOT / "provisioning/dashboards/gridhub.yaml").read_text("utf-8"))["providers"]
    assert provider["allowUiUpdates"] is False
