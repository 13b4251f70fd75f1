"""Credentials of nodes: secrets are shown once and kept nowhere, files are their owner's, and an ACL is one node's own topics."""

from __future__ import annotations

import stat
import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from hub.__main__ import app
from hub.errors import Refusal
from hub.registry.loader import load
from hub.registry.snapshot import Registry
from hub.security import passwords
from hub.security.accounts import Account, acl_file, nodes_of, objection
from hub.security.credentials import ACCOUNTS, ACL, OWN_ACL, PASSWORDS, Credentials
from tests.support.mosquitto import mosquitto_binary
from tests.support.registry_files import DEVICES, write_small

AT = 1_767_225_600_000


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    more = "gw-2,gateway,网关,Gateway 2,,440399001001002,native-v1:east/gw-2/-,,,30,mains,,,\n"
    return load(write_small(tmp_path_factory.mktemp("registry"), devices=DEVICES + more))


@pytest.fixture
def credentials(tmp_path: Path, registry: Registry) -> Credentials:
    return Credentials(tmp_path / "mqtt", lambda: registry, lambda: AT, other_roots=["zigbee2mqtt"])


def text(credentials: Credentials, name: str) -> str:
    return (credentials.folder / name).read_text("utf-8")


def stored(credentials: Credentials, name: str) -> str:
    lines = dict(line.split(":", 1) for line in text(credentials, PASSWORDS).splitlines())
    return lines.get(name, "")


# -- passwords --------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None, phases=[Phase.generate])
@given(password=st.text(max_size=40).filter(lambda t: t.isprintable()))
def test_a_hash_verifies_its_own_password_and_no_other(password: str) -> None:
    kept = passwords.hashed(password)
    assert passwords.verifies(password, kept)
    assert not passwords.verifies(password + "x", kept)
    assert password not in kept or len(password) < 4


@pytest.mark.needs_mosquitto
def test_what_mosquitto_passwd_writes_verifies_equally(tmp_path: Path) -> None:
    mosquitto_binary()
    file = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(file), "alice", "s3cret 密码"], check=True, capture_output=True)
    kept = file.read_text("utf-8").strip().partition(":")[2]
    assert kept.startswith("$7$101$")
    assert passwords.verifies("s3cret 密码", kept)
    assert not passwords.verifies("s3cret", kept)


@pytest.mark.parametrize(
    "kept",
    ["", "plain", "$6$a$b", "$7$x$YQ==$YQ==", "$7$101$?$?", "$7$101$YQ==$", "$7$99999999$YQ==$YQ==", "$7$0$YQ==$YQ=="],
)
def test_what_is_no_hash_verifies_nothing(kept: str) -> None:
    assert not passwords.verifies("", kept)
    assert not passwords.verifies("plain", kept)


def test_secrets_are_long_and_never_the_same() -> None:
    many = {passwords.fresh() for _ in range(100)}
    assert len(many) == 100
    assert min(map(len, many)) >= 32


# -- accounts ---------------------------------------------------------------------------------------------------------


def test_a_node_gets_a_password_that_only_its_hash_remembers(credentials: Credentials) -> None:
    (secret,) = credentials.create(["gw-1"])
    assert passwords.verifies(secret.password, stored(credentials, "gw-1"))
    for file in credentials.folder.iterdir():
        assert secret.password not in file.read_text("utf-8")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(credentials.folder.stat().st_mode) == 0o700
    assert secret.password not in repr(secret)


def test_rotating_ends_the_old_password_and_revoking_ends_both(credentials: Credentials) -> None:
    (old,), (new,) = credentials.create(["gw-1"]), credentials.rotate(["gw-1"])
    kept = stored(credentials, "gw-1")
    assert (passwords.verifies(old.password, kept), passwords.verifies(new.password, kept)) == (False, True)
    credentials.revoke(["gw-1"])
    assert stored(credentials, "gw-1") == ""
    assert "gw-1" not in text(credentials, ACL)
    (one,) = credentials.accounts()
    assert (one.live, one.revoked_at_ms) == (False, AT)
    (again,) = credentials.create(["gw-1"])
    assert passwords.verifies(again.password, stored(credentials, "gw-1"))


def test_many_at_once_are_made_all_or_none(credentials: Credentials) -> None:
    assert credentials.missing() == ["gw-1", "gw-2", "hub"]
    with pytest.raises(Refusal):
        credentials.create(["gw-1", "gw-unknown"])
    assert credentials.accounts() == []
    credentials.create(credentials.missing())
    assert credentials.missing() == []
    with pytest.raises(Refusal):
        credentials.create(["gw-1"])
    with pytest.raises(Refusal):
        credentials.revoke(["gw-2", "nobody"])
    assert all(one.live for one in credentials.accounts())


