// The page of the rules: which view belongs to the address, and moving between them without losing what was typed.

import { choose, signIn, tokenFromAddress } from "./choices.js";
import { h, icon } from "./dom.js";
import { ask } from "./hub_api.js";
import { entryView, historyView } from "./rules_history.js";
import { listView } from "./rules_list.js";
import { fileView, newView, ruleView } from "./rules_views.js";
import { start, t } from "./start.js";

const $ = (id) => document.getElementById(id);

const VIEWS = [
  [/^\/rules\/?$/, () => listView],
  [/^\/rules\/history\/?$/, () => historyView],
  [/^\/rules\/history\/(\d+)$/, (found) => (page) => entryView(page, Number(found[1]))],
  [/^\/rules\/files\/([^/]+)$/, (found) => (page) => fileView(page, decodeURIComponent(found[1]))],
  [/^\/rules\/new$/, () => newView],
  [/^\/rules\/([a-z0-9][a-z0-9-]*)$/, (found) => (page) => ruleView(page, found[1])],
];

/** What views work with: `rules()` reads the list of rules, `go` leads to another view, `typed` is true while text is not saved. */
const page = {
  typed: false,
  said: "",
  rules: () => ask("/rules"),
  go(path, said) {
    if (!mayLeave()) return;
    history.pushState(null, "", path);
    page.said = said || "";
    show();
  },
  again: () => show(),
};

let drawing = 0;
let shownPath = location.pathname;

function mayLeave() {
  if (page.typed && !window.confirm(t("leave_unsaved"))) return false;
  page.typed = false;
  return true;
}

async function show() {
  const mine = (drawing += 1);
  shownPath = location.pathname;
  page.typed = false;
  drawTabs();
  const main = $("rules");
  main.setAttribute("aria-busy", "true");
  let content;
  try {
    const found = VIEWS.map(([pattern, make]) => [pattern.exec(location.pathname), make]).find(([match]) => match);
    content = found ? await found[1](found[0])(page) : h("p", { class: "empty" }, t("not_found"));
  } catch (error) {
    content = h("div", { class: "empty" }, h("p", { role: "alert" }, error.message),
      h("button", { type: "button", class: "small", onclick: show }, t("try_again")));
  }
  if (mine !== drawing) return; // the reader has gone on meanwhile
  const said = page.said ? h("p", { class: "said", role: "status" }, icon("check"), h("span", null, page.said)) : null;
  page.said = "";
  main.replaceChildren(...[said, content].filter(Boolean));
  main.removeAttribute("aria-busy");
  window.scrollTo(0, 0);
}

function drawTabs() {
  const past = location.pathname.startsWith("/rules/history");
  const tab = (path, key, here) => h("a", { href: path, class: "tab", "aria-current": here ? "page" : null }, t(key));
  $("tabs").replaceChildren(tab("/rules", "tab_rules", !past), tab("/rules/history", "tab_history", past));
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='/rules']");
  if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  page.go(link.getAttribute("href"));
});
window.addEventListener("popstate", () => {
  if (location.pathname === shownPath) return;
  if (mayLeave()) show();
  else history.pushState(null, "", shownPath);
});
window.addEventListener("beforeunload", (event) => {
  if (page.typed) event.preventDefault();
});
for (const button of document.querySelectorAll("[data-locale]")) {
  button.addEventListener("click", () => {
    choose(start.locale_cookie, button.dataset.locale);
    location.reload();
  });
}

async function begin() {
  const token = tokenFromAddress();
  if (token && (await signIn(token).catch(() => "")) === null) location.reload();
  else show();
}

begin();
