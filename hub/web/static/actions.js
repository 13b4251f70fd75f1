// What people do about an alert: the buttons, the questions before some of them, and what became of the tap.

import { h, icon } from "./dom.js";
import { start, t } from "./start.js";
import { ask } from "./hub_api.js";

const VERBS = { acknowledge: "acknowledge", on_scene: "on-scene", false_alarm: "false-alarm", reinforce: "reinforce", close: "close" };
const ICONS = { acknowledge: "check", on_scene: "arrive", false_alarm: "false", reinforce: "help", close: "close" };
const NEXT = { reported: "acknowledge", accepted: "on_scene", on_scene: "close" };
const QUESTIONS = {
  false_alarm: { needed: true, choices: ["reason_cooking", "reason_steam", "reason_smoking", "reason_fault", "reason_test"] },
  reinforce: { needed: false, choices: [] },
  close: { needed: false, choices: [] },
};

export class Actions {
  /** `changed(alert)` takes the hub's answer; `redraw(id)` shows what is on its way. */
  constructor(changed, redraw) {
    this.changed = changed;
    this.redraw = redraw;
    this.underway = new Map(); // alert id → action
    this.troubles = new Map(); // alert id → text
  }

  /** The buttons that fit the alert: the next step large, the others beside it. */
  buttons(alert, { all, more }) {
    if (!alert.live) return null;
    if (!start.me.may_act) return h("p", { class: "hint" }, t("read_only"));
    const next = NEXT[alert.case_state];
    const order = ["acknowledge", "on_scene", "close", "false_alarm", "reinforce"];
    const possible = order.filter((action) => alert.actions.includes(action));
    const first = possible.includes(next) ? next : null;
    const rest = all ? possible.filter((action) => action !== first) : [];
    const trouble = this.troubles.get(alert.id);
    return h(
      "div",
      { class: `actions ${all ? "" : "short"}`, role: "group" },
      first && this.button(alert, first, "primary"),
      !first && alert.case_state === "on_scene" ? h("p", { class: "hint" }, t("close_when_normal")) : null,
      all ? null : h("button", { type: "button", class: "action more", data: { key: `${alert.id}:more` }, onclick: (event) => { event.stopPropagation(); more(); } }, t("more_actions")),
      rest.length ? h("div", { class: "others" }, rest.map((action) => this.button(alert, action, action))) : null,
      trouble ? h("p", { class: "trouble", role: "alert" }, t("not_sent", { why: trouble })) : null,
    );
  }

  button(alert, action, look) {
    const underway = this.underway.get(alert.id);
    return h(
      "button",
      {
        type: "button",
        class: `action ${look}`,
        data: { action, key: `${alert.id}:${action}` },
        disabled: underway !== undefined,
        "aria-busy": underway === action ? "true" : null,
        onclick: (event) => {
          event.stopPropagation();
          this.tapped(alert, action);
        },
      },
      icon(ICONS[action]),
      h("span", null, underway === action ? t("sending") : t(action)),
    );
  }

  async tapped(alert, action) {
    if (this.underway.has(alert.id)) return;
    const question = QUESTIONS[action];
    let reason = "";
    if (question) {
      const answer = await askReason(alert, action, question);
      if (answer === null) return;
      reason = answer;
    }
    await this.send(alert, action, reason);
  }

  async send(alert, action, reason) {
    this.underway.set(alert.id, action);
    this.troubles.delete(alert.id);
    this.redraw(alert.id);
    try {
      const after = await ask(`/alerts/${encodeURIComponent(alert.id)}/${VERBS[action]}`, { method: "POST", body: { reason, occurrence: alert.occurrences, severity: alert.severity } });
      this.underway.delete(alert.id);
      this.changed(after);
    } catch (error) {
      this.underway.delete(alert.id);
      this.troubles.set(alert.id, error.message);
    }
    this.redraw(alert.id);
  }
}

/** Asks for a reason in a dialog. Gives the text ("" where none is needed), or null when the person thought better of it. */
function askReason(alert, action, question) {
  const dialog = document.getElementById("ask");
  return new Promise((resolve) => {
    const words = h("textarea", { id: "ask-reason", rows: "2", maxlength: "400", "aria-label": t("reason"), placeholder: question.needed ? t("reason_own_words") : "" });
    const send = h("button", { type: "submit", class: `action ${action === "false_alarm" ? "primary" : action}`, disabled: question.needed }, t(`confirm_${action}`));
    const choices = question.choices.map((key) =>
      h("button", { type: "button", class: "choice", "aria-pressed": "false", onclick: (event) => {
        words.value = t(key);
        for (const other of choices) other.setAttribute("aria-pressed", String(other === event.currentTarget));
        send.disabled = false;
      } }, t(key)));
    words.addEventListener("input", () => {
      send.disabled = question.needed && words.value.trim() === "";
      for (const choice of choices) choice.setAttribute("aria-pressed", String(choice.textContent === words.value));
    });
    let answer = null;
    const form = h(
      "form",
      { method: "dialog", onsubmit: (event) => {
        event.preventDefault();
        if (question.needed && words.value.trim() === "") return;
        answer = words.value.trim();
        dialog.close();
      } },
      h("h2", { id: "ask-title" }, t(`${action}_title`)),
      h("p", { class: "hint" }, t(`${action}_hint`)),
      choices.length ? h("div", { class: "choices" }, choices) : null,
      words,
      h("div", { class: "ask-row" }, h("button", { type: "button", class: "action", onclick: () => dialog.close() }, t("cancel")), send),
    );
    dialog.replaceChildren(form);
    dialog.addEventListener("close", () => resolve(answer), { once: true });
    dialog.showModal();
    if (!choices.length) words.focus();
  });
}
