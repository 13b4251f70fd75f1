"""One Chromium for all tests of a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.browser import one_chromium_for_all


@pytest.fixture(scope="module", autouse=True)
def chromium() -> Iterator[None]:
    with one_chromium_for_all():
        yield
