"""Everything that somebody can throw at a hub, and what it answers. Read the tables top to bottom; test_bad_input.py runs them.

In each row the hub stays up, and the next fire still reaches the phone.
"""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT

SHARED = ROOT.parent / "shared" / "fixtures" / "devices.jsonl"
GOLDEN = ROOT / "tests" / "golden" / "generic-json.jsonl"

# Devices that the tables speak of; test_bad_input.py puts them into the registry of its hub.
NATIVE, ZIGBEE, SENML = "sc/v1/demo/bad-gw/bad-env", "zigbee2mqtt/坏 烟感", "senml/bad-senml"
MOST = 64 * 1_024  # bytes of a rejected message that the quarantine keeps
SHOWN = 4 * 1_024  # bytes of it that the API shows


# == over MQTT ==========================================================================================================


@dataclass(frozen=True)
class Message:
    """A bad message. `reason` is what the quarantine says, "" = it leaves no row there. `where` names the row's topic."""

    name: str
    topic: str
    payload: bytes
    reason: str
    why: str = ""
    where: str = ""
    readings: dict[str, Any] = field(default_factory=dict)  # what `device` has as its latest values afterwards
    device: str = ""

    @property
    def shown_at(self) -> str:
        return (self.where or self.topic)[:500]


def _json(**body: Any) -> bytes:
    return json.dumps({"v": 1} | body, ensure_ascii=False).encode()


DEEP = b"[" * 100_000 + b"]" * 100_000
DEEP_OBJECTS = b'{"a":' * 20_000 + b"1" + b"}" * 20_000
MEBIBYTE = b'{"v":1,"m":{"power_w":' + b"1" * (1 << 20) + b"}}"

