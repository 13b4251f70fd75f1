// The rules in force: searched, filtered by severity, each with its condition in one line.

import { h } from "./dom.js";
import { complaintList, devices } from "./rules_parts.js";
import { kindName, quantityName, say, start, t } from "./start.js";

const SEVERITIES = ["P1", "P2", "P3", "P4"];
const kept = { words: "", severity: "" }; // what the reader searched for stays while the page does

export async function listView(page) {
  const rules = await page.rules();
  const list = h("div", { class: "rule-list", id: "rule-list" });
  const found = h("p", { class: "hint", role: "status" });
  const words = h("input", { type: "search", class: "search", placeholder: t("search"), "aria-label": t("search"), value: kept.words, autocomplete: "off" });
  const chips = SEVERITIES.map((severity) => h("button", { type: "button", class: `chip ${severity}`, "aria-pressed": "false", onclick: () => {
    kept.severity = kept.severity === severity ? "" : severity;
    draw();
  } }, h("span", { class: "badge" }, severity), h("b", null, String(rules.items.filter((rule) => rule.severity === severity).length))));

  function draw() {
    const wanted = kept.words.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const shown = rules.items
      .filter((rule) => (!kept.severity || rule.severity === kept.severity) && wanted.every((word) => text(rule).includes(word)))
      .sort((a, b) => (a.severity + a.id < b.severity + b.id ? -1 : 1));
    list.replaceChildren(...shown.map(row));
    found.textContent = t("found_n", { n: shown.length, all: rules.items.length });
    chips.forEach((chip, n) => chip.setAttribute("aria-pressed", String(kept.severity === SEVERITIES[n])));
  }
  words.addEventListener("input", () => {
    kept.words = words.value;
    draw();
  });
  draw();
  return h("div", { class: "view" },
    trouble(rules),
    h("div", { class: "tools" }, words, h("div", { class: "chips", role: "group", "aria-label": t("by_severity") }, chips)),
    h("div", { class: "tools between" }, found, rules.may_edit ? h("a", { href: "/rules/new", class: "small link-button" }, t("new_rule")) : null),
    list,
    h("section", { class: "part-box" }, h("h2", null, t("files")),
      h("ul", { class: "files" }, rules.files.map((file) => h("li", null, h("a", { href: `/rules/files/${encodeURIComponent(file.name)}` }, file.name))))));
}

/** Files that do not run: edited wrongly by hand, or taken over in a moment. */
function trouble(rules) {
  if (rules.complaints.length) {
    return h("section", { class: "trouble-box", role: "alert" }, h("h2", null, t("files_wrong")), h("p", null, t("files_wrong_text")),
      complaintList(rules.complaints, (complaint) => h("a", { href: `/rules/files/${encodeURIComponent(complaint.file)}` }, t("open_file"))));
  }
  if (rules.running && rules.running !== rules.version) return h("p", { class: "note", role: "status" }, t("taking_over"));
  return null;
}

function text(rule) {
  return [rule.id, rule.name.zh, rule.name.en, rule.kind, rule.quantity, quantityName(rule.quantity), rule.file, ...rule.on.device_kind, ...rule.on.device_kind.map(kindName)].join(" ").toLowerCase();
}

function row(rule) {
  const marks = [
    rule.enabled ? null : h("span", { class: "mark off" }, t("is_off")),
    rule.alert ? null : h("span", { class: "mark" }, t("tells_nobody")),
    rule.overrides.length ? h("span", { class: "mark" }, t("overrides_n", { n: rule.overrides.length })) : null,
  ];
  return h("a", { href: `/rules/${rule.id}`, class: `rule-row ${rule.severity} ${rule.enabled ? "" : "off"}`, data: { id: rule.id } },
    h("span", { class: "badge" }, rule.severity),
    h("span", { class: "rule-text" },
      h("span", { class: "rule-name" }, say(rule.name), marks),
      h("span", { class: "rule-when" }, condition(rule)),
      h("span", { class: "muted rule-id" }, `${rule.id} · ${rule.file}`)),
    h("span", { class: "rule-devices muted" }, devices(rule.devices)));
}

/** The condition in words that stand in the file: temperature_c · above 55 · hold_s 60. */
export function condition(rule) {
  const keys = Object.entries(rule.when).map(([key, value]) => `${key} ${short(value)}`);
  return [rule.quantity ? quantityName(rule.quantity) : kindOfRule(rule.kind), ...keys].join(" · ");
}

export function kindOfRule(kind) {
  return start.strings.rule_kind[kind] || kind;
}

/** A value as it would stand in the file. */
export function short(value) {
  if (value === null || value === undefined) return "–";
  if (Array.isArray(value)) return `[${value.map(short).join(", ")}]`;
  if (typeof value === "object") return `{${Object.entries(value).map(([key, one]) => `${key}: ${short(one)}`).join(", ")}}`;
  return String(value);
}
