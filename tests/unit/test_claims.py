"""Claims: unknown devices become rows of devices.csv, all or none, and nothing that stood there changes."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from sqlalchemy import insert
from typer.testing import CliRunner, Result

from hub.__main__ import app
from hub.errors import ConfigError
from hub.onboarding import claims as claiming
from hub.onboarding.claims import Claim, claim, id_from, read_claims
from hub.registry.live import LiveRegistry
from hub.registry.loader import load
from hub.stores.ledger import Ledger
from hub.stores.schema import quarantine
from tests.support.registry_files import DEVICES, write_small

KITCHEN = "zigbee2mqtt:zigbee2mqtt/My kitchen"
GRID = "440399001001001"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_small(tmp_path / "registry")


def wanted(address: str = KITCHEN, **more: str) -> Claim:
    return Claim(**{"kind": "smoke_alarm", "place": GRID, "addresses": address, **more})


def test_a_claim_appends_one_row_and_leaves_every_other_byte(folder: Path) -> None:
    done = claim(folder, [wanted(name_zh="我家, 厨房")])
    text = (folder / "devices.csv").read_text("utf-8")
    assert text.startswith(DEVICES)
    assert len(text.splitlines()) == len(DEVICES.splitlines()) + 1
    device = load(folder).find("my-kitchen")
    assert device is not None
    assert (device.name.zh, device.name.en, device.grid, device.addresses) == (
        "我家, 厨房",
        "我家, 厨房",
        GRID,
        (KITCHEN,),
    )
    assert done.registry.slot_of_address[KITCHEN] == device.slot


def test_line_ends_mark_and_a_missing_last_newline_are_kept(folder: Path) -> None:
    file = folder / "devices.csv"
    before = b"\xef\xbb\xbf" + DEVICES.replace("\n", "\r\n").rstrip().encode()
    file.write_bytes(before)
    file.chmod(0o640)
    claim(folder, [wanted()])
    after = file.read_bytes()
    assert after.startswith(before + b"\r\nmy-kitchen,")
    assert b"\n" not in after.replace(b"\r\n", b"")
    assert file.stat().st_mode & 0o777 == 0o640
    assert not [name for name in os.listdir(folder) if name.startswith(".")]


def test_a_dry_run_checks_all_and_writes_nothing(folder: Path) -> None:
    stamp = (folder / "devices.csv").stat().st_mtime_ns
    assert "my-kitchen" in claim(folder, [wanted()], dry_run=True).registry.slot_of
    with pytest.raises(ConfigError):
        claim(folder, [wanted(), wanted("zigbee2mqtt:z/b", kind="toaster")], dry_run=True)
    assert (folder / "devices.csv").stat().st_mtime_ns == stamp


def test_one_wrong_row_keeps_all_out_and_is_told_with_the_line_of_its_own_file(folder: Path) -> None:
    rows = read_claims(
        "address,kind,place,name\n"
        f"{KITCHEN},smoke_alarm,{GRID},厨房\n"
        "z:a,toaster,nowhere,x\n"
        "native-v1:demo/gw-1/smoke-1,smoke_alarm,440399001001-c1,taken\n",
        "new.csv",
    )
    with pytest.raises(ConfigError) as refused:
        claim(folder, rows)
    told = [str(c) for c in refused.value.complaints]
    assert {c.line for c in refused.value.complaints if c.file == "new.csv"} == {3, 4}
    assert any("new.csv:3" in t and "unknown kind 'toaster'" in t for t in told)
    assert any("new.csv:4" in t and "used twice" in t for t in told)
    assert any("new.csv:4" in t and "grid is missing" in t for t in told), "two grids lie in that compound: no guess"
    assert (folder / "devices.csv").read_text("utf-8") == DEVICES


@pytest.mark.parametrize("text", ["", "adress,kind\n", "address,address\n", "address,kind\na\n", 'address\n"x\n'])
def test_a_file_that_is_no_list_of_devices_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_claims(text, "new.csv")
    assert all(c.file == "new.csv" for c in refused.value.complaints)


def test_a_cell_cannot_smuggle_in_a_row(folder: Path) -> None:
    with pytest.raises(ConfigError):
        claim(folder, [wanted(tags="a\nevil,hub,x,x,,,native-v1:a/b/c,,,,none,,,")])
    assert (folder / "devices.csv").read_text("utf-8") == DEVICES


def test_claims_at_once_lose_none(folder: Path) -> None:
    many = [threading.Thread(target=claim, args=(folder, [wanted(f"senml:d{n}", id=f"d{n}")])) for n in range(8)]
    for one in many:
        one.start()
    for one in many:
        one.join()
    assert {f"d{n}" for n in range(8)} <= load(folder).slot_of.keys()


def test_a_crash_before_the_end_leaves_the_old_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_: object) -> None:
        raise OSError("power cut")

    monkeypatch.setattr(os, "replace", dies)
    with pytest.raises(OSError, match="power cut"):
        claim(folder, [wanted()])
    assert (folder / "devices.csv").read_text("utf-8") == DEVICES
    assert not [name for name in os.listdir(folder) if name.startswith(".")]


def test_the_running_hub_sees_the_claim_and_devices_keep_their_slots(folder: Path) -> None:
    live = LiveRegistry(folder)
    before = dict(live.current.slot_of)
    claim(folder, [wanted()])
    assert live.changed()
    after = live.reload()
    assert KITCHEN in after.slot_of_address
    assert before.items() <= after.slot_of.items()


def test_a_broken_registry_is_said_before_the_claim_is_blamed(folder: Path) -> None:
    (folder / "places.yaml").write_text("places: 7\n", "utf-8")
    with pytest.raises(ConfigError, match=r"places\.yaml"):
        claim(folder, [wanted()])


@pytest.mark.parametrize(
    ("address", "device_id"),
    [
        (KITCHEN, "my-kitchen"),
        ("native-v1:demo/gw-1/smoke-9", "smoke-9"),
        ("native-v1:demo/gw-7/-", "gw-7"),
        ("zigbee2mqtt:zigbee2mqtt/厨房", ""),
    ],
)
def test_an_id_is_made_from_the_address(address: str, device_id: str) -> None:
    assert id_from(address) == device_id


# -- the commands -----------------------------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    folder.rename(tmp_path / "moved")
    (tmp_path / "config").mkdir()
    (tmp_path / "moved").rename(tmp_path / "config/registry")
    (tmp_path / "config/hub.yaml").write_text("site: demo\n", "utf-8")
    ledger = Ledger.open(f"sqlite:///{tmp_path}/data/ledger.db")
    rows = [
        ("zigbee2mqtt/My kitchen", KITCHEN, b'{"smoke":true,"battery":97}'),
        ("sc/v1/demo/gw-1/door-7/birth", "native-v1:demo/gw-1/door-7", b'{"v":1,"kind":"door","model":"D1","interval_s":60,"metrics":[]}'),
        ("sc/v1/demo/gw-1/door-7/tele", "native-v1:demo/gw-1/door-7", b'{"v":1,"m":{"door_open":true}}'),
        ("sc/v1/demo/gw-1/smoke-1/tele", "native-v1:demo/gw-1/smoke-1", b'{"v":1,"m":{}}'),  # known since
    ]  # fmt: skip
    with ledger.begin() as connection:
        for n, (topic, address, payload) in enumerate(rows):
            row = {
                "topic": topic, "reason": "unknown device", "codec": address.partition(":")[0], "detail": "", "address": address,
                "count": 3, "first_at_ms": 1_704_067_200_000, "last_at_ms": 1_704_067_260_000 - n, "position": n, "payload": payload,
            }  # fmt: skip
            connection.execute(insert(quarantine), [row])
    ledger.close()
    return tmp_path


def gridhub(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["devices", *arguments])


def test_unknown_devices_are_listed_with_a_guess_and_an_alarm_stands_out(place: Path) -> None:
    found = json.loads(gridhub("unknown", "--json").stdout)
    assert [(d["address"], d["guess"], d["count"], d["alarms"]) for d in found] == [
        (KITCHEN, "smoke_alarm", 3, ["smoke"]),
        ("native-v1:demo/gw-1/door-7", "door", 6, []),
    ]
    assert found[1]["behind"] == "gw-1"
    assert found[1]["why"] == "it says so itself"
    assert len(found[1]["messages"]) == 2
    assert "ALARM smoke" in gridhub("unknown").stdout


def test_a_claimed_device_is_known_with_the_guess_and_its_gateway(place: Path) -> None:
    done = gridhub("claim", "native-v1:demo/gw-1/door-7", "--place", "440399001001-c1-b1", "--grid", GRID)
    assert done.exit_code == 0, done.output
    device = load(place / "config/registry").find("door-7")
    assert device is not None
    assert (device.kind, device.parent, device.model) == ("door", "gw-1", "D1")
    assert [d["address"] for d in json.loads(gridhub("unknown", "--json").stdout)] == [KITCHEN]


def test_a_file_of_devices_is_tried_first_then_imported(place: Path) -> None:
    (place / "new.csv").write_text(f"address,kind,place,name\n{KITCHEN},smoke_alarm,{GRID},厨房\n", "utf-8")
    tried = gridhub("import", "new.csv", "--dry-run")
    assert tried.exit_code == 0, tried.output
    assert "nothing was written" in tried.stdout
    assert load(place / "config/registry").find("my-kitchen") is None
    assert gridhub("import", "new.csv").exit_code == 0
    assert load(place / "config/registry").find("my-kitchen") is not None
    again = gridhub("import", "new.csv")
    assert again.exit_code != 0
    assert "used twice" in again.output + str(again.exception or "")


def test_a_lock_that_is_kept_is_waited_for_and_then_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hub.files import locked

    monkeypatch.setattr(claiming, "locked", lambda path: locked(path, patience_s=0.05))
    with locked(folder), pytest.raises(TimeoutError, match="somebody else is changing"):
        claim(folder, [wanted()])
