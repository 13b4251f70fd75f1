// The steps of a case: the bar that shows how far it is, and the taps that move it on.

import { h, icon } from "./dom.js";
import { say, start, t } from "./start.js";
import { clock } from "./times.js";

const ORDER = ["reported", "accepted", "dispatched", "on_scene", "handled", "feedback", "verified", "closed"];
export const VERBS = {
  accept: "accept", dispatch: "dispatch", arrive: "arrive", handle: "handle", feed_back: "feedback", verify: "verify", close: "close",
  send_back: "send-back", false_alarm: "false-alarm", reopen: "reopen",
};
const NEXT = {
  reported: ["accept"], accepted: ["arrive", "dispatch"], dispatched: ["arrive"], on_scene: ["handle"],
  handled: ["close", "feed_back"], feedback: ["verify"], verified: ["close"], closed: [], false_alarm: [],
};
const ICONS = { accept: "check", dispatch: "forward", arrive: "arrive", handle: "check", feed_back: "check", verify: "check", close: "close", send_back: "back", false_alarm: "false", reopen: "back" };
const WORDED = { dispatch: true, handle: false, feed_back: true, verify: false, close: false, send_back: true, false_alarm: true, reopen: true };
const REASONS = ["reason_cooking", "reason_steam", "reason_fault", "reason_not_there"];

/** All steps in a row: those done with their time, the present one marked. */
export function stepBar(found) {
  const over = found.step === "false_alarm";
  const at = over ? ORDER.length : ORDER.indexOf(found.step);
  const items = ORDER.map((step, n) => {
    const reached = step === "closed" ? (found.step === "closed" ? found.closed_at_ms : undefined) : found.reached[step];
    const look = n < at && reached !== undefined ? "done" : n < at ? "skipped" : n === at ? "now" : "ahead";
    return h("li", { class: look, "aria-current": n === at ? "step" : null, title: reached === undefined ? null : clock(reached) },
      h("span", { class: "dot", "aria-hidden": "true" }), h("span", { class: "step-name" }, t(`step_${step}`)));
  });
  return h("div", { class: "step-box" },
    h("ol", { class: "step-bar", "aria-label": t("steps") }, items),
    h("p", { class: "step-tags" },
      over ? h("span", { class: "tag over" }, t("step_false_alarm")) : null,
      found.handling ? h("span", { class: "tag" }, t(`handling_${found.handling}`)) : null,
      found.sent_back ? h("span", { class: "tag" }, t("sent_back_n", { n: found.sent_back })) : null,
      found.reopened ? h("span", { class: "tag" }, t("reopened_n", { n: found.reopened })) : null,
      found.overdue ? h("span", { class: "tag late" }, t("overdue")) : null,
      found.assignee ? h("span", { class: "tag" }, t("assigned_to", { name: say(found.assignee_name) })) : null));
}

/** The buttons for what can be done now: the next step large. `moved(move, body)` sends it. `but`: moves shown elsewhere. */
export function moveButtons(found, state, moved, but = []) {
  const moves = found.moves.filter((move) => !but.includes(move));
  if (!moves.length) return start.me.may_act ? null : h("p", { class: "hint" }, t("read_only"));
  const first = NEXT[found.step].find((move) => moves.includes(move));
  const rest = moves.filter((move) => move !== first);
  const button = (move, look) =>
    h("button", {
      type: "button", class: `action ${look}`, data: { move, key: `move:${move}` }, disabled: state.underway !== "", "aria-busy": state.underway === move ? "true" : null,
      onclick: async () => {
        const body = move in WORDED ? await askWords(move) : {};
        if (body !== null) moved(move, body);
      },
    }, icon(ICONS[move]), h("span", null, state.underway === move ? t("sending") : t(`move_${move}`)));
  return h("div", { class: "actions", role: "group" },
    first ? button(first, "primary") : null,
    rest.length ? h("div", { class: "others" }, rest.map((move) => button(move, move))) : null,
    state.trouble ? h("p", { class: "trouble", role: "alert" }, t("not_sent", { why: state.trouble })) : null);
}

/** Asks for words (and whom to send) in a dialog. Gives the body to send, or null when the person thought better of it. */
function askWords(move) {
  const dialog = document.getElementById("ask");
  const needed = WORDED[move];
  return new Promise((resolve) => {
    const single = move === "dispatch";
    const words = single
      ? h("input", { id: "ask-words", maxlength: "100", autocomplete: "off", "aria-label": t("move_dispatch_who") })
      : h("textarea", { id: "ask-words", rows: "3", maxlength: "500", "aria-label": t("reason"), placeholder: needed ? "" : t("may_be_empty") });
    const send = h("button", { type: "submit", class: "action primary", disabled: needed }, t(`move_${move}`));
    words.addEventListener("input", () => { send.disabled = needed && words.value.trim() === ""; });
    const offered = single ? start.assignees.map((one) => [say(one.name), one.id]) : move === "false_alarm" ? REASONS.map((key) => [t(key), t(key)]) : [];
    let chosen = "";
    const choices = offered.map(([label, value]) =>
      h("button", { type: "button", class: "choice", onclick: () => { words.value = label; chosen = value; send.disabled = false; } }, label));
    let answer = null;
    dialog.replaceChildren(h("form", { method: "dialog", onsubmit: (event) => {
      event.preventDefault();
      const said = words.value.trim();
      if (needed && said === "") return;
      const match = offered.find(([label, value]) => label === said && value === chosen);
      answer = single ? { to: match ? match[1] : said } : { reason: said };
      dialog.close();
    } },
      h("h2", { id: "ask-title" }, t(`move_${move}`)),
      h("p", { class: "hint" }, t(`move_${move}_hint`)),
      choices.length ? h("div", { class: "choices" }, choices) : null,
      words,
      h("div", { class: "ask-row" }, h("button", { type: "button", class: "action", onclick: () => dialog.close() }, t("cancel")), send)));
    dialog.addEventListener("close", () => resolve(answer), { once: true });
    dialog.showModal();
    if (!choices.length) words.focus();
  });
}
