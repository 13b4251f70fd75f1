// The page of duty: who is on duty now and next at each station, who stands in, duty checks, and contacts that nobody has verified.

import { h } from "./dom.js";
import { ask } from "./hub_api.js";
import { has, say, start, t } from "./start.js";
import { clock } from "./times.js";
import { box, button, show } from "./watch.js";
import { duty as crewOf } from "./who.js";

const REFRESH_MS = 10000;
const AT_ONCE = 4; // stations whose day is loaded without asking
const SHOWN = 20;
let stations = null;
let people = null;
let failed = "";
let all = false;
const days = new Map(); // station id → { roster, checks, failed }
const here = new Set(); // duty checks that were answered from this page
const codes = new Map(); // person id → what is written into the field, and what was said about it

async function load() {
  try {
    stations = await ask("/stations");
    failed = "";
    const wanted = stations.filter((station) => stations.length <= AT_ONCE || days.has(station.id));
    await Promise.all(wanted.map((station) => loadDay(station.id)));
    if (start.contacts) people = await ask("/contacts");
  } catch (error) {
    failed = error.message;
  }
  draw();
}

async function loadDay(id) {
  const path = `/stations/${encodeURIComponent(id)}`;
  try {
    const [roster, checks] = await Promise.all([ask(`${path}/roster?hours=24`), ask(`${path}/duty-checks`)]);
    days.set(id, { roster, checks, failed: "" });
  } catch (error) {
    days.set(id, { ...days.get(id), failed: error.message });
  }
}

function draw() {
  show(() => [
    !stations ? (failed ? null : h("p", { class: "hint" }, t("loading"))) : stations.length ? stations.map(stationBox) : h("p", { class: "hint" }, t("no_stations")),
    people ? contactsBox() : null,
  ].flat(), failed);
}

function stationBox(station) {
  const day = days.get(station.id);
  return h("section", { class: "watch-box station", data: { station: station.id } },
    h("h2", null, say(station.name)),
    h("div", { class: "who" }, h("span", { class: "who-of" }, t("now")), crewOf(station)),
    day ? theDay(station, day) : button(t("later"), `later:${station.id}`, "", async () => { await loadDay(station.id); draw(); }));
}

function theDay(station, { roster, checks, failed: wrong }) {
  if (!roster) return h("p", { class: "trouble", role: "alert" }, wrong);
  const name = (id) => say(roster.names[id] || { zh: id, en: id });
  const crew = (span) => (span.people.length ? span.people.map(name).join(t("between")) : t("nobody_on_duty"));
  const next = roster.spans[1];
  const thin = roster.spans.filter((span) => span.missing).length;
  return [
    next ? h("p", null, h("span", { class: "muted" }, t("next", { at: hour(next.from_ms) })), " ", h("b", null, crew(next)), short(next)) : null,
    thin ? h("p", { class: "gap" }, t("thin_n", { n: thin })) : null,
    h("details", { class: "fold" }, h("summary", null, t("later")),
      h("ol", { class: "spans" }, roster.spans.map((span) => h("li", null, h("time", null, `${hour(span.from_ms)}–${hour(span.until_ms)}`), h("span", null, crew(span), short(span)))))),
    roster.swaps.length ? [h("h3", null, t("swaps")), h("ol", null, roster.swaps.map((swap) =>
      h("li", null, t("swap", { day: swap.day, begins: swap.begins || t("all_shifts"), incoming: name(swap.incoming), outgoing: name(swap.outgoing) }))))] : null,
    roster.leave.length ? [h("h3", null, t("leave")), h("ol", null, roster.leave.map((one) =>
      h("li", null, t("leave_of", { name: name(one.person), start: one.start, end: one.end }))))] : null,
    roster.backups.length ? h("p", { class: "hint" }, t("helpers", { names: roster.backups.map((one) => say(one.name)).join(t("between")) })) : null,
    dutyChecks(station, checks),
  ].flat();
}

function hour(ms) {
  return clock(ms).replace(/:\d\d$/, "");
}

function short(span) {
  return span.missing ? h("span", { class: "gap" }, ` ${span.people.length ? t("missing", { n: span.missing }) : ""}`) : null;
}

