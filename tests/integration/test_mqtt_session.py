"""The MQTT session on a real mosquitto: nothing unacknowledged is lost, and every trouble is said in words."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hub.ingest.mqtt import Broker, PahoSession
from tests.support.ear import Ear, until
from tests.support.mosquitto import Mosquitto, free_port, running_mosquitto
from tests.support.pace import patient

pytestmark = pytest.mark.needs_mosquitto
VERSIONS = pytest.mark.parametrize("version", [5, 311])
DYNAMIC_SECURITY = "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so"


@contextmanager
def troubled(port: int, **broker: Any) -> Iterator[Ear]:
    """A session that does not get through."""
    ear = Ear(port, **broker)
    ear.session.start()
    try:
        yield ear
    finally:
        ear.session.stop()


def say(broker: Mosquitto, *payloads: str, topic: str = "a/b", more: tuple[str, ...] = ("-q", "1")) -> None:
    text = "".join(f"{payload}\n" for payload in payloads)
    command = ["mosquitto_pub", "-h", broker.host, "-p", str(broker.port), "-t", topic, "-l", *more]
    subprocess.run(command, input=text, text=True, check=True, timeout=10)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with running_mosquitto(tmp_path, persistent=True) as one:
        yield one


# -- nothing is lost ------------------------------------------------------------------------------------------------------


@VERSIONS
def test_a_message_comes_with_its_bytes_and_a_receipt(broker: Mosquitto, version: int) -> None:
    say(broker, "old", topic="a/温度 1", more=("-q", "1", "-r"))
    with Ear(broker.port, version=version) as ear:
        say(broker, "x", more=("-q", "0"))
        say(broker, "y", more=("-q", "1"))
        ear.waits_for("old", "x", "y")
    assert [(e.topic, e.retained) for e in ear.heard] == [("a/温度 1", True), ("a/b", False), ("a/b", False)]
    assert [r and (r.lane, r.connection, r.qos) for r in (e.receipt for e in ear.heard)] == [
        ("main", 1, 1),
        None,
        ("main", 1, 1),
    ]
    assert all(abs(e.received_at_ms - time.time() * 1_000) < 60_000 for e in ear.heard)


@VERSIONS
def test_what_comes_while_the_hub_is_stopped_is_there_when_it_is_back(broker: Mosquitto, version: int) -> None:
    with Ear(broker.port, version=version):
        pass
    say(broker, "1", "2", "3")
    with Ear(broker.port, version=version) as ear:
        ear.waits_for("1", "2", "3")


@VERSIONS
def test_what_was_not_acknowledged_comes_again_after_a_stop_and_what_was_does_not(
    broker: Mosquitto, version: int
) -> None:
    with Ear(broker.port, version=version, ack=False) as first:
        say(broker, "1", "2", "3")
        first.waits_for("1", "2", "3")
        first.session.ack(first.receipts()[0])
        time.sleep(0.1)
    with Ear(broker.port, version=version) as second:
        second.waits_for("2", "3")
    with Ear(broker.port, version=version) as third:
        say(broker, "4")
        third.waits_for("4")


@VERSIONS
def test_a_receipt_of_an_older_connection_acknowledges_nothing(broker: Mosquitto, version: int) -> None:
    """After a reconnect the same packet ids stand for other messages."""
    with Ear(broker.port, version=version, ack=False) as ear:
        say(broker, "1", "2")
        old = ear.waits_for("1", "2").receipts()
        broker.restart()
        again = ear.waits_for("1", "2", "1", "2").receipts()[2:]
        assert {r.connection for r in old} == {1}
        assert {r.connection for r in again} == {2}
        for receipt in old:
            ear.session.ack(receipt)
        time.sleep(0.1)
        broker.restart()
        ear.waits_for("1", "2", "1", "2", "1", "2")
        for receipt in ear.receipts()[4:]:
            ear.session.ack(receipt)
        time.sleep(0.1)
        broker.restart()
        until(lambda: ear.session.connected)
        say(broker, "3")
        ear.waits_for("1", "2", "1", "2", "1", "2", "3")


@VERSIONS
def test_a_taker_that_fails_drops_the_connection_and_not_the_message(broker: Mosquitto, version: int) -> None:
    with Ear(broker.port, version=version) as ear:
        ear.fails = 1
        say(broker, "1")
        ear.waits_for("1")
        assert ear.receipts()[0].connection == 2
        until(lambda: ear.session.trouble == "")


def test_no_more_than_the_receive_maximum_is_in_flight(broker: Mosquitto) -> None:
    with Ear(broker.port, version=5, receive_maximum=20, ack=False) as ear:
        say(broker, *map(str, range(50)))
        until(lambda: len(ear.heard) >= 20)
        time.sleep(0.2)
        assert ear.payloads() == [str(n) for n in range(20)]
        for receipt in ear.receipts()[:10]:
            ear.session.ack(receipt)
        until(lambda: len(ear.heard) >= 30, "what was acknowledged makes room")
        assert ear.payloads() == [str(n) for n in range(len(ear.heard))]


def test_a_clean_session_leaves_nothing_at_the_broker(broker: Mosquitto) -> None:
    for version in (5, 311):
        with Ear(broker.port, version=version, persistent=False, client_id=f"c{version}") as ear:
            say(broker, "now")
            ear.waits_for("now")
            assert ear.receipts() == [], "QoS 0: nothing to acknowledge"
        say(broker, "later")
        with Ear(broker.port, version=version, persistent=False, client_id=f"c{version}") as ear:
            say(broker, "now")
            ear.waits_for("now")


def test_acknowledging_from_many_threads_at_once_acknowledges_each_once(broker: Mosquitto) -> None:
    with Ear(broker.port, ack=False) as ear:
        say(broker, *map(str, range(300)))
        until(lambda: len(ear.heard) == 300)
        receipts = ear.receipts()
        threads = [threading.Thread(target=lambda k=k: [ear.session.ack(r) for r in receipts[k::4]]) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        time.sleep(0.2)
    with Ear(broker.port) as again:
        say(broker, "end")
        again.waits_for("end")


# -- away and back ------------------------------------------------------------------------------------------------------


def test_it_comes_back_by_itself_when_the_broker_does(broker: Mosquitto) -> None:
    with Ear(broker.port) as ear:
        broker.stop()
        until(lambda: not ear.session.connected)
        assert ear.session.trouble
        assert ear.session.publish("x", b"y") is False
        time.sleep(0.6)
        assert f"127.0.0.1:{broker.port}" in ear.session.trouble
        broker.start()
        until(lambda: ear.session.connected)
        assert ear.session.trouble == ""
        say(broker, "1")
        ear.waits_for("1")


def test_a_broker_that_was_away_at_the_start_is_found_later(tmp_path: Path) -> None:
    port = free_port()
    with troubled(port) as ear:
        until(lambda: "cannot reach the broker" in ear.session.trouble, lambda: ear.session.trouble)
        with running_mosquitto(tmp_path, port=port) as late:
            until(lambda: ear.session.connected)
            time.sleep(0.05)
            say(late, "1")
            ear.waits_for("1")


def test_a_name_that_nobody_knows_is_said(tmp_path: Path) -> None:
    session = PahoSession(Broker(host="no-such-host.invalid", port=1883), "main", ["a"], lambda e: None)
    session.start()
    try:
        until(lambda: "no-such-host.invalid:1883" in session.trouble, lambda: session.trouble)
        assert not session.connected
    finally:
        session.stop()


def test_it_knocks_less_and_less_often(tmp_path: Path) -> None:
    """Two hundred hubs must not stampede a broker that is coming up."""
    knocks: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as door:
        door.settimeout(0.1)
        with troubled(door.getsockname()[1]) as ear:
            end = time.monotonic() + 3.0
            while time.monotonic() < end:
                try:
                    door.accept()[0].close()
                    knocks.append(time.monotonic())
                except TimeoutError:
                    pass
            assert not ear.session.connected
    assert 3 <= len(knocks) <= 7
    assert knocks[-1] - knocks[-2] > 1.5 * (knocks[1] - knocks[0])


def test_publishing_says_whether_the_broker_has_it(broker: Mosquitto) -> None:
    with Ear(broker.port, filters=()) as mouth, Ear(broker.port, client_id="other", filters=("x/#",)) as ear:
        assert mouth.session.publish("x/1", b"siren") is True
        ear.waits_for("siren")
        broker.freeze()
        began = time.monotonic()
        assert mouth.session.publish("x/1", b"late", timeout_s=0.3) is False
        assert time.monotonic() - began < patient(2)
        broker.thaw()


def test_stopping_is_quick_in_every_state(broker: Mosquitto) -> None:
    for port in (broker.port, free_port()):
        ear = Ear(port)
        ear.session.start()
        time.sleep(0.3)
        began = time.monotonic()
        ear.session.stop()
        assert time.monotonic() - began < patient(2)
    Ear(broker.port).session.stop()  # never started


def test_two_hubs_with_one_client_id_are_told_what_is_wrong(broker: Mosquitto) -> None:
    with Ear(broker.port) as first, troubled(broker.port) as second:
        until(lambda: "another client use the id 'gridhub'" in first.session.trouble + second.session.trouble)


# -- who may enter --------------------------------------------------------------------------------------------------------


@VERSIONS
def test_a_wrong_password_is_said_and_the_right_one_enters(tmp_path: Path, version: int) -> None:
    with running_mosquitto(tmp_path, users={"hub": "s3cret"}) as broker:
        with troubled(broker.port, version=version, username="hub", password="wrong") as ear:
            until(lambda: "refused the connection" in ear.session.trouble, lambda: ear.session.trouble)
            time.sleep(0.5)
            assert "refused the connection" in ear.session.trouble, "the reason stays to be read"
            assert "password" in ear.session.trouble
            assert "wrong" not in ear.session.trouble
            assert not ear.session.connected
        with troubled(broker.port, version=version) as ear:
            until(lambda: "refused the connection" in ear.session.trouble, lambda: ear.session.trouble)
        with Ear(broker.port, version=version, username="hub", password="s3cret") as ear:
            assert ear.session.trouble == ""


@VERSIONS
def test_a_refused_subscription_is_said_with_its_filter(tmp_path: Path, version: int) -> None:
    if not Path(DYNAMIC_SECURITY).exists():
        missing = "this mosquitto has no plug-in that refuses subscriptions"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    rights = {"publishClientSend": True, "publishClientReceive": True, "subscribe": False, "unsubscribe": True}
    access = [{"acltype": kind, "allow": allow} for kind, allow in rights.items()]
    (tmp_path / "rights.json").write_text(json.dumps({"defaultACLAccess": access, "clients": []}), "utf-8")
    plugin = f"plugin {DYNAMIC_SECURITY}\nplugin_opt_config_file {tmp_path / 'rights.json'}\n"
    with running_mosquitto(tmp_path, config=plugin) as broker, troubled(broker.port, version=version) as ear:
        until(lambda: "subscription" in ear.session.trouble, lambda: f"{ear.session.trouble!r}\n{broker.log()}")
        assert "a/#" in ear.session.trouble
        assert "ACL" in ear.session.trouble
        say(broker, "1")
        time.sleep(0.1)
        assert ear.heard == []


# -- TLS ----------------------------------------------------------------------------------------------------------------


class Authority:
    """A certificate authority of the test's own, made with openssl."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.ca, self._key = folder / f"{name}.pem", folder / f"{name}.key"
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
                      "-keyout", str(self._key), "-out", str(self.ca), "-subj", f"/CN={name}")  # fmt: skip

    def certificate(self, name: str, alternative: str) -> tuple[Path, Path]:
        """(certificate, key) for `alternative`, e.g. IP:127.0.0.1."""
        cert, key, request = (self.folder / f"{self.name}-{name}.{end}" for end in ("pem", "key", "csr"))
        extension = self.folder / "extension"
        extension.write_text(f"subjectAltName={alternative}\n")
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(key),
                      "-out", str(request), "-subj", f"/CN={name}")  # fmt: skip
        self._openssl("x509", "-req", "-in", str(request), "-CA", str(self.ca), "-CAkey", str(self._key), "-days", "1",
                      "-CAcreateserial", "-extfile", str(extension), "-out", str(cert))  # fmt: skip
        return cert, key

    def _openssl(self, *arguments: str) -> None:
        tool = shutil.which("openssl")
        assert tool is not None, "openssl is not installed: apt-get install openssl"
        subprocess.run([tool, *arguments], check=True, capture_output=True, cwd=self.folder)


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> tuple[Authority, Authority]:
    folder = tmp_path_factory.mktemp("tls")
    return Authority(folder, "ours"), Authority(folder, "theirs")


