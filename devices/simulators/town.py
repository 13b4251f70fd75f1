"""Lays out an invented place of any size: streets, grids, buildings, stations with their crews, and devices of every family.

The same arguments give the same town, byte for byte. Nothing here is a real place; the county code 440399 is not given out.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from devices.simulators import townfiles
from devices.simulators.families import FAMILIES
from devices.simulators.townnames import (
    CARDINALS,
    KINDS,
    SPOTS,
    Named,
    community_name,
    compound_name,
    numbered,
    school_name,
    street_name,
)
from hub.model.places import Device, Name, Person, Place, Shift, Station

COUNTY = "440399"
ORIGIN = (22.548, 113.912)  # north-west corner: latitude, longitude
BLOCK = (0.0026, 0.0030)  # height and width of a block in degrees, about 290 m by 310 m
ROAD = 0.07  # share of a block that its roads take on each side
FEWEST = 40

YARD = (
    "gate", "charging_cabinet", "charging_socket", "fire_lane_camera", "charging_socket", "env", "water_pressure", "gate",
    "charging_cabinet", "charging_socket", "fire_lane_camera", "charging_socket", "meter",
)  # fmt: skip
INDOORS = (
    "smoke_alarm", "smoke_alarm", "door", "gas_detector", "smoke_alarm", "water_leak", "lock", "smoke_alarm", "co_alarm",
    "heat_detector", "smoke_alarm", "door", "meter", "smoke_alarm", "gas_detector",
)  # fmt: skip
ZIGBEE = frozenset(("smoke_alarm", "door", "gas_detector", "water_leak", "lock", "co_alarm", "meter"))
MAINS = frozenset(
    ("gate", "charging_cabinet", "charging_socket", "fire_lane_camera", "gateway", "siren", "gas_detector")
)
GATE_TAGS = (("access-control", "fire-lane"), ("access-control", "escape-route"))
"""Of the gate by which fire engines come in, the first of a yard, and of the others: what rules ask of them."""
SHIFTS = ((7 * 60, 15 * 60), (15 * 60, 23 * 60), (23 * 60, 7 * 60))

Point = tuple[float, float]  # longitude, latitude


@dataclass(frozen=True, slots=True)
class Town:
    """What a place consists of, as the values that the registry is made of."""

    site: str
    places: list[Place] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    stations: list[Station] = field(default_factory=list)
    devices: list[Device] = field(default_factory=list)
    outlines: dict[str, list[Point]] = field(default_factory=dict)  # grid code → closed ring


def town(
    devices: int = 300, *, seed: int = 1, site: str = "demo", zigbee_roots: Sequence[str] = ("zigbee2mqtt",)
) -> Town:
    """A town with exactly `devices` devices (at least 40), the hub and its canary among them.

    The first compounds, one for each of `zigbee_roots`, hold twice as many and speak Zigbee2MQTT indoors.
    """
    if devices < FEWEST:
        raise ValueError(f"a town needs at least {FEWEST} devices, not {devices}")
    return _Surveyor(devices, seed, site, tuple(zigbee_roots)).town


def write_town(
    folder: Path,
    *,
    devices: int = 300,
    seed: int = 1,
    site: str = "demo",
    zigbee_roots: Sequence[str] = ("zigbee2mqtt",),
) -> Town:
    """Writes the five registry files of `town(...)` into `folder` (made if missing; files of these names are replaced)."""
    made = town(devices, seed=seed, site=site, zigbee_roots=zigbee_roots)
    townfiles.write(folder, made.places, made.people, made.stations, made.devices, made.outlines)
    return made


@dataclass(slots=True)
class _Block:
    """One block between roads: a compound with its grids, or a dedicated grid (a school)."""

    tag: str  # short name in ids, e.g. c2 or s1
    home: str  # code that buildings hang under
    grids: list[str]
    corners: tuple[Point, Point, Point, Point]  # north-west, north-east, south-east, south-west
    weight: float
    name: Named
    zigbee_root: str = ""

    def at(self, u: float, v: float) -> Point:
        """The point at `u` (0 west … 1 east) and `v` (0 north … 1 south) of the block."""
        nw, ne, se, sw = self.corners
        lon = (nw[0] * (1 - u) + ne[0] * u) * (1 - v) + (sw[0] * (1 - u) + se[0] * u) * v
        lat = (nw[1] * (1 - u) + ne[1] * u) * (1 - v) + (sw[1] * (1 - u) + se[1] * u) * v
        return round(lon, 6), round(lat, 6)


class _Surveyor:
    def __init__(self, devices: int, seed: int, site: str, zigbee_roots: tuple[str, ...]) -> None:
        self.town = Town(site)
        self._random = random.Random(seed)
        self._names: set[str] = set()
        self._phones = 0
        compounds = max(1, round(devices / 75)) if devices <= 1_200 else max(16, round(devices / 300))
        self._blocks = self._lay_out(compounds, zigbee_roots)
        self._staff()
        self._own_devices()
        left = devices - len(self.town.devices)
        total = sum(block.weight for block in self._blocks)
        given = 0.0
        for block in self._blocks:
            before, given = round(left * given / total), given + block.weight
            self._equip(block, round(left * given / total) - before)

    # ---- places

    def _lay_out(self, compounds: int, zigbee_roots: tuple[str, ...]) -> list[_Block]:
        """Two compounds to a community, twenty communities to a street; each fourth compound has a school beside it."""
        blocks: list[_Block] = []
        schools = compounds // 4
        columns = max(2, round((compounds + schools) ** 0.5))
        community = street = ""
        grids = dedicated = 0
        for n in range(compounds):
            if n % 40 == 0:
                street = f"{COUNTY}{n // 40 + 1:03d}"
                self._place(street, "street", "", street_name(n // 40), f"officer-street-{n // 40 + 1}")
            if n % 2 == 0:
                community = f"{street}{n // 2 % 20 + 1:03d}"
                grids = dedicated = 0
                self._place(community, "community", street, community_name(n // 2), f"officer-community-{n // 2 + 1}")
            name = compound_name(n)
            home = f"{community}-c{n % 2 + 1}"
            self._place(home, "compound", community, name, f"property-{n + 1}")
            codes = []
            for part in range(2 if n % 4 == 3 else 3):
                grids += 1
                codes.append(f"{community}{grids:03d}")
                self._place(codes[-1], "grid", home, _part(name, part), f"worker-{codes[-1][-6:]}-{n + 1}")
            root = zigbee_roots[n] if n < len(zigbee_roots) else ""
            weight = 2.4 if root else 1.0
            blocks.append(_Block(f"c{n + 1}", home, codes, self._corners(len(blocks), columns), weight, name, root))
            if n % 4 == 3:
                dedicated += 1
                name, code = school_name(n // 4), f"{community}9{dedicated:02d}"
                self._place(code, "grid", community, name, f"worker-{code[-6:]}-{n + 1}", dedicated=True)
                corners = self._corners(len(blocks), columns)
                blocks.append(_Block(f"s{n // 4 + 1}", code, [code], corners, 0.6, name))
        for block in blocks:
            parts = len(block.grids)
            for part, code in enumerate(block.grids):
                west, east = part / parts, (part + 1) / parts
                ring = [block.at(west, 0), block.at(west, 1), block.at(east, 1), block.at(east, 0)]
                self.town.outlines[code] = [*ring, ring[0]]
        return blocks

    def _corners(self, n: int, columns: int) -> tuple[Point, Point, Point, Point]:
        """Block `n` of the lattice, a little crooked as towns are; the crookedness is less than the road."""
        row, column = divmod(n, columns)
        south, west = ORIGIN[0] - row * BLOCK[0], ORIGIN[1] + column * BLOCK[1]

        def corner(u: float, v: float) -> Point:
            bend = [self._random.uniform(-0.8, 0.8) * ROAD for _ in range(2)]
            return west + (u + bend[0]) * BLOCK[1], south - (v + bend[1]) * BLOCK[0]

        near, far = ROAD, 1 - ROAD
        return corner(near, near), corner(far, near), corner(far, far), corner(near, far)

    def _place(
        self, code: str, level: str, parent: str, name: Named, responsible: str = "", dedicated: bool = False
    ) -> None:
        self.town.places.append(
            Place(
                code=code,
                level=level,  # type: ignore[arg-type]  # our own words
                name=Name(zh=name[0], en=name[1]),
                parent=parent,
                dedicated=dedicated,
                responsible=responsible,
            )
        )
        if responsible:
            role, title = _role(responsible)
            self._person(responsible, role, (f"{name[0]}{title[0]}", f"{title[1]}, {name[1]}"))

    # ---- people

    def _person(self, person_id: str, role: str, name: Named) -> str:
        self._phones += 1
        self.town.people.append(
            Person(
                id=person_id,
                name=Name(zh=name[0], en=name[1]),
                role=role,
                phone=f"138{self._phones:08d}",
                contacts=(("console", ""),),
                verified=("console",),
            )
        )
        return person_id

    def _staff(self) -> None:
        """A station for about four grids: a head and nine, three on duty at any hour, neighbours as mutual aid."""
        codes = [code for block in self._blocks for code in block.grids]
        count = max(2, round(len(codes) / 4))  # two even in the smallest town, so that each has a backup
        groups = [codes[len(codes) * n // count : len(codes) * (n + 1) // count] for n in range(count)]
        for n, grids in enumerate(groups):
            station, name = f"st-{n + 1}", numbered(n, ("微型消防站", "Micro fire station"))
            head = self._person(f"{station}-head", "station_head", (f"{name[0]}站长", f"Head, {name[1]}"))
            crew = [
                self._person(f"{station}-crew-{c}", "crew", (f"{name[0]}队员{c}", f"Crew {c}, {name[1]}"))
                for c in range(1, 10)
            ]
            shifts = [Shift(people=(head, *crew[:3]), start_min=SHIFTS[0][0], end_min=SHIFTS[0][1])]
            for s, (start, end) in enumerate(SHIFTS[1:], start=1):
                shifts.append(Shift(people=tuple(crew[3 * s : 3 * s + 3]), start_min=start, end_min=end))
            block = next(b for b in self._blocks if grids[0] in b.grids)
            lon, lat = block.at(0.5, 0.95)
            others = [(n + step) % count for step in (1, -1)]
            self.town.stations.append(
                Station(
                    id=station,
                    name=Name(zh=name[0], en=name[1]),
                    grids=tuple(grids),
                    backups=tuple(dict.fromkeys(f"st-{other + 1}" for other in others)),
                    head=head,
                    members=(head, *crew),
                    roster=tuple(shifts),
                    contacts=(
                        ("webhook", f"crew-{station}"),
                        ("siren", f"sc/v1/{self.town.site}/{station}/siren/cmd"),
                        ("console", ""),
                    ),
                    lat=lat,
                    lon=lon,
                )
            )
        self._person("maintainer-1", "maintainer", ("安全中枢运维员", "Maintainer of the safety hub"))

    # ---- devices

    def _own_devices(self) -> None:
        """The hub, its canary, and the siren of each station."""
        first = self._blocks[0]
        place, grid = first.home, first.grids[0]
        self._device("hub", "hub", ("社区安全中枢", "Community safety hub"), place, grid, "hub/-", supervision="none")
        canary = ("自检探针", "Self-test canary")
        self._device("canary", "canary", canary, place, grid, "hub/canary", supervision="none", tags=("canary",))
        home = {code: block.home for block in self._blocks for code in block.grids}
        for station in self.town.stations:
            name = (f"{station.name.zh}警笛", f"Siren, {station.name.en}")
            at = (station.lon or 0.0, station.lat or 0.0)
            grid = station.grids[0]
            node = (
                f"native-v1:{self.town.site}/{station.id}/-",
            )  # the siren is its own node: a lost connection is its own
            self._device(
                f"siren-{station.id}", "siren", name, home[grid], grid, f"{station.id}/siren", at=at, also=node
            )

    def _equip(self, block: _Block, quota: int) -> None:
        """Gives `block` exactly `quota` devices: gateways, what stands in the yard, and the rest behind doors."""
        buildings = max(1, min(round(quota / 19), quota // 6))
        yard = max(1, round(quota * 0.17)) if quota > buildings + 2 else 0
        yard_gateway = f"gw-{block.tag}-yard"
        if quota <= 0:
            return
        self._gateway(yard_gateway, block, block.grids[0], block.home, ("庭院网关", "Yard gateway"))
        quota -= 1
        for n in range(min(yard, quota)):
            kind = YARD[n % len(YARD)]
            grid = n % len(block.grids)
            label = KINDS[kind]
            name = (f"{CARDINALS[n % 4][0]}{label.zh}{n + 1}", f"{CARDINALS[n % 4][1]} {label.en} {n + 1}")
            u = (grid + self._random.uniform(0.1, 0.9)) / len(block.grids)
            at = block.at(u, self._random.uniform(0.05, 0.95))
            device_id = f"{label.short}-{block.tag}-{n + 1:02d}"
            address = f"{yard_gateway}/{device_id}"
            place, tags = block.home, GATE_TAGS[n > 0] if kind == "gate" else ()
            self._device(
                device_id, kind, name, place, block.grids[grid], address, parent=yard_gateway, tags=tags, at=at
            )
        quota -= min(yard, quota)
        bridge = ""
        if block.zigbee_root and quota > 0:
            bridge = f"z2m-{block.tag}"
            self._gateway(
                bridge, block, block.grids[0], block.home, ("Zigbee 网关", "Zigbee gateway"), block.zigbee_root
            )
            quota -= 1
        for n in range(buildings):
            share = quota * (n + 1) // buildings - quota * n // buildings
            self._build(block, n, buildings, share, bridge)

    def _build(self, block: _Block, n: int, buildings: int, share: int, bridge: str) -> None:
        code = f"{block.home}-b{n + 1}"
        part = n * len(block.grids) // buildings
        members = [m for m in range(buildings) if m * len(block.grids) // buildings == part]
        v = (members.index(n) + 0.5) / len(members)
        lon, lat = block.at((part + self._random.uniform(0.3, 0.7)) / len(block.grids), 0.1 + 0.75 * v)
        name = Name(zh=f"{n + 1}栋", en=f"Building {n + 1}")
        self.town.places.append(Place(code=code, level="building", name=name, parent=block.home, lat=lat, lon=lon))
        units = self._random.randint(1, 3)
        floors = self._random.choice((6, 7, 11, 18, 26))
        for unit in range(1, units + 1):
            name = Name(zh=f"{unit}单元", en=f"Unit {unit}")
            self.town.places.append(Place(code=f"{code}-u{unit}", level="unit", name=name, parent=code))
        grid, gateway = block.grids[part], f"gw-{block.tag}-b{n + 1}"
        if share <= 0:
            return
        self._gateway(gateway, block, grid, code, ("弱电井网关", "Riser gateway"))
        start = self._random.randrange(3)
        for d in range(share - 1):
            kind = INDOORS[(start + d) % len(INDOORS)]
            label = KINDS[kind]
            unit = d % units + 1
            floor = self._random.randint(1, floors)
            spot = self._random.choice(SPOTS[kind])
            room = f"{floor}{self._random.randint(1, 4):02d}"
            name = Name(zh=f"{room}室{spot[0]}{label.zh}", en=f"Room {room} {spot[1]} {label.en}")
            device_id = f"{label.short}-{block.tag}b{n + 1}-{d + 1:02d}"
            place = f"{code}-u{unit}"
            if bridge and kind in ZIGBEE:
                friendly = self._unique(f"{block.name[0]}{n + 1}栋 {unit}单元 {name.zh}")
                address, parent = f"zigbee2mqtt:{block.zigbee_root}/{friendly}", bridge
            else:
                address, parent = f"{gateway}/{device_id}", gateway
            self._device(device_id, kind, (name.zh, name.en), place, grid, address, parent=parent)

    def _gateway(
        self, device_id: str, block: _Block, grid: str, place: str, name: Named, zigbee_root: str = ""
    ) -> None:
        also = (f"zigbee2mqtt:{zigbee_root}/bridge",) if zigbee_root else ()
        self._device(device_id, "gateway", name, place, grid, f"{device_id}/-", also=also)

    def _device(
        self,
        device_id: str,
        kind: str,
        name: Named,
        place: str,
        grid: str,
        address: str,
        *,
        parent: str = "",
        supervision: str = "",
        tags: tuple[str, ...] = (),
        at: Point | None = None,
        also: tuple[str, ...] = (),
    ) -> None:
        """Adds a device; `address` is native (node/device) unless it names another codec."""
        family = FAMILIES.get(kind)
        native = address if ":" in address else f"native-v1:{self.town.site}/{address}"
        self.town.devices.append(
            Device(
                slot=len(self.town.devices),
                id=device_id,
                kind=kind,
                name=Name(zh=name[0], en=name[1]),
                place=place,
                grid=grid,
                addresses=(native, *also),
                parent=parent,
                model=KINDS[kind].model,
                expected_interval_s=family.interval_s if family else 0.0,
                supervision=supervision
                or ("mains" if kind in MAINS else "nbiot" if kind == "water_pressure" else "radio"),
                tags=tags,
                lat=at[1] if at else None,
                lon=at[0] if at else None,
            )
        )

    def _unique(self, name: str) -> str:
        found, n = name, 1
        while found in self._names:
            n += 1
            found = f"{name} {n}"
        self._names.add(found)
        return found


def _part(compound: Named, part: int) -> Named:
    return f"{compound[0]}第{'一二三'[part]}网格", f"{compound[1]} Grid {part + 1}"


def _role(person: str) -> tuple[str, Named]:
    if person.startswith("officer-street"):
        return "street_officer", ("网格长", "Street grid chief")
    if person.startswith("officer-community"):
        return "community_officer", ("网格长", "Community grid chief")
    if person.startswith("property"):
        return "property", ("物业网格长", "Property grid chief")
    return "grid_worker", ("网格员", "Grid worker")
