"""What the history of the rules promises, on an SQLite file and on a real PostgreSQL."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from sqlalchemy import select

from hub.stores.ledger import Ledger
from hub.stores.rule_versions import FILE, RuleVersion, RuleVersions
from hub.stores.schema import audit
from tests.support.alerts import T0

FILES = {"烟.yaml": "rules: []  # 火\n", "b.yaml": "x: '\\'\n"}


@pytest.fixture
def versions(ledger: Ledger) -> RuleVersions:
    return RuleVersions(ledger)


def add(versions: RuleVersions, version: str, **more: Any) -> RuleVersion:
    given = {"at_ms": T0, "who": "li", "why": "试试", "files": {"a.yaml": version}, "summary": {}, **more}
    return versions.record(version=version, **given)


def test_an_entry_keeps_who_why_and_every_byte_of_the_files(versions, ledger):
    made = add(versions, "v1", files=FILES, summary={"added": ["smoke"]}, why="夜班误报太多")
    assert made == versions.one(made.id) == versions.head()
    assert (made.who, made.why, made.version, made.parent) == ("li", "夜班误报太多", "v1", None)
    assert made.summary == {"added": ["smoke"]}
    assert (made.applied_at_ms, made.failed, made.rolled_back_to) == (None, None, None)
    assert versions.files(made.id) == FILES
    assert versions.one(99) is None
    assert versions.files(99) is None


def test_an_empty_history_has_no_head(versions):
    assert versions.head() is None
    assert versions.list(limit=5) == []
    assert versions.of_content("v1") is None


def test_each_entry_stands_on_the_one_before_and_the_newest_come_first(versions):
    made = [add(versions, f"v{n}", at_ms=T0 + n) for n in range(5)]
    assert [entry.parent for entry in made] == [None, *(entry.id for entry in made[:-1])]
    newest = versions.list(limit=2)
    assert [entry.version for entry in newest] == ["v4", "v3"]
    assert [entry.version for entry in versions.list(limit=9, before=newest[-1].id)] == ["v2", "v1", "v0"]


def test_every_change_stands_in_the_audit(versions, ledger):
    by_hand = add(versions, "v1", who=FILE, why="read at the start")
    changed = add(versions, "v2", summary={"changed": ["smoke"]})
    add(versions, "v1", rolled_back_to=by_hand.id)
    versions.failed(changed.id, T0 + 5, "disk full")
    with ledger.read() as connection:
        rows = connection.execute(select(audit).order_by(audit.c.id)).all()
    assert [row.id for row in rows] == [1, 2, 3, 4]
    assert [(row.actor, row.action) for row in rows] == [
        (FILE, "rules_found"),
        ("li", "rules_changed"),
        ("li", "rules_rolled_back"),
        ("hub", "rules_not_written"),
    ]
    assert all(row.alert_id is None for row in rows)
    detail = json.loads(rows[1].detail)
    assert detail == {"id": changed.id, "version": "v2", "why": "试试", "rolled_back_to": None, "changed": ["smoke"]}


def test_what_failed_is_no_longer_the_head_and_nothing_stands_on_it(versions):
    good = add(versions, "v1")
    bad = add(versions, "v2")
    versions.failed(bad.id, T0, "disk full")
    assert versions.head() == good
    assert (versions.one(bad.id) or good).failed == "disk full"
    assert add(versions, "v3").parent == good.id
    assert versions.of_content("v2") is None


def test_when_rules_took_effect_is_said_once(versions):
    entry = add(versions, "v1")
    versions.applied(entry.id, T0 + 7)
    versions.applied(entry.id, T0 + 9)
    assert (versions.one(entry.id) or entry).applied_at_ms == T0 + 7


def test_the_entry_of_what_runs_is_found_though_others_wait_on_top_of_it(versions):
    first = add(versions, "v1")
    versions.applied(first.id, T0)
    second = add(versions, "v2")
    third = add(versions, "v3")
    assert [(versions.of_content(v) or third).id for v in ("v1", "v2", "v3")] == [first.id, second.id, third.id]
    versions.applied(third.id, T0)
    assert versions.of_content("v1") is None, "an older set that runs again was put back by hand"
    assert versions.of_content("v2") is None
    assert versions.of_content("v3") is not None


def test_going_back_step_by_step_leads_through_the_whole_history(versions):
    a, b, c = (add(versions, name) for name in ("a", "b", "c"))
    assert versions.before(c) == b
    back = add(versions, "b", rolled_back_to=b.id)
    assert versions.before(back) == a, "a second step back must not lead forward again"
    again = add(versions, "b", rolled_back_to=back.id)
    assert versions.before(again) == a
    start = add(versions, "a", rolled_back_to=a.id)
    assert versions.before(start) is None
    assert versions.before(add(versions, "d")) == start


def test_many_who_write_at_once_make_one_chain(versions):
    threads = [threading.Thread(target=add, args=(versions, f"v{n}")) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    chain = versions.list(limit=99)
    assert len(chain) == 12
    assert [entry.parent for entry in chain] == [*(entry.id for entry in chain[1:]), None]
