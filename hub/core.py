"""What runs between the sessions and the desk: engine, pipeline and recorder with their threads, recovery and reload."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from hub import health
from hub.alerts.desk import Desk
from hub.api.parts import PartHealth
from hub.canary import ALARM as HEARTBEAT
from hub.clock import Clock
from hub.errors import ConfigError
from hub.ingest.codecs.context import CodecContext
from hub.ingest.intake import Intake
from hub.ingest.reader import Reader, Segment
from hub.ingest.router import Router, Source
from hub.ingest.screen import Limits, Screen
from hub.loops import Loop
from hub.model.readings import QuarantineRow, ReadingBatch
from hub.pipeline import CONSUMER, Pipeline
from hub.recorder import Recorder
from hub.registry.live import LiveRegistry
from hub.registry.snapshot import Registry
from hub.rules import snapshot
from hub.rules.calendar_file import CALENDAR_FILE, load_context
from hub.rules.difference import difference
from hub.rules.engine import Engine
from hub.rules.ruleset import RuleSet
from hub.rules.takeover import seed
from hub.settings import Settings
from hub.shadowing import Shadowing
from hub.stores import state_file
from hub.stores.alert_figures import AlertFigures
from hub.stores.alert_queries import AlertQueries
from hub.stores.history import AlertEvent, GridStatus, HistoryStore, alert_event, levels
from hub.stores.journal import Journal
from hub.telemetry import log

T = TypeVar("T")

_SNAPSHOT_EVERY_MS = 10_000
_TRIM_EVERY_MS = 60_000
_RECONCILE_EVERY_MS = 600_000
_WATCH_EVERY_MS = 2_000
_PATIENCE = 3  # failed tries in a row until the pipeline counts as down: no alarm gets through


class Core:
    """Engine, pipeline and recorder with their threads: recovery at the start, snapshots, reload, trimming."""

    def __init__(
        self,
        settings: Settings,
        rules: RuleSet,
        live: LiveRegistry,
        sources: list[Source],
        context: CodecContext,
        journal: Journal,
        intake: Intake,
        desk: Desk,
        history: HistoryStore,
        queries: AlertQueries,
        figures: AlertFigures,
        clock: Clock,
        load: Callable[[], RuleSet],
    ) -> None:
        self.settings, self.live, self.journal, self.intake, self.clock = settings, live, journal, intake, clock
        self.rules, self.queries, self.figures = rules, queries, figures
        self._state = settings.data / "rules.state"
        self._load = load
        self._reloading = threading.Lock()
        self._wanted: tuple[RuleSet, Registry] | None = None
        self._snapshot_at_ms = self._trim_at_ms = self._reconciled_at_ms = 0
        self._rules_seen = _stamp(settings.folder)
        self.config_trouble = self._rules_trouble = self._registry_trouble = ""
        screen = Screen(
            Limits(
                past_ms=int(settings.screen.past_days * 86_400_000),
                future_ms=int(settings.screen.future_s * 1_000),
                late_ms=int(settings.screen.late_s * 1_000),
            )
        )
        engine = Engine(rules, live.current, start_ms=clock())
        position, recorded_to = self._recover(engine, screen, desk)
        router = self.router = Router(sources, context)
        self.recorder = Recorder(
            journal,
            Reader(Router(sources, context).decode, lambda: self.pipeline.engine.registry, Screen(screen.limits)),
            history,
            lambda: self.pipeline.engine.registry,
            cursor_file=settings.data / "history.cursor",
            clock=clock,
            alert_events=self._alert_events,
            grid_status=self._grid_status,
        )
        self.screen = screen
        self.shadowing = Shadowing(
            settings.folder / "rules", lambda: load_context(settings.folder, zone=settings.timezone)
        )
        self.pipeline = Pipeline(
            intake,
            Reader(router.decode, lambda: self.pipeline.engine.registry, screen, plain=router.plain),
            engine,
            desk,
            journal=journal.identity,
            position=position,
            recorded_to=recorded_to,
            clock=clock,
            durable_head=lambda: journal.head,
            on_segment=self._recorded,
            shadow=self.shadowing,
        )
        self.on_readings: Callable[[ReadingBatch], None] = lambda batch: None
        self.on_rejected: Callable[[Sequence[QuarantineRow]], None] = lambda rows: None
        self._pipeline_loop = Loop("pipeline", self._pipeline_step)
        self._history_loop = Loop("history", self.recorder.step)
        self._watch_loop = Loop("watch", self._watch)

    def _recover(self, engine: Engine, screen: Screen, desk: Desk) -> tuple[int, int]:
        """Where to read from, and up to where an earlier run has recorded. Fills the engine's state."""
        journal = self.journal
        cursor = desk.position_of(CONSUMER)
        recorded_to = cursor[0] if cursor is not None and cursor[1] == journal.identity else journal.tail
        try:
            body = state_file.read(self._state)
            about = snapshot.restore(engine, body) if body is not None else None
        except (ValueError, KeyError, OSError) as damaged:
            log.error("rules.state_unreadable", reason=str(damaged), effect="starting from the ledger's live alerts")
            about = None
        if about is not None and about["journal"] == journal.identity and about["position"] >= journal.tail:
            screen.restore(about["screen"], engine.registry.slot_of)
            position = int(about["position"])
        else:
            taken = seed(engine, ((rule, device, start) for rule, device, start, _ in desk.live_conditions()))
            position = max(recorded_to, journal.tail)
            log.info("rules.seeded", conditions=taken, position=position)
        recorded_to = max(recorded_to, position)
        journal.leap(recorded_to)  # a position that was recorded may never mean another record
        log.info("rules.recovered", replay_from=position, recorded_to=recorded_to, head=journal.head)
        return position, recorded_to

    # -- threads ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        for loop in (self._pipeline_loop, self._history_loop, self._watch_loop):
            loop.start()

    def stop(self) -> None:
        self._watch_loop.stop()
        self._pipeline_loop.stop()
        self._history_loop.stop()
        if not self._pipeline_loop.alive:
            self._save_state(self.clock())
        self.recorder.save(self.clock())

    def skews(self) -> dict[str, int]:
        """Device id → milliseconds that its clock is behind, for those whose clock is off now. From any thread."""
        ids = self.pipeline.engine.registry.ids
        return {ids[slot]: lag for slot, lag in self.screen.skew_ms.copy().items() if slot < len(ids) and ids[slot]}

    def _recorded(self, segment: Segment) -> None:
        self.recorder.hand_over(segment)
        self.on_readings(segment.batch)
        if segment.quarantine:
            self.on_rejected(segment.quarantine)

    def _pipeline_step(self) -> float:
        if self._wanted is not None:
            wanted = rules, registry = self._wanted
            self.pipeline.take_over(rules, registry)
            if self._wanted is wanted:
                self._wanted = None
            self.rules = rules
            self._snapshot_at_ms = 0
            log.info("config.reloaded", devices=len(registry.slot_of), rules=len(rules.rules))
        self.pipeline.step()
        now = self.clock()
        if self.pipeline.caught_up and now - self._reconciled_at_ms >= _RECONCILE_EVERY_MS:
            self._reconcile(now)
        if now - self._snapshot_at_ms >= _SNAPSHOT_EVERY_MS:
            self._save_state(now)
        return 0.0

    def _reconcile(self, now: int) -> None:
        """What burns for the rules must be known to the ledger: an older backup, or rules changed during a replay, may not."""
        raised = self.pipeline.reconcile()
        self._reconciled_at_ms = now
        if raised:
            log.error(
                "rules.reconciled", raised=raised, effect="conditions that the ledger did not know are alerts now"
            )

    def _save_state(self, now: int) -> None:
        """Snapshot of the rules' state, never ahead of what the journal holds durably or of what the ledger has recorded."""
        self._snapshot_at_ms = now
        self.shadowing.save(self.settings.data)
        position = self.pipeline.done
        if position > self.journal.head:
            return
        screened = self.screen.dump(position, self.pipeline.engine.registry.ids)
        about = {"journal": self.journal.identity, "position": position, "screen": screened}
        try:
            state_file.write(self._state, snapshot.dump(self.pipeline.engine, about))
        except OSError as full:
            log.warning("rules.state_not_saved", reason=str(full), effect="a restart replays more of the journal")

    def _watch(self) -> float:
        now = self.clock()
        self.shadowing.watch()
        if self.live.changed() or _stamp(self.settings.folder) != self._rules_seen:
            self.reload_rules()
        if now - self._trim_at_ms >= _TRIM_EVERY_MS:
            self._trim_at_ms = now
            self.journal.trim(now, min(self.pipeline.done, self.recorder.position))
        return _WATCH_EVERY_MS / 1_000

    def reload(self) -> None:
        """Reads registry and rules again: all that can fail first, then one swap between two batches.

        What is wrong with one of them is complained about, and keeps neither the other nor what is in force from going on.
        """
        self._reload(registry_too=True)

    def reload_rules(self) -> None:
        """The same for somebody who has changed rules and waits: reads the registry only if its files are others than last time.

        So a registry that somebody broke keeps no rule from being changed; it goes on being complained about.
        """
        self._reload(registry_too=self.live.changed())

    def _reload(self, *, registry_too: bool) -> None:
        with self._reloading:  # else an older set, loaded more slowly, could come after a newer one
            self._rules_seen = _stamp(self.settings.folder)
            wanted = self._wanted
            in_force = (self.rules if wanted is None else wanted[0], self.live.current)
            rules, self._rules_trouble = _tried(self._load, in_force[0])
            registry = in_force[1]
            if registry_too:
                registry, self._registry_trouble = _tried(self.live.reload, registry)
            self.config_trouble = self._rules_trouble or self._registry_trouble
            if rules is not in_force[0] or registry is not in_force[1]:
                self._wanted = (rules, registry)
                _tell_difference(self.rules, rules, registry)

    # -- for the history ------------------------------------------------------------------------------------------------

    def _alert_events(self, after: int, limit: int) -> tuple[list[AlertEvent], int]:
        registry = self.live.current
        rows = self.queries.audit_since(after, limit)
        alerts = {alert_id: self.queries.one(alert_id) for alert_id in {r.alert_id for r in rows if r.alert_id}}
        found = []
        for row in rows:
            alert = alerts.get(row.alert_id) if row.alert_id else None
            if alert is not None and alert.quantity != HEARTBEAT:  # it toggles each minute and tells nothing in a chart
                event = alert_event(
                    alert, registry, sequence=row.id, at_ms=row.at_ms, action=row.action, to_state=row.to_state
                )
                found.append(event)
        return found, (rows[-1].id if rows else after)

    def _grid_status(self, at_ms: int) -> list[GridStatus]:
        registry = self.live.current
        silent = {
            registry.slot_of[d] for d in self.figures.live_devices(offline_rules(self.rules)) if d in registry.slot_of
        }
        open_counts = self.figures.open_by_grid()
        found = []
        for number, grid in enumerate(registry.grids):
            place = registry.places.get(grid)
            if place is None:
                continue
            members = (registry.grid == number) & registry.active
            counts = open_counts.get(grid, {})
            found.append(
                GridStatus(
                    at_ms=at_ms,
                    community=levels(registry, grid).get("community", ""),
                    grid=grid,
                    name=place.name.zh,
                    devices=int(members.sum()),
                    silent=sum(1 for slot in silent if members[slot]),
                    open_p1=counts.get("P1", 0),
                    open_p2=counts.get("P2", 0),
                    open_p3=counts.get("P3", 0),
                    open_p4=counts.get("P4", 0),
                )
            )
        return found

    # -- health -------------------------------------------------------------------------------------------------------

    @property
    def health(self) -> dict[str, Callable[[], PartHealth]]:
        return {
            "journal": self._journal_health,
            "pipeline": self._pipeline_health,
            "config": self._config_health,
            "shadow": lambda: health.of_configuration(self.shadowing.health()),
        }

    def _journal_health(self) -> PartHealth:
        if not self.intake.alive:
            return PartHealth(state="down", detail="the intake thread is not running")
        if self.intake.degraded_since_ms is not None:
            return PartHealth(state="degraded", detail=f"cannot be written: {self.intake.degraded_why}")
        return PartHealth(state="ok")

    def _pipeline_health(self) -> PartHealth:
        if not self._pipeline_loop.alive:
            return PartHealth(state="down", detail="the pipeline thread is not running")
        behind = self.intake.head - self.pipeline.done
        failures = self._pipeline_loop.failures_in_a_row
        if failures:
            waiting = f"waiting for the ledger; {behind} records behind"
            return PartHealth(state="degraded" if failures < _PATIENCE else "down", detail=waiting)
        return PartHealth(state="ok", detail=f"{behind} records behind")

    def _config_health(self) -> PartHealth:
        return health.of_configuration(self.config_trouble)


