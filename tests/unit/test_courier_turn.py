"""Whose turn it is: one near receiver at a time, and nobody waits long for a slow one."""

from __future__ import annotations

import threading
import time

from hub.dispatch.turn import NEAR_S, Turn


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


def run(turn: Turn, seconds: dict[str, float], times: int = 1) -> tuple[int, dict[str, float]]:
    """Every receiver in a thread of its own, `seconds` in each send. Returns the most at once, and when each was done."""
    watched, done, began = Watched(), {}, time.monotonic()

    def send(name: str) -> None:
        for _ in range(times):
            with turn.of(("webhook", name)) as holding, watched, holding.sending():
                time.sleep(seconds[name])
        done[name] = time.monotonic() - began

    threads = [threading.Thread(target=send, args=(name,)) for name in seconds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    return watched.most, done


def test_near_receivers_are_told_one_after_the_other() -> None:
    most, done = run(Turn(), dict.fromkeys("abcdef", 0.005), times=10)
    assert most == 1
    assert len(done) == 6


def test_a_receiver_that_hangs_holds_up_the_others_once_and_only_for_a_moment() -> None:
    turn = Turn()
    hanging = threading.Thread(target=run, args=(turn, {"hangs": 1.0}))
    hanging.start()
    time.sleep(0.05)
    _, done = run(turn, {"quick": 0.001})
    assert done["quick"] < NEAR_S + 0.2
    hanging.join()
    hanging = threading.Thread(target=run, args=(turn, {"hangs": 1.0}))
    hanging.start()
    time.sleep(0.05)
    _, done = run(turn, {"quick": 0.001})
    assert done["quick"] < 0.1, "known to be far: it takes no turn"
    hanging.join()


def test_far_receivers_do_not_make_each_other_late() -> None:
    turn = Turn()
    run(turn, dict.fromkeys("abcd", NEAR_S + 0.05))
    most, done = run(turn, dict.fromkeys("abcd", NEAR_S + 0.05))
    assert most == 4
    assert max(done.values()) < 2 * NEAR_S + 0.3


def test_a_far_receiver_that_has_become_quick_takes_turns_again() -> None:
    turn = Turn()
    run(turn, {"a": NEAR_S + 0.05, "b": NEAR_S + 0.05})
    run(turn, {"a": 0.001, "b": 0.001})
    assert run(turn, {"a": 0.02, "b": 0.02}, times=3)[0] == 1


def test_a_slow_note_after_a_quick_send_keeps_the_turn() -> None:
    turn, order = Turn(), []

    def noting() -> None:
        with turn.of(("webhook", "a")) as holding:
            with holding.sending():
                pass
            time.sleep(2 * NEAR_S)
            order.append("noted")

    thread = threading.Thread(target=noting)
    thread.start()
    time.sleep(0.05)
    with turn.of(("webhook", "b")):
        order.append("next")
    thread.join()
    assert order == ["noted", "next"]


def test_a_fire_is_told_before_lesser_alerts_that_have_waited_longer() -> None:
    turn, order = Turn(), []

    def send(severity: str) -> None:
        with turn.of(("webhook", severity), severity):
            order.append(severity)

    threads = [threading.Thread(target=send, args=(severity,)) for severity in ("P4", "P3", "P2", "P1")]
    with turn.of(("webhook", "first")):
        for thread in threads:
            thread.start()
            time.sleep(0.02)
    for thread in threads:
        thread.join(5)
    assert order == ["P1", "P2", "P3", "P4"]
