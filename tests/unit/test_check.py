"""`gridhub check`: the whole configuration, every complaint at once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from devices.simulators.town import write_town
from hub.__main__ import app
from hub.cli.check import SHOWN_PER_FILE, examine

CONFIG = Path(__file__).parents[2] / "config"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shipped configuration with a small town in it."""
    monkeypatch.chdir(tmp_path)
    copy = tmp_path / "config"
    shutil.copytree(CONFIG, copy)
    write_town(copy / "registry", devices=80)
    return copy


def edit(path: Path, part: str, instead: str) -> None:
    text = path.read_text("utf-8")
    assert part in text, f"{path.name} has no {part!r} to change"
    path.write_text(text.replace(part, instead, 1), "utf-8")


def test_the_shipped_configuration_has_no_complaints() -> None:
    found = examine(CONFIG)
    assert found.complaints == []
    assert found.counts["devices"] == 300
    assert found.counts["stations"] == 3
    assert found.counts["rules"] > 0


def test_a_right_configuration_gives_its_counts_and_exit_code_0(folder: Path) -> None:
    result = CliRunner().invoke(app, ["check", str(folder)])
    assert result.exit_code == 0, result.output
    assert "80 devices, 2 stations" in result.output
    assert "No complaints" in result.output


YAML_FILES = [
    "hub.yaml",
    "escalation.yaml",
    "registry/places.yaml",
    "registry/people.yaml",
    "registry/stations.yaml",
    *sorted(f"rules/{path.name}" for path in (CONFIG / "rules").glob("*.yaml")),
]


@pytest.mark.parametrize("name", YAML_FILES)
@pytest.mark.parametrize("text", ["a: [1, 2\nb: c", "- only\n- a list", "x: y: z", "[" * 50_000, "\x00"])
def test_malformed_yaml_in_any_file_is_a_complaint_about_that_file(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, "utf-8")
    complaints = examine(folder).complaints
    assert {c.file for c in complaints} == {str(folder / name)}
    assert all(c.message for c in complaints)


@pytest.mark.parametrize("name", [*YAML_FILES, "registry/devices.csv", "registry/outlines.geojson"])
def test_any_file_in_another_encoding_is_a_complaint_about_that_file(folder: Path, name: str) -> None:
    (folder / name).write_bytes("名称: 小区".encode("gbk"))
    complaints = examine(folder).complaints
    assert {c.file for c in complaints} == {str(folder / name)}
    assert "UTF-8" in str(complaints[0])


@pytest.mark.parametrize(
    ("name", "part", "instead", "suggested"),
    [
        ("hub.yaml", "timezone:", "timezon:", "timezone"),
        ("escalation.yaml", "severities:", "severitys:", "severities"),
        ("registry/places.yaml", "responsible:", "responsable:", "responsible"),
        ("registry/people.yaml", "phone:", "fone:", "phone"),
        ("registry/stations.yaml", "backups:", "backup:", "backups"),
        ("rules/smoke.yaml", "severity:", "severty:", "severity"),
        ("registry/devices.csv", "interval_s", "interval", "interval_s"),
    ],
)
def test_an_unknown_key_is_told_with_the_nearest_known_one(
    folder: Path, name: str, part: str, instead: str, suggested: str
) -> None:
    edit(folder / name, part, instead)
    told = [c for c in examine(folder).complaints if c.message in ("unknown key", "unknown column")]
    assert [(c.file, c.remedy) for c in told] == [(str(folder / name), f"did you mean '{suggested}'?")]
    assert told[0].line is not None


def test_complaints_of_all_files_come_at_once_and_the_exit_code_is_1(folder: Path) -> None:
    edit(folder / "hub.yaml", "timezone: Asia/Shanghai", "timezone: Asia/Schanghai")
    edit(folder / "escalation.yaml", "severities:", "severitys:")
    edit(folder / "registry" / "stations.yaml", "backups: [st-2", "backups: [st-1")
    edit(folder / "rules" / "smoke.yaml", "device_kind: smoke_alarm", "device_kind: smoke_alarms")
    result = CliRunner().invoke(app, ["check", str(folder)])
    assert result.exit_code == 1
    for told in (
        "not an IANA time zone",
        "a station cannot back itself",
        "did you mean 'smoke_alarm'?",
        "did you mean 'severities'?",
    ):
        assert told in result.output
    assert "the hub would not start" in result.output


