"""`gridhub demo` as a visitor sees it: one command, a fire on a phone, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.mosquitto import free_port, mosquitto_binary
from tests.support.pace import patient

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.needs_mosquitto]


class Demo:
    def __init__(self, tmp_path: Path, *more: str) -> None:
        self.folder = tmp_path
        self.ports = (free_port(), free_port())
        command = [sys.executable, "-m", "hub", "demo", "--fire-after", "0"]
        command += ["--broker-port", str(self.ports[0]), "--console-port", str(self.ports[1]), *more]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(tmp_path), "COLUMNS": "60"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
        self.process.stdout.close()

    def said(self, pattern: str) -> str | None:
        return next((line for line in list(self.lines) if re.search(pattern, line)), None)

    def wait_for(self, pattern: str, within_s: float = 120.0) -> str:
        until = time.monotonic() + patient(within_s)
        while (line := self.said(pattern)) is None:
            assert self.process.poll() is None, "\n".join(self.lines)
            assert time.monotonic() < until, f"no {pattern!r} in:\n" + "\n".join(self.lines)
            time.sleep(0.05)
        return line

    def children(self) -> dict[str, int]:
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                    command = (entry / "cmdline").read_text()
                except (OSError, ValueError):
                    continue
                if parent == self.process.pid:
                    name = next((n for n in ("simulate", "run", "mosquitto", "embedded_broker") if n in command), "?")
                    found[name] = int(entry.name)
        return found

    def end(self, how: signal.Signals) -> float:
        """Seconds until it was gone."""
        began = time.monotonic()
        self.process.send_signal(how)
        self.process.wait(30)
        took_s = time.monotonic() - began
        self._reader.join(10)
        return took_s


@contextmanager
def a_demo(tmp_path: Path, *more: str) -> Iterator[Demo]:
    demo = Demo(tmp_path, *more)
    try:
        yield demo
    finally:
        if demo.process.poll() is None:
            demo.end(signal.SIGKILL)


def gone(pids: dict[str, int], within_s: float = 10.0) -> bool:
    until = time.monotonic() + patient(within_s)
    while any(Path(f"/proc/{pid}").exists() for pid in pids.values()):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize(
    ("broker", "how"),
    [("mosquitto", signal.SIGINT), ("amqtt", signal.SIGHUP)],
    ids=["mosquitto-ctrl-c", "amqtt-hangup"],
)
def test_a_fire_reaches_a_phone_and_the_end_leaves_nothing_behind(tmp_path, broker, how):
    if broker == "mosquitto":
        mosquitto_binary()
    with a_demo(tmp_path, "--broker", broker) as demo:
        link = demo.wait_for(r"console +http")
        assert re.search(rf"http://127.0.0.1:{demo.ports[1]}/sign-in#token=gh_[\w-]{{43}}$", link), "the link is whole"
        demo.wait_for(r"kitchen fire under")
        assert "火警" in demo.wait_for(r"phone of", within_s=30)
        children = demo.children()
        assert len(children) == 3, children
        assert demo.end(how) < patient(5)
        assert demo.process.returncode == 0, demo.lines
        assert gone(children, within_s=0.5)
        assert all(map(free, demo.ports))
        assert list(tmp_path.iterdir()) == []


def test_a_child_that_dies_ends_it_with_its_name_and_its_last_words(tmp_path):
    mosquitto_binary()
    with a_demo(tmp_path, "--no-fire") as demo:
        demo.wait_for(r"messages/s")
        children = demo.children()
        os.kill(children["run"], signal.SIGKILL)
        demo.process.wait(15)
        demo._reader.join(10)
        assert demo.process.returncode == 1
        assert demo.said(r"the hub was killed by SIGKILL")
        assert demo.said(r"\| .*hub\.started")
        assert gone(children)
        assert list(tmp_path.iterdir()) == []


def test_nothing_goes_on_when_it_is_killed_outright(tmp_path):
    mosquitto_binary()
    with a_demo(tmp_path, "--no-fire") as demo:
        demo.wait_for(r"messages/s")
        children = demo.children()
        demo.end(signal.SIGKILL)
        assert gone(children)
        assert all(map(free, demo.ports))


def test_a_terminal_that_is_closed_ends_it_even_below_a_make_that_does_not_pass_the_signal_on(tmp_path):
    mosquitto_binary()
    command = [sys.executable, "-m", "hub", "demo", "--no-fire", "--broker-port", str(free_port())]
    command += ["--console-port", str(free_port())]
    code = f"import subprocess, signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); subprocess.call({command!r})"
    leader, terminal = os.forkpty()
    if leader == 0:
        os.chdir(ROOT)
        os.environ["TMPDIR"] = str(tmp_path)
        os.execv(sys.executable, [sys.executable, "-c", code])
    said, until = b"", time.monotonic() + 120
    while b"messages/s" not in said:
        assert time.monotonic() < until, said
        said += os.read(terminal, 65_536)
    os.close(terminal)
    until = time.monotonic() + 10
    while os.waitpid(leader, os.WNOHANG)[0] == 0:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_named_before_anything_starts(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "hub", "demo", "--console-port", str(port)]
        done = subprocess.run(
            command,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=patient(60),
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
    assert done.returncode == 1
    assert f"port {port} is taken" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_configuration_is_told_before_anything_starts(tmp_path):
    (tmp_path / "hub.yaml").write_text("sight: demo\n")
    command = [sys.executable, "-m", "hub", "demo", "--config", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=patient(60))
    assert done.returncode == 2
    assert "hub.yaml:1" in done.stderr
    assert "sight" in done.stderr


def test_another_terminal_looks_into_it_by_the_command_that_it_prints(tmp_path):
    mosquitto_binary()
    place = tmp_path / "place"
    shutil.copytree(ROOT / "config", place)
    with a_demo(tmp_path, "--no-fire", "--config", str(place)) as demo:
        look = shlex.split(demo.wait_for(r"^ +look ").split(maxsplit=1)[1])
        done = subprocess.run([*look, "--json"], cwd=ROOT, capture_output=True, text=True, timeout=patient(60))
        assert done.returncode == 0, done.stdout + done.stderr
        assert "notified by webhook" in [stage["stage"] for stage in json.loads(done.stdout)["stages"]]
        with (place / "registry" / "devices.csv").open("a") as file:
            file.write("broken\n")
        assert "devices.csv:302" in demo.wait_for(r"configuration: refused", within_s=20)
