"""The live stream: nothing missed, nothing shown to the wrong eyes, and a client that can tell when it is cut off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sse_starlette import ServerSentEvent

from hub.api import PartHealth, stream
from hub.api.stream import Broadcast, state_of
from hub.clock import SteppedClock
from hub.errors import Unavailable
from hub.model.alerts import Actor
from tests.support.served import GRID, SMOKE, STATION, Hub, hub_at

CREW = Actor(id="crew", name="crew", role="station", stations=(STATION,))
OFFICER = Actor(id="officer", name="officer", role="officer", grids=("*",))


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_at(tmp_path, SteppedClock(1_767_225_600_000)) as found:
        yield found


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "BEAT_S", 0.1)
    monkeypatch.setattr(stream, "POLL_S", 0.05)


class Reader:
    """Reads one client's stream event by event."""

    def __init__(
        self, hub: Hub, actor: Actor, resume: int | None, still: Callable[[], Actor | None] | None = None
    ) -> None:
        broadcast: Broadcast = hub.app.state.broadcast
        now = hub.parts.queries.last_change()
        self.events: AsyncIterator[ServerSentEvent] = broadcast.stream(actor, now, resume, still or (lambda: actor))

    async def next(self, kind: str = "alert") -> dict[str, Any]:
        """The next event of `kind`; others are passed over."""
        async with asyncio.timeout(5):
            async for event in self.events:
                if event.event == kind:
                    return {"id": event.id, **json.loads(event.data or "{}")}
        raise EOFError

    async def ended(self) -> bool:
        async with asyncio.timeout(5):
            async for _ in self.events:
                pass
        return True


def run(scene: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scene())  # type: ignore[arg-type]


def test_a_change_arrives_with_its_number(hub: Hub) -> None:
    async def scene() -> None:
        crew = Reader(hub, CREW, None)
        assert (await crew.next("hello"))["hub"] == "ok"
        alert_id = await asyncio.to_thread(hub.says)
        alert = await crew.next()
        assert alert["id"] == alert_id
        assert alert["change"] == hub.parts.queries.last_change()

    run(scene)


def test_the_event_id_is_the_change_to_resume_from(hub: Hub) -> None:
    async def scene() -> None:
        hub.says()
        events = hub.app.state.broadcast.stream(CREW, 1, 0, lambda: CREW)
        ids = [event.id async for event in _first(events, 2)]
        assert ids == [None, "1"]

    run(scene)


async def _first(events: AsyncIterator[ServerSentEvent], n: int) -> AsyncIterator[ServerSentEvent]:
    async for event in events:
        yield event
        n -= 1
        if n == 0:
            return


def test_a_client_that_comes_back_gets_what_it_missed(hub: Hub) -> None:
    clock = hub.clock
    assert isinstance(clock, SteppedClock)
    smokes = [d.id for d in hub.registry.devices() if d.kind == "smoke_alarm" and d.grid == GRID][:3]
    first = hub.says(smokes[0])
    seen = hub.parts.queries.last_change()
    missed = [hub.says(device) for device in smokes[1:]]
    hub.parts.desk.act(first, "acknowledge", OFFICER, clock.advance(s=1))

    async def scene() -> None:
        crew = Reader(hub, CREW, seen)
        assert [(await crew.next())["id"] for _ in range(3)] == [*missed, first]

    run(scene)


def test_catching_up_goes_over_many_pages(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "PAGE", 2)
    ids = [hub.says(d.id) for d in list(hub.registry.devices()) if d.kind == "smoke_alarm" and d.grid == GRID]
    assert len(ids) > 4

    async def scene() -> None:
        crew = Reader(hub, CREW, 0)
        assert [(await crew.next())["id"] for _ in ids] == ids

    run(scene)


def test_a_stream_is_limited_to_the_grids_of_its_reader(hub: Hub) -> None:
    async def scene() -> None:
        crew, officer = Reader(hub, CREW, 0), Reader(hub, OFFICER, 0)
        await crew.next("hello")
        await officer.next("hello")
        far = await asyncio.to_thread(hub.says, hub.far_smoke())
        near = await asyncio.to_thread(hub.says, SMOKE)
        assert [(await officer.next())["id"] for _ in range(2)] == [far, near]
        assert (await crew.next())["id"] == near

    run(scene)


