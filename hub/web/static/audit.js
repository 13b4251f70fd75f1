// The page of proof: what the self-audit saw last, and the report on every alarm.

import { h } from "./dom.js";
import { ask } from "./hub_api.js";
import { has, start, t } from "./start.js";
import { clock, now } from "./times.js";
import { box, button, show } from "./watch.js";

const REFRESH_MS = 10000;
const OLD_MS = 90000;
const DAY_MS = 86400000;
const SPANS = [["day", 1], ["week", 7], ["month", 30]];
let last = null;
let failed = "";
let report = null;

async function load() {
  try {
    last = await ask("/audit");
    failed = "";
  } catch (error) {
    failed = error.message;
  }
  draw();
}

function draw() {
  show(() => [last ? audit() : failed ? null : h("p", { class: "hint" }, t("loading")), reports()], failed);
}

function audit() {
  if (!last.looked) return box("", h("p", { class: "check unanswered" }, t("not_looked")));
  const age = now() - last.at_ms;
  return box("",
    h("p", { class: `check ${last.good ? "answered" : "unanswered"}`, role: "status" }, h("b", null, last.good ? t("good") : t("bad", { n: last.findings.length }))),
    h("p", { class: "muted" }, t("looked_at", { at: clock(last.at_ms) })),
    age > OLD_MS ? h("p", { class: "gap" }, t("stale", { s: Math.round(age / 1000) })) : null,
    findings(last.findings),
    h("h3", null, t("checked")),
    h("dl", { class: "facts" }, Object.entries(last.checked).map(([key, n]) => h("div", null, h("dt", null, has(`checked_${key}`) ? t(`checked_${key}`) : key), h("dd", null, String(n))))),
    last.head ? [h("h3", null, t("head")), h("p", { class: "head-hash" }, `${last.head.number}:${last.head.hash}`), h("p", { class: "hint" }, t("head_hint"))] : null);
}

function findings(list) {
  return list.length ? h("ol", { class: "findings" }, list.map((one) => h("li", null, h("b", null, has(`finding_${one.kind}`) ? t(`finding_${one.kind}`) : one.kind), h("p", { class: "muted" }, `${one.subject} ${one.detail}`)))) : null;
}

function reports() {
  const since = (days) => Math.round(now() - days * DAY_MS);
  const lang = start.locale === "en" ? "en" : "zh-CN";
  return box(t("report"),
    h("div", { class: "others" }, SPANS.map(([name, days]) => button(t(`report_${name}`), `report:${name}`, "", async () => {
      const from = since(days);
      report = { from, ...(await ask(`/audit/report?since=${from}&format=json&lang=${lang}`, { patience: 60000 })) };
      draw();
    }))),
    report ? [
      h("p", { class: `check ${report.complete ? "answered" : "unanswered"}`, role: "status" }, t("report_all", { n: report.alarms.length, k: report.findings.length }), ` · ${clock(report.from_ms)} – ${clock(report.to_ms)}`),
      report.findings.length ? h("h3", null, t("report_missing")) : null,
      findings(report.findings),
      h("p", { class: "links" }, [["html", t("report_html")], ["csv", t("report_csv")]].map(([format, label]) =>
        h("a", { class: "action", href: `/api/v1/audit/report?since=${report.from_ms}&until=${report.to_ms}&format=${format}&lang=${lang}`, target: "_blank", rel: "noopener" }, label))),
    ] : null);
}

setInterval(() => { if (document.visibilityState === "visible") load(); }, REFRESH_MS);
load();
