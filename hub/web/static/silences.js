// The page of silences, maintenance and drills: what is quiet now, making and ending it.

import { h } from "./dom.js";
import { ask } from "./hub_api.js";
import { lasts } from "./lasts.js";
import { kindName, say, start, t } from "./start.js";
import { clock, now } from "./times.js";
import { button, show } from "./watch.js";

const REFRESH_MS = 10000;
const TIMES_S = [1800, 3600, 2 * 3600, 4 * 3600, 8 * 3600, 86400, 3 * 86400, 7 * 86400];
let found = null;
let over = false;
let failed = "";
let form = null; // the form while somebody fills it in; it survives a redraw

async function load() {
  try {
    found = await ask(`/silences?over=${over}`);
    failed = "";
  } catch (error) {
    failed = error.message;
  }
  draw();
}

function draw() {
  show(() => [
    form || (start.makes ? h("button", { type: "button", class: "action primary", data: { key: "make" }, onclick: () => { form = newForm(); draw(); } }, t("make")) : null),
    !found ? (failed ? null : h("p", { class: "hint" }, t("loading"))) : found.length ? found.map(row) : h("p", { class: "hint" }, t("none")),
    h("label", { class: "check-line" }, h("input", { type: "checkbox", checked: over, data: { key: "over" }, onchange: (event) => { over = event.target.checked; load(); } }), t("show_over")),
  ].flat(), failed);
}

function row(one) {
  const state = one.running ? "running" : one.ended_at_ms === null && one.start_ms > now() ? "planned" : "over";
  const where = [one.place ? say(one.place_name) || one.place : "", one.device_kinds.map(kindName).join(t("between")), one.devices.join(" ")].filter(Boolean).join(" · ");
  const mayEnd = start.makes && state !== "over" && (start.grave || !(one.include_p1 || one.kind === "drill"));
  return h("section", { class: `watch-box silence ${one.kind} ${state}`, data: { id: one.id } },
    h("h2", null, t(`kind_${one.kind}`), h("span", { class: `state ${state}` }, state === "planned" ? t("planned", { at: clock(one.start_ms) }) : t(state)),
      one.include_p1 ? h("span", { class: "state p1" }, t("covers_p1")) : null),
    h("p", null, h("b", null, where || t("everywhere"))),
    h("p", null, one.reason),
    h("p", { class: "muted" }, t("until_by", { until: clock(one.end_ms), name: say(one.by.name) }), " · ", t("caught_n", { n: one.caught }),
      one.ended_at_ms !== null && one.ended_by ? ` · ${t("ended_by", { at: clock(one.ended_at_ms), name: one.ended_by.id === "hub" ? t("hub") : say(one.ended_by.name) })}` : null),
    one.tell.length ? h("p", { class: "muted" }, t("told", { who: one.tell.join(" ") })) : null,
    mayEnd ? button(t("end"), `end:${one.id}`, "", async () => {
      if (await sure()) await ask(`/silences/${one.id}`, { method: "DELETE" });
      await load();
    }) : null);
}

function sure() {
  const dialog = document.getElementById("ask");
  return new Promise((resolve) => {
    let answer = false;
    dialog.replaceChildren(h("form", { method: "dialog", onsubmit: () => { answer = true; } },
      h("h2", { id: "ask-title" }, t("end_sure")),
      h("div", { class: "ask-row" }, h("button", { type: "button", class: "action", onclick: () => dialog.close() }, t("cancel")), h("button", { type: "submit", class: "action primary" }, t("end")))));
    dialog.addEventListener("close", () => resolve(answer), { once: true });
    dialog.showModal();
  });
}

