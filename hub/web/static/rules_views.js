// One rule, one file, a new rule: what it says, and editing it.

import { h, icon } from "./dom.js";
import { ask } from "./hub_api.js";
import { changeFlow, saidOf } from "./rules_change.js";
import { editor } from "./rules_editor.js";
import { condition, kindOfRule, short } from "./rules_list.js";
import { complaintList, devices } from "./rules_parts.js";
import { has, kindName, quantityName, say, start, t } from "./start.js";

const fileOf = (name) => ask(`/rules/files/${encodeURIComponent(name)}`);
const fileRequest = (name, text, version) => ({ path: `/rules/files/${encodeURIComponent(name)}`, method: "PUT", body: { text }, version });

function backLink() {
  return h("a", { href: "/rules", class: "back-link" }, icon("back"), h("span", null, t("all_rules")));
}

// ---------------------------------------------------------------- one rule

export async function ruleView(page, id) {
  const rule = await ask(`/rules/${id}`);
  const view = h("div", { class: "view" });
  const text = h("section", { class: "part-box" });

  function reading() {
    page.typed = false;
    const shown = editor({ text: rule.text.replace(/\n$/, ""), first: rule.line, label: t("text_of", { id }), readonly: true });
    text.replaceChildren(
      h("div", { class: "part-head" }, h("h2", null, t("text")), h("a", { href: `/rules/files/${encodeURIComponent(rule.file)}`, class: "muted" }, `${rule.file}:${rule.line}`)),
      shown.element,
      ...(start.may_edit ? [h("div", { class: "flow-buttons" }, h("button", { type: "button", class: "action", onclick: removing }, t("remove_rule")), h("button", { type: "button", class: "action primary", onclick: () => editing() }, t("edit")))] : []));
  }

  /** The rule as it stands in the file now, which may be newer than what runs. */
  async function inFile() {
    const [file, rules] = await Promise.all([fileOf(rule.file), page.rules()]);
    const lines = file.text.split("\n");
    const here = file.version === rule.version ? { first: rule.line, count: rule.last_line - rule.line + 1 } : findRule(lines, id);
    return { file, lines, ...here, alone: rules.items.filter((other) => other.file === rule.file).length === 1 };
  }

  async function editing(mine, note) {
    const { file, lines, first, count } = await inFile();
    if (first < 1) { page.go(`/rules/files/${encodeURIComponent(rule.file)}`, t("moved_in_file")); return; }
    page.typed = mine !== undefined;
    const body = mine === undefined ? lines.slice(first - 1, first - 1 + count).join("\n") : mine;
    edit(page, text, {
      name: rule.file, body, first, note, label: t("text_of", { id }), version: file.version, cancel: reading,
      whole: (part) => [...lines.slice(0, first - 1), ...part.split("\n"), ...lines.slice(first - 1 + count)].join("\n"),
      conflict: (typed) => editing(typed, t("changed_meanwhile")),
      done: (made) => { page.typed = false; page.go(location.pathname, saidOf(made)); },
    });
  }

  async function removing() {
    const { file, lines, first, count, alone } = await inFile();
    if (first < 1) { page.go(`/rules/files/${encodeURIComponent(rule.file)}`, t("moved_in_file")); return; }
    const rest = [...lines.slice(0, first - 1), ...lines.slice(first - 1 + count)].join("\n");
    const flow = changeFlow({
      request: () => (alone ? { path: `/rules/files/${encodeURIComponent(rule.file)}`, method: "DELETE", version: file.version } : fileRequest(rule.file, rest, file.version)),
      first: t("check_remove"), cancel: reading, refused() {}, conflict: reading,
      done: (made) => page.go("/rules", saidOf(made)),
    });
    text.replaceChildren(h("h2", null, t("remove_title", { name: say(rule.name) })), h("p", { class: "hint" }, t("remove_hint")), flow);
  }

  reading();
  view.append(backLink(), head(rule), facts(rule), text);
  return view;
}

