"""The live stream over a real web server: resume, many clients, and an orderly end."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hub.clock import now_ms
from tests.support.pace import patient
from tests.support.served import GRID, STATION, Hub, Served, hub_at, served


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_at(tmp_path, now_ms) as found:
        yield found


@pytest.fixture
def server(hub: Hub) -> Iterator[Served]:
    with served(hub) as found:
        yield found


async def events(response: httpx.Response) -> AsyncIterator[dict[str, str]]:
    """The events of a stream, comments as {"": text}."""
    event: dict[str, str] = {}
    async for line in response.aiter_lines():
        if not line:
            yield event
            event = {}
        else:
            name, _, value = line.partition(":")
            event[name] = value.strip()


def headers(hub: Hub, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {hub.token('station', stations=(STATION,))}", **more}


def test_a_stream_resumes_from_the_last_event_id(hub: Hub, server: Served) -> None:
    smokes = [d.id for d in hub.registry.devices() if d.kind == "smoke_alarm" and d.grid == GRID][:3]
    ids = [hub.says(device) for device in smokes]

    async def scene() -> list[str]:
        async with (
            httpx.AsyncClient(base_url=server.url, timeout=10) as client,
            client.stream(
                "GET", "/api/v1/stream?since=999", headers=headers(hub, **{"Last-Event-ID": "1"})
            ) as response,
        ):
            assert response.headers["content-type"].startswith("text/event-stream")
            found = []
            async for event in events(response):
                if event.get("event") == "alert":
                    found.append(json.loads(event["data"])["id"])
                if len(found) == 2:
                    return found
        return []

    assert asyncio.run(scene()) == ids[1:]


@pytest.mark.parametrize("last", ["nonsense", "-1", "1e9", "９", ""])
def test_a_strange_last_event_id_gives_a_stream_from_now(hub: Hub, server: Served, last: str) -> None:
    with httpx.stream(
        "GET",
        f"{server.url}/api/v1/stream",
        headers=[*((k.encode(), v.encode()) for k, v in headers(hub).items()), (b"Last-Event-ID", last.encode())],
        timeout=10,
    ) as response:
        assert response.status_code == 200
        assert next(response.iter_lines()) == "event: hello"


def test_a_dead_ledger_refuses_the_stream_with_a_problem(hub: Hub, server: Served) -> None:
    known = headers(hub)
    hub.away.append("ledger")
    answer = httpx.get(f"{server.url}/api/v1/stream", headers=known)
    assert (answer.status_code, answer.json()["code"]) == (503, "store-away")


def test_two_hundred_readers_cost_no_thread_each_and_all_hear_the_alarm(hub: Hub, server: Served) -> None:
    known, clients = headers(hub), 200
    threads_before = threading.active_count()

    async def one(client: httpx.AsyncClient, ready: asyncio.Semaphore) -> tuple[str, float]:
        async with client.stream("GET", "/api/v1/stream", headers=known) as response:
            async for event in events(response):
                if event.get("event") == "hello":
                    ready.release()
                if event.get("event") == "alert":
                    return json.loads(event["data"])["id"], time.monotonic()
        raise EOFError

    async def scene() -> tuple[list[Any], str, float, int]:
        limits = httpx.Limits(max_connections=clients, max_keepalive_connections=0)
        ready = asyncio.Semaphore(0)
        async with httpx.AsyncClient(base_url=server.url, timeout=30, limits=limits) as client:
            readers = [asyncio.create_task(one(client, ready)) for _ in range(clients)]
            for _ in range(clients):
                await ready.acquire()
            threads = threading.active_count()
            raised = time.monotonic()
            alert_id = await asyncio.to_thread(hub.says)
            return list(await asyncio.gather(*readers)), alert_id, raised, threads

    heard, alert_id, raised, threads = asyncio.run(scene())
    assert {found for found, _ in heard} == {alert_id}
    assert max(at for _, at in heard) - raised < patient(5)
    assert threads - threads_before < 60  # the web server's own pool of 40, however many readers there are


def test_the_server_stops_in_a_moment_although_readers_are_connected(hub: Hub, server: Served) -> None:
    with httpx.stream("GET", f"{server.url}/api/v1/stream", headers=headers(hub), timeout=10) as response:
        lines = response.iter_lines()
        assert next(lines) == "event: hello"
        hub.parts.notifier.close()
        begun = time.monotonic()
        server.stop()
        assert time.monotonic() - begun < patient(2)
        assert list(lines)[-1] == ""  # ended between two events, not torn
