"""Fixtures of the end-to-end scenes: a crew's phone and a broker, both real."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mosquitto import Mosquitto
from tests.support.phone import Phone


@pytest.fixture
def phone() -> Iterator[Phone]:
    with Phone() as one:
        yield one


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that keeps sessions over a restart and leaves many messages unacknowledged, as deploy/ configures it."""
    folder = tmp_path / "broker"
    folder.mkdir()
    one = Mosquitto(folder, persistent=True, config="max_inflight_messages 5000\nmax_queued_messages 0\n")
    one.start()
    yield one
    one.stop()
