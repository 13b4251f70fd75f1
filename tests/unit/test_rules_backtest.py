"""A backtest says of recorded readings what the live rules would have said, and nothing of it reaches anybody."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hub.__main__ import app
from hub.errors import ConfigError
from hub.ingest.screen import Limits, Screen
from hub.model.readings import Envelope, Quality, ReadingBatch
from hub.recorder import joined
from hub.registry.loader import load
from hub.registry.snapshot import Registry
from hub.replay import csv_source
from hub.replay.csv_source import CsvSource
from hub.rules.ruleset import RuleSet, load_rules
from hub.rules.testing.backtest import HOLE_MS, Backtest
from hub.rules.testing.backtest_report import as_page
from hub.rules.testing.comparison import Comparison
from hub.rules.testing.scenes import with_references
from hub.stores.history_embedded import EmbeddedHistory
from hub.stores.journal import Journal, JournalConfig

ROOT = Path(__file__).resolve().parents[2]
ZONE = "Asia/Shanghai"
T0 = 1_704_067_200_000  # 2024-01-01T08:00 at the site
SMOKE, GATEWAY = "smoke-c4b1-12", "gw-c4-b1"


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load(ROOT / "config" / "registry")


@pytest.fixture(scope="module")
def cabinet(registry: Registry) -> str:
    return next(d.id for d in registry.devices() if d.kind == "charging_cabinet")


@pytest.fixture(scope="module")
def shipped() -> RuleSet:
    return load_rules(ROOT / "config" / "rules")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration of its own, with the shipped rules and registry, whose data lie beside it."""
    folder = tmp_path / "config"
    shutil.copytree(ROOT / "config", folder)
    text = (folder / "hub.yaml").read_text("utf-8")
    (folder / "hub.yaml").write_text(text.replace("data_dir: data", f"data_dir: {tmp_path / 'data'}"), "utf-8")
    (tmp_path / "data").mkdir()
    return folder


def run(*arguments: str | Path) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["rules", "backtest", *map(str, arguments), "--json"])
    assert result.exit_code == 0, (result.output, result.exception)
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def alerts(found: dict[str, Any], side: str = "result") -> list[tuple[str, str, int, int | None]]:
    rows = found[side]["episodes"]
    return [(r["rule"], r["device"], r["raised_ms"] - T0, r["cleared_ms"] and r["cleared_ms"] - T0) for r in rows]


def csv_of(path: Path, rows: list[tuple[int, str, str, object]], header: str = "time,device,quantity,value") -> Path:
    path.write_text("\n".join([header, *(",".join(map(str, (T0 + t, *rest))) for t, *rest in rows)]) + "\n", "utf-8")
    return path


# The command ---------------------------------------------------------------------------------------------------------


def test_a_csv_file_tells_what_would_have_fired(config: Path, tmp_path: Path, cabinet: str) -> None:
    rows = [(t * 1_000, cabinet, "temperature_c", 58) for t in range(0, 600, 30)]
    rows += [(610_000, cabinet, "temperature_c", 45), (620_000, SMOKE, "smoke", "true"), (680_000, SMOKE, "smoke", 0)]
    file = csv_of(tmp_path / "readings.csv", rows)  # type: ignore[arg-type]
    found = run("--config", config, "--csv", file)
    assert ("cabinet-overheat", cabinet, 300_000, 610_000) in alerts(found)
    assert ("smoke-alarm", SMOKE, 620_000, 680_000) in alerts(found)
    assert found["readings"] == 23
    assert found["judged_per_s"] > 0
    assert list(found["result"]["days"]) == ["2024-01-01"]


def test_devices_that_a_csv_file_does_not_know_are_not_judged_silent(config: Path, tmp_path: Path) -> None:
    file = csv_of(tmp_path / "r.csv", [(0, GATEWAY, "online", 1), (3_600_000, SMOKE, "smoke", 0)])
    said = {(rule, device) for rule, device, *_ in alerts(run("--config", config, "--csv", file))}
    assert ("gateway-offline", GATEWAY) in said
    assert {device for _, device in said} <= {GATEWAY, SMOKE, "hub"}


def test_the_journal_tells_what_the_live_hub_said(config: Path, tmp_path: Path) -> None:
    with_journal(tmp_path / "data" / "journal")
    found = run("--config", config)
    assert ("smoke-alarm", SMOKE, 5_500, 65_000) in alerts(found)
    assert found["source"].startswith("journal ")


