// Reporting what one saw (随手拍): what, where, how urgent, and a photo. Made for one hand.

import { h } from "./dom.js";
import { say, start, t } from "./start.js";
import { ask } from "./hub_api.js";

const CATEGORIES = ["fire_lane", "ebike_indoors", "loose_wires", "blocked_exit", "broken_equipment", "other"];

/** The form. `done(id)` goes to the new case, `back()` to the list. */
export function reportForm({ done, back }) {
  // The same number for every try of this form: a lost answer makes no second case.
  const number = `page-${crypto.getRandomValues(new Uint32Array(3)).join("-")}`;
  let category = "";
  let severity = "P3";
  const title = h("input", { id: "report-title", maxlength: "100", required: true, autocomplete: "off" });
  const where = h("input", { id: "report-where", maxlength: "200", autocomplete: "off", placeholder: t("report_where_hint") });
  const text = h("textarea", { id: "report-text", rows: "3", maxlength: "2000" });
  const grid = h("select", { id: "report-grid" }, start.grids.map((one) => h("option", { value: one.code }, say(one.name))));
  const photo = h("input", { id: "report-photo", type: "file", accept: "image/jpeg,image/png,image/webp" });
  const trouble = h("p", { class: "trouble", role: "alert", hidden: true });
  const send = h("button", { type: "submit", class: "action primary" }, t("report_send"));
  const pick = (list, chosen) => { for (const other of list) other.setAttribute("aria-pressed", String(other === chosen)); };
  const kinds = CATEGORIES.map((key) => h("button", { type: "button", class: "choice", "aria-pressed": "false", data: { category: key }, onclick: (event) => {
    pick(kinds, event.currentTarget);
    category = key;
    if (key !== "other") title.value = t(`category_${key}`);
    else title.focus();
  } }, t(`category_${key}`)));
  const levels = ["P3", "P2", "P1"].map((level) => h("button", { type: "button", class: `choice ${level}`, "aria-pressed": String(level === severity), data: { level }, onclick: (event) => {
    pick(levels, event.currentTarget);
    severity = level;
    urgent.hidden = level === "P3";
  } }, t(`level_${level}`)));
  const urgent = h("p", { class: "hint", hidden: true }, t("report_urgent_hint"));

  async function submit(event) {
    event.preventDefault();
    if (!title.value.trim()) return title.focus();
    send.disabled = true;
    trouble.hidden = true;
    try {
      const made = await ask("/cases", { method: "POST", body: {
        title: title.value.trim(), where: where.value.trim(), text: text.value.trim(), grid: grid.value, category, severity, number,
      } });
      const file = photo.files[0];
      if (file) await ask(`/cases/${encodeURIComponent(made.id)}/photos?stage=before`, { method: "POST", file, patience: 60000 });
      done(made.id);
    } catch (error) {
      trouble.textContent = t("not_sent", { why: error.message });
      trouble.hidden = false;
      send.disabled = false;
    }
  }

  const field = (label, control) => h("label", { class: "field" }, h("span", null, label), control);
  return h("form", { class: "card full report", onsubmit: submit },
    h("div", { class: "card-body" },
      h("h2", null, t("report_title")),
      h("div", { class: "choices", role: "group", "aria-label": t("report_kind") }, kinds),
      field(t("report_what"), title),
      start.grids.length > 1 ? field(t("grid"), grid) : h("p", { class: "muted" }, start.grids[0] ? say(start.grids[0].name) : ""),
      field(t("report_where"), where),
      h("div", { class: "choices levels", role: "group", "aria-label": t("report_level") }, levels),
      urgent,
      field(t("report_photo"), photo),
      h("p", { class: "hint" }, t("photo_hint")),
      field(t("report_text"), text),
      trouble,
      h("div", { class: "ask-row" }, h("button", { type: "button", class: "action", onclick: back }, t("cancel")), send)));
}
