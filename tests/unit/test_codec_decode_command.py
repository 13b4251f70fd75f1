from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from hub.__main__ import app
from hub.cli.decode_table import print_page
from hub.errors import ConfigError


def decode(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["decode", *arguments])


def row(**more: Any) -> dict[str, Any]:
    return {
        "id": "one",
        "system": "generic-json",
        "topic": "sensors/dev1/data",
        "payload": '{"temperature":21.5}',
        "expect": {"device": "dev1", "metrics": {"temperature_c": 21.5}, "ts": None},
        **more,
    }


@pytest.fixture
def written(tmp_path: Path) -> Any:
    def write(*rows: Any) -> str:
        file = tmp_path / "rows.jsonl"
        file.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows) + "\n")
        return str(file)

    return write


def test_each_line_gets_one_line_of_json(written: Any) -> None:
    result = decode("--jsonl", written(row(), row(id="two", payload="{", expect={"reject": "cut"})))
    assert result.exit_code == 0
    first, second = (json.loads(line) for line in result.stdout.splitlines())
    assert first["id"] == "one"
    reading = {"device": "dev1", "quantity": "temperature_c", "value": 21.5, "observed_at_ms": None}
    assert reading.items() <= first["readings"][0].items()
    for key in ("events", "availability", "history", "unknown", "ignored", "rejected", "warnings"):
        assert key in first
    assert second["rejected"]["reason"] == "malformed JSON"


def test_a_difference_is_shown_and_fails(written: Any) -> None:
    wrong = row(id="two", expect={"metrics": {"temperature_c": 22, "humidity_pct": 1}, "seq": 5})
    result = decode("--check", "--jsonl", written(row(), wrong))
    lines = result.stdout.splitlines()
    assert result.exit_code == 1
    assert lines[-1] == "1 passed, 1 failed"
    assert "two: temperature_c: expected 22, found 21.5" in lines
    assert "two: humidity_pct: expected 1, not there" in lines
    assert any(line.startswith("two: seq: expected 5") for line in lines)


SAYS = row()["payload"]


@pytest.mark.parametrize(
    ("payload", "expect"),
    [
        (SAYS, {"metrics": {"temperature_c": 21.6}}),
        (SAYS, {"metrics": {"smoke": False}}),
        (SAYS, {"ts": "2024-01-01T00:00:00Z"}),
        ('{"temperature":1,"ts":1704067200}', {"ts": None}),
        (SAYS, {"ts_local": "2024-01-01T00:00:00"}),
        (SAYS, {"device": "dev2"}),
        (SAYS, {"device": None}),
        (SAYS, {"devices": [{"device": "dev1", "metrics": {"temperature_c": 5}}]}),
        (SAYS, {"events": [{"type": "alarm"}]}),
        ('{"smoke":true}', {"events": [{"type": "alarm", "alarm": "smoke", "active": True, "test": True}]}),
        (SAYS, {"availability": "online"}),
        ("offline", {"availability": "online"}),
        (SAYS, {"cascade": True}),
        (SAYS, {"history": [{"metrics": {"temperature_c": 21.5}, "ts": "2024-01-01T00:00:00Z"}]}),
        (SAYS, {"records": [{"metric": "temperature_c", "v": 5}]}),
        (SAYS, {"unknown": ["temperature_c"]}),
        (SAYS, {"ignore": "it"}),
        (SAYS, {"reject": "it"}),
        (SAYS, {"warnings": ["something"]}),
        ("{", {"metrics": {}}),
        (SAYS, {"info": {"model": "x"}}),
        (SAYS, {"device_uid": "x"}),
        (SAYS, {"dedupe_key": "x"}),
        (SAYS, {"site": "x"}),
        (SAYS, {"gateway": "x"}),
        (SAYS, {"expected_interval_s": 5}),
        (SAYS, {"retained_state": True}),
        (SAYS, {"an_expectation_of_tomorrow": 1}),
        ('{"smoke":1}', {"metrics": {"smoke": 1}}),
    ],
)
def test_every_kind_of_expectation_can_fail(written: Any, payload: str, expect: dict[str, Any]) -> None:
    result = decode("--check", "--jsonl", written(row(payload=payload, expect=expect)))
    assert result.stdout.splitlines()[-1] == "0 passed, 1 failed", result.stdout
    assert result.exit_code == 1


def test_a_counter_reset_is_judged_from_the_state_before(written: Any) -> None:
    body = row(
        payload='{"energy_kwh":0.02}', expect={"warnings": ["reset"]}, requires_state={"energy_import_kwh": 1834.21}
    )
    assert decode("--check", "--jsonl", written(body)).exit_code == 0
    body["requires_state"] = {"energy_import_kwh": 0.01}
    assert decode("--check", "--jsonl", written(body)).exit_code == 1


def test_a_system_without_codec_fails_with_its_name_when_it_is_selected(written: Any) -> None:
    file = written(row(), row(id="two", system="morse"))
    chosen = decode("--check", "--jsonl", file, "--system", "generic-json,morse")
    assert "two: no codec for system morse yet" in chosen.stdout
    assert chosen.stdout.splitlines()[-1] == "1 passed, 1 failed"
    assert chosen.exit_code == 1
    assert decode("--check", "--jsonl", file, "--system", "generic-json").stdout == "1 passed, 0 failed\n"