def with_journal(folder: Path) -> None:
    """Two minutes of a detector that fires, with a tick each second."""
    journal = Journal.open(folder, JournalConfig(reserve_mib=0))
    said = {5: True, 65: False}
    for second in range(120):
        at_ms = T0 + second * 1_000 + 500 if second == 5 else T0 + second * 1_000
        body = json.dumps({"v": 1, "seq": second, "m": {"smoke": said.get(second, False)}}).encode()
        topic = f"sc/v1/demo/{GATEWAY}/{SMOKE}/tele"
        envelopes = [Envelope(topic, body, at_ms)] if second in said else []
        journal.append(envelopes, tick_ms=T0 + second * 1_000 + 900)
    journal.close()


def test_an_embedded_history_tells_the_same_from_its_file(config: Path, tmp_path: Path, registry: Registry) -> None:
    store = EmbeddedHistory(tmp_path / "data" / "history.db", fold_rows=40)
    for part in range(4):  # some folded into chunks, the last ones still in blocks
        rows = [(t * 1_000, 1.0 if t == 500 else 0.0) for t in range(part * 300, part * 300 + 300, 10)]
        store.write(readings(registry, SMOKE, "smoke", rows), registry)
    store.close()
    before = {p: p.stat().st_size for p in (tmp_path / "data").iterdir() if p.suffix == ".db"}
    found = run("--config", config, "--history", "--from", "2024-01-01T08:00", "--to", "2024-01-01T08:20")
    assert [a for a in alerts(found) if a[0] == "smoke-alarm"] == [("smoke-alarm", SMOKE, 500_000, 510_000)]
    assert found["readings"] == 120
    assert {p: p.stat().st_size for p in before} == before


def readings(registry: Registry, device: str, quantity: str, rows: list[tuple[int, float]]) -> ReadingBatch:
    slot = registry.slot_of[device]
    return ReadingBatch.of([(slot, quantity, value, T0 + t, T0 + t, 0, n) for n, (t, value) in enumerate(rows)])


def test_only_the_rules_that_are_asked_for_are_tried(config: Path, tmp_path: Path) -> None:
    rows = [(0, SMOKE, "smoke", 0), (1_000, SMOKE, "smoke", 1), (2_000, SMOKE, "battery_low", 1)]
    file = csv_of(tmp_path / "r.csv", rows)  # type: ignore[arg-type]
    found = run("--config", config, "--csv", file, "--rule", "smoke-battery-low")
    assert [rule for rule, *_ in alerts(found)] == ["smoke-battery-low"]


def test_nothing_is_written_but_the_report(config: Path, tmp_path: Path) -> None:
    file = csv_of(tmp_path / "r.csv", [(0, SMOKE, "smoke", 0), (1_000, SMOKE, "smoke", 1)])
    run("--config", config, "--csv", file, "--out", tmp_path / "report.html")
    assert list((tmp_path / "data").iterdir()) == []
    assert (tmp_path / "report.html").stat().st_mode & 0o077 == 0


def test_two_sets_of_rules_are_told_apart(config: Path, tmp_path: Path, cabinet: str) -> None:
    other = tmp_path / "other"
    shutil.copytree(config / "rules", other)
    text = (other / "cabinet.yaml").read_text("utf-8")
    text = text.replace(
        "when: {above: 55, clear_below: 50, hold_s: 300}", "when: {above: 55, clear_below: 50, hold_s: 60}"
    )
    (other / "cabinet.yaml").write_text(text, "utf-8")
    rows = [(t * 1_000, cabinet, "temperature_c", 58) for t in range(0, 600, 30)] + [
        (600_000, cabinet, "temperature_c", 40)
    ]
    rows += [(t * 1_000, cabinet, "temperature_c", 58) for t in range(3_600, 3_720, 30)] + [
        (3_720_000, cabinet, "temperature_c", 40)
    ]
    file = csv_of(tmp_path / "r.csv", rows)  # type: ignore[arg-type]
    found = run("--config", config, "--csv", file, "--compare", other)
    tally = found["difference"]["by_rule"]["cabinet-overheat"]
    assert (tally["earlier"], tally["only_b"], tally["same"], tally["only_a"]) == (1, 1, 0, 0)
    listed = {(d["kind"], d["later_ms"]) for d in found["difference"]["list"] if d["rule"] == "cabinet-overheat"}
    assert listed == {("earlier", -240_000), ("only in b", 0)}