def over_tls(authority: Authority, alternative: str = "IP:127.0.0.1", more: str = "") -> str:
    cert, key = authority.certificate("broker", alternative)
    return f"cafile {authority.ca}\ncertfile {cert}\nkeyfile {key}\n{more}"


@VERSIONS
def test_over_tls_the_broker_is_known_by_its_authority(
    tmp_path: Path, authorities: tuple[Authority, Authority], version: int
) -> None:
    ours, theirs = authorities
    with running_mosquitto(tmp_path, config=over_tls(ours)) as broker:
        with Ear(broker.port, version=version, tls=True, ca=str(ours.ca)) as ear:
            assert ear.session.publish("a/b", b"1") is True
            ear.waits_for("1")
        for ca in (str(theirs.ca), ""):  # another authority; those of the system
            with troubled(broker.port, version=version, tls=True, ca=ca) as ear:
                until(lambda: "certificate" in ear.session.trouble.lower(), lambda: ear.session.trouble)
                assert not ear.session.connected
        with troubled(broker.port, version=version) as ear:  # no TLS at all
            time.sleep(0.5)
            assert not ear.session.connected
            assert ear.session.trouble


def test_a_certificate_of_another_name_is_refused(tmp_path: Path, authorities: tuple[Authority, Authority]) -> None:
    ours, _ = authorities
    with (
        running_mosquitto(tmp_path, config=over_tls(ours, "DNS:elsewhere.example")) as broker,
        troubled(broker.port, tls=True, ca=str(ours.ca)) as ear,
    ):
        until(lambda: "not valid for" in ear.session.trouble, lambda: ear.session.trouble)
        assert not ear.session.connected


def test_a_broker_that_asks_for_a_certificate_gets_ours(
    tmp_path: Path, authorities: tuple[Authority, Authority]
) -> None:
    ours, theirs = authorities
    asks = "require_certificate true\nuse_identity_as_username true\n"
    cert, key = map(str, ours.certificate("hub", "DNS:hub"))
    foreign, foreign_key = map(str, theirs.certificate("hub", "DNS:hub"))
    with running_mosquitto(tmp_path, config=over_tls(ours, more=asks)) as broker:
        with Ear(broker.port, tls=True, ca=str(ours.ca), cert=cert, key=key) as ear:
            assert ear.session.publish("a/b", b"1") is True
            ear.waits_for("1")
        for given in ({}, {"cert": foreign, "key": foreign_key}):
            with troubled(broker.port, tls=True, ca=str(ours.ca), **given) as ear:
                until(lambda: ear.session.trouble not in ("", "not connected yet"), lambda: ear.session.trouble)
                assert not ear.session.connected
