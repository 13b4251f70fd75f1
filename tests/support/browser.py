"""A real Chromium for tests, driven by Playwright; the system's own browser, with a profile of its own each time."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
PHONE = (390, 844)
DESK = (1440, 900)

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def browser_path() -> str:
    """Where Chromium is. Without one the test fails in CI and is skipped elsewhere, never quietly passed."""
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return found
    said = "no Chromium found: apt-get install chromium"
    if os.environ.get("CI"):
        pytest.fail(said)
    pytest.skip(said)


@contextmanager
def browser(size: tuple[int, int] = PHONE, *, locale: str = "zh-CN", dark: bool = False) -> Iterator[BrowserContext]:
    """A browser without memory, with a window of `size`, for a reader of `locale`. A small window has touch and a phone's pixels."""
    path, phone = browser_path(), size[0] < 700
    options: dict[str, Any] = {
        "viewport": {"width": size[0], "height": size[1]},
        "locale": locale,
        "color_scheme": "dark" if dark else "light",
        "has_touch": phone,
        "is_mobile": phone,
        "device_scale_factor": 2 if phone else 1,
    }
    with ExitStack() as ending:
        running = _shared[-1] if _shared else ending.enter_context(chromium(path))
        context = running.new_context(**options)
        context.set_default_timeout(10_000)
        try:
            yield context
        finally:
            context.close()


_shared: list[Browser] = []


@contextmanager
def chromium(path: str) -> Iterator[Browser]:
    """A running Chromium; each context in it is a browser with no memory of the others."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=ARGUMENTS, headless=True)
        try:
            yield running
        finally:
            running.close()


@contextmanager
def one_chromium_for_all() -> Iterator[None]:
    """Lets every `browser()` inside be a context of one Chromium: starting it takes longer than most tests.

    Not for longer than needed: while Playwright runs, its thread takes no other event loop.
    """
    with chromium(browser_path()) as running:
        _shared.append(running)
        try:
            yield
        finally:
            _shared.pop()