def test_a_missing_folder_is_a_complaint(tmp_path: Path) -> None:
    (complaint,) = examine(tmp_path / "nowhere").complaints
    assert complaint.message == "no such folder"
    result = CliRunner().invoke(app, ["check", str(tmp_path / "nowhere")])
    assert result.exit_code == 1


def test_a_contact_on_an_unknown_channel_is_a_complaint_with_its_line(folder: Path) -> None:
    stations = folder / "registry" / "stations.yaml"
    edit(stations, 'webhook: "crew-st-2"', 'fax: "13800000001"')
    (complaint,) = examine(folder).complaints
    assert complaint.file == str(stations)
    assert "'st-2' has a contact on an unknown channel 'fax'" in complaint.message
    assert complaint.line is not None
    assert 'fax: "13800000001"' in stations.read_text("utf-8").splitlines()[complaint.line - 1]


def test_a_contact_of_a_person_is_looked_at_too(folder: Path) -> None:
    edit(
        folder / "registry" / "people.yaml",
        'contacts: {console: ""}, verified: [console]',
        'contacts: {pager: "1"}, verified: [pager]',
    )
    (complaint,) = examine(folder).complaints
    assert (complaint.file, complaint.key) == (str(folder / "registry" / "people.yaml"), "people.0.contacts.pager")


def test_a_siren_needs_a_topic_without_wildcards(folder: Path) -> None:
    edit(folder / "registry" / "stations.yaml", "st-1/siren/cmd", "+/siren/cmd")
    (complaint,) = examine(folder).complaints
    assert "is no topic to publish to" in complaint.message


def test_a_webhook_contact_without_endpoint_is_a_warning(folder: Path) -> None:
    edit(
        folder / "hub.yaml",
        "endpoints: {}",
        'endpoints: {crew-st-1: {url: "http://127.0.0.1:9/"}, crew-st-22: {url: "http://127.0.0.1:9/"}}',
    )
    found = examine(folder)
    assert found.complaints == []
    (warning,) = [w for w in found.warnings if w.key.endswith("contacts.webhook")]
    assert "'st-2' cannot be told by webhook: hub.yaml has no endpoint 'crew-st-2'" in warning.message
    assert warning.remedy == "did you mean 'crew-st-22'?"


def test_a_contact_on_a_channel_that_is_not_set_up_is_a_warning(folder: Path) -> None:
    edit(folder / "registry" / "stations.yaml", 'webhook: "crew-st-2"', 'sms: "13800000001"')
    found = examine(folder)
    assert found.complaints == []
    (warning,) = [w for w in found.warnings if w.key.endswith("contacts.sms")]
    assert warning.message == "'st-2' cannot be told by sms: hub.yaml does not set it up"
    assert "channels.sms" in warning.remedy


def test_a_contact_whose_robot_is_not_there_is_a_warning(folder: Path) -> None:
    edit(folder / "registry" / "stations.yaml", 'webhook: "crew-st-2"', 'wecom_robot: "crew-st-2"')
    edit(
        folder / "hub.yaml",
        "    endpoints: {}",
        "    endpoints: {}\n  wecom_robot: {robots: {crew-st-22: {key_env: K}}}",
    )
    (warning,) = [w for w in examine(folder).warnings if w.key.endswith("contacts.wecom_robot")]
    assert warning.message == "'st-2' cannot be told by wecom_robot: hub.yaml has no robot 'crew-st-2'"
    assert warning.remedy == "did you mean 'crew-st-22'?"


def test_a_contact_that_cannot_be_right_is_a_complaint_that_does_not_repeat_it(folder: Path) -> None:
    edit(folder / "registry" / "stations.yaml", 'webhook: "crew-st-2"', 'telegram: "crew 2"')
    edit(folder / "hub.yaml", "    endpoints: {}", "    endpoints: {}\n  telegram: {token_env: T}")
    (complaint,) = examine(folder).complaints
    assert complaint.key.endswith("contacts.telegram")
    assert complaint.message == "'st-2': a Telegram contact is a chat id or the @name of a channel"


def test_a_secret_that_this_machine_does_not_have_is_a_warning(folder: Path) -> None:
    edit(folder / "hub.yaml", "endpoints: {}", "endpoints: {crew-st-1: {url_env: NOBODY_SET_THIS}}")
    found = examine(folder)
    assert found.complaints == []
    assert any("NOBODY_SET_THIS is not set" in w.message for w in found.warnings)


