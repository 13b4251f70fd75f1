"""Recordings of traffic: read back as they were, their times moved to now, and refused when they are none."""

from __future__ import annotations

import base64
import json

import pytest
from typer.testing import CliRunner

from devices.simulators.publisher import Message
from hub.__main__ import app
from hub.cli.traffic import moved, recorded


def a_line(topic: str, payload: bytes, at_ms: int = 5, kind: str = "message", retained: bool = False) -> str:
    body = base64.b64encode(payload).decode()
    return json.dumps(
        {"position": 0, "kind": kind, "at_ms": at_ms, "topic": topic, "payload": body, "retained": retained}
    )


def test_a_recording_is_read_as_it_was_without_ticks(tmp_path):
    file = tmp_path / "r.jsonl"
    lines = [a_line("a/b", b"\xff\x00", 7), a_line("", b"", 8, kind="tick"), a_line("c", b"{}", 9, retained=True)]
    file.write_text("\n".join(lines) + "\n")
    assert list(recorded(file)) == [(7, Message("a/b", b"\xff\x00", 1, False)), (9, Message("c", b"{}", 1, True))]


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b'{"ts":1704067200123,"m":{}}', b'{"ts":1804067200123,"m":{}}'),
        (b'{"last_seen": 1704067190000 }', b'{"last_seen": 1804067190000 }'),
        (b'{"ts":1604067200123}', b'{"ts":1604067200123}'),  # of another day: perhaps no time at all
        (b"\xff no json", b"\xff no json"),
    ],
)
def test_times_inside_are_moved_by_as_much_as_the_message_is(payload, expected):
    assert moved(Message("t", payload), 1_704_067_200_500, 1_804_067_200_500).payload == expected


def test_what_is_no_recording_is_refused_with_its_line(tmp_path):
    file = tmp_path / "r.jsonl"
    file.write_text(a_line("a", b"") + "\nhello\n")
    found = CliRunner().invoke(app, ["traffic", "replay", str(file), "--broker", "127.0.0.1:1"])
    assert found.exit_code != 0


def test_a_scene_is_compared_on_the_command_line(tmp_path):
    scene = "devices/simulators/scenes/held-door.yaml"
    done = CliRunner().invoke(app, ["simulate", "--scene", scene, "--check", "--json"])
    assert done.exit_code == 0, done.output
    assert [alert["rule"] for alert in json.loads(done.stdout)["alerts"]] == ["fire-door-held-open"]
    file = tmp_path / "wrong.yaml"
    file.write_text("name: wrong\nlasts: 10s\nhappens: [{behaviour: calm_day}]\nexpect: [{rule: gas-alarm}]\n")
    done = CliRunner().invoke(app, ["simulate", "--scene", str(file), "--check"])
    assert done.exit_code == 1
    assert "wrong: gas-alarm was not raised" in done.stdout
