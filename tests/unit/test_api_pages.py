"""The pages as the server sends them, and the texts on them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from babel.messages.pofile import read_po
from fastapi.testclient import TestClient

from hub.api import strings, strings_cases, strings_onboarding, strings_rules, strings_watch
from hub.api.language import preferred
from hub.api.pages import WEB
from hub.clock import SteppedClock
from hub.i18n import text
from hub.model.quantities import QUANTITIES
from hub.model.rules import SEVERITIES
from hub.rules.kinds import KINDS
from tests.support.paths import ROOT
from tests.support.served import STATION, Hub, hub_at
from tools.messages import extracted

SCRIPTS = sorted((WEB / "static").glob("*.js"))
EVIL = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_at(tmp_path, SteppedClock(1_767_225_600_000)) as found:
        yield found


def reader(hub: Hub, role: Any = "station", language: str = "zh-CN") -> TestClient:
    browser = TestClient(hub.app, headers={"Accept-Language": language, "Accept": "text/html"})
    browser.post("/api/v1/session", json={"token": hub.token(role, stations=(STATION,))})
    return browser


def start_of(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="start">(.*?)</script>', html, re.S)
    assert found is not None
    parsed: dict[str, Any] = json.loads(found[1])
    return parsed


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_a_stranger_is_led_to_the_sign_in_page_and_back(hub: Hub) -> None:
    answer = TestClient(hub.app).get("/alerts/abc", follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=/alerts/abc"


def test_the_page_brings_its_first_state_with_it(hub: Hub) -> None:
    alert_id = hub.says()
    answer = reader(hub).get("/")
    start = start_of(answer.text)
    assert [alert["id"] for alert in start["board"]["alerts"]] == [alert_id]
    assert start["board"]["stations"][0]["on_duty"]
    assert start["me"]["may_act"] is True
    assert answer.headers["cache-control"] == "no-store"


def test_an_alert_has_an_address_of_its_own(hub: Hub) -> None:
    alert_id, browser = hub.says(), reader(hub)
    assert start_of(browser.get(f"/alerts/{alert_id}").text)["selected"]["id"] == alert_id
    far = hub.says(hub.far_smoke())
    for hidden in (far, "ffffffff"):
        answer = browser.get(f"/alerts/{hidden}")
        assert answer.status_code == 404
        assert start_of(answer.text)["selected"] is None


def test_what_devices_and_people_wrote_stays_text(hub: Hub) -> None:
    alert_id = hub.says(value=EVIL)
    browser = reader(hub)
    start = start_of(browser.get("/").text)
    csrf = {start["csrf_header"]: start["csrf"]}
    assert (
        browser.post(f"/api/v1/alerts/{alert_id}/false-alarm", json={"reason": EVIL}, headers=csrf).status_code == 200
    )
    html = browser.get(f"/alerts/{alert_id}").text
    assert start_of(html)["selected"]["value"] == EVIL
    assert start_of(html)["selected"]["close_reason"] == EVIL
    assert all(tag != "img" or attrs["src"] != "x" for tag, attrs in Tags(html).found)
    assert [
        attrs.get("src") for tag, attrs in Tags(html).found if tag == "script" and attrs.get("type") == "module"
    ] == [f"{hub.app.state.static}/{name}.js" for name in ("console", "drill")]


@pytest.mark.parametrize("path", ["/", "/sign-in"])
def test_pages_have_no_inline_script_style_or_handler_and_nothing_from_elsewhere(hub: Hub, path: str) -> None:
    for tag, attrs in Tags(reader(hub).get(path).text).found:
        assert not any(name.startswith("on") or name == "style" for name in attrs), (tag, attrs)
        assert tag != "style"
        for name in ("src", "href"):
            assert (attrs.get(name) or "/").startswith(("/", "#")), (tag, attrs)
        if tag == "script":
            assert attrs.get("type") == "application/json" or attrs.get("src"), attrs


def test_static_files_are_kept_for_good_under_an_address_that_changes_with_them(hub: Hub) -> None:
    browser = TestClient(hub.app)
    for script in [*SCRIPTS, WEB / "static" / "console.css", WEB / "static" / "icon.svg"]:
        answer = browser.get(f"{hub.app.state.static}/{script.name}")
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert browser.get(f"{hub.app.state.static}/../templates/base.html").status_code == 404


def test_the_language_is_the_readers_choice_then_the_browsers_then_the_sites(hub: Hub) -> None:
    assert "访问令牌" in TestClient(hub.app, headers={"Accept-Language": ""}).get("/sign-in").text
    assert (
        "Your access token" in TestClient(hub.app, headers={"Accept-Language": "en-GB,en;q=0.9"}).get("/sign-in").text
    )
    chosen = TestClient(hub.app, headers={"Accept-Language": "en"}, cookies={"gridhub_locale": "zh-CN"})
    assert "访问令牌" in chosen.get("/sign-in").text
    odd = TestClient(hub.app, headers={"Accept-Language": "en"}, cookies={"gridhub_locale": "../../etc"})
    assert "Your access token" in odd.get("/sign-in").text


@pytest.mark.parametrize(
    ("header", "locale"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
        ("en-US,en;q=0.9,zh;q=0.1", "en"),
        ("fr, en;q=0.3, zh;q=0.4", "zh-CN"),
        ("fr", "zh-CN"),
        ("en;q=nonsense", "zh-CN"),
        ("en;q=inf, zh;q=0.1", "zh-CN"),
        (";;;,,,q=", "zh-CN"),
    ],
)
def test_accept_language_is_read_by_weight_and_never_breaks(header: str, locale: str) -> None:
    assert preferred(header, "zh-CN") == locale


def test_a_page_that_cannot_be_made_says_why_and_tries_again(hub: Hub) -> None:
    browser = reader(hub)
    hub.away.append("ledger")
    answer = browser.get("/")
    assert answer.status_code == 503
    assert answer.headers["content-type"].startswith("text/html")
    assert "系统数据库无响应" in answer.text
    assert '<meta http-equiv="refresh" content="2">' in answer.text


def test_the_theme_is_right_from_the_first_byte(hub: Hub) -> None:
    browser = reader(hub)
    assert "data-theme" not in browser.get("/").text.split("<head>")[0]
    browser.cookies.set("gridhub_theme", "dark")
    assert 'data-theme="dark"' in browser.get("/").text.split("<head>")[0]
    browser.cookies.set("gridhub_theme", '"><script>')
    assert "data-theme" not in browser.get("/").text.split("<head>")[0]


@pytest.mark.parametrize(
    ("role", "duty", "audit"), [("viewer", 403, 403), ("station", 200, 403), ("officer", 200, 403), ("admin", 200, 200)]
)
def test_duty_is_for_crews_and_officers_and_proof_for_officers_of_the_whole_site(
    hub: Hub, role: Any, duty: int, audit: int
) -> None:
    browser = TestClient(hub.app, headers={"Accept-Language": "zh-CN", "Accept": "text/html"}, follow_redirects=False)
    assert [browser.get(path).status_code for path in ("/duty", "/silences", "/audit")] == [303, 303, 303]
    where: dict[str, Any] = {"grids": ("*",)} if role == "admin" else {"stations": (STATION,)}
    browser.post("/api/v1/session", json={"token": hub.token(role, **where)})
    assert [browser.get(path).status_code for path in ("/duty", "/silences", "/audit")] == [duty, 200, audit]
    offered = start_of(browser.get("/").text)["pages"]
    assert offered == [page for page, status in (("duty", duty), ("silences", 200), ("audit", audit)) if status == 200]
    silences = start_of(browser.get("/silences").text)
    assert (silences["makes"], silences["grave"]) == (role != "viewer", role in ("officer", "admin"))
    assert {place["code"][:9] for place in silences["places"]} == {"440399001"}
    assert (len(silences["places"]) > 12) == (role == "admin")


# ---------------------------------------------------------------- texts


def messages() -> list[str]:
    return [str(message.id) for message in extracted() if message.id]


def test_every_text_of_the_hub_is_translated_to_chinese() -> None:
    say = text("zh-CN")
    untranslated = [message for message in messages() if say(message) == message]
    assert untranslated == []
    assert len(messages()) > 200


def test_translations_keep_the_placeholders() -> None:
    say = text("zh-CN")
    for message in messages():
        wanted, given = (set(re.findall(r"\{(\w+)\}", t)) for t in (message, say(message)))
        assert given == wanted, message


def test_the_compiled_catalogue_is_that_of_the_written_one() -> None:
    say = text("zh-CN")
    path = ROOT / "hub" / "locales" / "zh_CN" / "LC_MESSAGES" / "gridhub.po"
    with path.open("rb") as file:
        catalog = read_po(file)
    stale = [m.id for m in catalog if m.id and m.string and say(str(m.id)) != m.string]
    assert stale == [], "run `make messages`"


def test_english_needs_no_translation() -> None:
    say = text("en")
    assert all(say(message) == message for message in messages())


def used_keys(scripts: list[Path]) -> set[str]:
    return {key for script in scripts for key in re.findall(r'\bt\(\s*"(\w+)"', script.read_text("utf-8"))}


def of_the_rules(script: Path) -> bool:
    return script.name.startswith("rules")


def of_the_cases(script: Path) -> bool:
    return script.name.startswith("cases")


def of_onboarding(script: Path) -> bool:
    return script.name.startswith("onboarding")


WATCH = {
    "duty": ({"duty", "who"}, strings_watch.DUTY),
    "silences": ({"silences", "lasts"}, strings_watch.SILENCES),
    "audit": ({"audit"}, strings_watch.AUDIT),
}
OF_WATCH = ("duty.js", "silences.js", "audit.js", "watch.js", "drill.js")


SHARED = [s for s in SCRIPTS if s.name in ("choices.js", "dom.js", "hub_api.js", "start.js", "times.js")]
PAGES = {
    "console": (
        [
            s
            for s in SCRIPTS
            if not of_the_rules(s) and not of_the_cases(s) and not of_onboarding(s) and s.name not in OF_WATCH
        ],
        {**strings_cases.STEP_BAR, **strings.CONSOLE},
    ),
    "cases": ([s for s in SCRIPTS if of_the_cases(s) or s.name == "case_steps.js"] + SHARED, strings_cases.CASES),
    "rules": ([s for s in SCRIPTS if of_the_rules(s)] + SHARED, strings_rules.RULES),
    "onboarding": (
        [s for s in SCRIPTS if of_onboarding(s) or s.name in ("dom.js", "hub_api.js", "start.js")],
        strings_onboarding.ONBOARDING,
    ),
    **{
        page: ([s for s in SCRIPTS if s.stem in names or s.name == "watch.js"] + SHARED, texts)
        for page, (names, texts) in WATCH.items()
    },
}
each_page = pytest.mark.parametrize("page", PAGES)


def test_the_rules_page_shares_only_what_is_checked_with_it() -> None:
    imported = {
        name
        for script in PAGES["rules"][0]
        for name in re.findall(r'from "\./(\w+\.js)"', script.read_text("utf-8"))
        if not name.startswith("rules")
    }
    assert imported == {script.name for script in SHARED}


@each_page
def test_scripts_use_only_texts_that_exist(page: str) -> None:
    scripts, texts = PAGES[page]
    assert used_keys(scripts) <= set(texts)


@each_page
def test_no_text_of_a_page_is_left_over(page: str) -> None:
    scripts, texts = PAGES[page]
    code = "\n".join(script.read_text("utf-8") for script in scripts)
    made = re.findall(r"`(\w+_)\$\{", code) + re.findall(r"`\$\{\w+\}(_\w+)`", code)  # t(`case_${state}`)
    unused = [
        key
        for key in texts
        if f'"{key}"' not in code and not any(key.startswith(part) or key.endswith(part) for part in made)
    ]
    plain = {"acknowledge", "on_scene", "false_alarm", "reinforce", "close"}  # t(action)
    assert set(unused) - plain == set()


def test_every_kind_of_rule_has_a_name() -> None:
    assert set(KINDS) <= set(strings_rules.RULE_KINDS)


def test_scripts_hold_no_text_of_their_own() -> None:
    for script in SCRIPTS:
        code = re.sub(r"//[^\n]*|/\*.*?\*/", "", script.read_text("utf-8"), flags=re.S)
        assert re.findall(r"[\u4e00-\u9fff]+", code.replace("中文", "")) == [], script.name
        assert "innerHTML" not in code
        assert "insertAdjacentHTML" not in code


def test_every_quantity_kind_state_and_severity_has_a_name() -> None:
    for locale in ("zh-CN", "en"):
        console = strings.for_console(locale)
        for name, quantity in QUANTITIES.items():
            assert console["quantity"][name] != name, name
            assert all(word in console["state"] for word in quantity.states), name
    assert strings.quantity_name("current_a_l1", "zh-CN") == "电流 L1"
    assert set(SEVERITIES) == {"P1", "P2", "P3", "P4"}
