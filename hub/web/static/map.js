// The grids as outlines and the open alerts as dots, drawn from the registry's GeoJSON. No tiles, no network.

import { arrange, s } from "./dom.js";
import { say, start } from "./start.js";

const WIDTH = 400;
const MARGIN = 14;

/** The outlines' own coordinates on a flat piece of earth, north up. Null when no grid has an outline. */
function projection(grids) {
  const points = grids.flatMap((grid) => rings(grid.outline).flat());
  if (!points.length) return null;
  const lons = points.map((p) => p[0]);
  const lats = points.map((p) => p[1]);
  const west = Math.min(...lons);
  const north = Math.max(...lats);
  const squeeze = Math.cos((((north + Math.min(...lats)) / 2) * Math.PI) / 180);
  const wide = Math.max((Math.max(...lons) - west) * squeeze, 1e-6);
  const high = Math.max(north - Math.min(...lats), 1e-6);
  const scale = Math.min((WIDTH - 2 * MARGIN) / wide, (WIDTH * 0.9 - 2 * MARGIN) / high);
  const left = (WIDTH - wide * scale) / 2;
  return {
    height: high * scale + 2 * MARGIN,
    at: ([lon, lat]) => [left + (lon - west) * squeeze * scale, MARGIN + (north - lat) * scale],
  };
}

function rings(geometry) {
  if (!geometry) return [];
  if (geometry.type === "Polygon") return geometry.coordinates;
  if (geometry.type === "MultiPolygon") return geometry.coordinates.flat();
  return [];
}

export class GridMap {
  /** `pick.grid(code)` and `pick.alert(alert)` are called for a tap. */
  constructor(pick) {
    this.pick = pick;
    this.flat = projection(start.grids);
    this.shapes = new Map();
    this.dots = s("g", null);
    this.element = this.flat ? this.draw() : null;
  }

  draw() {
    const names = s("g", { class: "names" });
    const shapes = start.grids.filter((grid) => grid.outline).map((grid) => {
      const outline = rings(grid.outline).map((ring) => ring.map((p) => this.flat.at(p)));
      const shape = s("path", { class: "grid", d: outline.map((ring) => `M${ring.map((p) => p.map((v) => v.toFixed(1)).join(" ")).join("L")}Z`).join("") },
        s("title", null, say(grid.name)));
      const [x, y] = middle(outline[0] || []);
      names.append(s("text", { x: x.toFixed(1), y: y.toFixed(1) }, say(grid.name)));
      this.shapes.set(grid.code, { shape, middle: [x, y] });
      return shape;
    });
    return s("svg", { viewBox: `0 0 ${WIDTH} ${this.flat.height.toFixed(1)}`, role: "img" }, shapes, names, this.dots);
  }

  /** Shows the open alerts: the worst colours its grid, each is a dot where it is. */
  show(alerts, selected) {
    if (!this.element) return;
    for (const { shape } of this.shapes.values()) shape.setAttribute("class", "grid");
    for (const alert of [...alerts].reverse()) {
      const grid = this.shapes.get(alert.grid.code);
      if (grid) grid.shape.setAttribute("class", `grid ${alert.severity}`);
    }
    arrange(this.dots, [...alerts].reverse().map((alert) => this.dot(alert, alert.id === selected)).filter(Boolean));
  }

  dot(alert, selected) {
    const grid = this.shapes.get(alert.grid.code);
    const place = alert.lat !== null && alert.lon !== null ? this.flat.at([alert.lon, alert.lat]) : grid && grid.middle;
    if (!place) return null;
    const [cx, cy] = place.map((v) => v.toFixed(1));
    return s("g", { class: `dot ${alert.severity} ${alert.case_state} ${selected ? "selected" : ""}`, onclick: () => this.pick(alert) },
      s("circle", { class: "reach", cx, cy, r: 16 }),
      s("circle", { class: "mark", cx, cy, r: selected ? 8 : 6 }),
      s("title", null, `${alert.severity} ${say(alert.title)} · ${say(alert.place)}`));
  }
}

function middle(ring) {
  if (!ring.length) return [0, 0];
  const xs = ring.map((p) => p[0]);
  const ys = ring.map((p) => p[1]);
  return [(Math.min(...xs) + Math.max(...xs)) / 2, (Math.min(...ys) + Math.max(...ys)) / 2];
}
