"""The glossary knows every word that the model gives to places, devices, states and roles."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from hub.model.alerts import AlarmState, CaseState
from hub.model.deliveries import DeliveryState
from hub.model.places import Level
from hub.model.rules import SEVERITIES
from hub.registry.kinds import DEVICE_KINDS, SILENCE_LIMIT_MS
from hub.registry.stationfile import PersonEntry

GLOSSARY = (Path(__file__).parents[2] / "docs" / "glossary.md").read_text("utf-8")
ROLES = get_args(PersonEntry.model_fields["role"].annotation)


@pytest.mark.parametrize(
    "word",
    sorted(
        {
            *get_args(Level),
            *get_args(AlarmState),
            *get_args(CaseState),
            *get_args(DeliveryState),
            *SEVERITIES,
            *DEVICE_KINDS,
            *SILENCE_LIMIT_MS,
        }
    ),
)
def test_each_word_of_the_model_is_explained(word: str) -> None:
    assert re.search(rf"(`|\| |, ){word}(`|,| \|| \()", GLOSSARY), f"explain {word!r} in docs/glossary.md"


@pytest.mark.parametrize("role", ROLES)
def test_each_role_of_a_person_is_explained(role: str) -> None:
    assert f"`{role}`" in GLOSSARY or f"| {role} |" in GLOSSARY


def test_every_row_of_every_table_has_its_columns_and_chinese() -> None:
    rows = [line for line in GLOSSARY.splitlines() if line.startswith("| ") and not line.startswith("| word")]
    assert len(rows) > 80
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) == 4, row
        assert re.search(r"[\u4e00-\u9fff]", cells[1]), row


def test_no_word_is_explained_twice() -> None:
    words = [
        line.split("|")[1].strip()
        for line in GLOSSARY.splitlines()
        if line.startswith("| ") and not line.startswith("| word")
    ]
    # "accepted" is a state of cases and of deliveries: two machines, one word each in its own table.
    doubled = {word for word in words if words.count(word) > 1}
    assert doubled <= {"`accepted`"}
