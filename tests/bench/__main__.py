"""`make bench`: measures the hub on this machine and ends with one JSON object. Ratios count, not absolutes.

python -m tests.bench [--quick]
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from hub.clock import now_ms
from hub.registry.loader import load
from hub.telemetry import configure_logging
from tests.bench.load import alarm, native_topics, telemetry
from tests.bench.raw_peer import pack
from tests.bench.stages import client_us_per_message, cpu_us_per_message, median_of
from tests.support.hub_process import HubProcess, make_config
from tests.support.mosquitto import Mosquitto
from tests.support.phone import Phone

ROOT = Path(__file__).parents[2]
QUICK = "--quick" in sys.argv
RUNS = 1 if QUICK else 3
FLOOD = 20_000 if QUICK else 60_000
LATENCY_RATE, LATENCY_S = 5_000, 8 if QUICK else 30


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def peer(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.bench.raw_peer", *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = process.communicate(timeout=180)
    result: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    return result


def broker_at(folder: Path) -> Mosquitto:
    folder.mkdir()
    one = Mosquitto(folder, config="max_inflight_messages 5000\nmax_queued_messages 0\nset_tcp_nodelay true\n")
    one.start()
    return one


def bare_rate(folder: Path, packed: Path, qos: int) -> float:
    broker = broker_at(folder)
    try:
        listener = peer("subscribe", broker.port, qos, FLOOD)
        assert listener.stdout is not None
        listener.stdout.readline()
        answer(peer("publish", broker.port, qos, packed))
        found = answer(listener)
        return float(found["messages"] / found["seconds"])
    finally:
        broker.stop()


def readings(hub: HubProcess) -> float:
    _, body = hub.get("/metrics", TOKEN)
    text = body.decode() if isinstance(body, bytes) else str(body)
    found = re.search(r"^gridhub_readings_total (\S+)", text, re.MULTILINE)
    return float(found.group(1)) if found else 0.0


TOKEN = ""


def hub_rate(folder: Path, packed: Path, qos: int) -> float:
    global TOKEN
    broker = broker_at(folder)
    try:
        config = make_config(folder, broker_port=broker.port, devices=1_000)
        hub = HubProcess(config)
        hub.start()
        try:
            TOKEN = hub.token("admin")
            publisher = peer("publish", broker.port, qos, packed)
            began, first, seen, last = 0.0, 0.0, 0.0, time.perf_counter()
            while seen < FLOOD * 4 and time.perf_counter() - last < (4 if began else 60):
                time.sleep(0.05)
                now = readings(hub)
                if now and not began:
                    began, first = time.perf_counter(), now
                if now != seen:
                    seen, last = now, time.perf_counter()
            answer(publisher)
            return (seen - first) / 4 / (last - began)
        finally:
            hub.stop()
    finally:
        broker.stop()


def broker_figures(folder: Path) -> dict[str, dict[str, float]]:
    from devices.simulators.town import write_town

    write_town(folder / "town", devices=1_000, seed=1, site="demo")
    topics = native_topics(load(folder / "town"))
    result = {}
    for qos in (0, 1):
        packed = folder / f"flood-{qos}"
        pack(packed, list(telemetry(topics, FLOOD, at_ms=now_ms() - FLOOD)), qos)
        hubs, bares = [], []
        for run in range(RUNS):
            bares.append(bare_rate(folder / f"bare-{qos}-{run}", packed, qos))
            hubs.append(hub_rate(folder / f"hub-{qos}-{run}", packed, qos))
            say(f"QoS {qos}: bare subscriber {bares[-1]:,.0f}/s, hub {hubs[-1]:,.0f}/s")
        result[f"qos{qos}"] = {
            "hub_msgs_per_s": round(statistics.median(hubs)),
            "bare_subscriber_msgs_per_s": round(statistics.median(bares)),
            "ratio": round(statistics.median(h / b for h, b in zip(hubs, bares, strict=True)), 3),
        }
    return result


def latency_figures(folder: Path) -> dict[str, float]:
    broker = broker_at(folder / "broker")
    try:
        with Phone() as phone:
            config = make_config(folder, broker_port=broker.port, devices=3_000, webhook=phone.url("").rstrip("/"))
            registry = load(config / "registry")
            smoke, topics = native_topics(registry, "smoke_alarm"), native_topics(registry, "meter")
            count = LATENCY_RATE * LATENCY_S
            messages = list(telemetry(topics, count, at_ms=now_ms()))
            step = LATENCY_RATE // 10
            marked: dict[int, str] = {}
            for n in range(step, count, step):
                prefix = smoke[len(marked) % len(smoke)]
                if len(marked) < len(smoke):
                    messages[n] = alarm(prefix, n, now_ms())
                    marked[n] = prefix.rsplit("/", 1)[1]
            names = {d.addresses[0].rsplit("/", 1)[1]: d.id for d in registry.devices() if d.addresses}
            wanted = {names[node] for node in marked.values()}
            packed = folder / "latency"
            pack(packed, messages, 1, tuple(marked))
            with HubProcess(config):
                left = answer(peer("publish", broker.port, 1, packed, LATENCY_RATE))["left_ns"]
                until = time.monotonic() + 20
                while time.monotonic() < until and not wanted <= {c.body["device"] for c in phone.calls}:
                    time.sleep(0.1)
            came = {}
            for call in phone.calls:
                came.setdefault(call.body["device"], call.at_ns)
            took = sorted((came[names[marked[int(n)]]] - at) / 1e6 for n, at in left.items())
            say(f"latency over {len(took)} alarms among {count:,} messages at {LATENCY_RATE:,}/s")
            return {name: round(took[min(len(took) - 1, int(len(took) * part))], 1) for name, part in
                    (("p50", 0.5), ("p99", 0.99), ("p999", 0.999))}  # fmt: skip
    finally:
        broker.stop()


def main() -> None:
    configure_logging(level="ERROR")
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="gridhub-bench-") as name:
        folder = Path(name)
        stages = []
        for run in range(RUNS):
            (folder / f"stages-{run}").mkdir()
            stages.append(cpu_us_per_message(folder / f"stages-{run}", messages=20_000 if QUICK else 40_000))
        client = []
        for run in range(RUNS):
            broker = broker_at(folder / f"client-{run}")
            try:
                client.append(client_us_per_message(broker.port, 20_000))
            finally:
                broker.stop()
        cpu = {"client": round(statistics.median(client), 2)} | median_of(stages)
        say(f"CPU µs per message: {cpu}")
        (folder / "rates").mkdir()
        result["broker"] = broker_figures(folder / "rates")
        result["cpu_us_per_message"] = cpu
        (folder / "latency-run").mkdir()
        result["latency_ms"] = latency_figures(folder / "latency-run")
        sizes = (1_000, 10_000) if QUICK else (1_000, 10_000, 100_000)
        result["bytes_per_device"] = {
            str(n): int(subprocess.check_output([sys.executable, "-m", "tests.bench.memory", str(n)], cwd=ROOT))
            for n in sizes
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
