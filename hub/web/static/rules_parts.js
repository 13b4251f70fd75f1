// What several views of the rules show: complaints, what is different, differences of lines.

import { h } from "./dom.js";
import { say, t } from "./start.js";

/** "7 devices". */
export function devices(n) {
  return n === 1 ? t("device_one") : t("devices_n", { n });
}

/** The complaints about files, each with what mends it. `act` makes what stands behind one, e.g. a button that leads there. */
export function complaintList(complaints, act) {
  return h("ol", { class: "complaints" }, complaints.map((complaint) => h("li", null,
    h("p", { class: "where" },
      h("span", { class: "at" }, complaint.line ? t("at_line", { file: complaint.file, line: complaint.line }) : complaint.file),
      complaint.rule ? h("b", null, complaint.rule) : null,
      complaint.key ? h("code", null, complaint.key) : null),
    h("p", null, complaint.message, complaint.remedy ? h("span", { class: "remedy" }, ` → ${complaint.remedy}`) : null),
    act ? act(complaint) : null)));
}

/** What becomes of which rule, key by key, old and new; what is protected less stands first. */
export function differenceView(difference) {
  if (!difference) return h("p", { class: "hint" }, t("not_understood"));
  if (!difference.changes.length) return h("p", { class: "hint" }, t("no_difference"));
  const losses = difference.changes.filter((change) => change.loses.length);
  return h("div", { class: "difference" },
    losses.length ? h("div", { class: "trouble-box losses" }, h("h3", null, t("less_protection")),
      h("ul", null, losses.map((change) => h("li", null, h("b", null, say(change.name)), " ", change.loses.map((way) => t(`loses_${way}`)).join(t("and")))))) : null,
    h("p", { class: "hint" }, t("touched_n", { n: difference.devices })),
    h("ul", { class: "changes" }, difference.changes.map(changeItem)));
}

function changeItem(change) {
  const reach = [devices(change.devices)];
  if (change.restarted) reach.push(t("restarted_n", { n: change.restarted }));
  if (change.what === "changed" && change.gained) reach.push(t("gained_n", { n: change.gained }));
  if (change.what === "changed" && change.lost) reach.push(t("lost_n", { n: change.lost }));
  return h("li", { class: `change ${change.what} ${change.severity}` },
    h("p", { class: "change-head" }, h("span", { class: "badge" }, change.severity), h("b", null, say(change.name)), h("span", { class: "muted" }, change.id),
      h("span", { class: `mark ${change.what}` }, t(`what_${change.what}`))),
    change.what === "texts" ? null : h("p", { class: "hint" }, reach.join(" · ")),
    change.fields.length ? h("table", { class: "fields" }, h("thead", { class: "unseen" }, h("tr", null, h("th", null, t("key")), h("th", null, t("old")), h("th", null, t("new")))),
      h("tbody", null, change.fields.map((field) => h("tr", { class: field.is_text ? "text" : "" },
        h("th", { scope: "row" }, h("code", null, field.key)), h("td", { class: "old" }, plain(field.old)), h("td", { class: "new" }, plain(field.new)))))) : null);
}

function plain(value) {
  if (value === null) return "–";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** Lines that are different, file by file, folded away. */
export function linesView(lines) {
  const names = Object.keys(lines);
  if (!names.length) return null;
  return h("details", { class: "fold lines" }, h("summary", null, t("lines_of", { files: names.join(", ") })),
    names.map((name) => h("pre", { class: "diff", tabindex: "0" }, lines[name].split("\n").map((line) =>
      h("span", { class: { "+": "plus", "-": "minus", "@": "place" }[line[0]] || null }, `${line}\n`)))));
}
