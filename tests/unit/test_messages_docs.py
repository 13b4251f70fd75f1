"""What docs/dispatch.md tells the receivers of webhooks is true."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from hub.dispatch.channels.webhook import body_of, signature
from hub.dispatch.messages import compose
from hub.dispatch.routing import TELLS
from tests.support.notices import NOW_MS, ZONE, a_delivery, an_alert
from tests.support.paths import ROOT
from tests.support.registry import small_registry

TEXT = (ROOT / "docs" / "dispatch.md").read_text("utf-8")
MESSAGE = compose(an_alert(), a_delivery(), small_registry(), NOW_MS, ZONE, "https://hub.example")


def is_genuine() -> Callable[[str, str, str, bytes], bool]:
    found = re.search(r"<!-- run: signature -->\s*```python\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    names: dict[str, Callable[[str, str, str, bytes], bool]] = {}
    exec(found[1], names)  # type: ignore[arg-type]
    return names["is_genuine"]


def test_the_example_accepts_what_the_hub_signs_and_nothing_else() -> None:
    check, body, now = is_genuine(), body_of(MESSAGE), str(int(time.time() * 1_000))
    good = signature("secret", now, body)
    assert check("secret", now, good, body)
    assert not check("other", now, good, body)
    assert not check("secret", now, good, body + b" ")
    assert not check("secret", str(int(now) - 1), good, body)
    old = str(int(now) - 600_000)
    assert not check("secret", old, signature("secret", old, body), body)


def test_every_field_of_the_request_is_documented() -> None:
    table = TEXT.split("#### The request")[1].split("#### Checking")[0]
    documented = {name.split(".")[0] for name in re.findall(r"`([a-z_.0-9]+)`", table)}
    sent = {"v", "id", "title", "text", "locale", "severity", "test", "links", *MESSAGE.fields}
    assert sent <= documented, sent - documented


def test_every_group_of_recipients_is_documented() -> None:
    assert all(f"`{tell}`" in TEXT for tell in TELLS)
