"""outlines.geojson: where the grids lie on the map."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hub.errors import Complaint
from hub.model.places import Place
from hub.registry.findings import Findings
from hub.registry.snapshot import Geometry

Ring = list[tuple[float, float]]


class _Wrong(Exception):
    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


def read_outlines(text: str, file: str, places: Mapping[str, Place] | None, findings: Findings) -> dict[str, Geometry]:
    """Grid code → geometry, from a FeatureCollection whose features name their grid in `properties.code`.

    `places` None = not known: whether the grids exist is not checked.
    """
    try:
        data = json.loads(text, parse_constant=_no_constants)
    except json.JSONDecodeError as bad:
        findings.complaints.append(
            Complaint(file=file, line=bad.lineno, key="", message=f"not valid JSON: {bad.msg}", remedy="see this line")
        )
        return {}
    except (RecursionError, ValueError) as bad:
        message = "nested too deep" if isinstance(bad, RecursionError) else str(bad)
        findings.complaints.append(
            Complaint(file=file, line=None, key="", message=f"not valid GeoJSON: {message}", remedy="export it again")
        )
        return {}
    if (
        not isinstance(data, dict)
        or data.get("type") != "FeatureCollection"
        or not isinstance(data.get("features"), list)
    ):
        findings.complaints.append(
            Complaint(
                file=file,
                line=1,
                key="type",
                message="not a GeoJSON FeatureCollection",
                remedy='write {"type": "FeatureCollection", "features": […]}',
            )
        )
        return {}
    outlines: dict[str, Geometry] = {}
    grids = None if places is None else {c for c, place in places.items() if place.level == "grid"}
    for n, feature in enumerate(data["features"]):
        code = _code(feature)
        line = _line(text, code)
        try:
            if not code or (grids is not None and findings.is_lost(code, grids)):
                raise _Wrong(
                    f"no grid '{code}'" if code else "the feature names no grid",
                    findings.near(code, grids or (), "set properties.code to the code of a grid, in quotes"),
                )
            if code in outlines:
                raise _Wrong(f"grid '{code}' has an outline already", "keep one; several parts make one MultiPolygon")
            outlines[code] = _checked(feature.get("geometry"))
        except _Wrong as wrong:
            findings.complaints.append(
                Complaint(file=file, line=line, key=f"features.{n}", message=wrong.message, remedy=wrong.remedy)
            )
    missing = sorted((grids or set()) - outlines.keys())
    if missing:
        shown = ", ".join(missing[:5]) + (" …" if len(missing) > 5 else "")
        findings.warnings.append(
            Complaint(
                file=file,
                line=None,
                key="features",
                message=f"{len(missing)} grid(s) without outline: {shown}",
                remedy="draw them; the map shows such a grid by its devices only",
            )
        )
    return outlines


def _no_constants(word: str) -> float:
    raise ValueError(f"{word} is not a JSON number")


def _code(feature: Any) -> str:
    properties = feature.get("properties") if isinstance(feature, dict) else None
    code = properties.get("code", "") if isinstance(properties, dict) else ""
    return code if isinstance(code, str) else ""


def _line(text: str, code: str) -> int | None:
    """The line that names `code`. The standard reader of JSON keeps no lines, and a code stands in the file once."""
    at = text.find(f'"{code}"') if code else -1
    return None if at < 0 else text.count("\n", 0, at) + 1


def _checked(geometry: Any) -> Geometry:
    if not isinstance(geometry, dict) or geometry.get("type") not in ("Polygon", "MultiPolygon"):
        raise _Wrong("the geometry is neither Polygon nor MultiPolygon", "draw the outline as an area")
    polygons = geometry.get("coordinates")
    if geometry["type"] == "Polygon":
        polygons = [polygons]
    if not isinstance(polygons, list) or not polygons:
        raise _Wrong("the geometry has no coordinates", "draw the outline as an area")
    for rings in polygons:
        if not isinstance(rings, list) or not rings:
            raise _Wrong("a polygon is a list of rings", 'write "coordinates": [[[lon, lat], …]]')
        for ring in rings:
            _check_ring(ring)
    return {"type": geometry["type"], "coordinates": geometry["coordinates"]}


def _check_ring(ring: Any) -> None:
    if not isinstance(ring, list) or len(ring) < 4:
        raise _Wrong("a ring needs at least four positions", "three corners and the first one again")
    for position in ring:
        if (
            not isinstance(position, list)
            or len(position) not in (2, 3)
            or any(isinstance(x, bool) or not isinstance(x, int | float) for x in position)
        ):
            raise _Wrong(f"{position!r:.60} is not a position", "write [lon, lat]")
        lon, lat = position[:2]
        if not (-180 <= lon <= 180 and -90 <= lat <= 90):
            swapped = -90 <= lon <= 90 and -180 <= lat <= 180
            raise _Wrong(
                f"[{lon}, {lat}] is out of range",
                "GeoJSON writes longitude first" if swapped else "longitude −180…180, latitude −90…90 (WGS 84)",
            )
    if ring[0] != ring[-1]:
        raise _Wrong("a ring is not closed", "end it with its first position")
