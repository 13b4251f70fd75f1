"""The registry that is in force, and how another takes its place while the hub runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from hub.registry.loader import FILES, load
from hub.registry.snapshot import Registry

Stamp = tuple[tuple[int, int, int] | None, ...]


def _nobody(_: Registry) -> None:
    """Tells nobody."""


class LiveRegistry:
    """Holds the registry of `folder`. Readers take `current` once per piece of work and keep it: it never changes under them.

    The first load happens here, so a wrong folder raises ConfigError at once. `reload` may be called from any thread;
    `on_swap` runs in that thread, after the swap and before the next reload can begin.
    """

    def __init__(self, folder: Path, on_swap: Callable[[Registry], None] = _nobody) -> None:
        self._folder, self._on_swap = folder, on_swap
        self._reloading = threading.Lock()
        self._seen = self._stamp()
        self.current: Registry = load(folder)

    def reload(self) -> Registry:
        """Loads the files again and swaps. Raises ConfigError, and swaps nothing, when they are wrong.

        Nothing happens when their content is the same. Devices that are still there keep their slots.
        """
        with self._reloading:
            self._seen = self._stamp()  # before reading: a change in between shows as changed again
            fresh = load(self._folder, previous=self.current)
            if fresh.version == self.current.version:
                return self.current
            self.current = fresh
            self._on_swap(fresh)
            return fresh

    def changed(self) -> bool:
        """Whether a file differs from the last reload, failed or not: a wrong file is complained about once, not every second."""
        return self._stamp() != self._seen

    def _stamp(self) -> Stamp:
        return tuple(_stamp(self._folder / name) for name in FILES)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
