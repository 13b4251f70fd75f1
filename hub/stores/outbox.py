"""The outbox: deliveries waiting to be sent. Couriers lease them, send, and write down what is known.

A delivery is queued → sending → accepted (or sent, when the receiver only did not refuse) → delivered → read; or failed,
or cancelled because nobody needs it any more. A lease that runs out gives it back: a courier that died repeats at most
what it had begun.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, insert, or_, select, text, update

from hub.errors import NotFound
from hub.model.alerts import Alert
from hub.model.deliveries import Delivery, NewDelivery
from hub.stores.alert_rows import add_deliveries, alert_of, upsert
from hub.stores.ledger import Ledger
from hub.stores.schema import alerts, deliveries, hubs, sends

BEGUN_LEASE_MS = 60_000
_SENDS_LOCK = 0x67726903
_MOST_LOOKED_AT = 2_000

_COLUMNS = (
    "id", "alert_id", "transition", "recipient", "channel", "target", "locale", "severity", "due_at_ms", "attempts",
    "needed_while", "created_at_ms", "about",
)  # fmt: skip
_WAITING = ("queued", "sending")
_NO_LEASE: dict[str, Any] = {"lease_owner": None, "lease_until_ms": None}
_id = deliveries.c.id


class Outbox:
    """Thread-safe. Every method is one transaction, and raises `Unavailable` while the ledger is away.

    `server_time`: leases, beats and sends are timed by the database's clock, where it has one of its own: hubs whose clocks
    differ must not take work from each other. Else, and in tests, by the time that the caller gives.
    """

    def __init__(self, ledger: Ledger, *, server_time: bool = False) -> None:
        self._ledger = ledger
        self._server_time = server_time and not ledger.is_sqlite

    @property
    def is_shared(self) -> bool:
        """Whether other hubs may be working on this ledger."""
        return not self._ledger.is_sqlite

    def claim(
        self,
        now_ms: int,
        owner: str,
        *,
        limit: int,
        lease_ms: int,
        busy: Iterable[tuple[str, str]] = (),
        fires_only: Iterable[tuple[str, str]] = (),
    ) -> list[Delivery]:
        """Leases due deliveries to `owner` until `now_ms + lease_ms`: the most severe first, then the longest due.

        Nobody else gets them before the lease ends. `busy` names (channel, target) lanes that should get no more for now,
        `fires_only` those that should get P1 and nothing else.
        """
        statement = select(*(deliveries.c[name] for name in _COLUMNS)).where(
            deliveries.c.due_at_ms <= now_ms, _in_order()
        )
        for channel, target in busy:
            statement = statement.where((deliveries.c.channel != channel) | (deliveries.c.target != target))
        for channel, target in fires_only:
            elsewhere = (deliveries.c.channel != channel) | (deliveries.c.target != target)
            statement = statement.where(elsewhere | (deliveries.c.severity == "P1"))
        statement = statement.order_by(deliveries.c.severity, deliveries.c.due_at_ms, _id).limit(limit)
        with self._ledger.begin() as connection:
            time_ms = self._time(connection, now_ms)
            free = statement.where(*_free(time_ms)).with_for_update(skip_locked=True, of=deliveries)
            rows = connection.execute(free).all()
            if rows:
                lease = update(deliveries).where(_id.in_([row.id for row in rows]))
                connection.execute(lease.values(lease_owner=owner, lease_until_ms=time_ms + lease_ms))
        return [Delivery(**row._mapping) for row in rows]

    def begin_send(
        self, delivery_id: int, now_ms: int, *, owner: str | None = None, lease_ms: int = BEGUN_LEASE_MS
    ) -> bool:
        """Notes that sending begins now, and extends the lease. False: do not send, it is cancelled, done or not ours.

        Call it right before the send: whether it is still wanted is decided here, at the last moment.
        """
        mine: list[ColumnElement[bool]] = [deliveries.c.state.in_(_WAITING), deliveries.c.lease_owner.is_not(None)]
        if owner is not None:
            mine.append(deliveries.c.lease_owner == owner)
        with self._ledger.begin() as connection:
            begun = connection.execute(
                update(deliveries)
                .where(_id == delivery_id, *mine)
                .values(
                    state="sending",
                    sent_at_ms=now_ms,
                    attempts=deliveries.c.attempts + 1,
                    lease_until_ms=self._time(connection, now_ms) + lease_ms,
                )
            )
            return begun.rowcount == 1

    def accepted(self, delivery_id: int, receipt: str, now_ms: int, *, verified: bool = True) -> None:
        """The receiver took it. Not `verified`: it only did not refuse, so all that is known is that it was sent."""
        values = {"accepted_at_ms": now_ms} if verified else {}
        self._set(
            delivery_id,
            _WAITING,
            state="accepted" if verified else "sent",
            receipt=_short(receipt),
            **values,
            **_NO_LEASE,
        )

    def accepted_all(self, delivery_ids: Sequence[int], receipt: str, now_ms: int, *, owner: str) -> None:
        """As `begin_send` and `accepted` for each: for a receiver that takes everything at once, such as the console."""
        if not delivery_ids:
            return
        with self._ledger.begin() as connection:
            connection.execute(
                update(deliveries)
                .where(_id.in_(delivery_ids), deliveries.c.state.in_(_WAITING), deliveries.c.lease_owner == owner)
                .values(
                    state="accepted",
                    receipt=_short(receipt),
                    attempts=deliveries.c.attempts + 1,
                    sent_at_ms=now_ms,
                    accepted_at_ms=now_ms,
                    **_NO_LEASE,
                )
            )

    def delivered(self, delivery_id: int, now_ms: int) -> None:
        """The receiver reports that it reached the person's device."""
        self._set(
            delivery_id,
            ("sending", "sent", "accepted"),
            state="delivered",
            accepted_at_ms=func.coalesce(deliveries.c.accepted_at_ms, now_ms),
            delivered_at_ms=now_ms,
        )

    def read(self, delivery_id: int, now_ms: int) -> None:
        """The person has seen it. The first time counts."""
        self._set(delivery_id, ("sending", "sent", "accepted", "delivered"), state="read", read_at_ms=now_ms)

    def has_unread(self, alert_id: str, recipient: str) -> bool:
        """Whether `read_by` would change anything."""
        statement = select(_id).where(deliveries.c.alert_id == alert_id, deliveries.c.recipient == recipient)
        with self._ledger.read() as connection:
            unread = statement.where(deliveries.c.state.in_(("sent", "accepted", "delivered"))).limit(1)
            return connection.execute(unread).first() is not None

    def read_by(self, alert_id: str, recipient: str, now_ms: int) -> int:
        """`recipient` has seen the alert, so all that they were sent of it is read. Returns how many; the first time counts."""
        with self._ledger.begin() as connection:
            return connection.execute(
                update(deliveries)
                .where(deliveries.c.alert_id == alert_id, deliveries.c.recipient == recipient)
                .where(deliveries.c.state.in_(("sent", "accepted", "delivered")))
                .values(state="read", read_at_ms=now_ms)
            ).rowcount

    def postpone(self, delivery_id: int, due_at_ms: int, reason: str) -> None:
        """Not now: due again at `due_at_ms`."""
        self._set(delivery_id, _WAITING, state="queued", due_at_ms=due_at_ms, reason=_short(reason), **_NO_LEASE)

    def give_up(self, delivery_id: int, reason: str, now_ms: int) -> None:
        """Refused for good."""
        del now_ms  # kept in the interface beside the others; the time of the last try is in sent_at_ms
        self._set(delivery_id, _WAITING, state="failed", reason=_short(reason), **_NO_LEASE)

    def cancel(self, delivery_id: int, reason: str, now_ms: int) -> None:
        """Nobody needs it any more."""
        del now_ms
        self._set(delivery_id, _WAITING, state="cancelled", reason=_short(reason), **_NO_LEASE)

    def add(self, new: Sequence[NewDelivery], now_ms: int) -> None:
        """Queues further deliveries of known alerts, e.g. for the next channel. One that exists already stays as it is."""
        if not new:
            return
        with self._ledger.begin() as connection:
            ids = sorted({each.alert_id for each in new})
            severities = dict(
                tuple(row)
                for row in connection.execute(select(alerts.c.id, alerts.c.severity).where(alerts.c.id.in_(ids)))
            )
            for each in new:
                if each.alert_id not in severities:
                    raise NotFound(f"there is no alert {each.alert_id!r}")
            add_deliveries(connection, [new_row(each, severities[each.alert_id], now_ms) for each in new])

    def alert_of(self, delivery: Delivery) -> Alert:
        """The alert as it is now: look whether it still needs the delivery."""
        with self._ledger.read() as connection:
            return alert_of(connection.execute(select(alerts).where(alerts.c.id == delivery.alert_id)).one())

    def next_due_ms(self) -> int | None:
        """The earliest time at which `claim` would find something; None when nothing waits."""
        with self._ledger.read() as connection:
            return _next_due(connection)

    def release(self, owner: str, now_ms: int, *, begun: bool = False) -> int:
        """Gives back what `owner` has leased and not begun to send; for a clean stop. Returns how many.

        With `begun` also what it had begun: for a start, when `owner` is known to be of an earlier life.
        """
        del now_ms
        states = _WAITING if begun else ("queued",)
        return self._give_back(deliveries.c.lease_owner == owner, deliveries.c.state.in_(states))

    def release_expired(self, now_ms: int) -> int:
        """Puts back what a dead courier had leased or begun. `claim` takes such rows anyway. Returns how many."""
        return self._give_back(deliveries.c.state.in_(_WAITING), deliveries.c.lease_until_ms <= now_ms)

    # -- what telephones report ------------------------------------------------------------------------------------------

    def by_receipt(self, channel: str, receipt: str) -> Delivery | None:
        """The delivery that a service took under `receipt`; None when there is none (any more)."""
        statement = select(*(deliveries.c[name] for name in _COLUMNS))
        statement = statement.where(
            deliveries.c.channel == channel, deliveries.c.receipt == receipt, deliveries.c.channel.in_(("sms", "voice"))
        )
        with self._ledger.read() as connection:
            row = connection.execute(statement.order_by(_id.desc()).limit(1)).first()
        return None if row is None else Delivery(**row._mapping)

    def last_to(self, channel: str, is_theirs: Callable[[str], bool], since_ms: int) -> Delivery | None:
        """The newest delivery about a live alert that a service took for a target that `is_theirs`, not older than `since_ms`."""
        statement = (
            select(*(deliveries.c[name] for name in _COLUMNS))
            .join(alerts, alerts.c.id == deliveries.c.alert_id)
            .where(
                alerts.c.live, ~alerts.c.test, deliveries.c.channel == channel, deliveries.c.created_at_ms >= since_ms
            )
            .where(deliveries.c.state.in_(("sent", "accepted", "delivered", "read")), deliveries.c.about.is_(None))
            .order_by(_id.desc())
            .limit(_MOST_LOOKED_AT)
        )
        with self._ledger.read() as connection:
            rows = connection.execute(statement).all()
        return next((Delivery(**row._mapping) for row in rows if is_theirs(row.target)), None)

    def not_delivered(self, delivery_id: int, reason: str) -> bool:
        """The service took it, and reports that it did not reach the telephone. False when more is known already."""
        with self._ledger.begin() as connection:
            lost = update(deliveries).where(_id == delivery_id, deliveries.c.state.in_(("sent", "accepted")))
            return connection.execute(lost.values(state="failed", reason=_short(reason))).rowcount == 1

    # -- with other hubs ------------------------------------------------------------------------------------------------

    def beat(self, owner: str, now_ms: int) -> None:
        """`owner` is alive. Called each second, while it is."""
        with self._ledger.begin() as connection:
            row = {"owner": owner, "seen_at_ms": self._time(connection, now_ms)}
            new = upsert(connection, hubs)
            connection.execute(
                new.on_conflict_do_update(index_elements=["owner"], set_={"seen_at_ms": row["seen_at_ms"]}), [row]
            )

    def take_over(self, now_ms: int, *, silent_ms: int) -> dict[str, int]:
        """Gives back what hubs had claimed that were not heard of for `silent_ms`: owner → how many. What they had begun too."""
        with self._ledger.begin() as connection:
            since_ms = self._time(connection, now_ms) - silent_ms
            dead = connection.execute(select(hubs.c.owner).where(hubs.c.seen_at_ms < since_ms)).scalars().all()
            found: dict[str, int] = {}
            for owner in sorted(dead):
                theirs = (deliveries.c.lease_owner == owner, deliveries.c.state.in_(_WAITING))
                back = update(deliveries).where(*theirs).values(state="queued", **_NO_LEASE)
                found[owner] = connection.execute(back).rowcount
                connection.execute(hubs.delete().where(hubs.c.owner == owner, hubs.c.seen_at_ms < since_ms))
            return found

    def reserve(
        self,
        channel: str,
        target: str,
        now_ms: int,
        *,
        keep_ms: int,
        wait_s: Callable[[Sequence[float]], float],
    ) -> tuple[float, list[float]]:
        """Takes one of the messages that a receiver with limits gets, counted over all hubs together.

        `wait_s` is given how many seconds ago each was sent in the last `keep_ms`, the oldest first, and says how long to wait;
        at 0 this one is counted as sent now. Returns the wait and the ages.
        """
        of_it = (sends.c.channel == channel, sends.c.target == target)
        with self._ledger.begin() as connection:
            if not self._ledger.is_sqlite:
                key = func.hashtext(f"{channel} {target}")
                connection.execute(select(func.pg_advisory_xact_lock(_SENDS_LOCK, key)))
            time_ms = self._time(connection, now_ms)
            connection.execute(sends.delete().where(*of_it, sends.c.at_ms < time_ms - keep_ms))
            at_ms = connection.execute(select(sends.c.at_ms).where(*of_it).order_by(sends.c.at_ms)).scalars()
            ages = [max((time_ms - each) / 1_000, 0.0) for each in at_ms]
            wait = wait_s(ages)
            if wait <= 0:
                connection.execute(insert(sends), [{"channel": channel, "target": target, "at_ms": time_ms}])
            return wait, ages

    def _time(self, connection: Connection, now_ms: int) -> int:
        if not self._server_time:
            return now_ms
        return int(
            connection.execute(text("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")).scalar_one()
        )

    def waiting_for(self, channel: str, target: str, *, after_id: int, limit: int) -> list[Delivery]:
        """Fires and urgent deliveries (P1, P2) that wait for one receiver, with ids above `after_id`, in that order."""
        statement = (
            select(*(deliveries.c[name] for name in _COLUMNS))
            .where(deliveries.c.state == "queued", deliveries.c.channel == channel, deliveries.c.target == target)
            .where(deliveries.c.severity.in_(("P1", "P2")), _id > after_id)
            .order_by(_id)
            .limit(limit)
        )
        with self._ledger.read() as connection:
            return [Delivery(**row._mapping) for row in connection.execute(statement)]

    def waiting(self) -> dict[str, int]:
        """How many deliveries wait, by channel."""
        statement = select(deliveries.c.channel, func.count()).where(deliveries.c.state.in_(_WAITING))
        with self._ledger.read() as connection:
            return dict(tuple(row) for row in connection.execute(statement.group_by(deliveries.c.channel)))

    def _give_back(self, *where: ColumnElement[bool]) -> int:
        with self._ledger.begin() as connection:
            return connection.execute(update(deliveries).where(*where).values(state="queued", **_NO_LEASE)).rowcount

    def _set(self, delivery_id: int, only_from: tuple[str, ...], /, **values: Any) -> None:
        with self._ledger.begin() as connection:
            connection.execute(
                update(deliveries).where(_id == delivery_id, deliveries.c.state.in_(only_from)).values(**values)
            )


