"""The rules as people edit them: what stands in the files, what runs, who changed it and why, and the way back.

Files are the truth. A change is checked as a whole first, recorded with its author and reason, then written all or nothing;
what runs is swapped by whoever reloads (hub/core.py). Files edited by hand come the same way in and are recorded too.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from hub import documents
from hub.clock import Clock
from hub.errors import Complaint, ConfigError, GridHubError, Unavailable
from hub.i18n import _
from hub.registry.snapshot import Registry
from hub.rules.difference import Difference, difference
from hub.rules.kinds.kind import Context
from hub.rules.ruleset import RuleSet, rules_of
from hub.rules.scope import strangers
from hub.stores.rule_files import Changes, RuleFiles, RulesConflict, RulesUnwritable, RuleTexts, objection
from hub.stores.rule_versions import FILE, RuleVersion, RuleVersions
from hub.telemetry import log

_KEPT = 8  # loaded sets of which it is remembered what their files said
_STEP_S = 1.0
FIRST = _("read at the first start")
EDITED = _("the files were edited")
EDITED_BEFORE = _("the files were edited while the hub was stopped")


class NoSuchVersion(GridHubError):
    """The history has no such entry, or nothing before the one that is asked for."""


class Loaded(NamedTuple):
    """A set of rules and the files that it was read from."""

    rules: RuleSet
    texts: RuleTexts


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A change that could be made: it was checked as a whole, and nothing has happened yet.

    `base` is the version of the files that it starts from; `warnings` are what it brings in that looks wrong, and hinder nothing. `difference` is against the rules that
    run, or those in the files where it is not known what runs.
    """

    base: str
    changes: dict[str, str | None]
    after: Loaded
    difference: Difference
    warnings: tuple[Complaint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change that was made and recorded. `entry.applied_at_ms` None: the files are written, and the rules that run follow."""

    entry: RuleVersion
    proposal: Proposal


@dataclass(slots=True)
class RuleBook:
    """Thread-safe. `in_force` gives the set that runs (None: in another process), `reload` makes the files' rules run.

    Methods that change or read the history raise `Unavailable` while the ledger is away: no change goes unrecorded.
    """

    files: RuleFiles
    versions: RuleVersions
    clock: Clock
    registry: Callable[[], Registry]
    context: Callable[[], Context] = Context
    in_force: Callable[[], RuleSet | None] = lambda: None
    reload: Callable[[], None] = lambda: None
    _loaded: deque[Loaded] = field(default_factory=lambda: deque(maxlen=_KEPT))
    _seen: RuleSet | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)

    # -- reading ------------------------------------------------------------------------------------------------------

    def load(self) -> RuleSet:
        """The rules that the files say now. Raises ConfigError with every complaint. Touches no ledger."""
        try:
            texts = self.files.read()
        except OSError as bad:
            where = str(self.files.folder)
            raise ConfigError.one(where, f"cannot be read: {bad.strerror}", remedy="copy config/rules") from bad
        loaded = Loaded(self._rules(texts, shown_in=f"{self.files.folder}/"), texts)
        self._loaded.append(loaded)
        return loaded.rules

    def running(self) -> Loaded | None:
        """The set that runs here with its files; None when it runs in another process or was not read by this book."""
        rules = self.in_force()
        return next((loaded for loaded in reversed(list(self._loaded)) if loaded.rules is rules), None)

    def current(self) -> RuleTexts:
        """The files as they are now, whether they make sense or not."""
        return self.files.read()

    def shown(self) -> Loaded | None:
        """What to show as the rules in force: those that run here, else those of the files, else the last that ran."""
        running = self.running()
        if running is not None:
            return running
        texts = self.files.read()
        with suppress(ConfigError):
            return Loaded(self._rules(texts), texts)
        for entry in self.versions.list(limit=50):
            if entry.applied_at_ms is not None:
                texts = RuleTexts.of(
                    {name: text.encode() for name, text in (self.versions.files(entry.id) or {}).items()}
                )
                with suppress(ConfigError):
                    return Loaded(self._rules(texts), texts)
        return None

    def rules_in(self, files: Mapping[str, str]) -> RuleSet:
        """The rules of files given by their texts; none for none. Raises ConfigError with every complaint."""
        if not files:
            return RuleSet((), "")
        return self._rules(RuleTexts.of({name: text.encode() for name, text in files.items()}))

    def complaints(self, texts: RuleTexts) -> tuple[Complaint, ...]:
        """What is wrong with these files; empty when they could run."""
        running = self.running()
        if running is not None and running.texts.version == texts.version:
            return ()
        try:
            self._rules(texts)
        except ConfigError as wrong:
            return wrong.complaints
        return ()

    # -- changing -----------------------------------------------------------------------------------------------------

    def propose(self, changes: Changes, *, expected: str | None = None) -> Proposal:
        """Checks the whole set as it would be with `changes`. Changes nothing.

        Raises ConfigError with every complaint, `RulesConflict` when the files are not at version `expected`.
        """
        texts = self.files.read()
        if expected is not None and texts.version != expected:
            raise RulesConflict(texts.version)
        wrong = objection(texts, changes)
        if wrong is not None:
            name, message, remedy = wrong
            raise ConfigError.one(name, message, remedy=remedy)
        real = {name: text for name, text in changes.items() if texts.files.get(name) != _bytes(text)}
        after = texts.after(real)
        rules, before = self._rules(after), self._before(texts)
        registry = self.registry()
        return Proposal(
            base=texts.version,
            changes=real,
            after=Loaded(rules, after),
            difference=difference(before, rules, registry),
            warnings=_new_strangers(before, rules, registry),
        )

    def change(
        self, proposal: Proposal, *, who: str, why: str, rolled_back_to: int | None = None, wait_s: float = 2.0
    ) -> Change:
        """Records `proposal`, writes its files and has them reloaded; waits up to `wait_s` until they run.

        Raises `RulesConflict` when the files have changed since, `RulesUnwritable` when they cannot be written: both leave
        everything as it was, and the history says of the second that it failed.
        """
        self.files.check_writable()
        with self._lock:
            found = self.files.read()
            if found.version != proposal.base:
                raise RulesConflict(found.version)
            entry = self.versions.record(
                at_ms=self.clock(),
                who=who,
                why=why,
                version=proposal.after.texts.version,
                files=proposal.after.texts.texts(),
                summary={**proposal.difference.summary(), "files": sorted(proposal.changes)},
                rolled_back_to=rolled_back_to,
            )
            try:
                self.files.write(proposal.changes, expected=proposal.base)
            except (RulesConflict, RulesUnwritable) as refused:
                self._give_up(entry, str(refused))
                raise
        log.info("rules.changed", who=who, version=entry.version, files=sorted(proposal.changes))
        self.reload()
        return Change(entry=self._awaited(entry, wait_s), proposal=proposal)

    def _give_up(self, entry: RuleVersion, reason: str) -> None:
        try:
            self.versions.failed(entry.id, self.clock(), reason)
        except Unavailable as away:
            log.error("rules.failure_unrecorded", entry=entry.id, reason=reason, ledger=str(away))

    def way_back(self, to: int | None = None, *, expected: str | None = None) -> tuple[Proposal, RuleVersion]:
        """What leads back to entry `to` of the history, or one step back; checked as any change. Raises also `NoSuchVersion`."""
        target = self._target(to)
        files = self.versions.files(target.id)
        assert files is not None
        return self.propose(self.files.read().changes_to(files), expected=expected), target

    def _target(self, to: int | None) -> RuleVersion:
        if to is None:
            head = self.versions.head()
            target = None if head is None else self.versions.before(head)
            if target is None:
                raise NoSuchVersion("there is nothing before the rules as they are")
            return target
        target = self.versions.one(to)
        if target is None or target.failed is not None:
            raise NoSuchVersion(f"the history has no rules with number {to}")
        return target

    # -- what runs ----------------------------------------------------------------------------------------------------

    def step(self) -> float:
        """Records what began to run since the last look: rules read at the start, files edited by hand, changes that took
        effect. For one loop; raises `Unavailable` and is called again."""
        running = self.running()
        if running is None or running.rules is self._seen:
            return _STEP_S
        with self._lock:
            entry = self.versions.of_content(running.texts.version)
            if entry is None:
                entry = self._found(running)
            if entry.applied_at_ms is None:
                self.versions.applied(entry.id, self.clock())
            self._seen = running.rules
        return _STEP_S

    def _found(self, running: Loaded) -> RuleVersion:
        """Records rules that run and that nobody recorded: somebody edited the files."""
        head = self.versions.head()
        summary: dict[str, object] = {}
        why = FIRST
        if head is not None:
            why = EDITED if self._seen is not None else EDITED_BEFORE
            before = RuleTexts.of({name: text.encode() for name, text in (self.versions.files(head.id) or {}).items()})
            summary = {"files": sorted(running.texts.changes_to(before.texts()))}
            try:
                summary |= difference(self._rules(before), running.rules, self.registry()).summary()
            except ConfigError:
                pass  # written for a hub that knew other rules: then only the files can be named
        log.info("rules.found", version=running.texts.version, why=why)
        return self.versions.record(
            at_ms=self.clock(),
            who=FILE,
            why=why,
            version=running.texts.version,
            files=running.texts.texts(),
            summary=summary,
        )

    def _awaited(self, entry: RuleVersion, wait_s: float) -> RuleVersion:
        """`entry` when it runs, or as it is after `wait_s`."""
        pause, waited = threading.Event(), 0.0
        while True:
            running = self.running()
            if running is not None and running.texts.version == entry.version:
                self.step()
            now = self.versions.one(entry.id) or entry
            if now.applied_at_ms is not None or waited >= wait_s:
                return now
            pause.wait(0.05)
            waited += 0.05

    # -- within -------------------------------------------------------------------------------------------------------

    def _before(self, texts: RuleTexts) -> RuleSet:
        """What a change is compared with: the rules that run, else those of the files, else none."""
        running = self.running()
        if running is not None:
            return running.rules
        try:
            return self._rules(texts)
        except ConfigError:
            return RuleSet((), "")

    def _rules(self, texts: RuleTexts, *, shown_in: str = "") -> RuleSet:
        read, complaints = [], []
        for name, body in texts.files.items():
            document, wrong = _document(body, f"{shown_in}{name}")
            complaints += wrong
            if document is not None:
                read.append(document)
        if not texts.files:
            where = shown_in.rstrip("/") or "rules"
            raise ConfigError.one(where, "no rules: the folder has no *.yaml file", remedy="copy config/rules")
        return rules_of(read, complaints, context=self.context())


def _new_strangers(before: RuleSet, after: RuleSet, registry: Registry) -> tuple[Complaint, ...]:
    """Names that only `after` brings in, and that the registry does not know."""
    known = {(one.key, one.message) for one in strangers(before, registry)}
    found = (one for one in strangers(after, registry) if (one.key, one.message) not in known)
    return tuple(replace(one, rule=one.key, key="") for one in found)


def _document(body: bytes, file: str) -> tuple[documents.Document | None, list[Complaint]]:
    try:
        return documents.parse(body.decode("utf-8"), file)
    except UnicodeDecodeError as bad:
        message = f"not UTF-8 at byte {bad.start}"
        return None, [Complaint(file=file, line=None, key="", message=message, remedy="save it as UTF-8")]


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


def unlike(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    """The lines that are different, file by file, as unified diffs."""
    import difflib

    found = {}
    for name in sorted({*before, *after}):
        lines = difflib.unified_diff(
            before.get(name, "").splitlines(),
            after.get(name, "").splitlines(),
            f"{name} before",
            f"{name} after",
            lineterm="",
        )
        if text := "\n".join(lines):
            found[name] = text
    return found
