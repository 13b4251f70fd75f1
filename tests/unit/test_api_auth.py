"""Who gets in, with what, and what a browser may be made to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from hub.api.auth import COOKIE, CSRF_HEADER, FailureLimit, csrf_of
from hub.clock import SteppedClock
from hub.registry.snapshot import Registry
from hub.stores.sessions import LIFETIME_MS
from tests.support.served import STATION, Hub, hub_at

API = "/api/v1"
DAY_MS = 24 * 3_600_000


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_at(tmp_path, SteppedClock(1_767_225_600_000)) as found:
        yield found


@pytest.fixture
def clock(hub: Hub) -> SteppedClock:
    assert isinstance(hub.clock, SteppedClock)
    return hub.clock


def signed_in(hub: Hub, token: str = "") -> TestClient:
    browser = TestClient(hub.app)
    answer = browser.post(f"{API}/session", json={"token": token or hub.token("station", stations=(STATION,))})
    assert answer.status_code == 200, answer.text
    return browser


def proof(browser: TestClient) -> dict[str, str]:
    return {CSRF_HEADER: csrf_of(browser.cookies[COOKIE])}


@pytest.mark.parametrize("path", ["alerts", "board", "devices", "grids", "stations", "me", "quarantine", "stream"])
def test_nothing_is_told_to_strangers(hub: Hub, path: str) -> None:
    answer = TestClient(hub.app).get(f"{API}/{path}")
    assert (answer.status_code, answer.json()["code"]) == (401, "not-signed-in")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["remedy"]


@pytest.mark.parametrize("header", ["Bearer gh_wrong", "Bearer", "Basic Z2g6eA==", "gh_wrong", "Bearer \x7f"])
def test_a_wrong_token_is_refused(hub: Hub, header: str) -> None:
    answer = TestClient(hub.app).get(f"{API}/me", headers={"Authorization": header})
    assert (answer.status_code, answer.json()["code"]) == (401, "wrong-token")


def test_a_revoked_token_is_refused_at_once(hub: Hub) -> None:
    token = hub.token("viewer", grids=("*",))
    machine = TestClient(hub.app, headers={"Authorization": f"Bearer {token}"})
    assert machine.get(f"{API}/me").json()["role"] == "viewer"
    hub.parts.tokens.revoke(hub.parts.tokens.list()[0].id, hub.clock())
    assert machine.get(f"{API}/me").status_code == 401


def test_the_session_cookie_is_out_of_reach_for_scripts_and_other_sites(hub: Hub) -> None:
    token = hub.token("station", stations=(STATION,))
    answer = TestClient(hub.app).post(f"{API}/session", json={"token": token})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/" in cookie
    assert "Secure" not in cookie  # plain HTTP on the loopback; see below
    assert token not in cookie
    secure = TestClient(hub.app, base_url="https://hub.example").post(f"{API}/session", json={"token": token})
    assert "Secure" in secure.headers["set-cookie"]


def test_a_session_reads_but_acts_only_with_the_pages_proof(hub: Hub) -> None:
    alert_id = hub.says()
    browser = signed_in(hub)
    assert browser.get(f"{API}/alerts/{alert_id}").status_code == 200
    for given in (None, b"", b"0" * 64, b"\xe9"):
        headers = [] if given is None else [(CSRF_HEADER.encode(), given)]
        forged = browser.post(f"{API}/alerts/{alert_id}/acknowledge", headers=headers)
        assert (forged.status_code, forged.json()["code"]) == (403, "csrf")
    assert hub.parts.queries.one(alert_id).case_state == "reported"  # type: ignore[union-attr]
    assert browser.post(f"{API}/alerts/{alert_id}/acknowledge", headers=proof(browser)).status_code == 200


def test_the_proof_of_one_session_is_worth_nothing_in_another(hub: Hub) -> None:
    alert_id = hub.says()
    one, other = signed_in(hub), signed_in(hub)
    assert one.post(f"{API}/alerts/{alert_id}/acknowledge", headers=proof(other)).status_code == 403


def test_another_site_cannot_sign_a_reader_in(hub: Hub) -> None:
    token = hub.token("station", stations=(STATION,))
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        answer = TestClient(hub.app).post(f"{API}/session", json={"token": token}, headers=headers)
        assert answer.status_code == 403, headers


def test_signing_out_ends_the_session_for_good(hub: Hub) -> None:
    browser = signed_in(hub)
    stolen = browser.cookies[COOKIE]
    assert browser.delete(f"{API}/session", headers=proof(browser)).status_code == 204
    assert COOKIE not in browser.cookies
    assert TestClient(hub.app, cookies={COOKIE: stolen}).get(f"{API}/me").status_code == 401


def test_revoking_the_token_ends_its_sessions(hub: Hub) -> None:
    browser = signed_in(hub)
    hub.parts.tokens.revoke(hub.parts.tokens.list()[0].id, hub.clock())
    assert browser.get(f"{API}/me").status_code == 401


def test_a_session_that_is_used_stays_and_one_that_is_not_ends(hub: Hub, clock: SteppedClock) -> None:
    used, unused = signed_in(hub), signed_in(hub)
    for _ in range(3):
        clock.advance(ms=20 * DAY_MS)
        assert used.get(f"{API}/me").status_code == 200
    assert clock() > 1_767_225_600_000 + LIFETIME_MS
    assert unused.get(f"{API}/me").status_code == 401


def test_too_many_failures_make_the_address_wait_a_minute(hub: Hub, clock: SteppedClock) -> None:
    good, browser = hub.token("station", stations=(STATION,)), TestClient(hub.app)
    for _ in range(10):
        assert browser.post(f"{API}/session", json={"token": "gh_guess"}).status_code == 401
        clock.advance(s=1)
    blocked = browser.post(f"{API}/session", json={"token": good})
    assert (blocked.status_code, blocked.json()["code"]) == (429, "too-many-failures")
    assert blocked.headers["retry-after"] == "50"
    clock.advance(s=50)
    assert browser.post(f"{API}/session", json={"token": good}).status_code == 200


def test_the_failure_limit_forgets_and_keeps_addresses_apart() -> None:
    limit = FailureLimit(most=2, window_ms=1_000, addresses=2)
    limit.failed("a", 0)
    assert limit.wait_ms("a", 1) == 0
    limit.failed("a", 100)
    assert limit.wait_ms("a", 200) == 800
    assert limit.wait_ms("b", 200) == 0
    assert limit.wait_ms("a", 1_000) == 0
    for address in "bcd":  # a flood of addresses does not grow the table without end
        limit.failed(address, 300)
    assert len(limit._failures) == 2


def test_every_answer_confines_the_browser(hub: Hub) -> None:
    browser = signed_in(hub)
    for path in ("/", "/sign-in", f"{API}/me", f"{API}/nothing", "/healthz", f"{hub.app.state.static}/console.js"):
        headers = browser.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy, path
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_a_fault_in_the_hub_shows_no_inside_and_keeps_the_headers(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    token = hub.token("viewer", grids=("*",))

    def broken() -> Registry:
        raise RuntimeError("secret inside")

    monkeypatch.setattr(hub.app.state, "parts", replace(hub.parts, registry=broken))
    browser = TestClient(hub.app, raise_server_exceptions=False, headers={"Authorization": f"Bearer {token}"})
    answer = browser.get(f"{API}/stations")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret" not in answer.text
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
