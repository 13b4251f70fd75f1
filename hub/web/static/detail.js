// One alert in full: what, where, who, its timeline and its notifications.

import { h, icon } from "./dom.js";
import { has, kindName, quantityName, say, start, t, valueText } from "./start.js";
import { clock } from "./times.js";
import { stepBar } from "./case_steps.js";
import { countdown, head, isTold, what } from "./cards.js";
import { quietBox, quietButtons } from "./quiet.js";
import { responsible } from "./who.js";

/** The detail's content. `context`: stations, actions, found (its case), back(). `alert.timeline` is missing until it has been loaded. */
export function detail(alert, context) {
  return h(
    "article",
    { class: ["card", "full", alert.severity, alert.case_state, alert.test ? "test" : ""].join(" ") },
    h("button", { type: "button", class: "back", data: { key: "back" }, onclick: context.back }, icon("back"), h("span", null, t("back"))),
    head(alert),
    h(
      "div",
      { class: "card-body" },
      h("h2", { class: "place" }, say(alert.place)),
      what(alert),
      countdown(alert),
      quietBox(alert),
      h("p", { class: "do" }, h("span", { class: "do-label" }, t("do_now")), say(alert.action)),
      h("p", { class: "who" }, responsible(alert, context.stations, 12)),
      context.actions.buttons(alert, { all: true }),
      quietButtons(alert, context.actions),
      context.found ? h("section", { class: "case-steps" }, stepBar(context.found),
        h("a", { class: "alert-link", href: `/cases/${encodeURIComponent(alert.id)}` }, t("to_case"), icon("forward"))) : null,
    ),
    facts(alert),
    section("timeline", alert.timeline ? timeline(alert) : loading(context)),
    section("deliveries", alert.deliveries ? deliveries(alert) : loading(context)),
  );
}

function section(key, content) {
  return h("section", { class: `part ${key}` }, h("h3", null, t(key)), content);
}

function loading(context) {
  if (!context.failed) return h("p", { class: "hint" }, t("loading"));
  return h("p", { class: "hint" }, t("load_failed"), " ", h("button", { type: "button", class: "small", onclick: context.reload }, t("try_again")));
}

function facts(alert) {
  const rows = [
    ["device", `${say(alert.device.name)} · ${kindName(alert.device.kind)} · ${alert.device.id}`],
    !isTold(alert) ? ["value", `${quantityName(alert.quantity)} ${valueText(alert.value, alert.unit)}`] : null,
    alert.threshold !== null && typeof alert.value === "number" ? ["limit", valueText(alert.threshold, alert.unit)] : null,
    ["grid", `${say(alert.grid.name)} · ${alert.grid.code}`],
    ["station", say(alert.station.name) || t("no_station")],
    ["raised_at", clock(alert.raised_at_ms)],
    ["measured_at", clock(alert.observed_at_ms)],
    alert.acked_at_ms !== null ? ["acked_at", done(alert.acked_at_ms, alert.acked_by)] : null,
    alert.on_scene_at_ms !== null ? ["on_scene_at", done(alert.on_scene_at_ms, alert.on_scene_by)] : null,
    alert.closed_at_ms !== null ? ["closed_at", done(alert.closed_at_ms, alert.closed_by)] : null,
    alert.close_reason ? ["reason", alert.close_reason] : null,
    alert.occurrences > 1 ? ["occurrences", String(alert.occurrences)] : null,
    ["rule", alert.rule_id],
  ].filter(Boolean);
  return h("dl", { class: "facts" }, rows.map(([key, value]) => h("div", null, h("dt", null, t(key)), h("dd", null, value))));
}

function done(at, by) {
  return by ? `${clock(at)} ${t("by", { name: name(by) })}` : clock(at);
}

function name(actor) {
  return actor.id === "hub" ? t("hub") : say(actor.name);
}

function timeline(alert) {
  return h("ol", { class: "timeline" }, alert.timeline.map((row) =>
    h("li", { class: row.action },
      h("time", null, clock(row.at_ms)),
      h("div", null,
        h("b", null, happened(alert, row)),
        row.actor.id === "hub" ? null : h("span", { class: "muted" }, ` ${t("by", { name: name(row.actor) })}`),
        row.detail.reason && row.actor.id !== "hub" ? h("p", null, String(row.detail.reason)) : null,
        row.gaps.map((gap) => h("p", { class: "gap" }, say(gap)))))));
}

function happened(alert, row) {
  const again = row.action === "escalated" ? row.detail.step - alert.escalation_steps : 0;
  if (again > 0) return t("audit_repeated", { n: again });
  return has(`audit_${row.action}`) ? t(`audit_${row.action}`, row.detail) : row.action;
}

