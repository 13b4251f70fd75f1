// A change of the rules, step by step: what would happen, why, do it. Used for editing and for going back.

import { h } from "./dom.js";
import { ask } from "./hub_api.js";
import { complaintList, differenceView, linesView } from "./rules_parts.js";
import { start, t } from "./start.js";

/** The request again with `query`, on top of `version`. */
function send({ path, method, body, query = {} }, version, more) {
  const search = new URLSearchParams({ ...query, ...more }).toString();
  return ask(search ? `${path}?${search}` : path, { method, body, headers: { "If-Match": `"${version}"` }, patience: 30000 });
}

/**
 * An element that leads through the change. `request()` gives {path, method, body, query, version}; `reason(request, why)` puts the
 * reason into it. `refused(complaints)` is told what is wrong (null: nothing any more), `conflict(error)` that somebody else was
 * faster, `done(made)` what came of it. `first`: label of the first button; `reset()` on the element goes back to it.
 */
export function changeFlow({ request, refused, conflict, done, first, cancel, secondary }) {
  const box = h("section", { class: "flow" });
  let busy = false;
  let reason = ""; // kept when something goes wrong on the way

  async function trying(button, label, work) {
    if (busy) return;
    busy = true;
    button.disabled = true;
    button.setAttribute("aria-busy", "true");
    button.textContent = label;
    try {
      await work();
    } catch (error) {
      if (error.status === 412 && conflict) await conflict(error);
      else if (error.complaints && error.complaints.length) {
        refused(error.complaints);
        begin(h("div", { class: "trouble-box", role: "alert" }, h("p", null, t("refused_n", { n: error.complaints.length })), complaintList(error.complaints, box.leadsTo)));
      } else begin(h("p", { class: "trouble", role: "alert" }, error.message));
    } finally {
      busy = false;
    }
  }

  function begin(note) {
    const check = h("button", { type: "button", class: "action primary", onclick: () => trying(check, t("checking"), async () => {
      const wanted = request();
      const tried = await send(wanted, wanted.version, { dry_run: "1" });
      refused(null);
      confirm(wanted, tried);
    }) }, first || t("check_changes"));
    const back = cancel ? h("button", { type: "button", class: "action", onclick: cancel }, t("cancel")) : null;
    box.replaceChildren(...[note, h("div", { class: "flow-buttons" }, back, secondary || null, check)].filter(Boolean));
  }

  function confirm(wanted, tried) {
    if (!tried.changed) {
      begin(h("p", { class: "note", role: "status" }, t("nothing_changed")));
      return;
    }
    const why = h("textarea", { rows: "2", maxlength: "500", id: "why", "aria-describedby": "why-hint", required: true });
    why.value = reason;
    const losing = tried.difference.changes.some((change) => change.loses.length);
    const apply = h("button", { type: "button", class: `action primary ${losing ? "danger" : ""}`, disabled: reason.trim() === "", onclick: () => trying(apply, t("applying"), async () => {
      const body = wanted.body ? { ...wanted.body, why: reason.trim() } : undefined;
      done(await send({ ...wanted, body }, wanted.version, wanted.body ? {} : { why: reason.trim() }));
    }) }, losing ? t("apply_less") : t("apply"));
    why.addEventListener("input", () => {
      reason = why.value;
      apply.disabled = busy || reason.trim() === "";
    });
    box.replaceChildren(...[
      h("h2", { tabindex: "-1" }, t("would_change")),
      differenceView(tried.difference),
      tried.warnings.length ? h("div", { class: "note" }, h("h3", null, t("warnings")), complaintList(tried.warnings)) : null,
      linesView(tried.lines),
      h("label", { for: "why", class: "why-label" }, t("why")), why, h("p", { id: "why-hint", class: "hint" }, t("why_hint", { name: start.me.name })),
      h("div", { class: "flow-buttons" }, h("button", { type: "button", class: "action", onclick: () => begin() }, t("go_on_editing")), apply),
    ].filter(Boolean));
    box.querySelector("h2").focus({ preventScroll: true });
    box.scrollIntoView({ block: "start" });
  }

  box.reset = () => { if (!busy) begin(); };
  begin();
  return box;
}

/** What to say after a change: it runs, or it will in a moment. */
export function saidOf(made) {
  if (!made.changed) return t("nothing_changed");
  return made.applied ? t("in_force_now") : t("in_force_soon");
}

