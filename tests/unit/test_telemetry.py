"""What the hub writes about itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

FAILS = """
from hub.telemetry import configure_logging, log
configure_logging(json={json})
def send(token):
    raise ValueError("a bug")
try:
    send("a-secret-that-nobody-" + "may-see")
except ValueError:
    log.exception("courier.channel_raised", channel="telegram")
"""


@pytest.mark.parametrize("json", [True, False])
def test_a_failure_is_told_with_its_place_and_without_the_values_at_it(json: bool) -> None:
    done = subprocess.run([sys.executable, "-c", FAILS.format(json=json)], capture_output=True, text=True, check=True)
    said = done.stdout + done.stderr
    assert "courier.channel_raised" in said
    assert "ValueError: a bug" in said
    assert "a-secret-that-nobody-may-see" not in said
