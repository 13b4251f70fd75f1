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
const MISTAKEN = ["alarmed-again", "more-severe", "which-alarm"]; // the answer meant another alarm than the present one

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
      trouble ? h("p", { class: "trouble", role: "alert" }, trouble) : null,
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

  send(alert, action, reason) {
    return this.run(alert, action, () =>
      ask(`/alerts/${encodeURIComponent(alert.id)}/${VERBS[action]}`, { method: "POST", body: { reason, occurrence: alert.occurrences, severity: alert.severity } }));
  }

  /** Does `work`, which gives the alert as it is afterwards. What went wrong stands at the alert until the next try. */
  async run(alert, action, work) {
    if (this.underway.has(alert.id)) return;
    this.underway.set(alert.id, action);
    this.troubles.delete(alert.id);
    this.redraw(alert.id);
    try {
      const after = await work();
      this.underway.delete(alert.id);
      this.changed(after);
    } catch (error) {
      this.troubles.set(alert.id, await this.refusal(alert, error));
      this.underway.delete(alert.id);
    }
    this.redraw(alert.id);
  }

  /** What to say about a refusal. If the answer was to an alarm that is no longer the present one, the present one is shown with it. */
  async refusal(alert, error) {
    if (!MISTAKEN.includes(error.reason)) return t("not_sent", { why: error.message });
    const present = await ask(`/alerts/${encodeURIComponent(alert.id)}`).catch(() => null);
    if (!present) return t("not_sent", { why: error.message });
    this.changed(present);
    return t(`refused_${error.reason.replace(/-/g, "_")}`, { n: present.occurrences, severity: present.severity });
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
