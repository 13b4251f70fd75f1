"""Lines that a history database will never take: kept in a bounded file, counted and logged, so that nothing vanishes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hub.clock import Clock
from hub.telemetry import HISTORY_DROPPED, log


class RefusedLine(NamedTuple):
    """A line (or the part of it) that was refused, and the server's words."""

    line: str
    reason: str
    lines: int = 1  # more when the server names only a number


class RefusedLines:
    """JSON lines in `path`; when it has grown to `most_bytes` it becomes `path`.1, and the older .1 is given up."""

    def __init__(self, path: Path, *, clock: Clock, most_bytes: int = 8 * 1024 * 1024) -> None:
        self.path = path
        self._clock = clock
        self._most_bytes = most_bytes

    def add(self, refused: Sequence[RefusedLine]) -> None:
        """Records and counts. A file that cannot be written is logged; the count stands all the same."""
        if not refused:
            return
        number = sum(r.lines for r in refused)
        HISTORY_DROPPED.inc(number)
        log.error(
            "history.refused", lines=number, reason=refused[0].reason, first=refused[0].line[:300], file=str(self.path)
        )
        at_ms = self._clock()
        text = "".join(
            json.dumps({"at_ms": at_ms, "reason": r.reason, "lines": r.lines, "line": r.line}, ensure_ascii=False)
            + "\n"
            for r in refused
        )
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists() and self.path.stat().st_size > self._most_bytes:
                self.path.replace(self.path.with_name(self.path.name + ".1"))
            with self.path.open("a", encoding="utf-8") as file:
                file.write(text)
        except OSError as bad:
            log.error("history.refused_file_failed", file=str(self.path), error=str(bad), lines=number)
