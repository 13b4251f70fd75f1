// Who is on duty and who is responsible, from the stations and grids that the reader sees.

import { start, t, say } from "./start.js";
import { h, icon } from "./dom.js";

/** A name without what the line says already: "Station 1 crew 7" beside "Station 1" is "crew 7". */
function short(name, beside) {
  const rest = beside && name.includes(beside) ? name.replace(beside, "").replace(/^[\s,，·]+|[\s,，·]+$/g, "") : name;
  return rest || name;
}

/** A person's name, as it reads beside a station's or grid's; with a full phone number, a link that calls. */
export function person(someone, beside) {
  const name = short(say(someone.name), beside);
  if (!/^\+?[0-9 -]{3,}$/.test(someone.phone)) return h("span", { class: "person" }, name);
  return h(
    "a",
    { class: "person call", href: `tel:${someone.phone.replace(/[ -]/g, "")}`, "aria-label": t("call", { name }), onclick: (e) => e.stopPropagation() },
    icon("phone"), name,
  );
}

export function gridOf(code) {
  return start.grids.find((grid) => grid.code === code) || null;
}

export function stationOf(stations, id) {
  return stations.find((station) => station.id === id) || null;
}

/** "North station: Zhang San, Li Si; grid leader Wang Wu" as elements. */
export function responsible(alert, stations, most) {
  const parts = [];
  const station = stationOf(stations, alert.station.id);
  const crew = station ? station.on_duty.slice(0, most) : [];
  parts.push(h("span", { class: "who-group" }, h("span", { class: "who-of" }, say(alert.station.name) || t("no_station")), ...crew.map((p) => person(p, say(alert.station.name))),
    station && crew.length === 0 ? h("span", { class: "gap" }, t("nobody_on_duty")) : null));
  const grid = gridOf(alert.grid.code);
  if (grid && grid.responsible) {
    parts.push(h("span", { class: "who-group" }, h("span", { class: "who-of" }, say(alert.grid.name)), person(grid.responsible, say(alert.grid.name))));
  }
  return parts;
}

/** Who is on duty at `station`, and how many are missing. */
export function duty(station) {
  const gap = station.missing
    ? h("span", { class: "gap" }, station.on_duty.length ? t("missing", { n: station.missing }) : t("nobody_on_duty"))
    : null;
  return [...station.on_duty.map((p) => person(p, say(station.name))), gap];
}
