"""A process killed at any moment loses no group that it was told is stored."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from hub.stores.journal import Journal, JournalConfig

CONFIG = JournalConfig(segment_mib=0.05, reserve_mib=0)
APPENDER = """
import sys
from pathlib import Path
from hub.model.readings import Envelope
from hub.stores.journal import Journal, JournalConfig
journal = Journal.open(Path(sys.argv[1]), JournalConfig(segment_mib=0.05, reserve_mib=0))
while True:
    head = journal.head
    size = 1 + head % 60
    journal.append([Envelope(f"t/{n}", n.to_bytes(8, "big") * 20, 1_704_067_200_000 + n) for n in range(head, head + size)])
    print(journal.head, flush=True)
"""


def test_killed_again_and_again_it_keeps_every_acknowledged_group(tmp_path: Path) -> None:
    chance = random.Random(20_240_101)
    acknowledged = 0
    for _ in range(5):
        process = subprocess.Popen([sys.executable, "-c", APPENDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            assert int(process.stdout.readline()) > acknowledged, "it goes on where it was"
            time.sleep(chance.uniform(0.05, 0.4))
        finally:
            process.send_signal(signal.SIGKILL)
        said = process.stdout.read().split()
        process.wait(30)
        process.stdout.close()
        acknowledged = max([acknowledged, *map(int, said)])
        journal = Journal.open(tmp_path, CONFIG)
        assert acknowledged <= journal.head <= acknowledged + 60, "at most the one group whose answer was not heard"
        assert journal.stat().damaged == 0
        at = 0
        while at < journal.head:
            records = journal.read(at, limit=5_000)
            assert [(r.position, r.payload[:8]) for r in records] == [
                (n, n.to_bytes(8, "big")) for n in range(at, at + len(records))
            ]
            at += len(records)
        journal.close()
    assert acknowledged > 1_000
