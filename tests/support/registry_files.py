"""The smallest folder of registry files that is whole: two grids, a dedicated one, two stations, six devices."""

from __future__ import annotations

from pathlib import Path

PLACES = """\
places:
  - {code: "440399001", level: street, name: {zh: 街道, en: Street}, responsible: chief}
  - {code: "440399001001", level: community, name: {zh: 社区, en: Community}, parent: "440399001", responsible: chief}
  - {code: "440399001001-c1", level: compound, name: {zh: 小区, en: Court}, parent: "440399001001", responsible: chief}
  - {code: "440399001001001", level: grid, name: {zh: 一网格, en: Grid 1}, parent: "440399001001-c1", responsible: worker}
  - {code: "440399001001002", level: grid, name: {zh: 二网格, en: Grid 2}, parent: "440399001001-c1", responsible: worker}
  - {code: "440399001001901", level: grid, name: {zh: 小学, en: School}, parent: "440399001001", dedicated: true, responsible: worker}
  - {code: "440399001001-c1-b1", level: building, name: {zh: 1栋, en: Building 1}, parent: "440399001001-c1", lat: 22.5, lon: 113.9, units: 2}
  - {code: "440399001001901-b1", level: building, name: {zh: 教学楼, en: Classrooms}, parent: "440399001001901"}
"""
PEOPLE = """\
people:
  - {id: chief, name: {zh: 网格长, en: Chief}, role: street_officer, phone: "13800000001", contacts: {console: ""}, verified: [console]}
  - {id: worker, name: {zh: 网格员, en: Worker}, role: grid_worker}
  - {id: ann, name: {zh: 甲, en: Ann}, role: crew}
  - {id: bob, name: {zh: 乙, en: Bob}, role: crew}
  - {id: cat, name: {zh: 丙, en: Cat}, role: crew}
"""
STATIONS = """\
stations:
  - id: north
    name: {zh: 北站, en: North}
    grids: ["440399001001001", "440399001001002"]
    backups: [south]
    head: ann
    members: [ann, bob, cat]
    contacts: {webhook: crew-north, console: ""}
    roster:
      - {from: "08:00", to: "20:00", people: [ann, bob, cat]}
      - {from: "20:00", to: "08:00", people: [ann, bob, cat]}
  - id: south
    name: {zh: 南站, en: South}
    grids: ["440399001001901"]
    backups: [north]
    contacts: {console: ""}
    roster:
      - {from: "00:00", to: "24:00", people: [ann, bob, cat]}
"""
DEVICES = """\
id,kind,name_zh,name_en,place,grid,addresses,parent,model,interval_s,supervision,tags,lat,lon
hub,hub,中枢,Hub,,440399001001001,native-v1:demo/hub/-,,,,none,,,
canary,canary,探针,Canary,,440399001001001,native-v1:demo/hub/canary,,,,none,canary,,
gw-1,gateway,网关,Gateway,440399001001-c1-b1,440399001001001,native-v1:demo/gw-1/-,,,30,mains,,,
smoke-1,smoke_alarm,走道烟感,Landing smoke,440399001001-c1-b1-u2,440399001001001,native-v1:demo/gw-1/smoke-1;zigbee2mqtt:zigbee2mqtt/烟感 一,gw-1,SD-1,600,radio,stairs;old,,
cabinet-1,charging_cabinet,充电柜,Cabinet,440399001001-c1,440399001001002,native-v1:demo/gw-1/cabinet-1,gw-1,,30,mains,,22.51,113.91
smoke-s1,smoke_alarm,教室烟感,"Smoke, classroom",440399001001901-b1,440399001001901,native-v1:demo/gw-1/smoke-s1,gw-1,,3600,nbiot,,,
"""
OUTLINES = """\
{"type": "FeatureCollection", "features": [
{"type": "Feature", "properties": {"code": "440399001001001"}, "geometry": {"type": "Polygon", "coordinates": [[[113.90, 22.50], [113.91, 22.50], [113.91, 22.51], [113.90, 22.50]]]}},
{"type": "Feature", "properties": {"code": "440399001001002"}, "geometry": {"type": "MultiPolygon", "coordinates": [[[[113.92, 22.50], [113.93, 22.50], [113.93, 22.51], [113.92, 22.50]]]]}},
{"type": "Feature", "properties": {"code": "440399001001901"}, "geometry": {"type": "Polygon", "coordinates": [[[113.94, 22.50], [113.95, 22.50], [113.95, 22.51], [113.94, 22.50]]]}}
]}
"""
FILES = {
    "places.yaml": PLACES,
    "people.yaml": PEOPLE,
    "stations.yaml": STATIONS,
    "devices.csv": DEVICES,
    "outlines.geojson": OUTLINES,
}


def write_small(folder: Path, **changed: str) -> Path:
    """Writes the files into `folder`; `changed` replaces whole texts by file stem, e.g. `people="people: []"`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in FILES.items():
        (folder / name).write_text(changed.get(name.partition(".")[0], text), "utf-8")
    return folder