def test_what_began_before_the_asked_time_is_known_and_not_counted(config: Path, tmp_path: Path, cabinet: str) -> None:
    rows = [(t * 1_000, cabinet, "temperature_c", 58) for t in range(0, 1_200, 30)]
    file = csv_of(tmp_path / "r.csv", rows)  # type: ignore[arg-type]
    whole = run("--config", config, "--csv", file, "--from", "2024-01-01T08:02")
    late = run("--config", config, "--csv", file, "--from", "2024-01-01T08:10")
    assert ("cabinet-overheat", cabinet, 300_000, None) in alerts(whole)
    assert "cabinet-overheat" not in {rule for rule, *_ in alerts(late)}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--csv", "x.csv", "--history"), "give one of"),
        (("--out", "plot.png"), "name it .html"),
        (("--from", "yesterday"), "'yesterday' is no time"),
        (("--from", "2024-01-02", "--to", "2024-01-01"), "lies before"),
        (("--history",), "there is no history yet"),
        (("--rule", "smoke-alrm"), "did you mean smoke-alarm?"),
        (("--warm-up", "1", "--from", "2024-01-01"), "--warm-up '1'"),
    ],
)
def test_what_cannot_be_done_is_said_with_its_remedy(config: Path, arguments: tuple[str, ...], complaint: str) -> None:
    result = CliRunner().invoke(app, ["rules", "backtest", "--config", str(config), *arguments])
    assert result.exit_code == 1
    assert complaint in result.output


def test_tables_for_people_name_the_noisiest(config: Path, tmp_path: Path) -> None:
    rows = [(n * 30_000, SMOKE, "smoke", n % 2) for n in range(20)]
    file = csv_of(tmp_path / "r.csv", rows)  # type: ignore[arg-type]
    result = CliRunner().invoke(
        app, ["rules", "backtest", "--config", str(config), "--csv", str(file)], env={"COLUMNS": "160"}
    )
    assert result.exit_code == 0
    assert re.search(r"smoke-alarm\s*│\s*\d+", result.output)
    assert "Noisiest" in result.output
    assert "11 alerts in 9.5 min" in " ".join(result.output.split())
    assert "per day" not in result.output


def test_a_narrow_terminal_wraps_the_ids_of_rules_and_never_cuts_them(config: Path, tmp_path: Path) -> None:
    file = csv_of(tmp_path / "r.csv", [(n * 30_000, SMOKE, "smoke", n % 2) for n in range(20)])
    result = CliRunner().invoke(
        app, ["rules", "backtest", "--config", str(config), "--csv", str(file)], env={"COLUMNS": "60"}
    )
    assert "…" not in result.output.partition("alerts in")[2]
    assert max(map(len, result.output.splitlines()[3:])) <= 60


# The report ----------------------------------------------------------------------------------------------------------


def test_the_report_is_one_page_that_needs_nothing_from_elsewhere(
    registry: Registry, shipped: RuleSet, cabinet: str
) -> None:
    hot = with_references(shipped, ["cabinet-overheat", "cabinet-fire-heat"])
    test = Backtest(
        registry, hot, with_references(hot, ["cabinet-overheat"]), start_ms=T0, zone=ZONE, judge_unheard=False
    )
    rows = [(n * 30_000, 80.0 if n % 40 > 20 else 20.0) for n in range(3 * 2_880)]
    test.run(readings(registry, cabinet, "temperature_c", rows))
    test.finish()
    page = as_page(test, {"source": "<script>alert(1)</script>"}, ZONE)
    assert re.findall(r"<script|<link|<img|src=|href=|url\(|https?:", page) == []
    assert "&lt;script&gt;" in page
    assert page.count("<svg") == 4
    assert page.count("only in A") > 1
    assert "2024-01-03" in page


# CSV -----------------------------------------------------------------------------------------------------------------


def table(text: str, registry: Registry, folder: Path, *, name: str = "r.csv") -> tuple[ReadingBatch, CsvSource]:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    source = CsvSource(path, registry, Screen(Limits()), zone=ZONE)
    pieces = [piece.batch for piece in source.pieces(0, 1 << 61)]
    return (joined(pieces) if pieces else ReadingBatch.empty()), source


@pytest.mark.parametrize(
    "stamp",
    [
        "1704067200", "1704067200000", "1704067200000000", "1704067200000000000", "1704067200.0",
        "2024-01-01T00:00:00Z", "2024-01-01T08:00:00+08:00", "2024-01-01 08:00:00", "2024-01-01T08:00",
    ],
)  # fmt: skip
def test_instants_of_every_usual_form_are_read(stamp: str, registry: Registry, tmp_path: Path) -> None:
    batch, _ = table(f"time,device,quantity,value\n{stamp},{SMOKE},smoke,1\n", registry, tmp_path)
    assert batch.received_at_ms.tolist() == [T0]


