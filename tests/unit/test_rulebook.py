"""Editing rules: checked as a whole, recorded with who and why, written all or nothing, taken back in one step."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.clock import SteppedClock
from hub.errors import ConfigError, Unavailable
from hub.rulebook import NoSuchVersion, RuleBook, unlike
from hub.rules.ruleset import RuleSet, load_rules
from hub.stores.ledger import Ledger
from hub.stores.rule_files import RuleFiles, RulesConflict, RulesUnwritable
from hub.stores.rule_versions import FILE, RuleVersions
from tests.support.ledgers import migrated_url
from tests.support.paths import CONFIG
from tests.support.rule_files import write_rules
from tests.support.small_town import registry

T0 = 1_767_225_600_000
CABINET, SMOKE = "cabinet.yaml", "smoke.yaml"


class Engine:
    """What runs: takes over the files' rules when told to, unless it is busy or they are wrong."""

    def __init__(self) -> None:
        self.rules: RuleSet | None = None
        self.busy = False
        self.refused = 0
        self.book: RuleBook

    def reload(self) -> None:
        try:
            loaded = self.book.load()
        except ConfigError:
            self.refused += 1
            return
        if not self.busy:
            self.rules = loaded


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with migrated_url("sqlite", tmp_path) as url:
        opened = Ledger.open(url, migrate=False)
        yield opened
        opened.close()


@pytest.fixture
def book(tmp_path: Path, engine: Engine, ledger: Ledger) -> RuleBook:
    """A hub that has just started with a handful of rules."""
    folder = write_rules(tmp_path / "rules")
    town = registry()
    engine.book = RuleBook(
        RuleFiles(folder),
        RuleVersions(ledger),
        SteppedClock(T0),
        lambda: town,
        in_force=lambda: engine.rules,
        reload=engine.reload,
    )
    engine.reload()
    engine.book.step()
    return engine.book


def text_of(book: RuleBook, name: str) -> str:
    return book.current().text(name)


def edit(book: RuleBook, old: str, new: str, name: str = CABINET) -> dict[str, str | None]:
    text = text_of(book, name)
    assert old in text
    return {name: text.replace(old, new, 1)}


def change(book: RuleBook, old: str, new: str, why: str = "try", *, who: str = "li", wait_s: float = 2.0):
    return book.change(book.propose(edit(book, old, new)), who=who, why=why, wait_s=wait_s)


def limit(engine: Engine) -> float:
    assert engine.rules is not None
    rule = engine.rules.find("cabinet-overheat")
    assert rule is not None
    return float(rule.spec.when.above)


def test_the_rules_read_at_the_start_are_the_first_entry(book: RuleBook) -> None:
    (entry,) = book.versions.list(limit=9)
    assert (entry.who, entry.why, entry.parent) == (FILE, "read at the first start", None)
    assert entry.version == book.current().version
    assert entry.applied_at_ms == T0
    assert book.versions.files(entry.id) == book.current().texts()


def test_a_restart_with_the_same_files_is_no_entry(book: RuleBook, engine: Engine) -> None:
    engine.reload()
    book.step()
    book._seen = None
    book.step()
    assert len(book.versions.list(limit=9)) == 1


def test_the_book_loads_what_the_hub_loads(book: RuleBook) -> None:
    shipped = RuleBook(RuleFiles(CONFIG / "rules"), book.versions, book.clock, book.registry)
    assert shipped.load().version == load_rules(CONFIG / "rules").version


def test_a_change_is_recorded_written_and_in_force(book: RuleBook, engine: Engine) -> None:
    made = change(book, "above: 55", "above: 60", "too many false alarms in August")
    assert limit(engine) == 60
    assert "above: 60" in text_of(book, CABINET)
    assert made.entry == book.versions.head()
    assert (made.entry.who, made.entry.why) == ("li", "too many false alarms in August")
    assert made.entry.applied_at_ms == T0
    assert made.entry.summary["changed"] == {"cabinet-overheat": {"when.above": [55.0, 60.0]}}
    assert made.entry.summary["files"] == [CABINET]
    assert made.proposal.difference.devices == 1


def test_one_bad_rule_changes_nothing_that_runs(book: RuleBook, engine: Engine) -> None:
    before, rules = book.current(), engine.rules
    broken = {**edit(book, "severity: P2", "severity: P9"), **edit(book, "kind: threshold", "kind: treshold", SMOKE)}
    with pytest.raises(ConfigError) as wrong:
        book.propose(broken)
    assert {complaint.file for complaint in wrong.value.complaints} == {CABINET, SMOKE}
    for complaint in wrong.value.complaints:
        assert complaint.line is not None
        assert complaint.rule
        assert complaint.key in ("severity", "kind")
        assert complaint.message
        assert complaint.remedy
    assert book.current() == before
    assert engine.rules is rules
    assert len(book.versions.list(limit=9)) == 1