def new_row(new: NewDelivery, severity: str, now_ms: int) -> dict[str, Any]:
    """The outbox row of a new delivery."""
    return {
        "alert_id": new.alert_id,
        "transition": new.transition,
        "recipient": new.recipient,
        "channel": new.channel,
        "target": new.target,
        "locale": new.locale,
        "severity": severity,
        "needed_while": new.needed_while,
        "state": "queued",
        "attempts": 0,
        "created_at_ms": now_ms,
        "due_at_ms": new.due_at_ms,
        "about": new.about or None,
    }


def _free(now_ms: int) -> tuple[ColumnElement[bool], ...]:
    """Waiting, and leased by nobody."""
    return (
        deliveries.c.state.in_(_WAITING),
        or_(deliveries.c.lease_until_ms.is_(None), deliveries.c.lease_until_ms <= now_ms),
    )


def _in_order() -> ColumnElement[bool]:
    """News that it is over waits until what was to be said before it has been said, or is no longer needed."""
    earlier = deliveries.alias("earlier")
    same = (earlier.c[name] == deliveries.c[name] for name in ("alert_id", "recipient", "channel"))
    before = select(earlier.c.id).where(*same, earlier.c.id < _id, earlier.c.state.in_(_WAITING)).exists()
    over = or_(deliveries.c.transition.like("cleared%"), deliveries.c.transition.like("closed%"))
    return or_(~over, ~before)


def _next_due(connection: Connection) -> int | None:
    """A row is free at its due time, or when its lease ends, whichever is later."""
    lease = func.coalesce(deliveries.c.lease_until_ms, deliveries.c.due_at_ms)
    due = deliveries.c.due_at_ms
    free_at = func.min(func.max(lease, due) if connection.dialect.name == "sqlite" else func.greatest(lease, due))
    found = connection.execute(select(free_at).where(deliveries.c.state.in_(_WAITING))).scalar()
    return None if found is None else int(found)


def _short(text: str) -> str:
    """As every database takes it: a receiver may answer with anything."""
    return text.replace("\x00", "")[:500].encode("utf-8", "replace").decode()
