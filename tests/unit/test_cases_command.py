"""`gridhub cases`: work orders from CSV files come in once, and what is wrong in them is said with its line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hub.__main__ import app
from hub.alerts.work_orders import Spot, masked, order_of, read_csv
from hub.cli import cases as command
from hub.stores.case_queries import CaseQueries
from hub.stores.ledger import Ledger
from tests.support.paths import CONFIG

NOW = 1_767_225_600_000  # 2026-01-01 08:00 in Shanghai
GRID = "440399001001001"
HEAD = "工单编号,诉求标题,诉求内容,网格,诉求地址,受理时间,办理时限,紧急程度,来电人,来电号码\n"
ROWS = (
    f"GD001,消防通道被堵,每晚都停车 13812345678,{GRID},3栋北侧,2025-12-31 20:15,2026-01-03 18:00,紧急,张三,13812345678\n"
    f"GD002,楼道堆物,,{GRID},,2025年12月31日 09:00,,一般,李四,13900001111\n"
)


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setattr(command, "now_ms", lambda: NOW)
    Path("config").mkdir()
    shutil.copytree(CONFIG / "registry", "config/registry")
    shutil.copy(CONFIG / "escalation.yaml", "config/escalation.yaml")
    Path("config/hub.yaml").write_text("site: demo\n", "utf-8")
    made = Ledger.open(f"sqlite:///{tmp_path}/data/ledger.db")
    yield made
    made.close()


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["cases", *words])


def file_of(text: str, encoding: str = "utf-8") -> str:
    Path("orders.csv").write_bytes(text.encode(encoding))
    return "orders.csv"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_orders_come_in_once_however_often_the_file_is_given(ledger: Ledger, encoding: str) -> None:
    file = file_of(HEAD + ROWS, encoding)
    dry = run("import", file, "--dry-run")
    assert (dry.exit_code, CaseQueries(ledger).list(scope=None).rows) == (0, [])
    assert "2 new would come in" in dry.output
    assert "not taken over: 来电人, 来电号码" in dry.output
    assert "2 new came in, 0 known already, 0 wrong" in run("import", file).output
    assert "0 new came in, 2 known already, 0 wrong" in run("import", file).output
    first, second = sorted(CaseQueries(ledger).list(scope=None).rows, key=lambda case: case.number or "")
    assert (first.number, first.severity, first.text, first.place_text) == (
        "GD001", "P2", "每晚都停车 138****5678", "3栋北侧",
    )  # fmt: skip
    assert first.opened_at_ms == NOW - 11 * 3_600_000 - 45 * 60_000
    assert first.due_at_ms == NOW + 2 * 86_400_000 + 10 * 3_600_000
    assert (second.severity, second.due_at_ms, second.source) == ("P3", None, "hotline")
    listed = run("list")
    assert "GD001" in listed.output
    assert [one["number"] for one in json.loads(run("list", "--json", "--source", "hotline").output)] == [
        "GD001", "GD002",
    ]  # fmt: skip


def test_wrong_rows_are_named_with_their_line_and_the_others_come_in(ledger: Ledger) -> None:
    rows = (
        ROWS + "GD003,无网格,,,,,,,,\n" + f",无编号,,{GRID},,,,,,\n" + f"GD004,x,,{GRID},,昨天,,,,\n"
        f"GD005,x,,幻想网格,,,,,,\nGD006,x,,{GRID},,,,十万火急,,\n" + ROWS.splitlines(keepends=True)[0]
    )
    done = run("import", file_of(HEAD + rows))
    assert done.exit_code == 1
    said = done.output
    for line, words in (
        (4, "grid is empty"),
        (5, "number is empty"),
        (6, "'昨天' is not understood"),
        (7, "'幻想网格' is neither"),
        (8, "'十万火急' is not known"),
        (9, "GD001 stands in line 2 too"),
    ):
        assert any(f"orders.csv:{line}:" in one and words in one for one in said.splitlines()), (line, said)
    assert "2 new came in, 0 known already, 6 wrong" in said


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "has no column for number, title, grid"),
        (b"a,b\n1,2\n", "found: a, b"),
        (b"\xff\xfe\x00\x81", "neither UTF-8 nor GB 18030"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(ledger: Ledger, data: bytes, words: str) -> None:
    Path("bad.csv").write_bytes(data)
    refused = run("import", "bad.csv")
    assert refused.exit_code == 1
    assert words in refused.output
    assert run("import", "none.csv").exit_code != 0


def find(said: str) -> Spot | None:
    return Spot(grid=GRID, station="st-1", name_zh="一", name_en="One") if said == GRID else None


def test_a_quote_that_never_ends_is_said_and_no_row_before_it_is_lost() -> None:
    text = f'number,title,grid\nA1,x,{GRID}\nA2,"y,{GRID}\n'
    rows = read_csv(text, find, "Asia/Shanghai", NOW).rows
    assert [bool(row.report) for row in rows] == [True, False]
    assert "not readable" in rows[1].wrong[0]


def test_a_hotline_order_is_never_p1_and_has_bounded_texts() -> None:
    row = order_of(2, {"number": "n" * 65, "title": "x", "grid": GRID, "severity": "P1"}, find, "Asia/Shanghai", NOW)
    assert row.report is None
    assert len(row.wrong) == 2


def test_only_mobile_numbers_are_masked() -> None:
    assert (
        masked("电话13812345678，单号20251231001，座机0755-12345678")
        == "电话138****5678，单号20251231001，座机0755-12345678"
    )
