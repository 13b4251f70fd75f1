"""What is quiet, who is on duty and what is proven, in a real browser: on a phone and at a desk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from hub.clock import now_ms
from tests.support.browser import PHONE, browser
from tests.support.served import SMOKE, STATION, Hub, Served, hub_at, served

pytestmark = pytest.mark.needs_browser


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_at(tmp_path, now_ms) as found:
        yield found


@pytest.fixture
def server(hub: Hub) -> Iterator[Served]:
    with served(hub) as found:
        yield found


def enter(page: Page, server: Served, token: str, path: str = "/") -> Page:
    page.goto(f"{server.url}{path}#token={token}")
    expect(page.locator("main")).to_be_visible()
    return page


def faults_of(page: Page) -> list[str]:
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if "Content Security" in said.text else None)
    return faults


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def crew(hub: Hub, role: Any = "station") -> str:
    return hub.token(role, stations=(STATION,))


def test_an_alert_is_shelved_and_its_device_put_out_of_service(hub: Hub, server: Served) -> None:
    alert = hub.says(SMOKE, "smoke-battery-low")
    with browser(PHONE) as context:
        page = context.new_page()
        faults = faults_of(page)
        enter(page, server, crew(hub, "officer"), f"/alerts/{alert}")
        ask, box = page.locator("#ask"), page.locator(".quiet-box")
        page.locator('[data-action="shelve"]').click()
        send = ask.get_by_role("button", name="搁置", exact=True)
        ask.get_by_role("button", name="4 小时", exact=True).click()
        expect(send).to_be_disabled()
        ask.locator("textarea").fill("明天换电池")
        send.click()
        expect(box).to_contain_text("已搁置")
        expect(box).to_contain_text("明天换电池")
        expect(box).to_contain_text("officer token")
        page.locator('[data-action="unshelve"]').click()
        expect(box).to_have_count(0)
        page.locator('[data-action="take_out"]').click()
        ask.get_by_role("button", name="1 小时", exact=True).click()
        ask.locator("textarea").fill("设备送修")
        ask.get_by_role("button", name="设备停用").click()
        expect(box).to_contain_text("设备已停用")
        page.locator('[data-action="put_back"]').click()
        expect(box).to_have_count(0)
        assert fits(page)
        assert faults == []


def test_an_answer_to_an_earlier_alarm_is_refused_in_plain_words(hub: Hub, server: Served) -> None:
    alert = hub.says()
    with browser(PHONE) as context:
        page = enter(context.new_page(), server, crew(hub))
        card = page.locator(f'#open .card[data-id="{alert}"]')
        expect(card).to_be_visible()
        page.route("**/api/v1/stream*", lambda route: route.abort())
        page.route("**/api/v1/board*", lambda route: route.abort())
        page.evaluate("window.dispatchEvent(new Event('offline'))")  # the page does not know what comes now
        hub.says(kind="cleared", value=False)
        hub.says()
        card.locator('[data-action="acknowledge"]').click()
        expect(card.locator(".trouble")).to_contain_text("您查看之后它又报警了（至今 2 次）")
        card.locator('[data-action="acknowledge"]').click()  # now of the alarm that is shown
        expect(card.locator(".state.accepted")).to_be_visible()
        expect(card.locator(".trouble")).to_have_count(0)
