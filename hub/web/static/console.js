// The console: brings the line to the hub, the alerts and the page together.

import { Actions } from "./actions.js";
import { Alerts, SEVERITIES } from "./alerts.js";
import { card, line as pastLine } from "./cards.js";
import { choose, signIn, tokenFromAddress } from "./choices.js";
import { detail } from "./detail.js";
import { arrange, h, icon } from "./dom.js";
import { isHeld, still } from "./finger.js";
import { ask, leave } from "./hub_api.js";
import { folded, unfold } from "./incidents.js";
import { Line, POLL_MS } from "./line.js";
import { GridMap } from "./map.js";
import { Siren } from "./siren.js";
import { has, say, start, t } from "./start.js";
import { clock, setHubTime, tick } from "./times.js";
import { duty } from "./who.js";

const $ = (id) => document.getElementById(id);
const WIDE = matchMedia("(min-width: 900px)");

const alerts = new Alerts(start.board);
const filter = { severity: "", station: "" };
const drawn = new Map(); // alert id → { key, element }
let stations = start.board.stations;
let selected = null; // { id, chosen: by the reader, full: detail as loaded, failed, missing }
let hubState = start.board;
let lineState = { state: "connecting", heard: Date.now() };

setHubTime(start.board.now_ms);

const siren = new Siren((blocked) => still("sound", () => {
  $("sound-banner").hidden = !blocked;
  document.body.classList.toggle("silent", blocked);
}));
const actions = new Actions(
  (after) => {
    keepDetail(after);
    alerts.put(after);
    draw();
  },
  (id) => {
    drawn.delete(id);
    draw();
  },
);
const map = new GridMap((alert) => open(alert, true));

const line = new Line(start.board.change, {
  alert(alert) {
    const known = alerts.byId.get(alert.id);
    const news = alerts.put(alert);
    if (selected && selected.id === alert.id && (!known || known.change < alert.change)) loadDetail();
    if (news) announce([alert]);
    draw();
  },
  board(board) {
    const news = alerts.replace(board);
    stations = board.stations;
    hubState = board;
    announce(news);
    if (selected && selected.full) {
      const now = alerts.byId.get(selected.id);
      if (now && now.change !== selected.full.change) loadDetail();
    }
    draw();
  },
  beat(beat) {
    const before = doubt();
    hubState = beat;
    if (doubt() === before) still("line", drawLine);
    else draw();
  },
  line(state, heard) {
    const before = doubt();
    lineState = { state, heard };
    if (doubt() === before) still("line", drawLine);
    else draw();
  },
});

// ---------------------------------------------------------------- what the reader does

function open(alert, chosen) {
  if (!selected || selected.id !== alert.id) selected = { id: alert.id, chosen, full: null, failed: false };
  selected.chosen = selected.chosen || chosen;
  if (chosen) history.pushState({ id: alert.id }, "", `/alerts/${encodeURIComponent(alert.id)}`);
  loadDetail();
  draw();
  if (chosen && !WIDE.matches) {
    window.scrollTo(0, 0);
    $("detail").focus({ preventScroll: true });
  }
}

function back() {
  const id = selected && selected.id;
  if (id && alerts.byId.has(id)) unfold(alerts.byId.get(id));
  selected = null;
  history.pushState(null, "", "/");
  draw();
  const card = id && drawn.get(id);
  if (card && card.element.isConnected) {
    card.element.scrollIntoView({ block: "center" });
    const link = card.element.querySelector("a");
    if (link) link.focus({ preventScroll: true });
  }
}

window.addEventListener("popstate", () => {
  const found = /^\/alerts\/([\w-]+)$/.exec(location.pathname);
  selected = found ? { id: found[1], chosen: true, full: null, failed: false } : null;
  if (selected) loadDetail();
  draw();
});

async function loadDetail() {
  const wanted = selected;
  try {
    const full = await ask(`/alerts/${encodeURIComponent(wanted.id)}`);
    const found = full.test ? null : await ask(`/cases/${encodeURIComponent(wanted.id)}`).catch(() => null);
    if (selected !== wanted) return;
    wanted.found = found;
    wanted.failed = false;
    keepDetail(full);
    alerts.put(full);
  } catch (error) {
    if (selected !== wanted) return;
    wanted.failed = true;
    wanted.missing = error.status === 404 ? error.message : "";
  }
  draw();
}