function newForm() {
  const field = (key, control) => h("label", { class: "field" }, h("span", null, t(key)), control);
  const select = (options) => h("select", null, options.map(([value, label]) => h("option", { value }, label)));
  const kind = select((start.grave ? ["silence", "maintenance", "drill"] : ["silence", "maintenance"]).map((one) => [one, t(`kind_${one}`)]));
  kind.id = "silence-kind";
  const hint = h("p", { class: "hint" });
  const place = select([["", t("place_none")], ...start.places.map((one) => [one.code, `${say(one.name)} (${one.code})`])]);
  place.id = "silence-place";
  const code = h("input", { type: "text", maxlength: "64", autocomplete: "off" });
  const deviceKind = select([["", t("all_kinds")], ...start.kinds.map((one) => [one, kindName(one)])]);
  const devices = h("input", { type: "text", maxlength: "4000", autocomplete: "off" });
  const begins = h("input", { type: "datetime-local" });
  const time = h("select", { id: "silence-time" });
  const p1 = h("input", { type: "checkbox", id: "silence-p1" });
  const warn = h("p", { class: "gap", hidden: true }, t("include_p1_warn"));
  const people = h("input", { type: "text", maxlength: "4000", autocomplete: "off" });
  const told = start.stations.map((one) => h("button", { type: "button", class: "choice", "aria-pressed": "false", data: { station: one.id }, onclick: (event) =>
    event.currentTarget.setAttribute("aria-pressed", String(event.currentTarget.getAttribute("aria-pressed") !== "true")) }, say(one.name)));
  const tell = h("div", { class: "field" }, h("span", null, t("tell")), h("div", { class: "choices" }, told), field("tell_people", people));
  const fires = start.grave ? h("label", { class: "check-line" }, p1, t("include_p1")) : null;
  const reason = h("textarea", { rows: "2", maxlength: "500", id: "silence-reason" });
  const wrong = h("p", { class: "trouble", role: "alert", hidden: true });
  const send = h("button", { type: "submit", class: "action primary" }, t("begin"));
  const fit = () => {
    const drill = kind.value === "drill";
    tell.hidden = !drill;
    if (fires) fires.hidden = drill;
    warn.hidden = drill || !p1.checked;
    hint.textContent = t(`what_${kind.value}`);
    const most = p1.checked && !drill ? Math.min(start.most_s[kind.value], start.most_p1_s) : start.most_s[kind.value];
    const before = Number(time.value) || 3600;
    time.replaceChildren(...TIMES_S.filter((s) => s <= most).map((s) => h("option", { value: String(s) }, lasts(s))));
    time.value = String(before <= most ? before : 3600);
  };
  kind.addEventListener("change", fit);
  p1.addEventListener("change", fit);
  const words = (text) => text.split(/[\s,，、]+/).filter(Boolean);
  const element = h("form", { class: "watch-box silence-form", onsubmit: async (event) => {
    event.preventDefault();
    send.disabled = true;
    wrong.hidden = true;
    const drill = kind.value === "drill";
    const from = begins.value ? fromWall(begins.value) : null;
    try {
      await ask("/silences", { method: "POST", body: {
        kind: kind.value, place: code.value.trim() || place.value, device_kinds: deviceKind.value ? [deviceKind.value] : [], devices: words(devices.value),
        start: from, end: Math.round((from === null ? now() : from) + Number(time.value) * 1000), include_p1: p1.checked && !drill, reason: reason.value.trim(),
        tell: drill ? [...told.filter((one) => one.getAttribute("aria-pressed") === "true").map((one) => one.dataset.station), ...words(people.value)] : [],
      } });
      form = null;
      await load();
    } catch (error) {
      wrong.textContent = [error.message, ...(error.fields || [])].join(" ");
      wrong.hidden = false;
      send.disabled = false;
    }
  } },
    h("h2", null, t("make")),
    field("what", kind), hint, field("place", place), field("place_code", code), field("device_kinds", deviceKind), field("devices", devices),
    field("begins", begins), field("lasts", time), fires, warn, tell, field("reason", reason), wrong,
    h("div", { class: "ask-row" }, h("button", { type: "button", class: "action", onclick: () => { form = null; draw(); } }, t("cancel")), send));
  fit();
  return element;
}

/** Milliseconds UTC of a date and time on the wall of the site ("2026-12-01T08:00"). */
function fromWall(text) {
  const wanted = Date.parse(`${text}Z`);
  const parts = new Intl.DateTimeFormat("en-CA", { timeZone: start.zone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const wall = (ms) => {
    const got = Object.fromEntries(parts.formatToParts(new Date(ms)).map((part) => [part.type, part.value]));
    return Date.parse(`${got.year}-${got.month}-${got.day}T${got.hour}:${got.minute}Z`);
  };
  let at = wanted;
  for (let n = 0; n < 2; n += 1) at += wanted - wall(at);
  return at;
}

setInterval(() => {
  if (document.visibilityState === "visible" && !form && !document.getElementById("ask").open) load();
}, REFRESH_MS);
load();
