"""Child processes that live and die with us: started in sessions of their own, stopped in order, with a deadline."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hub.clock import monotonic_s

_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> Callable[[], None] | None:
    """For `preexec_fn`: the kernel ends the child when we are killed without a chance to do it. Linux only."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)  # the parent was gone before the kernel knew

    return prepare


class Child:
    """One process. `output` gets its standard output and error; `spoken` reads what is new in it."""

    def __init__(
        self, name: str, command: Sequence[str], *, output: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.output = output
        self._read = 0
        with output.open("ab") as file:
            # A session of its own: Ctrl-C reaches only us, so that the order of stopping is ours.
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=None if environment is None else dict(environment),
                start_new_session=True,
                preexec_fn=_die_with_parent(),
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> int | None:
        """The exit code (negative: the signal that killed it), None while it runs."""
        return self._process.poll()

    def how_it_ended(self) -> str:
        code = self.ended
        if code is None:
            return "is running"
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def last_lines(self, count: int = 12) -> list[str]:
        try:
            with self.output.open("rb") as file:
                file.seek(max(0, self.output.stat().st_size - 20_000))
                return file.read().decode("utf-8", "replace").splitlines()[-count:]
        except OSError:
            return []

    def new_lines(self) -> list[str]:
        """Whole lines of output since the last call."""
        with self.output.open("rb") as file:
            file.seek(self._read)
            block = file.read()
        whole = block[: block.rfind(b"\n") + 1]
        self._read += len(whole)
        return whole.decode("utf-8", "replace").splitlines()

    def ask_to_stop(self) -> None:
        if self.ended is None:
            self._process.send_signal(signal.SIGTERM)

    def wait(self, timeout_s: float) -> bool:
        """Whether it has ended within `timeout_s`."""
        try:
            self._process.wait(max(0.0, timeout_s))
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """Ends it and whatever it started, at once."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait(2)


def stop_all(children: Sequence[Child], *, within_s: float = 3.5) -> list[str]:
    """Stops `children`, each politely first; all are gone after about `within_s`. The first one, on which the others
    lean, is asked when the others have ended.

    Returns the names of those that had to be killed.
    """
    deadline_s = monotonic_s() + within_s
    killed: list[str] = []
    for group, until_s in ((children[1:], deadline_s - 0.5), (children[:1], deadline_s)):
        for child in group:
            child.ask_to_stop()
        for child in group:
            if not child.wait(until_s - monotonic_s()):
                killed.append(child.name)
            child.kill()
    return killed
