"""The registry in force: fail first, then swap; slots stay."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import ConfigError
from hub.registry.live import LiveRegistry
from hub.registry.snapshot import Registry
from tests.support.registry_files import DEVICES, PEOPLE, write_small


def test_a_wrong_folder_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        LiveRegistry(write_small(tmp_path, people="people: 3"))


def test_a_reload_swaps_and_tells(tmp_path: Path) -> None:
    told: list[Registry] = []
    live = LiveRegistry(write_small(tmp_path), on_swap=told.append)
    before = live.current
    write_small(tmp_path, people=PEOPLE.replace("en: Bob", "en: Bert"))
    assert live.changed()
    after = live.reload()
    assert live.current is after is told[0]
    assert after is not before
    assert before.people["bob"].name.en == "Bob"
    assert after.people["bob"].name.en == "Bert"
    assert not live.changed()


def test_a_wrong_file_changes_nothing_and_is_complained_about_once(tmp_path: Path) -> None:
    told: list[Registry] = []
    live = LiveRegistry(write_small(tmp_path), on_swap=told.append)
    before = live.current
    write_small(tmp_path, people=PEOPLE.replace("role: crew", "role: cook"))
    assert live.changed()
    with pytest.raises(ConfigError, match="cook"):
        live.reload()
    assert live.current is before
    assert told == []
    assert not live.changed(), "the same wrong file is not tried again every second"
    write_small(tmp_path, people=PEOPLE.replace("en: Bob", "en: Bert"))
    assert live.changed()
    assert live.reload().people["bob"].name.en == "Bert"


def test_the_same_content_is_not_swapped(tmp_path: Path) -> None:
    told: list[Registry] = []
    live = LiveRegistry(write_small(tmp_path), on_swap=told.append)
    before = live.current
    os.utime(tmp_path / "people.yaml", ns=(1, 1))
    assert live.changed()
    assert live.reload() is before
    assert told == []
    assert not live.changed()


def test_a_file_that_goes_away_or_comes_back_is_a_change(tmp_path: Path) -> None:
    live = LiveRegistry(write_small(tmp_path))
    (tmp_path / "outlines.geojson").rename(tmp_path / "aside")
    assert live.changed()
    with pytest.raises(ConfigError, match="file not found"):
        live.reload()
    assert not live.changed()
    (tmp_path / "aside").rename(tmp_path / "outlines.geojson")
    assert live.changed()


def test_a_reload_waits_until_the_one_before_has_told_everybody(tmp_path: Path) -> None:
    told: list[str] = []
    second: list[threading.Thread] = []

    def on_swap(registry: Registry) -> None:
        if not second:
            write_small(tmp_path, people=PEOPLE.replace("en: Bob", "en: Berta"))
            second.append(threading.Thread(target=live.reload))
            second[0].start()
            second[0].join(0.2)
            assert second[0].is_alive(), "the second reload must not overtake"
        told.append(registry.people["bob"].name.en)

    live = LiveRegistry(write_small(tmp_path), on_swap=on_swap)
    write_small(tmp_path, people=PEOPLE.replace("en: Bob", "en: Bert"))
    live.reload()
    second[0].join(30)
    assert told == ["Bert", "Berta"]
    assert live.current.people["bob"].name.en == "Berta"


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sets(st.sampled_from("abcdef")), st.booleans()), min_size=1, max_size=6))
def test_slots_survive_any_sequence_of_edits_right_and_wrong(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[set[str], bool]]
) -> None:
    folder = tmp_path_factory.mktemp("registry")
    live = LiveRegistry(write_small(folder))
    slots = dict(live.current.slot_of)
    for ids, right in edits:
        kind = "door" if right else "trapdoor"
        rows = "".join(
            f"{i},{kind},门,Door,,440399001001001,native-v1:demo/gw-1/{i},gw-1,,,,,,\n"
            for i in sorted(ids, reverse=len(slots) % 2 == 0)
        )
        write_small(folder, devices=DEVICES + rows)
        before = live.current
        try:
            live.reload()
        except ConfigError:
            assert ids
            assert not right
            assert live.current is before
            continue
        for device_id, slot in live.current.slot_of.items():
            assert slots.setdefault(device_id, slot) == slot
        assert set(live.current.slot_of) - {"hub", "canary", "gw-1", "smoke-1", "cabinet-1", "smoke-s1"} == ids
        assert len(live.current) == len(slots) == len(set(slots.values()))
