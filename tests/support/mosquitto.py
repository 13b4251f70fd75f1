"""A real mosquitto of one's own: free port on 127.0.0.1, its own folder, stopped by its own pid."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.pace import patient

_PLACES = ("/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/sbin")


def mosquitto_binary() -> str:
    """The path of mosquitto. Fails the test under CI, skips it elsewhere, when there is none."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path=os.pathsep.join(_PLACES))
    if found is None:
        missing = "mosquitto is not installed: apt-get install mosquitto mosquitto-clients"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return found


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Mosquitto:
    """One broker that can be started, stopped, killed and started again on the same port and folder.

    `users` maps names to passwords (then nobody else may enter). `config` is appended to the configuration file; a line
    there wins over ours only where mosquitto lets the last one win. `persistent` keeps sessions and retained messages over
    `stop` + `start`; after `kill` mosquitto itself has only what it saved last.
    """

    host = "127.0.0.1"

    def __init__(
        self,
        folder: Path,
        *,
        config: str = "",
        persistent: bool = False,
        users: Mapping[str, str] | None = None,
        port: int | None = None,
    ) -> None:
        self.binary = mosquitto_binary()
        self.folder = folder
        self.port = port or free_port()
        self.config_file = folder / "mosquitto.conf"
        self.log_file = folder / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._write_config(config, persistent, users)

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None, "mosquitto is not running"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def log(self) -> str:
        """What the broker has logged so far, over all its starts."""
        return self.log_file.read_text("utf-8", errors="replace") if self.log_file.exists() else ""

    def start(self, *, within_s: float = 10.0) -> Mosquitto:
        """Starts the broker and returns when it takes connections."""
        assert not self.running, "mosquitto is running already"
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [self.binary, "-c", str(self.config_file)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        give_up = time.monotonic() + patient(within_s)
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > give_up:
                self.stop()
                raise AssertionError(f"mosquitto did not start on port {self.port}:\n{self.log()}")
            time.sleep(0.02)
        return self

    def stop(self) -> None:
        """Ends the broker cleanly: it saves its state when persistent. Idempotent."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Ends the broker as a power cut would: nothing is saved. Idempotent."""
        self._end(signal.SIGKILL)

    def restart(self, *, killed: bool = False, away_s: float = 0.0) -> None:
        """Stops (or kills) the broker, waits `away_s`, starts it on the same port."""
        (self.kill if killed else self.stop)()
        time.sleep(away_s)
        self.start()

    def freeze(self) -> None:
        """Stops the process in its tracks: sockets stay open, nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), timeout=0.5):
                return True
        except OSError:
            return False

    def _write_config(self, config: str, persistent: bool, users: Mapping[str, str] | None) -> None:
        lines = [
            "per_listener_settings false",
            f"listener {self.port} {self.host}",
            f"allow_anonymous {'false' if users else 'true'}",
            "max_inflight_messages 2000",
            "max_queued_messages 0",
            "log_dest stderr",
            "connection_messages true",
        ]
        if os.geteuid() == 0:
            lines.append("user root")  # otherwise mosquitto drops to a user that cannot write our folder
        if persistent:
            # The interval is long on purpose: what survives `kill` must come from the hub, not from a lucky save.
            lines += ["persistence true", f"persistence_location {self.folder}/", "autosave_interval 1800"]
        if users:
            lines.append(f"password_file {self._write_passwords(users)}")
        self.config_file.write_text("\n".join(lines) + "\n" + config + "\n", "utf-8")

    def _write_passwords(self, users: Mapping[str, str]) -> Path:
        file = self.folder / "passwords"
        file.touch(mode=0o600)
        tool = shutil.which("mosquitto_passwd") or "mosquitto_passwd"
        for name, password in users.items():
            subprocess.run([tool, "-b", str(file), name, password], check=True, capture_output=True)
        return file


@contextmanager
def running_mosquitto(
    folder: Path | None = None,
    *,
    config: str = "",
    persistent: bool = False,
    users: Mapping[str, str] | None = None,
    port: int | None = None,
) -> Iterator[Mosquitto]:
    """A started broker for the length of a `with`; without `folder` in a temporary one."""
    with tempfile.TemporaryDirectory(prefix="gridhub-mosquitto-") as temporary:
        broker = Mosquitto(folder or Path(temporary), config=config, persistent=persistent, users=users, port=port)
        broker.start()
        try:
            yield broker
        finally:
            broker.stop()
