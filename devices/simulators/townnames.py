"""Names for an invented town, in both languages. All of them are made up from harmless words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

Named = tuple[str, str]
"""Chinese and English."""


@dataclass(frozen=True, slots=True)
class Label:
    """How a kind of device is called, in names, in ids, and as a model."""

    zh: str
    en: str
    short: str
    model: str


KINDS: Final[dict[str, Label]] = {
    "smoke_alarm": Label("烟感", "smoke alarm", "smoke", "SD-100"),
    "heat_detector": Label("温感", "heat detector", "heat", "HD-57"),
    "co_alarm": Label("一氧化碳报警器", "CO alarm", "co", "CO-50"),
    "gas_detector": Label("燃气报警器", "gas detector", "gas", "GD-10"),
    "charging_cabinet": Label("电动自行车充电柜", "e-bike charging cabinet", "cabinet", "CC-12"),
    "charging_socket": Label("充电插座", "charging socket", "socket", "CS-2"),
    "gate": Label("道闸", "gate", "gate", "GT-1"),
    "door": Label("门磁", "door contact", "door", "DC-3"),
    "lock": Label("门锁", "lock", "lock", "LK-7"),
    "meter": Label("电表", "meter", "meter", "EM-1"),
    "water_leak": Label("水浸", "leak sensor", "leak", "WL-2"),
    "water_pressure": Label("消防水压", "hydrant pressure gauge", "pressure", "WP-16"),
    "fire_lane_camera": Label("消防通道摄像机", "fire lane camera", "lane", "FC-4"),
    "gateway": Label("网关", "gateway", "gw", "GW-8"),
    "env": Label("环境监测", "weather station", "env", "EV-5"),
    "siren": Label("警笛", "siren", "siren", "SR-110"),
    "hub": Label("中枢", "hub", "hub", ""),
    "canary": Label("自检探针", "canary", "canary", ""),
}

_CORRIDOR: Final[Named] = ("门外走道", "landing")
_KITCHEN: Final[Named] = ("厨房", "kitchen")
_LIVING: Final[Named] = ("客厅", "living room")
_ENTRANCE: Final[Named] = ("入户", "entrance")

SPOTS: Final[dict[str, tuple[Named, ...]]] = {
    "smoke_alarm": (_CORRIDOR, _LIVING, ("卧室", "bedroom")),
    "heat_detector": (_KITCHEN,),
    "co_alarm": (("浴室", "bathroom"), _KITCHEN),
    "gas_detector": (_KITCHEN,),
    "door": (_ENTRANCE, ("楼梯间", "staircase")),
    "lock": (_ENTRANCE,),
    "meter": (("表箱", "meter box"),),
    "water_leak": (("阳台", "balcony"), ("浴室", "bathroom")),
}
"""Where in a flat each indoor kind hangs."""

CARDINALS: Final[tuple[Named, ...]] = (("东侧", "East"), ("南侧", "South"), ("西侧", "West"), ("北侧", "North"))

_WORDS: Final[tuple[Named, ...]] = (
    ("星桥", "Xingqiao"),
    ("鹭洲", "Luzhou"),
    ("棠溪", "Tangxi"),
    ("松影", "Songying"),
    ("听澜", "Tinglan"),
    ("竹汀", "Zhuting"),
    ("霁月", "Jiyue"),
    ("禾丰", "Hefeng"),
    ("青柚", "Qingyou"),
    ("枫渡", "Fengdu"),
    ("白榕", "Bairong"),
    ("云栖", "Yunqi"),
)
_COMPOUNDS: Final[tuple[Named, ...]] = (
    ("幸福里", "Xingfu Lane"),
    ("桂苑", "Gui Court"),
    ("望湖花园", "Lakeview Garden"),
    ("清风家园", "Breeze Homes"),
)
_STREETS: Final[tuple[Named, ...]] = (("金桂", "Jingui"), ("银杏", "Yinxing"), ("紫荆", "Zijing"), ("碧桃", "Bitao"))
_ENDINGS: Final[tuple[Named, ...]] = (
    ("苑", "Court"),
    ("花园", "Garden"),
    ("家园", "Homes"),
    ("新村", "Village"),
    ("里", "Lane"),
    ("台", "Terrace"),
)


def street_name(n: int) -> Named:
    """Name of the n-th street."""
    return _again(_STREETS, n, ("街道", " Street"))


def community_name(n: int) -> Named:
    """Name of the n-th community."""
    return _again(_WORDS, n, ("社区", " Community"))


def compound_name(n: int) -> Named:
    """Name of the n-th compound."""
    if n < len(_COMPOUNDS):
        return _COMPOUNDS[n]
    n -= len(_COMPOUNDS)
    ending = _ENDINGS[n // len(_WORDS) % len(_ENDINGS)]
    word = _WORDS[n % len(_WORDS)]
    again = n // (len(_WORDS) * len(_ENDINGS))
    phase = (f"{again + 1}期", f" Phase {again + 1}") if again else ("", "")
    return f"{word[0]}{ending[0]}{phase[0]}", f"{word[1]} {ending[1]}{phase[1]}"


def school_name(n: int) -> Named:
    """Name of the n-th school."""
    return _again(_WORDS, n + 1, ("小学", " Primary School"))


def numbered(n: int, what: Named) -> Named:
    """Number n + 1 of `what`."""
    return f"{n + 1}号{what[0]}", f"{what[1]} {n + 1}"


def _again(words: tuple[Named, ...], n: int, ending: Named) -> Named:
    word, again = words[n % len(words)], n // len(words)
    number = ("", "") if not again else (str(again + 1), f" {again + 1}")
    return f"{word[0]}{number[0]}{ending[0]}", f"{word[1]}{number[1]}{ending[1]}"
