"""What a device says unclearly about an alarm reaches people: the rules take it as unknown, the quarantine shows it."""

from __future__ import annotations

import numpy as np

from hub.ingest.reader import Reader
from hub.ingest.router import Router, Source
from hub.ingest.screen import Limits, Screen
from hub.model.readings import Quality
from hub.stores.journal import MESSAGE, Record
from tests.support.registry import a_device, small_registry

NOW_MS = 1_795_000_000_000


def test_an_unclear_smoke_value_is_unknown_and_set_aside_with_its_bytes() -> None:
    registry = small_registry([a_device("smoke-1")])
    reader = Reader(Router([Source(codec="native-v1", root="sc/v1")]).decode, lambda: registry, Screen(Limits()))
    topic, payload = "sc/v1/demo/gw-1/smoke-1/state", b'{"m":{"smoke":2}}'
    (segment,) = reader.read([Record(7, MESSAGE, NOW_MS, topic, payload, False)])
    assert np.isnan(segment.batch.value).all()
    assert segment.batch.quality[0] & Quality.UNKNOWN
    (row,) = segment.quarantine
    assert (row.reason, row.payload, row.position) == ("unclear alarm value: smoke", payload, 7)
