"""The only place that knows everything: builds the parts top to bottom, starts them, stops them in reverse."""

from __future__ import annotations

import gc
import json
import os
import secrets
import socket
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hub import settings as configuration
from hub.alerts.desk import Desk
from hub.api.application import create_app
from hub.api.parts import ApiParts, ChangeNotifier, PartHealth, Site
from hub.clock import Clock, ForwardClock
from hub.dispatch.channels import Tools, check_channels, known_targets, open_channels
from hub.dispatch.courier import Courier
from hub.dispatch.escalation import StandardPlanner, load_policy
from hub.dispatch.messages import composer
from hub.documents import Document
from hub.errors import ConfigError, Unavailable
from hub.ingest.codecs import CODECS
from hub.ingest.codecs.context import CodecContext
from hub.ingest.intake import Intake
from hub.ingest.mqtt import Broker, PahoSession
from hub.ingest.reader import Reader
from hub.ingest.router import Router, Source
from hub.ingest.screen import Limits, Screen
from hub.ingest.session import Receipt
from hub.loops import Loop, backoff_s
from hub.pipeline import CONSUMER, Pipeline
from hub.recorder import Recorder
from hub.registry.live import LiveRegistry
from hub.registry.snapshot import Registry
from hub.rules import snapshot
from hub.rules.engine import Engine
from hub.rules.ruleset import RuleSet, load_rules
from hub.settings import Settings
from hub.stores import state_file
from hub.stores.alert_figures import AlertFigures
from hub.stores.alert_queries import AlertQueries
from hub.stores.history import AlertEvent, GridStatus, HistoryStore, alert_event, levels
from hub.stores.history_embedded import EmbeddedHistory
from hub.stores.journal import Journal, JournalConfig
from hub.stores.ledger import Ledger
from hub.stores.outbox import Outbox
from hub.stores.sessions import Sessions
from hub.stores.tokens import Tokens
from hub.telemetry import log

ROLES = ("ingest", "rules", "courier", "api")
_SNAPSHOT_EVERY_MS = 10_000
_TRIM_EVERY_MS = 60_000
_WATCH_EVERY_MS = 2_000


@dataclass(slots=True)
class Hub:
    """A built hub. `start` starts its threads, `stop` ends them in reverse order of building (idempotent)."""

    settings: Settings
    web: Any  # the FastAPI application; None without the role api
    parts: Mapping[str, Callable[[], PartHealth]]
    reload: Callable[[], None]
    notifier: ChangeNotifier
    desk: Desk
    tokens: Tokens
    queries: AlertQueries
    intake: Intake | None
    pipeline: Pipeline | None
    _start: Callable[[], None]
    _closing: ExitStack

    def start(self) -> None:
        self._start()

    def stop(self) -> None:
        self._closing.close()


