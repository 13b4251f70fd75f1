"""One-tap links: what they say, who can make them, and that only a tap on the page acts."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.clock import SteppedClock
from hub.dispatch.links import ACTIONS, Links
from hub.errors import ConfigError
from hub.model.alerts import Actor
from hub.model.deliveries import Delivery
from hub.stores.link_key import FILE, link_key
from tests.support.notices import NOW_MS, a_delivery, an_alert
from tests.support.served import STATION, Hub, hub_at

KEY = b"sixteen bytes at least"
LINKS = Links(KEY, "https://hub.example/")
HOUR_MS = 3_600_000


def token(url: str) -> str:
    return url.rsplit("/", 1)[1]


def test_a_link_says_what_to_whom_and_until_when() -> None:
    alert, delivery = an_alert(), a_delivery()
    found = LINKS.of(alert, delivery, NOW_MS)
    assert tuple(found) == ACTIONS
    for action, url in found.items():
        assert url.startswith("https://hub.example/l/")
        assert len(url) < 256, "there is little room in a message"
        link = LINKS.read(token(url))
        assert link is not None
        assert (link.action, link.alert_id, link.recipient) == (action, alert.id, delivery.recipient)
        assert not link.has_expired(NOW_MS + 11 * HOUR_MS)
        assert link.has_expired(NOW_MS + 13 * HOUR_MS)
        assert link.id not in repr(link)


def test_every_try_of_a_delivery_and_every_channel_of_a_person_share_one_use() -> None:
    one = LINKS.of(an_alert(), a_delivery(channel="sms"), NOW_MS)["acknowledge"]
    other = LINKS.of(an_alert(), a_delivery(channel="telegram"), NOW_MS + 60_000)["acknowledge"]
    later = LINKS.of(an_alert(), a_delivery(transition="step:1"), NOW_MS)["acknowledge"]
    ids = [link.id for url in (one, other, later) if (link := LINKS.read(token(url)))]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize("change", [{"test": True}, {"live": False}])
def test_nothing_can_be_answered_by_a_link_that_needs_no_answer(change: dict[str, Any]) -> None:
    assert LINKS.of(an_alert(**change), a_delivery(), NOW_MS) == {}


@pytest.mark.parametrize("transition", ["cleared", "closed", "closed:2"])
def test_good_news_has_no_links(transition: str) -> None:
    assert LINKS.of(an_alert(), a_delivery(transition=transition), NOW_MS) == {}


def test_what_is_acknowledged_is_not_offered_for_it_again() -> None:
    assert "acknowledge" not in LINKS.of(an_alert(acked_at_ms=NOW_MS), a_delivery(), NOW_MS)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.characters())
def test_a_link_with_one_character_changed_is_none(at: int, letter: str) -> None:
    good = token(LINKS.of(an_alert(), a_delivery(), NOW_MS)["reinforce"])
    at %= len(good)
    bad = good[:at] + letter + good[at + 1 :]
    assert bad == good or LINKS.read(bad) is None


@pytest.mark.parametrize("text", ["", ".", "a", "a.b", "." * 700, "é.é", "ab.\ud800"])
def test_whatever_is_no_link_is_none(text: str) -> None:
    assert LINKS.read(text) is None


def test_another_hubs_key_makes_other_links() -> None:
    other = Links(b"another key, as long as it", "https://hub.example")
    assert LINKS.read(token(other.of(an_alert(), a_delivery(), NOW_MS)["acknowledge"])) is None


def test_an_answer_to_the_fire_before_does_not_silence_the_next_one() -> None:
    links = LINKS.of(an_alert(), a_delivery(), NOW_MS)
    again = replace(an_alert(), occurrences=2)
    outdated = {a: link.is_outdated(again) for a, url in links.items() if (link := LINKS.read(token(url)))}
    assert outdated == {"acknowledge": True, "on_scene": False, "false_alarm": True, "reinforce": False}


def test_the_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    key = link_key(tmp_path)
    assert len(key) == 32
    assert link_key(tmp_path) == key
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == [FILE]


def test_a_given_key_stands_before_the_file_and_a_weak_one_is_refused(tmp_path: Path) -> None:
    assert link_key(tmp_path, "0123456789abcdef") == b"0123456789abcdef"
    assert not (tmp_path / FILE).exists()
    with pytest.raises(ConfigError, match="shorter than 16"):
        link_key(tmp_path, "short")
    (tmp_path / FILE).write_bytes(b"x")
    with pytest.raises(ConfigError, match="damaged"):
        link_key(tmp_path)


def test_a_folder_that_keeps_nothing_costs_the_links_of_before_and_no_start(tmp_path: Path) -> None:
    assert len(link_key(tmp_path / "not there")) == 32


# The pages -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_at(tmp_path, SteppedClock(1_767_225_600_000)) as found:
        yield found


@pytest.fixture
def phone(hub: Hub) -> TestClient:
    return TestClient(hub.app, headers={"Accept": "text/html", "Accept-Language": "en"})


def links_of(hub: Hub, alert_id: str, recipient: str = STATION, transition: str = "raised") -> dict[str, str]:
    alert = hub.parts.queries.one(alert_id)
    assert alert is not None
    delivery = replace(a_delivery(transition=transition), recipient=recipient, alert_id=alert_id)
    assert isinstance(delivery, Delivery)
    return {
        name: url.removeprefix("http://127.0.0.1") for name, url in hub.links.of(alert, delivery, hub.clock()).items()
    }


def state(hub: Hub, alert_id: str) -> Any:
    return hub.parts.queries.one(alert_id)


def test_opening_a_link_shows_a_page_and_changes_nothing(hub: Hub, phone: TestClient) -> None:
    alert_id = hub.says()
    url = links_of(hub, alert_id)["acknowledge"]
    for _ in range(3):  # the chat program, its preview, and the person
        page = phone.get(url)
        assert page.status_code == 200
        assert 'method="post"' in page.text
        assert "Smoke alarm" in page.text
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"
    assert phone.head(url).status_code == 200
    assert state(hub, alert_id).acked_at_ms is None


def test_the_tap_acts_once_as_the_one_who_was_told(hub: Hub, phone: TestClient) -> None:
    alert_id = hub.says()
    url = links_of(hub, alert_id)["acknowledge"]
    assert "Acknowledged" in phone.post(url).text
    alert = state(hub, alert_id)
    assert alert.acked_by == STATION
    assert hub.parts.queries.audit(alert_id)[-1].detail["via"] == "link"
    again = phone.post(url)
    assert "was used at 08:00:00" in again.text
    assert 'method="post"' not in phone.get(url).text
    assert len([r for r in hub.parts.queries.audit(alert_id) if r.action.startswith("acknowledge")]) == 1


def test_each_action_has_its_link_and_a_false_alarm_needs_its_reason(hub: Hub, phone: TestClient) -> None:
    alert_id = hub.says()
    links = links_of(hub, alert_id)
    assert phone.post(links["on_scene"]).status_code == 200
    assert phone.post(links["reinforce"]).status_code == 200
    assert state(hub, alert_id).on_scene_by == STATION
    assert phone.post(links["false_alarm"]).status_code == 422
    assert state(hub, alert_id).live
    assert phone.post(links["false_alarm"], data={"reason": "cooking"}).status_code == 200
    alert = state(hub, alert_id)
    assert (alert.case_state, alert.close_reason) == ("false_alarm", "cooking")
    assert phone.get(links["false_alarm"]).status_code == 200, "it says when it was used"


def test_a_link_that_has_expired_or_is_of_the_fire_before_does_nothing(hub: Hub, phone: TestClient) -> None:
    alert_id = hub.says()
    links = links_of(hub, alert_id)
    hub.clock.advance(ms=1_000)  # type: ignore[attr-defined]
    hub.says(kind="cleared", start_ms=hub.clock() - 1_000, value=False)
    hub.clock.advance(ms=1_000)  # type: ignore[attr-defined]
    hub.says()
    assert state(hub, alert_id).occurrences == 2
    assert phone.post(links["acknowledge"]).status_code == 409
    assert state(hub, alert_id).acked_at_ms is None
    hub.clock.advance(ms=13 * HOUR_MS)  # type: ignore[attr-defined]
    assert phone.post(links["on_scene"]).status_code == 410


def test_whoever_left_the_registry_cannot_act_by_an_old_link(hub: Hub, phone: TestClient) -> None:
    alert_id = hub.says()
    assert phone.post(links_of(hub, alert_id, recipient="gone")["acknowledge"]).status_code == 403
    assert state(hub, alert_id).acked_at_ms is None


def test_guessing_links_is_slowed_down_and_a_good_one_still_works(hub: Hub, phone: TestClient) -> None:
    alert_id = hub.says()
    statuses = [phone.get(f"/l/guess{n}.guess").status_code for n in range(12)]
    assert statuses[0] == 404
    assert statuses[-1] == 429
    assert phone.post(links_of(hub, alert_id)["acknowledge"]).status_code == 200


def test_what_was_answered_was_read(hub: Hub, phone: TestClient) -> None:
    alert_id = hub.says()
    due = hub.outbox.claim(hub.clock(), "me", limit=50, lease_ms=1_000)
    mine = next(d for d in due if d.recipient == STATION)
    hub.outbox.begin_send(mine.id, hub.clock())
    hub.outbox.accepted(mine.id, "r", hub.clock())
    hub.clock.advance(ms=41_000)  # type: ignore[attr-defined]
    phone.post(links_of(hub, alert_id)["acknowledge"])
    row = next(d for d in hub.parts.queries.deliveries(alert_id) if d.id == mine.id)
    assert (row.state, row.read_at_ms) == ("read", hub.clock())


def test_while_the_ledger_is_away_the_page_says_so_and_no_log_has_the_link(
    hub: Hub, phone: TestClient, logs: list[dict[str, Any]]
) -> None:
    alert_id = hub.says()
    url = links_of(hub, alert_id)["acknowledge"]

    def away(*_: Any, **__: Any) -> Any:
        from hub.errors import Unavailable

        raise Unavailable("the ledger is away")

    assert hub.parts.answering is not None
    hub.parts.answering._queries = type("Away", (), {"one": away})()  # type: ignore[assignment]
    answer = phone.get(url)
    assert answer.status_code == 503
    assert "api.store_away" in [said["event"] for said in logs]
    assert token(url) not in f"{logs} {answer.text}"


def test_a_recipient_may_not_reach_beyond_the_alert_of_their_link(hub: Hub) -> None:
    alert = state(hub, hub.says())
    assert hub.parts.answering is not None
    actor = hub.parts.answering.who(STATION, alert, via="link")
    assert isinstance(actor, Actor)
    assert not actor.may_see("440399001002001", "st-3")
