"""The doctor says of each message what was understood, what not, why, and what helps."""

from __future__ import annotations

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from hub.ingest.clocks import behind, policy_of
from hub.ingest.codecs.context import CodecContext
from hub.ingest.router import Router, Source
from hub.ingest.screen import Limits
from hub.model.readings import Envelope
from hub.onboarding.examine import ORDER, Examiner, Finding
from hub.registry.loader import load
from hub.registry.snapshot import Registry
from tests.support.registry_files import write_small

AT = 1_767_225_600_000
SOURCES = [Source(codec="native-v1", root="sc/v1"), Source(codec="zigbee2mqtt", root="zigbee2mqtt")]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return load(write_small(tmp_path_factory.mktemp("registry")))


def examine(registry: Registry, topic: str, payload: str | bytes, *more: bytes) -> Finding:
    examiner = Examiner(Router(SOURCES, CodecContext(zone="Asia/Shanghai")), registry, Limits())
    for earlier in more:
        examiner.examine(Envelope(topic, earlier, AT))
    return examiner.examine(Envelope(topic, payload if isinstance(payload, bytes) else payload.encode(), AT))


def test_a_good_message_says_what_was_understood(registry: Registry) -> None:
    found = examine(
        registry, "sc/v1/demo/gw-1/smoke-1/tele", f'{{"v":1,"ts":{AT},"m":{{"battery_pct":97.5,"tamper":false}}}}'
    )
    assert (found.state, found.devices, found.says) == ("understood", ("smoke-1",), "battery_pct=97.5 tamper=False")
    assert (found.why, found.remedy) == ((), "")


def test_an_unknown_device_is_told_with_the_command_that_claims_it(registry: Registry) -> None:
    found = examine(registry, "zigbee2mqtt/Kitchen", '{"smoke":true}')
    assert (found.state, found.says) == ("unknown device", "smoke=True event alarm smoke")
    assert found.remedy == "gridhub devices claim 'zigbee2mqtt:zigbee2mqtt/Kitchen' --place CODE"


def test_what_is_malformed_is_told_with_field_and_reason(registry: Registry) -> None:
    found = examine(registry, "sc/v1/demo/gw-1/smoke-1/tele", '{"v":1,"m":')
    assert (found.state, found.codec) == ("rejected", "native-v1")
    assert found.why[0]


def test_what_no_rule_knows_is_named(registry: Registry) -> None:
    found = examine(
        registry, "sc/v1/demo/gw-1/smoke-1/tele", f'{{"v":1,"ts":{AT},"m":{{"wobble":3.0,"battery_pct":1.0}}}}'
    )
    assert found.state == "partly"
    assert any("no rule knows wobble" in why for why in found.why)


def test_a_topic_without_a_source_is_told_with_the_line_that_opens_it(registry: Registry) -> None:
    found = examine(registry, "sensors/dev1/data", '{"temperature":21.5}')
    assert (found.state, found.remedy) == ("no source", "in hub.yaml, sources: {codec: generic-json, root: sensors}")
    assert examine(registry, "noise/x", b"\xff").remedy == "no dialect reads it yet"


def test_a_clock_that_is_off_is_told_with_what_the_hub_does(registry: Registry) -> None:
    def message(lag_s: int) -> bytes:
        return b'{"v":1,"ts":%d,"m":{"battery_pct":1.0}}' % (AT - lag_s * 1_000)

    topic = "sc/v1/demo/gw-1/smoke-1/tele"
    assert "clock 2 h behind: late" in examine(registry, topic, message(7_200)).why[0]
    again = examine(registry, topic, message(7_205), message(7_200))
    assert "its clock is wrong" in again.why[0]
    assert examine(registry, topic, message(10)).why == ()


@pytest.mark.parametrize(
    ("lag_s", "policy"),
    [(None, "none"), (0, "good"), (299, "good"), (301, "late"), (-301, "ahead"), (8 * 86_400, "wrong")],
)
def test_the_policy_of_clocks_is_that_of_the_screen(lag_s: int | None, policy: str) -> None:
    assert policy_of(None if lag_s is None else lag_s * 1_000, Limits()) == policy


def test_lags_are_said_in_words() -> None:
    assert [behind(s * 1_000) for s in (90, -150, 7_200, 3 * 86_400)] == [
        "90 s behind",
        "2 min ahead",
        "2 h behind",
        "3 d behind",
    ]


@settings(max_examples=40, deadline=None, phases=[Phase.generate])
@given(
    topic=st.sampled_from(["sc/v1/demo/gw-1/smoke-1/tele", "zigbee2mqtt/a/b", "$hub/x", "x", ""])
    | st.text(max_size=30),
    payload=st.binary(max_size=60) | st.sampled_from([b"null", b"[]", b"{}", b'{"v":1,"m":{"smoke":2}}']),
)
def test_no_message_makes_the_doctor_stumble(registry: Registry, topic: str, payload: bytes) -> None:
    assert examine(registry, topic, payload).state in ORDER