def test_no_line_of_the_system_is_no_success(written: Any) -> None:
    assert decode("--check", "--jsonl", written(row()), "--system", "senml").exit_code == 1


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        ("{", "rows.jsonl:2: not a JSON line"),
        ("[1]", "rows.jsonl:2: not a JSON object"),
        ({"id": 5}, "rows.jsonl:2: id: must be text"),
        (row(topic=None), "rows.jsonl:2: topic: must be text"),
        (
            {k: v for k, v in row().items() if k != "payload"},
            "rows.jsonl:2: payload: payload or payload_b64 is missing",
        ),
        (row(payload=5), "rows.jsonl:2: payload: must be text"),
        (row(payload_b64="%%"), "rows.jsonl:2: payload_b64: not base64"),
        (row(expect=[]), "rows.jsonl:2: expect: must be an object"),
    ],
)
def test_a_bad_line_is_named_with_file_and_line_before_anything_is_decoded(
    written: Any, bad: Any, complaint: str
) -> None:
    result = decode("--jsonl", written(row(), bad))
    assert isinstance(result.exception, ConfigError)
    assert complaint in str(result.exception)
    assert result.stdout == ""


def test_a_missing_file_is_named() -> None:
    assert "nowhere.jsonl: cannot be read" in str(decode("--jsonl", "nowhere.jsonl").exception)


def test_one_message_by_hand() -> None:
    result = decode("--topic", "zigbee2mqtt/Smoke", "--payload", '{"smoke":true}')
    found = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (found["codec"], found["device"]) == ("zigbee2mqtt", "Smoke")
    assert found["events"] == [{"type": "alarm", "alarm": "smoke", "active": True}]


def test_a_rejected_message_by_hand_fails(tmp_path: Path) -> None:
    file = tmp_path / "payload"
    file.write_bytes(b"\xff\x00{")
    result = decode("--topic", "sc/v1/s/n/d/tele", "--payload-file", str(file))
    assert result.exit_code == 1
    assert json.loads(result.stdout)["rejected"]["reason"] == "malformed JSON"


@pytest.mark.parametrize(
    "arguments",
    [[], ["--topic", "a/b"], ["--topic", "a/b", "--payload", "1", "--payload-file", "x"], ["--topic", "a", "--jsonl", "x"],
     ["--topic", "a/b", "--payload", "1", "--system", "morse"], ["--topic", "a/b", "--payload", "1", "--zone", "Mars"],
     ["--topic", "a/b", "--payload-file", "/nowhere"]],
)  # fmt: skip
def test_wrong_use_is_told(arguments: list[str]) -> None:
    result = decode(*arguments)
    assert result.exit_code == 2
    assert "gridhub decode: " in result.output


def test_a_zone_resolves_wall_clocks() -> None:
    payload = '{"temperature":20,"time":"2024-01-01 08:00:00"}'
    found = json.loads(decode("--topic", "s/d/data", "--payload", payload, "--zone", "Asia/Shanghai").stdout)
    assert found["observed_at_ms"] == 1_704_067_200_000
    assert json.loads(decode("--topic", "s/d/data", "--payload", payload).stdout)["observed_at_ms"] is None


def test_markup_in_a_topic_stays_text() -> None:
    result = decode("--topic", "sensors/<img src=x>/data", "--payload", "<script>alert(1)</script>")
    assert json.loads(result.stdout)["rejected"]


def test_a_topic_under_no_usual_root_is_read_but_called_a_guess() -> None:
    result = decode("--topic", "foo/bar", "--payload", '{"temperature":1}')
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["codec"] == "generic-json"
    assert "'foo' is no usual root" in found["note"]
    assert "{codec: generic-json, root: foo}" in result.stderr
    for more in (["--system", "generic-json"], ["--root", "foo"]):
        assert "note" not in json.loads(decode("--topic", "foo/bar", "--payload", "{}", *more).stdout)
    assert "note" not in json.loads(decode("--topic", "sensors/bar/data", "--payload", "{}").stdout)


@pytest.mark.parametrize(
    ("topic", "payload", "told"),
    [
        (
            "zigbee2mqtt/Smoke",
            '{"smoke":true,"battery":97}',
            ["zigbee2mqtt:zigbee2mqtt/Smoke", "battery_pct", "type=alarm"],
        ),
        (
            "foo/[bold]x/data",
            '{"temperature":1,"ts":1704067200}',
            ["is no usual root", "[bold]x", "2024-01-01 08:00:00"],
        ),
        ("sc/v1/s/n/d/tele", "{", ["rejected", "malformed JSON"]),
        ("sensors/a\x1b[2Jb/data", '{"note":"\\u001b[2J"}', ["\\x1b[2J"]),
    ],
)
def test_people_get_a_page_that_devices_cannot_disturb(topic: str, payload: str, told: list[str]) -> None:
    row = json.loads(decode("--topic", topic, "--payload", payload).stdout)
    out = io.StringIO()
    print_page(row, "Asia/Shanghai", Console(file=out, width=160, highlight=False))
    for text in told:
        assert text in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_a_terminal_gets_the_page_and_json_when_it_is_asked_for() -> None:
    def on_a_terminal(*more: str) -> str:
        leader, terminal = os.openpty()
        command = [sys.executable, "-m", "hub", "decode", "--topic", "sensors/d/data", "--payload", '{"temperature":1}']
        subprocess.run([*command, *more], stdout=terminal, check=True, timeout=60)
        os.close(terminal)
        said = os.read(leader, 65_536).decode()
        os.close(leader)
        return said

    assert "│ temperature_c │" in on_a_terminal()
    assert json.loads(on_a_terminal("--json"))["codec"] == "generic-json"
