"""`gridhub decode`: what the hub understands of a message. For integrators, and for the fixtures of the codecs."""

from __future__ import annotations

import base64
import binascii
import json
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from hub.clock import now_ms
from hub.errors import ConfigError
from hub.ingest.codecs import CODECS, Codec, CodecContext
from hub.ingest.decoded_check import counter_resets, differences
from hub.ingest.decoded_json import as_json
from hub.model.readings import Reject

JsonLines = Annotated[Path | None, typer.Option("--jsonl", help="File of fixture lines: one JSON object per line.")]
Systems = Annotated[str, typer.Option("--system", help="Only these dialects, comma-separated.")]
Check = Annotated[bool, typer.Option("--check", help="Compare with `expect` of each line; exit 1 on a difference.")]
Topic = Annotated[str | None, typer.Option("--topic", help="Decode one message by hand: its topic.")]
Payload = Annotated[str | None, typer.Option("--payload", help="Its payload as text.")]
PayloadFile = Annotated[Path | None, typer.Option("--payload-file", help="Its payload from a file (any bytes).")]
Retained = Annotated[bool, typer.Option("--retained", help="The broker sent it as a retained message.")]
Root = Annotated[str, typer.Option("--root", help="Topic root; default: derived from the topic.")]
Zone = Annotated[str, typer.Option("--zone", help="IANA zone of the site, for wall clocks without zone.")]
Json = Annotated[bool, typer.Option("--json", help="One line of JSON on a terminal too, for a message by hand.")]
ReceivedAt = Annotated[int | None, typer.Option("--received-at", help="Receive time, ms UTC; default: now.")]


def register(app: typer.Typer) -> None:
    @app.command()
    def decode(
        jsonl: JsonLines = None,
        system: Systems = "",
        check: Check = False,
        topic: Topic = None,
        payload: Payload = None,
        payload_file: PayloadFile = None,
        retained: Retained = False,
        root: Root = "",
        zone: Zone = "",
        received_at: ReceivedAt = None,
        one_line: Json = False,
    ) -> None:
        """Show what the hub understands of MQTT messages: fixture lines (--jsonl), or one by hand (--topic, --payload)."""
        received_at_ms = now_ms() if received_at is None else received_at
        if zone and not _is_zone(zone):
            _wrong(f"--zone {zone!r} is no IANA zone, e.g. Asia/Shanghai")
        systems = [name.strip() for name in system.split(",") if name.strip()]
        if jsonl is not None:
            if topic is not None:
                _wrong("give either --jsonl or --topic, not both")
            failed = _lines(jsonl, systems, check, zone, received_at_ms)
            raise typer.Exit(1 if failed else 0)
        if topic is None:
            _wrong("give --jsonl FILE, or --topic TOPIC with --payload or --payload-file")
        if (payload is None) == (payload_file is None):
            _wrong("give one of --payload and --payload-file with --topic")
        if payload_file is not None:
            try:
                raw = payload_file.read_bytes()
            except OSError as bad:
                _wrong(f"{payload_file}: {bad.strerror}")
        else:
            raw = (payload or "").encode("utf-8", "surrogateescape")
        name = systems[0] if systems else _guess(topic, raw)
        if name not in CODECS:
            _wrong(f"--system {name!r} is not known; the codecs are {', '.join(CODECS)}")
        under = root or CODECS[name].root_of(topic)
        said = _codec(name, under, zone).decode(topic, raw, received_at_ms=received_at_ms, retained=retained)
        found = {"codec": name, **as_json(said)}
        if not systems and not root and under != CODECS[name].usual_root:
            source = f"a source {{codec: {name}, root: {under}}}"
            found["note"] = (
                f"a guess: '{under}' is no usual root. The hub hears this topic only with {source} in hub.yaml"
            )
        if one_line or not sys.stdout.isatty():
            _print(found)
            if "note" in found:
                print(f"gridhub decode: {found['note']}", file=sys.stderr)
        else:
            from hub.cli.decode_table import print_page

            print_page(found, zone)
        raise typer.Exit(1 if isinstance(said, Reject) else 0)


