"""What the API needs from the rest of the hub, handed over by `app.py`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from hub.actuation.desk import CommandDesk
from hub.alerts.case_desk import CaseDesk
from hub.alerts.desk import Desk
from hub.alerts.shelf import Shelf
from hub.alerts.silences import Silences
from hub.answering import Answering
from hub.asking import Asking
from hub.audit.report import Accounts
from hub.audit.self_audit import Audited
from hub.clock import Clock
from hub.dispatch.policy import EscalationPolicy
from hub.dispatch.routing import Ways
from hub.onboarding.service import Onboarding
from hub.registry.snapshot import Registry
from hub.replay.answers import Answers
from hub.rulebook import RuleBook
from hub.stores.alert_queries import AlertQueries
from hub.stores.case_queries import CaseQueries
from hub.stores.contact_checks import ContactChecks
from hub.stores.duty_checks import DutyChecks
from hub.stores.figure_queries import FigureQueries
from hub.stores.incident_queries import IncidentQueries
from hub.stores.noise_queries import NoiseQueries
from hub.stores.photo_store import PhotoStore
from hub.stores.sessions import Sessions
from hub.stores.shelving_rows import Shelvings
from hub.stores.silence_rows import SilenceQueries
from hub.stores.tokens import Tokens

PartState = Literal["ok", "degraded", "down"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartHealth:
    """How one part of the hub is. `down` on a `required` part makes the hub not ready; `detail` is for the operator."""

    state: PartState
    detail: str = ""
    required: bool = True


class LatestReading(Protocol):
    """The newest value of one quantity of a device, as a history store gives it."""

    @property
    def quantity(self) -> str: ...
    @property
    def value(self) -> float | bool | str | None: ...
    @property
    def observed_at_ms(self) -> int: ...


class ChangeNotifier:
    """Tells the live streams that some alert changed. `changed` is for any thread, never blocks, never raises."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler may close it in the middle of `listen`
        self._listeners: dict[int, Callable[[], None]] = {}
        self._next = 0
        self.closed = False

    def changed(self, change: int = 0) -> None:
        """A change was committed; `change` is its number (the listeners read the ledger, so a lost one costs a second)."""
        with self._lock:
            listeners = list(self._listeners.values())
        for listener in listeners:
            listener()

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Has `listener` called at each change, from the changing thread. Returns what ends that."""
        with self._lock:
            key = self._next
            self._next += 1
            self._listeners[key] = listener

        def stop() -> None:
            with self._lock:
                self._listeners.pop(key, None)

        return stop

    def close(self) -> None:
        """Ends every live stream; call it before the web server is asked to stop. Idempotent."""
        self.closed = True
        self.changed()


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What the pages say about the place the hub is for."""

    name: str
    zone: str  # IANA
    locale: str  # of pages, for readers who did not choose
    public_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchParts:
    """Who would be told, what is silent, and what people are asked. `ways` gives how people can be told at this moment."""

    ways: Callable[[], Ways]
    silences: Silences
    silence_queries: SilenceQueries
    contacts: ContactChecks
    duties: DutyChecks
    asking: Asking


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiParts:
    """Everything the API works on. The callables are for any thread and give the present state."""

    desk: Desk
    queries: AlertQueries
    incidents: IncidentQueries
    noise: NoiseQueries
    dispatch: DispatchParts
    tokens: Tokens
    sessions: Sessions
    registry: Callable[[], Registry]
    case_desk: CaseDesk
    cases: CaseQueries
    photos: PhotoStore
    shelf: Shelf
    shelvings: Shelvings
    policy: Callable[[], EscalationPolicy]
    latest: Callable[[str], Sequence[LatestReading]]  # by device id; raises Unavailable
    silent: Callable[[], Collection[str]]  # ids of devices that are silent for too long now
    health: Callable[[], Mapping[str, PartHealth]]
    clock: Clock
    site: Site
    notifier: ChangeNotifier
    rules: RuleBook
    moving: CommandDesk | None = None  # commands to devices
    figures: FigureQueries | None = None
    audited: Callable[[], Audited | None] = lambda: (
        None
    )  # what the self-audit saw last; None: it has not looked, or not here
    proof: Accounts | None = None  # what the report on all alarms is made from
    answering: Answering | None = None  # what people answer without signing in; None: not in this process
    onboarding: Onboarding | None = None  # unknown devices; None: they are not claimed through this process
    answers: Answers | None = None  # why alerts fired; None: there is no journal in this process
    shadow: Callable[[], Mapping[str, Any] | None] = lambda: (
        None
    )  # what rules in shadow mode have seen; None: there are none