@pytest.mark.parametrize(
    "form", ["plain", "quoted", "crlf", "semicolon", "gzip", "bom", "other order", "no last newline"]
)
def test_every_usual_form_of_a_table_gives_the_same_readings(form: str, registry: Registry, tmp_path: Path) -> None:
    rows = [(T0 + n, SMOKE, "temperature_c", 20 + n / 4) for n in range(50)]
    text = "time,device,quantity,value\n" + "".join(f"{t},{d},{q},{v}\n" for t, d, q, v in rows)
    if form == "quoted":
        text = text.replace(SMOKE, f'"{SMOKE}"')
    elif form == "crlf":
        text = text.replace("\n", "\r\n")
    elif form == "semicolon":
        text = text.replace(",", ";")
    elif form == "bom":
        text = "\ufeff" + text
    elif form == "other order":
        text = "value,unit,device,time,quantity\n" + "".join(f"{v},°C,{d},{t},{q}\n" for t, d, q, v in rows)
    elif form == "no last newline":
        text = text.rstrip("\n")
    batch, source = table(text, registry, tmp_path, name="r.csv.gz" if form == "gzip" else "r.csv")
    assert batch.value.tolist() == [20 + n / 4 for n in range(50)]
    assert batch.received_at_ms.tolist() == [t for t, *_ in rows]
    assert not source.skipped.counts


def test_words_unknown_values_and_rows_that_are_no_use_are_told_apart(registry: Registry, tmp_path: Path) -> None:
    lock = next(d.id for d in registry.devices() if d.kind == "lock")
    text = f"""time,device,quantity,value
{T0},{lock},lock_state,jammed
{T0},{lock},lock_state,jamed
{T0},{SMOKE},smoke,true
{T0},{SMOKE},smoke,
{T0},{SMOKE},temperature_c,5000
{T0},{SMOKE},temperature_c,inf
{T0},nobody,smoke,1
{T0},{SMOKE},smok,1
then,{SMOKE},smoke,1
{T0},{SMOKE}
"""
    batch, source = table(text, registry, tmp_path)
    assert [batch.spoken(n) for n in range(len(batch))] == ["jammed", True, None, None]
    assert batch.quality.tolist()[2:] == [int(Quality.UNKNOWN), int(Quality.IMPLAUSIBLE)]
    assert source.skipped.counts == {
        "too few columns": 1, "unknown device": 1, "unknown quantity": 1, "time that cannot be read": 1, "no value of lock_state": 1,
    }  # fmt: skip


def test_years_in_which_nobody_measured_are_skipped_with_an_example(registry: Registry, tmp_path: Path) -> None:
    text = "time,device,quantity,value\n" + "".join(
        f"{time},{SMOKE},smoke,true\n" for time in (T0, 99_999_999_999_999, "9999-01-01T00:00", 13, "")
    )
    batch, source = table(text, registry, tmp_path)
    assert batch.received_at_ms.tolist() == [T0]
    assert source.skipped.counts == {"time that cannot be read": 1, "time before 1990 or after 2200": 3}
    assert source.skipped.examples["time that cannot be read"] == "an empty one"
    assert source.skipped.examples["time before 1990 or after 2200"] == "99999999999999"


def test_a_receive_time_makes_readings_late(registry: Registry, tmp_path: Path) -> None:
    text = f"time,device,quantity,value,received\n{T0},{SMOKE},smoke,1,{T0 + 3_600_000}\n"
    batch, _ = table(text, registry, tmp_path)
    assert batch.received_at_ms.tolist() == [T0 + 3_600_000]
    assert batch.quality[0] & Quality.LATE


