"""The JSON Schemas that editors use: drawn from the code, true of every shipped file, and no friend of nonsense."""

from __future__ import annotations

import copy
import json
import os
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from hub import documents
from hub.cli import schemas
from hub.errors import ConfigError
from hub.json_schema import of_model, written
from hub.rules.kinds import KINDS
from hub.rules.ruleset import rules_of
from hub.rules.schema import rules_schema
from tests.support.paths import CONFIG

FOLDER = CONFIG / "schema"
SHIPPED = {
    **dict.fromkeys(sorted((CONFIG / "rules").glob("*.yaml")), "rules"),
    **dict.fromkeys(sorted((CONFIG / "rules" / "scenes").glob("*.yaml")), "scene"),
    CONFIG / "hub.yaml": "hub",
    CONFIG / "escalation.yaml": "escalation",
    CONFIG / "actions.yaml": "actions",
    CONFIG / "calendar.example.yaml": "calendar",
    CONFIG / "registry" / "places.yaml": "places",
    CONFIG / "registry" / "people.yaml": "people",
    CONFIG / "registry" / "stations.yaml": "stations",
}
PROFILES = sorted((CONFIG.parent / "devices" / "profiles").glob("*.yaml"))
every_file = pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(CONFIG)))
RULE = """
rules:
  - id: cabinet-hot
    kind: threshold
    name: {zh: 柜内高温, en: Cabinet hot}
    on: {device_kind: charging_cabinet, quantity: temperature_c}
    when: {above: 55, hold_s: 60}
    severity: P2
    cause: {zh: 热, en: Heat}
    consequence: {zh: 火, en: Fire}
    action: {zh: 看, en: Look}
    respond_within_s: 300
    responder: property
    source: chosen here
    certainty: C
"""


def data_of(path: Path) -> Any:
    document, complaints = documents.read(path)
    assert complaints == []
    assert document is not None
    return document.data


def wrong(name: str, data: Any) -> list[str]:
    schema = json.loads((FOLDER / f"{name}.schema.json").read_text("utf-8"))
    return [f"{list(e.absolute_path)}: {e.message}" for e in jsonschema.Draft7Validator(schema).iter_errors(data)]


def test_the_committed_schemas_are_those_of_the_code() -> None:
    drawn = schemas.schemas()
    assert sorted(p.name for p in FOLDER.iterdir()) == sorted(drawn)
    for name, schema in drawn.items():
        jsonschema.Draft7Validator.check_schema(schema)
        assert (FOLDER / name).read_text("utf-8") == written(schema), "run: gridhub rules schema --out config/schema"


@every_file
def test_every_shipped_file_is_what_its_schema_says(path: Path) -> None:
    assert wrong(SHIPPED[path], data_of(path)) == []


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_every_shipped_profile_is_what_its_schema_says(path: Path) -> None:
    assert wrong("profile", data_of(path)) == []
    assert path.read_text("utf-8").startswith(
        "# yaml-language-server: $schema=../../config/schema/profile.schema.json\n"
    )


@every_file
def test_every_shipped_file_tells_editors_in_its_first_line_where_its_schema_is(path: Path) -> None:
    first = path.read_text("utf-8").splitlines()[0]
    found = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert found is not None, f"begin with: # yaml-language-server: $schema={os.path.relpath(FOLDER, path.parent)}/…"
    assert (path.parent / found[1]).resolve() == FOLDER / f"{SHIPPED[path]}.schema.json"


def test_every_yaml_file_of_the_example_has_a_schema() -> None:
    assert set(CONFIG.rglob("*.yaml")) == set(SHIPPED)


def edited(path: list[Any], value: Any) -> Any:
    """The example with `value` at `path`; ... takes the key away."""
    document, _ = documents.parse(RULE, "x.yaml")
    assert document is not None
    data = copy.deepcopy(document.data)
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return data


def refused_by_the_hub(data: Any) -> bool:
    document, _ = documents.parse(json.dumps(data), "x.yaml")
    assert document is not None
    try:
        rules_of([document])
    except ConfigError:
        return True
    return False


KEYS = ["id", "kind", "name", "on", "severity", "cause", "consequence", "action", "responder", "source", "certainty"]
NONSENSE: list[tuple[list[Any], Any]] = [
    *((["rules", 0, key], ...) for key in [*KEYS, "respond_within_s"]),
    (["rules"], ...),
    (["rules"], {}),
    (["rulez"], []),
    (["rules", 0, "colour"], "red"),
    (["rules", 0, "id"], "Cabinet Hot"),
    (["rules", 0, "kind"], "treshold"),
    (["rules", 0, "severity"], "P0"),
    (["rules", 0, "severity"], "high"),
    (["rules", 0, "responder"], "somebody"),
    (["rules", 0, "respond_within_s"], 0),
    (["rules", 0, "name", "zh"], ...),
    (["rules", 0, "name", "de"], "heiß"),
    (["rules", 0, "action"], "look"),
    (["rules", 0, "source"], ""),
    (["rules", 0, "on", "device_kind"], "toaster"),
    (["rules", 0, "on", "device_kind"], ["smoke_alarm", "toaster"]),
    (["rules", 0, "on", "quantity"], "temperature_f"),
    (["rules", 0, "on", "quantity"], ...),
    (["rules", 0, "on", "colour"], "red"),
    (["rules", 0, "when", "abov"], 55),
    (["rules", 0, "when", "above"], "hot"),
    (["rules", 0, "when", "hold_s"], -1),
    (["rules", 0, "when", "silent_s"], 60),
    (["rules", 0, "overrides"], [{"scope": {}, "why": "x"}]),
    (["rules", 0, "overrides"], [{"scope": {"device": "a"}}]),
    (["rules", 0, "overrides"], [{"scope": {"device": "a"}, "when": {"abov": 1}, "why": "x"}]),
    (["rules", 0, "inhibited_by"], ["gateway-offline"]),
    (["rules", 0, "inhibited_by"], [{"rule": "cabinet-hot", "where": "moon"}]),
]


