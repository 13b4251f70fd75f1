"""Brings the ledger's tables up to date. One process at a time does it; the others wait and find it done."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from hub.errors import ConfigError
from hub.telemetry import log

if TYPE_CHECKING:
    from hub.stores.ledger import Ledger

_FOLDER = Path(__file__).parent / "migrations"
_LOCK = 0x67726964_68756202


def newest() -> str:
    """The revision that this hub's code is written for."""
    return str(_scripts().get_current_head())


def current(connection: Connection) -> str | None:
    """The revision that the tables are at; None when there are none."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(ledger: Ledger) -> tuple[str | None, str]:
    """Brings the tables to `newest()`, in one transaction. Returns the revisions before and after.

    Tables that a newer hub has made are left as they are: migrations only add, so this hub works on them.
    """
    with ledger.begin() as connection:  # SQLite: BEGIN IMMEDIATE keeps other processes out
        if not ledger.is_sqlite:
            connection.execute(text("SET LOCAL lock_timeout = 0"))
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        before = current(connection)
        if before == newest():
            return before, before
        if before is not None and not _is_known(before):
            log.warning("ledger.newer_than_the_hub", revision=before, newest_known=newest())
            return before, before
        command.upgrade(_config(connection), "head")
        return before, newest()


def require_current(ledger: Ledger) -> None:
    """Raises `ConfigError` when the tables are missing or behind."""
    with ledger.read() as connection:
        found = current(connection)
    if found is None or (_is_known(found) and found != newest()):
        state = "has no tables yet" if found is None else f"is at revision {found}, this hub needs {newest()}"
        raise ConfigError.one(ledger.name, f"the ledger {state}", remedy="run: gridhub migrate")


def _is_known(revision: str) -> bool:
    return any(script.revision == revision for script in _scripts().walk_revisions())


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    attributes: dict[str, Any] = config.attributes
    attributes["connection"] = connection
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())