def build(settings: Settings, roles: Collection[str] = ROLES, *, clock: Clock | None = None) -> Hub:
    """Builds the hub's parts for `roles`. Raises ConfigError before anything was started when the operator's files are wrong."""
    _check_roles(roles)
    clock = clock or ForwardClock()
    closing = ExitStack()
    starters: list[Callable[[], object]] = []
    health: dict[str, Callable[[], PartHealth]] = {}
    folder = settings.folder
    try:
        # -- what the operator wrote: all of it is read before anything opens
        rules = load_rules(folder / "rules")
        policy = load_policy(folder / "escalation.yaml")
        live = LiveRegistry(folder / "registry")
        document = configuration.document_of(folder)
        broker = broker_of(settings)
        sources = _sources(settings, document)
        context = CodecContext(
            zone=settings.timezone,
            known=lambda address: address in live.current.slot_of_address,
            own_text=lambda address: live.current.own_text(address),
        )
        filters = _filters(Router(sources, context))
        configuration.claim_folder(settings)
        if isinstance(clock, ForwardClock):
            health["clock"] = _clock_health(clock)

        # -- stores
        ledger = _ledger(settings.ledger_url)
        closing.callback(ledger.close)
        notifier = ChangeNotifier()
        outbox, queries, tokens = Outbox(ledger), AlertQueries(ledger), Tokens(ledger)
        figures = AlertFigures(ledger)
        history = _history(settings)
        closing.callback(history.close)

        # -- people's side
        couriers: list[Courier] = []
        targets = known_targets(check_channels(settings.channels, document)[0])
        planner = StandardPlanner(
            lambda: live.current, policy, settings.timezone, targets=targets, locale=settings.locale
        )
        desk = Desk(
            ledger,
            planner,
            on_change=notifier.changed,
            on_outbox=lambda: _wake(couriers),
        )
        sessions: list[PahoSession] = []
        if "courier" in roles:
            tools = Tools(publish=lambda topic, payload: bool(sessions) and sessions[0].publish(topic, payload))
            channels = open_channels(settings.channels, document, tools)
            for channel in channels.values():
                closing.callback(channel.close)
            compose = composer(lambda: live.current, policy, settings.timezone, settings.public_url)
            owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
            if "ingest" not in roles and _has_sirens(live.current):
                speaker = replace(broker, client_id=f"{broker.client_id}-{owner}", persistent=False)
                sessions.append(PahoSession(speaker, "courier", [], lambda envelope: None, clock=clock))
                closing.callback(sessions[0].stop)
                starters.append(sessions[0].start)
                health["mqtt-courier"] = _session_health(sessions[0], required=False)
            courier = Courier(outbox, channels, compose, clock, owner, instead=planner.instead)
            couriers.append(courier)
            closing.callback(courier.stop)
            timers = Loop("timers", lambda: _timers(desk, clock))
            closing.callback(timers.stop)
            starters += [courier.start, timers.start]
            health["courier"] = lambda: _loop_health(courier.alive and timers.alive)

        # -- the pipeline
        intake: Intake | None = None
        pipeline: Pipeline | None = None
        reload: Callable[[], None] = lambda: None  # noqa: E731  # replaced below where there is something to reload
        if "ingest" in roles:
            journal = Journal.open(settings.journal_folder, _journal_config(settings))
            closing.callback(journal.close)
            intake = Intake(
                journal,
                clock,
                lambda receipt: _ack(sessions, receipt),
                group_ms=settings.journal.group_ms,
                window=broker.receive_maximum,
                lifeline=_Lifeline(broker, filters, lambda e: intake.take(e) if intake else None, clock),
            )
            core = _Core(
                settings, rules, live, sources, context, journal, intake, desk, history, queries, figures, clock
            )
            pipeline, reload = core.pipeline, core.reload
            for lane, wanted in filters.items():
                if wanted:
                    take = _taker(intake, lane)
                    sessions.append(PahoSession(broker, lane, wanted, take, clock=clock))
            # stop in reverse: sessions first, then what they feed
            closing.callback(core.stop)
            closing.callback(intake.stop)
            for session in sessions:
                closing.callback(session.stop)
            starters += [intake.start, core.start, *(s.start for s in sessions)]
            health |= core.health
            health |= {f"mqtt-{s.lane}": _session_health(s) for s in sessions}
        else:
            follower = _Follower(live)
            reload = follower.reload
            closing.callback(follower.loop.stop)
            starters.append(follower.loop.start)
            health["config"] = follower.health
        health["ledger"] = lambda: _ledger_health(ledger)
        health["history"] = lambda: _history_health(history)

        # -- the web
        web = None
        if "api" in roles:
            closing.callback(notifier.close)
            web = create_app(
                ApiParts(
                    desk=desk,
                    queries=queries,
                    tokens=tokens,
                    sessions=Sessions(ledger, tokens),
                    registry=lambda: live.current,
                    policy=lambda: policy,
                    latest=history.latest,
                    silent=lambda: figures.live_devices(_offline_rules(rules)),
                    health=lambda: {name: ask() for name, ask in health.items()},
                    clock=clock,
                    site=Site(
                        name=settings.site,
                        zone=settings.timezone,
                        locale=settings.locale,
                        public_url=settings.public_url,
                    ),
                    notifier=notifier,
                )
            )
    except BaseException:
        closing.close()
        raise

    def start() -> None:
        settle_memory()
        for starter in starters:
            starter()

    return Hub(
        settings=settings,
        web=web,
        parts=health,
        reload=reload,
        notifier=notifier,
        desk=desk,
        tokens=tokens,
        queries=queries,
        intake=intake,
        pipeline=pipeline,
        _start=start,
        _closing=closing,
    )