def test_a_table_without_its_columns_is_refused(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the first line lacks device, value"):
        table("time,sensor,quantity\n", registry, tmp_path)


def test_a_long_file_comes_in_pieces_and_means_the_same(
    registry: Registry, shipped: RuleSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [(n * 10_000, SMOKE, "smoke", int(n % 50 == 7)) for n in range(2_000)]
    file = csv_of(tmp_path / "r.csv", rows)  # type: ignore[arg-type]
    told = []
    for size in (1 << 23, 5_000):
        monkeypatch.setattr(csv_source, "_BYTES", size)
        test = Backtest(registry, shipped, start_ms=T0, zone=ZONE, judge_unheard=False)
        pieces = 0
        for piece in CsvSource(file, registry, Screen(Limits()), zone=ZONE).pieces(0, 1 << 61):
            test.run(piece.batch)
            pieces += 1
        told.append([(r.rule, r.device, r.raised_ms, r.cleared_ms) for r in test.sides[0]])
        assert pieces == 1 if size > 5_000 else pieces > 10
    assert told[0] == told[1]
    assert len([one for one in told[0] if one[0] == "smoke-alarm"]) == 40


# Judging -------------------------------------------------------------------------------------------------------------


def test_readings_out_of_order_are_judged_as_if_they_came_then_and_counted(
    registry: Registry, shipped: RuleSet
) -> None:
    test = Backtest(registry, shipped, start_ms=T0, zone=ZONE, judge_unheard=False)
    test.run(readings(registry, SMOKE, "smoke", [(0, 0.0), (60_000, 1.0), (30_000, 0.0)]))
    assert test.disordered == 1
    assert next((r.rule, r.cleared_ms) for r in test.sides[0]) == ("smoke-alarm", T0 + 60_000)


def test_a_hole_in_the_records_is_no_silence_of_the_devices(registry: Registry, shipped: RuleSet) -> None:
    test = Backtest(
        registry, with_references(shipped, ["gateway-offline"]), start_ms=T0, zone=ZONE, judge_unheard=False
    )
    test.run(readings(registry, GATEWAY, "online", [(0, 1.0), (10 * HOLE_MS, 1.0), (10 * HOLE_MS + 30_000, 1.0)]))
    assert (test.sides[0].total, test.holes) == (0, 1)
    test.run(readings(registry, GATEWAY, "online", [(10 * HOLE_MS + 300_000, 1.0)]))
    assert [r.raised_ms - T0 - 10 * HOLE_MS for r in test.sides[0]] == [131_000]


def test_more_alerts_than_can_be_kept_are_all_counted(
    registry: Registry, shipped: RuleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.rules.testing.backtest.MOST_EPISODES", 10)
    test = Backtest(registry, with_references(shipped, ["smoke-alarm"]), start_ms=T0, zone=ZONE, judge_unheard=False)
    test.run(readings(registry, SMOKE, "smoke", [(n * 120_000, float(n % 2)) for n in range(100)]))
    (side,) = test.sides
    assert (side.total, len(list(side)), side.kept_all) == (50, 10, False)
    assert side.figures(test.days)[0].episodes == 50


# Two sides -----------------------------------------------------------------------------------------------------------


def compared(*events: tuple[str, str, int]) -> Comparison:
    """Events (side, "+" or "-", minute) of one rule and device."""
    comparison = Comparison()
    for side, what, minute in events:
        if what == "+":
            comparison.raised(side, "r", "d", minute * 60_000)  # type: ignore[arg-type]
        else:
            comparison.cleared(side, "r", "d", minute * 60_000)  # type: ignore[arg-type]
        comparison.settle(minute * 60_000)
    comparison.finish()
    return comparison


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([("a", "+", 1), ("b", "+", 1), ("a", "-", 2), ("b", "-", 2)], {"same": 1}),
        ([("a", "+", 1), ("b", "+", 4), ("a", "-", 5), ("b", "-", 5)], {"later": 1, "later_ms": 180_000}),
        ([("b", "+", 1), ("a", "+", 4)], {"earlier": 1, "earlier_ms": 180_000}),
        ([("a", "+", 1), ("a", "-", 2)], {"only_a": 1}),
        ([("b", "+", 1), ("b", "-", 2), ("b", "+", 30), ("b", "-", 31)], {"only_b": 2}),
        ([("a", "+", 1), ("a", "-", 2), ("b", "+", 11)], {"later": 1, "later_ms": 600_000}),
        ([("a", "+", 1), ("a", "-", 2), ("b", "+", 20)], {"only_a": 1, "only_b": 1}),
        ([("a", "+", 1), ("b", "+", 90)], {"later": 1, "later_ms": 5_340_000}),
        ([("a", "+", 1), ("b", "+", 1), ("b", "-", 5), ("b", "+", 9), ("b", "-", 10), ("a", "-", 11)], {"same": 1}),
    ],
)
def test_episodes_of_two_sides_are_matched(events: list[tuple[str, str, int]], expected: dict[str, int]) -> None:
    tally = compared(*events).tally("r")
    assert {name: n for name in tally.__slots__ if (n := getattr(tally, name))} == expected


def test_only_the_newest_differences_are_kept_and_all_are_counted() -> None:
    comparison = Comparison(most_kept=5)
    for n in range(20):
        comparison.raised("a", "r", f"d{n}", n)
    comparison.finish()
    assert (len(comparison.kept), comparison.dropped, comparison.tally("r").only_a) == (5, 15, 20)
    assert [d.device for d in comparison.kept] == ["d15", "d16", "d17", "d18", "d19"]
