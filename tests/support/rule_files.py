"""A handful of rules in files, for tests of editing: the shipped ones change, and these do not."""

from __future__ import annotations

from pathlib import Path

_WORDS = """    cause: {{zh: "{zh}", en: "{en}"}}
    consequence: {{zh: "无人处理则恶化", en: "Gets worse if nobody comes"}}
    action: {{zh: "到场核实", en: "Go there and verify"}}
    respond_within_s: 300
    responder: {responder}
    source: "chosen here"
    certainty: C
"""


def _rule(head: str, zh: str, en: str, responder: str = "station") -> str:
    return head + _WORDS.format(zh=zh, en=en, responder=responder)


OVERHEAT = _rule(
    """  - id: cabinet-overheat
    kind: threshold
    name: {zh: "充电柜内高温", en: "Charging cabinet hot inside"}
    on: {device_kind: charging_cabinet, quantity: temperature_c}
    when: {above: 55, clear_below: 50, hold_s: 300}
    severity: P2
""",
    "通风故障",
    "Failed ventilation",
    "property",
)
CABINET_SMOKE = _rule(
    """  - id: cabinet-smoke
    kind: threshold
    name: {zh: "充电柜烟雾", en: "Charging cabinet smoke"}
    on: {device_kind: charging_cabinet, quantity: smoke}
    when: {equals: true}
    severity: P1
    latch: true
""",
    "电池热失控",
    "Thermal runaway",
)
SMOKE = _rule(
    """  - id: smoke-alarm
    kind: threshold
    name: {zh: "烟雾报警", en: "Smoke alarm"}
    on: {device_kind: smoke_alarm, quantity: smoke}
    when: {equals: true}
    severity: P1
    latch: true
""",
    "起火或浓烟",
    "Fire or dense smoke",
)
BATTERY = _rule(
    """  - id: smoke-battery-low
    kind: threshold
    name: {zh: "探测器电池低", en: "Detector battery low"}
    on: {device_kind: [smoke_alarm, heat_detector], quantity: battery_low}
    when: {equals: true}
    severity: P3
""",
    "电池耗尽",
    "The battery is running out",
    "grid_worker",
)
FORCED = _rule(
    """  - id: forced-open
    kind: threshold
    name: {zh: "强行开门", en: "Forced open"}
    on: {device_kind: [gate, door], quantity: forced_open}
    when: {equals: true}
    severity: P2
""",
    "强行闯入",
    "Somebody broke in",
)
OFFLINE = _rule(
    """  - id: battery-device-offline
    kind: offline
    name: {zh: "电池设备失联", en: "Battery device lost"}
    on: {device_kind: [smoke_alarm, heat_detector]}
    severity: P3
""",
    "断电或故障",
    "Without power, or broken",
    "grid_worker",
)
_LINK = "# yaml-language-server: $schema=../schema/rules.schema.json\n"
FILES = {
    "cabinet.yaml": f"{_LINK}rules:\n{OVERHEAT}\n  # at once: a battery that smokes burns soon\n{CABINET_SMOKE}",
    "gate.yaml": f"{_LINK}rules:\n{FORCED}",
    "smoke.yaml": f"{_LINK}rules:\n{SMOKE}\n{BATTERY}",
    "supervision.yaml": f"{_LINK}rules:\n{OFFLINE}",
}


def write_rules(folder: Path) -> Path:
    """Puts the files, and nothing else, into `folder`, which is made."""
    folder.mkdir(parents=True)
    for name, text in FILES.items():
        (folder / name).write_text(text, "utf-8")
    return folder