@pytest.mark.parametrize(
    ("path", "value"), NONSENSE, ids=lambda x: "-".join(map(str, x)) if isinstance(x, list) else str(x)
)
def test_nonsense_is_refused_by_the_schema_as_by_the_hub(path: list[Any], value: Any) -> None:
    data = edited(path, value)
    assert wrong("rules", data) != []
    assert refused_by_the_hub(data)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["rules", 0, "when"], {"above": 55}),
        (["rules", 0, "on", "device_kind"], "*"),
        (["rules", 0, "on", "device_kind"], ["charging_cabinet", "env"]),
        (["rules", 0, "on", "place"], ["b1", "b2"]),
        (["rules", 0, "enabled"], False),
        (["rules", 0, "overrides"], [{"scope": {"device": "a"}, "when": {"above": 60}, "severity": "P3", "why": "x"}]),
    ],
)
def test_what_makes_sense_is_taken_by_the_schema_as_by_the_hub(path: list[Any], value: Any) -> None:
    data = edited(path, value)
    assert wrong("rules", data) == []
    assert not refused_by_the_hub(data)


def test_a_fire_can_never_be_inhibited_nor_an_oddity_be_urgent() -> None:
    inhibited = edited(["rules", 0, "inhibited_by"], [{"rule": "cabinet-hot"}])
    assert wrong("rules", inhibited) == []
    inhibited["rules"][0]["severity"] = "P1"
    assert wrong("rules", inhibited) != []
    for kind in (kind for kind in KINDS.values() if kind.advisory):
        data = edited(["rules", 0, "kind"], kind.name)
        assert any("'P4' was expected" in complaint for complaint in wrong("rules", data)), kind.name


def test_when_is_completed_by_the_keys_of_the_kind_and_no_others() -> None:
    schema = rules_schema()
    shapes = {
        case["if"]["properties"]["kind"]["const"]: case["then"] for case in schema["definitions"]["rule"]["allOf"][:-1]
    }
    assert set(shapes) == set(KINDS)
    for name, then in shapes.items():
        shape = schema["definitions"][then["properties"]["when"]["$ref"].rpartition("/")[2]]
        keys = {field.alias or key for key, field in KINDS[name].When.model_fields.items()}
        assert set(shape["properties"]) == keys, name
        assert shape["additionalProperties"] is False
        assert shape["description"]
        partial = schema["definitions"][f"when-{name}-override"]
        assert set(partial["properties"]) == keys
        assert "required" not in partial


def test_every_key_of_a_rule_says_what_it_is_for() -> None:
    schema = rules_schema()
    mute = [key for key, value in schema["definitions"]["rule"]["properties"].items() if not value.get("description")]
    assert mute == [], "say it in hub/rules/schema.py"


def test_times_of_day_are_written_as_people_write_them() -> None:
    policy = data_of(CONFIG / "escalation.yaml")
    for good, bad in (("20:00", 1200), ("7:05", "7 pm"), ("23:59", "24:30")):
        assert wrong("escalation", {**policy, "night": {"start": good}}) == []
        assert wrong("escalation", {**policy, "night": {"start": bad}}) != []


def test_misspelt_keys_of_the_other_files_are_refused() -> None:
    hub = data_of(CONFIG / "hub.yaml")
    for path, value in (
        (["mqtt", "prot"], 1883),
        (["sources", 0, "codec"], "zigbee2mqt"),
        (["channels", "fax"], {}),
        (["channels", "webhook", "endpoint"], {}),
        (["folder"], "/etc"),
    ):
        data = copy.deepcopy(hub)
        inner = data
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
        assert wrong("hub", data) != [], path
    assert wrong("places", {"places": [{"code": "a", "level": "village", "name": {"zh": "a", "en": "a"}}]}) != []
    assert wrong("stations", {"stations": [{"id": "s"}]}) != []
    assert wrong("people", {"persons": []}) != []


def test_two_parts_with_the_same_name_are_not_mixed_up() -> None:
    class One(documents.Strict):
        a: int

    class Other(documents.Strict):
        b: int

    definitions: dict[str, Any] = {}
    of_model(One, definitions, name="x")
    of_model(One, definitions, name="x")
    with pytest.raises(ValueError, match="two parts"):
        of_model(Other, definitions, name="x")


def test_writing_leaves_alone_what_is_right_already(tmp_path: Path) -> None:
    files = schemas.write(tmp_path / "new")
    times = [file.stat().st_mtime_ns for file in files]
    files[0].write_text("{}")
    assert schemas.write(tmp_path / "new") == files
    assert [file.stat().st_mtime_ns for file in files[1:]] == times[1:]
    assert json.loads(files[0].read_text("utf-8"))["$schema"].endswith("draft-07/schema#")
