"""Fire-alarm units over TCP: acknowledged once the journal has it, refused when the checksum is wrong, found again in noise."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from hub.clock import now_ms
from hub.ingest.codecs.gb26875 import Gb26875Codec, read_frame
from hub.ingest.gb26875_listener import LANE, Listener, split
from hub.ingest.intake import Intake
from hub.model.readings import Reject
from hub.stores.journal import MESSAGE, Journal


def frame(serial: int = 7, body: bytes = b"", command: int = 2, *, wrong: bool = False) -> bytes:
    inner = serial.to_bytes(2, "little") + b"\x01\x01" + bytes((5, 4, 3, 2, 1, 26)) + b"\x01\0\0\0\0\0" + bytes(6)
    inner += len(body).to_bytes(2, "little") + bytes((command,)) + body
    return b"@@" + inner + bytes(((sum(inner) + wrong) & 0xFF,)) + b"##"


class Site:
    def __init__(self, folder: Path) -> None:
        self.journal = Journal.open(folder / "journal")
        self.intake = Intake(self.journal, now_ms, lambda receipt: self.listener.ack(receipt))
        self.listener = Listener(
            "127.0.0.1", 0, lambda e: self.intake.take(e, lane="fire"), now_ms, zone="Asia/Shanghai"
        )
        self.listener.start()
        self._waiting, self._answers = bytearray(), list[bytes]()
        self.unit = socket.create_connection(("127.0.0.1", self.listener.port), timeout=5)

    def answer(self) -> bytes:
        while not self._answers:
            said = self.unit.recv(4_096)
            assert said, "the connection was closed"
            self._waiting += said
            self._answers += split(self._waiting)
        return self._answers.pop(0)

    def silent(self) -> bool:
        self.unit.settimeout(0.15)
        try:
            return self.unit.recv(1) == b"never"
        except TimeoutError:
            return True
        finally:
            self.unit.settimeout(5)

    def arrived(self, count: int) -> None:
        for _ in range(500):
            if len(self.intake._fire) >= count:
                return
            time.sleep(0.01)
        raise AssertionError("nothing arrived")

    def written(self) -> list[tuple[str, bytes]]:
        return [(r.topic, r.payload) for r in self.journal.read(self.journal.tail, limit=100) if r.kind == MESSAGE]

    def close(self) -> None:
        self.unit.close()
        self.listener.stop()
        self.journal.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path)
    yield found
    found.close()


def test_a_frame_is_acknowledged_only_after_it_stands_in_the_journal(site: Site) -> None:
    site.unit.sendall(frame(serial=4_711))
    site.arrived(1)
    assert site.silent(), "not before it is written"
    site.intake.flush(now_ms())
    said = read_frame(site.answer())
    assert not isinstance(said, str)
    assert (said.command, said.serial, said.destination) == (3, 4_711, "000000000001")
    assert site.written() == [("gb26875/000000000001", frame(serial=4_711))]


def test_a_wrong_checksum_is_refused_and_set_aside(site: Site) -> None:
    site.unit.sendall(frame(serial=9, wrong=True))
    said = read_frame(site.answer())
    assert not isinstance(said, str)
    assert (said.command, said.serial) == (6, 9)
    site.intake.flush(now_ms())
    ((topic, payload),) = site.written()
    found = Gb26875Codec().decode(topic, payload, received_at_ms=now_ms(), retained=False)
    assert isinstance(found, Reject)
    assert "checksum" in found.detail


def test_an_acknowledgement_is_not_acknowledged(site: Site) -> None:
    site.unit.sendall(frame(command=3))
    site.arrived(1)
    site.intake.flush(now_ms())
    assert site.silent()


def test_pieces_and_noise_around_frames_do_no_harm(site: Site) -> None:
    stream = b"noise@" + frame(1) + b"@@\xff" + frame(2) + frame(3)
    for at in range(0, len(stream), 7):
        site.unit.sendall(stream[at : at + 7])
    site.arrived(3)
    site.intake.flush(now_ms())
    said = [read_frame(site.answer()) for _ in range(3)]
    assert [(f.serial, f.command) for f in said if not isinstance(f, str)] == [(1, 3), (2, 3), (3, 3)]
    assert [payload for _, payload in site.written()] == [frame(1), frame(2), frame(3)]


def test_a_receipt_of_a_connection_that_is_gone_is_passed_over(site: Site) -> None:
    site.unit.sendall(frame())
    site.arrived(1)
    site.unit.close()
    site.intake.flush(now_ms())
    site.unit = socket.create_connection(("127.0.0.1", site.listener.port), timeout=5)
    site.unit.sendall(frame(8))
    site.arrived(1)
    site.intake.flush(now_ms())
    said = read_frame(site.answer())
    assert not isinstance(said, str)
    assert said.serial == 8


@settings(max_examples=50, deadline=None, phases=[Phase.generate])
@given(noise=st.binary(max_size=60), cut=st.integers(0, 60))
def test_a_frame_is_found_behind_any_noise_that_holds_no_beginning(noise: bytes, cut: int) -> None:
    clean = noise.replace(b"@", b"")
    waiting = bytearray(clean + frame(5)[:cut])
    assert split(waiting) in ([], [frame(5)])
    waiting += frame(5)[cut:]
    assert split(waiting) == ([frame(5)] if cut < len(frame(5)) else [])
    assert LANE == "gb26875"


def test_endless_bytes_without_a_frame_are_neither_kept_nor_slow() -> None:
    waiting = bytearray()
    for garbage in (b"@@" * 32_768, b"x" * 65_536, (b"@@" + bytes(22) + b"\x00\x04" + b"x" * 1_026) * 62):
        waiting += garbage
        assert split(waiting) == []
        assert len(waiting) < 2_048
