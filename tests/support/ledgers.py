"""Ledgers for tests: the same promises are tested on an SQLite file and on a real PostgreSQL.

The fixtures `ledger` and `ledger_url` run a test once on each; a conftest.py imports them to make them known. The tables
are made once per process; each test gets a copy.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from hub.stores.ledger import Ledger
from tests.support.postgres import fresh_database, shared_postgres

BACKENDS = [
    pytest.param("sqlite", id="sqlite"),
    pytest.param("postgresql", id="postgresql", marks=pytest.mark.needs_postgres),
]


@cache
def _sqlite_template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="gridhub-ledger-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    Ledger.open(f"sqlite:///{folder}/template.db").close()
    return folder / "template.db"


@cache
def _postgres_template() -> str:
    server = shared_postgres()
    server.run('CREATE DATABASE "migrated"')
    Ledger.open(server.url("migrated")).close()
    return "migrated"


@contextmanager
def migrated_url(backend: str, folder: Path) -> Iterator[str]:
    """The URL of a fresh ledger with its tables made; SQLite puts its file into `folder`."""
    if backend == "sqlite":
        shutil.copy(_sqlite_template(), folder / "ledger.db")
        yield f"sqlite:///{folder}/ledger.db"
    else:
        with fresh_database(_postgres_template()) as url:
            yield url


@pytest.fixture(params=BACKENDS)
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with migrated_url(request.param, tmp_path) as url:
        yield url


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    opened = Ledger.open(ledger_url)
    yield opened
    opened.close()
