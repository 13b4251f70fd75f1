"""Keeps rules in shadow mode beside the live ones: reads `rules/shadow/*.yaml`, follows changes, and shows what came of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hub import documents
from hub.errors import ConfigError
from hub.model.readings import ReadingBatch
from hub.model.rules import ConditionEvent
from hub.rules.engine import Engine
from hub.rules.kinds.kind import Context
from hub.rules.ruleset import RuleSet, laid_over
from hub.rules.testing.shadow import Shadow
from hub.telemetry import log

FOLDER = "shadow"
REPORT = "shadow.json"


class Shadowing:
    """`follow`, `take` and `tick` belong to the pipeline's thread; `watch` to another; `report` and `health` to any. None raises."""

    def __init__(self, rules_folder: Path, context: Callable[[], Context]) -> None:
        self._folder, self._context = rules_folder / FOLDER, context
        self._seen = self._wanted = _stamp(self._folder)
        self._shadow: Shadow | None = None
        self._base: tuple[RuleSet, object] | None = None
        self.trouble = ""

    def watch(self) -> None:
        """Looks whether a file of the shadow has changed; the next `follow` takes it over."""
        self._wanted = _stamp(self._folder)

    def follow(self, engine: Engine, now_ms: int, position: int) -> None:
        """Begins anew where the shadow's files, the live rules or the registry have changed. Call it between two batches."""
        wanted = self._wanted
        base = self._base
        same = base is not None and base[0] is engine.ruleset and base[1] is engine.registry
        if same and wanted == self._seen:
            return
        self._seen, self._base = wanted, (engine.ruleset, engine.registry)
        try:
            self._begin(engine, now_ms, position)
        except ConfigError as wrong:
            self.trouble = str(wrong.complaints[0])
            for complaint in wrong.complaints:
                log.error(
                    "shadow.refused", complaint=str(complaint), effect="the shadow does not run; the live rules do"
                )
            self._shadow = None
        except Exception as fault:  # nothing of the shadow may stop the pipeline
            self.trouble, self._shadow = repr(fault), None
            log.exception("shadow.failed", effect="the shadow does not run; the live rules do")

    def _begin(self, engine: Engine, now_ms: int, position: int) -> None:
        self.trouble = ""
        files = sorted(self._folder.glob("*.yaml"))
        if not files:
            self._shadow = None
            return
        read = [documents.read(path) for path in files]
        known = [document for document, _ in read if document is not None]
        wrong = [complaint for _, several in read for complaint in several]
        rules = laid_over(engine.ruleset, known, wrong, context=self._context())
        names = {document.file for document in known}
        ids = [rule.spec.id for rule in rules.rules if rule.spec.file in names]
        active = engine.active(now_ms, position)
        self._shadow = Shadow(engine.ruleset, rules, ids, engine.registry, start_ms=now_ms, active=active)
        log.info("shadow.begun", rules=ids)

    def take(self, batch: ReadingBatch, live_events: Sequence[ConditionEvent]) -> None:
        """As `Shadow.take`."""
        if self._shadow is not None:
            self._shadow.take(batch, live_events)

    def tick(self, now_ms: int, position: int, live_events: Sequence[ConditionEvent]) -> None:
        """As `Shadow.tick`."""
        if self._shadow is not None:
            self._shadow.tick(now_ms, position, live_events)

    def report(self) -> dict[str, Any] | None:
        """What the shadow has seen, as JSON; None when there is none."""
        shadow = self._shadow
        return None if shadow is None else shadow.report().as_data()

    def save(self, folder: Path) -> None:
        """Writes the report where `gridhub rules shadow` finds it."""
        told = {"trouble": self.trouble, "report": self.report()}
        part = folder / f"{REPORT}.part"
        try:
            part.write_text(json.dumps(told, ensure_ascii=False), "utf-8")
            part.replace(folder / REPORT)
        except OSError as full:
            log.warning("shadow.not_saved", reason=str(full), effect="`gridhub rules shadow` shows an older report")

    def health(self) -> str:
        """What is wrong with the shadow, "" when nothing is."""
        shadow = self._shadow
        return self.trouble or (shadow.trouble if shadow is not None else "")


def _stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Changes when a YAML file of `folder` does."""
    try:
        stats = [(path, path.stat()) for path in sorted(folder.glob("*.yaml"))]
    except OSError:
        return ()
    return tuple((path.name, stat.st_mtime_ns, stat.st_size) for path, stat in stats)
