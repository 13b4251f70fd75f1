"""The only place that knows everything: builds the parts top to bottom, starts them, stops them in reverse."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hub import health
from hub import settings as configuration
from hub.actuation.actuator import Actuator, World
from hub.actuation.desk import CommandDesk
from hub.actuation.table import load_actions
from hub.alerts.case_desk import CaseDesk
from hub.alerts.desk import Desk
from hub.alerts.shelf import Shelf
from hub.alerts.silences import Silences
from hub.answering import Answering
from hub.api.application import create_app
from hub.api.parts import ApiParts, ChangeNotifier, DispatchParts, PartHealth, Site
from hub.asking import Asking
from hub.audit.report import Accounts
from hub.audit.self_audit import Audited
from hub.canary import CODEC as CANARY_CODEC
from hub.canary import Canary, topic_of
from hub.clock import Clock, ForwardClock
from hub.core import Core, Follower, offline_rules
from hub.dispatch.channels import Channel, Tools, callback_secrets, check_channels, known_targets, open_channels
from hub.dispatch.courier import Courier
from hub.dispatch.escalation import StandardPlanner, load_policy
from hub.dispatch.links import Links
from hub.dispatch.messages import composer
from hub.errors import ConfigError, Unavailable
from hub.facts import Facts
from hub.ingest import gb26875_listener
from hub.ingest.codecs.context import CodecContext
from hub.ingest.flood import FloodGuard
from hub.ingest.intake import Intake
from hub.ingest.mqtt import Broker, PahoSession
from hub.ingest.router import Router, Source
from hub.ingest.screen import Limits
from hub.ingest.session import Receipt
from hub.ingest.sources import sources_of
from hub.loops import Loop, backoff_s
from hub.model.readings import Envelope, QuarantineRow, Reject
from hub.model.rules import RuleSpec
from hub.onboarding.rejections import Rejections
from hub.onboarding.replay import Replays, Spool
from hub.onboarding.service import Onboarding
from hub.pipeline import CONSUMER, Pipeline
from hub.proof import prove
from hub.registry.live import LiveRegistry
from hub.registry.snapshot import Registry
from hub.replay.answers import Answers, InForce, rules_at
from hub.replay.explainer import Explainer
from hub.rulebook import RuleBook
from hub.rules.calendar_file import load_context
from hub.rules.ruleset import RuleSet, load_rules
from hub.settings import Settings
from hub.stores.account_queries import AccountQueries
from hub.stores.alert_figures import AlertFigures
from hub.stores.alert_queries import AlertQueries
from hub.stores.audit_log import AuditLog
from hub.stores.case_queries import CaseQueries
from hub.stores.commands import Commands
from hub.stores.contact_checks import ContactChecks
from hub.stores.duty_checks import DutyChecks
from hub.stores.fact_queries import FactQueries
from hub.stores.figure_queries import FigureQueries
from hub.stores.history import HistoryStore
from hub.stores.history_embedded import EmbeddedHistory
from hub.stores.incident_queries import IncidentQueries
from hub.stores.journal import Journal, JournalConfig
from hub.stores.ledger import Ledger
from hub.stores.link_key import link_key
from hub.stores.link_uses import LinkUses
from hub.stores.noise_queries import NoiseQueries
from hub.stores.outbox import Outbox
from hub.stores.owner_name import OwnerName
from hub.stores.photo_store import PhotoStore
from hub.stores.quarantine_queries import QuarantineQueries
from hub.stores.rule_files import RuleFiles
from hub.stores.rule_versions import RuleVersions
from hub.stores.sessions import Sessions
from hub.stores.shelving_rows import Shelvings
from hub.stores.silence_rows import SilenceQueries
from hub.stores.tokens import Tokens
from hub.telemetry import log

ROLES = ("ingest", "rules", "courier", "api")


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
    parts: dict[str, Callable[[], PartHealth]] = {}
    folder = settings.folder
    try:
        # -- what the operator wrote: all of it is read before anything opens
        load_rules(folder / "rules", context=load_context(folder, zone=settings.timezone))
        policy = load_policy(folder / "escalation.yaml")
        actions = load_actions(folder)
        live = LiveRegistry(folder / "registry")
        document = configuration.document_of(folder)
        broker = broker_of(settings)
        sources = sources_of(settings.sources, settings.folder, document)
        if settings.gb26875 is not None:
            sources.append(gb26875_listener.source(sources))
        context = CodecContext(
            zone=settings.timezone,
            known=lambda address: address in live.current.slot_of_address,
            own_text=lambda address: live.current.own_text(address),
        )
        filters = _filters(Router(sources, context))
        configs, wrong = check_channels(settings.channels, document)
        if wrong:
            raise ConfigError(wrong)
        channels: Mapping[str, Channel] = {}
        sessions: list[PahoSession] = []
        if "courier" in roles:
            tools = Tools(publish=lambda topic, payload: _publish(sessions, topic, payload))
            channels = open_channels(settings.channels, document, tools)
            for channel in channels.values():
                closing.callback(channel.close)
        configuration.claim_folder(settings)
        if isinstance(clock, ForwardClock):
            parts["clock"] = health.of_clock(clock)

        # -- stores
        ledger = _ledger(settings.ledger_url)
        closing.callback(ledger.close)
        notifier = ChangeNotifier()
        outbox, queries, tokens = Outbox(ledger, server_time=True), AlertQueries(ledger), Tokens(ledger)
        figures = AlertFigures(ledger)
        book = RuleBook(
            RuleFiles(folder / "rules"),
            RuleVersions(ledger),
            clock,
            lambda: live.current,
            context=lambda: load_context(folder, zone=settings.timezone),
        )
        rules = book.load()
        in_force: Callable[[], RuleSet] = lambda: rules  # noqa: E731  # replaced below where they run
        shadow: Callable[[], Mapping[str, Any] | None] = lambda: None  # noqa: E731  # likewise
        history = _history(settings)
        closing.callback(history.close)

        # -- people's side
        couriers: list[Courier] = []
        contacts, duties = ContactChecks(ledger), DutyChecks(ledger)
        planner = StandardPlanner(
            lambda: live.current,
            policy,
            settings.timezone,
            targets=known_targets(configs),
            locale=settings.locale,
            proven=contacts.known,
        )
        desk = Desk(
            ledger,
            planner,
            on_change=notifier.changed,
            on_outbox=lambda: _wake(couriers),
            find_rule=lambda rule_id: _spec_of(in_force(), rule_id),
        )
        key = link_key(settings.data, configuration.secret_from("GRIDHUB_LINKS_KEY", settings.links.key_file))
        links = Links(key, settings.public_url, lifetime_ms=int(settings.links.lifetime_h * 3_600_000))
        asking = Asking(desk, contacts, duties, queries, links, lambda: live.current, lambda: planner.ways, clock)
        closing.callback(asking.loop.stop)
        starters.append(asking.loop.start)
        if "courier" in roles:
            compose = composer(lambda: live.current, policy, settings.timezone, settings.public_url, links=links.of)
            named = OwnerName(settings.data)
            closing.callback(named.release)
            owner = named.name
            if "ingest" not in roles and _has_sirens(live.current):
                speaker = replace(broker, client_id=f"{broker.client_id}-{owner}", persistent=False)
                sessions.append(PahoSession(speaker, "courier", [], lambda envelope: None, clock=clock))
                closing.callback(sessions[0].stop)
                starters.append(sessions[0].start)
                parts["mqtt-courier"] = health.of_session(sessions[0], required=False)
            courier = Courier(outbox, channels, compose, clock, owner, instead=planner.instead)
            couriers.append(courier)
            closing.callback(courier.stop)
            timers = Loop("timers", lambda: _timers(desk, clock))
            closing.callback(timers.stop)
            starters += [courier.start, timers.start]
            parts["courier"] = lambda: health.of_loops(courier.alive and timers.alive)

        commands = Commands(ledger)
        actuators: list[Actuator] = []

        # -- the pipeline
        spool = Spool(settings.data / "replay")
        skews: Callable[[], Mapping[str, int]] = dict  # device → how far its clock is behind
        units: list[gb26875_listener.Listener] = []
        kept: list[Journal] = []  # where messages can be read again, in a process that has the journal
        intake: Intake | None = None
        answers: Answers | None = None
        pipeline: Pipeline | None = None
        reload: Callable[[], None] = lambda: None  # noqa: E731  # replaced below where there is something to reload
        seen_last: Callable[[], Audited | None] = lambda: None  # noqa: E731  # likewise
        if "ingest" in roles:
            journal = Journal.open(settings.journal_folder, _journal_config(settings))
            closing.callback(journal.close)
            kept.append(journal)
            intake = Intake(
                journal,
                clock,
                lambda receipt: _ack([*sessions, *units], receipt),
                group_ms=settings.journal.group_ms,
                window=broker.receive_maximum,
                lifeline=_Lifeline(broker, filters, lambda e: intake.take(e) if intake else None, clock),
                listens=lambda: all(session.connected for session in sessions),
            )
            core = Core(
                settings,
                rules,
                live,
                sources,
                context,
                journal,
                intake,
                desk,
                history,
                queries,
                figures,
                clock,
                book.load,
            )
            pipeline, reload, skews = core.pipeline, core.reload, core.skews
            in_force = lambda: core.rules  # noqa: E731
            shadow = core.shadowing.report
            book.in_force, book.reload = in_force, core.reload_rules
            history_of_rules = Loop("rulebook", book.step)
            answers = _answers(settings, journal, core.screen.limits, sources, lambda: live.current, book)
            guard = _flood_guard(live, ledger, intake, sources, context, clock)
            for lane, wanted in filters.items():
                if wanted:
                    take = _taker(intake, lane, guard, sessions)
                    sessions.append(PahoSession(broker, lane, wanted, take, clock=clock))
            # stop in reverse: sessions first, then what they feed
            closing.callback(history_of_rules.stop)
            closing.callback(core.stop)
            closing.callback(intake.stop)
            if settings.gb26875 is not None:
                units.append(_fire_units(settings, sources, intake, clock))
                parts["gb26875"] = health.of_listener(units[0])
            for session in sessions:
                closing.callback(session.stop)
            for unit in units:
                closing.callback(unit.stop)
            starters += [unit.start for unit in units]
            starters += [intake.start, core.start, history_of_rules.start, *(s.start for s in sessions)]
            knowing = _own_work(settings, live, ledger, planner, intake, sources, sessions, clock, asking)
            rejections = _rejections(sources, context, sessions, clock)
            core.on_rejected = rejections.take
            knowing += [rejections.loop, Replays(spool, intake.take, clock).loop, guard.loop]
            for loop in knowing:
                closing.callback(loop.stop)
                starters.append(loop.start)
            actuator = Actuator(
                commands, actions, _world(live, lambda: in_force(), sessions, intake, history, sources), clock
            )
            actuators.append(actuator)
            core.on_readings = actuator.observe
            closing.callback(notifier.listen(actuator.wake))
            closing.callback(actuator.loop.stop)
            starters.append(actuator.loop.start)
            parts["actuation"] = lambda: health.of_loops(actuator.loop.alive)
            proof = prove(
                settings,
                document,
                accounts=AccountQueries(ledger),
                audit_log=AuditLog(ledger),
                registry=lambda: live.current,
                rules=in_force,
                journal=journal,
                position=desk.position_of(CONSUMER),
                dialects=Router(sources, context),
                native=next((source.root for source in sources if source.codec == CANARY_CODEC), None),
                publish=lambda topic, body: _publish(sessions, topic, body),
                parts=parts,
                clock=clock,
            )
            for loop in proof.loops:
                closing.callback(loop.stop)
                starters.append(loop.start)
            closing.callback(proof.close)
            audited = proof.audit
            seen_last = lambda: audited.last  # noqa: E731
            wishes = Loop("wishes", lambda: _wishes(core.router, sessions))
            closing.callback(wishes.stop)
            starters.append(wishes.start)
            parts["self-audit"] = lambda: health.of_self_audit(audited.trouble, alive=audited.loop.alive)
            parts |= core.health
            parts |= {f"mqtt-{s.lane}": health.of_session(s) for s in sessions}
        else:
            follower = Follower(live)
            reload = follower.reload
            closing.callback(follower.loop.stop)
            starters.append(follower.loop.start)
            parts["config"] = follower.health
        parts["ledger"] = lambda: health.of_ledger(ledger)
        parts["history"] = lambda: health.of_history(history)

        # -- the web
        web = None
        if "api" in roles:
            closing.callback(notifier.close)
            web = create_app(
                ApiParts(
                    desk=desk,
                    queries=queries,
                    incidents=IncidentQueries(ledger),
                    noise=NoiseQueries(ledger),
                    case_desk=CaseDesk(desk),
                    cases=CaseQueries(ledger),
                    photos=PhotoStore(settings.data / "photos"),
                    shelf=Shelf(desk),
                    shelvings=Shelvings(ledger),
                    dispatch=DispatchParts(
                        ways=lambda: planner.ways,
                        silences=Silences(desk, lambda: live.current),
                        silence_queries=SilenceQueries(ledger),
                        contacts=contacts,
                        duties=duties,
                        asking=asking,
                    ),
                    tokens=tokens,
                    sessions=Sessions(ledger, tokens),
                    registry=lambda: live.current,
                    policy=lambda: policy,
                    latest=history.latest,
                    silent=lambda: figures.live_devices(offline_rules(in_force())),
                    health=lambda: {name: ask() for name, ask in parts.items()},
                    clock=clock,
                    site=Site(
                        name=settings.site,
                        zone=settings.timezone,
                        locale=settings.locale,
                        public_url=settings.public_url,
                    ),
                    notifier=notifier,
                    rules=book,
                    shadow=shadow,
                    figures=FigureQueries(ledger),
                    moving=CommandDesk(
                        commands,
                        actions,
                        lambda: live.current,
                        queries.one,
                        clock,
                        on_change=lambda: _wake_all(actuators),
                    ),
                    audited=lambda: seen_last(),
                    proof=Accounts(AccountQueries(ledger), AuditLog(ledger)),
                    answering=Answering(
                        desk,
                        links,
                        LinkUses(ledger),
                        outbox,
                        queries,
                        lambda: live.current,
                        secrets=callback_secrets(configs, os.environ),
                        instead=planner.instead,
                        wake=lambda: _wake(couriers),
                    ),
                    answers=answers,
                    onboarding=Onboarding(
                        folder / "registry",
                        QuarantineQueries(ledger),
                        Router(sources, context),
                        lambda: live.current,
                        spool=spool,
                        journal=lambda: kept[0] if kept else None,
                        reload=reload,
                        skews=skews,
                    ),
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
        parts=parts,
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


def _rejections(sources: list[Source], context: CodecContext, sessions: list[PahoSession], clock: Clock) -> Rejections:
    """Who tells native devices what was wrong with their messages."""
    router = Router(sources, context)  # of its own: it decodes in another thread

    def field_of(row: QuarantineRow) -> str:
        said = router.decode(row.topic, row.payload, received_at_ms=row.last_at_ms, retained=False)
        return said.field if isinstance(said, Reject) else ""

    roots = [source.root for source in sources if source.codec == CANARY_CODEC]
    return Rejections(roots, lambda to, body: _publish(sessions, to, body), clock, field_of=field_of)


def _answers(
    settings: Settings,
    journal: Journal,
    limits: Limits,
    sources: list[Source],
    registry: Callable[[], Registry],
    book: RuleBook,
) -> Answers:
    """Who answers why a rule fired; it reads the journal in small steps, so that the rules that run are not kept waiting."""
    pause = threading.Event()

    def in_force(at_ms: int) -> InForce:
        shown = book.shown()
        if shown is None:
            raise Unavailable("no rules could be read")
        now = InForce(shown.rules, shown.texts.texts(), shown.texts.version, sure=False)
        return rules_at(book.versions, at_ms, book.context(), now)

    explainer = Explainer(
        records=journal,
        sources=tuple(sources),
        zone=settings.timezone,
        limits=limits,
        breathe=lambda: pause.wait(0.002),
    )
    return Answers(explainer=explainer, registry=registry, in_force=in_force)


def settle_memory() -> None:
    """Tells the garbage collector that what is loaded now stays, and to look less often: messages make no cycles."""
    np.unique(np.empty(0))  # numpy loads a part of itself at this one's first use: 70 ms, not in the middle of an alarm
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


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


def _filters(router: Router) -> dict[str, list[str]]:
    """Lane → topic filters; both lanes are always there, the main one first."""
    lanes: dict[str, list[str]] = {"main": [], "fire": []}
    for wanted in router.filters:
        lanes[wanted.lane].append(wanted.topic)
    return lanes


def _wake(couriers: list[Courier]) -> None:
    for courier in couriers:
        courier.wake()


def _taker(intake: Intake, lane: str, guard: FloodGuard, sessions: list[PahoSession]) -> Callable[[Any], None]:
    """What a session gives its messages to. The fire lane is not guarded: an alarm passes, however many there are."""
    if lane == "fire":
        return lambda envelope: intake.take(envelope, lane=lane)

    def take(envelope: Envelope) -> None:
        if guard.admits(envelope):
            intake.take(envelope, lane=lane)
        elif envelope.receipt is not None:
            _ack(sessions, envelope.receipt)  # else the broker would send it again, for ever

    return take


def _flood_guard(
    live: LiveRegistry, ledger: Ledger, intake: Intake, sources: list[Source], context: CodecContext, clock: Clock
) -> FloodGuard:
    """Who holds devices back that send without end."""
    router, asked = Router(sources, context), FactQueries(ledger)  # a router of its own: it decodes in another thread

    def device_of(address: str) -> str:
        slot = live.current.slot_of_address.get(address)
        return "" if slot is None else live.current.ids[slot]

    return FloodGuard(
        lambda e: router.decode(e.topic, e.payload, received_at_ms=e.received_at_ms, retained=False),
        intake.take,
        lambda device, on: intake.say(device, "flooding", float(on)),
        clock,
        device_of=device_of,
        standing=lambda: [device for device, _ in asked.standing({"flooding"})],
        native_roots=[source.root for source in sources if source.codec == CANARY_CODEC],
    )


def _spec_of(rules: RuleSet, rule_id: str) -> RuleSpec | None:
    rule = rules.find(rule_id)
    return None if rule is None else rule.spec


def _own_work(
    settings: Settings,
    live: LiveRegistry,
    ledger: Ledger,
    planner: StandardPlanner,
    intake: Intake,
    sources: list[Source],
    sessions: list[PahoSession],
    clock: Clock,
    asking: Asking,
) -> list[Loop]:
    """What finds out about the hub's own work and says it as readings: facts, and a heartbeat where there is a test device."""
    asked = FactQueries(ledger)
    roots = [source.root for source in sources if source.codec == CANARY_CODEC]
    topic = topic_of(live.current, roots[0]) if roots else None
    device = next((device.id for device in live.current.devices() if device.kind == "canary"), "")
    canary = (
        Canary(lambda to, body: _publish(sessions, to, body), lambda: asked.beat(device), topic, clock)
        if topic
        else None
    )
    facts = Facts(
        asked,
        intake.say,
        memory=settings.data / "facts.json",
        clock=clock,
        missed=lambda: canary.missed if canary is not None else 0,
        unmanned=planner.unmanned,
        thin=planner.thin,
        unanswered=asking.unanswered,
    )
    return [facts.loop] if canary is None else [facts.loop, canary.loop]


