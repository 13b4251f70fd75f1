// Who changed the rules, when and why; what a change was; and the way back.

import { h, icon } from "./dom.js";
import { ask } from "./hub_api.js";
import { changeFlow, saidOf } from "./rules_change.js";
import { differenceView, linesView } from "./rules_parts.js";
import { say, start, t } from "./start.js";
import { clock } from "./times.js";

const TIME = new Intl.DateTimeFormat(start.locale, { timeZone: start.zone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

export async function historyView(page) {
  const [first, rules] = await Promise.all([ask("/rules/history"), page.rules()]);
  const list = h("ol", { class: "entries" });
  const more = h("div", { class: "flow-buttons" });
  const fill = (found) => {
    list.append(...found.items.map(entryRow));
    more.replaceChildren(...(found.next ? [h("button", { type: "button", class: "small", onclick: async () => fill(await ask(`/rules/history?before=${found.next}`)) }, t("more_entries"))] : []));
  };
  fill(first);
  const undo = start.may_edit && first.items.length > 1 ? h("section", { class: "part-box" }, h("h2", null, t("undo_title")), h("p", { class: "hint" }, t("undo_hint")),
    changeFlow({ request: () => ({ path: "/rules/rollback", method: "POST", body: {}, version: rules.version }), first: t("undo"), refused() {}, conflict: () => page.again(), done: (made) => page.go("/rules/history", saidOf(made)) })) : null;
  return h("div", { class: "view" }, undo, first.items.length ? list : h("p", { class: "empty" }, t("no_history")), more);
}

function entryRow(entry) {
  return h("li", { class: `entry ${entry.failed ? "failed" : ""}` }, h("a", { href: `/rules/history/${entry.id}`, class: "entry-link" },
    h("span", { class: "entry-head" }, h("b", null, `#${entry.id}`), h("time", { datetime: entry.at }, TIME.format(new Date(entry.at_ms))), h("span", null, say(entry.who.name)), state(entry)),
    h("span", { class: "entry-why" }, entry.why),
    h("span", { class: "hint" }, summary(entry))));
}

function state(entry) {
  if (entry.failed) return h("span", { class: "mark off" }, t("entry_failed"));
  if (entry.running) return h("span", { class: "mark running" }, t("entry_running"));
  if (entry.applied_at_ms === null) return h("span", { class: "mark" }, t("entry_waiting"));
  return null;
}

/** Which rules the entry touched, in a line. */
function summary(entry) {
  const { added = [], removed = [], changed = {}, texts = [] } = entry.summary;
  const parts = [[added, "+"], [removed, "−"], [Object.keys(changed), "~"], [texts, "~"]].flatMap(([ids, mark]) => ids.map((id) => `${mark} ${id}`));
  const back = entry.rolled_back_to ? [t("back_to", { n: entry.rolled_back_to })] : [];
  return [...back, ...parts.slice(0, 6), parts.length > 6 ? t("and_n", { n: parts.length - 6 }) : ""].filter(Boolean).join(" · ");
}

export async function entryView(page, number) {
  const [entry, rules] = await Promise.all([ask(`/rules/history/${number}`), page.rules()]);
  const back = start.may_edit && !entry.failed && entry.version !== rules.version ? h("section", { class: "part-box" }, h("h2", null, t("go_back_title", { n: entry.id })),
    changeFlow({ request: () => ({ path: "/rules/rollback", method: "POST", body: { to: entry.id }, version: rules.version }), first: t("go_back"), refused() {}, conflict: () => page.again(), done: (made) => page.go("/rules/history", saidOf(made)) })) : null;
  return h("div", { class: "view" },
    h("a", { href: "/rules/history", class: "back-link" }, icon("back"), h("span", null, t("tab_history"))),
    h("section", { class: "part-box" }, h("div", { class: "part-head" }, h("h2", null, `#${entry.id}`), state(entry)),
      h("dl", { class: "facts" }, [
        ["entry_who", say(entry.who.name)], ["entry_at", TIME.format(new Date(entry.at_ms))], ["why", entry.why],
        entry.applied_at_ms !== null ? ["entry_applied", clock(entry.applied_at_ms)] : null,
        entry.failed ? ["entry_failed", entry.failed] : null,
        entry.rolled_back_to ? ["entry_back", `#${entry.rolled_back_to}`] : null,
      ].filter(Boolean).map(([key, value]) => h("div", null, h("dt", null, t(key)), h("dd", null, value))))),
    h("section", { class: "part-box" }, h("h2", null, entry.against === null ? t("first_entry") : t("against", { n: entry.against })), entry.against === null ? null : differenceView(entry.difference), entry.against === null ? null : linesView(entry.lines)),
    back);
}
