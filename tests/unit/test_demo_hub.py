"""The demonstration's hub: others find it by a folder, and its configuration's news are told."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from hub.cli.demo_hub import Plan, configuration_news, environment_of, hub_settings, write_config
from hub.registry.loader import load
from hub.settings import load_settings
from hub.stores.rule_files import RuleFiles

CONFIG = Path(__file__).parents[2] / "config"


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    shutil.copytree(CONFIG, tmp_path / "place")
    with (tmp_path / "place" / "hub.yaml").open("a", encoding="utf-8") as file:
        file.write("screen: {late_s: 120}\n")
    (tmp_path / "data").mkdir()
    return Plan(
        config=tmp_path / "place",
        data=tmp_path / "data",
        broker_kind="auto",
        broker_port=1884,
        console_port=8081,
        fire_after_s=None,
        speed=1.0,
        keep=False,
    )


def test_the_folder_for_looking_says_what_the_hub_was_started_with(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = hub_settings(plan, "311", "http://127.0.0.1:9/{}".format)
    write_config(plan, settings)
    looked = load_settings(plan.looking)
    assert (looked.mqtt.port, looked.api.port, looked.data, looked.screen.late_s) == (1884, 8081, plan.data, 120)
    for name, value in environment_of(settings).items():
        monkeypatch.setitem(os.environ, name, value)
    assert load_settings(plan.looking) == looked
    assert load(plan.looking / "registry").version == load(plan.config / "registry").version


def test_rules_changed_in_the_demonstration_stay_in_it_and_edited_devices_are_followed(plan: Plan) -> None:
    kept = RuleFiles(plan.config / "rules").read()
    write_config(plan, hub_settings(plan, "311", "http://127.0.0.1:9/{}".format))
    shown = RuleFiles(plan.looking / "rules")
    shown.write({"trial.yaml": "rules: []\n", "water.yaml": None}, expected=kept.version)
    assert RuleFiles(plan.config / "rules").read() == kept
    assert "trial.yaml" in shown.read().files
    devices = plan.config / "registry" / "devices.csv"
    devices.write_text(devices.read_text("utf-8") + "\n", "utf-8")
    assert (plan.looking / "registry" / "devices.csv").read_text("utf-8") == devices.read_text("utf-8")
    assert {path.name for path in plan.looking.iterdir()} >= {"hub.yaml", "rules", "registry", "escalation.yaml"}


def test_a_refused_configuration_is_one_line_with_the_first_complaint() -> None:
    def line(event: str, **more: object) -> str:
        return json.dumps({"event": event, **more})

    told = configuration_news(
        [
            line("hub.started"),
            line("config.refused", complaint="devices.csv:7: first"),
            line("config.refused", complaint="devices.csv:9: second"),
            '"config. but no JSON',
            line("config.reloaded", devices=301, rules=28),
            line("config.refused", complaint="devices.csv:8: third"),
        ]
    )
    assert told == [
        "refused, the old one stays in force: devices.csv:7: first",
        "taken over, 301 devices",
        "refused, the old one stays in force: devices.csv:8: third",
    ]
