"""The AsyncAPI document is of the code: every channel of the grammar, every field of the codec's structs, examples that the codec takes."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from fastapi.testclient import TestClient

from hub.clock import SteppedClock
from hub.ingest.asyncapi import contract, document
from hub.ingest.codecs import native
from hub.ingest.codecs.native import NativeCodec
from hub.ingest.topics import CHANNELS, matches
from hub.model.quantities import OWN, QUANTITIES
from hub.model.readings import Decoded, QuarantineRow
from hub.onboarding.rejections import answer
from tests.support.served import hub_at

NOW = 1_704_067_201_000
DOCUMENT = document()
every_example = pytest.mark.parametrize(
    ("channel", "example"),
    [(name, example) for name, row in contract().items() for example in row.examples],
    ids=lambda value: value if isinstance(value, str) else "",
)


def refusals(channel: str, body: Any) -> list[str]:
    schema = {"$ref": f"#/components/schemas/{channel}", "components": DOCUMENT["components"]}
    return [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(body)]


def decoded(channel: str, body: Any) -> Any:
    topic = f"sc/v1/site/gw-1/dev-1/{channel}"
    return NativeCodec().decode(topic, json.dumps(body).encode(), received_at_ms=NOW, retained=False)


def test_every_channel_of_the_grammar_is_described_and_nothing_else():
    assert tuple(DOCUMENT["channels"]) == CHANNELS or set(DOCUMENT["channels"]) == set(CHANNELS)
    for name, channel in DOCUMENT["channels"].items():
        assert channel["address"] == f"sc/v1/{{site}}/{{node}}/{{device}}/{name}"


def test_what_the_hub_receives_is_what_it_subscribes_to():
    heard = {
        n
        for n, c in DOCUMENT["channels"].items()
        if any(matches(f.topic, c["address"]) for f in native.filters("sc/v1"))
    }
    received = {
        o["channel"]["$ref"].rpartition("/")[2] for o in DOCUMENT["operations"].values() if o["action"] == "receive"
    }
    assert heard == received | {"cmd"}, "commands are sent by the hub or others, and read along"


@pytest.mark.parametrize(
    ("channel", "struct"), [("tele", native._Levels), ("state", native._Levels), ("event", native._Alarm)]
)
def test_the_fields_are_those_of_the_codec(channel, struct):
    schema = DOCUMENT["components"]["schemas"][channel]
    assert set(schema["properties"]) == set(struct.__struct_fields__)
    optional = len(struct.__struct_defaults__)
    assert schema["required"] == list(struct.__struct_fields__[: len(struct.__struct_fields__) - optional])


def test_every_quantity_that_a_device_may_claim_is_a_metric():
    assert set(DOCUMENT["components"]["schemas"]["metrics"]["properties"]) == set(QUANTITIES) - OWN


@every_example
def test_an_example_is_valid_and_the_codec_takes_it_without_a_word(channel, example):
    assert refusals(channel, example) == []
    found = decoded(channel, example)
    assert isinstance(found, tuple), found
    assert all(isinstance(one, Decoded) and not one.warnings for one in found), found


@pytest.mark.parametrize(
    ("channel", "body"),
    [("tele", {}), ("tele", {"m": []}), ("online", {}), ("event", {"id": "a"}), ("batch", {"hist": True})],
)
def test_what_the_codec_rejects_is_not_valid_either(channel, body):
    assert not isinstance(decoded(channel, body), tuple)
    assert refusals(channel, body)


def test_the_hubs_own_answer_to_a_rejected_message_is_as_described():
    row = QuarantineRow(first_at_ms=NOW, last_at_ms=NOW, position=1, codec="native-v1", reason="malformed JSON", detail="no JSON", topic="sc/v1/s/gw/d/tele", payload=b'{"seq":7}')  # fmt: skip
    said = answer(row, "sc/v1", "m")
    assert said is not None
    assert refusals("reject", json.loads(said[1]) | {"ts": NOW, "count": 1}) == []


def test_every_reference_leads_somewhere():
    def walk(part: Any) -> None:
        if isinstance(part, dict):
            if isinstance(part.get("$ref"), str):
                target: Any = DOCUMENT
                for key in part["$ref"].removeprefix("#/").split("/"):
                    target = target[key]
            for one in part.values():
                walk(one)
        elif isinstance(part, list):
            for one in part:
                walk(one)

    walk(DOCUMENT)


def test_it_is_served_to_anybody(tmp_path):
    with hub_at(tmp_path, SteppedClock(NOW)) as hub:
        answer = TestClient(hub.app).get("/asyncapi.json")
    assert answer.status_code == 200
    assert answer.json() == DOCUMENT
