// One alert as a card in the list.

import { h, icon } from "./dom.js";
import { kindName, quantityName, say, t, valueText } from "./start.js";
import { clock } from "./times.js";
import { responsible } from "./who.js";

/** The card's element. `context`: stations, actions, selected id, open(alert). */
export function card(alert, context) {
  const urgent = alert.severity === "P1";
  const selected = context.selected === alert.id;
  return h(
    "article",
    {
      class: ["card", alert.severity, alert.case_state, alert.test ? "test" : "", selected ? "selected" : ""].join(" "),
      data: { id: alert.id },
      "aria-label": `${alert.severity} ${say(alert.title)}, ${say(alert.place)}`,
      onclick: (event) => { if (!event.target.closest("a,button")) context.open(alert); },
    },
    head(alert),
    h(
      "div",
      { class: "card-body" },
      h("h3", { class: "place" }, h("a", { href: `/alerts/${encodeURIComponent(alert.id)}`, data: { key: `${alert.id}:open` }, onclick: (event) => {
        if (event.metaKey || event.ctrlKey) return;
        event.preventDefault();
        context.open(alert);
      } }, say(alert.place), icon("forward"))),
      what(alert),
      countdown(alert),
      context.wide && !urgent ? null : h("p", { class: "do" }, h("span", { class: "do-label" }, t("do_now")), say(alert.action)),
      urgent && !context.wide ? h("p", { class: "who" }, responsible(alert, context.stations, 3)) : null,
      context.actions.buttons(alert, { all: urgent && !context.wide, more: () => context.open(alert) }),
    ),
  );
}

/** The coloured strip: severity, title, state, and how long it has been. */
export function head(alert) {
  return h(
    "header",
    { class: "card-head" },
    h("span", { class: "badge" }, alert.severity),
    h("span", { class: "title" }, say(alert.title)),
    alert.test ? h("span", { class: "tag" }, t("test_tag")) : null,
    alert.drill ? h("span", { class: "tag drill" }, t("drill_tag")) : null,
    alert.chattering ? h("span", { class: "tag chattering" }, t("chattering_tag")) : null,
    h("span", { class: "elapsed" }, h("span", { class: "elapsed-label" }, t("elapsed")), " ", h("time", { data: { since: alert.raised_at_ms } })),
  );
}

/** Device and value in one line. */
export function what(alert) {
  return h(
    "p",
    { class: "what" },
    h("span", { class: "device" }, say(alert.device.name)),
    h("span", { class: "muted" }, `${kindName(alert.device.kind)} · ${alert.device.id}`),
    isTold(alert) ? null : h("span", { class: "value" }, `${quantityName(alert.quantity)} `, h("b", null, valueText(alert.value, alert.unit))),
  );
}

/** Whether the title says all of the value: "smoke: yes". */
export function isTold(alert) {
  return alert.quantity === "" || alert.value === true;
}

/** State of the case, and the time left for its next step. */
export function countdown(alert) {
  const steps = [h("span", { class: `state ${alert.case_state}` }, t(`case_${alert.case_state}`))];
  if (alert.quiet) steps.push(h("span", { class: "state quiet" }, t(`quiet_${alert.quiet}`, { until: clock(alert.quiet_until_ms) })));
  if (alert.device.kind === "report") {
    // People raised it: no device will say that it is over.
  } else if (alert.alarm_state === "returned_unacked" || alert.alarm_state === "latched" || alert.alarm_state === "normal") {
    steps.push(h("span", { class: "state well" }, t("alarm_returned_unacked")));
  }
  if (alert.live && alert.on_scene_at_ms === null) {
    if (alert.acked_at_ms === null && alert.acknowledge_by_ms !== null) steps.push(limit("ack_in", alert.acknowledge_by_ms));
    else if (alert.on_scene_by_ms !== null) steps.push(limit("scene_in", alert.on_scene_by_ms));
  }
  if (alert.escalation_level > 0) steps.push(h("span", { class: "state climbed" }, climbed(alert)));
  return h("p", { class: "steps" }, steps);
}

/** How far the ladder was climbed, and how often its end was told again. */
function climbed(alert) {
  const rung = Math.min(alert.escalation_level, alert.escalation_steps);
  const again = alert.escalation_level - rung;
  return [rung > 0 ? t("escalated", { n: rung }) : "", again > 0 ? t("repeated", { n: again }) : ""].filter(Boolean).join(" · ");
}

function limit(key, until) {
  return h("span", { class: "limit" }, h("span", null, t(key)), " ", h("time", { data: { until, late: t(`${key}_late`) } }));
}

/** A closed alert as one line. */
export function line(alert, context) {
  return h(
    "article",
    { class: `past ${alert.severity} ${context.selected === alert.id ? "selected" : ""}`, data: { id: alert.id }, onclick: (event) => { if (!event.target.closest("a,button")) context.open(alert); } },
    h("span", { class: "badge" }, alert.severity),
    h("span", { class: "past-text" },
      h("a", { href: `/alerts/${encodeURIComponent(alert.id)}`, data: { key: `${alert.id}:open` }, onclick: (event) => {
        if (event.metaKey || event.ctrlKey) return;
        event.preventDefault();
        context.open(alert);
      } }, `${say(alert.title)} · ${say(alert.place)}`),
      h("span", { class: "muted" }, `${t(`case_${alert.case_state}`)} ${clock(alert.closed_at_ms)}`, alert.close_reason ? ` · ${alert.close_reason}` : "")),
  );
}
