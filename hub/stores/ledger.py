"""The ledger: one SQL database (SQLite file or PostgreSQL) for alerts, deliveries, positions, tokens."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import StaticPool

from hub.errors import ConfigError, Unavailable

T = TypeVar("T")

_BUSY_S = 5.0
_CONNECT_S = 3
_CONFLICTS = frozenset({"40001", "40P01"})  # serialization failure, deadlock: the same work may be done again
_TRIES = 6
_WRITER_LOCK = 0x67726964_68756201  # "gridhub" 1: who numbers audit rows. Migrations use the next number.
_NOT_AWAY = ("no such table", "no such column", "has no column", "syntax error", "already exists")


class Ledger:
    """Connections and transactions. Thread-safe; reconnects by itself.

    Every method raises `Unavailable` while the database is away, locked for too long, or its disk is full; the same object
    works again afterwards. SQLite runs with WAL and synchronous=FULL: what was committed survives a power failure.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        # SQLite has one writer anyway. Waiting here is fair and quick; its own busy handler sleeps up to 100 ms a try.
        self._writer = threading.Lock() if self.is_sqlite else None

    @classmethod
    def unprepared(cls, url: str) -> Ledger:
        """A ledger that has not been connected to nor looked at. Raises `ConfigError` when the URL makes no sense."""
        return cls(_engine(url))

    @classmethod
    def open(cls, url: str, *, migrate: bool = True) -> Ledger:
        """Opens the database at `url` (sqlite:///path, sqlite:// in memory, postgresql://user:password@host/name).

        With `migrate` its tables are created or brought up to date first; without, tables that are behind are a `ConfigError`.
        Raises `Unavailable` when the database cannot be reached, `ConfigError` when the URL makes no sense.
        """
        from hub.stores import migrating

        ledger = cls.unprepared(url)
        try:
            if migrate:
                migrating.upgrade(ledger)
            else:
                migrating.require_current(ledger)
        except BaseException:
            ledger.close()
            raise
        return ledger

    @property
    def name(self) -> str:
        """The URL without its password, for messages."""
        return self.engine.url.render_as_string(hide_password=True)

    @property
    def file(self) -> Path | None:
        """The SQLite file; None for a server and for a ledger in memory."""
        database = self.engine.url.database
        return Path(database) if self.is_sqlite and database and database != ":memory:" else None

    def close(self) -> None:
        """Closes the pooled connections. Idempotent."""
        self.engine.dispose()

    def ping(self) -> None:
        """Returns if the database answers."""
        with self.read() as connection:
            connection.execute(text("SELECT 1"))

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A write transaction: committed at the end of the block, rolled back when it raises. SQLite: BEGIN IMMEDIATE."""
        with self._transaction(writes=True) as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads, and waits for no writer."""
        with self._transaction(writes=False) as connection:
            yield connection

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Runs `work` in a write transaction, again from the start when it lost a race (unique key, deadlock).

        `work` must have no effect outside the transaction. Raises `Unavailable` after losing several times in a row.
        """
        for attempt in range(_TRIES):
            try:
                with self.begin() as connection:
                    return work(connection)
            except DBAPIError as lost:
                if not _is_conflict(lost):
                    raise
                if attempt == _TRIES - 1:
                    raise Unavailable(f"the ledger is contended: {_first_line(lost)}") from lost
        raise AssertionError("unreachable")

    def number_audit(self, connection: Connection) -> int:
        """The number of the next audit row. Takes the writer lock until the end of the transaction.

        The lock makes numbers visible in their order, so that a reader who has seen n never misses a smaller one. Take row
        locks before it, never after: then no two writers can wait for each other.
        """
        if not self.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITER_LOCK})
        return int(connection.execute(text("SELECT COALESCE(MAX(id), 0) + 1 FROM audit")).scalar_one())

    @contextmanager
    def _transaction(self, *, writes: bool) -> Iterator[Connection]:
        with ExitStack() as stack:
            stack.enter_context(_translated())
            if self._writer is not None and (writes or isinstance(self.engine.pool, StaticPool)):
                if not self._writer.acquire(timeout=_BUSY_S):
                    raise Unavailable("the ledger is busy: another writer holds it for more than 5 s")
                stack.callback(self._writer.release)
            connection = stack.enter_context(self.engine.connect().execution_options(gridhub_writes=writes))
            with connection.begin():
                yield connection


@contextmanager
def _translated() -> Iterator[None]:
    """Database errors that mean "away" become `Unavailable`; what a programmer did wrong passes through."""
    try:
        yield
    except PoolTimeout as busy:
        raise Unavailable("the ledger is busy: no free connection") from busy
    except DBAPIError as error:
        if _is_away(error):
            raise Unavailable(f"the ledger is away: {_first_line(error)}") from error
        raise


def _is_away(error: DBAPIError) -> bool:
    if error.connection_invalidated:
        return True
    if isinstance(error, IntegrityError | ProgrammingError) or _is_conflict(error):
        return False
    kind = type(error.orig).__name__
    state = str(getattr(error.orig, "sqlstate", None) or "")
    if state:  # PostgreSQL: connection, resources, shutdown, time-outs, read-only after a fail-over
        return state[:2] in ("08", "53", "57", "58") or state in ("25006", "25P03", "55P03")
    return kind in ("OperationalError", "DatabaseError") and not any(words in str(error.orig) for words in _NOT_AWAY)


def _is_conflict(error: DBAPIError) -> bool:
    if isinstance(error, IntegrityError):
        words = str(error.orig)
        return getattr(error.orig, "sqlstate", None) == "23505" or "UNIQUE constraint failed" in words
    return getattr(error.orig, "sqlstate", None) in _CONFLICTS


def _first_line(error: DBAPIError) -> str:
    lines = str(error.orig).strip().splitlines()
    return lines[0] if lines else type(error.orig).__name__


def _engine(url: str) -> Engine:
    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed)
    return create_engine(
        parsed,
        hide_parameters=True,  # an error that is logged must not carry telephone numbers and messages
        pool_pre_ping=True,  # a server that was restarted costs a new connection, not an error
        pool_size=10,
        max_overflow=10,
        pool_timeout=_BUSY_S,
        connect_args={
            "connect_timeout": _CONNECT_S,
            "application_name": "gridhub",
            # A frozen hub must not hold the writer lock for ever, nor one statement stop all alarms.
            "options": "-c statement_timeout=15s -c lock_timeout=10s -c idle_in_transaction_session_timeout=30s",
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
        },
    )


def _parsed(url: str) -> URL:
    remedy = "use sqlite:///path/to/ledger.db or postgresql://user:password@host/name"
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except ArgumentError:  # never show the text itself: it may hold a password
        raise ConfigError.one("hub.yaml", "not a database URL", key="ledger.url", remedy=remedy) from None
    if backend == "postgres":
        backend, parsed = "postgresql", parsed.set(drivername="postgresql")
    if backend == "sqlite":
        return parsed.set(drivername="sqlite")
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    raise ConfigError.one("hub.yaml", f"unknown kind of database {backend!r}", key="ledger.url", remedy=remedy)


def _make_private(file: Path) -> None:
    """A new ledger is its owner's only: it names people. SQLite gives the files beside it the same rights."""
    try:
        file.absolute().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError:
        pass  # it is there already, or cannot be made: then SQLite says why


def _sqlite(url: URL) -> Engine:
    in_memory = url.database in (None, "", ":memory:")
    options: dict[str, Any] = {"connect_args": {"timeout": _BUSY_S, "check_same_thread": False}}
    if in_memory:
        options["poolclass"] = StaticPool
    else:
        options |= {"pool_size": 10, "max_overflow": 10, "pool_timeout": _BUSY_S}
    engine = create_engine(url, hide_parameters=True, **options)
    if not in_memory:

        @event.listens_for(engine, "do_connect")
        def make_private(_dialect: Any, _record: Any, _arguments: Any, _options: Any) -> None:
            _make_private(Path(str(url.database)))

    @event.listens_for(engine, "connect")
    def prepare(raw: Any, _record: Any) -> None:
        raw.isolation_level = None  # the driver must not begin by itself: `begin` below says which kind
        cursor = raw.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA busy_timeout={int(_BUSY_S * 1_000)}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("gridhub_writes", True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
