"""The scorer of the anomaly benchmark, against what is known of it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from tests.bench import nab

STANDARD = nab.PROFILES["standard"]


def series(name: str = "a", rows: int = 1_000, windows: tuple[tuple[int, int], ...] = ((400, 499),)) -> nab.Series:
    at = np.arange(rows, dtype=np.int64) * 300_000
    return nab.Series(name, at, np.zeros(rows), windows)


def detecting(corpus: list[nab.Series], *rows: int) -> dict[str, np.ndarray]:
    scores = {s.name: np.zeros(len(s)) for s in corpus}
    for row in rows:
        scores[corpus[0].name][row] = 1.0
    return scores


def raw(corpus: list[nab.Series], *rows: int, profile: nab.Profile = STANDARD) -> float:
    """Raw total with exactly `rows` of the first series detected."""
    sweep = nab.sweep(corpus, detecting(corpus, *rows), profile)
    assert sweep.thresholds[0] == nab.NEVER
    return float(sweep.totals[1]) if rows else float(sweep.totals[0])


@pytest.mark.parametrize("profile", nab.PROFILES.values(), ids=nab.PROFILES)
def test_silence_scores_nothing_and_the_first_row_of_each_window_a_hundred(profile: nab.Profile) -> None:
    corpus = [series("a"), series("b", windows=((300, 330), (700, 900))), series("c", windows=())]
    scores = {s.name: np.zeros(len(s)) for s in corpus}
    assert nab.sweep(corpus, scores, profile).at(0.5) == 0.0
    for one in corpus:
        for first, _ in one.windows:
            scores[one.name][first] = 1.0
    assert nab.sweep(corpus, scores, profile).best() == (1.0, pytest.approx(100.0))


def test_the_earliest_detection_in_a_window_counts_and_further_ones_change_nothing() -> None:
    corpus = [series()]
    middle = 2 / (1 + math.exp(-5 * 0.5)) - 1
    start = 2 / (1 + math.exp(-5)) - 1
    assert raw(corpus, 450) == pytest.approx(middle / start)
    assert raw(corpus, 450, 460, 499) == pytest.approx(middle / start)
    assert raw(corpus, 400, 450) == pytest.approx(1.0)


def test_the_last_row_of_a_window_is_still_worth_a_little() -> None:
    assert raw([series()], 499) == pytest.approx((2 / (1 + math.exp(-5 * 0.01)) - 1) / (2 / (1 + math.exp(-5)) - 1))


def test_a_false_detection_costs_least_just_behind_a_window_and_all_of_it_far_away() -> None:
    corpus = [series()]
    missed = -1.0
    behind = 2 / (1 + math.exp(5 / 99)) - 1
    assert raw(corpus, 500) == pytest.approx(missed + 0.11 * behind)
    assert raw(corpus, 900) == pytest.approx(missed - 0.11)
    assert raw(corpus, 200) == pytest.approx(missed - 0.11), "before the first window there is no mercy"


def test_profiles_weigh_false_detections_and_missed_windows() -> None:
    corpus = [series()]
    assert raw(corpus, 900, profile=nab.PROFILES["reward_low_FP_rate"]) == pytest.approx(-1.22)
    assert raw(corpus, 900, profile=nab.PROFILES["reward_low_FN_rate"]) == pytest.approx(-2.11)


def test_the_first_rows_are_not_scored() -> None:
    assert series(rows=1_000).probation == 150
    assert series(rows=22_695).probation == 750
    corpus = [series()]
    scores = detecting(corpus, 0, 149)
    assert nab.sweep(corpus, scores, STANDARD).at(1.0) == nab.sweep(corpus, scores, STANDARD).at(nab.NEVER) == 0.0


def test_one_threshold_serves_all_files() -> None:
    corpus = [series("a"), series("b")]
    scores = detecting(corpus, 400)
    scores["b"][400] = 0.4
    scores["a"][700:720] = 0.5
    sweep = nab.sweep(corpus, scores, STANDARD)
    assert sweep.best() == (1.0, pytest.approx(50.0))
    assert sweep.at(0.4) < 50.0
    assert sweep.at(0.45) == pytest.approx(sweep.at(0.5))


def test_all_rows_of_the_same_score_are_detected_together() -> None:
    corpus = [series()]
    rng = np.random.default_rng(3)
    scores = {"a": rng.integers(0, 5, 1_000) / 4}
    sweep = nab.sweep(corpus, scores, STANDARD)
    value, inside = nab.worth(corpus[0], STANDARD)
    for threshold in (0.25, 0.5, 1.0):
        hit = np.flatnonzero((scores["a"] >= threshold) & (np.arange(1_000) >= 150))
        total = sum(value[n] for n in hit if inside[n] < 0)
        total += max((value[n] for n in hit if inside[n] == 0), default=-1.0)
        assert sweep.at(threshold) == pytest.approx(sweep.normal(total))


def test_counts_say_what_was_hit_and_what_was_false() -> None:
    corpus = [series(windows=((400, 499), (600, 650)))]
    assert nab.counts(corpus, detecting(corpus, 10, 410, 420, 700, 701), 1.0) == {
        "windows": 2,
        "hit": 1,
        "false": 2,
        "rows": 1_000 - 150 - 100 - 51,
    }


def write(
    folder: Path, windows: object, rows: str = "timestamp,value\n2014-01-01 00:00:00,1\n2014-01-01 00:05:00,2\n"
) -> None:
    (folder / "data" / "x").mkdir(parents=True)
    (folder / "data" / "x" / "y.csv").write_text(rows)
    (folder / "combined_windows.json").write_text(json.dumps(windows))


def test_a_corpus_is_read_with_its_windows_as_rows(tmp_path: Path) -> None:
    write(tmp_path, {"x/y.csv": [["2014-01-01 00:00:00.000000", "2014-01-01 00:05:00.000000"]]})
    (found,) = nab.load(tmp_path)
    assert (found.name, found.windows, found.value.tolist()) == ("x/y.csv", ((0, 1),), [1.0, 2.0])
    assert np.diff(found.at_ms).tolist() == [300_000]


@pytest.mark.parametrize(
    ("windows", "rows", "words"),
    [
        ({"x/y.csv": [["2014-01-01 00:00:01", "2014-01-01 00:05:00"]]}, None, "at a time that no row has"),
        ({"x/z.csv": []}, None, "named in combined_windows.json, but not there"),
        ({}, None, "names no file"),
        ({"x/y.csv": []}, "time,value\n1,2\n", "expected the columns timestamp,value"),
        ({"x/y.csv": []}, "timestamp,value\n2014-01-01 00:00:00,high\n", "expected the columns timestamp,value"),
    ],
)
def test_a_folder_that_is_no_corpus_is_refused_with_words(
    tmp_path: Path, windows: object, rows: str | None, words: str
) -> None:
    write(tmp_path, windows, rows) if rows else write(tmp_path, windows)
    with pytest.raises(nab.BadCorpus, match=words):
        nab.load(tmp_path)


def test_a_folder_without_labels_is_refused_with_words(tmp_path: Path) -> None:
    with pytest.raises(nab.BadCorpus, match=r"no combined_windows\.json"):
        nab.load(tmp_path)
