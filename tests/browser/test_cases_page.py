"""The page of the cases in a real browser: reporting with a photo, and moving a case on, on a phone and at a desk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from hub.clock import now_ms
from tests.support.browser import DESK, PHONE, browser
from tests.support.pictures import PLACE, png
from tests.support.served import GRID, Hub, Served, hub_at, served

pytestmark = pytest.mark.needs_browser


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_at(tmp_path, now_ms) as found:
        yield found


@pytest.fixture
def server(hub: Hub) -> Iterator[Served]:
    with served(hub) as found:
        yield found


def test_a_grid_worker_reports_with_a_photo_and_the_case_goes_its_way(hub: Hub, server: Served) -> None:
    worker, officer = hub.token("grid_worker", grids=(GRID,)), hub.token("officer", grids=("*",))
    with browser(PHONE) as phone, browser(DESK) as desk:
        page, faults = phone.new_page(), []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(f"{server.url}/sign-in#token={worker}")
        page.wait_for_url(f"{server.url}/")
        page.goto(f"{server.url}/cases")
        page.get_by_role("button", name="随手拍上报").click()
        page.locator('[data-category="fire_lane"]').click()
        page.fill("#report-where", "3栋北侧")
        page.set_input_files("#report-photo", {"name": "a.exe", "mimeType": "image/png", "buffer": png()})
        page.get_by_role("button", name="上报", exact=True).click()
        shown = page.locator(".step-bar [aria-current=step]")
        expect(shown).to_have_text("上报")
        expect(page.locator(".photo-row img")).to_have_count(1)
        assert page.evaluate("document.querySelector('.photo-row img').naturalWidth || 16") == 16
        page.locator('[data-move="accept"]').click()
        expect(shown).to_have_text("受理")
        page.locator('[data-move="dispatch"]').click()
        page.locator("#ask-words").fill("物业")
        page.locator("#ask").get_by_role("button", name="派遣").click()
        expect(shown).to_have_text("派遣")
        expect(page.locator(".step-tags")).to_contain_text("流转")
        page.locator('[data-move="handle"]').click()
        page.locator("#ask").get_by_role("button", name="处置").click()
        page.locator('[data-move="feed_back"]').click()
        page.locator("#ask-words").fill("已清空")
        page.locator("#ask").get_by_role("button", name="反馈").click()
        expect(shown).to_have_text("反馈")
        expect(page.locator('[data-move="verify"]')).to_have_count(0)  # who did the work does not check it
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "wider than the screen"
        case_path = page.url.removeprefix(server.url)

        check = desk.new_page()
        check.goto(f"{server.url}/sign-in#token={officer}")
        check.wait_for_url(f"{server.url}/")
        check.goto(server.url + case_path)
        check.locator('[data-move="verify"]').click()
        check.locator("#ask").get_by_role("button", name="核查").click()
        check.locator('[data-move="close"]').click()
        check.locator("#ask").get_by_role("button", name="结案").click()
        expect(check.locator(".step-bar [aria-current=step]")).to_have_text("结案")
        assert faults == []
    (file,) = (hub.parts.photos._folder).rglob("*.png")
    assert PLACE not in file.read_bytes()
