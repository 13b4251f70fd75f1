"""The page of unknown devices in a real browser: seen in alarm, claimed to a grid, and what it said before is read again."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from hub.api import create_app
from hub.clock import now_ms
from hub.ingest.codecs.context import CodecContext
from hub.ingest.router import Router, Source
from hub.model.readings import QuarantineRow
from hub.onboarding.replay import Spool
from hub.onboarding.service import Onboarding
from hub.registry.live import LiveRegistry
from hub.stores.quarantine_queries import QuarantineQueries
from tests.support.browser import PHONE, browser
from tests.support.paths import CONFIG
from tests.support.served import GRID, Hub, hub_at, served

pytestmark = pytest.mark.needs_browser
KITCHEN = "zigbee2mqtt:zigbee2mqtt/My kitchen"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_at(tmp_path, now_ms) as found:
        shutil.copytree(CONFIG / "registry", tmp_path / "registry")
        live = LiveRegistry(tmp_path / "registry")
        onboarding = Onboarding(
            tmp_path / "registry",
            QuarantineQueries(found.ledger),
            Router([Source(codec="zigbee2mqtt", root="zigbee2mqtt")], CodecContext(zone="Asia/Shanghai")),
            lambda: live.current,
            spool=Spool(tmp_path / "replay"),
            reload=lambda: live.reload() and None,
        )
        found.parts = dataclasses.replace(found.parts, onboarding=onboarding, registry=lambda: live.current)
        found.app = create_app(found.parts)
        row = QuarantineRow(
            topic="zigbee2mqtt/My kitchen", reason="unknown device", codec="zigbee2mqtt", address=KITCHEN, count=3,
            first_at_ms=now_ms(), last_at_ms=now_ms(), position=7, payload=b'{"smoke":true,"note":"<b>x</b>"}',
        )  # fmt: skip
        found.parts.desk.record([], consumer="rules", journal="j", position=8, now_ms=now_ms(), quarantine=[row])
        yield found


def test_an_officer_claims_a_device_that_stands_in_alarm_on_a_phone(hub: Hub) -> None:
    with served(hub) as server, browser(PHONE) as context:
        page = context.new_page()
        page.goto(f"{server.url}/onboarding#token={hub.token('officer', grids=('*',))}")
        card = page.locator("section.part-box")
        expect(card).to_contain_text("它正在报警")
        expect(card.locator("select[name=kind]")).to_have_value("smoke_alarm")
        card.locator("summary").click()
        expect(card.locator("pre")).to_contain_text('"note":"<b>x</b>"')
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        card.locator("select[name=grid]").select_option(GRID)
        card.locator("input[name=id]").fill("has blank")
        card.get_by_role("button", name="认领").click()
        expect(card.get_by_role("alert")).to_contain_text("has blank")
        card.locator("input[name=id]").fill("kitchen")
        card.locator("input[name=name_zh]").fill("厨房烟感")
        card.get_by_role("button", name="认领").click()
        expect(page.get_by_role("status")).to_contain_text("其中报警 1 条")
        expect(page.locator("p.empty")).to_be_visible()
    device = hub.parts.registry().find("kitchen")
    assert device is not None
    assert (device.kind, device.grid, device.name.zh) == ("smoke_alarm", GRID, "厨房烟感")
