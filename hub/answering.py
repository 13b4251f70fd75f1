"""What people answer without signing in: by a one-tap link in a notification, a text message, or a key on the telephone.

Whoever answers is who was told: the person or station that the notification went to. They may do what their notification
offers, to that one alert, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from hub.alerts.desk import Desk
from hub.dispatch.links import Link, LinkAction, Links
from hub.model.alerts import Actor, Alert, Seen
from hub.registry.snapshot import Registry
from hub.stores.alert_queries import AlertQueries
from hub.stores.link_uses import LinkUses
from hub.stores.outbox import Outbox
from hub.telemetry import log

Why = Literal["unknown", "expired", "used", "outdated", "over", "stranger"]
"""Why a link does nothing: not ours, too old, used before, the alert has fired again, it is closed, its holder left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a link would do. `why` says why it does nothing, "" when it can be used."""

    why: Why | Literal[""] = ""
    link: Link | None = None
    alert: Alert | None = None
    actor: Actor | None = None
    used_at_ms: int | None = None


class Answering:
    """Thread-safe. Raises `Unavailable` while the ledger is away, and what `Desk.act` raises."""

    def __init__(
        self,
        desk: Desk,
        links: Links,
        uses: LinkUses,
        outbox: Outbox,
        queries: AlertQueries,
        registry: Callable[[], Registry],
    ) -> None:
        self._desk, self._links, self._uses = desk, links, uses
        self._outbox, self._queries, self._registry = outbox, queries, registry

    def look(self, token: str, now_ms: int) -> Looked:
        """What the link would do. Changes nothing, however often it is asked: programs open links to show what is behind them."""
        link = self._links.read(token)
        if link is None:
            return Looked(why="unknown")
        alert = self._queries.one(link.alert_id)
        actor = self.who(link.recipient, alert, via="link") if alert is not None else None
        used = self._uses.of(link.id)
        why = _why(link, alert, actor, used is not None, now_ms)
        return Looked(why=why, link=link, alert=alert, actor=actor, used_at_ms=used.used_at_ms if used else None)

    def follow(self, token: str, now_ms: int, *, reason: str = "") -> Looked:
        """Does what the link says, once. Gives the alert after it; `why` says why nothing was done.

        What is done twice at the same moment counts once for the desk, so the use is noted after it: a crash in between
        lets the person tap again, and loses no answer.
        """
        looked = self.look(token, now_ms)
        if looked.why or looked.link is None or looked.alert is None or looked.actor is None:
            return looked
        link = looked.link
        alert = self.act(
            link.alert_id,
            link.action,
            looked.actor,
            now_ms,
            reason=reason,
            seen=Seen(occurrence=looked.alert.occurrences, severity=looked.alert.severity),
        )
        self._uses.note(link.id, alert_id=link.alert_id, action=link.action, recipient=link.recipient, now_ms=now_ms)
        return Looked(link=link, alert=alert, actor=looked.actor)

    def act(
        self,
        alert_id: str,
        action: LinkAction,
        actor: Actor,
        now_ms: int,
        *,
        reason: str = "",
        seen: Seen | None = None,
    ) -> Alert:
        """Does `action`, and notes that who answers has read what they were sent."""
        alert = self._desk.act(alert_id, action, actor, now_ms, reason=reason, seen=seen)
        self._outbox.read_by(alert_id, actor.id, now_ms)
        log.info("answering.acted", alert=alert_id, action=action, actor=actor.id, via=actor.via)
        return alert

    def who(self, recipient: str, alert: Alert, *, via: str) -> Actor | None:
        """The person or station that was told of `alert`, as who acts on it; None when the registry does not know them any more."""
        registry = self._registry()
        station, person = registry.stations.get(recipient), registry.people.get(recipient)
        known = station or person
        if known is None:
            return None
        return Actor(
            id=recipient,
            name=known.name.zh,
            role="grid_worker" if station is None else "station",
            grids=(alert.grid,),
            stations=(alert.station,),
            via=via,
        )


def _why(link: Link, alert: Alert | None, actor: Actor | None, used: bool, now_ms: int) -> Why | Literal[""]:
    if alert is None:
        return "unknown"
    if used:
        return "used"
    if link.has_expired(now_ms):
        return "expired"
    if not alert.live:
        return "over"
    if link.is_outdated(alert):
        return "outdated"
    return "stranger" if actor is None else ""