def _lines(file: Path, systems: list[str], check: bool, zone: str, received_at_ms: int) -> int:
    """Decodes each selected line; returns how many differ from what they expect."""
    passed = failed = 0
    codecs: dict[tuple[str, str, str], Codec] = {}  # some remember births and descriptions from line to line
    for number, row in _rows(file):
        if systems and row["system"] not in systems:
            continue
        problems = _one(row, number, check, zone, received_at_ms, codecs)
        if not check:
            continue
        if problems:
            failed += 1
            for problem in problems:
                print(f"{row['id']}: {problem}")
        else:
            passed += 1
    if check:
        print(f"{passed} passed, {failed} failed")
        if not passed and not failed:
            print(f"{file}: no line of {', '.join(systems) or 'any system'}", file=sys.stderr)
            return 1
    return failed


def _one(
    row: dict[str, Any],
    number: int,
    check: bool,
    zone: str,
    received_at_ms: int,
    codecs: dict[tuple[str, str, str], Codec],
) -> list[str]:
    system, topic = row["system"], row["topic"]
    if isinstance(row.get("profile"), str):  # bytes alone, without a topic: the model is what the topic would say
        topic = f"{CODECS['milesight-raw'].usual_root}/{row['profile']}/{row['id']}"
    if system not in CODECS:
        problem = f"no codec for system {system} yet"
        if not check:
            _print({"id": row["id"], "rejected": {"reason": problem}})
        return [problem]
    payload = _payload(row, number)
    root = row.get("root") or CODECS[system].root_of(topic)
    received = row.get("received_at_ms", received_at_ms)
    key = (system, root, row.get("zone", zone))
    codec = codecs.get(key) or codecs.setdefault(key, _codec(*key))
    said = codec.decode(topic, payload, received_at_ms=received, retained=bool(row.get("retain")))
    # A codec keeps no state: what needs the reading before this one is judged here, from the line's `requires_state`.
    extra = counter_resets(said, row.get("requires_state") or {})
    if not check:
        _print({"id": row["id"], **as_json(said, extra)})
        return []
    return differences(said, row.get("expect") or {}, extra)


def _rows(file: Path) -> list[tuple[int, dict[str, Any]]]:
    """The lines of a fixture file, all checked before any is decoded."""
    try:
        text = file.read_bytes().decode("utf-8")
    except OSError as bad:
        raise ConfigError.one(str(file), f"cannot be read: {bad.strerror}") from bad
    except UnicodeDecodeError as bad:
        raise ConfigError.one(str(file), f"not UTF-8 at byte {bad.start}") from bad
    rows: list[tuple[int, dict[str, Any]]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as bad:
            raise ConfigError.one(str(file), f"not a JSON line: {bad}", line=number) from bad
        if not isinstance(row, dict):
            raise ConfigError.one(str(file), "not a JSON object", line=number)
        for key in ("id", "system", "topic"):
            if not isinstance(row.get(key), str):
                raise ConfigError.one(str(file), "must be text", line=number, key=key)
        if "payload" in row and not isinstance(row["payload"], str):
            raise ConfigError.one(str(file), "must be text", line=number, key="payload")
        if "payload" not in row and "payload_b64" not in row:
            raise ConfigError.one(str(file), "payload or payload_b64 is missing", line=number, key="payload")
        if not isinstance(row.get("expect", {}), dict):
            raise ConfigError.one(str(file), "must be an object", line=number, key="expect")
        _payload(row, number, str(file))
        rows.append((number, row))
    return rows


def _payload(row: dict[str, Any], number: int, file: str = "") -> bytes:
    if "payload_b64" not in row:
        return str(row["payload"]).encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(row["payload_b64"], validate=True)
    except (binascii.Error, TypeError, ValueError) as bad:
        raise ConfigError.one(file, f"not base64: {bad}", line=number, key="payload_b64") from bad


def _guess(topic: str, payload: bytes) -> str:
    """The dialect that a lone message most likely is."""
    levels = topic.split("/")
    if topic.startswith("sc/v1/"):
        return "native-v1"
    if "zigbee2mqtt" in levels or "bridge" in levels[1:2]:
        return "zigbee2mqtt"
    start = payload.lstrip()[:1]
    if start == b"[" and any(mark in payload for mark in (b'"bn"', b'"n"')):
        return "senml"
    return "generic-json"


def _codec(name: str, root: str, zone: str) -> Codec:
    return CODECS[name].make(root, CodecContext(zone=zone, personal=True))


def _is_zone(name: str) -> bool:
    from zoneinfo import available_timezones

    return name in available_timezones()


def _print(row: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(row, ensure_ascii=False).encode("utf-8", "replace").decode("utf-8") + "\n")


def _wrong(message: str) -> NoReturn:
    print(f"gridhub decode: {message}", file=sys.stderr)
    raise typer.Exit(2)
