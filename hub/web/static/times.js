// Time: the hub's clock (a phone's may be wrong), shown in the time zone of the site.

import { start } from "./start.js";

let ahead = 0;

/** Takes the hub's time from a message that has just come in. */
export function setHubTime(nowMs) {
  ahead = nowMs - Date.now();
}

/** Milliseconds since 1970 by the hub's clock. */
export function now() {
  return Date.now() + ahead;
}

const CLOCK = new Intl.DateTimeFormat("en-GB", {
  timeZone: start.zone, hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});
const DAY = new Intl.DateTimeFormat(start.locale, { timeZone: start.zone, month: "numeric", day: "numeric" });

/** 12:03:05, with the day in front when it is not today. */
export function clock(ms) {
  const at = new Date(ms);
  const day = DAY.format(at);
  return day === DAY.format(new Date(now())) ? CLOCK.format(at) : `${day} ${CLOCK.format(at)}`;
}

/** 00:45, 1:02:03. */
export function span(ms) {
  const all = Math.max(0, Math.floor(ms / 1000));
  const two = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(all / 3600);
  const rest = `${two(Math.floor(all / 60) % 60)}:${two(all % 60)}`;
  return hours ? `${hours}:${rest}` : rest;
}

/** Keeps every shown timer right: [data-since] counts up, [data-until] counts down, then up as overdue, under another label (data-late). */
export function tick(root) {
  const at = now();
  for (const element of root.querySelectorAll("[data-since]")) {
    set(element, span(at - Number(element.dataset.since)));
  }
  for (const element of root.querySelectorAll("[data-until]")) {
    const left = Number(element.dataset.until) - at;
    element.classList.toggle("overdue", left < 0);
    set(element, left < 0 ? span(-left) : span(left + 999));
    if (element.dataset.late && left < 0) set(element.previousElementSibling, element.dataset.late);
  }
}

function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
