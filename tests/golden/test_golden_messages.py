"""Every golden message is understood as its line says: our own lines always, the shared collection where it is present."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hub.__main__ import app
from hub.ingest.codecs import CODECS, HandWritten

HERE = Path(__file__).parent
SHARED = HERE.parents[1].parent / "shared" / "fixtures" / "devices.jsonl"


def checked(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["decode", "--check", *arguments])
    return result.exit_code, result.stdout


@pytest.mark.parametrize("codec", sorted(name for name, kind in CODECS.items() if isinstance(kind, HandWritten)))
def test_golden_messages_are_understood_as_expected(codec: str) -> None:
    lines = (HERE / f"{codec}.jsonl").read_text("utf-8").splitlines()
    code, out = checked("--jsonl", str(HERE / f"{codec}.jsonl"))
    assert out.splitlines()[-1] == f"{len(lines)} passed, 0 failed", out
    assert code == 0


def test_the_samples_inside_the_profiles_are_understood_as_expected() -> None:
    result = CliRunner().invoke(app, ["profile", "test"])
    assert re.fullmatch(r"[1-9]\d* passed, 0 failed", result.stdout.splitlines()[-1]), result.stdout


def test_the_shared_collection_is_understood_as_expected() -> None:
    if not SHARED.exists():
        pytest.skip(f"the shared fixture collection is not here ({SHARED.name} in a folder beside this repository)")
    code, out = checked("--jsonl", str(SHARED), "--system", ",".join(CODECS))
    assert re.fullmatch(r"[1-9]\d* passed, 0 failed", out.splitlines()[-1]), out
    assert code == 0


def test_each_golden_line_has_a_name_of_its_own() -> None:
    names = [json.loads(line)["id"] for file in HERE.glob("*.jsonl") for line in file.read_text("utf-8").splitlines()]
    assert len(names) == len(set(names))
