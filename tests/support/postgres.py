"""A real PostgreSQL of one's own: a cluster in a temp folder on a free port, and a fresh database per test."""

from __future__ import annotations

import atexit
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.support.mosquitto import free_port
from tests.support.pace import patient

_USER = "gridhub"


def postgres_folder() -> Path:
    """Where initdb and postgres are. Fails the test under CI, skips it elsewhere, when there are none."""
    places = [Path(found).resolve().parent] if (found := shutil.which("initdb")) else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for place in places:
        if (place / "initdb").exists() and (place / "postgres").exists():
            return place
    missing = "PostgreSQL is not installed: apt-get install postgresql"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


class Postgres:
    """One cluster that can be started, stopped, killed and started again on the same port and folder.

    Nothing is synced to disk (fsync off): it survives `kill`, not a power failure. PostgreSQL refuses to run as root, so
    under root it runs as the user `postgres`.
    """

    host = "127.0.0.1"

    def __init__(self, folder: Path) -> None:
        self._bin = postgres_folder()
        self.folder = folder
        self.port = free_port()
        self.data = folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._as: list[str] = []
        if os.geteuid() == 0:
            person = pwd.getpwnam("postgres")
            os.chown(folder, person.pw_uid, person.pw_gid)
            self._as = ["setpriv", f"--reuid={person.pw_uid}", f"--regid={person.pw_gid}", "--clear-groups"]
        subprocess.run(
            [
                *(*self._as, str(self._bin / "initdb"), "-D", str(self.data), "-U", _USER, "-A", "trust"),
                *("-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"),
            ],
            check=True,
            cwd=folder,
            capture_output=True,
        )
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write("fsync = off\nfull_page_writes = off\nmax_connections = 200\n")

    @property
    def pid(self) -> int:
        assert self._process is not None, "PostgreSQL is not running"
        return self._process.pid

    def url(self, database: str) -> str:
        return f"postgresql://{_USER}@{self.host}:{self.port}/{database}"

    def log(self) -> str:
        file = self.folder / "postgres.log"
        return file.read_text("utf-8", "replace") if file.exists() else ""

    def start(self, *, timeout_s: float = 30.0) -> Postgres:
        with (self.folder / "postgres.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(*self._as, str(self._bin / "postgres"), "-D", str(self.data), "-p", str(self.port)),
                    *("-c", f"listen_addresses={self.host}", "-c", f"unix_socket_directories={self.folder}"),
                ],
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        give_up = time.monotonic() + patient(timeout_s)
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=2).close()
                return self
            except psycopg.OperationalError as not_yet:
                if self._process.poll() is not None or time.monotonic() > give_up:
                    raise AssertionError(f"PostgreSQL did not start: {not_yet}\n{self.log()}") from not_yet
                time.sleep(0.05)

    def stop(self) -> None:
        """Ends it as an operator does (fast shutdown: open transactions are rolled back)."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Ends it at once, without a checkpoint (immediate shutdown); the next start recovers."""
        self._end(signal.SIGQUIT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(how)
        self._process.wait(30)
        self._process = None

    def run(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[arg-type]


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A cluster of the test's own, for tests that stop or kill it."""
    folder = Path(tempfile.mkdtemp(prefix="gridhub-pg-"))
    server: Postgres | None = None
    try:
        server = Postgres(folder)
        yield server.start()
    finally:
        if server is not None:
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)


_shared: list[Postgres] = []


def shared_postgres() -> Postgres:
    """The cluster that all tests of this process share, started at its first use. Do not stop it."""
    if not _shared:
        manager = postgres()
        _shared.append(manager.__enter__())
        atexit.register(manager.__exit__, None, None, None)
    return _shared[0]


@contextmanager
def fresh_database(template: str = "template1") -> Iterator[str]:
    """The URL of an empty database (or a copy of `template`) on the shared cluster, dropped afterwards."""
    server = shared_postgres()
    name = f"t_{secrets.token_hex(6)}"
    server.run(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        yield server.url(name)
    finally:
        server.run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
