"""What holds for all tests."""

from __future__ import annotations

import structlog

# As the hub itself: the default formatter draws the local variables of every frame, for minutes where one is a whole town.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.set_exc_info,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)
