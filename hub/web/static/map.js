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
  const scale = Math.min((WIDTH - 2 * MARGIN) / wide, (WIDTH * 1.1 - 2 * MARGIN) / high);
  return {
    width: wide * scale + 2 * MARGIN,
    height: high * scale + 2 * MARGIN,
    at: ([lon, lat]) => [MARGIN + (lon - west) * squeeze * scale, MARGIN + (north - lat) * scale],
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
      names.append(label(say(grid.name), x, y, width(outline[0] || [])));
      this.shapes.set(grid.code, { shape, middle: [x, y] });
      return shape;
    });
    return s("svg", { viewBox: `0 0 ${this.flat.width.toFixed(1)} ${this.flat.height.toFixed(1)}`, role: "img" }, shapes, this.dots, names);
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

const LETTER = 10;
const SMALLEST = 6;

/** A name in as many lines as its outline is narrow; Chinese breaks anywhere, other writing between words. */
function label(name, x, y, room) {
  const most = Math.max(2, Math.floor(room / LETTER));
  const pieces = /[\u3400-\u9fff]/.test(name) ? [...name] : name.split(" ").map((word, n) => (n ? ` ${word}` : word));
  const size = (text) => [...text].reduce((sum, c) => sum + (c > "\u2fff" ? 1 : 0.62), 0);
  const lines = [];
  for (const piece of pieces) {
    const last = lines[lines.length - 1];
    if (last !== undefined && size(last + piece) <= most) lines[lines.length - 1] = last + piece;
    else lines.push(piece.trim());
  }
  // A word that is wider than its outline is written smaller, or it would lie over the neighbour's name.
  const letter = Math.min(LETTER, Math.max(SMALLEST, room / Math.max(...lines.map(size), 1)));
  const top = y - ((lines.length - 1) * letter * 1.15) / 2;
  const text = s("text", null, lines.map((line, n) => s("tspan", { x: x.toFixed(1), y: (top + n * letter * 1.15).toFixed(1) }, line)));
  text.style.fontSize = `${letter.toFixed(1)}px`;
  return text;
}

function width(ring) {
  if (ring.length < 3) return 0;
  // Half way up, so that a slanting outline is not taken for a wide one.
  const [, y] = middle(ring);
  const cuts = ring.flatMap((p, n) => {
    const q = ring[(n + 1) % ring.length];
    return (p[1] > y) === (q[1] > y) ? [] : [p[0] + ((y - p[1]) / (q[1] - p[1])) * (q[0] - p[0])];
  });
  return cuts.length ? Math.max(...cuts) - Math.min(...cuts) - 4 : 0;
}

function middle(ring) {
  if (!ring.length) return [0, 0];
  const xs = ring.map((p) => p[0]);
  const ys = ring.map((p) => p[1]);
  return [(Math.min(...xs) + Math.max(...xs)) / 2, (Math.min(...ys) + Math.max(...ys)) / 2];
}
