// Alerts of one incident as one line with a count that opens.

import { arrange, h } from "./dom.js";
import { say, t } from "./start.js";

const opened = new Set(); // incidents that the reader opened: they stay open when the page is drawn anew
const drawn = new Map(); // incident id → its elements

/**
 * The list's elements: `alerts` in their order, those of one incident folded into a line where the first of them stands.
 * `make(alert)` gives an alert's card, `redraw()` is called when a reader opens or closes a line.
 */
export function folded(alerts, make, redraw) {
  const groups = new Map();
  for (const alert of alerts) {
    const key = alert.incident_id || alert.id;
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(alert);
  }
  for (const id of [...drawn.keys()]) if (!groups.has(id)) drawn.delete(id);
  return [...groups.entries()].map(([id, members]) => (members.length > 1 ? line(id, members, make, redraw) : make(members[0])));
}

/** Opens the line in which the alert stands, so that it can be seen. */
export function unfold(alert) {
  if (alert.incident_id) opened.add(alert.incident_id);
}

function line(id, members, make, redraw) {
  if (!drawn.has(id)) drawn.set(id, frame(id, redraw));
  const { element, count, place, badge, title, cards } = drawn.get(id);
  const first = members[0];
  element.className = `incident ${first.severity} ${members.some((alert) => alert.acked_at_ms === null) ? "unanswered" : ""}`;
  badge.textContent = first.severity;
  title.textContent = say(first.title);
  place.textContent = shared(members.map((alert) => say(alert.place)));
  count.textContent = t("incident_n", { n: members.length });
  if (element.open !== opened.has(id)) element.open = opened.has(id);
  arrange(cards, opened.has(id) ? members.map(make) : []);
  return element;
}

function frame(id, redraw) {
  const [badge, title, place, count] = ["badge", "title", "muted", "incident-count"].map((name) => h("span", { class: name }));
  const cards = h("div", { class: "incident-cards" });
  const summary = h("summary", { data: { key: `incident:${id}` } }, badge, h("span", { class: "incident-text" }, title, place), count);
  const element = h("details", { data: { incident: id } }, summary, cards);
  element.addEventListener("toggle", () => {
    if (element.open === opened.has(id)) return;
    if (element.open) opened.add(id);
    else opened.delete(id);
    redraw();
  });
  return { element, badge, title, place, count, cards };
}

/** What all places have in common, word by word: the building of several flats. */
function shared(places) {
  const split = places.map((place) => place.split(place.includes(", ") ? /(?<=, )/ : /(?<= )/));
  const words = [];
  for (const [n, word] of split[0].entries()) {
    if (!split.every((other) => bare(other[n]) === bare(word))) break;
    words.push(word);
  }
  return bare(words.join("")) || places[0];
}

function bare(word) {
  return (word || "").replace(/[, ]+$/, "");
}
