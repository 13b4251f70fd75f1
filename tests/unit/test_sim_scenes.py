"""The shipped scenes of the simulators, each behaviour among them, come out under the shipped rules as they say."""

from __future__ import annotations

import pytest

from devices.simulators.behaviours import BEHAVIOURS
from devices.simulators.scenefile import FOLDER, load_scene
from hub.cli.simulate_play import Played, differences, played_scene
from hub.errors import ConfigError
from tests.support.played_town import SOURCES, example

SCENES = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("file", SCENES, ids=lambda file: file.stem)
def test_the_scene_comes_out_as_it_says(file):
    scene = load_scene(file)
    played = played_scene(scene, *example(), SOURCES, zone="Asia/Shanghai")
    assert differences(scene, played) == []
    assert played.messages > 100


def test_every_behaviour_has_a_scene():
    assert {one.behaviour for file in SCENES for one in load_scene(file).happens} == set(BEHAVIOURS)


def test_what_did_not_come_is_said_in_words(tmp_path):
    file = tmp_path / "scene.yaml"
    file.write_text(
        "name: one\nlasts: 1m\nquarantine: true\nhappens: [{behaviour: calm_day}]\nexpect: [{rule: smoke-alarm}]\n"
    )
    assert differences(load_scene(file), Played()) == ["smoke-alarm was not raised", "nothing landed in the quarantine"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name: x\nlasts: 60\nhappens: [{behaviour: calm_day}]\nonly: true\n", r":2: lasts: .*with its unit"),
        ("name: x\nlasts: 1m\nhappens: [{behaviour: earthquake}]\nonly: true\n", r":3: .*no behaviour 'earthquake'"),
        ("name: x\nlasts: 1m\nhappens: [{behaviour: calm_day}]\n", "proves nothing"),
    ],
)
def test_a_scene_that_is_wrong_is_refused_with_file_and_line(tmp_path, text, complaint):
    file = tmp_path / "scene.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=complaint):
        load_scene(file)