class Follower:
    """Keeps the registry of a process without rules up to date: who is on duty, and where devices are, changes there too."""

    def __init__(self, live: LiveRegistry) -> None:
        self._live, self._trouble = live, ""
        self.loop = Loop("watch", self._watch)

    def _watch(self) -> float:
        if self._live.changed():
            self.reload()
        return _WATCH_EVERY_MS / 1_000

    def reload(self) -> None:
        try:
            registry = self._live.reload()
        except ConfigError as wrong:
            self._trouble = _refused(wrong)
            return
        self._trouble = ""
        log.info("config.reloaded", devices=len(registry.slot_of))

    def health(self) -> PartHealth:
        return health.of_configuration(self._trouble)


def offline_rules(rules: RuleSet) -> list[str]:
    return [r.spec.id for r in rules.rules if r.spec.kind == "offline"]


def _stamp(folder: Path) -> str:
    """Changes when a rule file or the calendar of the configuration in `folder` does."""
    try:
        files = [*sorted((folder / "rules").glob("*.yaml")), *folder.glob(CALENDAR_FILE)]
        return json.dumps([(f.name, f.stat().st_mtime_ns, f.stat().st_size) for f in files])
    except OSError:
        return ""


def _tried(load: Callable[[], T], in_force: T) -> tuple[T, str]:
    """What `load` returns, or what is in force with the trouble there was: a fault of ours as well as a mistake in a file."""
    try:
        return load(), ""
    except ConfigError as wrong:
        return in_force, _refused(wrong)
    except Exception as fault:
        log.exception("config.failed", effect="the old configuration stays in force")
        return in_force, f"a fault of the hub, see its log: {fault!r}"


def _tell_difference(before: RuleSet, after: RuleSet, registry: Registry) -> None:
    try:
        if found := difference(before, after, registry):
            log.info("rules.different", **found.summary())
    except Exception:  # for people to read only: the rules are taken over, whatever it is
        log.exception("rules.difference_failed")


def _refused(wrong: ConfigError) -> str:
    """Says all that is wrong with a configuration that was to be taken over; returns the first complaint."""
    for complaint in wrong.complaints:
        log.error("config.refused", complaint=str(complaint), effect="the old configuration stays in force")
    return str(wrong.complaints[0])
