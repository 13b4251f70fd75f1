"""The calendar of a site: days come out as they were written, mistakes are named with their line."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from hub.documents import parse
from hub.errors import ConfigError
from hub.rules.calendar_file import CalendarFile, context_of, load_context, outdated
from hub.rules.kinds.kind import Context

EXAMPLE = Path(__file__).parents[2] / "config" / "calendar.example.yaml"
ZONE = "Asia/Shanghai"


def context(text: str) -> Context:
    document, complaints = parse(text, "calendar.yaml")
    assert document is not None
    return context_of(document, complaints, zone=ZONE)


def complaints(text: str) -> list[tuple[int | None, str, str]]:
    with pytest.raises(ConfigError) as refused:
        context(text)
    assert all(c.file == "calendar.yaml" and c.remedy for c in refused.value.complaints)
    return [(c.line, c.key, c.message) for c in refused.value.complaints]


def test_days_come_out_with_both_ends() -> None:
    found = context(
        'holidays:\n  - {name: 国庆节, from: 2026-10-01, to: "2026-10-03"}\n  - {on: 2026-01-01}\nworkdays: [2026-10-10]\n'
    )
    assert found.holidays == {date(2026, 10, 1), date(2026, 10, 2), date(2026, 10, 3), date(2026, 1, 1)}
    assert found.workdays == {date(2026, 10, 10)}
    assert found.zone == ZONE


def test_without_a_file_no_day_is_a_holiday(tmp_path: Path) -> None:
    assert load_context(tmp_path, zone="UTC") == Context(zone="UTC")


def test_an_empty_calendar_has_no_days(tmp_path: Path) -> None:
    (tmp_path / "calendar.yaml").write_text("# nothing yet\n", "utf-8")
    assert load_context(tmp_path, zone=ZONE) == Context(zone=ZONE)


def test_the_example_has_the_right_form_and_is_not_in_force(tmp_path: Path) -> None:
    (tmp_path / "calendar.yaml").write_bytes(EXAMPLE.read_bytes())
    found = load_context(tmp_path, zone=ZONE)
    assert len({day.year for day in found.holidays}) == 1
    assert all(day.weekday() >= 5 for day in found.workdays)
    assert not (EXAMPLE.parent / "calendar.yaml").exists()


@pytest.mark.parametrize(
    ("text", "line", "key", "message"),
    [
        ("holidays:\n  - {on: '2026-02-30'}", 2, "holidays.0.on", "no such day"),
        ("holidays:\n  - {from: 2026-10-07, to: 2026-10-01}", 2, "holidays.0", "before it begins"),
        ("holidays:\n  - {from: 2026-10-01}", 2, "holidays.0", "from and to"),
        ("holidays:\n  - {name: 国庆节}", 2, "holidays.0", "give on"),
        ("holidays:\n  - {from: 2025-10-01, to: 2026-10-07}", 2, "holidays.0", "is the year right"),
        (
            "holidays:\n  - {on: 2026-01-01}\n  - {from: 2025-12-31, to: 2026-01-02}",
            3,
            "holidays.1",
            "2026-01-01 is a holiday",
        ),
        ("holidays:\n  - {on: 10-01}", 2, "holidays.0.on", "date"),
        ("holidays:\n  - {on: 20261001}", 2, "holidays.0.on", "date"),
        ("holidays:\n  - {day: 2026-01-01}", 2, "holidays.0.day", "unknown key"),
        ("holiday:\n  - {on: 2026-01-01}", 1, "holiday", "unknown key"),
        ("workdays:\n  - 2026-10-10\n  - 2026-10-10", 3, "workdays.1", "given twice"),
        ("workdays:\n  - 2026-10-12", 2, "workdays.0", "is a Monday"),
        ("holidays:\n  - {on: 2026-10-10}\nworkdays:\n  - 2026-10-10", 4, "workdays.0", "a holiday as well"),
        ("- 2026-10-10", 1, "", "expected keys"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_remedy(text: str, line: int, key: str, message: str) -> None:
    found = complaints(text)
    assert any((at, name) == (line, key) and message in said for at, name, said in found), found


def test_a_broken_file_names_itself(tmp_path: Path) -> None:
    (tmp_path / "calendar.yaml").write_text("holidays: [", "utf-8")
    with pytest.raises(ConfigError, match=r"calendar\.yaml"):
        load_context(tmp_path, zone=ZONE)


def test_a_calendar_that_has_run_out_is_noticed_a_month_ahead() -> None:
    known = Context(holidays=frozenset({date(2026, 10, 1)}))
    assert outdated(known, date(2026, 11, 30)) == ""
    assert "2027" in outdated(known, date(2026, 12, 1))
    assert "ends with 2026" in outdated(known, date(2027, 3, 1))
    assert outdated(Context(), date(2027, 3, 1)) == "", "no calendar is a choice"


def test_editors_are_told_the_form() -> None:
    shape = CalendarFile.model_json_schema()
    assert set(shape["$defs"]["Holiday"]["properties"]) == {"name", "on", "from", "to"}
    assert shape["properties"]["workdays"]["items"]["format"] == "date"