def settle_memory() -> None:
    """Tells the garbage collector that what is loaded now stays, and to look less often: messages make no cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


class _Core:
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
    ) -> None:
        self.settings, self.live, self.journal, self.intake, self.clock = settings, live, journal, intake, clock
        self.rules, self.queries, self.figures = rules, queries, figures
        self._state = settings.data / "rules.state"
        self._wanted: tuple[RuleSet, Registry] | None = None
        self._snapshot_at_ms = self._trim_at_ms = 0
        self._rules_seen = _stamp(settings.folder / "rules")
        self.config_trouble = ""
        screen = Screen(
            Limits(
                past_ms=int(settings.screen.past_days * 86_400_000),
                future_ms=int(settings.screen.future_s * 1_000),
                late_ms=int(settings.screen.late_s * 1_000),
            )
        )
        engine = Engine(rules, live.current, start_ms=clock())
        position, recorded_to = self._recover(engine, screen, desk)
        router = Router(sources, context)
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
        self.pipeline = Pipeline(
            intake,
            Reader(router.decode, lambda: self.pipeline.engine.registry, screen),
            engine,
            desk,
            journal=journal.identity,
            position=position,
            recorded_to=recorded_to,
            clock=clock,
            durable_head=lambda: journal.head,
            on_segment=self.recorder.hand_over,
        )
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
            screen.restore(
                set(map(int, about["screen"]["seen"])),
                set(map(int, about["screen"]["before"])),
                {int(k): v for k, v in about["screen"]["skew"].items()},
            )
            position = int(about["position"])
        else:
            taken = engine.seed((rule, device, start) for rule, device, start, _ in desk.live_conditions())
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

    def _pipeline_step(self) -> float:
        if self._wanted is not None:
            rules, registry = self._wanted
            self._wanted = None
            self.pipeline.engine.rebase(rules, registry, now_ms=self.pipeline.last_ms or self.clock())
            self.rules = rules
            self._snapshot_at_ms = 0
            log.info("config.reloaded", devices=len(registry.slot_of), rules=len(rules.rules))
        self.pipeline.step()
        now = self.clock()
        if now - self._snapshot_at_ms >= _SNAPSHOT_EVERY_MS:
            self._save_state(now)
        return 0.0

    def _save_state(self, now: int) -> None:
        """Snapshot of the rules' state, never ahead of what the journal holds durably or of what the ledger has recorded."""
        self._snapshot_at_ms = now
        position = self.pipeline.done
        if position > self.journal.head:
            return
        about = {"journal": self.journal.identity, "position": position, "screen": self.screen.dump()}
        try:
            state_file.write(self._state, snapshot.dump(self.pipeline.engine, about))
        except OSError as full:
            log.warning("rules.state_not_saved", reason=str(full), effect="a restart replays more of the journal")

    def _watch(self) -> float:
        now = self.clock()
        if self.live.changed() or _stamp(self.settings.folder / "rules") != self._rules_seen:
            self.reload()
        if now - self._trim_at_ms >= _TRIM_EVERY_MS:
            self._trim_at_ms = now
            self.journal.trim(now, min(self.pipeline.done, self.recorder.position))
        return _WATCH_EVERY_MS / 1_000

    def reload(self) -> None:
        """Reads registry and rules again: all that can fail first, then one swap between two batches."""
        self._rules_seen = _stamp(self.settings.folder / "rules")
        try:
            rules = load_rules(self.settings.folder / "rules")
            registry = self.live.reload()
        except ConfigError as wrong:
            self.config_trouble = _refused(wrong)
            return
        self.config_trouble = ""
        self._wanted = (rules, registry)

    # -- for the history ------------------------------------------------------------------------------------------------

    def _alert_events(self, after: int, limit: int) -> tuple[list[AlertEvent], int]:
        registry = self.live.current
        rows = self.queries.audit_since(after, limit)
        alerts = {alert_id: self.queries.one(alert_id) for alert_id in {r.alert_id for r in rows if r.alert_id}}
        found = []
        for row in rows:
            alert = alerts.get(row.alert_id) if row.alert_id else None
            if alert is not None:
                event = alert_event(
                    alert, registry, sequence=row.id, at_ms=row.at_ms, action=row.action, to_state=row.to_state
                )
                found.append(event)
        return found, (rows[-1].id if rows else after)

    def _grid_status(self, at_ms: int) -> list[GridStatus]:
        registry = self.live.current
        silent = {
            registry.slot_of[d] for d in self.figures.live_devices(_offline_rules(self.rules)) if d in registry.slot_of
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
        return {"journal": self._journal_health, "pipeline": self._pipeline_health, "config": self._config_health}

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
        if self._pipeline_loop.failures_in_a_row:
            return PartHealth(state="degraded", detail=f"waiting for the ledger; {behind} records behind")
        return PartHealth(state="ok", detail=f"{behind} records behind")

    def _config_health(self) -> PartHealth:
        return _config_health(self.config_trouble)


class _Follower:
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
        return _config_health(self._trouble)


class _Lifeline:
    """Opens and closes the QoS 0 session that keeps alarms flowing while the journal cannot be written."""

    def __init__(
        self, broker: Broker, filters: Mapping[str, list[str]], take: Callable[[Any], None], clock: Clock
    ) -> None:
        self._broker = replace(broker, persistent=False)
        self._filters = [f for wanted in filters.values() for f in wanted]
        self._take, self._clock = take, clock
        self._session: PahoSession | None = None

    def __call__(self, wanted: bool) -> None:
        if wanted and self._session is None:
            self._session = PahoSession(self._broker, "lifeline", self._filters, self._take, clock=self._clock)
            self._session.start()
        elif not wanted and self._session is not None:
            session, self._session = self._session, None
            threading.Thread(target=session.stop, name="lifeline-stop", daemon=True).start()


def _check_roles(roles: Collection[str]) -> None:
    unknown = [r for r in roles if r not in ROLES]
    if unknown or not roles:
        raise ConfigError.one(
            "--role", f"unknown role {', '.join(unknown) or '(none)'}", remedy=f"use {', '.join(ROLES)}"
        )
    if ("ingest" in roles) != ("rules" in roles):
        raise ConfigError.one(
            "--role", "ingest and rules share the local journal", remedy="give both or neither to a process"
        )


def broker_of(settings: Settings) -> Broker:
    """How to reach the broker that `settings` name; the password from GRIDHUB_MQTT_PASSWORD or its file."""
    m = settings.mqtt
    if m.tls is not None:
        configuration.check_certificates(settings.folder, m.tls)
    return Broker(
        host=m.host,
        port=m.port,
        version=int(m.protocol),
        username=m.username,
        password=configuration.secret_from("GRIDHUB_MQTT_PASSWORD", m.password_file),
        client_id=m.client_id,
        keepalive_s=m.keepalive_s,
        receive_maximum=m.receive_maximum,
        session_expiry_s=m.session_expiry_s,
        tls=m.tls is not None,
        ca=m.tls.ca if m.tls else "",
        cert=m.tls.cert if m.tls else "",
        key=m.tls.key if m.tls else "",
    )


def _sources(settings: Settings, document: Document) -> list[Source]:
    wrong = [
        document.complain(("sources", n, "codec"), f"unknown codec {s.codec!r}", f"use {', '.join(CODECS)}")
        for n, s in enumerate(settings.sources)
        if s.codec not in CODECS
    ]
    if wrong:
        raise ConfigError(wrong)
    return [Source(codec=s.codec, root=s.root) for s in settings.sources]


def _filters(router: Router) -> dict[str, list[str]]:
    """Lane → topic filters; both lanes are always there, the main one first."""
    lanes: dict[str, list[str]] = {"main": [], "fire": []}
    for wanted in router.filters:
        lanes[wanted.lane].append(wanted.topic)
    return lanes


def _wake(couriers: list[Courier]) -> None:
    for courier in couriers:
        courier.wake()


def _taker(intake: Intake, lane: str) -> Callable[[Any], None]:
    return lambda envelope: intake.take(envelope, lane=lane)


def _ack(sessions: list[PahoSession], receipt: Receipt) -> None:
    for session in sessions:
        if session.lane == receipt.lane:
            session.ack(receipt)


def _ledger(url: str) -> Ledger:
    """The ledger; waits for a database that is not up yet (the broker keeps the messages meanwhile)."""
    attempt = 0
    while True:
        try:
            return Ledger.open(url)
        except Unavailable as away:
            pause = backoff_s(attempt, first_s=0.5, most_s=5.0)
            log.warning("ledger.waiting", reason=str(away), retry_in_s=round(pause, 1))
            threading.Event().wait(pause)
            attempt += 1


def _journal_config(settings: Settings) -> JournalConfig:
    j = settings.journal
    return JournalConfig(retain_days=j.retain_days, retain_mib=j.retain_mib, segment_mib=j.segment_mib)


def _history(settings: Settings) -> HistoryStore:
    h = settings.history
    if h.kind == "embedded":
        return EmbeddedHistory(settings.data / "history.db", retain_days=h.retain_days)
    from hub.stores.history_influx import InfluxHistory  # its client takes a second to load: only for those who use it

    return InfluxHistory(
        url=h.url,
        org=h.org,
        bucket=h.bucket,
        token=configuration.secret_from("GRIDHUB_HISTORY_TOKEN", h.token_file),
        data_dir=settings.data,
    )


def _timers(desk: Desk, clock: Clock) -> float:
    desk.run_timers(clock())
    return 0.4


def _offline_rules(rules: RuleSet) -> list[str]:
    return [r.spec.id for r in rules.rules if r.spec.kind == "offline"]


def _stamp(folder: Path) -> str:
    """Changes when a YAML file of `folder` does."""
    try:
        files = sorted(folder.glob("*.yaml"))
        return json.dumps([(f.name, f.stat().st_mtime_ns, f.stat().st_size) for f in files])
    except OSError:
        return ""


def _loop_health(alive: bool) -> PartHealth:
    return PartHealth(state="ok") if alive else PartHealth(state="down", detail="a thread is not running")


def _session_health(session: PahoSession, *, required: bool = True) -> Callable[[], PartHealth]:
    def ask() -> PartHealth:
        well = session.connected and not session.trouble
        return PartHealth(state="ok" if well else "down", detail=session.trouble, required=required)

    return ask


def _clock_health(clock: ForwardClock) -> Callable[[], PartHealth]:
    def ask() -> PartHealth:
        clock()
        if clock.ahead_ms < 1_000:
            return PartHealth(state="ok", required=False)
        ahead_s = clock.ahead_ms // 1_000
        detail = f"the system's clock was set back; the hub's is {ahead_s} s ahead until a restart"
        return PartHealth(state="degraded", detail=detail, required=False)

    return ask


def _config_health(trouble: str) -> PartHealth:
    return PartHealth(state="degraded" if trouble else "ok", detail=trouble, required=False)


def _refused(wrong: ConfigError) -> str:
    """Says all that is wrong with a configuration that was to be taken over; returns the first complaint."""
    for complaint in wrong.complaints:
        log.error("config.refused", complaint=str(complaint), effect="the old configuration stays in force")
    return str(wrong.complaints[0])


def _has_sirens(registry: Registry) -> bool:
    contacts = [h.contacts for h in registry.stations.values()] + [h.contacts for h in registry.people.values()]
    return any(channel == "siren" for several in contacts for channel, _ in several)


def _ledger_health(ledger: Ledger) -> PartHealth:
    try:
        ledger.ping()
    except Unavailable as away:
        return PartHealth(state="down", detail=str(away))
    return PartHealth(state="ok")


def _history_health(history: HistoryStore) -> PartHealth:
    if history.ping():
        return PartHealth(state="ok", required=False)
    return PartHealth(state="degraded", detail="the history store does not answer; charts are behind", required=False)
