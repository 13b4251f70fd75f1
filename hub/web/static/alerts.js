// The alerts that the page knows, and questions about them.

import { now } from "./times.js";

export const SEVERITIES = ["P1", "P2", "P3", "P4"];
const RECENT_MS = 24 * 3600 * 1000;
const RECENT = 30;

export class Alerts {
  constructor(board) {
    this.byId = new Map();
    this.shownTests = false;
    this.replace(board);
  }

  /** Takes a whole board. What is newer here (it came by the stream meanwhile) stays. Returns alerts that are new and open. */
  replace(board) {
    const before = this.byId;
    this.byId = new Map();
    this.more = board.more;
    for (const alert of [...board.alerts, ...board.recent]) {
      const known = before.get(alert.id);
      this.byId.set(alert.id, known && known.change > alert.change ? known : alert);
    }
    for (const alert of before.values()) if (alert.change > board.change) this.byId.set(alert.id, alert);
    return [...this.byId.values()].filter((alert) => alert.live && !(before.get(alert.id) || {}).live);
  }

  /** Takes one changed alert. Returns whether it is news: newly open, or alarmed again. */
  put(alert) {
    const known = this.byId.get(alert.id);
    if (known && known.change >= alert.change) return false;
    this.byId.set(alert.id, alert);
    return alert.live && (!known || !known.live || alert.occurrences > known.occurrences);
  }

  shows(alert) {
    return this.shownTests || !alert.test;
  }

  /** Open alerts that fit the filter, the most urgent first: by severity, then unanswered before answered, then newest. */
  open(filter) {
    return this.all((a) => a.live && fits(a, filter)).sort(
      (a, b) => compare(a.severity, b.severity) || weight(a) - weight(b) || b.raised_at_ms - a.raised_at_ms,
    );
  }

  /** Alerts closed in the last 24 hours, the latest first. */
  recent(filter) {
    const since = now() - RECENT_MS;
    return this.all((a) => !a.live && a.closed_at_ms >= since && fits(a, filter))
      .sort((a, b) => b.closed_at_ms - a.closed_at_ms)
      .slice(0, RECENT);
  }

  /** How many open alerts there are of each severity. */
  counts(station) {
    const counts = Object.fromEntries(SEVERITIES.map((severity) => [severity, 0]));
    for (const alert of this.all((a) => a.live && fits(a, { station }))) counts[alert.severity] += 1;
    return counts;
  }

  /** Fire alarms that nobody has acknowledged. */
  unanswered() {
    return this.all((a) => a.live && a.severity === "P1" && !a.test && a.acked_at_ms === null);
  }

  all(wanted) {
    return [...this.byId.values()].filter((alert) => this.shows(alert) && wanted(alert));
  }
}

function fits(alert, filter) {
  return (!filter.severity || alert.severity === filter.severity) && (!filter.station || alert.station.id === filter.station);
}

function weight(alert) {
  return alert.acked_at_ms === null ? 0 : alert.on_scene_at_ms === null ? 1 : 2;
}

function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}