def test_a_rule_moved_to_another_file_is_checked_in_one_piece(book: RuleBook, engine: Engine) -> None:
    text = text_of(book, SMOKE)
    with pytest.raises(ConfigError, match="exists already"):
        book.propose({"fire.yaml": text})
    moved = book.propose({SMOKE: None, "fire.yaml": text})
    assert not moved.difference
    book.change(moved, who="li", why="a better name")
    assert SMOKE not in book.current().files
    assert engine.rules is not None
    assert engine.rules.find("smoke-alarm") is not None


def test_the_last_file_cannot_be_taken_away(book: RuleBook) -> None:
    with pytest.raises(ConfigError, match="no rules"):
        book.propose(dict.fromkeys(book.current().files))


def test_a_name_that_leads_elsewhere_is_a_complaint(book: RuleBook, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a name"):
        book.propose({"../outside.yaml": "rules: []\n"})
    assert not (tmp_path / "outside.yaml").exists()


def test_a_change_from_an_old_version_is_refused_before_and_while_it_is_made(book: RuleBook) -> None:
    seen = book.current().version
    mine = book.propose(edit(book, "above: 55", "above: 60"), expected=seen)
    change(book, "hold_s: 300", "hold_s: 200", who="wang")
    with pytest.raises(RulesConflict):
        book.propose(edit(book, "above: 55", "above: 60"), expected=seen)
    with pytest.raises(RulesConflict):
        book.change(mine, who="li", why="late")
    assert "hold_s: 200" in text_of(book, CABINET)
    assert len(book.versions.list(limit=9)) == 2


def test_files_that_cannot_be_written_leave_all_as_it_was_and_the_history_says_so(
    book: RuleBook, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = book.current()

    def full(*_: object, **__: object) -> None:
        raise RulesUnwritable("No space left on device")

    monkeypatch.setattr(RuleFiles, "write", full)
    with pytest.raises(RulesUnwritable):
        change(book, "above: 55", "above: 60")
    assert book.current() == before
    assert limit(engine) == 55
    newest, first = book.versions.list(limit=9)
    assert newest.failed == "No space left on device"
    assert book.versions.head() == first


def test_no_change_goes_unrecorded(book: RuleBook, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    before = book.current()

    def away(*_: object, **__: object) -> None:
        raise Unavailable("the ledger is away")

    monkeypatch.setattr(RuleVersions, "record", away)
    with pytest.raises(Unavailable):
        change(book, "above: 55", "above: 60")
    assert book.current() == before
    assert limit(engine) == 55


def test_files_edited_by_hand_are_recorded_with_what_they_changed(book: RuleBook, engine: Engine) -> None:
    path = book.files.folder / CABINET
    path.write_text(path.read_text("utf-8").replace("above: 55", "above: 58", 1), "utf-8")
    engine.reload()
    book.step()
    entry = book.versions.head()
    assert entry is not None
    assert (entry.who, entry.why) == (FILE, "the files were edited")
    assert entry.summary["changed"] == {"cabinet-overheat": {"when.above": [55.0, 58.0]}}
    assert entry.summary["files"] == [CABINET]
    assert entry.applied_at_ms == T0


def test_files_edited_wrongly_by_hand_are_not_recorded_and_can_be_mended_through_the_book(
    book: RuleBook, engine: Engine
) -> None:
    path = book.files.folder / CABINET
    path.write_text(path.read_text("utf-8").replace("above: 55", "abov: 58", 1), "utf-8")
    engine.reload()
    book.step()
    assert engine.refused == 1
    assert len(book.versions.list(limit=9)) == 1
    (complaint,) = [c for c in book.complaints(book.current()) if "abov" in c.key]
    assert (complaint.file, complaint.rule, complaint.key) == (CABINET, "cabinet-overheat", "when.abov")
    assert complaint.remedy == "did you mean 'above'?"
    with pytest.raises(ConfigError, match="abov"):
        book.propose(edit(book, "P2", "P3", "gate.yaml"))
    mended = book.propose(edit(book, "abov: 58", "above: 56"))
    assert mended.difference.summary()["changed"] == {"cabinet-overheat": {"when.above": [55.0, 56.0]}}
    book.change(mended, who="li", why="mend")
    assert limit(engine) == 56


def test_a_change_that_does_not_run_yet_is_told_so_and_recorded_once_it_does(book: RuleBook, engine: Engine) -> None:
    engine.busy = True
    made = change(book, "above: 55", "above: 60", wait_s=0.1)
    assert made.entry.applied_at_ms is None
    engine.busy = False
    engine.reload()
    book.step()
    entry = book.versions.head()
    assert entry is not None
    assert (entry.id, entry.who, entry.applied_at_ms) == (made.entry.id, "li", T0)
    assert len(book.versions.list(limit=9)) == 2


def test_a_process_without_rules_waits_for_the_one_that_has_them(
    book: RuleBook, engine: Engine, ledger: Ledger
) -> None:
    """The web in one process, the rules in another: they share the ledger and the folder."""
    web = RuleBook(book.files, RuleVersions(ledger), book.clock, book.registry)
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.05):
            engine.reload()
            book.step()

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        made = web.change(web.propose(edit(web, "above: 55", "above: 60")), who="li", why="x", wait_s=5)
    finally:
        stop.set()
        watching.join(5)
    assert made.entry.applied_at_ms == T0
    assert limit(engine) == 60
    assert [entry.who for entry in book.versions.list(limit=9)] == ["li", FILE]


def test_each_step_back_leads_one_further(book: RuleBook, engine: Engine) -> None:
    texts = [book.current().texts()]
    for old, new in (("above: 55", "above: 60"), ("above: 60", "above: 65")):
        change(book, old, new)
        texts.append(book.current().texts())
    for wanted in (texts[1], texts[0]):
        proposal, target = book.way_back()
        made = book.change(proposal, who="li", why="back", rolled_back_to=target.id)
        assert book.current().texts() == wanted
        assert made.entry.rolled_back_to == target.id
    assert limit(engine) == 55
    with pytest.raises(NoSuchVersion):
        book.way_back()


def test_the_way_leads_back_to_any_entry_and_forward_again(book: RuleBook, engine: Engine) -> None:
    first = book.versions.head()
    assert first is not None
    latest = change(book, "above: 55", "above: 60").entry
    for target, above in ((first, 55), (latest, 60)):
        proposal, found = book.way_back(target.id)
        assert found.id == target.id
        book.change(proposal, who="li", why="back", rolled_back_to=found.id)
        assert limit(engine) == above
    for nowhere in (99, 0, -1):
        with pytest.raises(NoSuchVersion):
            book.way_back(nowhere)


def test_what_could_not_be_written_is_no_place_to_go_back_to(book: RuleBook, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise RulesUnwritable("full")

    with monkeypatch.context() as patch:
        patch.setattr(RuleFiles, "write", full)
        with pytest.raises(RulesUnwritable):
            change(book, "above: 55", "above: 60")
    failed = book.versions.list(limit=1)[0]
    with pytest.raises(NoSuchVersion):
        book.way_back(failed.id)


def test_old_rules_that_this_hub_no_longer_understands_do_not_come_back(book: RuleBook) -> None:
    files = {**book.current().texts(), CABINET: text_of(book, CABINET).replace("kind: threshold", "kind: astrology")}
    old = book.versions.record(at_ms=T0, who="li", why="x", version="other", files=files, summary={})
    with pytest.raises(ConfigError, match="astrology"):
        book.way_back(old.id)


def test_names_that_the_registry_does_not_know_are_warned_of(book: RuleBook) -> None:
    proposal = book.propose(
        edit(book, "on: {device_kind: charging_cabinet,", "on: {device_kind: charging_cabinet, place: b7,")
    )
    (warning,) = proposal.warnings
    assert (warning.file, warning.rule) == (CABINET, "cabinet-overheat")
    assert "'b7'" in warning.message


def test_names_that_were_unknown_before_are_not_the_fault_of_the_change(book: RuleBook) -> None:
    strange = edit(book, "on: {device_kind: charging_cabinet,", "on: {device_kind: charging_cabinet, place: b7,")
    book.change(book.propose(strange), who="li", why="the place comes tomorrow")
    assert book.propose(edit(book, "above: 55", "above: 60")).warnings == ()


def test_the_same_text_again_is_no_change(book: RuleBook) -> None:
    proposal = book.propose({CABINET: text_of(book, CABINET)})
    assert proposal.changes == {}
    assert not proposal.difference


def test_a_file_that_is_not_text_is_named(book: RuleBook) -> None:
    (book.files.folder / "odd.yaml").write_bytes(b"rules: \xff")
    (complaint,) = book.complaints(book.current())
    assert (complaint.file, complaint.message) == ("odd.yaml", "not UTF-8 at byte 7")
    with pytest.raises(ConfigError, match="not UTF-8"):
        book.load()


def test_lines_that_are_different_are_shown_by_file() -> None:
    found = unlike({"a": "1\n2\n", "b": "x\n"}, {"a": "1\n3\n", "c": "y\n"})
    assert set(found) == {"a", "b", "c"}
    assert found["a"].splitlines()[2:] == ["@@ -1,2 +1,2 @@", " 1", "-2", "+3"]
    assert unlike({"a": "1"}, {"a": "1"}) == {}
