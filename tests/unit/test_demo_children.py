"""Child processes of the demonstration live and die with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from hub.cli import demo, demo_hub
from hub.cli.children import Child, stop_all
from hub.cli.phones import Call, Phones
from tests.support.pace import patient

DEAF = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
)


def a_child(tmp_path: Path, name: str, code: str) -> Child:
    return Child(name, [sys.executable, "-c", code], output=tmp_path / f"{name}.log")


def wait_until(happens, within_s: float = 10.0) -> None:
    until = time.monotonic() + within_s
    while not happens():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_what_a_child_says_is_read_line_by_line(tmp_path):
    child = a_child(tmp_path, "talker", "print('one'); print('two', end='', flush=True)")
    assert child.wait(10)
    assert child.new_lines() == ["one"]
    assert child.new_lines() == []
    assert child.last_lines() == ["one", "two"]
    assert child.how_it_ended() == "ended with exit code 0"


def test_children_are_stopped_politely(tmp_path):
    children = [a_child(tmp_path, f"c{n}", "import time; time.sleep(60)") for n in range(3)]
    assert stop_all(children) == []
    assert [c.ended for c in children] == [-signal.SIGTERM] * 3


def test_one_that_does_not_listen_is_killed_and_named_within_the_time(tmp_path):
    children = [a_child(tmp_path, "broker", "import time; time.sleep(60)"), a_child(tmp_path, "deaf", DEAF)]
    wait_until(lambda: children[1].last_lines() == ["up"])
    began = time.monotonic()
    assert stop_all(children, within_s=1.0) == ["deaf"]
    assert time.monotonic() - began < patient(2.5)
    assert children[1].how_it_ended() == "was killed by SIGKILL"


def test_what_a_killed_child_has_started_dies_too(tmp_path):
    code = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {DEAF!r}]); print(p.pid, flush=True); p.wait()"
    child = a_child(tmp_path, "parent", code)
    wait_until(lambda: len(child.last_lines()) >= 2)
    grandchild = next(int(line) for line in child.last_lines() if line.isdigit())
    stop_all([child], within_s=0.5)
    wait_until(lambda: not alive(grandchild))


def test_children_die_with_a_parent_that_is_killed(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from hub.cli.children import Child;"
        f"c = Child('c', [sys.executable, '-c', 'import time; time.sleep(60)'], output=Path({str(tmp_path / 'c.log')!r}));"
        "print(c.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert alive(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: not alive(child))


def test_a_phone_takes_a_notification_and_refuses_nonsense():
    with Phones() as phones:
        request = urllib.request.Request(phones.url("crew/北"), data=b'{"severity":"P1","title":"fire"}', method="POST")
        with urllib.request.urlopen(request, timeout=5) as answer:
            assert answer.read() == b'{"ok": true}'
        with pytest.raises(urllib.error.HTTPError, match="400"):
            urllib.request.urlopen(phones.url("x"), data=b"[]", timeout=5)
        assert phones.calls() == [Call("crew/北", "P1", "fire")]
        assert phones.calls() == []


def test_the_demonstration_never_touches_the_stores_of_a_real_hub(monkeypatch):
    monkeypatch.setenv("GRIDHUB_LEDGER__URL", "postgresql://real/ledger")
    monkeypatch.setenv("GRIDHUB_MQTT_PASSWORD", "real")
    assert not [name for name in demo_hub.plain_environment() if name.startswith("GRIDHUB_")]


def test_folders_of_a_killed_demonstration_are_swept_and_those_of_a_running_one_are_not(tmp_path, monkeypatch):
    monkeypatch.setattr(demo.tempfile, "gettempdir", lambda: str(tmp_path))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left, ours, other = (
        tmp_path / n
        for n in (f"gridhub-demo-{gone.pid}-ab12", f"gridhub-demo-{os.getpid()}-cd34", "gridhub-demo-notes")
    )
    for folder in (left, ours, other):
        folder.mkdir()
    demo._sweep()
    assert sorted(tmp_path.iterdir()) == sorted([ours, other])
