"""The hub is killed in the middle of recording: afterwards all of a batch is there, or nothing, and a replay completes it."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time

from sqlalchemy import func, select

from hub.alerts.desk import Desk
from hub.stores.ledger import Ledger
from hub.stores.schema import alerts, audit, cursors, deliveries, episodes, timers
from tests.support.alerts import T0, PlainPlanner, event

BATCH = 20
BATCHES = 40

# Records batch after batch from the stored position on, like the pipeline after a start, and prints each one it finished.
PROGRAM = """
import sys
from tests.contracts.test_desk_crash import BATCHES, record
from hub.alerts.desk import Desk
from hub.stores.ledger import Ledger
from tests.support.alerts import PlainPlanner
desk = Desk(Ledger.open(sys.argv[1]), PlainPlanner())
number, _ = desk.position_of("rules") or (0, "")
while number < BATCHES:
    record(desk, number)
    number += 1
    print(number, flush=True)
"""


def record(desk: Desk, number: int) -> None:
    """Batch `number`: fires of its own devices, and the ends of the batch before."""
    events = [event(device=f"{number}-{k}", at_ms=T0 + number, position=number) for k in range(BATCH)]
    if number:
        events += [
            event("cleared", device=f"{number - 1}-{k}", at_ms=T0 + number, start_ms=T0 + number - 1, position=number)
            for k in range(BATCH)
        ]
    desk.record(events, consumer="rules", journal="j", position=number + 1, now_ms=T0 + number)


def _is_whole(ledger: Ledger) -> int:
    """Checks that everything belongs to the same number of batches, and returns it."""
    with ledger.read() as connection:

        def count(table, *where):
            return connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one()

        done = connection.execute(select(func.coalesce(func.max(cursors.c.position), 0))).scalar_one()
        ended = max(done - 1, 0) * BATCH
        assert count(alerts) == count(episodes) == done * BATCH
        assert count(alerts, alerts.c.alarm_state == "latched") == ended
        assert count(episodes, episodes.c.cleared_at_ms.is_not(None)) == ended
        assert count(audit) == done * BATCH + ended
        assert count(deliveries) == 2 * done * BATCH + ended
        assert count(timers) == 2 * done * BATCH
        assert count(alerts, alerts.c.occurrences != 1) == 0
        return int(done)


def test_a_hub_killed_while_recording_leaves_whole_batches_and_completes_them_later(ledger_url):
    ledger = Ledger.open(ledger_url)
    dice = random.Random(7)
    kills = 0
    while True:
        hub = subprocess.Popen([sys.executable, "-c", PROGRAM, ledger_url], stdout=subprocess.PIPE, text=True)
        assert hub.stdout is not None
        first = hub.stdout.readline()  # it is at work now
        if kills < 6 and first:
            time.sleep(dice.uniform(0, 0.08))
            hub.send_signal(signal.SIGKILL)
            kills += 1
        rest = hub.stdout.read().split()
        assert hub.wait(60) in (0, -signal.SIGKILL)
        done = _is_whole(ledger)
        reported = [int(number) for number in (first, *rest) if number.strip()]
        assert done >= max(reported, default=0)  # what was reported as done is done
        if done == BATCHES:
            break
    assert kills == 6
    desk = Desk(ledger, PlainPlanner())
    for number in range(BATCHES):  # a replay of the whole journal, from a snapshot that was lost
        record(desk, number)
    assert _is_whole(ledger) == BATCHES
    ledger.close()
