"""What is quiet, who is on duty and what is proven, in a real browser: on a phone and at a desk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from hub.clock import now_ms
from tests.support.browser import DESK, PHONE, browser
from tests.support.served import GRID, SMOKE, STATION, Hub, Served, hub_at, served

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


def test_an_alert_is_shelved_its_device_put_out_of_service_and_an_answer_to_an_earlier_alarm_refused(
    hub: Hub, server: Served
) -> None:
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

        page.locator('[data-key="back"]').click()
        fire = hub.says()
        card = page.locator(f'#open .card[data-id="{fire}"]')
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
        assert faults == []


def test_a_drill_is_ordered_and_shown_to_its_area_and_a_crew_answers_a_duty_check(hub: Hub, server: Served) -> None:
    with browser(PHONE) as phone, browser(DESK) as desk:
        page = phone.new_page()
        faults = faults_of(page)
        enter(page, server, hub.token("officer", grids=("*",)), "/")
        page.goto(f"{server.url}/silences")
        page.get_by_role("button", name="新建静默或演练").click()
        page.locator("#silence-kind").select_option("drill")
        page.locator("#silence-place").select_option(GRID)
        page.locator(f'.choice[data-station="{STATION}"]').click()
        page.locator("#silence-reason").fill("秋季消防演练")
        page.get_by_role("button", name="开始", exact=True).click()
        expect(page.locator(".silence.drill.running")).to_contain_text("秋季消防演练")
        assert fits(page)

        page.goto(f"{server.url}/duty")
        expect(page.locator("#drill")).to_contain_text("演练进行中")
        station = page.locator(f'[data-station="{STATION}"]')
        expect(station.locator(".who .person")).not_to_have_count(0)
        station.get_by_role("button", name="查岗").click()
        expect(station.locator(".check.asked")).to_contain_text("等待应答")
        assert fits(page)

        near = desk.new_page()
        enter(near, server, crew(hub), "/")
        expect(near.locator("#drill")).to_contain_text("秋季消防演练")
        near.goto(f"{server.url}/duty")
        near.get_by_role("button", name="在岗应答").click()
        expect(near.locator(".check.answered")).to_have_text("已应答，正在登记。")
        assert hub.parts.dispatch.asking.unanswered(now_ms()) == ()  # as the hub looks every few seconds
        page.reload()
        expect(station.locator(".check.answered")).to_contain_text("station token 在")
        assert fits(near)

        page.goto(f"{server.url}/audit")
        page.get_by_role("button", name="最近 24 小时").click()
        expect(page.get_by_role("link", name="CSV 表格")).to_be_visible()
        assert fits(page)

        desk.clear_cookies()
        near.goto(f"{server.url}/sign-in?next=/cases#token={hub.token('station', stations=('st-2',))}")
        near.wait_for_url(f"{server.url}/cases")
        assert near.evaluate("fetch('/api/v1/silences?kind=drill').then((answer) => answer.json())") == []
        expect(near.locator("#drill")).to_be_hidden()
        assert faults == []
