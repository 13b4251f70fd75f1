"""What holds for all tests: where their files lie, how they are shared out among processes, and how they log."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
import structlog

from hub.telemetry import log

_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 3 << 30
_FIRST = ("e2e", "browser", "integration", "contracts")

# As the hub itself: the default formatter draws the local variables of every frame, for minutes where one is a whole town.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.set_exc_info,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)


@pytest.fixture
def logs() -> Iterator[list[MutableMapping[str, Any]]]:
    """What the hub logs during a test, as event dictionaries, however an earlier test has set logging up."""
    before = structlog.get_config()
    structlog.configure(processors=[], wrapper_class=structlog.BoundLogger, cache_logger_on_first_use=False)
    vars(log).pop("bind", None)  # where a logger that was used once is kept
    try:
        with structlog.testing.capture_logs() as found:
            yield found
    finally:
        structlog.configure(**before)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # what is set here holds for all processes of the tests and what they start
        _keep_files_in_memory()
        _compile_once(config)


def _keep_files_in_memory() -> None:
    """Puts the tests' files into memory, where there is room: killed processes leave there what they leave on a disk.

    TMPDIR says otherwise. What is not synced to a disk could be lost by a power cut only, and no test can cause one.
    """
    if "TMPDIR" in os.environ or not _MEMORY.is_dir() or not os.access(_MEMORY, os.W_OK):
        return
    if min(shutil.disk_usage(_MEMORY).free, _free_memory()) > _ROOM_BYTES:
        os.environ["TMPDIR"] = tempfile.tempdir = str(_MEMORY)


def _compile_once(config: pytest.Config) -> None:
    """Where Python may keep nothing, each of the many hubs that are started would compile itself anew, for seconds."""
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", "") and "PYTHONPYCACHEPREFIX" not in os.environ:
        folder = os.environ["PYTHONPYCACHEPREFIX"] = tempfile.mkdtemp(prefix="gridhub-pycache-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def _free_memory() -> int:
    lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several processes share the tests, those that take longest come first, so that all end together."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _rank(item.nodeid))


def _rank(nodeid: str) -> int:
    layer = nodeid.split("/")[1]
    return _FIRST.index(layer) if layer in _FIRST else len(_FIRST)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Gives whole files to processes: tests of one file often share servers."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid.split("::", 1)[0]

    config.option.loadscopereorder = False
    return ByFile(config, log)
