"""CPU per message of each stage behind the client, on the hub's own objects, all shipped rules on."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from hub.alerts.desk import Desk
from hub.app import settle_memory
from hub.dispatch.escalation import StandardPlanner, load_policy
from hub.ingest.codecs import CodecContext
from hub.ingest.mqtt import Broker, PahoSession
from hub.ingest.reader import Reader
from hub.ingest.router import Router, Source
from hub.ingest.screen import Limits, Screen
from hub.model.readings import Envelope
from hub.registry.snapshot import Registry
from hub.rules.engine import Engine
from hub.rules.ruleset import load_rules
from hub.stores.history_embedded import EmbeddedHistory
from hub.stores.journal import Journal, JournalConfig
from hub.stores.ledger import Ledger
from tests.bench.load import START_MS, alarm, native_topics, telemetry, town_of
from tests.bench.raw_peer import pack

CONFIG = Path(__file__).parents[2] / "config"
STAGES = ("journal", "decode", "evaluate", "desk", "history")


def cpu_us_per_message(
    folder: Path, *, devices: int = 1_000, messages: int = 40_000, group: int = 200
) -> dict[str, float]:
    """Microseconds of CPU (user and system, this process) per message of 4 metrics, by stage.

    `group`: messages per journal group and batch, as at 5,000 messages/s, 20 ms each. One alarm in 10,000 messages.
    """
    registry = town_of(folder / "town", devices)
    topics, smoke = native_topics(registry, "meter") or native_topics(registry), native_topics(registry, "smoke_alarm")
    load = list(telemetry(topics, messages, at_ms=START_MS))
    for n in range(0, messages, 10_000):
        load[n] = alarm(smoke[n // 10_000 % len(smoke)], n, START_MS + n)
    spent = dict.fromkeys(STAGES, 0.0)
    settle_memory()

    def timed(stage: str, work: Callable[[], object]) -> object:
        began = time.process_time()
        result = work()
        spent[stage] += time.process_time() - began
        return result

    journal = Journal.open(folder / "journal", JournalConfig())
    ledger = Ledger.open(f"sqlite:///{folder / 'ledger.db'}")
    history = EmbeddedHistory(folder / "history.db")
    desk = Desk(ledger, StandardPlanner(lambda: registry, load_policy(CONFIG / "escalation.yaml"), "Asia/Shanghai"))
    engine = Engine(load_rules(CONFIG / "rules"), registry, start_ms=START_MS)
    router = Router(
        [Source(codec="native-v1", root="sc/v1")], CodecContext(known=lambda a: a in registry.slot_of_address)
    )
    reader = Reader(router.decode, lambda: registry, Screen(Limits()), plain=router.plain)
    try:
        waiting = []
        for at in range(0, messages, group):
            now = START_MS + (at + group) // 5
            envelopes = [Envelope(t, p, now) for t, p in load[at : at + group]]
            tick = now if at % 5_000 == 0 else None
            first = journal.head
            timed("journal", lambda e=envelopes, t=tick: journal.append(e, tick_ms=t))  # type: ignore[misc]
            records = journal.read(first, limit=group + 1)
            for segment in timed("decode", lambda r=records: reader.read(r)):  # type: ignore[misc, attr-defined]
                found = timed("evaluate", lambda s=segment: engine.evaluate(s.batch))  # type: ignore[misc]
                if found.events or segment.tick_ms:  # type: ignore[attr-defined]
                    timed(
                        "desk",
                        lambda f=found, s=segment, n=now: desk.record(  # type: ignore[misc]
                            f.events, consumer="rules", journal=journal.identity, position=s.next, now_ms=n
                        ),
                    )
                timed("evaluate", lambda f=found: engine.commit(f))  # type: ignore[misc]
                if segment.tick_ms:
                    ticked = timed("evaluate", lambda s=segment: engine.tick(s.tick_ms, s.next - 1))  # type: ignore[misc]
                    timed("evaluate", lambda f=ticked: engine.commit(f))  # type: ignore[misc]
                waiting.append(segment.batch)
            if len(waiting) >= 12:  # what comes together in a quarter of a second
                from hub.recorder import joined

                timed("history", lambda w=joined(waiting): history.write(w, registry))  # type: ignore[misc]
                waiting = []
    finally:
        history.close()
        ledger.close()
        journal.close()
    result = {stage: round(spent[stage] / messages * 1e6, 2) for stage in STAGES}
    result["total_without_client"] = round(sum(spent.values()) / messages * 1e6, 2)
    return result


def native_router(registry: Registry) -> Router:
    return Router(
        [Source(codec="native-v1", root="sc/v1")],
        CodecContext(known=lambda address: address in registry.slot_of_address, own_text=registry.own_text),
    )


def client_us_per_message(port: int, messages: int) -> float:
    """CPU of the MQTT session alone: receive one QoS 1 message, hand it over, acknowledge it by hand (MQTT 3.1.1)."""
    taken: list[Envelope] = []
    done = threading.Event()

    def take(envelope: Envelope) -> None:
        taken.append(envelope)
        session.ack(envelope.receipt)
        if len(taken) >= messages:
            done.set()

    session = PahoSession(
        Broker(host="127.0.0.1", port=port, version=311, client_id="bench"), "main", ["sc/v1/#"], take
    )
    session.start()
    while not session.connected:
        time.sleep(0.01)
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / "packets"
        pack(packed, list(telemetry([f"sc/v1/s/n/d{n}" for n in range(500)], messages, at_ms=START_MS)), 1)
        command = [sys.executable, "-m", "tests.bench.raw_peer", "publish", str(port), "1", str(packed)]
        began = time.process_time()
        publisher = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=CONFIG.parent)
        assert done.wait(120), f"only {len(taken)} of {messages} came"
        spent = time.process_time() - began
        publisher.wait(10)
    session.stop()
    return spent / messages * 1e6


def median_of(runs: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(statistics.median(run[key] for run in runs), 2) for key in runs[0]}