def test_accounts_that_others_keep_and_lines_of_the_operators_own_stay(credentials: Credentials) -> None:
    credentials.folder.mkdir(mode=0o700)
    (credentials.folder / PASSWORDS).write_text("simulator:$7$101$YQ==$YQ==\ngw-1:$7$101$YQ==$YQ==\n")
    (credentials.folder / PASSWORDS).chmod(0o640)  # the broker's group may read
    (credentials.folder / OWN_ACL).write_text("user simulator\ntopic read sc/v1/#\n")
    (secret,) = credentials.create(["gw-1"])
    assert stored(credentials, "simulator") == "$7$101$YQ==$YQ=="
    assert passwords.verifies(secret.password, stored(credentials, "gw-1"))
    assert text(credentials, PASSWORDS).count("gw-1:") == 1
    assert text(credentials, ACL).endswith("\nuser simulator\ntopic read sc/v1/#\n")
    assert stat.S_IMODE((credentials.folder / PASSWORDS).stat().st_mode) == 0o640


def test_changes_at_once_lose_none(credentials: Credentials) -> None:
    many = [
        threading.Thread(target=credentials.create, args=([f"n{n}"],), kwargs={"sites": ["demo"]}) for n in range(8)
    ]
    for one in many:
        one.start()
    for one in many:
        one.join()
    assert len(credentials.accounts()) == 8
    assert all(stored(credentials, f"n{n}") for n in range(8))


def test_a_damaged_list_is_not_taken_for_an_empty_one(credentials: Credentials) -> None:
    credentials.create(["gw-1"])
    (credentials.folder / ACCOUNTS).write_text("[{]")
    with pytest.raises(Refusal, match="cannot be read"):
        credentials.create(["gw-2"])
    assert stored(credentials, "gw-1")


# -- the ACL ----------------------------------------------------------------------------------------------------------


def account(name: str, **more: object) -> Account:
    return Account(**{"name": name, "role": "node", "hash": "x", "created_at_ms": AT, **more})  # type: ignore[arg-type]


def test_a_node_is_kept_to_its_own_name_at_its_own_sites(registry: Registry) -> None:
    assert nodes_of(registry) == {"hub": {"demo"}, "gw-1": {"demo"}, "gw-2": {"east"}}
    acl = acl_file([account("gw-1"), account("gw-2"), account("gone", revoked_at_ms=1)], nodes_of(registry))
    blocks = {b.split("\n")[0]: b.split("\n")[1:] for b in acl.split("\n\n")[1:]}
    assert [line for line in blocks["user gw-1"] if line] == [
        "topic write sc/v1/demo/gw-1/#",
        "topic read sc/v1/demo/gw-1/+/cmd",
        "topic read sc/v1/demo/gw-1/+/reject",
    ]
    assert "topic write sc/v1/east/gw-2/#" in blocks["user gw-2"]
    assert set(blocks) == {"user gw-1", "user gw-2"}


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("gw-1\nuser root", {}),
        ("gw+", {}),
        ("#", {}),
        ("GW", {}),
        ("", {}),
        ("a:b", {"role": "hub"}),
        ("gw-1", {"sites": ["demo/#"]}),
        ("gw-1", {"role": "king"}),
        ("z", {"role": "bridge"}),
        ("z", {"role": "bridge", "root": "zigbee2mqtt/#"}),
        ("z", {"role": "bridge", "root": "$SYS"}),
        ("z", {"role": "bridge", "root": "a\ntopic readwrite #"}),
    ],
)
def test_a_name_that_could_mean_more_in_an_acl_is_refused(name: str, more: dict[str, object]) -> None:
    assert objection(name, **{"role": "node", **more})  # type: ignore[arg-type]


# -- the commands -----------------------------------------------------------------------------------------------------


def test_the_commands_show_a_secret_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_small(tmp_path / "config/registry")
    (tmp_path / "config/hub.yaml").write_text("site: demo\n", "utf-8")

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["credentials", *arguments])

    made = run("create", "gw-1")
    assert made.exit_code == 0, made.output
    name, _, secret = made.stdout.strip().partition(",")
    assert (name, len(secret) >= 32) == ("gw-1", True)
    assert "kill -HUP" in made.stderr
    listed = run("list").stdout
    assert "gw-1" in listed
    assert "without an account: hub" in listed
    assert secret not in listed
    assert run("create", "--missing", "--out", "new.csv").exit_code == 0
    assert stat.S_IMODE((tmp_path / "new.csv").stat().st_mode) == 0o600
    assert (tmp_path / "new.csv").read_text().startswith("hub,")
    refused = run("rotate", "gw-1", "--out", "new.csv")
    assert (refused.exit_code, "nothing was changed" in refused.stderr) == (1, True)
    wrong = run("create", "nobody")
    assert (wrong.exit_code, "no device of the node nobody" in wrong.stderr) == (1, True)
    (tmp_path / "pid").write_text("1\n")
    assert "does not name a running mosquitto" in run("revoke", "gw-1", "--pid-file", "pid").stderr
