"""Kept messages are read again after a claim or a mended mapping: stored at their own time, and no old alarm rings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hub.ingest.codecs.context import CodecContext
from hub.ingest.reader import REPLAY_TOPIC, Reader
from hub.ingest.router import Router, Source
from hub.ingest.screen import Limits, Screen
from hub.model.alerts import Actor
from hub.model.quantities import CODE
from hub.model.readings import Envelope, Quality, QuarantineRow
from hub.onboarding.claims import Claim
from hub.onboarding.replay import Again, Replays, Spool, messages_of, read_again
from hub.onboarding.service import Onboarding, OutOfReach
from hub.registry.live import LiveRegistry
from hub.registry.loader import load
from hub.stores import alert_rows
from hub.stores.journal import MESSAGE, Journal, Record
from hub.stores.ledger import Ledger
from hub.stores.quarantine_queries import QuarantineQueries
from tests.support.registry_files import write_small

AT = 1_767_225_600_000
NEW = "native-v1:demo/gw-1/smoke-9"
TOPIC = "sc/v1/demo/gw-1/smoke-9/tele"
FIRE = b'{"v":1,"m":{"smoke":true,"battery_pct":80}}'
GRID, FAR = "440399001001001", "440399001001901"


def router() -> Router:
    return Router([Source(codec="native-v1", root="sc/v1")], CodecContext(zone="Asia/Shanghai"))


def row(
    topic: str = TOPIC, address: str = NEW, payload: bytes = FIRE, at_ms: int = AT, **more: object
) -> QuarantineRow:
    given = {"reason": "unknown device", "codec": "native-v1", "first_at_ms": at_ms, "position": 0, **more}
    return QuarantineRow(topic=topic, address=address, payload=payload, last_at_ms=at_ms, **given)  # type: ignore[arg-type]


def again(
    at_ms: int, now_ms: int, payload: bytes = FIRE, folder: Path | None = None
) -> list[tuple[str, float, int, int]]:
    """What becomes of a message of smoke-1 that came at `at_ms` and is read again at `now_ms`."""
    registry = load(folder or Path())
    reader = Reader(router().decode, lambda: registry, Screen(Limits()))
    record = Record(5, MESSAGE, now_ms, f"{REPLAY_TOPIC}{at_ms}/sc/v1/demo/gw-1/smoke-1/tele", payload, False)
    (segment,) = reader.read([record])
    b = segment.batch
    names = {code: name for name, code in CODE.items()}
    return [
        (names[int(b.quantity[n])], float(b.value[n]), int(b.observed_at_ms[n]), int(b.quality[n]))
        for n in range(len(b))
    ]


def test_an_old_message_is_stored_at_its_time_and_not_judged(tmp_path: Path) -> None:
    found = again(AT, AT + 3_600_000, folder=write_small(tmp_path))
    assert [(name, value, at) for name, value, at, _ in found] == [("smoke", 1.0, AT), ("battery_pct", 80.0, AT)]
    assert all(quality & Quality.HISTORY for *_, quality in found)


def test_a_message_of_just_now_is_judged_like_a_live_one(tmp_path: Path) -> None:
    for name, _, at_ms, quality in again(AT, AT + 60_000, folder=write_small(tmp_path)):
        assert (name in ("smoke", "battery_pct"), at_ms) == (True, AT)
        assert not quality & (Quality.HISTORY | Quality.LATE)


def test_garbage_after_the_prefix_says_nothing(tmp_path: Path) -> None:
    registry = load(write_small(tmp_path))
    reader = Reader(router().decode, lambda: registry, Screen(Limits()))
    for topic in ("", "x/sc/v1", "12", "99999999999999999999/sc/v1/a/b/c/tele", "12/nowhere"):
        (segment,) = reader.read([Record(1, MESSAGE, AT, REPLAY_TOPIC + topic, b"\xff", False)])
        assert len(segment.batch) == 0


def test_all_messages_of_an_entry_come_from_the_journal_in_their_order(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal")
    journal.append([Envelope(TOPIC, b"%d" % n, AT + n) for n in range(3)] + [Envelope("other/topic", b"", AT)])
    entry = row(payload=b"2", at_ms=AT + 2, first_at_ms=AT, count=3, position=2)
    found, missing = messages_of([entry], journal)
    assert ([m.payload for m in found], missing) == ([b"0", b"1", b"2"], False)
    journal.close()


def test_without_a_journal_the_latest_message_remains(tmp_path: Path) -> None:
    found, missing = messages_of([row(count=7)], None)
    assert (found, missing) == ([Again(AT, TOPIC, FIRE)], True)


def test_what_is_still_not_understood_is_counted_and_alarms_are_named(tmp_path: Path) -> None:
    registry = load(write_small(tmp_path))
    known = TOPIC.replace("smoke-9", "smoke-1")
    outcome = read_again(
        [Again(AT, known, FIRE), Again(AT, TOPIC, FIRE), Again(AT, known, b"{")], router().decode, registry
    )
    assert (len(outcome.understood), outcome.still_unknown, outcome.readings) == (1, 2, 2)
    assert outcome.alarms == ((AT, "smoke-1", "smoke"),)


def test_the_spool_hands_everything_over_once_and_survives_a_damaged_file(tmp_path: Path) -> None:
    spool, taken = Spool(tmp_path / "replay"), list[Envelope]()
    path = spool.put([Again(AT, TOPIC, b"\xff\x00"), Again(AT + 1, TOPIC, FIRE)])
    assert path.stat().st_mode & 0o777 == 0o600
    (spool.folder / "0-bad.jsonl").write_text("[1]\n")
    replays = Replays(spool, taken.append, lambda: AT + 5_000)
    for _ in range(4):
        replays.step()
    assert [(e.topic, e.payload, e.received_at_ms) for e in taken] == [
        (f"{REPLAY_TOPIC}{AT}/{TOPIC}", b"\xff\x00", AT + 5_000),
        (f"{REPLAY_TOPIC}{AT + 1}/{TOPIC}", FIRE, AT + 5_000),
    ]
    assert spool.files() == []
    assert [p.name for p in spool.folder.iterdir()] == ["0-bad.damaged"]


# -- for actors -------------------------------------------------------------------------------------------------------

OFFICER = Actor(id="t1", name="o", role="officer", grids=("*",))
NEAR = Actor(id="t2", name="near", role="officer", grids=(GRID,))
OTHER = Actor(id="t3", name="other", role="officer", grids=(FAR,))


class Site:
    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger.open(f"sqlite:///{folder}/ledger.db")
        self.live = LiveRegistry(write_small(folder / "registry"))
        self.spool = Spool(folder / "replay")
        self.onboarding = Onboarding(
            folder / "registry",
            QuarantineQueries(self.ledger),
            router(),
            lambda: self.live.current,
            spool=self.spool,
            reload=lambda: self.live.reload() and None,
        )

    def heard(self, *rows: QuarantineRow) -> None:
        with self.ledger.begin() as connection:
            alert_rows.keep_rejected(connection, rows)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    found = Site(tmp_path)
    found.heard(row(), row("sc/v1/demo/gw-7/d/tele", "native-v1:demo/gw-7/d", b"{}"))
    return found


def wanted(address: str = NEW, place: str = GRID) -> Claim:
    return Claim(kind="smoke_alarm", place=place, addresses=address)


def test_a_claim_makes_the_device_known_at_once_and_its_messages_follow(site: Site) -> None:
    site.onboarding.claim(OFFICER, [wanted()])
    assert NEW in site.live.current.slot_of_address
    assert [d.address for d in site.onboarding.unknown(OFFICER)] == ["native-v1:demo/gw-7/d"]
    tried, _ = site.onboarding.replay(OFFICER, addresses=[NEW], dry_run=True)
    assert (len(tried.understood), site.spool.files()) == (1, [])
    done, _ = site.onboarding.replay(OFFICER, addresses=[NEW])
    assert done.alarms == ((AT, "smoke-9", "smoke"),)
    (file,) = site.spool.files()
    assert [json.loads(line)[:2] for line in file.read_text().splitlines()] == [[AT, TOPIC]]
    assert site.onboarding.replay(OFFICER, addresses=[NEW])[0].understood == [], "it is settled"


def test_who_is_limited_sees_only_what_speaks_through_a_gateway_of_the_own_grids(site: Site) -> None:
    assert len(site.onboarding.unknown(OFFICER)) == 2
    assert [d.address for d in site.onboarding.unknown(NEAR)] == [NEW]
    assert site.onboarding.unknown(OTHER) == []


@pytest.mark.parametrize(
    ("actor", "address", "place"),
    [
        (OTHER, NEW, FAR),  # not seen
        (NEAR, NEW, FAR),  # into a grid of others
        (NEAR, "native-v1:demo/gw-7/d", GRID),  # nobody knows whose it is
        (NEAR, f"{NEW};native-v1:demo/gw-7/d", GRID),
    ],
)
def test_a_token_of_another_grid_can_claim_nothing(site: Site, actor: Actor, address: str, place: str) -> None:
    before = site.live.current.version
    with pytest.raises(OutOfReach):
        site.onboarding.claim(actor, [wanted(address, place)])
    assert not site.live.changed()
    assert site.live.reload().version == before


def test_a_token_of_the_own_grid_claims_and_replays(site: Site) -> None:
    site.onboarding.claim(NEAR, [wanted()])
    assert len(site.onboarding.replay(NEAR)[0].understood) == 1
    assert site.onboarding.replay(OTHER)[0].understood == []
