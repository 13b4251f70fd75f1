"""Live updates: one reader of the ledger for all clients, and for each client a bounded queue and a place to resume from.

A client that falls behind, or whose hub restarts, comes back with its last change and misses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from fastapi.concurrency import run_in_threadpool
from sse_starlette import ServerSentEvent

from hub.api.parts import ChangeNotifier, PartHealth
from hub.api.wire import AlertOut, Beat, HubState, Trouble
from hub.clock import Clock
from hub.errors import Unavailable
from hub.model.alerts import Actor, Alert
from hub.stores.alert_queries import AlertQueries
from hub.telemetry import LOOP_ERRORS, log

BEAT_S = 5.0
"""A client hears something at least this often, so that it can tell a quiet hub from a dead line."""
POLL_S = 1.0
"""Changes that another hub made, or whose signal was lost, are found after this time."""
RECHECK_S = 60.0
"""How soon a revoked token or ended session loses its stream."""
PAGE = 500
QUEUE = 1_000

EVERYTHING = Actor(id="stream", name="stream", role="admin", grids=("*",), stations=("*",))


@dataclass(frozen=True, slots=True)
class Change:
    """One changed alert, written out once for all clients."""

    number: int
    alert: Alert
    data: str


@dataclass(eq=False, slots=True)
class Client:
    """One open stream. None in the queue ends it; `lost` = the queue overflowed: the client must come back and resume."""

    actor: Actor
    queue: asyncio.Queue[Change | None] = field(default_factory=lambda: asyncio.Queue(QUEUE))
    lost: bool = False

    def offer(self, change: Change) -> None:
        if not self.actor.may_see(change.alert.grid, change.alert.station):
            return
        try:
            self.queue.put_nowait(change)
        except asyncio.QueueFull:
            self.lost = True

    def end(self) -> None:
        self.lost = True
        if self.queue.empty():
            self.queue.put_nowait(None)


class Broadcast:
    """Reads changes once and hands them to every open stream. Lives in the event loop of the web server.

    Reads the ledger only while somebody listens.
    """

    def __init__(
        self,
        queries: AlertQueries,
        notifier: ChangeNotifier,
        health: Callable[[], Mapping[str, PartHealth]],
        clock: Clock,
        write_out: Callable[[Sequence[Alert]], list[AlertOut]],
    ) -> None:
        self._queries, self._notifier, self._health, self._clock = queries, notifier, health, clock
        self._write_out = write_out
        self._clients: set[Client] = set()
        self._reader: asyncio.Task[None] | None = None
        self._read_to = 0
        self._blind = False  # the ledger cannot be read: what the clients see may be old
        self._state: tuple[int, HubState | None] = (0, None)

    @property
    def clients(self) -> int:
        return len(self._clients)

    async def stream(
        self, actor: Actor, now: int, resume: int | None, still: Callable[[], Actor | None]
    ) -> AsyncIterator[ServerSentEvent]:
        """What `actor` may see, until the hub stops or `still()` gives None.

        From change `resume` on (None = from `now`, the last change when the client came). Ends early when the ledger is
        away while catching up, or the client is too slow: it then comes back and resumes.
        """
        client = Client(actor)
        self._clients.add(client)
        try:
            self._start(now)
            yield ServerSentEvent(event="hello", data=await self._said())
            # What happens from here on waits in the queue, so catching up may say something twice but misses nothing.
            sent = now if resume is None else min(resume, now)
            while True:
                missed = await run_in_threadpool(self._queries.changed_since, sent, scope=actor, limit=PAGE)
                for change in await run_in_threadpool(self._changes, missed):
                    sent = max(sent, change.number)
                    yield _event(change)
                if len(missed) < PAGE:
                    break
            async for event in self._live(client, still):
                yield event
        except Unavailable as away:
            log.warning("stream.unavailable", reason=str(away))
        finally:
            self._clients.discard(client)

    async def _live(self, client: Client, still: Callable[[], Actor | None]) -> AsyncIterator[ServerSentEvent]:
        loop = asyncio.get_running_loop()
        checked_s = loop.time()
        while not self._notifier.closed and not client.lost:
            if loop.time() - checked_s >= RECHECK_S:
                checked_s = loop.time()
                actor = await self._still(client.actor, still)
                if actor is None:
                    yield ServerSentEvent(event="signed-out", data="{}")
                    return
                client.actor = actor
            try:
                change = await asyncio.wait_for(client.queue.get(), BEAT_S)
            except TimeoutError:
                yield ServerSentEvent(event="beat", data=await self._said())
                continue
            if change is None:
                return
            yield _event(change)

    @staticmethod
    async def _still(actor: Actor, still: Callable[[], Actor | None]) -> Actor | None:
        try:
            return await run_in_threadpool(still)
        except Unavailable:  # the ledger is away: nobody is thrown out for that
            return actor

    def _start(self, now: int) -> None:
        loop = asyncio.get_running_loop()
        if self._reader is None or self._reader.done() or self._reader.get_loop() is not loop:
            self._read_to = now
            self._reader = loop.create_task(self._read(), name="broadcast")

    async def _read(self) -> None:
        loop, wake = asyncio.get_running_loop(), asyncio.Event()

        def woken() -> None:
            try:
                loop.call_soon_threadsafe(wake.set)
            except RuntimeError:  # the loop closed between two changes: nobody listens any more
                pass

        stop = self._notifier.listen(woken)
        try:
            while self._clients and not self._notifier.closed:
                await self._step()
                try:
                    await asyncio.wait_for(wake.wait(), POLL_S)
                except TimeoutError:
                    pass
                wake.clear()
        finally:
            stop()
            for client in self._clients:
                client.end()

    async def _step(self) -> None:
        try:
            while True:
                changed = await run_in_threadpool(
                    self._queries.changed_since, self._read_to, scope=EVERYTHING, limit=PAGE
                )
                for change in await run_in_threadpool(self._changes, changed):
                    self._read_to = max(self._read_to, change.number)
                    for client in self._clients:
                        client.offer(change)
                self._blind = False
                if len(changed) < PAGE:
                    return
        except Exception as error:  # the top of the reader's loop: said once, shown on every page, tried again
            if not self._blind:
                log.warning("stream.blind", reason=repr(error), exc_info=not isinstance(error, Unavailable))
            LOOP_ERRORS.labels(loop="stream").inc()
            self._blind = True

    def _changes(self, alerts: Sequence[Alert]) -> list[Change]:
        written = self._write_out(alerts)
        return [Change(alert.change, alert, out.model_dump_json()) for alert, out in zip(alerts, written, strict=True)]

    def state(self) -> HubState:
        """How the hub is; its parts are asked at most once a second for all clients together. For any thread."""
        now_ms, (asked_ms, known) = self._clock(), self._state
        if known is None or not 0 <= now_ms - asked_ms < 1_000:
            known = state_of(self._health(), blind=self._blind)
            self._state = (now_ms, known)
        return known

    async def _said(self) -> str:
        state = await run_in_threadpool(self.state)
        beat = Beat(
            now_ms=self._clock(), change=self._read_to, hub=state.hub, parts=state.parts, troubles=state.troubles
        )
        return beat.model_dump_json()


def state_of(parts: Mapping[str, PartHealth], *, blind: bool) -> HubState:
    """The hub's state from its parts'. `blind`: the ledger cannot be read, so what the pages show may be old."""
    down = blind or any(part.state == "down" and part.required for part in parts.values())
    wrong = sorted(name for name, part in parts.items() if part.state != "ok")
    if blind and not wrong:
        wrong, parts = ["ledger"], {"ledger": PartHealth(state="down")}
    return HubState(
        hub="down" if down else "degraded" if wrong else "ok",
        parts=wrong,
        troubles=[
            Trouble(part=name, state=parts[name].state, detail=parts[name].detail, required=parts[name].required)
            for name in wrong
        ],
    )


def _event(change: Change) -> ServerSentEvent:
    return ServerSentEvent(event="alert", id=str(change.number), data=change.data)
