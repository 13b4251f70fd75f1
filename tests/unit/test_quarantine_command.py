"""`gridhub quarantine`: what was set aside, in words, and harmless to look at."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from sqlalchemy import insert
from typer.testing import CliRunner, Result

from hub.__main__ import app
from hub.ingest.codecs.zigbee2mqtt import Zigbee2MqttCodec
from hub.ingest.payload import Malformed, parse
from hub.ingest.reader import Reader
from hub.ingest.screen import Limits, Screen
from hub.stores.journal import MESSAGE, Record
from hub.stores.ledger import Ledger
from hub.stores.schema import quarantine
from tests.support.paths import CONFIG

AT_MS = 1_704_067_200_000  # 08:00 in Shanghai
ODD = b'{"smoke":"maybe\x1b[2J"}'


def entry(topic: str, **more: object) -> dict[str, object]:
    return {
        "topic": topic,
        "reason": "unknown device",
        "codec": "zigbee2mqtt",
        "detail": "add it to devices.csv, or stop it from publishing",
        "address": f"zigbee2mqtt:{topic}",
        "count": 1_234,
        "first_at_ms": AT_MS - 60_000,
        "last_at_ms": AT_MS,
        "position": 7,
        "payload": ODD,
        **more,
    }


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "hub.yaml").write_text("site: demo\n", "utf-8")
    return Ledger.unprepared(f"sqlite:///{tmp_path}/data/ledger.db")


def filled(ledger: Ledger, *rows: dict[str, object]) -> None:
    Ledger.open(str(ledger.engine.url)).close()
    with ledger.begin() as connection:
        for row in rows:
            connection.execute(insert(quarantine), [row])


def look(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["quarantine", *arguments])


def test_the_list_shows_the_latest_first_with_the_time_of_the_site(ledger: Ledger) -> None:
    filled(ledger, entry("z/[bold]a", last_at_ms=AT_MS - 1_000), entry("z/b\x1b[2J"))
    shown = look("list")
    assert shown.exit_code == 0, shown.output
    first, second = shown.stdout.splitlines()[1:3]
    assert first.split()[:4] == ["2", "01-01", "08:00:00", "1,234"]
    assert "unknown device" in first
    assert "z/b\\x1b[2J" in first
    assert "z/[bold]a" in second
    assert "\x1b" not in shown.stdout
    assert len(look("list", "-n", "1").stdout.splitlines()) == 3


def test_one_entry_is_shown_whole_and_cannot_move_the_cursor(ledger: Ledger) -> None:
    filled(ledger, entry("z/a"), entry("z/b", payload=b"\xff\x00"))
    shown = look("show", "1").stdout
    for told in ("add it to devices.csv", "2024-01-01 07:59:00", "2024-01-01 08:00:00", '{"smoke":"maybe\\x1b[2J"}'):
        assert told in shown
    assert "\x1b" not in shown
    assert "base64 /wA=" in look("show", "2").stdout


def test_json_has_the_bytes_as_they_came(ledger: Ledger) -> None:
    filled(ledger, entry("z/a"))
    (listed,) = json.loads(look("list", "--json").stdout)
    assert listed == json.loads(look("show", "1", "--json").stdout)
    assert (listed["id"], listed["last_at_ms"], base64.b64decode(listed["payload"])) == (1, AT_MS, ODD)


def test_what_is_not_there_is_said(ledger: Ledger, tmp_path: Path) -> None:
    assert "there is no ledger at" in look("list").output
    assert not (tmp_path / "data").exists()
    filled(ledger)
    assert look("list").stdout == "the quarantine is empty\n"
    refused = look("show", "5")
    assert refused.exit_code == 1
    assert "there is no entry 5" in refused.output


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (b"hello", "no JSON at character 1"),
        (b'{"a":1} x', "more text behind the JSON, from character 9 on"),
        (b'{"a":"b', "the string that begins at character 6 does not end"),
    ],
)
def test_what_is_no_json_is_told_in_words(payload: bytes, told: str) -> None:
    found = parse(payload)
    assert isinstance(found, Malformed)
    assert found.detail == told


def test_unclear_alarms_and_unknown_devices_are_told_in_words() -> None:
    from hub.registry.loader import load

    registry = load(CONFIG / "registry")
    codec = Zigbee2MqttCodec("zigbee2mqtt")
    known = next(a for a in registry.slot_of_address if a.startswith("zigbee2mqtt:")).removeprefix("zigbee2mqtt:")
    reader = Reader(codec.decode, lambda: registry, Screen(Limits()))
    records = [
        Record(n, MESSAGE, AT_MS, topic, b'{"smoke":"maybe"}', False)
        for n, topic in enumerate((known, "zigbee2mqtt/nobody"))
    ]
    (segment,) = reader.read(records)
    told = {row.reason: row.detail for row in segment.quarantine}
    assert told["unclear alarm value: smoke"] == "smoke: 'maybe' is no known value"
    assert told["unknown device"] == "add it to devices.csv, or stop it from publishing"
