"""The example place under the shipped rules: what a simulated town says goes through codecs, screen and engine, without a broker."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from devices.simulators.behaviours import Cue
from hub.cli.simulate_play import play
from hub.model.rules import ConditionEvent
from hub.registry.loader import load
from hub.registry.snapshot import Registry
from hub.rules.ruleset import RuleSet, load_rules

CONFIG = Path(__file__).resolve().parents[2] / "config"
SOURCES = (("native-v1", "sc/v1"), ("zigbee2mqtt", "zigbee2mqtt"))


@functools.cache
def example() -> tuple[Registry, RuleSet]:
    """The place and the rules of `config`."""
    return load(CONFIG / "registry"), load_rules(CONFIG / "rules")


def told(
    behaviours: Sequence[tuple[str, Cue]], *, start_ms: int, hours: float, step_s: int = 1, seed: int = 1
) -> list[ConditionEvent]:
    """What the shipped rules tell of the example place while these behaviours go on; a tick each `step_s`."""
    registry, rules = example()
    played = play(
        registry,
        rules,
        behaviours,
        sources=SOURCES,
        start_ms=start_ms,
        lasts_s=hours * 3_600,
        step_s=step_s,
        seed=seed,
    )
    assert not played.quarantined
    return played.events


def raised(events: Sequence[ConditionEvent]) -> Counter[tuple[str, str]]:
    """How often each rule was raised, with its severity."""
    return Counter((event.rule.severity, event.rule.id) for event in events if event.kind == "raised")