def _world(
    live: LiveRegistry,
    in_force: Callable[[], RuleSet],
    sessions: list[PahoSession],
    intake: Intake,
    history: HistoryStore,
    sources: list[Source],
) -> World:
    """What commands to devices need of the rest: the same session as every command, and what the devices have said."""

    def kind_of(rule_id: str) -> str:
        spec = _spec_of(in_force(), rule_id)
        return "" if spec is None else spec.kind

    def publish(topic: str, payload: bytes, expires_s: float) -> bool:
        return bool(sessions) and sessions[-1].publish(topic, payload, timeout_s=0.5, expires_s=expires_s)

    roots: dict[str, list[str]] = {}
    for source in sources:
        roots.setdefault(source.codec, []).append(source.root)
    return World(
        registry=lambda: live.current,
        rule_kind=kind_of,
        ready=lambda: bool(sessions) and sessions[-1].connected,
        publish=publish,
        say=intake.say,
        latest=history.latest,
        roots=roots,
    )


def _wake_all(actuators: list[Actuator]) -> None:
    for actuator in actuators:
        actuator.wake()


def _publish(sessions: list[PahoSession], topic: str, payload: bytes) -> bool:
    """Commands leave by the last session, the fire lane where there is one: no telemetry stands before them."""
    return bool(sessions) and sessions[-1].publish(topic, payload)


