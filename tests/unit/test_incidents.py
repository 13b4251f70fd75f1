"""Which alerts belong together, and which of them are told at once."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.alerts.evidence import MOST_BYTES, read, written
from hub.alerts.incidents import digest, grouped, is_withheld, may_group, place_of, sent
from hub.alerts.lifecycle import opened
from hub.model.alerts import Alert, Incident, Subject, incident_id
from hub.model.deliveries import NewDelivery, Plan
from tests.support.alerts import T0, event, rule

WINDOW = 1_800_000


def _alert(device: str = "a", at_ms: int = T0, severity: str = "P3") -> Alert:
    subject = Subject(grid="g1", station="s", place_zh=f"{device}楼", place_en=f"House {device}")
    return opened(event(of=rule("low", severity), device=device, at_ms=at_ms), subject)


def _play(*times: tuple[str, int], window_ms: int = WINDOW) -> list[tuple[Alert, Incident, bool]]:
    """Alerts of these devices at these times, each grouped with what was open before; `digest_due_ms` passes by itself."""
    story, known = [], None
    for device, at_ms in times:
        if known is not None and known.digest_due_ms is not None and known.digest_due_ms <= at_ms:
            known = sent(known)
        found = grouped(_alert(device, at_ms), known, place="b1", window_ms=window_ms, at_ms=at_ms)
        known = found.incident
        story.append(found)
    return story


def test_the_first_alert_opens_an_incident_and_is_told_at_once():
    ((alert, incident, new),) = _play(("a", T0))
    assert new
    assert alert.bundled_until_ms is None
    assert alert.is_lead
    assert (incident.first_alert, incident.place, incident.rule_id, incident.alerts) == (alert.id, "b1", "low", 1)
    assert incident.id == incident_id(alert.id) == alert.incident_id


def test_those_that_follow_soon_are_told_together_when_the_window_ends():
    story = _play(("a", T0), ("b", T0 + 60_000), ("c", T0 + WINDOW - 1))
    assert [alert.bundled_until_ms for alert, *_ in story] == [None, T0 + WINDOW, T0 + WINDOW]
    assert len({incident.id for _, incident, _ in story}) == 1
    assert story[-1][1].alerts == 3


def test_each_window_has_its_own_digest_while_alerts_keep_coming():
    story = _play(("a", T0), ("b", T0 + 1_000_000), ("c", T0 + 2_000_000), ("d", T0 + 3_700_000))
    assert [alert.bundled_until_ms for alert, *_ in story] == [None, T0 + WINDOW, T0 + 2 * WINDOW, T0 + 3 * WINDOW]
    assert [incident.digests for _, incident, _ in story] == [0, 0, 1, 2]


def test_after_a_quiet_window_the_next_alert_is_a_new_incident_told_at_once():
    (_, first, _), (alert, second, new) = _play(("a", T0), ("b", T0 + WINDOW))
    assert new
    assert alert.bundled_until_ms is None
    assert first.id != second.id


def test_an_alert_that_fires_again_stays_in_its_incident_and_is_told_at_once_only_after_a_quiet_window():
    ((alert, incident, _),) = _play(("a", T0))
    soon = grouped(alert, incident, place="b1", window_ms=WINDOW, at_ms=T0 + 1_000)
    assert (soon.incident.id, soon.alert.bundled_until_ms) == (incident.id, T0 + WINDOW)
    late = grouped(soon.alert, sent(soon.incident), place="b1", window_ms=WINDOW, at_ms=T0 + 5 * WINDOW)
    assert (late.incident.id, late.alert.bundled_until_ms, late.incident.window_at_ms) == (
        incident.id, None, T0 + 5 * WINDOW,
    )  # fmt: skip
    assert late.incident.alerts == 1


@pytest.mark.parametrize("severity", ["P1", "P2"])
def test_what_is_urgent_is_never_grouped(severity):
    assert not may_group(_alert(severity=severity))


@pytest.mark.parametrize("severity", ["P3", "P4"])
def test_a_test_of_the_hub_is_never_grouped(severity):
    assert may_group(_alert(severity=severity))
    assert not may_group(replace(_alert(severity=severity), test=True))


def test_alerts_are_grouped_by_building_and_where_there_is_none_by_grid():
    assert place_of(Subject(building="b1", grid="g1")) == "b1"
    assert place_of(Subject(grid="g1")) == "g1"
    assert place_of(Subject()) == ""


@given(
    gaps=st.lists(st.integers(-5_000, 3 * WINDOW), min_size=1, max_size=30),
    window_ms=st.sampled_from([1, 60_000, WINDOW]),
)
def test_every_alert_is_told_at_once_or_in_a_digest_that_comes_within_a_window(gaps, window_ms):
    at_ms, times = T0, []
    for n, gap in enumerate(gaps):
        at_ms += gap
        times.append((f"d{n}", at_ms))
    newest_ms = T0 - 10**9
    for (alert, incident, _), (_, at_ms) in zip(_play(*times, window_ms=window_ms), times, strict=True):
        newest_ms = max(newest_ms, at_ms)
        if alert.bundled_until_ms is None:
            continue
        assert alert.bundled_until_ms == incident.digest_due_ms
        assert at_ms < alert.bundled_until_ms <= newest_ms + window_ms
        assert not alert.is_lead


# -- the message to all


def _told(alert: Alert, *receivers: tuple[str, str]) -> tuple[Alert, Plan]:
    return alert, Plan(
        deliveries=tuple(
            NewDelivery(
                alert_id=alert.id, transition="raised", recipient=who, channel=channel, target=f"{who}@{channel}",
                locale="en", due_at_ms=T0,
            )
            for who, channel in receivers
        )
    )  # fmt: skip


def test_each_receiver_gets_one_message_about_exactly_the_alerts_meant_for_it():
    (_, incident, _), (b, *_), (c, *_) = _play(("a", T0), ("b", T0 + 1), ("c", T0 + 2))
    found = digest(
        replace(incident, digests=1),
        [_told(b, ("li", "webhook"), ("north", "console")), _told(c, ("li", "webhook"), ("wang", "webhook"))],
        T0 + WINDOW,
    )
    said = {(d.recipient, d.channel): json.loads(d.about) for d in found}
    assert {key: about["alerts"] for key, about in said.items()} == {
        ("li", "webhook"): [b.id, c.id],
        ("north", "console"): [b.id],
        ("wang", "webhook"): [c.id],
    }
    assert said["li", "webhook"]["more"] == 2
    assert said["li", "webhook"]["first"][0] == {"device": "b", "place_zh": "b楼", "place_en": "House b"}
    assert {d.transition for d in found} == {"digest:2"}
    assert {d.needed_while for d in found} == {"always"}


def test_a_digest_of_a_thousand_alerts_has_a_bounded_size():
    story = _play(*((f"device-{n}", T0 + n) for n in range(1_000)))
    plans = [_told(alert, ("li", "webhook")) for alert, *_ in story]
    (only,) = digest(story[0][1], plans, T0 + WINDOW)
    about = json.loads(only.about)
    assert about["more"] == 1_000
    assert len(only.about) < 20_000


def test_the_end_of_an_alert_that_was_told_among_others_is_not_told_by_itself():
    (first, *_), (second, *_) = _play(("a", T0), ("b", T0 + 1))
    assert not is_withheld(first, "closed")
    assert is_withheld(second, "closed")
    assert is_withheld(second, "returned")
    assert not is_withheld(second, "reinforce")


# -- evidence


def test_evidence_is_kept_as_json_whatever_was_in_it():
    import numpy as np

    said = {
        "value": float("nan"),
        "n": np.int64(3),
        "x": np.float64(1.5),
        "at": {1, 2},
        "who": ("a", None),
        "t": "长\x00",
    }
    kept = read(written(said))
    assert (kept["value"], kept["n"], kept["x"], kept["who"]) == (None, 3, 1.5, ["a", None])
    assert sorted(kept["at"]) == [1, 2]
    assert "\x00" not in (written(said) or "")


def test_evidence_that_is_too_long_loses_its_longest_member_and_says_so():
    text = written({"figure": 3, "members": [f"device-{n}" for n in range(10_000)]})
    assert text is not None
    assert len(text) <= MOST_BYTES
    assert read(text) == {"figure": 3, "members": "(too long)", "cut": True}


def test_no_evidence_is_nothing():
    assert written({}) is None
    assert read(None) == read("[]") == read("{") == {}
