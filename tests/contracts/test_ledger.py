"""What the ledger promises, on an SQLite file and on a real PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, select, text

from hub.errors import ConfigError, Unavailable
from hub.stores import migrating
from hub.stores.ledger import Ledger
from hub.stores.schema import audit, cursors, metadata
from tests.support.ledgers import BACKENDS, migrated_url
from tests.support.pace import patient
from tests.support.postgres import fresh_database, postgres


@pytest.fixture(params=BACKENDS)
def empty_url(request, tmp_path):
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/sub/folder/new.db"
    else:
        with fresh_database() as url:
            yield url


def _cursor(name: str, position: int = 1) -> dict[str, object]:
    return {"consumer": name, "position": position, "journal": "j", "updated_at_ms": 0}


def test_migrating_makes_exactly_the_tables_of_the_schema(empty_url):
    opened = Ledger.open(empty_url)
    with opened.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert migrating.current(connection) == migrating.newest()
    opened.close()


def test_opening_without_migrating_names_the_remedy(empty_url):
    with pytest.raises(ConfigError, match=r"no tables yet.*gridhub migrate"):
        Ledger.open(empty_url, migrate=False)
    Ledger.open(empty_url).close()
    Ledger.open(empty_url, migrate=False).close()


def test_tables_of_a_newer_hub_are_used_as_they_are(ledger, ledger_url):
    with ledger.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    again = Ledger.open(ledger_url)
    again.ping()
    Ledger.open(ledger_url, migrate=False).close()
    with again.read() as connection:
        assert migrating.current(connection) == "9999"
    again.close()


def test_several_hubs_may_start_at_once_on_an_empty_database(empty_url):
    program = "import sys; from hub.stores.ledger import Ledger; Ledger.open(sys.argv[1]).ping()"
    starts = [subprocess.Popen([sys.executable, "-c", program, empty_url], stderr=subprocess.PIPE) for _ in range(4)]
    assert [(start.wait(60), start.stderr.read()) for start in starts] == [(0, b"")] * 4  # type: ignore[union-attr]


def test_a_block_that_raises_leaves_nothing_behind(ledger):
    with pytest.raises(RuntimeError), ledger.begin() as connection:  # noqa: PT012
        connection.execute(insert(cursors), [_cursor("a")])
        raise RuntimeError
    with ledger.begin() as connection:
        connection.execute(insert(cursors), [_cursor("b")])
    with ledger.read() as connection:
        assert connection.execute(select(cursors.c.consumer)).scalars().all() == ["b"]


def test_readers_do_not_wait_for_a_writer(ledger):
    with ledger.begin() as writing:
        writing.execute(insert(cursors), [_cursor("a")])
        began = time.monotonic()
        seen: list[object] = []

        def look() -> None:
            with ledger.read() as connection:
                seen.extend(connection.execute(select(cursors.c.consumer)).scalars().all())

        reader = threading.Thread(target=look)
        reader.start()
        reader.join(5)
        assert not reader.is_alive()
        assert time.monotonic() - began < patient(2)
        assert seen == []


def test_audit_numbers_become_visible_in_their_order(ledger):
    """A reader who has seen number n must never find a smaller one afterwards, or the live stream would miss it."""

    tries: list[int] = []

    def write(who: str) -> None:
        for _ in range(15):

            def work(connection, who=who):
                tries.append(1)
                number = ledger.number_audit(connection)
                time.sleep(0.001)
                connection.execute(insert(audit), [{"id": number, "at_ms": 0, "actor": who, "action": "x"}])

            ledger.transact(work)

    writers = [threading.Thread(target=write, args=(name,)) for name in "abcdef"]
    for writer in writers:
        writer.start()
    seen: list[int] = []
    last_look = False
    while not last_look:
        last_look = not any(writer.is_alive() for writer in writers)
        with ledger.read() as connection:
            after = seen[-1] if seen else 0
            seen += connection.execute(select(audit.c.id).where(audit.c.id > after).order_by(audit.c.id)).scalars()
    assert seen == list(range(1, 91))
    assert len(tries) == 90  # they took turns; nobody had to try again


def test_a_lost_race_runs_the_work_again(ledger):
    runs: list[int] = []

    def work(connection):
        runs.append(1)
        if len(runs) == 1:  # the other one was quicker
            connection.execute(insert(cursors), [_cursor("twice"), _cursor("twice")])
        connection.execute(insert(cursors), [_cursor("once")])

    ledger.transact(work)
    assert len(runs) == 2
    with ledger.read() as connection:
        assert connection.execute(select(cursors.c.consumer)).scalars().all() == ["once"]


def test_a_writer_that_never_ends_makes_others_unavailable_not_stuck(tmp_path, monkeypatch):
    monkeypatch.setattr("hub.stores.ledger._BUSY_S", 0.3)
    with migrated_url("sqlite", tmp_path) as url:
        one, other = Ledger.open(url), Ledger.open(url)
        with one.begin() as connection:
            connection.execute(insert(cursors), [_cursor("a")])
            with pytest.raises(Unavailable), other.begin():
                pass
        with other.begin() as connection:
            connection.execute(insert(cursors), [_cursor("b")])
        one.close()
        other.close()


def test_a_full_disk_is_unavailable_and_heals(tmp_path):
    with migrated_url("sqlite", tmp_path) as url:
        ledger = Ledger.open(url)
        big = [_cursor(f"{n}" + "x" * 100_000) for n in range(20)]
        with pytest.raises(Unavailable, match="full"), ledger.begin() as connection:  # noqa: PT012
            connection.exec_driver_sql("PRAGMA max_page_count=60")
            connection.execute(insert(cursors), big)
        with ledger.begin() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count=100000")
            connection.execute(insert(cursors), big)
        ledger.close()


def test_an_unreachable_server_is_unavailable_and_no_password_is_shown():
    with pytest.raises(Unavailable) as away:
        Ledger.open("postgresql://gridhub:s3cret@127.0.0.1:1/gridhub")
    assert "s3cret" not in str(away.value)


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://u:s3cret@h/d", "://s3cret"])
def test_a_url_that_makes_no_sense_is_a_complaint_without_the_password(url):
    with pytest.raises(ConfigError, match=r"ledger\.url") as wrong:
        Ledger.open(url)
    assert "s3cret" not in str(wrong.value)


@pytest.mark.needs_postgres
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_restarted_postgresql_costs_unavailable_then_works_again(how):
    with postgres() as server:
        ledger = Ledger.open(server.url("postgres"))
        with ledger.begin() as connection:
            connection.execute(insert(cursors), [_cursor("before")])
        with pytest.raises(Unavailable), ledger.begin() as connection:  # noqa: PT012
            connection.execute(insert(cursors), [_cursor("lost")])
            getattr(server, how)()
        for _ in range(3):
            with pytest.raises(Unavailable):
                ledger.ping()
            with pytest.raises(Unavailable):
                ledger.transact(lambda connection: None)
        server.start()
        ledger.ping()
        with ledger.begin() as connection:
            connection.execute(insert(cursors), [_cursor("after")])
        with ledger.read() as connection:
            assert connection.execute(select(cursors.c.consumer).order_by("consumer")).scalars().all() == [
                "after",
                "before",
            ]
        ledger.close()


def test_sqlite_keeps_what_it_committed_through_a_power_failure(tmp_path: Path):
    with migrated_url("sqlite", tmp_path) as url:
        ledger = Ledger.open(url)
        with ledger.read() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        ledger.close()


def test_a_ledger_in_memory_serves_several_threads():
    ledger = Ledger.open("sqlite://")

    def write(n: int) -> None:
        with ledger.begin() as connection:
            connection.execute(insert(cursors), [_cursor(str(n))])

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    with ledger.read() as connection:
        assert len(connection.execute(select(cursors.c.consumer)).all()) == 8
    ledger.close()
