"""The command that measures the anomaly detector: what it reads, what it says, and that it scores the rule kind itself."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.bench import anomaly, anomaly_fleet, nab


def corpus_at(folder: Path) -> Path:
    """Two files: noise with a jump that is labelled, and noise alone."""
    rng = np.random.default_rng(1)
    start = datetime(2014, 4, 1, tzinfo=UTC)
    windows: dict[str, list[list[str]]] = {}
    (folder / "data" / "made").mkdir(parents=True)
    for name, jump in (("made/jump.csv", True), ("made/calm.csv", False)):
        value = np.round(rng.normal(20, 1, 900), 2)
        if jump:
            value[700:720] += 40
        times = [(start + timedelta(minutes=5 * n)).strftime("%Y-%m-%d %H:%M:%S") for n in range(900)]
        rows = "".join(f"{t},{v}\n" for t, v in zip(times, value, strict=True))
        (folder / "data" / name).write_text("timestamp,value\n" + rows)
        windows[name] = [[times[680] + ".000000", times[740] + ".000000"]] if jump else []
    (folder / "combined_windows.json").write_text(json.dumps(windows))
    return folder


def test_the_report_has_the_promised_keys_for_any_corpus_of_this_layout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert anomaly.main([str(corpus_at(tmp_path)), "--no-fleet"]) == 0
    said = json.loads(capsys.readouterr().out)
    promised = "standard low_fp low_fn false_per_1000 us_per_point bytes_per_series halves threshold files"
    assert set(promised.split()) <= set(said)
    assert said["files"] == 2
    assert said["hit"] == said["windows"] == 1
    assert said["bytes_per_series"] <= 4_096


@pytest.mark.parametrize(("arguments", "words"), [([], "which data"), (["/nowhere"], "no combined_windows.json")])
def test_without_data_it_says_what_to_give(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert anomaly.main(arguments) == 2
    told = capsys.readouterr()
    assert words in told.err
    assert told.out == ""


def test_files_side_by_side_are_read_as_each_alone(tmp_path: Path) -> None:
    corpus = nab.load(corpus_at(tmp_path))
    corpus.append(nab.Series("short", corpus[0].at_ms[:300], corpus[0].value[:300], ()))
    run = anomaly.compiled(anomaly.WHEN)
    together = anomaly.detect(corpus, run)
    for one in corpus:
        assert together[one.name].tolist() == anomaly.detect([one], run)[one.name].tolist()


def test_no_row_knows_of_later_ones(tmp_path: Path) -> None:
    (one, _) = nab.load(corpus_at(tmp_path))
    cut = nab.Series(one.name, one.at_ms[:500], one.value[:500], ())
    run = anomaly.compiled(anomaly.WHEN)
    assert anomaly.detect([one], run)[one.name][:500].tolist() == anomaly.detect([cut], run)[one.name].tolist()


def test_a_small_fleet_meets_what_the_large_one_must() -> None:
    said: list[str] = []
    assert anomaly_fleet.ramps(said.append, 100)["flagged_before_60_c_pct"] >= 99
    stuck = anomaly_fleet.stuck(said.append, 20)
    assert stuck
    assert all(rule["within_3x_pct"] >= 95 for rule in stuck.values())
    drift = anomaly_fleet.drift(said.append, 40)
    assert drift
    assert all(rule["within_3x_pct"] >= 95 for rule in drift.values())


def test_the_days_of_a_drift_without_noise_are_those_of_the_sum() -> None:
    assert anomaly_fleet.drifting_days(0.5, 0.1) == 3  # 0, then 0.5: over on the second day, judged on the third
    assert anomaly_fleet.drifting_days(0.5, 8.0) == 8