def test_a_quiet_hub_still_beats(hub: Hub) -> None:
    async def scene() -> None:
        crew = Reader(hub, CREW, None)
        beat = await crew.next("beat")
        assert beat["now_ms"] == hub.clock()
        assert beat["hub"] == "ok"

    run(scene)


def test_a_hub_that_cannot_read_its_ledger_says_so_and_catches_up_afterwards(hub: Hub) -> None:
    clock = hub.clock
    assert isinstance(clock, SteppedClock)

    async def scene() -> None:
        crew = Reader(hub, CREW, None)
        await crew.next("beat")  # it has caught up
        hub.away.append("ledger")
        clock.advance(s=1)
        while (await crew.next("beat"))["hub"] != "down":
            clock.advance(s=1)
        hub.away.clear()
        alert_id = await asyncio.to_thread(hub.says)
        assert (await crew.next())["id"] == alert_id

    run(scene)


def test_a_change_whose_signal_was_lost_is_found_by_looking(hub: Hub) -> None:
    """Another hub on the same ledger has no way to wake this one."""

    async def scene() -> None:
        crew = Reader(hub, CREW, None)
        await crew.next("hello")
        hub.parts.notifier._listeners.clear()
        alert_id = await asyncio.to_thread(hub.says)
        assert (await crew.next())["id"] == alert_id

    run(scene)


def test_a_client_that_is_too_slow_is_sent_away_to_resume(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "QUEUE", 2)
    smokes = [d.id for d in hub.registry.devices() if d.kind == "smoke_alarm" and d.grid == GRID][:5]

    async def scene() -> None:
        slow, quick = Reader(hub, CREW, None), Reader(hub, CREW, None)
        await slow.next("hello")
        await quick.next("hello")
        for device in smokes:
            await asyncio.to_thread(hub.says, device)
            await quick.next()
        assert await slow.ended()
        back = Reader(hub, CREW, 0)
        assert len({(await back.next())["id"] for _ in smokes}) == len(smokes)

    run(scene)


def test_a_revoked_token_loses_its_stream(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "RECHECK_S", 0.05)
    good: list[Actor | None] = [CREW]

    async def scene() -> None:
        crew = Reader(hub, CREW, None, lambda: good[0])
        await crew.next("beat")
        good[0] = None
        await crew.next("signed-out")
        assert await crew.ended()

    run(scene)


def test_nobody_is_signed_out_because_the_ledger_is_away(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "RECHECK_S", 0.0)

    def away() -> Actor | None:
        raise Unavailable("away")

    async def scene() -> None:
        crew = Reader(hub, CREW, None, away)
        for _ in range(3):
            await crew.next("beat")

    run(scene)


def test_closing_the_notifier_ends_every_stream_at_once(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "BEAT_S", 60)

    async def scene() -> None:
        readers = [Reader(hub, CREW, None) for _ in range(3)]
        for reader in readers:
            await reader.next("hello")
        hub.parts.notifier.close()
        assert all([await reader.ended() for reader in readers])
        assert hub.app.state.broadcast.clients == 0

    run(scene)


def test_the_ledger_is_read_once_for_all_clients(hub: Hub) -> None:
    calls = 0
    inner = hub.parts.queries.changed_since

    async def scene() -> None:
        nonlocal calls
        readers = [Reader(hub, CREW, None) for _ in range(20)]
        for reader in readers:
            await reader.next("beat")

        def counted(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            return inner(*args, **kwargs)

        hub.app.state.broadcast._queries = type("Counted", (), {"changed_since": staticmethod(counted)})
        alert_id = await asyncio.to_thread(hub.says)
        assert {(await reader.next())["id"] for reader in readers} == {alert_id}
        assert calls <= 10

    run(scene)


@pytest.mark.parametrize(
    ("parts", "blind", "said"),
    [
        ({}, False, ("ok", [])),
        ({"a": PartHealth(state="ok")}, False, ("ok", [])),
        ({"a": PartHealth(state="degraded")}, False, ("degraded", ["a"])),
        ({"a": PartHealth(state="down", required=False)}, False, ("degraded", ["a"])),
        ({"b": PartHealth(state="down"), "a": PartHealth(state="degraded")}, False, ("down", ["a", "b"])),
        ({}, True, ("down", ["ledger"])),
    ],
)
def test_the_state_of_the_hub_is_that_of_its_worst_part(
    parts: dict[str, PartHealth], blind: bool, said: tuple[str, list[str]]
) -> None:
    state = state_of(parts, blind=blind)
    assert (state.hub, state.parts) == said
