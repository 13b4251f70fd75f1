"""What the audit log promises, on an SQLite file and on a real PostgreSQL: it only grows, and whoever changes it is found."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from hub.alerts.desk import Desk
from hub.stores.audit_log import AuditLog, Head
from hub.stores.ledger import Ledger
from tests.support.alerts import T0, WORKER, PlainPlanner, event


@pytest.fixture
def log(ledger: Ledger) -> AuditLog:
    return AuditLog(ledger)


def some_history(ledger: Ledger, devices: int = 3) -> None:
    desk = Desk(ledger, PlainPlanner())
    for n in range(devices):
        raised = event(device=f"smoke-{n}", at_ms=T0 + n)
        desk.record([raised], consumer="rules", journal="j", position=n, now_ms=T0 + n)
        desk.act(raised.alert_id, "acknowledge", WORKER, T0 + 100 + n, reason="锅\x00里冒烟 \ud800")


def by_force(ledger: Ledger, statement: str) -> None:
    """What somebody with all rights in the database can do."""
    with ledger.begin() as connection:
        if ledger.is_sqlite:
            connection.execute(text("DROP TRIGGER IF EXISTS audit_no_UPDATE"))
            connection.execute(text("DROP TRIGGER IF EXISTS audit_no_DELETE"))
        else:
            connection.execute(text("DROP TRIGGER IF EXISTS audit_only_grows ON audit"))
        connection.execute(text(statement))


def test_what_the_desk_wrote_is_one_whole_chain(ledger: Ledger, log: AuditLog) -> None:
    some_history(ledger)
    found = log.verify()
    assert found.good
    assert found.unchained == 0
    assert found.rows > 5
    assert found.head == log.head()


def test_an_empty_log_is_whole(log: AuditLog) -> None:
    assert log.verify().good
    assert log.head() is None


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'me'", "DELETE FROM audit"])
def test_the_database_itself_refuses_to_change_a_row(ledger: Ledger, log: AuditLog, statement: str) -> None:
    some_history(ledger)
    with pytest.raises(DBAPIError, match="only grows"), ledger.begin() as connection:
        connection.execute(text(statement))
    assert log.verify().good


@pytest.mark.parametrize(
    ("statement", "number", "why"),
    [
        ("UPDATE audit SET actor = 'somebody else' WHERE id = 4", 4, "was changed"),
        ("UPDATE audit SET at_ms = at_ms - 60000 WHERE id = 4", 4, "was changed"),
        ("UPDATE audit SET detail = '{}' WHERE id = 2", 2, "was changed"),
        ("UPDATE audit SET hash = NULL WHERE id = 4", 4, "has no hash"),
        ("DELETE FROM audit WHERE id = 4", 4, "missing"),
        ("DELETE FROM audit WHERE id = 1", 1, "missing"),
        ("DELETE FROM audit WHERE id > 4", 5, "an alert refers"),
    ],
)
def test_the_first_row_that_does_not_fit_is_named(
    ledger: Ledger, log: AuditLog, statement: str, number: int, why: str
) -> None:
    some_history(ledger)
    by_force(ledger, statement)
    broken = log.verify().broken
    assert broken is not None
    assert broken.number == number
    assert why in broken.why


def test_a_head_that_was_kept_elsewhere_finds_a_log_that_was_cut_off_or_written_anew(
    ledger: Ledger, log: AuditLog
) -> None:
    log.add(at_ms=T0, actor="hub", action="x", detail={})
    log.add(at_ms=T0, actor="hub", action="y", detail={"n": 1})
    kept = log.head()
    assert kept is not None
    assert log.verify(kept=kept).good
    by_force(ledger, "DELETE FROM audit WHERE id = 2")
    assert log.verify().good, "the chain by itself does not know its end"
    assert log.verify(kept=kept).broken is not None
    log.add(at_ms=T0, actor="hub", action="z", detail={})
    broken = log.verify(kept=kept).broken
    assert broken is not None
    assert "written anew" in broken.why


def test_only_what_is_new_is_looked_at_when_the_rest_was_found_good(ledger: Ledger, log: AuditLog) -> None:
    some_history(ledger)
    head = log.verify().head
    log.add(at_ms=T0, actor="hub", action="x", detail={})
    again = log.verify(since=head)
    assert (again.good, again.rows) == (True, 1)
    assert log.verify(since=Head(head.number if head else 0, "0" * 64)).broken is not None


def test_rows_from_before_the_chain_are_counted_and_the_chain_begins_behind_them(ledger: Ledger, log: AuditLog) -> None:
    with ledger.begin() as connection:
        for number in (1, 2):
            connection.execute(
                text("INSERT INTO audit (id, at_ms, actor, action, from_state, to_state, detail)"
                     " VALUES (:n, 0, 'hub', 'old', '', '', '{}')"), {"n": number}
            )  # fmt: skip
    log.add(at_ms=T0, actor="hub", action="x", detail={})
    found = log.verify()
    assert (found.good, found.rows, found.unchained) == (True, 3, 2)


def test_several_writers_make_one_chain(ledger_url: str) -> None:
    ledgers = [Ledger.open(ledger_url) for _ in range(3)]
    failed: list[BaseException] = []

    def write(who: int) -> None:
        try:
            for n in range(8):
                AuditLog(ledgers[who]).add(at_ms=T0, actor=f"hub-{who}", action="x", detail={"n": n})
        except BaseException as error:
            failed.append(error)

    work: list[Callable[[], None]] = [lambda who=who: write(who) for who in range(3)]  # type: ignore[misc]
    threads = [threading.Thread(target=each) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    found = AuditLog(ledgers[0]).verify()
    for ledger in ledgers:
        ledger.close()
    assert (found.good, found.rows) == (True, 24)