def test_a_wrong_endpoint_is_a_complaint_of_its_channel(folder: Path) -> None:
    edit(folder / "hub.yaml", "endpoints: {}", 'endpoints: {crew-st-1: {url: "ftp://x"}}')
    assert [c.key for c in examine(folder).complaints] == ["channels.webhook.endpoints.crew-st-1"]


@pytest.mark.parametrize(
    ("part", "instead", "told"),
    [
        ("  - {codec: zigbee2mqtt, root: zigbee2mqtt}\n", "", "hub.yaml has no source of codec 'zigbee2mqtt'"),
        ("root: zigbee2mqtt}", "root: zigbee2mqtt/east}", "is under none of the roots zigbee2mqtt/east"),
    ],
)
def test_devices_that_no_source_can_report_are_complaints(folder: Path, part: str, instead: str, told: str) -> None:
    edit(folder / "hub.yaml", part, instead)
    complaints = examine(folder).complaints
    assert complaints
    assert all(told in c.message and c.key.endswith(".addresses") for c in complaints)


def test_an_unknown_codec_is_a_complaint_in_either_file(folder: Path) -> None:
    edit(folder / "hub.yaml", "codec: senml", "codec: senmal")
    edit(folder / "registry" / "devices.csv", "native-v1:demo/st-1/siren", "native-v2:demo/st-1/siren")
    told = {(Path(c.file).name, c.remedy) for c in examine(folder).complaints}
    assert told == {("hub.yaml", "did you mean 'senml'?"), ("devices.csv", "did you mean 'native-v1'?")}


def test_the_canary_must_be_that_of_the_site(folder: Path) -> None:
    edit(folder / "hub.yaml", "site: demo", "site: harbour")
    (complaint,) = examine(folder).complaints
    assert complaint.key == "canary.addresses"
    assert complaint.remedy.endswith("native-v1:harbour/hub/canary")


def test_a_flood_in_one_file_does_not_hide_the_others(folder: Path) -> None:
    devices = folder / "registry" / "devices.csv"
    devices.write_text(
        devices.read_text("utf-8").replace(",smoke_alarm,", ",smokealarm,").replace(",door,", ",doors,") + "x\n" * 60,
        "utf-8",
    )
    edit(folder / "hub.yaml", "timezone: Asia/Shanghai", "timezone: Mars")
    result = CliRunner().invoke(app, ["check", str(folder)])
    assert result.exit_code == 1
    assert "more in this file" in result.output
    assert result.output.count("devices.csv:") == SHOWN_PER_FILE
    assert "not an IANA time zone" in result.output


def test_markup_in_a_value_is_shown_as_it_is(folder: Path) -> None:
    edit(folder / "registry" / "people.yaml", "role: street_officer,", 'role: "[bold]boss[/bold]",')
    assert "[bold]boss[/bold]" in CliRunner().invoke(app, ["check", str(folder)]).output


def test_registry_show_tells_where_a_device_hangs_and_who_answers(folder: Path) -> None:
    shown = CliRunner().invoke(app, ["registry", "show", "siren-st-1", "--config", str(folder)])
    assert shown.exit_code == 0, shown.output
    for told in ("native-v1:demo/st-1/siren", "幸福里", "st-1; then st-2", "lost after 100 s"):
        assert told in shown.output
    by_address = CliRunner().invoke(app, ["registry", "show", "native-v1:demo/st-1/siren", "--config", str(folder)])
    assert by_address.output == shown.output
    unknown = CliRunner().invoke(app, ["registry", "show", "siren-st-11", "--config", str(folder)])
    assert unknown.exit_code == 1
    assert "did you mean siren-st-1" in unknown.output


def test_everything_wrong_with_one_device_is_said_at_once_with_its_line(folder: Path) -> None:
    devices = folder / "registry" / "devices.csv"
    lines = len(devices.read_text("utf-8").splitlines())
    with devices.open("a", encoding="utf-8") as file:
        file.write(
            "odd-1,smokealarm,烟感,Smoke,nowhere,99,zigbee3mqtt:zigbee2mqtt/odd;zigbee2mqtt:east/odd,,,,radio,,,\n"
        )
    found = examine(folder).complaints
    assert {(c.key, c.line) for c in found} == {
        (f"odd-1.{column}", lines + 1) for column in ("kind", "grid", "place", "addresses")
    }
    assert len(found) == 5
    shown = CliRunner().invoke(app, ["check", str(folder)]).output
    assert shown.count(f"devices.csv:{lines + 1}:") == 5


