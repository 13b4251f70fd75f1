"""Fixtures of the integration tests."""

import structlog

from tests.support.ledgers import ledger, ledger_url

__all__ = ["ledger", "ledger_url"]

# The default draws every local variable of every frame: a second for each failure that a test provokes.
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)