function keepDetail(full) {
  if (selected && selected.id === full.id && (!selected.full || selected.full.change <= full.change)) selected.full = full;
}

function setFilter(changes) {
  Object.assign(filter, changes);
  draw();
}

// ---------------------------------------------------------------- what the reader hears

function announce(news) {
  const shown = news.filter((alert) => alerts.shows(alert)).sort((a, b) => (a.severity < b.severity ? -1 : 1));
  if (!shown.length) return;
  const alert = shown[0];
  $("said").textContent = t("new_alert", { severity: alert.severity, title: say(alert.title), place: say(alert.place) });
}

// ---------------------------------------------------------------- drawing

/** Draws everything that changed, as soon as no finger is on the page. */
function draw() {
  still("draw", drawNow);
}

/** Cards that did not change stay the same elements. */
function drawNow() {
  const openAlerts = alerts.open(filter);
  if (WIDE.matches && (!selected || (!selected.chosen && !openAlerts.some((a) => a.id === selected.id)))) {
    // A wide screen always shows the most urgent alert in full, until the reader chooses.
    selected = openAlerts.length ? { id: openAlerts[0].id, chosen: false, full: null, failed: false } : null;
    if (selected) loadDetail();
  }
  const focused = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.key : null;
  drawList(openAlerts);
  drawDetail();
  drawCounts();
  drawDuty();
  drawLine();
  map.show(openAlerts, selected && selected.id);
  siren.sound(alerts.unanswered().length > 0);
  if (focused && (!document.activeElement || document.activeElement === document.body)) {
    const again = document.querySelector(`[data-key="${CSS.escape(focused)}"]`);
    if (again) again.focus({ preventScroll: true });
  }
  tick(document);
}

function drawList(openAlerts) {
  const context = { stations, actions, wide: WIDE.matches, selected: selected && WIDE.matches ? selected.id : null, open: (alert) => open(alert, true) };
  const cards = folded(openAlerts, (alert) => once(alert, context, card), draw);
  const recent = alerts.recent(filter).map((alert) => once(alert, context, pastLine));
  const more = (alerts.more || []).map((severity) => h("p", { class: "gap" }, t("more", { severity })));
  arrange($("open"), cards.length ? [...more, ...cards] : [empty()]);
  arrange($("recent"), recent.length ? recent : [h("p", { class: "hint" }, t("no_recent"))]);
  const kept = new Set([...openAlerts, ...alerts.recent(filter)].map((alert) => alert.id));
  for (const id of [...drawn.keys()]) if (!kept.has(id)) drawn.delete(id);
}

function once(alert, context, make) {
  const station = stations.find((s) => s.id === alert.station.id);
  const key = [alert.change, context.wide, context.selected === alert.id, actions.underway.get(alert.id), actions.troubles.get(alert.id), make.name,
    station && station.on_duty.map((p) => p.id).join()].join("|");
  const before = drawn.get(alert.id);
  if (before && before.key === key) return before.element;
  const element = make(alert, context);
  drawn.set(alert.id, { key, element });
  return element;
}

function empty() {
  if (filter.severity || filter.station) {
    return h("div", { class: "empty" }, h("p", null, t("empty_filtered")),
      h("button", { type: "button", class: "small", onclick: () => { $("station").value = ""; setFilter({ severity: "", station: "" }); } }, t("clear_filter")));
  }
  // An empty list is good news only while the hub is heard and well.
  if (doubt() === "blind") return h("div", { class: "empty blind" }, h("h3", null, t("empty_unknown_title")), h("p", null, t("empty_unknown_text")));
  if (doubt() === "unsure") return h("div", { class: "empty unsure" }, h("h3", null, t("empty_title")), h("p", null, t("empty_unsure_text")));
  return h("div", { class: "empty calm" }, icon("check"), h("h3", null, t("empty_title")), h("p", null, t("empty_text")));
}

