"""The simulators' publisher against a real mosquitto."""

from __future__ import annotations

import socket
import subprocess
import threading
import time

import pytest

from devices.simulators.publisher import BrokerAway, BrokerRefused, Interrupted, Link, Message, Publisher
from tests.support.mosquitto import Mosquitto, free_port, running_mosquitto
from tests.support.pace import patient

pytestmark = pytest.mark.needs_mosquitto


def a_link(broker: Mosquitto, protocol: int = 5, **more) -> Link:
    return Link(host=broker.host, port=broker.port, protocol=protocol, **more)


def subscriber(broker: Mosquitto, *more: str) -> subprocess.Popen[str]:
    command = ["mosquitto_sub", "-h", broker.host, "-p", str(broker.port), "-t", "#", "-q", "1", *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    time.sleep(0.3)
    return process


def messages(n: int, *, qos: int = 1, node: str = "") -> list[Message]:
    return [Message(f"a/{i}", b"%d" % i, qos, False, node) for i in range(n)]


@pytest.mark.parametrize("protocol", [5, 311])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_everything_published_arrives_once_and_is_counted(protocol, qos):
    with running_mosquitto() as broker, Publisher(a_link(broker, protocol), window=50) as publisher:
        heard = subscriber(broker, "-C", "500", "-W", "20")
        publisher.publish_all(messages(500, qos=qos))
        publisher.flush()
        assert (publisher.counts.published, publisher.counts.acked, publisher.in_flight) == (500, 500, 0)
        said = heard.communicate(timeout=25)[0].split()
        assert sorted(map(int, said)) == list(range(500))


def test_a_message_costs_less_than_a_five_thousandth_of_a_second():
    # Measured in CPU time, so that a busy machine does not fail it.
    with running_mosquitto() as broker, Publisher(a_link(broker)) as publisher:
        publisher.open()
        began = time.thread_time()
        publisher.publish_all(messages(10_000))
        publisher.flush()
        assert (time.thread_time() - began) / 10_000 < 200e-6


def test_a_broker_that_is_not_there_is_named_with_its_address():
    port = free_port()
    publisher = Publisher(Link(port=port))
    with pytest.raises(BrokerAway, match=f"127.0.0.1:{port}.*refused.*running"):
        publisher.open()


def test_a_server_that_is_no_broker_is_not_waited_for_forever():
    with socket.create_server(("127.0.0.1", 0)) as server:
        publisher = Publisher(Link(port=server.getsockname()[1], connect_timeout_s=0.5))
        with pytest.raises(BrokerAway, match="did not answer the CONNECT"):
            publisher.open()


@pytest.mark.parametrize("protocol", [5, 311])
def test_wrong_credentials_are_refused_and_not_tried_again(protocol):
    with running_mosquitto(users={"node": "right"}) as broker:
        publisher = Publisher(a_link(broker, protocol, username="node", password="wrong"))
        with pytest.raises(BrokerRefused, match=r"[Nn]ot authori[sz]ed"):
            publisher.open()
        assert "wrong" not in repr(publisher.link)
        with Publisher(a_link(broker, protocol, username="node", password="right")) as welcome:
            welcome.open()
            assert welcome.connected == 1


def test_a_will_is_said_when_the_line_is_cut_and_not_after_a_goodbye():
    will = Message("will/of/node", b"gone", 1, True)
    with running_mosquitto() as broker:
        heard = subscriber(broker, "-W", "2", "-F", "%t")
        with Publisher(a_link(broker)) as publisher:
            publisher.open("polite", will=will._replace(topic="will/of/polite"))
            publisher.open("cut", will=will._replace(topic="will/of/cut"))
            publisher.drop("cut")
        assert heard.communicate(timeout=10)[0].split() == ["will/of/cut"]


@pytest.mark.parametrize("killed", [False, True])
def test_a_restarted_broker_gets_every_message(killed):
    with running_mosquitto(persistent=True) as broker, Publisher(a_link(broker), window=20) as publisher:
        publisher.publish_all(messages(200))
        restarting = threading.Thread(target=broker.restart, kwargs={"killed": killed, "away_s": 0.5})
        restarting.start()
        publisher.publish_all(messages(20_000))
        restarting.join()
        publisher.publish_all(messages(200))
        publisher.flush()
        assert publisher.counts.acked == publisher.counts.published == 20_400
        assert publisher.counts.reconnects == 1


def test_a_broker_that_stops_confirming_holds_the_publisher_back_and_is_reported():
    with running_mosquitto() as broker, Publisher(a_link(broker), window=100, patience_s=1.0) as publisher:
        publisher.open()
        broker.freeze()
        try:
            with pytest.raises(BrokerAway, match="does not confirm"):
                publisher.publish_all(messages(1_000))
            assert publisher.in_flight == 100
        finally:
            broker.thaw()
        publisher.flush()
        assert publisher.in_flight == 0


@pytest.mark.parametrize("qos", [1, 2])
def test_a_broker_that_takes_few_at_once_is_not_overrun(qos):
    with running_mosquitto(config="max_inflight_messages 20") as broker, Publisher(a_link(broker)) as publisher:
        most = 0
        for message in messages(1_000, qos=qos):
            publisher.publish(message)
            most = max(most, publisher.in_flight)
        publisher.flush()
        assert (publisher.counts.acked, publisher.counts.reconnects) == (1_000, 0)
        assert most <= 20


def test_a_broker_that_stays_away_is_reported_after_the_patience():
    with running_mosquitto() as broker, Publisher(a_link(broker), patience_s=0.7) as publisher:
        publisher.open()
        broker.kill()
        publisher.poll(0.2)
        with pytest.raises(BrokerAway, match="is away"):
            publisher.publish(Message("a", b""))


@pytest.mark.parametrize("waiting", ["room", "confirmations"])
def test_it_can_be_stopped_while_it_waits(waiting):
    stopped = threading.Event()
    with running_mosquitto() as broker, Publisher(a_link(broker), window=10, stop=stopped.is_set) as publisher:
        publisher.open()
        broker.freeze()
        publisher.publish_all(messages(10))
        threading.Timer(0.3, stopped.set).start()
        began = time.monotonic()
        with pytest.raises(Interrupted):
            publisher.publish(Message("a", b"")) if waiting == "room" else publisher.flush()
        assert time.monotonic() - began < patient(5)
        broker.thaw()


@pytest.mark.parametrize(
    ("address", "host", "port", "secure"),
    [
        ("broker", "broker", 1883, False),
        ("broker:2883", "broker", 2883, False),
        ("[::1]:2883", "::1", 2883, False),
        ("mqtt://broker", "broker", 1883, False),
        ("mqtts://broker", "broker", 8883, True),
    ],
)
def test_addresses_are_read(address, host, port, secure):
    link = Link.parse(address)
    assert (link.host, link.port, link.tls is not None) == (host, port, secure)


@pytest.mark.parametrize("address", ["", ":1883", "broker:mqtt", "broker:0", "broker:70000"])
def test_a_bad_address_is_refused_with_the_form_that_is_right(address):
    with pytest.raises(ValueError, match="HOST:PORT"):
        Link.parse(address)
