"""Carries what is due in the outbox to the channels, and writes down what is known afterwards.

One lane (a thread) per channel and target, one send in flight in each: a slow receiver delays only itself. Near receivers
take turns over all lanes, so that a crash repeats at most one notification.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

from hub.clock import Clock, monotonic_s
from hub.dispatch.channels.channel import Channel
from hub.dispatch.channels.console import Console
from hub.dispatch.lane import Lane, Result
from hub.dispatch.messages import bare, shown
from hub.dispatch.pace import HAND_ON_AFTER, Pace, Spent, not_needed
from hub.dispatch.turn import Turn
from hub.errors import Unavailable
from hub.loops import Loop, backoff_s
from hub.model.alerts import Alert
from hub.model.deliveries import Delivery, Message, NewDelivery, Outcome, Refused, Retry, Sent
from hub.stores.outbox import Outbox
from hub.telemetry import ALARM_LATENCY, DELIVERIES, LOOP_ERRORS, log

POLL_S = 0.25
"""How long at most a delivery waits that nobody announced: one whose lease ended, or that another process wrote."""

SEND_LIMIT_S = 10.0
LEASE_MS = 5_000
"""What a crash had claimed waits for this long at most. A lane that is slower keeps its place: it is leased again."""

BEGUN_LEASE_MS = int(SEND_LIMIT_S * 1_000) + 3_000
BEAT_S = 0.8
SILENT_MS = 3_200
"""A hub that was not heard of for so long is dead: the others take over what it had claimed, within five seconds in all."""

_CLAIM = 64
_BUSY = 4
"""With so much inside, a lane gets nothing more but fires: what waits in the table can be overtaken, or taken by another hub."""

_FULL = 8
"""With so many fires inside it gets nothing more at all."""

_BEFORE_THE_WAIT_MS = 5_000


class Courier:
    """Thread-safe. `wake()` is what the desk calls after a commit: what is due is sent at once, not at the next poll.

    `compose` makes the message at the moment of sending; `instead` names what is due next when a delivery does not get
    through. `owner` is this hub's name among those that share the ledger: unique, and best the same after a restart, for
    then what a crash left half done is taken up at once and not when its lease ends.
    """

    def __init__(
        self,
        outbox: Outbox,
        channels: Mapping[str, Channel],
        compose: Callable[[Alert, Delivery, int], Message],
        clock: Clock,
        owner: str,
        *,
        instead: Callable[[Alert, Delivery, int], Sequence[NewDelivery]] = lambda alert, delivery, now_ms: (),
        pace: Pace | None = None,
    ) -> None:
        self._outbox = outbox
        self._channels = dict(channels)
        self._compose = compose
        self._clock = clock
        self._owner = owner
        self._instead = instead
        self._pace = pace or Pace()
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._spent: dict[tuple[str, str], Spent] = {}
        self._spending = threading.Lock()  # not the guard: a lane asks while it is being asked by who holds that one
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._taken_up = False
        self._turn = Turn()
        self._handed_on: dict[tuple[str, str], int] = {}  # receiver → the last delivery whose next channel was made due
        self._loop = Loop("courier", self._hand_out)
        self._beating_since_s: float | None = None
        self._beat_loop = Loop("courier-beat", self._beat)

    def start(self) -> Courier:
        self._loop.start()
        if self._outbox.is_shared:
            self._beat_loop.start()
        return self

    def wake(self) -> None:
        """Something may be due. Returns at once, from any thread."""
        self._loop.wake()

    def stop(self, *, timeout_s: float = 2.0) -> None:
        """Ends within `timeout_s`: nothing new is begun; a send that does not end in half of it is cut off and repeated later."""
        began_s = monotonic_s()
        self._stop.set()
        self._beat_loop.stop(timeout_s=timeout_s / 8)
        self._loop.stop(timeout_s=timeout_s / 4)
        with self._guard:
            lanes = list(self._lanes.values())
        for lane in lanes:
            lane.ask_to_end()
        for lane in lanes:
            lane.join(began_s + timeout_s / 2 - monotonic_s())
        for channel in self._channels.values():
            channel.close()
        left_over = [lane.name for lane in lanes if not lane.join(began_s + timeout_s * 0.9 - monotonic_s())]
        if left_over:
            log.warning("courier.lanes_did_not_end", lanes=left_over)
        try:
            self._outbox.release(self._owner, self._clock())
        except Unavailable as away:
            log.warning("courier.not_released", reason=str(away))  # the leases run out by themselves

    @property
    def alive(self) -> bool:
        return self._loop.alive

    def trouble(self) -> dict[str, str]:
        """For the health page: lane → why its last send failed. Empty when all goes well."""
        with self._guard:
            return {lane.name: lane.trouble for lane in self._lanes.values() if lane.trouble}

    def _beat(self) -> float:
        """Says that this hub is alive, and takes over from hubs that are not. A thread of its own: no receiver holds it up.

        Only who was heard of for a while itself may find others silent: after an outage of the ledger all of them are.
        """
        try:
            self._outbox.beat(self._owner, self._clock())
            now_s = monotonic_s()
            if self._beating_since_s is None:
                self._beating_since_s = now_s
            if (now_s - self._beating_since_s) * 1_000 > SILENT_MS:
                taken = self._outbox.take_over(self._clock(), silent_ms=SILENT_MS)
                if any(taken.values()):
                    log.warning("courier.took_over", **{"from": sorted(taken), "deliveries": sum(taken.values())})
                    self._loop.wake()
        except Unavailable:
            self._beating_since_s = None
            raise
        return BEAT_S

    def _hand_out(self) -> float:
        now_ms = self._clock()
        if not self._taken_up:
            self._outbox.release(self._owner, now_ms, begun=True)  # of this hub's life before, which is over
            self._taken_up = True
        busy, full = self._crowded()
        claimed = self._outbox.claim(now_ms, self._owner, limit=_CLAIM, lease_ms=LEASE_MS, busy=full, fires_only=busy)
        instant: list[Delivery] = []
        for delivery in claimed:
            if isinstance(self._channels.get(delivery.channel), Console):
                instant.append(delivery)
            else:
                self._give(delivery)
        self._show(instant)
        self._pass_by_the_resting()
        return 0.0 if len(claimed) >= _CLAIM else POLL_S

    def _show(self, deliveries: list[Delivery]) -> None:
        """Accepts what is for consoles, together: the alert is stored, so it is on the page; there is nobody to wait for."""
        now_ms = self._clock()
        self._outbox.accepted_all([d.id for d in deliveries], Console.RECEIPT, now_ms, owner=self._owner)
        for delivery in deliveries:
            self._count(delivery, "accepted")
        for raised in {d.alert_id: d for d in deliveries if _is_raised(d)}.values():
            self._observe(self._outbox.alert_of(raised), raised, now_ms)

    def _crowded(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        with self._guard:
            for key in [key for key, lane in self._lanes.items() if lane.ended]:
                del self._lanes[key]
            with self._spending:
                for key in [key for key in self._spent if key not in self._lanes]:
                    if self._spent[key].is_idle(monotonic_s()):
                        del self._spent[key]
            busy = [key for key, lane in self._lanes.items() if lane.depth >= _BUSY]
            for key in busy:
                self._lanes[key].refusing = True
            return busy, [key for key in busy if self._lanes[key].fires >= _FULL]

    def _give(self, delivery: Delivery) -> None:
        key = (delivery.channel, delivery.target)
        with self._guard:
            lane = self._lanes.get(key)
            if lane is None or not lane.offer(delivery):
                name = f"{delivery.channel} {shown(delivery.target)}".rstrip()
                lane = self._lanes[key] = Lane(name, self._deliver, self._loop.wake, hold=self._hold)
                lane.offer(delivery)

    def _pass_by_the_resting(self) -> None:
        """Fires whose receiver is known to take nothing for a while go another way, without having been tried."""
        with self._guard:
            resting = [
                key for key, lane in self._lanes.items() if lane.rests_s * 1_000 > _BEFORE_THE_WAIT_MS and lane.fires
            ]
        for key in resting:
            self._hand_on_all_behind(*key)

    def _hold(self, delivery: Delivery) -> float:
        """Seconds for which a lesser delivery waits in its lane, so that the share of its receiver for fires is kept."""
        return 0.0 if delivery.severity == "P1" else self._spent_on(delivery).wait_s(delivery.severity, monotonic_s())

    def _spent_on(self, delivery: Delivery) -> Spent:
        key = (delivery.channel, delivery.target)
        with self._spending:
            found = self._spent.get(key)
            if found is None:
                channel = self._channels.get(delivery.channel)
                found = self._spent[key] = Spent(channel.limits if channel is not None else ())
            return found

    def _deliver(self, delivery: Delivery, failures: int) -> Result:
        """One try, in the lane's thread. Looks first whether the delivery is still wanted."""
        alert = self._outbox.alert_of(delivery)
        now_ms = self._clock()
        unwanted = not_needed(alert, delivery.needed_while)
        if unwanted:
            self._outbox.cancel(delivery.id, unwanted, now_ms)
            self._count(delivery, "cancelled")
            return Result()
        channel = self._channels.get(delivery.channel)
        needs_turn = channel is not None and not channel.idempotent
        with self._turn.of((delivery.channel, delivery.target), delivery.severity, needed=needs_turn) as holding:
            message = self._message(alert, delivery, now_ms)
            with holding.noting():
                begun = self._outbox.begin_send(delivery.id, now_ms, owner=self._owner, lease_ms=BEGUN_LEASE_MS)
            if not begun:
                return Result()  # cancelled a moment ago, or another hub has it
            with holding.sending():
                outcome = self._send(channel, delivery, message)
            now_ms = self._clock()
            if isinstance(outcome, Sent):
                verified, receipt = outcome.verified, outcome.receipt
                self._note(lambda: self._outbox.accepted(delivery.id, receipt, now_ms, verified=verified))
        match outcome:
            case Sent():
                self._count(delivery, "accepted" if outcome.verified else "sent")
                if _is_raised(delivery):
                    self._observe(alert, delivery, now_ms)
                return Result()
            case Retry() as retry if not self._pace.is_over(alert, delivery, now_ms):
                return self._later(alert, delivery, retry, failures, now_ms)
            case Retry(_, reason):
                self._give_up(alert, delivery, f"given up after {delivery.attempts + 1} tries: {reason}", now_ms)
                return Result(self._pace.rest_s(failures, outcome), reason)
            case Refused(reason):
                self._give_up(alert, delivery, reason, now_ms)
                return Result(0.0, reason)

    def _send(self, channel: Channel | None, delivery: Delivery, message: Message) -> Outcome:
        if channel is None:
            return Refused(f"this hub has no channel {delivery.channel!r}")
        if (wait_s := self._reserve(delivery)) > 0:
            return Retry(wait_s, f"the receiver has had as many messages as {delivery.channel} takes for it")
        try:
            return channel.send(delivery.target, message, timeout_s=SEND_LIMIT_S)
        except Exception as error:  # a channel must not raise; if it does, the alarm is still owed
            LOOP_ERRORS.labels(loop="courier.channel").inc()
            log.exception("courier.channel_raised", channel=delivery.channel, delivery=delivery.id)
            return Retry(0.0, f"the channel failed: {type(error).__name__}")

    def _reserve(self, delivery: Delivery) -> float:
        """Seconds to wait because the receiver has had enough, of this hub and all others; at 0 this message is counted."""
        spent, severity = self._spent_on(delivery), delivery.severity
        if not spent.limited:
            return 0.0
        if (wait_s := spent.wait_s(severity, monotonic_s())) > 0:
            return wait_s
        try:
            wait_s, ages_s = self._outbox.reserve(
                delivery.channel,
                delivery.target,
                self._clock(),
                keep_ms=spent.keep_ms,
                wait_s=lambda ages: spent.room_in_s(severity, ages),
            )
            spent.learn(ages_s, monotonic_s())
        except Unavailable:  # what this hub knows by itself must do: an alarm does not wait for a count
            wait_s = 0.0
        if wait_s <= 0:
            spent.spend(monotonic_s())
        return wait_s

    def _message(self, alert: Alert, delivery: Delivery, now_ms: int) -> Message:
        try:
            return self._compose(alert, delivery, now_ms)
        except Exception:  # a plain message is better than none
            LOOP_ERRORS.labels(loop="courier.compose").inc()
            log.exception("courier.compose_failed", alert=alert.id, delivery=delivery.id)
            return bare(alert, delivery)

    def _later(self, alert: Alert, delivery: Delivery, retry: Retry, failures: int, now_ms: int) -> Result:
        tried = delivery.attempts + 1
        again_ms = now_ms + int(self._pace.again_in_s(alert, delivery.attempts, retry) * 1_000)
        self._note(lambda: self._outbox.postpone(delivery.id, again_ms, retry.reason))
        self._count(delivery, "retry")
        if not self._stop.is_set():
            log.warning(
                "courier.retry", alert=alert.id, delivery=delivery.id, channel=delivery.channel, target=shown(delivery.target),
                tried=tried, reason=retry.reason, again_in_s=round((again_ms - now_ms) / 1_000, 1),
            )  # fmt: skip
            long_wait = retry.after_s * 1_000 > _BEFORE_THE_WAIT_MS
            if tried == HAND_ON_AFTER or long_wait:
                self._hand_on((delivery, alert))
            if failures + 1 >= HAND_ON_AFTER or long_wait:
                self._hand_on_all_behind(delivery.channel, delivery.target)
        return Result(self._pace.rest_s(failures, retry), retry.reason)

    def _give_up(self, alert: Alert, delivery: Delivery, reason: str, now_ms: int) -> None:
        # First what replaces it: a crash in between repeats an addition that the outbox knows, and loses nothing.
        self._hand_on((delivery, alert))
        self._note(lambda: self._outbox.give_up(delivery.id, reason, now_ms))
        self._count(delivery, "failed")
        log.error(
            "courier.gave_up", alert=alert.id, delivery=delivery.id, channel=delivery.channel, target=shown(delivery.target),
            recipient=delivery.recipient, reason=reason,
        )  # fmt: skip

    def _hand_on_all_behind(self, channel: str, target: str) -> None:
        """The same for every fire and urgent alert that waits for this receiver: each once, whether it was tried or not."""
        key = (channel, target)
        waiting = self._outbox.waiting_for(channel, target, after_id=self._handed_on.get(key, 0), limit=_CLAIM)
        if waiting:
            self._hand_on(*((each, None) for each in waiting))
            self._handed_on[key] = waiting[-1].id

    def _hand_on(self, *deliveries: tuple[Delivery, Alert | None]) -> None:
        """Makes the next channel due, also while the first one is still being tried."""
        now_ms = self._clock()
        following: list[NewDelivery] = []
        for delivery, known in deliveries:
            alert = known or self._outbox.alert_of(delivery)
            try:
                following += self._instead(alert, delivery, now_ms)
            except Exception:  # the delivery itself goes on
                LOOP_ERRORS.labels(loop="courier.instead").inc()
                log.exception("courier.instead_failed", alert=alert.id, delivery=delivery.id)
        if following:
            self._note(lambda: self._outbox.add(following, now_ms))
            self._loop.wake()

    def _note(self, write: Callable[[], None]) -> None:
        """Writes down what has happened, with patience while the ledger is away: what is not written would be sent again."""
        attempt = 0
        while True:
            try:
                write()
                return
            except Unavailable as away:
                if self._stop.wait(min(max(away.after_s, backoff_s(attempt)), 1.0)):
                    raise
                attempt += 1

    def _observe(self, alert: Alert, delivery: Delivery, now_ms: int) -> None:
        if not alert.test:
            ALARM_LATENCY.labels(channel=delivery.channel).observe((now_ms - alert.received_at_ms) / 1_000)

    def _count(self, delivery: Delivery, outcome: str) -> None:
        DELIVERIES.labels(channel=delivery.channel, outcome=outcome).inc()


def _is_raised(delivery: Delivery) -> bool:
    return delivery.transition.split(":")[0] == "raised"
