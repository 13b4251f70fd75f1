"""`make bench-anomaly DATA=folder`: how good is the method `score` of the kind `deviation`, on a corpus and on a simulated fleet?

python -m tests.bench.anomaly FOLDER [--quick] [--no-fleet]

FOLDER holds `combined_windows.json` and `data/<category>/<file>.csv`, as the Numenta benchmark does. Ends with one JSON object.
What runs is the rule kind itself, compiled from a rule's `when`, all files side by side as devices of a wave.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hub.model.quantities import CODE, QUANTITIES
from hub.rules.kinds import KINDS
from hub.rules.kinds.detectors import novelty
from hub.rules.kinds.kind import Compiled, Context, Look
from tests.bench import nab

WHEN = {"method": "score", "warm_up_h": 0}
"""The detector under test. No warm-up: the benchmark does not score the first rows anyway."""
SPLITS = 100
LIMITS = np.round(np.arange(0.15, 0.46, 0.02), 2)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def compiled(when: Mapping[str, Any], quantity: str = "temperature_c") -> Compiled:
    kind = KINDS["deviation"]
    return kind.compile(kind.When.model_validate(dict(when)), QUANTITIES[quantity], Context())


def look_of(value: nab.Floats, at_ms: nab.Ints, quantity: str = "temperature_c") -> Look:
    return Look(
        quantity=np.full(len(value), CODE[quantity], np.int16), value=value, at_ms=at_ms, observed_ms=at_ms.copy()
    )


def detect(corpus: Sequence[nab.Series], run: Compiled) -> dict[str, nab.Floats]:
    """The figure of every row of every file, read in order, each file a device."""
    assert run.judge is not None
    assert run.figure is not None
    order = sorted(corpus, key=len, reverse=True)
    longest = len(order[0])
    value, at_ms = np.full((longest, len(order)), np.nan), np.zeros((longest, len(order)), np.int64)
    for n, series in enumerate(order):
        value[: len(series), n], at_ms[: len(series), n] = series.value, series.at_ms
    left = np.searchsorted(-np.array([len(s) for s in order]), -np.arange(longest), side="left")
    figures = np.zeros_like(value)
    memory = np.zeros(len(order), run.memory)
    told = time.monotonic()
    for row in range(longest):
        devices = memory[: left[row]]
        run.judge(look_of(value[row, : left[row]], at_ms[row, : left[row]]), devices)
        figures[row, : left[row]] = run.figure(devices)
        if time.monotonic() - told > 3:
            told = time.monotonic()
            say(f"  row {row} of {longest}")
    return {series.name: figures[: len(series), n] for n, series in enumerate(order)}


def halves(corpus: Sequence[nab.Series], scores: Mapping[str, nab.Floats], shipped: float) -> dict[str, Any]:
    """Either half of the files with the threshold that is best for the other: every second file, and many random halves."""
    standard = nab.PROFILES["standard"]

    def crossed(fitted: Sequence[nab.Series], scored: Sequence[nab.Series]) -> float:
        threshold, _ = nab.sweep(fitted, scores, standard).best()
        return nab.sweep(scored, scores, standard).at(threshold)

    files = sorted(corpus, key=lambda s: s.name)
    found = []
    for seed in range(SPLITS // 2):
        mixed = [files[n] for n in np.random.default_rng(seed).permutation(len(files))]
        one, other = mixed[::2], mixed[1::2]
        found += [crossed(one, other), crossed(other, one)]
    first, second = files[::2], files[1::2]
    return {
        "first": {
            "threshold_of_second": round(crossed(second, first), 1),
            "own_threshold": round(nab.sweep(first, scores, standard).best()[1], 1),
            "shipped_threshold": round(nab.sweep(first, scores, standard).at(shipped), 1),
        },
        "second": {
            "threshold_of_first": round(crossed(first, second), 1),
            "own_threshold": round(nab.sweep(second, scores, standard).best()[1], 1),
            "shipped_threshold": round(nab.sweep(second, scores, standard).at(shipped), 1),
        },
        "random_halves_mean": round(float(np.mean(found)), 1),
        "random_halves_10th_percentile": round(float(np.percentile(found, 10)), 1),
        "random_halves": len(found),
    }


def crossed_limits(corpus: Sequence[nab.Series]) -> dict[str, Any]:
    """As `halves`, but with the limit of the rule itself chosen on the other half: findings and rests are those of that limit.

    The same two functions that the rule calls, with many limits side by side behind one look at the readings.
    """
    tails = np.dtype([("tired", np.float64), ("rest", np.int16)])
    totals = np.zeros((len(corpus), len(LIMITS)))
    windows = np.array([len(series.windows) for series in corpus], np.float64)
    fields = [("first_ms", np.int64), *novelty.DETECTOR.fields]
    with np.errstate(all="ignore"):
        for n, new in enumerate(_newness(corpus, np.dtype(fields, align=True))):
            tail, figures = np.zeros(len(LIMITS), tails), np.zeros((len(new), len(LIMITS)))
            for row in range(len(new)):
                figures[row], _ = novelty.rested(np.full(len(LIMITS), new[row]), tail, LIMITS)
            for at, limit in enumerate(LIMITS):
                sweep = nab.sweep(
                    [corpus[n]], {corpus[n].name: (figures[:, at] >= limit) * 1.0}, nab.PROFILES["standard"]
                )
                found_any = len(sweep.totals) > 2
                totals[n, at] = sweep.totals[1] if found_any else sweep.totals[0]

    def normal(files: Any) -> Any:
        return 100.0 * (totals[files].sum(axis=0) + windows[files].sum()) / max(2.0 * windows[files].sum(), 1.0)

    found = []
    for seed in range(SPLITS // 2):
        mixed = np.random.default_rng(seed).permutation(len(corpus))
        for fitted, scored in ((mixed[::2], mixed[1::2]), (mixed[1::2], mixed[::2])):
            found.append(float(normal(scored)[int(np.argmax(normal(fitted)))]))
    every = normal(np.arange(len(corpus)))
    return {
        "random_halves_mean": round(float(np.mean(found)), 1),
        "random_halves_10th_percentile": round(float(np.percentile(found, 10)), 1),
        "all_files_by_limit": {
            f"{limit:.2f}": round(float(score), 1) for limit, score in zip(LIMITS, every, strict=True)
        },
    }


def _newness(corpus: Sequence[nab.Series], memory_of: np.dtype[np.void]) -> list[nab.Floats]:
    """How new each row of each file is, before rest and tiredness."""
    order = sorted(range(len(corpus)), key=lambda n: -len(corpus[n]))
    lengths = np.array([len(corpus[n]) for n in order])
    new = [np.zeros(len(series)) for series in corpus]
    memory = np.zeros(len(order), memory_of)
    for row in range(int(lengths[0])):
        here = order[: int((lengths > row).sum())]
        said = novelty.newness(np.array([corpus[n].value[row] for n in here]), memory[: len(here)], 0.0)
        for n, one in zip(here, said.tolist(), strict=True):
            new[n][row] = one
    return new


def us_per_point(run: Compiled, devices: int, readings: int) -> float:
    """Microseconds that the kind needs for a reading, in waves of so many devices. The best of three runs."""
    assert run.judge is not None
    rng = np.random.default_rng(1)
    values = rng.normal(20.0, 1.0, (readings, devices)) + 5 * np.sin(np.arange(readings) / 100)[:, None]
    best = float("inf")
    for _ in range(3):
        memory = np.zeros(devices, run.memory)
        began = time.perf_counter()
        for n in range(readings):
            part = memory[np.arange(devices)]  # the engine hands out copies
            run.judge(look_of(values[n], np.full(devices, 1_700_000_000_000 + n * 60_000)), part)
            memory[np.arange(devices)] = part
        best = min(best, (time.perf_counter() - began) / readings / devices * 1e6)
    return round(best, 2)


def report(corpus: Sequence[nab.Series]) -> dict[str, Any]:
    run = compiled(WHEN)
    assert run.memory is not None
    assert run.threshold is not None
    say(f"{len(corpus)} files, {sum(map(len, corpus)):,} rows")
    began = time.perf_counter()
    scores = detect(corpus, run)
    seconds = time.perf_counter() - began
    sweeps = {name: nab.sweep(corpus, scores, profile) for name, profile in nab.PROFILES.items()}
    threshold, standard = sweeps["standard"].best()
    seen = nab.counts(corpus, scores, threshold)
    return {
        "standard": round(standard, 1),
        "low_fp": round(sweeps["reward_low_FP_rate"].at(threshold), 1),
        "low_fn": round(sweeps["reward_low_FN_rate"].at(threshold), 1),
        "threshold": round(threshold, 4),
        "shipped": {
            "threshold": run.threshold,
            **{name: round(sweep.at(run.threshold), 1) for name, sweep in sweeps.items()},
        },
        "threshold_of_each_profile": {name: round(sweep.best()[1], 1) for name, sweep in sweeps.items()},
        "halves": halves(corpus, scores, run.threshold),
        "halves_by_limit": crossed_limits(corpus),
        "false_per_1000": round(1_000 * seen["false"] / max(seen["rows"], 1), 2),
        "windows": seen["windows"],
        "hit": seen["hit"],
        "false": seen["false"],
        "us_per_point": us_per_point(run, 1_000, 200),
        "us_per_point_of_this_corpus": round(seconds / sum(map(len, corpus)) * 1e6, 1),
        "us_per_point_alone": us_per_point(run, 1, 500),
        "bytes_per_series": run.memory.itemsize,
        "files": len(corpus),
        "points": sum(map(len, corpus)),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make bench-anomaly", description="Measures the anomaly detector.")
    parser.add_argument("data", nargs="?", default="", help="folder with combined_windows.json and data/")
    parser.add_argument("--quick", action="store_true", help="a tenth of the fleet")
    parser.add_argument("--no-fleet", action="store_true", help="the corpus only")
    given = parser.parse_args(arguments)
    if not given.data:
        say("which data? make bench-anomaly DATA=folder, where folder holds combined_windows.json and data/")
        return 2
    try:
        corpus = nab.load(Path(given.data))
    except nab.BadCorpus as bad:
        say(str(bad))
        return 2
    result = report(corpus)
    if not given.no_fleet:
        from tests.bench import anomaly_fleet

        result["fleet"] = anomaly_fleet.report(say, devices=1_000 if given.quick else 10_000)
    print(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