/** Where the rule stands among `lines`, which are newer than what was read of it; `first` 0: it is not to be found. */
function findRule(lines, id) {
  const begin = new RegExp(`^( *)- +id: *["']?${id}["']? *(#.*)?$`);
  const at = lines.findIndex((line) => begin.test(line));
  if (at < 0) return { first: 0, count: 0 };
  const indent = begin.exec(lines[at])[1];
  let end = at + 1;
  while (end < lines.length && !lines[end].startsWith(`${indent}- `)) end += 1;
  while (end > at + 1 && /^\s*(#.*)?$/.test(lines[end - 1])) end -= 1;
  return { first: at + 1, count: end - at };
}

function head(rule) {
  return h("header", { class: `rule-head ${rule.severity}` }, h("span", { class: "badge" }, rule.severity),
    h("div", null, h("h2", null, say(rule.name)), h("p", { class: "muted" }, `${rule.id} · ${kindOfRule(rule.kind)}`)),
    rule.enabled ? null : h("span", { class: "mark off" }, t("is_off")));
}

function facts(rule) {
  const scope = Object.entries(rule.on).filter(([, names]) => names.length).map(([key, names]) => `${t(`on_${key}`)}: ${(key === "device_kind" ? names.map(kindName) : names).join(t("comma"))}`);
  const rows = [
    ["condition", condition(rule)],
    rule.quantity ? ["quantity", `${quantityName(rule.quantity)} (${rule.quantity})`] : null,
    ["watches", `${scope.join("; ")} · ${devices(rule.devices)}`],
    rule.latch ? ["latch", t("latch_text")] : null,
    rule.alert ? null : ["tells", t("tells_nobody")],
    rule.inhibited_by.length ? ["quiet_while", rule.inhibited_by.join(t("comma"))] : null,
    ["cause", say(rule.cause)],
    ["consequence", say(rule.consequence)],
    ["action", say(rule.action)],
    ["respond", t("respond_text", { s: rule.respond_within_s, who: has(`responder_${rule.responder}`) ? t(`responder_${rule.responder}`) : rule.responder })],
    ["source", `${rule.source} (${rule.certainty})`],
  ].filter(Boolean);
  return h("section", { class: "part-box" },
    h("dl", { class: "facts" }, rows.map(([key, value]) => h("div", null, h("dt", null, t(`fact_${key}`)), h("dd", null, value)))),
    rule.overrides.length ? h("div", { class: "overrides" }, h("h3", null, t("overrides")), h("ul", null, rule.overrides.map((override) => h("li", null,
      h("b", null, override.scope), " · ", devices(override.devices), h("br"),
      Object.entries(override.changes).map(([key, value]) => `${key} ${short(value)}`).join(" · ") || t("no_difference"),
      h("p", { class: "hint" }, override.why))))) : null);
}

// ---------------------------------------------------------------- a file, a new rule

export async function fileView(page, name) {
  const file = await fileOf(name);
  const text = h("section", { class: "part-box" });
  function reading() {
    page.typed = false;
    const shown = editor({ text: file.text.replace(/\n$/, ""), label: name, readonly: true });
    shown.mark(file.complaints.map((complaint) => complaint.line).filter(Boolean));
    text.replaceChildren(...[
      file.complaints.length ? h("div", { class: "trouble-box", role: "alert" }, h("p", null, t("files_wrong")), complaintList(file.complaints)) : null,
      shown.element,
      start.may_edit ? h("div", { class: "flow-buttons" }, h("button", { type: "button", class: "action primary", onclick: () => editing(file) }, t("edit"))) : null,
    ].filter(Boolean));
  }
  function editing(from, mine, note) {
    page.typed = mine !== undefined;
    edit(page, text, {
      name, body: mine === undefined ? from.text : mine, first: 1, note, label: name, version: from.version, complaints: from.complaints, cancel: reading,
      whole: (part) => part,
      conflict: async (typed) => editing(await fileOf(name), typed, t("changed_meanwhile")),
      done: (made) => page.go("/rules", saidOf(made)),
    });
  }
  reading();
  return h("div", { class: "view" }, backLink(), h("h2", { class: "file-name" }, name), text);
}

export async function newView(page) {
  const rules = await page.rules();
  const text = h("section", { class: "part-box" });
  const names = rules.files.map((file) => file.name);
  const pick = h("select", { id: "pick", "aria-label": t("into_file") }, names.map((name) => h("option", { value: name }, name)), h("option", { value: "" }, t("new_file")));
  const named = h("input", { type: "text", id: "file-name", class: "search", placeholder: "night-shift.yaml", "aria-label": t("file_name"), hidden: true, autocomplete: "off", autocapitalize: "off" });
  async function begin(mine, note) {
    const name = pick.value;
    named.hidden = name !== "";
    const file = name ? await fileOf(name) : { text: "rules:\n", version: rules.version };
    const before = file.text.replace(/\n*$/, "\n");
    edit(page, text, {
      get name() { return pick.value || named.value.trim(); },
      body: mine === undefined ? start.skeleton : mine, first: before.split("\n").length + (name ? 1 : 0), note, label: t("new_rule"), version: file.version,
      whole: (part) => `${before}${name ? "\n" : ""}${part}\n`,
      cancel: () => page.go("/rules"),
      conflict: (typed) => begin(typed, t("changed_meanwhile")),
      done: (made) => { page.typed = false; page.go("/rules", saidOf(made)); },
    });
  }
  let opened = null; // the text typed so far goes along to another file
  pick.addEventListener("change", () => begin(opened && opened().length ? opened() : undefined));
  await begin();
  opened = () => text.querySelector("textarea.yaml").value;
  return h("div", { class: "view" }, backLink(), h("h2", null, t("new_rule")), h("p", { class: "hint" }, t("new_hint")),
    h("div", { class: "tools" }, h("label", { for: "pick" }, t("into_file")), pick, named), text);
}

/** Puts an editor with all that leads to a change into `place`. `whole(part)` makes the file's text of what was typed. */
function edit(page, place, about) {
  const wrongLines = (complaints) => complaints.filter((one) => one.file === about.name && one.line).map((one) => one.line);
  const typing = editor({
    text: about.body, first: about.first, label: about.label,
    changed() {
      page.typed = true;
      flow.reset();
    },
  });
  const flow = changeFlow({
    request: () => fileRequest(about.name, about.whole(typing.text), about.version),
    refused: (complaints) => typing.mark(complaints ? wrongLines(complaints) : []),
    conflict: () => about.conflict(typing.text),
    cancel: about.cancel,
    done: (made) => { page.typed = false; about.done(made); },
  });
  flow.leadsTo = (complaint) => {
    if (complaint.file !== about.name || !complaint.line || complaint.line < typing.first || complaint.line > typing.last) return null;
    return h("button", { type: "button", class: "small lead", onclick: () => typing.lead(complaint.line) }, t("show_line"));
  };
  if (about.complaints) typing.mark(wrongLines(about.complaints));
  place.replaceChildren(...[about.note ? h("p", { class: "note", role: "status" }, about.note) : null, typing.element, flow].filter(Boolean));
  typing.area.focus({ preventScroll: true });
  typing.area.setSelectionRange(0, 0);
}