/** Whether alarms may be hidden ("blind"), or some part that alarms do not need is in trouble ("unsure"). */
function doubt() {
  if (lineState.state === "offline" || hubState.hub === "down" || hubState.troubles.some((part) => part.required)) return "blind";
  return hubState.hub === "ok" ? "" : "unsure";
}

let detailKey = "";

function drawDetail() {
  const section = $("detail");
  document.body.classList.toggle("one", Boolean(selected && selected.chosen));
  document.body.classList.toggle("calm", !selected);
  section.hidden = !selected && !(WIDE.matches && alerts.open(filter).length);
  if (section.hidden) {
    detailKey = "";
    section.replaceChildren();
    return;
  }
  const known = alerts.byId.get(selected.id);
  const full = selected.full;
  const alert = full && (!known || full.change >= known.change) ? full : known && full ? { ...full, ...known } : known;
  const key = [selected.id, selected.chosen, selected.failed, selected.missing, selected.found && selected.found.revision, alert && alert.change, full && full.change, full && full.deliveries.map((d) => d.state + d.attempts).join(),
    actions.underway.get(selected.id), actions.troubles.get(selected.id)].join("|");
  if (key === detailKey) return;
  detailKey = key;
  if (!alert) {
    section.replaceChildren(h("div", { class: "empty" }, h("button", { type: "button", class: "back", onclick: back }, icon("back"), h("span", null, t("back"))),
      h("p", { role: "alert" }, selected.missing || (selected.failed ? t("load_failed") : t("loading")))));
    return;
  }
  section.replaceChildren(detail(alert, { stations, actions, back, found: selected.found, failed: selected.failed, reload: loadDetail }));
}

function drawCounts() {
  const counts = alerts.counts(filter.station);
  const buttons = SEVERITIES.map((severity) =>
    h("button", {
      type: "button", class: `count ${severity} ${counts[severity] ? "some" : "none"}`, "aria-pressed": String(filter.severity === severity), data: { key: `count:${severity}` },
      onclick: () => setFilter({ severity: filter.severity === severity ? "" : severity }),
    }, h("span", { class: "badge" }, severity), h("b", null, String(counts[severity]))));
  const key = JSON.stringify([counts, filter.severity]);
  if ($("severities").dataset.key !== key) {
    $("severities").dataset.key = key;
    $("severities").replaceChildren(...buttons);
  }
  const p1 = counts.P1;
  const all = SEVERITIES.reduce((sum, severity) => sum + counts[severity], 0);
  document.title = `${p1 ? `🔥${p1} ` : ""}${all ? `(${all}) ` : ""}${where()}`;
}

function where() {
  if (filter.station) {
    const station = stations.find((s) => s.id === filter.station);
    if (station) return say(station.name);
  }
  return stations.length === 1 ? say(stations[0].name) : stations.length ? `${$("where").dataset.site} · ${t("stations_n", { n: stations.length })}` : $("where").dataset.site;
}

let dutyKey = "";

function drawDuty() {
  const key = JSON.stringify([stations, filter.station]);
  if (key === dutyKey) return;
  dutyKey = key;
  $("where").textContent = where();
  const shown = stations.filter((s) => !filter.station || s.id === filter.station);
  const label = h("span", { class: "who-of" }, t("on_duty"));
  $("duty").classList.toggle("several", shown.length > 1);
  $("duty").replaceChildren(label, ...shown.map((s) => h("span", { class: "who-group" }, shown.length > 1 ? h("span", { class: "who-of" }, say(s.name)) : null, duty(s))));
  $("stations").replaceChildren(...shown.map((s) => h("div", { class: "station-card" }, h("h3", null, say(s.name)), h("p", { class: "who" }, duty(s)))));
  $("station-label").hidden = stations.length < 2;
  const select = $("station");
  select.replaceChildren(h("option", { value: "" }, t("all_stations")), ...stations.map((s) => h("option", { value: s.id }, say(s.name))));
  select.value = filter.station;
}

