"""What holds for all tests."""

from __future__ import annotations

import pytest
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """For several processes (`-n 2 --dist loadgroup`): the long stories one after the other in one of them, they kill and flood;
    what starts a server for a whole file stays together."""
    for item in items:
        layer = item.path.parent.name
        if layer == "e2e":
            item.add_marker(pytest.mark.xdist_group("stories"))
        elif layer in ("integration", "browser"):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
