// The page of the cases: the list, one case, and reporting. One address each.

import { choose } from "./choices.js";
import { h, icon } from "./dom.js";
import { still } from "./finger.js";
import { ask } from "./hub_api.js";
import { say, start, t } from "./start.js";
import { CaseView } from "./cases_view.js";
import { reportForm } from "./cases_report.js";
import { clock, setHubTime } from "./times.js";

const REFRESH_MS = 8000;
const main = document.getElementById("cases");
const filter = { open: true, source: "" };
let view = null; // the case that is shown
let list = null; // { items, next, failed }
let reporting = false;

setHubTime(start.now_ms);

function go(path) {
  history.pushState(null, "", path);
  route();
}

function route() {
  const found = /^\/cases\/([\w-]+)$/.exec(location.pathname);
  reporting = Boolean(found && found[1] === "report");
  view = found && !reporting ? new CaseView(found[1], draw) : null;
  document.getElementById("up").href = found ? "/cases" : "/";
  main.replaceChildren();
  window.scrollTo(0, 0);
  if (view) view.load().then(() => view && view.loadAlert());
  else if (!reporting) loadList();
  draw();
}

async function loadList() {
  const wanted = new URLSearchParams({ open: String(filter.open), limit: "100" });
  if (filter.source) wanted.set("source", filter.source);
  const asked = String(wanted);
  try {
    const page = await ask(`/cases?${asked}`);
    list = { ...page, asked, failed: "" };
  } catch (error) {
    list = { items: list ? list.items : [], next: null, asked, failed: error.message };
  }
  draw();
}

async function loadMore() {
  try {
    const page = await ask(`/cases?${list.asked}&before=${encodeURIComponent(list.next)}`);
    list = { ...list, items: [...list.items, ...page.items], next: page.next };
  } catch (error) {
    list.failed = error.message;
  }
  draw();
}

function draw() {
  still("cases", () => {
    main.setAttribute("aria-busy", "false");
    if (reporting) {
      if (!main.querySelector("form.report")) main.replaceChildren(reportForm({ done: (id) => go(`/cases/${id}`), back: () => go("/cases") }));
      return;
    }
    const active = document.activeElement;
    const key = active && active.dataset ? active.dataset.key : null;
    const caret = active && "selectionStart" in active ? active.selectionStart : null;
    main.replaceChildren(...(view ? [view.element()] : drawList()));
    const again = key && main.querySelector(`[data-key="${CSS.escape(key)}"]`);
    if (again) {
      again.focus({ preventScroll: true });
      if (caret !== null && again.setSelectionRange) again.setSelectionRange(caret, caret);
    }
  });
}

function drawList() {
  const tab = (label, open) => h("button", { type: "button", class: "choice", "aria-pressed": String(filter.open === open), data: { key: `tab:${open}` }, onclick: () => { filter.open = open; loadList(); } }, label);
  const sources = h("select", { "aria-label": t("source"), data: { key: "source" }, onchange: (event) => { filter.source = event.target.value; loadList(); } },
    h("option", { value: "" }, t("source_all")), ["alert", "report", "hotline"].map((one) => h("option", { value: one }, t(`source_${one}`))));
  sources.value = filter.source;
  const items = list ? list.items : [];
  return [
    h("div", { class: "case-tools" }, tab(t("cases_open"), true), tab(t("cases_closed"), false), sources,
      start.may_report && start.grids.length ? h("button", { type: "button", class: "action primary", data: { key: "report" }, onclick: () => go("/cases/report") }, t("report_title")) : null),
    list && list.failed ? h("p", { class: "trouble", role: "alert" }, list.failed) : null,
    h("div", { class: "case-list" }, items.map(row)),
    list && !items.length && !list.failed ? h("p", { class: "hint" }, t("no_cases")) : null,
    list && list.next ? h("button", { type: "button", class: "action", onclick: loadMore }, t("more_cases")) : null,
  ].filter(Boolean);
}

function row(found) {
  return h("a", { class: `case-row ${found.severity}`, href: `/cases/${encodeURIComponent(found.id)}`, data: { id: found.id, key: `case:${found.id}` }, onclick: (event) => {
    if (event.metaKey || event.ctrlKey) return;
    event.preventDefault();
    go(`/cases/${encodeURIComponent(found.id)}`);
  } },
    h("span", { class: "badge" }, found.severity),
    h("span", { class: "case-what" }, h("b", null, say(found.title)), h("span", null, say(found.place)),
      h("span", { class: "muted" }, `${t(`source_${found.source}`)} · ${clock(found.opened_at_ms)}`, found.overdue ? h("b", { class: "gap" }, ` · ${t("overdue")}`) : null)),
    h("span", { class: `state ${found.step}` }, t(`step_${found.step}`)), icon("forward"));
}

function isBusy() {
  return document.getElementById("ask").open || (view && (view.state.underway || view.written));
}

for (const button of document.querySelectorAll("[data-locale]")) {
  button.addEventListener("click", () => { choose(start.locale_cookie, button.dataset.locale); location.reload(); });
}
window.addEventListener("popstate", route);
setInterval(() => {
  if (document.visibilityState !== "visible" || reporting || isBusy()) return;
  if (view) view.load().then(() => view && view.loadAlert());
  else if (!list || list.items.length <= 100) loadList();
}, REFRESH_MS);
route();