function drawLine() {
  const { state, heard } = lineState;
  const element = $("line");
  element.dataset.state = state;
  const text = { live: () => t("live"), connecting: () => t("connecting"), reconnecting: () => t("reconnecting"), polling: () => t("polling", { s: POLL_MS / 1000 }), offline: () => t("offline", { time: clock(heard) }) }[state]();
  if ($("line-text").textContent !== text) $("line-text").textContent = text;
  const parts = hubState.troubles.map(troubleText).join(t("and"));
  let banner = "";
  let look = "";
  if (state === "offline") [banner, look] = [t("offline_banner", { time: clock(heard) }), "down"];
  else if (hubState.hub === "down") [banner, look] = [t("hub_down", { parts }), "down"];
  else if (hubState.hub === "degraded") [banner, look] = [t("hub_degraded", { parts }), "degraded"];
  const bar = $("banner");
  if (bar.textContent !== banner) bar.textContent = banner;
  bar.className = `banner ${look}`;
  bar.hidden = !banner;
}

function troubleText({ part, detail }) {
  const key = `part_${part.replace(/-/g, "_")}`;
  const named = has(key) ? t(key) : part;
  return detail ? t("trouble", { part: named, detail }) : named;
}

// ---------------------------------------------------------------- the menu

function drawMenu() {
  const button = (label, handle, more) => h("button", { type: "button", role: "menuitem", onclick: handle, ...more }, label);
  $("menu").replaceChildren(...[
    h("p", { class: "muted" }, t("signed_in_as", { name: start.me.name }), " · ", start.strings.role[start.me.role]),
    button(t("sound"), () => { siren.toggle(); drawMenu(); }, { "aria-pressed": String(siren.wanted) }),
    button(t("show_tests"), () => { alerts.shownTests = !alerts.shownTests; drawMenu(); draw(); }, { "aria-pressed": String(alerts.shownTests) }),
    button(t("theme"), () => { toggleTheme(); showMenu(false); }),
    h("div", { class: "languages" }, ["zh-CN", "en"].map((locale) =>
      h("button", { type: "button", lang: locale, "aria-current": locale === start.locale ? "true" : null, onclick: () => { choose(start.locale_cookie, locale); location.reload(); } }, locale === "en" ? "English" : "中文"))),
    h("a", { href: "/cases", role: "menuitem" }, t("cases")),
    ...start.pages.map((page) => h("a", { href: `/${page}`, role: "menuitem" }, t(`page_${page}`))),
    start.reads_rules ? h("a", { href: "/rules", role: "menuitem" }, t("rules")) : null,
    start.me.may_see_quarantine ? h("a", { href: "/onboarding", role: "menuitem" }, t("unknown_devices")) : null,
    button(t("sign_out"), async () => { try { await ask("/session", { method: "DELETE" }); } finally { leave(); } }),
  ].filter(Boolean));
}

function toggleTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  choose(start.theme_cookie, root.dataset.theme);
}

function showMenu(shown) {
  $("menu").hidden = !shown;
  $("menu-button").setAttribute("aria-expanded", String(shown));
}

$("menu-button").append(icon("menu"));
$("menu-button").addEventListener("click", () => showMenu($("menu").hidden));
document.addEventListener("click", (event) => {
  if (!$("menu").hidden && !event.target.closest("#menu,#menu-button") && document.contains(event.target)) showMenu(false);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !$("menu").hidden) {
    showMenu(false);
    $("menu-button").focus();
  }
});
$("station").addEventListener("change", (event) => setFilter({ station: event.target.value }));
$("sound-banner").append(icon("sound"), t("sound_blocked"));
$("where").dataset.site = $("where").textContent;
if (map.element) $("map").append(map.element);
else $("map").append(h("p", { class: "hint" }, t("map_none")));
WIDE.addEventListener("change", draw);
setInterval(() => { if (!isHeld()) tick(document); }, 250);

// ---------------------------------------------------------------- begin

async function begin() {
  const token = tokenFromAddress();
  if (token && (await signIn(token).catch(() => "")) === null) {
    location.reload(); // the page was served for whoever was signed in before
    return;
  }
  if (start.selected || start.missing) {
    const id = start.selected ? start.selected.id : "";
    selected = { id, chosen: true, full: start.selected, failed: start.missing, missing: start.missing ? t("not_found") : "" };
    if (start.selected) {
      alerts.put(start.selected);
      loadDetail(); // its case did not come with the page
    }
  }
  drawMenu();
  draw();
  line.start();
}

begin();
