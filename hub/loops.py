"""Small owner threads with names: a loop catches wide once at its top, logs, counts, backs off, goes on."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

from hub.errors import Unavailable
from hub.telemetry import LOOP_ERRORS, log


def backoff_s(attempt: int, *, first_s: float = 0.2, most_s: float = 30.0) -> float:
    """Seconds to wait before try number `attempt` (0 = first retry): doubles, capped, with full jitter above half."""
    ceiling = min(most_s, first_s * 2.0 ** min(attempt, 16))
    return ceiling * (0.5 + random.random() / 2)


class Loop:
    """Runs `step` again and again in a thread of its own until stopped.

    `step()` returns the seconds to wait before the next call (0 = at once). `wake()` ends a wait early, from any thread.
    `Unavailable` backs off by its `after_s` (growing); any other exception is logged with its traceback, counted in
    `gridhub_loop_errors_total{loop}`, and the loop goes on.
    """

    def __init__(self, name: str, step: Callable[[], float]) -> None:
        self.name = name
        self._step = step
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.failures_in_a_row = 0

    def start(self) -> Loop:
        self._thread.start()
        return self

    def wake(self) -> None:
        self._wake.set()

    def stop(self, *, timeout_s: float = 5.0) -> None:
        """Asks the loop to end and waits for it. Idempotent."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                log.error("loop.did_not_stop", loop=self.name, timeout_s=timeout_s)

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                pause_s = self._step()
                self.failures_in_a_row = 0
            except Unavailable as away:
                pause_s = max(away.after_s, backoff_s(self.failures_in_a_row))
                self._failed("loop.unavailable", str(away), pause_s, trace=False)
            except Exception as error:  # the top of the loop: log once, count, go on
                pause_s = backoff_s(self.failures_in_a_row, first_s=0.5)
                self._failed("loop.failed", repr(error), pause_s, trace=True)
            if pause_s > 0:
                self._wake.wait(pause_s)
            self._wake.clear()

    def _failed(self, event: str, reason: str, pause_s: float, *, trace: bool) -> None:
        self.failures_in_a_row += 1
        LOOP_ERRORS.labels(loop=self.name).inc()
        log.warning(event, loop=self.name, reason=reason, retry_in_s=round(pause_s, 2), exc_info=trace)
