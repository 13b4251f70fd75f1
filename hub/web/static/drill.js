// The banner of drills, on every page: while one is on in the reader's area, nobody takes its alarms for real ones, nor real ones for its.

import { h } from "./dom.js";
import { still } from "./finger.js";
import { ask } from "./hub_api.js";
import { fill, say, start } from "./start.js";
import { clock } from "./times.js";

const EVERY_MS = 15000;
const bar = h("div", { id: "drill", class: "drill-banner", role: "status", hidden: true });
document.querySelector("header.top").after(bar);

async function look() {
  if (document.visibilityState !== "visible") return;
  let found;
  try {
    found = await ask("/silences?kind=drill");
  } catch (error) {
    return; // what was known goes on standing there
  }
  const running = found.filter((drill) => drill.running);
  const lines = running.map((drill) => fill(start.drill_on, { place: say(drill.place_name), until: clock(drill.end_ms), reason: drill.reason, name: say(drill.by.name) }));
  if (bar.dataset.said === lines.join("\n")) return;
  still("drill", () => {
    bar.dataset.said = lines.join("\n");
    bar.replaceChildren(...lines.map((line) => h("p", null, line)));
    bar.hidden = !lines.length;
  });
}

document.addEventListener("visibilitychange", look);
setInterval(look, EVERY_MS);
look();
