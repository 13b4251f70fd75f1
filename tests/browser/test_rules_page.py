"""The page of the rules in a real browser: found, edited, refused line by line, tried, put into force, taken back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from hub.clock import now_ms
from tests.support.browser import DESK, PHONE, browser
from tests.support.served import GRID, STATION, Hub, Served, hub_at, served

pytestmark = pytest.mark.needs_browser

CABINET = "cabinet-overheat"
sizes = pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_at(tmp_path, now_ms, small=True) as found:
        yield found


@pytest.fixture
def server(hub: Hub) -> Iterator[Served]:
    with served(hub) as found:
        yield found


def enter(page: Page, server: Served, token: str, path: str = "/rules") -> Page:
    """Opens the page as a link with the token does, and waits until it is drawn."""
    page.goto(f"{server.url}{path}#token={token}")
    expect(page.locator("#rules .view")).to_be_visible()
    return page


def officer(hub: Hub) -> str:
    return hub.token("officer", grids=("*",))


def limit(hub: Hub) -> float:
    assert hub.runs.rules is not None
    rule = hub.runs.rules.find(CABINET)
    assert rule is not None
    return float(rule.spec.when.above)


def text_area(page: Page) -> Any:
    return page.locator("textarea.yaml")


def retype(page: Page, old: str, new: str) -> None:
    text = text_area(page).input_value()
    assert old in text
    text_area(page).fill(text.replace(old, new, 1))


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


@sizes
@pytest.mark.parametrize("locale", ["zh-CN", "en-US"])
def test_a_rule_is_found_edited_tried_and_put_into_force(
    hub: Hub, server: Served, size: tuple[int, int], locale: str
) -> None:
    def say(zh: str, en: str) -> str:
        return zh if locale == "zh-CN" else en

    with browser(size, locale=locale) as context:
        page = context.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if "Content Security" in said.text else None)
        enter(page, server, officer(hub))
        assert hub.runs.rules is not None
        expect(page.locator(".rule-row")).to_have_count(len(hub.runs.rules.rules))
        assert fits(page)

        page.get_by_role("searchbox").fill("cabinet-over")
        expect(page.locator(".rule-row")).to_have_count(1)
        page.locator(".rule-row").click()
        expect(page).to_have_url(re.compile(f"/rules/{CABINET}$"))
        expect(page.locator(".rule-head h2")).to_have_text(say("充电柜内高温", "Charging cabinet hot inside"))
        expect(text_area(page)).to_have_attribute("readonly", "")

        page.get_by_role("button", name=say("编辑", "Edit"), exact=True).click()
        retype(page, "above: 55", "above: 54")
        page.get_by_role("button", name=say("查看将有的变化", "Show what would change")).click()
        expect(page.locator(".fields tr").nth(1)).to_have_text(re.compile(r"when\.above\s*55\s*54"))
        assert limit(hub) == 55, "trying must not change anything"
        apply = page.get_by_role("button", name=say("生效", "Put into force"), exact=True)
        expect(apply).to_be_disabled()
        page.locator("#why").fill(say("八月误报太多", "too many in August"))
        assert fits(page)
        apply.click()

        expect(page.locator(".said")).to_have_text(say("已生效。", "In force now."))
        assert limit(hub) == 54
        entry = hub.parts.rules.versions.head()
        assert entry is not None
        assert entry.why == say("八月误报太多", "too many in August")
        expect(page.locator(".facts")).to_contain_text("above 54")
        assert faults == []


@sizes
def test_mistakes_are_shown_at_their_lines_and_nothing_is_changed(
    hub: Hub, server: Served, size: tuple[int, int]
) -> None:
    with browser(size) as context:
        page = enter(context.new_page(), server, officer(hub), f"/rules/{CABINET}")
        page.get_by_role("button", name="编辑", exact=True).click()
        retype(page, "above: 55", "abov: 55")
        retype(page, "severity: P2", "severity: P9")
        page.locator(".flow .primary").click()
        expect(page.locator(".complaints li")).to_have_count(2)
        expect(page.locator(".complaints")).to_contain_text("未知的键")
        expect(page.locator(".complaints")).to_contain_text("是不是 'above'？")

        lines = hub.parts.rules.current().text("cabinet.yaml").splitlines()
        first = next(n for n, line in enumerate(lines, 1) if f"id: {CABINET}" in line)
        wanted = sorted(
            first + n
            for n, line in enumerate(text_area(page).input_value().splitlines())
            if "abov:" in line or "P9" in line
        )
        assert sorted(int(text) for text in page.locator(".numbers .wrong").all_inner_texts()) == wanted
        assert sorted(int(mark.get_attribute("data-line") or 0) for mark in page.locator(".mark-line").all()) == wanted
        page.locator(".complaints li", has_text="abov").get_by_role("button", name="定位到这一行").click()
        chosen = page.evaluate(
            "(() => { const a = document.querySelector('textarea.yaml');"
            " return a.value.slice(a.selectionStart, a.selectionEnd) })()"
        )
        assert "abov: 55" in chosen
        assert fits(page)

        number = page.locator(".numbers .wrong").first.bounding_box()
        mark = page.locator(f'.mark-line[data-line="{wanted[0]}"]').bounding_box()
        assert number is not None
        assert mark is not None
        assert abs(number["y"] - mark["y"]) <= 2, "the mark lies beside the number of its line"

        retype(page, "abov: 55", "above: 56")
        retype(page, "P9", "P2")
        page.locator(".flow .primary").click()
        expect(page.locator(".mark-line")).to_have_count(0)
        expect(page.locator("#why")).to_be_visible()
        assert limit(hub) == 55


def test_less_protection_is_said_before_it_is_put_into_force(hub: Hub, server: Served) -> None:
    with browser() as context:
        page = enter(context.new_page(), server, officer(hub), "/rules/smoke-alarm")
        page.get_by_role("button", name="编辑", exact=True).click()
        retype(page, "severity: P1", "severity: P3")
        page.locator(".flow .primary").click()
        expect(page.locator(".losses")).to_have_text(re.compile("防护降低.*烟雾报警.*级别降低"))
        expect(page.get_by_role("button", name="降低防护并生效")).to_be_disabled()


def test_typing_after_trying_means_trying_again(hub: Hub, server: Served) -> None:
    with browser(DESK) as context:
        page = enter(context.new_page(), server, officer(hub), f"/rules/{CABINET}")
        page.get_by_role("button", name="编辑", exact=True).click()
        retype(page, "above: 55", "above: 60")
        page.locator(".flow .primary").click()
        expect(page.locator("#why")).to_be_visible()
        retype(page, "above: 60", "above: 70")
        expect(page.locator("#why")).to_have_count(0)
        page.locator(".flow .primary").click()
        expect(page.locator(".fields .new")).to_have_text("70")


def test_of_two_officers_the_later_one_keeps_the_text_and_tries_again(hub: Hub, server: Served) -> None:
    with browser(DESK) as one, browser(DESK) as other:
        mine, theirs = (enter(c.new_page(), server, officer(hub), f"/rules/{CABINET}") for c in (one, other))
        for page in (mine, theirs):
            page.get_by_role("button", name="编辑", exact=True).click()
        retype(mine, "above: 55", "above: 60")
        retype(theirs, "hold_s: 300", "hold_s: 200")
        for page in (theirs, mine):
            page.locator(".flow .primary").click()
            expect(page.locator(".note" if page is mine else "#why")).to_be_visible()
            if page is theirs:
                page.locator("#why").fill("faster")
                page.locator(".flow .primary").click()
                expect(page.locator(".said")).to_be_visible()
        expect(mine.locator(".note")).to_contain_text("其间有人修改了规则")
        assert "above: 60" in text_area(mine).input_value()
        assert "hold_s: 300" in text_area(mine).input_value()
        mine.locator(".flow .primary").click()
        expect(mine.locator(".fields")).to_contain_text("when.hold_s")
        mine.locator("#why").fill("mine")
        mine.locator(".flow .primary").click()
        expect(mine.locator(".said")).to_be_visible()
        assert limit(hub) == 60


@sizes
def test_the_last_change_is_taken_back_in_one_step(hub: Hub, server: Served, size: tuple[int, int]) -> None:
    book = hub.parts.rules
    text = book.current().text("cabinet.yaml").replace("above: 55", "above: 60", 1)
    book.change(book.propose({"cabinet.yaml": text}), who="li", why="try <b>it</b>")
    with browser(size) as context:
        page = enter(context.new_page(), server, officer(hub), "/rules/history")
        expect(page.locator(".entry")).to_have_count(2)
        expect(page.locator(".entry").first).to_contain_text("try <b>it</b>")
        expect(page.locator(".entry").nth(1)).to_contain_text("手工修改文件")
        expect(page.locator(".entry").nth(1)).to_contain_text("首次启动时读入")
        page.get_by_role("button", name="撤回最近一次修改").click()
        expect(page.locator(".fields")).to_have_text(re.compile(r"when\.above\s*60\s*55"))
        page.locator("#why").fill("更差了")
        page.get_by_role("button", name="生效", exact=True).click()
        expect(page.locator(".said")).to_have_text("已生效。")
        expect(page.locator(".entry")).to_have_count(3)
        expect(page.locator(".entry").first).to_contain_text("退回到 #1")
        assert fits(page)
        assert limit(hub) == 55

        page.locator(".entry a").nth(1).click()
        expect(page).to_have_url(re.compile("/rules/history/2$"))
        expect(page.locator(".fields")).to_have_text(re.compile(r"when\.above\s*55\s*60"))
        page.get_by_text("cabinet.yaml 的逐行差异").click()
        expect(page.locator(".diff .plus", has_text="above: 60")).to_be_visible()
        assert fits(page)
        page.go_back()
        expect(page.locator(".entry")).to_have_count(3)


def test_a_rule_is_added_to_a_new_file_and_removed_again(hub: Hub, server: Served) -> None:
    with browser(DESK, locale="en-US") as context:
        page = enter(context.new_page(), server, officer(hub))
        page.get_by_role("link", name="New rule").click()
        page.locator("#pick").select_option("")
        page.locator("#file-name").fill("night-shift.yaml")
        page.locator(".flow .primary").click()
        expect(page.locator(".complaints")).to_contain_text("must not be empty")
        for key in ("name", "cause", "consequence", "action"):
            retype(page, f'{key}: {{zh: "", en: ""}}', f"{key}: {{zh: 夜, en: night}}")
        retype(page, "id: my-rule", "id: night-heat")
        page.locator(".flow .primary").click()
        page.locator("#why").fill("night")
        page.locator(".flow .primary").click()
        expect(page.locator(".said")).to_be_visible()
        expect(page.locator('[data-id="night-heat"]')).to_be_visible()
        assert "night-shift.yaml" in hub.parts.rules.current().files

        page.locator('[data-id="night-heat"]').click()
        page.get_by_role("button", name="Remove the rule").click()
        page.get_by_role("button", name="Show what would be lost").click()
        page.locator("#why").fill("no more")
        page.locator(".flow .primary").click()
        expect(page.locator(".said")).to_be_visible()
        expect(page.locator('[data-id="night-heat"]')).to_have_count(0)
        assert "night-shift.yaml" not in hub.parts.rules.current().files


def test_files_broken_by_hand_are_named_and_mended_on_the_page(hub: Hub, server: Served) -> None:
    path = hub.parts.rules.files.folder / "cabinet.yaml"
    path.write_text(path.read_text("utf-8").replace("above: 55", "abov: 60", 1), "utf-8")
    hub.runs.reload()
    with browser() as context:
        page = enter(context.new_page(), server, officer(hub))
        expect(page.locator(".trouble-box")).to_contain_text("规则文件有错误")
        page.locator(".trouble-box").get_by_role("link", name="打开文件").first.click()
        expect(page.locator(".numbers .wrong")).to_have_count(1)
        page.get_by_role("button", name="编辑", exact=True).click()
        retype(page, "abov: 60", "above: 60")
        page.locator(".flow .primary").click()
        page.locator("#why").fill("手误")
        page.locator(".flow .primary").click()
        expect(page.locator(".said")).to_be_visible()
        expect(page.locator(".trouble-box")).to_have_count(0)
        assert limit(hub) == 60


def test_what_was_typed_is_not_lost_by_a_wrong_tap(hub: Hub, server: Served) -> None:
    with browser() as context:
        page = enter(context.new_page(), server, officer(hub), f"/rules/{CABINET}")
        page.get_by_role("button", name="编辑", exact=True).click()
        retype(page, "above: 55", "above: 60")
        asked: list[str] = []

        def stay(dialog: Any) -> None:
            asked.append(dialog.message)
            dialog.dismiss()

        page.once("dialog", stay)
        page.get_by_role("link", name="历史").click()
        assert asked == ["输入的内容尚未保存。要放弃吗？"]
        assert "above: 60" in text_area(page).input_value()


def test_an_officer_of_some_grids_reads_only(hub: Hub, server: Served) -> None:
    with browser() as context:
        page = enter(context.new_page(), server, hub.token("officer", grids=(GRID,)), f"/rules/{CABINET}")
        expect(page.locator(".editor.readonly")).to_be_visible()
        expect(page.get_by_role("button", name="编辑", exact=True)).to_have_count(0)
        page.get_by_role("link", name="历史").click()
        expect(page.locator(".entry")).to_have_count(1)
        expect(page.locator(".flow")).to_have_count(0)


def test_the_console_leads_officers_to_the_rules_and_nobody_else(hub: Hub, server: Served) -> None:
    with browser() as context:
        page = context.new_page()
        page.goto(f"{server.url}/#token={officer(hub)}")
        expect(page.locator("#line")).to_have_attribute("data-state", "live")
        page.locator("#menu-button").click()
        page.get_by_role("menuitem", name="规则").click()
        expect(page.locator(".rule-row").first).to_be_visible()
    with browser() as context:
        page = context.new_page()
        page.goto(f"{server.url}/#token={hub.token('station', stations=(STATION,))}")
        expect(page.locator("#line")).to_have_attribute("data-state", "live")
        page.locator("#menu-button").click()
        expect(page.get_by_role("menuitem", name="规则")).to_have_count(0)
        answer = page.goto(f"{server.url}/rules")
        assert answer is not None
        assert answer.status == 403


def test_the_page_of_the_rules_needs_somebody_signed_in(server: Served) -> None:
    with browser() as context:
        page = context.new_page()
        page.goto(f"{server.url}/rules")
        expect(page).to_have_url(f"{server.url}/sign-in?next=/rules")