function dutyChecks(station, checks) {
  const [latest, ...earlier] = checks;
  const waiting = latest && latest.answered_at_ms === null && !latest.unanswered;
  return h("div", { class: "checks" },
    h("h3", null, t("check")),
    latest ? checked(latest) : null,
    waiting && here.has(latest.alert) ? h("p", { class: "check answered", role: "status" }, t("check_here")) : waiting && start.me.role === "station" ? button(t("check_answer"), `here:${station.id}`, "primary", async () => {
      await ask(`/alerts/${encodeURIComponent(latest.alert)}/acknowledge`, { method: "POST", body: {} });
      here.add(latest.alert); // the hub takes it down within a few seconds
      draw();
    }) : null,
    start.checks && !waiting ? [h("p", { class: "hint" }, t("check_hint")), button(t("check"), `check:${station.id}`, "primary", async () => {
      await ask(`/stations/${encodeURIComponent(station.id)}/duty-checks`, { method: "POST", body: { answer_s: 180 } });
      await loadDay(station.id);
      draw();
    })] : null,
    earlier.length ? h("details", { class: "fold" }, h("summary", null, t("check_earlier")), earlier.slice(0, SHOWN).map(checked)) : null);
}

function checked(check) {
  if (check.answered_at_ms !== null) {
    return h("p", { class: "check answered" }, t("check_answered", { name: check.answered_by ? say(check.answered_by.name) : t("unknown"), s: Math.round((check.answered_at_ms - check.asked_at_ms) / 1000), at: clock(check.asked_at_ms) }));
  }
  if (check.unanswered) return h("p", { class: "check unanswered" }, t("check_unanswered", { at: clock(check.asked_at_ms), due: clock(check.due_at_ms) }));
  return h("p", { class: "check asked" }, t("check_asked", { at: clock(check.asked_at_ms), due: clock(check.due_at_ms) }));
}

function contactsBox() {
  const open = people.map((person) => ({ person, contacts: person.contacts.filter((one) => one.channel !== "console" && !one.verified) })).filter((one) => one.contacts.length || (one.person.on_leave && !one.person.deputy));
  const shown = all ? open : open.slice(0, SHOWN);
  return box(t("contacts"),
    h("p", { class: open.length ? "hint" : "check answered" }, t(open.length ? "contacts_hint" : "contacts_none")),
    h("ol", { class: "contacts" }, shown.map(({ person, contacts }) => personRow(person, contacts))),
    open.length > shown.length ? button(t("show_all", { n: open.length }), "all", "", async () => { all = true; draw(); }) : null);
}

function personRow(person, contacts) {
  const asked = contacts.some((one) => one.asked_at_ms !== null);
  const path = `/contacts/${encodeURIComponent(person.id)}`;
  return h("li", { data: { person: person.id } },
    h("b", null, say(person.name)),
    person.on_leave ? h("span", { class: "gap" }, ` ${person.deputy ? t("away", { name: person.deputy }) : t("away_alone")}`) : null,
    h("ul", null, contacts.map((one) => h("li", null, has(`channel_${one.channel}`) ? t(`channel_${one.channel}`) : one.channel,
      one.usable ? null : h("span", { class: "gap" }, ` ${t("contact_unusable")}`),
      one.asked_at_ms !== null ? h("span", { class: "muted" }, ` ${t("contact_asked", { at: clock(one.asked_at_ms) })}`) : null))),
    contacts.some((one) => one.usable) ? button(t("test"), `test:${person.id}`, "", async () => { await ask(`${path}/test`, { method: "POST", body: {} }); await load(); }) : null,
    asked ? codeForm(person.id, path) : null);
}

function codeForm(id, path) {
  const field = h("input", { inputmode: "numeric", maxlength: "12", autocomplete: "one-time-code", "aria-label": t("code"), placeholder: t("code"), data: { key: `code:${id}` } });
  field.value = codes.get(id) || "";
  field.addEventListener("input", () => codes.set(id, field.value));
  return h("div", { class: "code" }, field, button(t("code_send"), `send:${id}`, "", async () => {
    const found = await ask(`${path}/answer`, { method: "POST", body: { code: field.value } });
    if (!found.channel) throw new Error(t("code_wrong"));
    codes.delete(id);
    await load();
  }));
}

setInterval(() => {
  const writing = document.activeElement && document.activeElement.tagName === "INPUT";
  if (document.visibilityState === "visible" && !writing && ![...codes.values()].some(Boolean)) load();
}, REFRESH_MS);
load();