const unfolded = new Set(); // groups that the reader opened: they stay open when the page is drawn anew

/** The notifications by what they were about, the latest group open, the others folded. A failed one is never folded away. */
function deliveries(alert) {
  const groups = grouped(alert);
  if (!groups.length) return h("p", { class: "hint" }, t("no_deliveries"));
  return groups.map((group, n) => {
    if (n === groups.length - 1) return [h("h4", null, summary(group)), list(group.rows)];
    const key = `${alert.id}:${group.title}`;
    const well = group.rows.filter((row) => row.state !== "failed");
    const failed = group.rows.filter((row) => row.state === "failed");
    const fold = h("details", { class: "fold", open: unfolded.has(key), ontoggle: (event) => (event.target.open ? unfolded.add(key) : unfolded.delete(key)) },
      h("summary", { data: { key } }, summary(group)), list(well));
    return [fold, failed.length ? list(failed) : null];
  }).flat();
}

/** Groups in the order of their beginning: each transition is one, but all earlier repetitions are one together. */
function grouped(alert) {
  const rows = [...alert.deliveries].sort((a, b) => a.created_at_ms - b.created_at_ms);
  const latest = rows.length ? rows[rows.length - 1].transition : "";
  const groups = new Map();
  for (const row of rows) {
    const again = repetition(alert, row.transition);
    const key = again && row.transition !== latest ? "again" : row.transition;
    if (!groups.has(key)) groups.set(key, { title: again ? t("transition_repeat") : transition(row.transition), told: new Set(), rows: [] });
    groups.get(key).rows.push(row);
    groups.get(key).told.add(row.transition);
  }
  const last = groups.get(latest);
  groups.delete(latest);
  return last ? [...groups.values(), last] : [];
}

function repetition(alert, key) {
  const [kind, n] = key.split(":");
  return kind === "step" && Number(n) > alert.escalation_steps;
}

function summary(group) {
  const failed = group.rows.filter((row) => row.state === "failed").length;
  return [h("b", null, group.title), group.told.size > 1 ? ` ${t("times", { n: group.told.size })}` : "", " · ", clock(group.rows[0].created_at_ms), " · ",
    t("notices", { n: group.rows.length }), failed ? h("span", { class: "gap" }, ` · ${t("failed_n", { n: failed })}`) : null];
}

/** The rows as a list; what failed in the same way several times stands there once, with its count. */
function list(rows) {
  const counts = new Map();
  const shown = [];
  for (const row of rows) {
    const like = row.state === "failed" ? [row.recipient, row.channel, row.reason].join("|") : String(row.id);
    if (!counts.has(like)) shown.push([like, row]);
    counts.set(like, (counts.get(like) || 0) + 1);
  }
  return h("ol", { class: "deliveries" }, shown.map(([like, row]) => notice(row, counts.get(like))));
}

function notice(row, count) {
  return h("li", { class: row.state },
    h("div", { class: "delivery-to" },
      h("b", null, say(row.recipient_name)),
      h("span", { class: "muted" }, `${has(`channel_${row.channel}`) ? t(`channel_${row.channel}`) : row.channel} · ${clock(row.created_at_ms)}`)),
    h("div", { class: "delivery-state" },
      h("span", { class: `state ${row.state}` }, reached(row), count > 1 ? ` ${t("times", { n: count })}` : null),
      row.attempts > 1 ? h("span", { class: "muted" }, t("attempts", { n: row.attempts })) : null,
      row.reason ? h("p", { class: row.state === "failed" ? "gap" : "muted" }, row.reason) : null));
}

/** "raised:2", "step:1:2", "reinforce:1" in words; the last number of a repetition is left out. */
function transition(key) {
  const [kind, n] = key.split(":");
  return has(`transition_${kind}`) ? t(`transition_${kind}`, { n: n || "" }) : key;
}

/** How far it has come, with its times: "accepted after 0.8 s, read after 41 s". */
function reached(row) {
  const times = [["accepted_after", row.accepted_after_ms], ["delivered_after", row.delivered_after_ms], ["read_after", row.read_after_ms]].filter(([, ms]) => ms !== null);
  if (!times.length || row.state === "failed") return t(`delivery_${row.state}`);
  return times.map(([text, ms]) => t(text, { s: seconds(ms) })).join(", ");
}

function seconds(ms) {
  return new Intl.NumberFormat(start.locale, { maximumFractionDigits: ms < 10000 ? 1 : 0 }).format(ms / 1000);
}
