"""Whose turn it is: one near receiver at a time, and nobody waits long for a slow one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hub.dispatch.turn import MOST_NEAR_S, NEAR_S, OWN_WORK, Turn

SLOW_S = NEAR_S + 0.1


class Watched:
    """Counts how many are inside at once."""

    def __init__(self) -> None:
        self.inside = self.most = 0
        self.lock = threading.Lock()

    def __enter__(self) -> None:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.inside -= 1


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that have passed, for tests in one thread: they are added by `send` and by nothing else."""
    clock = [0.0]
    monkeypatch.setattr("hub.dispatch.turn.monotonic_s", lambda: clock[0])
    return clock


def send(turn: Turn, name: str, passed: list[float], seconds: float = 0.0, *, noting_s: float = 0.0) -> None:
    with turn.of(("webhook", name)) as holding:
        with holding.noting():
            passed[0] += noting_s
        with holding.sending():
            passed[0] += seconds


def most_at_once(turn: Turn, seconds: dict[str, float], times: int = 1) -> int:
    """Every receiver in a thread of its own, `seconds` in each send."""
    watched = Watched()

    def work(name: str) -> None:
        for _ in range(times):
            with turn.of(("webhook", name)) as holding, watched, holding.sending():
                time.sleep(seconds[name])

    threads = [threading.Thread(target=work, args=(name,)) for name in seconds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return watched.most


@contextmanager
def hanging(turn: Turn, name: str) -> Iterator[None]:
    """A send to `name` that lasts as long as the `with`."""
    begun, over = threading.Event(), threading.Event()

    def work() -> None:
        with turn.of(("webhook", name)) as holding, holding.sending():
            begun.set()
            assert over.wait(30)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(30)
    try:
        yield
    finally:
        over.set()
        thread.join(30)


def far(turn: Turn, *names: str) -> list[str]:
    return [name for name in names if turn.is_far(("webhook", name))]


def test_near_receivers_are_told_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.dispatch.turn.NEAR_S", MOST_NEAR_S)  # an accident of the machine is no far receiver
    assert most_at_once(Turn(), dict.fromkeys("abcdef", 0.005), times=10) == 1


def test_a_receiver_that_hangs_holds_up_the_others_for_a_moment_only() -> None:
    turn = Turn()
    with hanging(turn, "hangs"):
        assert most_at_once(turn, {"quick": 0.0}) == 1, "else it would never come back"
        with hanging(turn, "hangs too"):
            assert most_at_once(turn, {"quick": 0.0}) == 1
    assert far(turn, "hangs") == ["hangs"]


def test_far_receivers_do_not_wait_for_each_other() -> None:
    turn = Turn()
    for name in "abcd":
        with hanging(turn, name):
            time.sleep(SLOW_S)
    inside = threading.Barrier(4)

    def work(name: str) -> None:
        with turn.of(("webhook", name)) as holding, holding.sending():
            inside.wait(30)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not inside.broken


def test_a_far_receiver_that_has_become_quick_takes_turns_again(passed: list[float]) -> None:
    turn = Turn()
    send(turn, "a", passed, SLOW_S)
    assert far(turn, "a") == ["a"]
    send(turn, "a", passed)
    assert far(turn, "a") == []


def test_a_receiver_that_was_quick_is_not_far_for_being_slow_once(passed: list[float]) -> None:
    """A crash while all take no turns would repeat one for each; one slow answer is no reason for that."""
    turn = Turn()
    send(turn, "a", passed)
    send(turn, "a", passed, SLOW_S)
    assert far(turn, "a") == []
    send(turn, "a", passed, SLOW_S)
    assert far(turn, "a") == ["a"]


def test_on_a_slow_machine_slow_sends_keep_their_turn(passed: list[float]) -> None:
    """What takes long there is the machine and not the receiver: its notes in the ledger take as long in proportion."""
    turn = Turn()
    assert turn.patience_s == NEAR_S
    for _ in range(5):
        send(turn, "a", passed, 2 * NEAR_S, noting_s=2.5 * NEAR_S / OWN_WORK)
    assert turn.patience_s == pytest.approx(2.5 * NEAR_S)
    assert far(turn, "a") == []
    for _ in range(9):
        send(turn, "a", passed, noting_s=0.001)
    assert turn.patience_s == NEAR_S, "it has recovered"


def test_not_even_the_slowest_machine_lets_one_receiver_hold_up_all_others(passed: list[float]) -> None:
    turn = Turn()
    send(turn, "a", passed, noting_s=60.0)
    assert turn.patience_s == MOST_NEAR_S


def test_a_slow_note_after_a_quick_send_keeps_the_turn() -> None:
    turn, order, sent = Turn(), [], threading.Event()

    def noting() -> None:
        with turn.of(("webhook", "a")) as holding:
            with holding.sending():
                pass
            sent.set()
            time.sleep(2 * NEAR_S)
            order.append("noted")

    thread = threading.Thread(target=noting)
    thread.start()
    assert sent.wait(30)
    with turn.of(("webhook", "b")):
        order.append("next")
    thread.join(30)
    assert order == ["noted", "next"]


def test_a_fire_is_told_before_lesser_alerts_that_have_waited_longer() -> None:
    turn, order = Turn(), []

    def work(severity: str) -> None:
        with turn.of(("webhook", severity), severity):
            order.append(severity)

    threads = [threading.Thread(target=work, args=(severity,)) for severity in ("P4", "P3", "P2", "P1")]
    with turn.of(("webhook", "first")):
        for waiting, thread in enumerate(threads):
            thread.start()
            while turn.waiting <= waiting:
                time.sleep(0.001)
    for thread in threads:
        thread.join(30)
    assert order == ["P1", "P2", "P3", "P4"]
