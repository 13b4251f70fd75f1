"""Credentials on a real mosquitto: node A can neither speak, nor hear, nor pass itself off as node B; and revoking works at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from hub.clock import now_ms
from hub.registry.loader import load
from hub.security.credentials import Credentials
from tests.support.mosquitto import Mosquitto
from tests.support.pace import patient
from tests.support.registry_files import DEVICES, write_small

pytestmark = pytest.mark.needs_mosquitto
A, B = "gw-1", "gw-2"
OF_A, OF_B = "sc/v1/demo/gw-1/smoke-1", "sc/v1/demo/gw-2/smoke-2"


class Node:
    """An MQTT 5 client that says what the broker answered."""

    def __init__(self, port: int, name: str, password: str, client_id: str = "") -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._up, self.refused, self.lost = threading.Event(), "", threading.Event()
        self._acks: dict[int, str] = {}
        self._subs: dict[int, bool] = {}
        self._said = threading.Condition()
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=paho.MQTTv5, reconnect_on_failure=False
        )
        self.client.username_pw_set(name, password)
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = lambda *_: self.lost.set()
        self.client.on_message = lambda c, u, m: self.heard.append((m.topic, m.payload))
        self.client.on_publish = lambda c, u, mid, reason, p: self._tell(self._acks, mid, str(reason))
        self.client.on_subscribe = lambda c, u, mid, reasons, p: self._tell(self._subs, mid, not reasons[0].is_failure)
        self.client.connect("127.0.0.1", port, 30)
        self.client.loop_start()
        assert self._up.wait(patient(5))

    def _on_connect(self, client: object, userdata: object, flags: object, reason: paho.ReasonCode, p: object) -> None:
        self.refused = str(reason) if reason.is_failure else ""
        self._up.set()

    def _tell(self, book: dict, mid: int, said: object) -> None:  # type: ignore[type-arg]
        with self._said:
            book[mid] = said
            self._said.notify_all()

    def _answer(self, book: dict, mid: int) -> object:  # type: ignore[type-arg]
        with self._said:
            assert self._said.wait_for(lambda: mid in book, patient(5))
            return book[mid]

    def may_say(self, topic: str, payload: str = "x", *, retain: bool = False) -> bool:
        """Whether the broker takes a message of this node on `topic` (MQTT 5 says so in its answer)."""
        mid = self.client.publish(topic, payload, qos=1, retain=retain).mid
        return self._answer(self._acks, mid) in ("Success", "No matching subscribers")

    def subscribe(self, topic: str) -> bool:
        mid = self.client.subscribe(topic, qos=1)[1]
        assert mid is not None
        return bool(self._answer(self._subs, mid))

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


class Site:
    def __init__(self, folder: Path) -> None:
        more = "gw-2,gateway,网关,Gateway 2,,440399001001002,native-v1:demo/gw-2/-;native-v1:demo/gw-2/smoke-2,,,30,mains,,,\n"
        registry = load(write_small(folder / "registry", devices=DEVICES + more))
        self.pid_file = folder / "mosquitto.pid"
        self.credentials = Credentials(folder / "mqtt", lambda: registry, now_ms, pid_file=self.pid_file)
        made = [*self.credentials.create([A, B]), *self.credentials.create(["hub-1"], "hub")]
        self.passwords = {one.name: one.password for one in made}
        config = (
            f"allow_anonymous false\npassword_file {folder}/mqtt/passwords\nacl_file {folder}/mqtt/acl\n"
            f"use_username_as_clientid true\npid_file {self.pid_file}\n"
        )
        self.broker = Mosquitto(folder, config=config).start()
        self.open: list[Node] = []

    def node(self, name: str, *, password: str = "", client_id: str = "") -> Node:
        found = Node(self.broker.port, name, password or self.passwords[name], client_id)
        self.open.append(found)
        return found

    def close(self) -> None:
        for node in self.open:
            node.close()
        self.broker.stop()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    found = Site(tmp_path_factory.mktemp("site"))
    yield found
    found.close()


def test_node_a_can_neither_publish_nor_read_as_node_b(site: Site) -> None:
    a, b, hub = site.node(A), site.node(B), site.node("hub-1")
    assert hub.subscribe("sc/v1/#")
    assert a.may_say(f"{OF_A}/event", "a fire")
    assert b.may_say(f"{OF_B}/state", "mine", retain=True)
    for topic in (
        f"{OF_B}/event",
        f"{OF_B}/state",
        f"{OF_B}/cmd",
        "sc/v1/east/gw-1/smoke-1/tele",
        "sc/v1/demo/gw-10/x/tele",
        "zigbee2mqtt/x",
        "x",
    ):
        assert not site.node(A).may_say(topic, "forged"), topic  # mosquitto 2.0.11 drops the connection after a refusal
    a = site.node(A)
    for topic in (
        "#",
        "sc/v1/#",
        f"{OF_B}/#",
        f"{OF_B}/cmd",
        f"{OF_B}/state",
        "sc/v1/demo/+/+/cmd",
        f"{OF_A}/tele",
        "$SYS/#",
    ):
        a.subscribe(topic)  # the broker may take a wide subscription; what counts is that nothing comes by it
    assert a.subscribe("sc/v1/demo/gw-1/+/cmd")
    assert a.subscribe("sc/v1/demo/gw-1/+/reject")
    for topic in (f"{OF_B}/cmd", f"{OF_B}/reject", f"{OF_A}/cmd", f"{OF_A}/reject"):
        assert hub.may_say(topic, topic)
    assert b.may_say(f"{OF_B}/tele", "of b")
    end = time.monotonic() + patient(3)
    while len(hub.heard) < 7 and time.monotonic() < end:
        time.sleep(0.01)
    assert {topic for topic, _ in a.heard} == {f"{OF_A}/cmd", f"{OF_A}/reject"}
    assert not [payload for _, payload in hub.heard if payload == b"forged"]
    assert (f"{OF_A}/event", b"a fire") in hub.heard


def test_a_wrong_password_and_the_name_of_another_are_refused(site: Site) -> None:
    assert site.node(A, password="guess").refused
    assert site.node(B, password=site.passwords[A]).refused


def test_a_borrowed_client_id_does_not_throw_the_other_out(site: Site) -> None:
    victim = site.node(B)
    thief = site.node(A, client_id=B)
    assert not thief.refused
    assert victim.may_say(f"{OF_B}/tele")
    assert not victim.lost.is_set()


def test_a_rotated_password_ends_the_old_one_and_a_revoked_node_is_out_once_the_broker_was_told(site: Site) -> None:
    before = site.node(A)
    (new,) = site.credentials.rotate([A])
    assert site.credentials.tell_broker() == ""
    assert _until(lambda: bool(site.node(A).refused))
    assert not site.node(A, password=new.password).refused
    site.credentials.revoke([A])
    assert site.credentials.tell_broker() == ""
    assert _until(lambda: bool(site.node(A, password=new.password).refused))
    assert before.lost.wait(patient(3)), "who was connected is put out"
    assert not site.node(B).refused
    assert not site.node("hub-1").refused


def _until(holds: object) -> bool:
    end = time.monotonic() + patient(3)
    while not holds():  # type: ignore[operator]
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
