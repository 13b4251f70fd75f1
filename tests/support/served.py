"""The API and console over a real ledger, desk, planner and the example place; served by a real uvicorn where needed."""

from __future__ import annotations

import atexit
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import count
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from hub.actuation.desk import CommandDesk
from hub.actuation.table import load_actions
from hub.alerts.case_desk import CaseDesk
from hub.alerts.desk import Desk
from hub.alerts.shelf import Shelf
from hub.alerts.silences import Silences
from hub.answering import Answering
from hub.api import ApiParts, ChangeNotifier, PartHealth, Site, create_app
from hub.api.parts import DispatchParts
from hub.asking import Asking
from hub.audit.report import Accounts
from hub.clock import Clock
from hub.dispatch.escalation import StandardPlanner
from hub.dispatch.links import Links
from hub.dispatch.policy import load_policy
from hub.dispatch.routing import Ways
from hub.errors import ConfigError, Unavailable
from hub.model.alerts import Role
from hub.model.rules import ConditionEvent, EventKind, RuleSpec
from hub.registry.loader import load
from hub.registry.snapshot import Registry
from hub.rulebook import RuleBook
from hub.rules.ruleset import RuleSet, load_rules
from hub.stores.account_queries import AccountQueries
from hub.stores.alert_queries import AlertQueries
from hub.stores.audit_log import AuditLog
from hub.stores.case_queries import CaseQueries
from hub.stores.commands import Commands
from hub.stores.contact_checks import ContactChecks
from hub.stores.duty_checks import DutyChecks
from hub.stores.figure_queries import FigureQueries
from hub.stores.history import LatestValue
from hub.stores.incident_queries import IncidentQueries
from hub.stores.ledger import Ledger
from hub.stores.link_uses import LinkUses
from hub.stores.noise_queries import NoiseQueries
from hub.stores.outbox import Outbox
from hub.stores.photo_store import PhotoStore
from hub.stores.rule_files import RuleFiles
from hub.stores.rule_versions import RuleVersions
from hub.stores.sessions import Sessions
from hub.stores.shelving_rows import Shelvings
from hub.stores.silence_rows import SilenceQueries
from hub.stores.tokens import Tokens
from tests.support.paths import CONFIG
from tests.support.rule_files import write_rules

ZONE = "Asia/Shanghai"
STATION = "st-1"
GRID = "440399001001001"  # served by st-1
FAR_GRID = "440399001002001"  # served by another station
SMOKE = "smoke-c1b1-01"


@dataclass
class Hub:
    """The parts behind the API, and the hands that move them."""

    ledger: Ledger
    registry: Registry
    clock: Clock
    parts: ApiParts
    app: FastAPI
    rules: dict[str, RuleSpec]
    outbox: Outbox
    health: dict[str, PartHealth]
    silent: set[str]
    latest: dict[str, list[LatestValue]]
    away: list[str]  # names of stores that do not answer
    runs: Running
    links: Links
    _position: Iterator[int] = field(default_factory=count)

    def token(
        self, role: Role, *, grids: tuple[str, ...] = (), stations: tuple[str, ...] = (), person: str = ""
    ) -> str:
        name = f"{role} token"
        return self.parts.tokens.create(name, role, grids, stations, person=person, now_ms=self.clock())

    def says(
        self,
        device: str = SMOKE,
        rule: str = "smoke-alarm",
        *,
        kind: EventKind = "raised",
        value: float | bool | str | None = True,
        threshold: float | None = None,
        start_ms: int | None = None,
        canary: bool = False,
    ) -> str:
        """A rule finds something on a device; recorded by the desk. Returns the alert's id."""
        now_ms, spec = self.clock(), self.rules[rule]
        event = ConditionEvent(
            kind=kind,
            rule=spec,
            slot=self.registry.slot_of.get(device, 0),
            device=device,
            at_ms=now_ms,
            observed_at_ms=now_ms - 400,
            received_at_ms=now_ms,
            episode_start_ms=now_ms if start_ms is None else start_ms,
            position=next(self._position),
            value=value,
            quantity=spec.quantity,
            threshold=threshold,
            canary=canary,
        )
        self.parts.desk.record([event], consumer="rules", journal="j", position=event.position + 1, now_ms=now_ms)
        live = [a for a in self.parts.queries.list(scope=None, device=device, limit=500).rows if a.rule_id == rule]
        return live[0].id

    def far_smoke(self) -> str:
        """Some smoke alarm of a grid that station st-1 does not serve."""
        return next(d.id for d in self.registry.devices() if d.kind == "smoke_alarm" and d.grid == FAR_GRID)


@dataclass
class Running:
    """What stands for the engine: it takes over the rules of the files when told to, unless it is `busy` or they are wrong."""

    rules: RuleSet | None = None
    busy: bool = False
    book: RuleBook | None = None

    def reload(self) -> None:
        assert self.book is not None
        try:
            loaded = self.book.load()
        except ConfigError:
            return
        if not self.busy:
            self.rules = loaded


class _Fragile:
    """Stands before a store and raises `Unavailable` while that store is away."""

    def __init__(self, inner: object, name: str, away: list[str]) -> None:
        self._inner, self._name, self._away = inner, name, away

    def __getattr__(self, name: str) -> object:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def guarded(*args: object, **kwargs: object) -> object:
            if self._name in self._away:
                raise Unavailable(f"{self._name} is away", after_s=2.0)
            return found(*args, **kwargs)

        return guarded


SERVED_WAYS = Ways(frozenset({"console", "webhook", "siren"}))


@cache
def example_registry() -> Registry:
    return load(CONFIG / "registry")


@cache
def example_rules() -> dict[str, RuleSpec]:
    return {rule.spec.id: rule.spec for rule in load_rules(CONFIG / "rules").rules}