def _wishes(router: Router, sessions: list[PahoSession]) -> float:
    """Publishes what the codecs ask for: the rebirth of a Sparkplug node whose aliases nobody has explained."""
    for topic, payload in router.asks():
        _publish(sessions, topic, payload)
    return 1.0


def _fire_units(settings: Settings, sources: list[Source], intake: Intake, clock: Clock) -> gb26875_listener.Listener:
    """Who hears fire-alarm transmission units; their frames take the fire lane. Raises ConfigError when the port cannot be had."""
    wanted = settings.gb26875
    assert wanted is not None
    root = next(source.root for source in reversed(sources) if source.codec == gb26875_listener.NAME)
    try:
        return gb26875_listener.Listener(
            wanted.host,
            wanted.port,
            lambda envelope: intake.take(envelope, lane="fire"),
            clock,
            zone=settings.timezone,
            root=root,
        )
    except OSError as taken:
        where = f"{wanted.host}:{wanted.port}"
        raise ConfigError.one(
            str(settings.folder / "hub.yaml"),
            f"cannot listen on {where}: {taken.strerror or taken}",
            key="gb26875.port",
            remedy="end what uses the port, or choose another",
        ) from taken


def _ack(sessions: Sequence[PahoSession | gb26875_listener.Listener], receipt: Receipt) -> None:
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


def _has_sirens(registry: Registry) -> bool:
    contacts = [h.contacts for h in registry.stations.values()] + [h.contacts for h in registry.people.values()]
    return any(channel == "siren" for several in contacts for channel, _ in several)
