"""The console in a real browser, against a real web server, desk and ledger: what a crew sees and taps."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from hub.api import PartHealth
from hub.clock import now_ms
from hub.model.places import Name
from hub.registry.snapshot import Registry
from tests.support.browser import DESK, PHONE, browser
from tests.support.served import GRID, SMOKE, STATION, Hub, Served, example_registry, hub_at, served

pytestmark = pytest.mark.needs_browser

OTHER_SMOKE = "smoke-c1b1-02"


class MovableClock:
    """The real time, and a shift that a test can make."""

    shift_ms = 0

    def __call__(self) -> int:
        return now_ms() + self.shift_ms


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_at(tmp_path, MovableClock()) as found:
        yield found


@pytest.fixture
def server(hub: Hub) -> Iterator[Served]:
    with served(hub) as found:
        yield found


def crew_token(hub: Hub, role: Any = "station") -> str:
    return hub.token(role, stations=(STATION,))


def enter(page: Page, server: Served, token: str, path: str = "/") -> Page:
    """Opens the console as a link with the token does, and waits until it is live."""
    page.goto(f"{server.url}{path}#token={token}")
    expect(page.locator("#line")).to_have_attribute("data-state", "live")
    return page


def card(page: Page, alert_id: str) -> Any:
    return page.locator(f'#open .card[data-id="{alert_id}"]')


def button(page: Page, alert_id: str, action: str) -> Any:
    return card(page, alert_id).locator(f'[data-action="{action}"]')


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("locale", ["zh-CN", "en-US"])
def test_an_alert_appears_by_itself_is_acknowledged_and_moves_on(
    hub: Hub, server: Served, size: tuple[int, int], locale: str
) -> None:
    def say(zh: str, en: str) -> str:
        return zh if locale == "zh-CN" else en

    with browser(size, locale=locale) as context:
        page = enter(context.new_page(), server, crew_token(hub))
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        expect(page.locator(".empty.calm")).to_contain_text(say("当前没有未结案告警", "No open alerts"))
        page.evaluate("window.notReloaded = true")

        alert_id = hub.says()
        expect(card(page, alert_id)).to_be_visible(timeout=3_000)
        expect(card(page, alert_id)).to_contain_text(say("烟雾报警", "Smoke alarm"))
        expect(card(page, alert_id)).to_contain_text(say("幸福里 1栋 1单元", "Xingfu Lane, Building 1, Unit 1"))
        expect(card(page, alert_id).locator(".limit")).to_contain_text(say("受理倒计时", "Acknowledge within"))
        expect(page.locator("#severities .P1 b")).to_have_text("1")
        expect(page).to_have_title(re.compile("🔥1"))
        expect(page.locator("#said")).to_contain_text("P1")

        button(page, alert_id, "acknowledge").click()
        expect(card(page, alert_id).locator(".state.accepted")).to_have_text(say("已受理", "Acknowledged"))
        button(page, alert_id, "on_scene").click()
        expect(card(page, alert_id).locator(".state.on_scene")).to_have_text(say("已到场", "On scene"))
        expect(card(page, alert_id).locator(".limit")).to_have_count(0)
        assert hub.parts.queries.one(alert_id).case_state == "on_scene"  # type: ignore[union-attr]

        assert page.evaluate("window.notReloaded") is True
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than the screen"
        assert faults == []


def test_a_false_alarm_asks_why_and_keeps_the_answer(hub: Hub, server: Served) -> None:
    alert_id = hub.says()
    with browser() as context:
        page = enter(context.new_page(), server, crew_token(hub))
        button(page, alert_id, "false_alarm").click()
        ask = page.locator("#ask")
        expect(ask).to_be_visible()
        send = ask.get_by_role("button", name="确认误报")
        expect(send).to_be_disabled()
        ask.get_by_role("button", name="取消").click()
        expect(ask).to_be_hidden()
        assert hub.parts.queries.one(alert_id).live  # type: ignore[union-attr]

        button(page, alert_id, "false_alarm").click()
        ask.get_by_role("button", name="做饭油烟").click()
        ask.locator("textarea").fill("厨房做饭，已开窗")
        send.click()
        expect(card(page, alert_id)).to_have_count(0)
        expect(page.locator("#recent")).to_contain_text("厨房做饭，已开窗")
        after = hub.parts.queries.one(alert_id)
        assert after is not None
        assert (after.case_state, after.close_reason) == ("false_alarm", "厨房做饭，已开窗")


def test_what_a_colleague_does_shows_up_here(hub: Hub, server: Served) -> None:
    alert_id = hub.says()
    with browser() as context:
        here = enter(context.new_page(), server, crew_token(hub))
        there = enter(context.new_page(), server, crew_token(hub, "officer"))
        button(there, alert_id, "acknowledge").click()
        expect(card(here, alert_id).locator(".state.accepted")).to_be_visible(timeout=3_000)


def test_a_tap_on_an_alert_that_somebody_else_closed_says_so_in_place(hub: Hub, server: Served) -> None:
    alert_id = hub.says()
    with browser() as context:
        page = enter(context.new_page(), server, crew_token(hub))
        expect(card(page, alert_id)).to_be_visible()
        # The stream is cut, so that the page does not know yet.
        page.route("**/api/v1/stream*", lambda route: route.abort())
        page.route("**/api/v1/board", lambda route: route.abort())
        page.evaluate("window.dispatchEvent(new Event('offline'))")
        officer = hub.parts.tokens.actor_of(crew_token(hub, "officer"), now_ms())
        assert officer is not None
        hub.parts.desk.act(alert_id, "false_alarm", officer, now_ms(), reason="steam")
        button(page, alert_id, "acknowledge").click()
        expect(card(page, alert_id).locator(".trouble")).to_contain_text("该告警已由officer token判定为误报")


def test_a_button_is_off_while_its_answer_is_on_the_way(hub: Hub, server: Served) -> None:
    alert_id = hub.says()
    with browser() as context:
        page = enter(context.new_page(), server, crew_token(hub))
        sent: list[str] = []
        page.route("**/acknowledge", lambda route: (sent.append(route.request.url), time.sleep(0.5), route.continue_()))  # type: ignore[func-returns-value]
        acknowledge = button(page, alert_id, "acknowledge")
        acknowledge.dblclick(no_wait_after=True)
        expect(card(page, alert_id).locator(".state.accepted")).to_be_visible()
        assert len(sent) == 1
        assert [row.action for row in hub.parts.queries.audit(alert_id)] == ["raised", "acknowledge"]


def test_a_page_that_is_cut_off_says_so_loudly_and_comes_back_by_itself(hub: Hub, server: Served) -> None:
    with browser() as context:
        page = enter(context.new_page(), server, crew_token(hub))
        server.stop()
        expect(page.locator("#line")).to_have_attribute("data-state", "offline", timeout=15_000)
        expect(page.locator("#line")).to_contain_text(re.compile(r"离线，自 \d\d:\d\d:\d\d"))
        expect(page.locator("#banner")).to_contain_text("请使用电话或对讲机")
        expect(page.locator("#open")).to_contain_text("无法确认是否有告警")  # an empty list is no good news now
        missed = hub.says()
        server.start()
        expect(page.locator("#line")).to_have_attribute("data-state", "live", timeout=20_000)
        expect(page.locator("#banner")).to_be_hidden()
        expect(card(page, missed)).to_be_visible()


def test_without_the_stream_the_page_polls_and_says_so(hub: Hub, server: Served) -> None:
    with browser() as context:
        page = context.new_page()
        page.route("**/api/v1/stream*", lambda route: route.abort())
        page.goto(f"{server.url}/#token={crew_token(hub)}")
        expect(page.locator("#line")).to_have_attribute("data-state", "polling", timeout=15_000)
        alert_id = hub.says()
        expect(card(page, alert_id)).to_be_visible(timeout=8_000)


def test_a_hub_in_trouble_is_announced_on_every_page(hub: Hub, server: Served) -> None:
    with browser() as context:
        page = enter(context.new_page(), server, crew_token(hub))
        hub.health["mqtt"] = PartHealth(state="down", detail="connection refused")
        expect(page.locator("#banner")).to_contain_text("设备连接（connection refused）", timeout=12_000)
        expect(page.locator("#open")).to_contain_text("无法确认是否有告警")
        hub.health["mqtt"] = PartHealth(state="ok")
        expect(page.locator("#banner")).to_be_hidden(timeout=12_000)
        expect(page.locator("#open .calm")).to_be_visible()


def test_a_wrong_token_is_refused_on_the_page_and_never_put_into_the_address(hub: Hub, server: Served) -> None:
    with browser() as context:
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{server.url}/#token=gh_wrong")
        expect(page.locator("#problem")).to_contain_text("令牌不存在、已过期或已被吊销")
        assert "token" not in page.url
        assert not any("gh_wrong" in url.split("#")[0] for url in asked)
        page.locator("#token").fill(crew_token(hub))
        page.get_by_role("button", name="登录").click()
        expect(page.locator("#line")).to_have_attribute("data-state", "live")


def test_signing_out_leaves_nothing_to_go_back_to(hub: Hub, server: Served) -> None:
    hub.says()
    with browser() as context:
        page = enter(context.new_page(), server, crew_token(hub))
        page.locator("#menu-button").click()
        page.get_by_role("menuitem", name="退出登录").click()
        expect(page.locator("#token")).to_be_visible()
        page.goto(f"{server.url}/")
        expect(page.locator("#token")).to_be_visible()


def test_a_link_to_a_sign_in_page_never_leads_away_from_the_hub(hub: Hub, server: Served) -> None:
    with browser() as context:
        page = context.new_page()
        for evil in ("//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"):
            page.goto(f"{server.url}/sign-in?next={evil}#token={crew_token(hub)}")
            expect(page.locator("#line")).to_have_attribute("data-state", "live")
            assert page.url == f"{server.url}/"


def test_a_viewer_sees_the_alert_without_buttons(hub: Hub, server: Served) -> None:
    alert_id = hub.says()
    with browser() as context:
        page = enter(context.new_page(), server, crew_token(hub, "viewer"))
        expect(card(page, alert_id)).to_contain_text("您只有查看权限")
        expect(card(page, alert_id).locator("[data-action]")).to_have_count(0)
        expect(card(page, alert_id).locator("a[href^='tel:']")).to_have_count(0)


def test_an_alert_of_another_station_never_appears(hub: Hub, server: Served) -> None:
    with browser() as context:
        page = enter(context.new_page(), server, crew_token(hub))
        far, near = hub.says(hub.far_smoke()), hub.says()
        expect(card(page, near)).to_be_visible()
        expect(card(page, far)).to_have_count(0)
        page.goto(f"{server.url}/alerts/{far}")
        expect(page.locator("#detail")).to_contain_text("您负责的网格内没有这条告警")


def test_the_detail_page_shows_timeline_and_notifications(hub: Hub, server: Served) -> None:
    alert_id = hub.says()
    (first, *_) = hub.outbox.claim(now_ms() + 1, "test", limit=50, lease_ms=10_000)
    hub.outbox.begin_send(first.id, now_ms())
    created = hub.parts.queries.deliveries(alert_id)[0].created_at_ms
    hub.outbox.accepted(first.id, "receipt", created + 812)
    with browser() as context:
        page = enter(context.new_page(), server, crew_token(hub), f"/alerts/{alert_id}")
        detail = page.locator("#detail")
        expect(detail.locator(".timeline li")).to_have_count(1)
        expect(detail.locator("ol.deliveries")).to_contain_text("0.8 秒后对方接收")
        detail.locator('[data-action="acknowledge"]').click()
        expect(detail.locator(".timeline li")).to_have_count(2)
        expect(detail.locator("ol.timeline")).to_contain_text("已受理")
        detail.locator(".back").click()
        expect(card(page, alert_id)).to_be_visible()
        assert page.url == f"{server.url}/"
        page.go_back()
        expect(detail.locator(".timeline li")).to_have_count(2)


def test_the_most_urgent_alert_stands_first_and_a_filter_leaves_the_rest_out(hub: Hub, server: Served) -> None:
    late = hub.says("cabinet-c1-09", "cabinet-overheat", value=58.4, threshold=55.0)
    fire = hub.says()
    fault = hub.says(OTHER_SMOKE, "smoke-battery-low")
    with browser() as context:
        page = enter(context.new_page(), server, crew_token(hub))

        def shown() -> list[str]:
            return [c.get_attribute("data-id") or "" for c in page.locator("#open .card").all()]

        assert shown() == [fire, late, fault]
        page.locator("#severities .P2").click()
        assert shown() == [late]
        expect(page.locator("#severities .P2")).to_have_attribute("aria-pressed", "true")
        page.locator("#severities .P2").click()
        assert len(shown()) == 3


def test_time_runs_by_the_hubs_clock_and_an_overdue_step_says_so(hub: Hub, server: Served) -> None:
    clock = hub.clock
    assert isinstance(clock, MovableClock)
    clock.shift_ms = -3 * 3_600_000  # the hub's clock and the phone's differ by hours
    alert_id = hub.says()
    with browser() as context:
        page = enter(context.new_page(), server, crew_token(hub))
        expect(card(page, alert_id).locator(".elapsed time")).to_have_text(re.compile(r"^00:[0-2]\d$"))
        clock.shift_ms += 90_000
        page.reload()
        expect(card(page, alert_id).locator(".limit time")).to_have_class("overdue")
        expect(card(page, alert_id).locator(".limit")).to_have_text(re.compile(r"^受理超时 0[01]:\d\d$"))


def evil_registry() -> Registry:
    """The example place, with a device that was given markup for a name."""
    from dataclasses import replace

    known = example_registry()
    evil = Name(zh="<img src=x onerror='window.broken=1'>", en="<img src=x onerror='window.broken=1'>")
    devices = [replace(d, name=evil) if d.id == SMOKE else d for d in known.devices()]
    return Registry.of(
        devices,
        places=known.places.values(),
        people=known.people.values(),
        stations=known.stations.values(),
        outlines=known.outlines,
    )


def test_markup_in_a_device_name_stays_text(tmp_path: Path) -> None:
    with hub_at(tmp_path, now_ms, registry=evil_registry()) as hub, served(hub) as server, browser() as context:
        page = enter(context.new_page(), server, crew_token(hub))
        alert_id = hub.says(value="<b onclick=alert(1)>hot</b>")
        expect(card(page, alert_id)).to_contain_text("<img src=x")
        expect(card(page, alert_id)).to_contain_text("<b onclick")
        card(page, alert_id).locator(".place a").click()
        expect(page.locator("#detail .facts")).to_contain_text("<img src=x")
        assert page.locator("main img").count() == 0
        assert page.evaluate("window.broken") is None


def test_the_language_can_be_switched_and_stays(hub: Hub, server: Served) -> None:
    with browser() as context:
        page = enter(context.new_page(), server, crew_token(hub))
        expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
        page.locator("#menu-button").click()
        page.get_by_role("button", name="English").click()
        expect(page.locator("html")).to_have_attribute("lang", "en")
        expect(page.locator("#line")).to_have_text("Live")
        page.reload()
        expect(page.locator("html")).to_have_attribute("lang", "en")


def test_everything_to_tap_is_big_enough_and_has_a_name(hub: Hub, server: Served) -> None:
    alert_id = hub.says()
    with browser() as context:
        page = enter(context.new_page(), server, crew_token(hub), f"/alerts/{alert_id}")
        page.locator("#menu-button").click()
        small = page.evaluate(
            """() => [...document.querySelectorAll('button, select, #open a, input')]
                .filter((e) => e.offsetParent && e.getBoundingClientRect().height < 44)
                .map((e) => e.outerHTML.slice(0, 120))"""
        )
        assert small == []
        nameless = page.evaluate(
            """() => [...document.querySelectorAll('button, a, select')].filter((e) => e.offsetParent
                && !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length)).map((e) => e.outerHTML)"""
        )
        assert nameless == []


def test_the_keyboard_reaches_and_keeps_its_place(hub: Hub, server: Served) -> None:
    alert_id = hub.says()
    with browser(DESK) as context:
        page = enter(context.new_page(), server, crew_token(hub))
        button(page, alert_id, "acknowledge").focus()
        hub.says(OTHER_SMOKE, "smoke-battery-low")  # another card appears meanwhile
        expect(page.locator("#open .card")).to_have_count(2)
        assert page.evaluate("document.activeElement.dataset.action") == "acknowledge"
        page.keyboard.press("Enter")
        expect(card(page, alert_id).locator(".state.accepted")).to_be_visible()


def test_a_wide_screen_shows_list_detail_and_map_together(hub: Hub, server: Served) -> None:
    alert_id = hub.says()
    with browser(DESK) as context:
        page = enter(context.new_page(), server, crew_token(hub, "officer"))
        expect(card(page, alert_id)).to_be_visible()
        expect(page.locator("#detail")).to_contain_text("处置记录")
        expect(page.locator("#map path.grid.P1")).to_have_count(1)
        expect(page.locator("#map .dot.P1")).to_have_count(1)
        assert page.locator("#map path.grid").count() == sum(1 for g in hub.registry.stations[STATION].grids)
        assert GRID in hub.registry.outlines


# ---------------------------------------------------------------- fingers


def acted(page: Page) -> list[str]:
    """What the page asks the hub to do from here on: alert id/verb."""
    sent: list[str] = []
    page.on("request", lambda r: sent.append("/".join(r.url.split("/")[-2:])) if r.method == "POST" else None)
    return sent


def spot(page: Page, element: Any, height: float) -> tuple[float, float]:
    """A point in the middle of `element`, at this share of its height, as it lies on the screen now."""
    element.evaluate("e => e.scrollIntoView({block: 'center'})")
    page.wait_for_timeout(150)
    box = element.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] * height


@pytest.mark.parametrize("height", [0.1, 0.6, 0.9])
@pytest.mark.parametrize("path", ["/", "/alerts/"])
def test_the_first_tap_does_what_its_button_says_and_switches_the_sound_on(
    hub: Hub, server: Served, height: float, path: str
) -> None:
    alert_id = hub.says()
    with browser() as context:
        page = enter(context.new_page(), server, crew_token(hub), path if path == "/" else path + alert_id)
        expect(page.locator("#sound-banner")).to_be_visible()
        where = page.locator("#open" if path == "/" else "#detail")
        sent = acted(page)
        page.touchscreen.tap(*spot(page, where.locator('[data-action="acknowledge"]'), height))
        expect(where.locator(".state.accepted")).to_be_visible()
        expect(page.locator("#sound-banner")).to_be_hidden()
        assert sent == [f"{alert_id}/acknowledge"]
        assert page.locator("dialog[open]").count() == 0


def test_a_tap_on_the_sound_bar_switches_the_sound_on_and_nothing_else(hub: Hub, server: Served) -> None:
    alert_id = hub.says()
    with browser() as context:
        page = enter(context.new_page(), server, crew_token(hub), f"/alerts/{alert_id}")
        sent = acted(page)
        before = page.locator("#detail .place").bounding_box()
        box = page.locator("#sound-banner").bounding_box()
        assert box is not None
        page.touchscreen.tap(box["x"] + 60, box["y"] + box["height"] / 2)
        expect(page.locator("#sound-banner")).to_be_hidden()
        page.wait_for_timeout(400)
        assert page.url.endswith(f"/alerts/{alert_id}")
        assert sent == []
        assert page.locator("#detail .place").bounding_box() == before


@pytest.mark.parametrize("held_ms", [300, 1_600])
def test_an_alert_that_comes_while_a_finger_is_down_never_takes_the_tap(hub: Hub, server: Served, held_ms: int) -> None:
    first = hub.says()
    with browser() as context:
        page = enter(context.new_page(), server, crew_token(hub))
        sent = acted(page)
        x, y = spot(page, button(page, first, "acknowledge"), 0.6)
        touch = context.new_cdp_session(page)
        touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
        second = hub.says(OTHER_SMOKE)  # stands above the first one
        page.wait_for_timeout(held_ms)
        assert card(page, second).count() == (0 if held_ms < 1_000 else 1)  # a finger that stays hides no alarm
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        expect(card(page, second)).to_be_visible()
        page.wait_for_timeout(500)
        assert set(sent) <= {f"{first}/acknowledge"}
        assert page.locator("dialog[open]").count() == 0
        if held_ms < 1_000:
            assert sent == [f"{first}/acknowledge"]
        assert hub.parts.queries.one(second).acked_at_ms is None  # type: ignore[union-attr]


# ---------------------------------------------------------------- what the page says


def test_a_degraded_part_is_named_with_its_detail_and_there_is_no_all_clear(hub: Hub, server: Served) -> None:
    with browser() as context:
        page = enter(context.new_page(), server, crew_token(hub))
        expect(page.locator("#open .calm")).to_be_visible()
        hub.health["config"] = PartHealth(state="degraded", detail="<b>devices.csv:4</b>", required=False)
        expect(page.locator("#banner")).to_contain_text("配置（<b>devices.csv:4</b>）", timeout=12_000)
        expect(page.locator("#open .unsure")).to_contain_text("当前没有未结案告警")
        expect(page.locator("#open .calm")).to_have_count(0)
        hub.health["journal"] = PartHealth(state="degraded", detail="disk full")
        expect(page.locator("#open .blind")).to_contain_text("无法确认是否有告警", timeout=12_000)


def escalate(hub: Hub, minutes: int) -> None:
    clock = hub.clock
    assert isinstance(clock, MovableClock)
    for _ in range(minutes * 2):
        clock.shift_ms += 30_000
        hub.parts.desk.run_timers(clock())


def test_an_alert_that_nobody_answers_keeps_a_page_that_can_be_read(hub: Hub, server: Served) -> None:
    alert_id = hub.says()
    due = hub.outbox.claim(now_ms() + 1, "test", limit=1, lease_ms=10_000)
    hub.outbox.give_up(due[0].id, "410 gone", now_ms())
    escalate(hub, 12)
    alert = hub.parts.queries.one(alert_id)
    assert alert is not None
    assert alert.escalation_level > 3
    with browser() as context:
        page = enter(context.new_page(), server, crew_token(hub), f"/alerts/{alert_id}")
        detail = page.locator("#detail")
        expect(detail.locator(".climbed")).to_have_text(f"已升级到第 3 级 · 重复通知 ×{alert.escalation_level - 3}")
        rows = len(hub.parts.queries.deliveries(alert_id))
        shown = [row for row in detail.locator("ol.deliveries li").all() if row.is_visible()]
        assert 0 < len(shown) < rows / 3
        failed = detail.locator("ol.deliveries li.failed")
        expect(failed).to_have_count(1)
        expect(failed).to_be_visible()
        expect(failed).to_contain_text("410 gone")
        fold = detail.locator("details.fold").first
        expect(fold.locator("summary")).to_contain_text("条通知")
        fold.locator("summary").click()
        expect(fold.locator("li").first).to_be_visible()
        hub.parts.desk.run_timers(now_ms())
        detail.locator('[data-action="acknowledge"]').click()  # draws the page anew
        expect(detail.locator("ol.timeline")).to_contain_text("已受理")
        expect(detail.locator("details.fold").first.locator("li").first).to_be_visible()
        assert "step:" not in detail.inner_text()


@pytest.mark.parametrize("locale", ["zh-CN", "en-US"])
def test_the_header_of_a_phone_overlaps_nothing_with_many_alerts_and_stations(
    hub: Hub, server: Served, locale: str
) -> None:
    for device in [d.id for d in hub.registry.devices() if d.kind == "smoke_alarm"][:12]:
        hub.says(device)
        hub.says(device, "smoke-battery-low")
    with browser(locale=locale) as context:
        page = enter(context.new_page(), server, hub.token("officer", stations=("*",)))
        expect(page.locator("#station")).to_be_visible()
        expect(page.locator("#severities .P1 b")).to_have_text("12")
        found = page.evaluate(
            """() => {
                const boxes = [...document.querySelectorAll('#severities .count, #station, #where, #menu-button, #line')]
                    .map((e) => [e.id || e.className, e.getBoundingClientRect()]);
                const wrong = boxes.filter(([, b]) => b.left < 0 || b.right > innerWidth).map(([n]) => n);
                for (const [n, a] of boxes) for (const [m, b] of boxes)
                    if (n < m && a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom) wrong.push([n, m]);
                const cut = [...document.querySelectorAll('#severities .count')].filter((e) => e.scrollWidth > e.clientWidth);
                return [...wrong, ...cut.map((e) => e.className)];
            }"""
        )
        assert found == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_timeline_names_people_and_gaps_in_the_readers_language(hub: Hub, server: Served) -> None:
    alert_id = hub.says()
    actor = hub.parts.tokens.actor_of(crew_token(hub, "officer"), now_ms())
    assert actor is not None
    hub.parts.desk.act(alert_id, "reinforce", actor, now_ms())
    for locale, said in (("en-US", "Help called by officer token"), ("zh-CN", "请求增援 officer token")):
        with browser(locale=locale) as context:
            page = enter(context.new_page(), server, crew_token(hub), f"/alerts/{alert_id}")
            expect(page.locator("#detail ol.timeline")).to_contain_text(said)
            assert page.locator("#detail .facts").inner_text().count("smoke-alarm") == 1
            expect(page.locator("#detail .facts")).not_to_contain_text("是" if locale == "zh-CN" else "Yes")


def test_the_menu_closes_after_the_choice_of_light_or_dark(hub: Hub, server: Served) -> None:
    with browser() as context:
        page = enter(context.new_page(), server, crew_token(hub))
        page.locator("#menu-button").click()
        page.get_by_role("menuitem", name="浅色").click()
        expect(page.locator("#menu")).to_be_hidden()


@pytest.mark.parametrize("locale", ["zh-CN", "en-US"])
def test_the_names_on_the_map_lie_apart_and_above_the_dots(hub: Hub, server: Served, locale: str) -> None:
    hub.says()
    with browser(DESK, locale=locale) as context:
        page = enter(context.new_page(), server, hub.token("officer", stations=("*",)))
        expect(page.locator("#map .dot")).to_have_count(1)
        overlaps = page.evaluate(
            """() => {
                const boxes = [...document.querySelectorAll('#map text')].map((e) => [e.textContent, e.getBoundingClientRect()]);
                return boxes.flatMap(([n, a], i) => boxes.slice(i + 1).filter(([, b]) =>
                    a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom).map(([m]) => [n, m]));
            }"""
        )
        assert overlaps == []
        assert page.evaluate(
            "!!(document.querySelector('#map .dot').compareDocumentPosition(document.querySelector('#map text')) & 4)"
        )


# ---------------------------------------------------------------- incidents


def faults(hub: Hub, count: int) -> list[str]:
    """So many detectors of one building with a low battery, one after the other. The ids of their alerts."""
    registry = hub.registry
    building = registry.building[registry.slot_of[SMOKE]]
    near = [d.id for d in registry.devices() if d.kind == "smoke_alarm" and registry.building[d.slot] == building]
    return [hub.says(device, "smoke-battery-low") for device in near[:count]]


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("locale", ["zh-CN", "en-US"])
def test_faults_of_one_building_are_one_line_with_a_count_that_opens(
    hub: Hub, server: Served, size: tuple[int, int], locale: str
) -> None:
    with browser(size, locale=locale) as context:
        page = enter(context.new_page(), server, crew_token(hub))
        alert_ids = faults(hub, 3)
        fire = hub.says(OTHER_SMOKE)
        line = page.locator("#open .incident")
        expect(line).to_have_count(1, timeout=3_000)
        expect(line.locator(".incident-count")).to_have_text("3 起告警" if locale == "zh-CN" else "3 alerts")
        expect(line).to_contain_text("探测器电池低" if locale == "zh-CN" else "Detector battery low")
        place = "幸福里 1栋" if locale == "zh-CN" else "Xingfu Lane, Building 1"
        expect(line.locator(".muted")).to_have_text(place)
        expect(page.locator("#open .card")).to_have_count(1)
        expect(card(page, fire)).to_be_visible()  # a fire is never folded away
        expect(page.locator("#severities .P3 b")).to_have_text("3")

        line.locator("summary").click()
        expect(page.locator("#open .incident .card")).to_have_count(3)
        button(page, alert_ids[0], "acknowledge").click()
        expect(card(page, alert_ids[0]).locator(".state.accepted")).to_be_visible()
        expect(page.locator("#open .incident .card")).to_have_count(3)  # stays open while its alerts change
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        line.locator("summary").click()
        expect(page.locator("#open .incident .card")).to_have_count(0)


def test_a_single_fault_stays_a_card_and_becomes_a_line_with_the_second_one(hub: Hub, server: Served) -> None:
    (first,) = faults(hub, 1)
    with browser() as context:
        page = enter(context.new_page(), server, crew_token(hub))
        expect(card(page, first)).to_be_visible()
        expect(page.locator("#open .incident")).to_have_count(0)
        faults(hub, 2)
        expect(page.locator("#open .incident")).to_have_count(1, timeout=3_000)
        expect(card(page, first)).to_have_count(0)


def test_coming_back_from_an_alert_of_an_incident_shows_it_in_the_open_line(hub: Hub, server: Served) -> None:
    first, *_ = faults(hub, 3)
    with browser() as context:
        page = enter(context.new_page(), server, crew_token(hub), f"/alerts/{first}")
        page.locator("#detail .back").click()
        expect(card(page, first)).to_be_visible()
