"""What people answer without signing in: by a one-tap link in a notification, a text message, or a key on the telephone.

Whoever answers is who was told: the person or station that the notification went to. They may do what their notification
offers, to that one alert, and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hub.alerts.desk import Desk
from hub.dispatch import replies
from hub.dispatch.aliyun import digits_of
from hub.dispatch.links import Link, LinkAction, Links
from hub.dispatch.policy import since_ms
from hub.errors import IllegalAction, NotAllowed, NotFound
from hub.model.alerts import Actor, Alert, Seen
from hub.model.deliveries import Delivery, NewDelivery
from hub.registry.snapshot import Registry
from hub.stores.alert_queries import AlertQueries
from hub.stores.link_uses import LinkUses
from hub.stores.outbox import Outbox
from hub.telemetry import log

TEXT_WITHIN_MS = 6 * 3_600_000
"""A text is about the newest notification that its sender was sent, if that is not older than this."""

REASON_BY_TELEPHONE = "误报 (by telephone)"

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
    """Thread-safe. Raises `Unavailable` while the ledger is away, and what `Desk.act` raises.

    `secrets`: channel → what its gateway signs reports and replies with. `instead`: what is due next when a notification turns
    out not to have arrived; `wake` then tells the courier.
    """

    def __init__(
        self,
        desk: Desk,
        links: Links,
        uses: LinkUses,
        outbox: Outbox,
        queries: AlertQueries,
        registry: Callable[[], Registry],
        *,
        secrets: Mapping[str, str] | None = None,
        instead: Callable[[Alert, Delivery, int], Sequence[NewDelivery]] = lambda alert, delivery, now_ms: (),
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._secrets, self._instead, self._wake = dict(secrets or {}), instead, wake
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

    def saw(self, alert: Alert, actor: Actor, now_ms: int) -> None:
        """`actor` has opened the alert: what they, or the stations that they work for, were sent of it is read."""
        if actor.role not in ("grid_worker", "station"):
            return
        for recipient in (actor.id, *(s for s in actor.stations if s != "*" and actor.role == "station")):
            if self._outbox.has_unread(alert.id, recipient):
                self._outbox.read_by(alert.id, recipient, now_ms)

    # -- telephones -----------------------------------------------------------------------------------------------------

    def secret_of(self, channel: str) -> str:
        """What the gateway of `channel` signs with; "" = its callbacks are not taken."""
        return self._secrets.get(channel, "")

    def heard(self, channel: str, body: Any, now_ms: int) -> int:
        """Takes what a gateway reports. Returns how many items were understood; a repeated one changes nothing."""
        count = 0
        for said in replies.said_by(channel, body):
            count += 1
            if isinstance(said, replies.Text):
                self._text(channel, said, now_ms)
            else:
                self._report(channel, said, now_ms)
        return count

    def _report(self, channel: str, said: replies.Reached, now_ms: int) -> None:
        delivery = self._outbox.by_receipt(channel, said.receipt)
        if delivery is None:
            log.warning("answering.report_of_nothing", channel=channel)
            return
        alert = self._outbox.alert_of(delivery)
        if said.good:
            self._outbox.delivered(delivery.id, now_ms)
            if said.key is not None:
                self._do(alert, delivery, said.key, "voice", now_ms)
        elif self._outbox.not_delivered(delivery.id, f"the service reports: {said.reason or 'not delivered'}"):
            log.warning(
                "answering.not_delivered", channel=channel, alert=alert.id, delivery=delivery.id, reason=said.reason
            )
            following = self._instead(alert, delivery, now_ms) if alert.live else ()
            if following:
                self._outbox.add(following, now_ms)
                self._wake()

    def _text(self, channel: str, said: replies.Text, now_ms: int) -> None:
        if said.action is None:
            log.info("answering.unclear_text", channel=channel)
            return
        once = f"{channel}:{hashlib.sha256(said.id.encode()).hexdigest()[:24]}" if said.id else ""
        if once and self._uses.of(once) is not None:
            return

        def theirs(target: str) -> bool:
            return digits_of(target) == said.number

        delivery = self._outbox.last_to(channel, theirs, now_ms - TEXT_WITHIN_MS)
        if delivery is None:
            log.warning("answering.text_about_nothing", channel=channel)
            return
        self._do(self._outbox.alert_of(delivery), delivery, said.action, channel, now_ms)
        if once:
            self._uses.note(
                once, alert_id=delivery.alert_id, action=said.action, recipient=delivery.recipient, now_ms=now_ms
            )

    def _do(self, alert: Alert, delivery: Delivery, action: LinkAction, via: str, now_ms: int) -> None:
        """Does what a telephone answered, unless it answered an earlier fire; what the desk refuses is only noted."""
        actor = self.who(delivery.recipient, alert, via=via)
        if actor is None or not alert.live or alert.test or delivery.created_at_ms < since_ms(alert):
            log.warning("answering.too_late", alert=alert.id, action=action, via=via)
            return
        reason = REASON_BY_TELEPHONE if action == "false_alarm" else ""
        try:
            self.act(alert.id, action, actor, now_ms, reason=reason)
        except (IllegalAction, NotAllowed, NotFound) as refused:
            log.warning("answering.refused", alert=alert.id, action=action, via=via, reason=str(refused))

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
