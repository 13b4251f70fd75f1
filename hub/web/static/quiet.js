// What keeps an alert quiet: shelved, its device out of service, silenced, or part of a drill; and making it so, or ending it.

import { h } from "./dom.js";
import { ask } from "./hub_api.js";
import { lasts } from "./lasts.js";
import { say, start, t } from "./start.js";
import { clock } from "./times.js";

const TIMES_S = [900, 3600, 4 * 3600, 8 * 3600, 86400, 3 * 86400, 7 * 86400];

/** Why it tells nobody, until when and by whom. Nothing for an alert that tells people. */
export function quietBox(alert) {
  const why = alert.quieted;
  if (!why || !alert.live) return null;
  return h("div", { class: `quiet-box ${why.kind}`, role: "note" },
    h("b", null, t(`quieted_${why.kind}`)),
    h("span", null, t("until_by", { until: clock(why.until_ms), name: say(why.by.name) })),
    why.reason ? h("span", { class: "muted" }, why.reason) : null);
}

/** The buttons that make an alert quiet, or end it: shelving for whoever acts, the device for officers. */
export function quietButtons(alert, actions) {
  if (!alert.live || alert.test || !start.me.may_act) return null;
  const buttons = [];
  const add = (key, tapped) => buttons.push(h("button", {
    type: "button", class: "action", data: { action: key, key: `${alert.id}:${key}` }, onclick: tapped,
    disabled: actions.underway.has(alert.id), "aria-busy": actions.underway.get(alert.id) === key ? "true" : null,
  }, h("span", null, actions.underway.get(alert.id) === key ? t("sending") : t(key))));
  const most = start.quiet.most_s[alert.severity];
  if (alert.quiet === "shelved") add("unshelve", () => actions.run(alert, "unshelve", () => ask(`${path(alert)}/shelve`, { method: "DELETE" })));
  else if (!alert.quiet && most) add("shelve", () => shelve(alert, actions, most));
  if (start.quiet.takes_out && alert.device.kind !== "report") {
    if (alert.quiet === "out_of_service") add("put_back", () => device(alert, actions, "put_back", { method: "DELETE" }));
    else add("take_out", () => takeOut(alert, actions));
  }
  return buttons.length ? h("div", { class: "others quieting", role: "group" }, buttons) : null;
}

async function shelve(alert, actions, most) {
  const times = TIMES_S.filter((s) => s <= most).map((s) => [lasts(s), { kind: "timed", for_s: s }]);
  const active = ["active_unacked", "active_acked"].includes(alert.alarm_state);
  if (active) times.push([t("until_it_ends", { most: lasts(most) }), { kind: "one_shot" }]);
  const body = await askTime(times, "shelve");
  if (body) await actions.run(alert, "shelve", () => ask(`${path(alert)}/shelve`, { method: "POST", body }));
}

async function takeOut(alert, actions) {
  const times = TIMES_S.filter((s) => s <= start.quiet.out_s).map((s) => [lasts(s), { for_s: s }]);
  const body = await askTime(times, "take_out");
  if (body) await device(alert, actions, "take_out", { method: "POST", body });
}

function device(alert, actions, name, request) {
  return actions.run(alert, name, async () => {
    await ask(`/devices/${encodeURIComponent(alert.device.id)}/out-of-service`, request);
    return ask(path(alert));
  });
}

function path(alert) {
  return `/alerts/${encodeURIComponent(alert.id)}`;
}

/** Asks for how long and why. Gives the body to send, or null when the person thought better of it. */
function askTime(times, key) {
  const dialog = document.getElementById("ask");
  return new Promise((resolve) => {
    let chosen = null;
    let answer = null;
    const words = h("textarea", { id: "ask-reason", rows: "2", maxlength: "400", "aria-label": t("reason"), placeholder: t("reason_own_words") });
    const send = h("button", { type: "submit", class: "action primary", disabled: true }, t(key));
    const ready = () => { send.disabled = !chosen || words.value.trim() === ""; };
    const choices = times.map(([label, body]) =>
      h("button", { type: "button", class: "choice", "aria-pressed": "false", onclick: (event) => {
        chosen = body;
        for (const other of choices) other.setAttribute("aria-pressed", String(other === event.currentTarget));
        ready();
      } }, label));
    words.addEventListener("input", ready);
    dialog.replaceChildren(h("form", { method: "dialog", onsubmit: (event) => {
      event.preventDefault();
      if (send.disabled) return;
      answer = { ...chosen, reason: words.value.trim() };
      dialog.close();
    } },
      h("h2", { id: "ask-title" }, t(`${key}_title`)),
      h("p", { class: "hint" }, t(`${key}_hint`)),
      h("div", { class: "choices" }, choices),
      words,
      h("div", { class: "ask-row" }, h("button", { type: "button", class: "action", onclick: () => dialog.close() }, t("cancel")), send)));
    dialog.addEventListener("close", () => resolve(answer), { once: true });
    dialog.showModal();
  });
}