def test_a_canary_without_the_address_of_the_site_is_named_by_its_line(folder: Path) -> None:
    edit(folder / "registry" / "devices.csv", "native-v1:demo/hub/canary", "")
    (complaint,) = examine(folder).complaints
    assert (complaint.key, complaint.line) == ("canary.addresses", 3)


def test_a_mistake_in_the_calendar_is_found_and_one_that_has_run_out_is_a_warning(folder: Path) -> None:
    calendar = folder / "calendar.yaml"
    calendar.write_text("holidays:\n  - {name: 元旦, on: 2020-01-01}\nworkdays: [2020-01-06]\n", "utf-8")
    found = examine(folder)
    assert [(c.file, c.line, c.key) for c in found.complaints] == [(str(calendar), 3, "workdays.0")]
    calendar.write_text("holidays:\n  - {name: 元旦, on: 2020-01-01}\n", "utf-8")
    found = examine(folder)
    assert found.complaints == []
    assert [w.message for w in found.warnings if w.file == str(calendar)] != []


def test_a_ladder_of_a_rule_that_is_not_there_or_gives_a_fire_up_is_a_warning(folder: Path) -> None:
    edit(folder / "escalation.yaml", "  chatter:\n", "  chater:\n")
    edit(folder / "escalation.yaml", "    repeat_s: 60\n    repeat_unless: on_scene\n", "")
    warned = {warning.key: warning for warning in examine(folder).warnings if warning.key.startswith("rules.")}
    assert warned["rules.chater"].remedy == "did you mean 'chatter'?"
    assert "that of P1 is used instead" in warned["rules.fire-unattended"].message
    assert all(warning.line for warning in warned.values())


def test_rules_in_the_shadow_are_checked_and_stop_nothing(folder: Path) -> None:
    shadow = folder / "rules" / "shadow"
    shadow.mkdir()
    trial = shadow / "trial.yaml"
    shutil.copy(folder / "rules" / "water.yaml", trial)
    found = examine(folder)
    assert found.counts["shadow rules"] == found_rules(folder / "rules" / "water.yaml")
    assert [w for w in found.warnings if "rules/shadow/" in w.file] == []
    edit(trial, "kind: threshold", "kind: treshold")
    found = examine(folder)
    assert found.complaints == []
    (wrong,) = [w for w in found.warnings if "rules/shadow/" in w.file]
    assert wrong.message == "unknown rule kind 'treshold', so no rule of the shadow runs"
    assert wrong.remedy == "did you mean 'threshold'?"
    assert wrong.line


def found_rules(path: Path) -> int:
    return path.read_text("utf-8").count("- id:")


def test_rule_files_that_are_not_read_are_named(folder: Path) -> None:
    (folder / "rules" / "mine.yml").write_text("rules: []\n", "utf-8")
    (folder / "rules" / "sub").mkdir()
    (folder / "rules" / "sub" / "mine.yaml").write_text("rules: []\n", "utf-8")
    unread = [w for w in examine(folder).warnings if "is not read" in w.message]
    assert [Path(w.file).relative_to(folder / "rules").as_posix() for w in unread] == ["mine.yml", "sub/mine.yaml"]
    assert unread[0].remedy.startswith(f"move it to {folder / 'rules' / 'mine.yaml'}")


def test_words_of_a_scope_that_fit_nothing_are_named_with_the_nearest_one(folder: Path) -> None:
    edit(
        folder / "rules" / "smoke.yaml",
        "on: {device_kind: heat_detector,",
        "on: {device_kind: heat_detector, device: [heat-c1b1-1], tag: heated,",
    )
    said = [w for w in examine(folder).warnings if "nothing is watched there" in w.message]
    assert {w.message.split(": nothing")[0] for w in said} == {
        "no such device in the registry: 'heat-c1b1-1'",
        "no such tag in the registry: 'heated'",
    }
    assert any(w.remedy.startswith("did you mean 'heat-") for w in said)