MESSAGES = [
    # -- nobody knows the sender
    Message("an unknown native device raises an alarm", "sc/v1/demo/nobody/ghost/event",
            _json(id="g1", type="alarm", alarm="smoke", active=True), "unknown device"),
    Message("an unknown Zigbee device", "zigbee2mqtt/nobody", b'{"smoke":true}', "unknown device"),
    Message("a known device of another site", "sc/v1/elsewhere/bad-gw/bad-env/tele", _json(m={"power_w": 1}), "unknown device"),
    Message("a topic without a device", "sensors", b"{}", "unknown topic"),
    Message("a topic in capitals", "sc/v1/DEMO/bad-gw/bad-env/tele", _json(m={}), "bad topic"),
    Message("a topic with markup", "sc/v1/demo/bad-gw/<img src=x onerror=alert(1)>/tele", _json(m={}), "bad topic"),
    Message("a topic of sixty thousand characters", f"sensors/{'x' * 60_000}/data", b'{"temperature":1}', "unknown device"),
    Message("a topic of odd characters", "sensors/\u202e火\U0001f525'; DROP TABLE alerts; --/data", b'{"temperature":1}', "unknown device"),
    # -- bytes that are no message
    *(Message(f"{what} on {dialect}", topic, payload, reason)
      for dialect, topic in (("native", f"{NATIVE}/tele"), ("Zigbee", ZIGBEE), ("SenML", SENML), ("plain JSON", "sensors/dev1/data"))
      for what, payload, reason in (
          ("a mebibyte", MEBIBYTE, "payload too large"),
          ("a hundred thousand brackets", DEEP, "nesting too deep"),
          ("twenty thousand objects in each other", DEEP_OBJECTS, "too many values"),
          ("bytes of no encoding", b'{"m":{"power_w":1}' + bytes(range(128, 256)) + b"}", "malformed JSON"),
      )),
    Message("a cut message", f"{NATIVE}/tele", _json(m={"power_w": 1})[:-2], "malformed JSON"),
    Message("a cut alarm", f"{NATIVE}/event", _json(id="c", type="alarm", alarm="smoke", active=True)[:-4], "malformed JSON"),
    Message("a password", f"{NATIVE}/tele", b"hunter2", "malformed JSON"),
    Message("an image", f"{NATIVE}/tele", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", "malformed JSON"),
    Message("NUL bytes", f"{NATIVE}/state", b"\0" * 100, "malformed JSON"),
    Message("three thousand keys", f"{NATIVE}/tele", _json(m={f"k{n}": n for n in range(3_000)}), "too many keys"),
    Message("a number of five thousand digits", f"{NATIVE}/tele", b'{"m":{"power_w":%s}}' % (b"9" * 5_000), "integer too long"),
    Message("nothing at all", f"{NATIVE}/state", b"", "", "a cleared topic"),
    Message("white space", f"{NATIVE}/state", b" \n\t ", "", "a cleared topic"),
    # -- JSON that is no message
    *(Message(f"{payload!r} as values", f"{NATIVE}/tele", payload, reason) for payload, reason in (
        (b"null", "not an object"), (b"true", "not an object"), (b"[]", "not an object"), (b'"x"', "not an object"),
        (b"1e999", "not an object"), (b"{}", "missing field"), (b'{"m":null}', "missing field"),
        (b'{"m":[1]}', "bad field"), (b'{"m":"power_w"}', "bad field"))),
    Message("an event without a type", f"{NATIVE}/event", _json(id="x"), "missing field"),
    Message("an event whose type is a number", f"{NATIVE}/event", _json(id="x", type=5), "missing field"),
    Message("online says maybe", f"{NATIVE}/online", _json(online="perhaps"), "bad field"),
    Message("a batch that is none", f"{NATIVE}/batch", _json(r="x"), "missing field"),
    Message("SenML that is a number", SENML, b"5", "bad SenML"),
    # -- alarms that nobody can judge: shown to people, never silent
    Message("an alarm of unknown name", f"{NATIVE}/event", _json(id="u1", type="alarm", alarm="smok", active=True), "unknown alarm"),
    Message("an alarm with NUL in its name", f"{NATIVE}/event",
            _json(id="u2", type="alarm", alarm="smoke\0", active=True), "unknown alarm"),
    Message("smoke that is neither on nor off", ZIGBEE, b'{"smoke":"perhaps"}', "unclear alarm value: smoke"),
    # -- values that cannot be
    Message("a temperature of the sun", f"{NATIVE}/tele", _json(m={"temperature_c": 15_000_000}), "implausible temperature_c",
            where="native-v1:demo/bad-gw/bad-env"),
    Message("more than all of a battery", f"{NATIVE}/tele", _json(m={"battery_pct": -5.0}), "implausible battery_pct",
            where="native-v1:demo/bad-gw/bad-env"),
    # -- odd, but understood
    Message("NUL in a text", f"{NATIVE}/event", _json(id="n\0n", type="door\0bell", note="a\0b"), ""),
    Message("markup in a text", f"{NATIVE}/event", _json(id="<script>", type="<script>alert(1)</script>"), ""),
    Message("a sequence number beyond 64 bits", f"{NATIVE}/tele", b'{"v":1,"seq":%d,"m":{"power_w":31}}' % 10**30, "",
            device="bad-env", readings={"power_w": 31}),
    Message("a time of the year 3000", f"{NATIVE}/tele", _json(ts=32_503_680_000_000, m={"power_w": 32}), "",
            device="bad-env", readings={"power_w": 32}),
    Message("a time before 1970", f"{NATIVE}/tele", _json(ts=-5, m={"power_w": 33}), "", device="bad-env", readings={"power_w": 33}),
    Message("one good value among bad ones", f"{NATIVE}/tele",
            _json(m={"power_w": 34, "voltage_v": "high", "current_a": None, "flux": [1], "": 1, "x" * 5_000: 1}), "",
            device="bad-env", readings={"power_w": 34}),
    Message("another version of the contract", f"{NATIVE}/tele", b'{"v":99,"m":{"power_w":35}}', "",
            device="bad-env", readings={"power_w": 35}),
]  # fmt: skip

RETAINED = [
    # ghosts that the broker has kept since before the hub was started: none of them may alarm
    Message("a native state of yesterday", "sc/v1/demo/bad-gw/bad-smoke/state", b'{"v":1,"ts":%d,"m":{"smoke":true}}', ""),
    Message("native values without a time", "sc/v1/demo/bad-gw/bad-smoke/tele", _json(m={"smoke": True}), ""),
    Message("a Zigbee message without a time", ZIGBEE, b'{"smoke":true}', ""),
    Message("rubbish", f"{NATIVE}/state", b"{", "malformed JSON"),
]  # fmt: skip


def fixtures() -> list[Message]:
    """The 28 messages of no dialect, by what their lines expect. `dev1` is in the registry as an environment sensor."""
    source = SHARED if SHARED.exists() else GOLDEN
    lines = [json.loads(line) for line in source.read_text("utf-8").splitlines()]
    chosen = [line for line in lines if line["system"] == "generic-json"]
    if source is GOLDEN:  # our own lines go on beyond the 28
        chosen = [line for line in chosen if line["id"] in GENERIC]
    return [_of_line(line) for line in chosen]


GENERIC = {
    "gen-nan-literal": "", "gen-5000-digits": "integer too long", "gen-comma-decimal": "", "gen-unit-in-string": "",
    "gen-unavailable": "", "gen-none-python": "", "gen-json-null": "", "gen-empty-retained": "", "gen-latin1-degree": "",
    "gen-dup-keys": "", "gen-csv": "malformed JSON", "gen-deep": "nesting too deep", "gen-nul-in-string": "", "gen-html": "malformed JSON",
    "gen-ts-us": "", "gen-ts-ns": "", "gen-ts-float-s": "", "gen-ts-zero": "", "gen-ts-2000": "", "gen-ts-1970-local": "",
    "gen-ts-future": "", "gen-ts-local-space": "", "gen-ts-slash": "", "gen-ts-dst-gap": "", "gen-sentinel-127": "",
    "gen-ds18b20-85": "", "gen-smoke-2": "unclear alarm value: smoke", "gen-counter-reset": "",
}  # fmt: skip
"""The 28, and the reason in the quarantine; "" = they are understood as far as they can be."""


def _of_line(line: dict[str, Any]) -> Message:
    payload = base64.b64decode(line["payload_b64"]) if "payload_b64" in line else line["payload"].encode()
    return Message(line["id"], line["topic"], payload, GENERIC[line["id"]], line.get("source", ""))


# == over HTTP ==========================================================================================================


@dataclass(frozen=True)
class Request:
    """A bad request and its answer. `who` holds the token; `{mine}`, `{theirs}`, `{closed}` stand for ids of alerts."""

    name: str
    method: str
    path: str
    who: str
    status: int
    code: str
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


GET, POST = "GET", "POST"
NOBODY = "nobody"  # sends no token
READS = (
    "/alerts", "/alerts/{mine}", "/board", "/stream", "/devices", "/devices/hub", "/grids", "/stations", "/me", "/quarantine",
)  # fmt: skip
ACTS = ("acknowledge", "on-scene", "false-alarm", "reinforce", "close")

REQUESTS = [
    # -- who are you?
    *(Request(f"no token: {path}", GET, path, NOBODY, 401, "not-signed-in") for path in READS),
    *(Request(f"no token: {act}", POST, f"/alerts/{{mine}}/{act}", NOBODY, 401, "not-signed-in") for act in ACTS),
    *(Request(f"token {given[:20]!r}", GET, "/alerts", NOBODY, 401, "wrong-token", headers={"Authorization": given})
      for given in ("Bearer gh_wrong", "Bearer", "Bearer ", "gh_naked", "Basic YTpi", "Bearer ' OR 1=1 --",
                    "Bearer " + "x" * 8_000, "Bearer \u00ff\u00fe")),
    Request("a revoked token", GET, "/alerts", "revoked", 401, "wrong-token"),
    Request("an expired token", GET, "/alerts", "expired", 401, "wrong-token"),
    # -- may you?
    *(Request(f"{who} may not {act}", POST, f"/alerts/{{mine}}/{act}", who, 403, "wrong-role")
      for who in ("viewer", "machine") for act in ACTS),
    *(Request(f"{who} may not read the quarantine", GET, "/quarantine", who, 403, "wrong-role")
      for who in ("viewer", "grid_worker", "station", "machine")),
    Request("an alert of another grid", GET, "/alerts/{theirs}", "grid_worker", 404, "not-found"),
    *(Request(f"{act} in another grid", POST, f"/alerts/{{theirs}}/{act}", "grid_worker", 404, "not-found", b'{"reason":"x"}')
      for act in ACTS),
    Request("a device of another grid", GET, "/devices/{theirs_device}", "grid_worker", 404, "not-found"),
    # -- what do you mean?
    *(Request(f"filter {query[:40]}", GET, f"/alerts?{query}", "admin", 422, "bad-request") for query in (
        "severity=P9", "severity=", "live=perhaps", "state=burning", "limit=0", "limit=201", "limit=ten", "limit=-1", "limit=1e3",
        "since=yesterday", "since=-1", "since=99999999999999999", "since=2024-01-01", "until=1e400", "test=7",
        "text=%00", "text=%0a", f"text={'x' * 201}", "grid=%00", "device=%01", f"station={'x' * 1_000}")),
    *(Request(f"cursor {cursor[:30]!r}", GET, f"/alerts?before={cursor}", "admin", 422, "unknown-cursor")
      for cursor in ("x", "1", "..%2F..", "1704067200000.zz", "-1.a", "%F0%9F%94%A5", "a.b.c")),
    *(Request(f"device cursor {cursor}", GET, f"/devices?after={cursor}", "admin", 422, "bad-request")
      for cursor in ("-1", "x", "1e9", "99999999999")),
    Request("a stream from nowhere", GET, "/stream?since=never", "admin", 422, "bad-request"),
    Request("an outline of what", GET, "/grids?outlines=maybe", "admin", 422, "bad-request"),
    Request("an id that is none", GET, "/alerts/nothing-like-it", "admin", 404, "not-found"),
    Request("an id of odd characters", GET, "/alerts/a%20b%27", "admin", 422, "bad-request"),
    Request("a way up", GET, "/alerts/..%2F..%2Fetc%2Fpasswd", "admin", 404, "http-404"),
    Request("a device with a NUL", GET, "/devices/a%00b", "admin", 422, "bad-request"),
    Request("a device that is none", GET, "/devices/none", "admin", 404, "not-found"),
    Request("no such address", GET, "/nothing", "admin", 404, "http-404"),
    Request("no such act", POST, "/alerts/{mine}/explode", "admin", 422, "bad-request"),
    Request("an act by GET", GET, "/alerts/{mine}/acknowledge", "admin", 405, "http-405"),
    Request("DELETE an alert", "DELETE", "/alerts/{mine}", "admin", 405, "http-405"),
    *(Request(f"body {body[:24]!r}", POST, "/alerts/{mine}/false-alarm", "admin", 422, "bad-request", body) for body in (
        b"{", b"[]", b"null-", b"5", b'"x"', b'{"reason":5}', b'{"reason":null}', b'{"raeson":"x"}', b'{"reason":"a\\u0000b"}',
        b"\xff\xfe", b'{"reason":"' + b"x" * 501 + b'"}', b'{"reason":{"$ne":null}}')),
    Request("a body of ten thousand brackets", POST, "/alerts/{mine}/false-alarm", "admin", 400, "http-400", b"[" * 10_000),
    *(Request(f"a false alarm because of {body!r}", POST, "/alerts/{mine}/false-alarm", "admin", 422, "reason-missing", body)
      for body in (None, b"{}", b'{"reason":""}', b'{"reason":"  "}')),
    Request("a form instead of JSON", POST, "/alerts/{mine}/false-alarm", "admin", 422, "bad-request", b"reason=x",
            headers={"Content-Type": "application/x-www-form-urlencoded"}),
    Request("a body of 100 KiB", POST, "/alerts/{mine}/false-alarm", "admin", 413, "too-large", b"x" * 100 * 1_024),
    Request("a sign-in of 100 KiB", POST, "/session", NOBODY, 413, "too-large", b"x" * 100 * 1_024),
    Request("a sign-in without a token", POST, "/session", NOBODY, 422, "bad-request", b"{}"),
    Request("a sign-in with a wrong token", POST, "/session", NOBODY, 401, "wrong-token", b'{"token":"gh_wrong"}'),
    Request("a sign-in from another site", POST, "/session", NOBODY, 403, "csrf", b'{"token":"gh_wrong"}',
            headers={"Origin": "https://evil.example"}),
    # -- not now
    *(Request(f"{act} when it is over", POST, f"/alerts/{{closed}}/{act}", "admin", 409, "illegal-action", b'{"reason":"x"}')
      for act in ("acknowledge", "on-scene", "reinforce")),
]  # fmt: skip


# == in the operator's files ===============================================================================================


@dataclass(frozen=True)
class Mistake:
    """A configuration file that is wrong. The complaint names `file`, `line` (None: some line), `key`, and says `says`."""

    name: str
    file: str
    change: Callable[[str], str | bytes]
    line: int | None
    key: str
    says: str


def _instead(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text, f"{old!r} is not in the example any more"
        return text.replace(old, new, 1)

    return change


def _before(text: str) -> Callable[[str], str]:
    return lambda whole: text + whole


def _after(text: str) -> Callable[[str], str]:
    return lambda whole: whole.rstrip("\n") + "\n" + text


def _is(text: str | bytes) -> Callable[[str], str | bytes]:
    return lambda whole: text


WHOLE = 0  # the complaint is about the file as a whole
REGISTRY, RULES = "registry/", "rules/"
_PLACE = '  - {code: "999", level: %s, name: {zh: 甲, en: A}}\n'

MISTAKES = [
    # file by file: not to be parsed, unknown key, wrong type, wrong reference
    Mistake("hub.yaml cannot be parsed", "hub.yaml", _before("a: [\n"), None, "", "not valid YAML"),
    Mistake("hub.yaml has an unknown key", "hub.yaml", _before("sites: x\n"), 1, "sites", "did you mean 'site'"),
    Mistake("hub.yaml has a wrong type", "hub.yaml", _before("log_level: {a: 1}\n"), 1, "log_level", ""),
    Mistake("hub.yaml names an unknown codec", "hub.yaml", _instead("codec: senml", "codec: senlm"), None, "sources", "senml"),
    Mistake("hub.yaml names an unknown channel", "hub.yaml", _instead("  webhook:", "  webhok:"), None, "channels", "webhook"),
    Mistake("hub.yaml is no text", "hub.yaml", _is(b"\xff\xfe\x00\x01"), WHOLE, "", "UTF-8"),
    Mistake("escalation.yaml cannot be parsed", "escalation.yaml", _before("a: [\n"), None, "", "not valid YAML"),
    Mistake("escalation.yaml has an unknown key", "escalation.yaml", _before("severites: {}\n"), 1, "severites", "severities"),
    Mistake("escalation.yaml has a wrong type", "escalation.yaml", _instead("repeat_s: 60", "repeat_s: often"), None, "repeat_s", "often"),
    Mistake("escalation.yaml tells nobody known", "escalation.yaml", _instead("tell: [station, grid]", "tell: [statoin]"), None, "tell", "station"),
    Mistake("actions.yaml cannot be parsed", "actions.yaml", _before("a: [\n"), None, "", "not valid YAML"),
    Mistake("actions.yaml has an unknown key", "actions.yaml", _instead("live: true", "alive: true"), None, "alive", "live"),
    Mistake("actions.yaml has a wrong type", "actions.yaml", _instead("expires_s: 60", "expires_s: soon"), None, "expires_s", "soon"),
    Mistake("actions.yaml moves something to the unsafe side", "actions.yaml", _instead("gate_state: open", "gate_state: closed"), None, "gate_state", "open"),
    Mistake("calendar.yaml cannot be parsed", "calendar.yaml", _before("a: [\n"), None, "", "not valid YAML"),
    Mistake("calendar.yaml has an unknown key", "calendar.yaml", _before("holydays: []\n"), 1, "holydays", "holidays"),
    Mistake("calendar.yaml has no such day", "calendar.yaml", _instead("2026-10-07", "2026-10-32"), None, "", "2026-10-32"),
    Mistake("calendar.yaml has a day of rest on which people work", "calendar.yaml", _instead("2026-01-04", "2026-01-02"), None, "workdays", "holiday as well"),
    Mistake("a rule file cannot be parsed", RULES + "smoke.yaml", _before("a: [\n"), None, "", "not valid YAML"),
    Mistake("a rule has an unknown key", RULES + "smoke.yaml", _instead("latch: true", "lacth: true"), 10, "lacth", "latch"),
    Mistake("a rule has a wrong type", RULES + "smoke.yaml", _instead("respond_within_s: 60", "respond_within_s: soon"), None, "respond_within_s", "soon"),
    Mistake("a rule watches an unknown quantity", RULES + "smoke.yaml", _instead("quantity: smoke}", "quantity: smok}"), None, "quantity", "smoke"),
    Mistake("a rule has no reason", RULES + "smoke.yaml", _instead("    source: ", "    # source: "), None, "source", "missing"),
    Mistake("places.yaml cannot be parsed", REGISTRY + "places.yaml", _after("  - {code: [\n"), None, "", "not valid YAML"),
    Mistake("places.yaml has an unknown key", REGISTRY + "places.yaml", _after("  - {cod: x}\n"), None, "cod", "code"),
    Mistake("places.yaml has a wrong type", REGISTRY + "places.yaml", _after(_PLACE % "[grid]"), None, "level", ""),
    Mistake("places.yaml has an orphan", REGISTRY + "places.yaml", _after(_PLACE % "grid"), None, "", "999"),
    Mistake("people.yaml cannot be parsed", REGISTRY + "people.yaml", _after("\t- x\n"), None, "", "not valid YAML"),
    Mistake("people.yaml has an unknown key", REGISTRY + "people.yaml", _after("  - {id: x, nmae: {zh: 甲, en: A}, role: crew}\n"), None, "nmae", "name"),
    Mistake("people.yaml has a wrong type", REGISTRY + "people.yaml", _is("people: 5\n"), 1, "people", ""),
    Mistake("stations.yaml cannot be parsed", REGISTRY + "stations.yaml", _before("]\n"), 1, "", "not valid YAML"),
    Mistake("stations.yaml has an unknown key", REGISTRY + "stations.yaml", _instead("    backups:", "    backup:"), None, "backup", "backups"),
    Mistake("stations.yaml has a wrong type", REGISTRY + "stations.yaml", _instead('from: "07:00"', "from: dawn"), None, "from", "dawn"),
    Mistake("stations.yaml has a crew of strangers", REGISTRY + "stations.yaml", _instead("head: st-1-head", "head: nobody"), None, "head", "nobody"),
    Mistake("devices.csv has a column too many", REGISTRY + "devices.csv", _instead("id,kind,", "id,kind,colour,"), 1, "colour", ""),
    Mistake("devices.csv misses a column", REGISTRY + "devices.csv", _instead("id,kind,", "id,"), 1, "kind", ""),
    Mistake("devices.csv has an open quote", REGISTRY + "devices.csv", _after('x,gate,"open,b,c\n'), None, "", ""),
    Mistake("devices.csv has an unknown kind", REGISTRY + "devices.csv", _instead(",siren,", ",sirene,"), 4, "kind", "siren"),
    Mistake("devices.csv has a word for a number", REGISTRY + "devices.csv", _instead(",SR-110,30,", ",SR-110,often,"), 4, "interval_s", "often"),
    Mistake("devices.csv is no text", REGISTRY + "devices.csv", _is(b"id,kind\n\xff\xfe\n"), WHOLE, "", "UTF-8"),
    Mistake("outlines.geojson cannot be parsed", REGISTRY + "outlines.geojson", _is('{"type": "FeatureCollection",\n'), None, "", "JSON"),
    Mistake("outlines.geojson has a wrong type", REGISTRY + "outlines.geojson", _is('{"type": "FeatureCollection", "features": 5}\n'), None, "features", ""),
    Mistake("outlines.geojson outlines nothing known", REGISTRY + "outlines.geojson",
            _instead('"code": "440399001001001"', '"code": "990399001001001"'), None, "", "990399001001001"),
    Mistake("outlines.geojson is deep", REGISTRY + "outlines.geojson", _is("[" * 100_000), WHOLE, "", ""),
]  # fmt: skip


def put(mistake: Mistake, config: Path) -> None:
    """Makes `mistake` in `config`; in a file of which only the example is there, in a copy of that."""
    path = config / mistake.file
    example = path.with_name(f"{path.stem}.example{path.suffix}")
    if not path.exists() and example.exists():
        shutil.copyfile(example, path)
    changed = mistake.change(path.read_text("utf-8"))
    path.write_bytes(changed if isinstance(changed, bytes) else changed.encode())
