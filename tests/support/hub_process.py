"""A whole hub as its users run it: `gridhub run` in a process of its own, on a configuration made for the test."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from devices.simulators.town import write_town
from tests.support.mosquitto import free_port
from tests.support.pace import patient

CONFIG = Path(__file__).parents[2] / "config"


def make_config(
    folder: Path,
    *,
    broker_port: int,
    devices: int = 0,
    ledger_url: str = "",
    webhook: str = "",
    journal_folder: str = "",
    history: dict[str, Any] | None = None,
    mqtt: dict[str, Any] | None = None,
) -> Path:
    """A configuration folder: the example place, or with `devices` a generated one; every webhook contact goes to `webhook`."""
    config = folder / "config"
    shutil.copytree(CONFIG, config)
    if devices:
        shutil.rmtree(config / "registry")
        write_town(config / "registry", devices=devices, seed=1, site="demo")
    hub = yaml.safe_load((config / "hub.yaml").read_text("utf-8"))
    hub["data_dir"] = str(folder / "data")
    hub["mqtt"] = {"host": "127.0.0.1", "port": broker_port, "protocol": "5"} | (mqtt or {})
    hub["api"] = {"host": "127.0.0.1", "port": free_port()}
    hub["channels"] = {"webhook": {"endpoints": _endpoints(config, webhook)}}
    if ledger_url:
        hub["ledger"] = {"url": ledger_url}
    if journal_folder:
        hub["journal"] = {"folder": journal_folder, "segment_mib": 2}
    if history:
        hub["history"] = history
    (config / "hub.yaml").write_text(yaml.safe_dump(hub, allow_unicode=True), "utf-8")
    return config


def _endpoints(config: Path, webhook: str) -> dict[str, Any]:
    if not webhook:
        return {}
    names = set()
    for file, key in (("stations.yaml", "stations"), ("people.yaml", "people")):
        for entry in yaml.safe_load((config / "registry" / file).read_text("utf-8"))[key]:
            names |= {entry.get("contacts", {}).get("webhook", "")}
    return {name: {"url": f"{webhook}/{name}", "timeout_s": 10} for name in sorted(names - {""})}


class HubProcess:
    """`gridhub run --config …`. `start` returns when it is ready; `kill` is SIGKILL."""

    def __init__(self, config: Path, *, role: str = "", before: tuple[str, ...] = ()) -> None:
        self.config, self.role, self._before = config, role, before
        self.settings = yaml.safe_load((config / "hub.yaml").read_text("utf-8"))
        self.log_file = config.parent / "hub.log"
        self.url = f"http://127.0.0.1:{self.settings['api']['port']}"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> HubProcess:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self, *, wait: bool = True) -> HubProcess:
        arguments = [sys.executable, "-m", "hub", "run", "--config", str(self.config)]
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._before, *arguments, *(["--role", self.role] if self.role else [])],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | {"PYTHONUNBUFFERED": "1"},
                cwd=CONFIG.parent,
            )  # fmt: skip
        if wait:
            try:
                self.wait_ready()
            except BaseException:
                self.kill()  # nobody else would: the test has no hub to stop yet
                raise
        return self

    def wait_ready(self, within_s: float = 60.0) -> None:
        until = time.monotonic() + patient(within_s)
        while time.monotonic() < until:
            assert self.process is not None
            assert self.process.poll() is None, f"the hub ended:\n{self.log()[-4_000:]}"
            if self.get("/readyz")[0] == 200:
                return
            time.sleep(0.1)
        raise AssertionError(f"the hub is not ready: {self.get('/readyz')}\n{self.log()[-4_000:]}")

    def get(self, path: str, token: str = "") -> tuple[int, Any]:
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {token}"} if token else {})
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                body = answer.read()
                status = answer.status
        except urllib.error.HTTPError as refused:
            body, status = refused.read(), refused.code
        except OSError as away:
            return 0, str(away)
        try:
            return status, json.loads(body)
        except ValueError:
            return status, body

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, within_s: float = 10.0) -> float:
        """SIGTERM; returns the seconds that it took."""
        began = time.monotonic()
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(patient(within_s))
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"the hub did not stop within {within_s} s:\n{self.log()[-4_000:]}") from None
        return time.monotonic() - began

    def log(self) -> str:
        return self.log_file.read_text("utf-8", errors="replace") if self.log_file.exists() else ""

    def token(self, role: str = "admin", **limits: str) -> str:
        """A token made as an operator would: `gridhub token create`."""
        command = [sys.executable, "-m", "hub", "token", "create", role, "--config", str(self.config), "--role", role]
        scope = [word for name, value in limits.items() for word in (f"--{name}", value)]
        arguments = [*command, *(scope or ["--all"])]
        done = subprocess.run(arguments, capture_output=True, text=True, cwd=CONFIG.parent, check=True)
        return next(word for word in done.stdout.split() if word.startswith("gh_"))
