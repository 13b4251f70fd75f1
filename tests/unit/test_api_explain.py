"""Over the API: why an alert fired, and why a rule did not; only for those who may see the device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from hub.api import create_app
from hub.clock import SteppedClock
from hub.registry.snapshot import Registry
from hub.replay.answers import Answers, InForce, rules_at
from hub.replay.explainer import Explainer
from hub.replay.journal_source import shelf_of
from hub.rules.kinds.kind import Context
from hub.rules.ruleset import load_rules
from tests.support.paths import CONFIG
from tests.support.served import FAR_GRID, GRID, SMOKE, Hub, hub_at
from tests.unit.test_rules_explain import SOURCES, T0, Tape

API = "/api/v1"
FIRE_S = 30


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_at(tmp_path, SteppedClock(T0)) as found:
        yield found


def journal_of(hub: Hub, folder: Path, *, fire: bool = True) -> Answers:
    """A journal in which the smoke alarm fires after half a minute, and who answers from it."""
    tape = Tape(folder / "journal", hub.registry)
    tape.says(10, SMOKE, smoke=False)
    if fire:
        tape.says(FIRE_S, SMOKE, smoke=True)
    tape.written(60)
    return answers_of(hub.registry, folder)


def answers_of(registry: Registry, folder: Path) -> Answers:
    explainer = Explainer(records=shelf_of(folder / "journal"), sources=SOURCES, zone="Asia/Shanghai")
    now = InForce(load_rules(CONFIG / "rules"), {})
    return Answers(explainer=explainer, registry=lambda: registry, in_force=lambda at_ms: now)


def client(hub: Hub, answers: Answers | None, **scope: Any) -> TestClient:
    token = hub.token("officer", **(scope or {"grids": ("*",)}))
    app = create_app(replace(hub.parts, answers=answers))
    return TestClient(app, headers={"Authorization": f"Bearer {token}"})


def test_an_alert_is_explained_in_both_languages(hub: Hub, tmp_path: Path) -> None:
    reader = client(hub, journal_of(hub, tmp_path))
    hub.clock.advance(s=FIRE_S)  # type: ignore[attr-defined]
    alert = hub.says(SMOKE)
    answer = reader.get(f"{API}/alerts/{alert}/explanation")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["fired"], found["rule"]["id"], found["device"]) == (True, "smoke-alarm", SMOKE)
    assert found["verdict"]["text"]["en"].startswith("It fired at 2024-01-01 08:00:30")
    assert found["verdict"]["text"]["zh"] != found["verdict"]["text"]["en"]
    assert [step["event"] for step in found["steps"] if step["event"]] == ["raised"]


def test_why_a_rule_did_not_fire(hub: Hub, tmp_path: Path) -> None:
    reader = client(hub, journal_of(hub, tmp_path))
    query = {"rule": "smoke-alarm", "at": T0 + 20_000}
    found = reader.get(f"{API}/devices/{SMOKE}/explanation", params=query).json()
    assert (found["fired"], found["verdict"]["code"]) == (False, "not-reached")
    assert found["verdict"]["text"]["en"].startswith("smoke was false at 2024-01-01 08:00:10")


def test_an_alert_whose_records_are_gone_is_explained_by_what_was_kept(hub: Hub, tmp_path: Path) -> None:
    answers = journal_of(hub, tmp_path)
    hub.clock.advance(s=40 * 86_400)  # type: ignore[attr-defined]
    found = client(hub, answers).get(f"{API}/alerts/{hub.says(SMOKE)}/explanation").json()
    assert found["fired"]
    assert "not there any more" in found["verdict"]["text"]["en"]
    assert any(sentence["code"] == "value" for sentence in found["because"])


def test_an_alert_that_the_records_do_not_show_is_told_with_what_they_show(hub: Hub, tmp_path: Path) -> None:
    answers = journal_of(hub, tmp_path, fire=False)
    hub.clock.advance(s=FIRE_S)  # type: ignore[attr-defined]
    found = client(hub, answers).get(f"{API}/alerts/{hub.says(SMOKE)}/explanation").json()
    assert found["fired"]
    assert "playing the records again does not show" in found["verdict"]["text"]["en"]
    assert "smoke was false" in found["notes"][0]["text"]["en"]


@pytest.mark.parametrize(
    ("scope", "device", "rule", "status"),
    [
        ({"grids": (FAR_GRID,)}, SMOKE, "smoke-alarm", 404),
        ({"grids": (GRID,)}, SMOKE, "smoke-alarm", 200),
        ({"grids": ("*",)}, "nobody", "smoke-alarm", 404),
        ({"grids": ("*",)}, SMOKE, "no-such-rule", 404),
        ({"grids": ("*",)}, SMOKE, "Not A Rule", 422),
    ],
)
def test_only_what_one_may_see_is_explained(
    hub: Hub, tmp_path: Path, scope: dict[str, Any], device: str, rule: str, status: int
) -> None:
    reader = client(hub, journal_of(hub, tmp_path), **scope)
    answer = reader.get(f"{API}/devices/{device}/explanation", params={"rule": rule, "at": T0 + 20_000})
    assert answer.status_code == status, answer.text


def test_a_process_without_journal_says_where_to_ask(hub: Hub) -> None:
    alert = hub.says(SMOKE)
    answer = client(hub, None).get(f"{API}/alerts/{alert}/explanation")
    assert (answer.status_code, answer.json()["code"]) == (503, "explanation-away")
    assert "role ingest" in answer.json()["remedy"]


def test_the_rules_of_the_time_are_used_where_they_are_recorded(hub: Hub) -> None:
    now = InForce(load_rules(CONFIG / "rules"), {}, "another")
    book = hub.parts.rules
    book.step()
    entry = book.versions.list(limit=1)[0]
    assert entry.applied_at_ms is not None
    then = rules_at(book.versions, entry.applied_at_ms + 1, Context(), now)
    assert then.sure
    assert then.version == entry.version
    assert then.rules.find("smoke-alarm") is not None
    assert "smoke.yaml" in then.texts
    before = rules_at(book.versions, entry.applied_at_ms - 1, Context(), now)
    assert (before.sure, before.version) == (False, "another")


def test_a_hub_with_a_journal_has_its_answers_wired(tmp_path: Path) -> None:
    import shutil

    from hub.app import build
    from hub.settings import load_settings

    shutil.copytree(CONFIG, tmp_path / "config")
    text = (tmp_path / "config" / "hub.yaml").read_text("utf-8")
    (tmp_path / "config" / "hub.yaml").write_text(
        text.replace("data_dir: data", f"data_dir: {tmp_path / 'data'}"), "utf-8"
    )
    hub = build(load_settings(tmp_path / "config"), clock=SteppedClock(T0))
    try:
        assert hub.web is not None
        answers = hub.web.state.parts.answers
        found = answers.of_device(SMOKE, "smoke-alarm", T0)
        assert (found.fired, found.verdict.code) == (False, "no-reading")
    finally:
        hub.stop()
