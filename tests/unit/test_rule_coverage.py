"""A rule that can never say anything about a device is named before somebody relies on it."""

from __future__ import annotations

from hub.documents import parse
from hub.model.places import Device, Name, Place
from hub.registry.snapshot import Registry
from hub.rules.coverage import Blind, blind
from hub.rules.ruleset import RuleSet, rules_of

_W = "{zh: 字, en: word}"
_REST = (
    f"cause: {_W}, consequence: {_W}, action: {_W}, respond_within_s: 60, responder: station, source: x, certainty: C"
)
NAME = Name(zh="字", en="word")
GRID, UNIT = "440399001001001", "u1"


def rules(*bodies: str) -> RuleSet:
    entries = "\n".join(f"  - {{{body}, name: {_W}, {_REST}}}" for body in bodies)
    document, complaints = parse(f"rules:\n{entries}", "here.yaml")
    assert document is not None, complaints
    return rules_of([document], complaints)


def town(*devices: tuple[str, str, str, float]) -> Registry:
    """Devices as (id, kind, place, interval in s)."""
    places = [
        Place(code="440399001", level="street", name=NAME),
        Place(code="440399001001", level="community", name=NAME, parent="440399001"),
        Place(code=GRID, level="grid", name=NAME, parent="440399001001"),
        Place(code=UNIT, level="unit", name=NAME, parent=GRID),
    ]
    each = (
        Device(slot=-1, id=id, kind=kind, name=NAME, place=place, grid=GRID, addresses=(f"a:{id}",), expected_interval_s=every)
        for id, kind, place, every in devices
    )  # fmt: skip
    return Registry.of(each, places=places)


def found(ruleset: RuleSet, registry: Registry) -> list[Blind]:
    return list(blind(ruleset, registry))


RISE = "id: rise, kind: rate_of_change, on: {device_kind: heat_detector, quantity: temperature_c}, severity: P1, when: {rises: 8, over_s: 90, min_samples: 4}"
SMOKE = (
    "id: smoke, kind: threshold, on: {device_kind: smoke_alarm, quantity: smoke}, severity: P1, when: {equals: true}"
)
TWO = "id: two, kind: correlate, on: {device_kind: smoke_alarm}, severity: P1, when: {area: unit, within_s: 300, any: [[{rule: smoke, count: 2}]]}"


def test_a_device_that_reports_too_seldom_for_a_slope_is_named() -> None:
    (one,) = found(
        rules(RISE), town(("often", "heat_detector", GRID, 30), ("seldom", "heat_detector", GRID, 31), ("any", "heat_detector", GRID, 0))
    )  # fmt: skip
    assert (one.rule.id, one.rule.file) == ("rise", "here.yaml")
    assert "1 device (such as seldom)" in one.message
    assert "30 s" in one.message


def test_a_stuck_sensor_is_not_found_by_readings_as_far_apart_as_half_the_time() -> None:
    stuck = (
        "id: stuck, kind: flatline, on: {device_kind: env, quantity: temperature_c}, severity: P4, when: {for_s: 3600}"
    )
    assert not found(rules(stuck), town(("a", "env", GRID, 1_799)))
    assert found(rules(stuck), town(("a", "env", GRID, 1_800)))


def test_a_detector_that_lies_in_no_unit_cannot_be_confirmed_by_another() -> None:
    registry = town(("in", "smoke_alarm", UNIT, 0), ("out", "smoke_alarm", GRID, 0), ("hot", "heat_detector", GRID, 0))
    (one,) = found(rules(SMOKE, TWO), registry)
    assert one.rule.id == "two"
    assert "1 device (such as out) lies in no unit" in one.message


def test_only_what_endangers_somebody_is_worth_a_word_about_areas() -> None:
    mild = TWO.replace("severity: P1", "severity: P4")
    assert not found(rules(SMOKE, mild), town(("out", "smoke_alarm", GRID, 0)))