@cache
def _template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="gridhub-served-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    Ledger.open(f"sqlite:///{folder}/template.db").close()
    return folder / "template.db"


@contextmanager
def hub_at(
    folder: Path, clock: Clock, *, registry: Registry | None = None, url: str = "", small: bool = False
) -> Iterator[Hub]:
    """A hub with the example place and rules in `config/`, its ledger in `folder`. Nothing is sent to anybody.

    `small`: the rule files that can be edited are the few of tests/support/rule_files.py.
    """
    known = registry or example_registry()
    policy = load_policy(CONFIG / "escalation.yaml")
    if not url:
        shutil.copy(_template(), folder / "ledger.db")
    ledger = Ledger.open(url or f"sqlite:///{folder}/ledger.db", migrate=False)
    notifier, health, silent, away = ChangeNotifier(), {"ledger": PartHealth(state="ok")}, set[str](), list[str]()
    latest: dict[str, list[LatestValue]] = {}

    def latest_of(device: str) -> list[LatestValue]:
        if "history" in away:
            raise Unavailable("history is away")
        return latest.get(device, [])

    desk = Desk(ledger, StandardPlanner(lambda: known, policy, ZONE), on_change=notifier.changed)
    links = Links(b"a key for the links of tests", "http://127.0.0.1")
    contacts, duties = ContactChecks(ledger), DutyChecks(ledger)
    asking = Asking(desk, contacts, duties, AlertQueries(ledger), links, lambda: known, lambda: SERVED_WAYS, clock)
    tokens = Tokens(ledger)
    if small:
        write_rules(folder / "rules")
    else:
        shutil.copytree(CONFIG / "rules", folder / "rules")
    runs = Running()
    book = runs.book = RuleBook(
        RuleFiles(folder / "rules"),
        _Fragile(RuleVersions(ledger), "ledger", away),  # type: ignore[arg-type]
        clock,
        lambda: known,
        in_force=lambda: runs.rules,
        reload=runs.reload,
    )
    runs.reload()
    if small:
        book.step()  # begins the history, which a hub does a second after its start
    actions = load_actions(CONFIG)
    moving = CommandDesk(Commands(ledger), actions, lambda: known, AlertQueries(ledger).one, clock)
    parts = ApiParts(
        desk=_Fragile(desk, "ledger", away),  # type: ignore[arg-type]
        queries=_Fragile(AlertQueries(ledger), "ledger", away),  # type: ignore[arg-type]
        incidents=_Fragile(IncidentQueries(ledger), "ledger", away),  # type: ignore[arg-type]
        noise=_Fragile(NoiseQueries(ledger), "ledger", away),  # type: ignore[arg-type]
        case_desk=_Fragile(CaseDesk(desk), "ledger", away),  # type: ignore[arg-type]
        cases=_Fragile(CaseQueries(ledger), "ledger", away),  # type: ignore[arg-type]
        photos=PhotoStore(folder / "photos"),
        shelf=_Fragile(Shelf(desk), "ledger", away),  # type: ignore[arg-type]
        shelvings=_Fragile(Shelvings(ledger), "ledger", away),  # type: ignore[arg-type]
        dispatch=DispatchParts(
            ways=lambda: replace(SERVED_WAYS, proven=contacts.known()),
            silences=Silences(desk, lambda: known),
            silence_queries=SilenceQueries(ledger),
            contacts=contacts,
            duties=duties,
            asking=asking,
        ),
        tokens=_Fragile(tokens, "ledger", away),  # type: ignore[arg-type]
        sessions=_Fragile(Sessions(ledger, tokens), "ledger", away),  # type: ignore[arg-type]
        registry=lambda: known,
        policy=lambda: policy,
        latest=latest_of,
        silent=lambda: silent,
        health=lambda: health,
        clock=clock,
        site=Site(name="金桂街道", zone=ZONE, locale="zh-CN", public_url="http://127.0.0.1"),
        notifier=notifier,
        rules=book,
        moving=_Fragile(moving, "ledger", away),  # type: ignore[arg-type]
        figures=_Fragile(FigureQueries(ledger), "ledger", away),  # type: ignore[arg-type]
        proof=Accounts(AccountQueries(ledger), AuditLog(ledger)),
        answering=Answering(desk, links, LinkUses(ledger), Outbox(ledger), AlertQueries(ledger), lambda: known),
    )
    try:
        yield Hub(
            ledger=ledger,
            registry=known,
            clock=clock,
            parts=parts,
            app=create_app(parts),
            rules=example_rules(),
            outbox=Outbox(ledger),
            health=health,
            silent=silent,
            latest=latest,
            away=away,
            runs=runs,
            links=links,
        )
    finally:
        notifier.close()
        ledger.close()


@dataclass
class Served:
    """An application behind a real web server. `stop` and `start` take the server away and bring it back, same address."""

    app: FastAPI
    port: int
    _server: uvicorn.Server | None = None
    _thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        config = uvicorn.Config(
            self.app, host="127.0.0.1", port=self.port, log_level="warning", timeout_graceful_shutdown=1, lifespan="off"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="served", daemon=True)
        self._thread.start()
        until = time.monotonic() + 20
        while not self._server.started:
            if time.monotonic() > until or not self._thread.is_alive():
                raise RuntimeError("the web server did not start")
            time.sleep(0.02)

    def stop(self) -> None:
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join(10)
        self._server = self._thread = None


@contextmanager
def served(hub: Hub) -> Iterator[Served]:
    """`hub` on a free port of 127.0.0.1 until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Served(hub.app, port)
    server.start()
    try:
        yield server
    finally:
        hub.parts.notifier.close()
        server.stop()
