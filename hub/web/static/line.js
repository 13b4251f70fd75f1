// The line to the hub: server-sent events, and polling while they do not come through. Always says which.
//
// A stream can die without an error (a sleeping phone, a proxy), so what counts is whether something was heard lately:
// the hub sends a beat every 5 s.

import { ask, leave, Refused } from "./hub_api.js";
import { setHubTime } from "./times.js";

const BEAT_MISSING_MS = 12000;
export const POLL_MS = 3000;
const RETRY_MS = [500, 1000, 2000, 4000, 8000];
const REFRESH_MS = 60000;

/**
 * Keeps the board up to date. `on.alert(alert)`, `on.board(board)`, `on.beat(beat)` bring news;
 * `on.line(state, since)` says live | reconnecting | polling | offline, and when something was last heard.
 */
export class Line {
  constructor(change, on) {
    this.change = change;
    this.on = on;
    this.heard = Date.now();
    this.state = "connecting";
    this.failures = 0;
    this.source = null;
    this.retry = 0;
    this.polling = false;
    this.refreshed = Date.now();
  }

  start() {
    this.open();
    setInterval(() => this.watch(), 1000);
    setInterval(() => this.poll(), POLL_MS);
    // A phone that wakes up, or finds a network again, does not wait for the next try.
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible" && Date.now() - this.heard > BEAT_MISSING_MS) this.again();
    });
    window.addEventListener("online", () => this.again());
    window.addEventListener("offline", () => this.broken());
  }

  open() {
    this.close();
    const source = new EventSource(`/api/v1/stream?since=${this.change}`);
    this.source = source;
    const heard = (handle) => (event) => {
      if (source !== this.source) return;
      this.heard = Date.now();
      handle(event.data ? JSON.parse(event.data) : null);
    };
    const beat = heard((data) => {
      setHubTime(data.now_ms);
      this.failures = 0;
      this.say("live");
      this.on.beat(data);
    });
    source.addEventListener("hello", beat);
    source.addEventListener("beat", beat);
    source.addEventListener("alert", heard((alert) => {
      this.change = Math.max(this.change, alert.change);
      this.on.alert(alert);
    }));
    source.addEventListener("signed-out", () => leave());
    source.onerror = () => { if (source === this.source) this.broken(); };
  }

  close() {
    if (this.source) this.source.close();
    this.source = null;
    clearTimeout(this.retry);
  }

  again() {
    this.failures = 0;
    this.open();
    this.poll();
  }

  broken() {
    this.close();
    if (this.state === "live" || this.state === "connecting") this.say("reconnecting");
    const wait = RETRY_MS[Math.min(this.failures, RETRY_MS.length - 1)];
    this.failures += 1;
    this.retry = setTimeout(() => this.open(), wait);
    this.poll();
  }

  watch() {
    if (this.source && Date.now() - this.heard > BEAT_MISSING_MS && this.state === "live") this.broken();
    // Even a live line is checked against the whole list now and then: nothing may hide behind a missed message.
    if (this.state === "live" && Date.now() - this.refreshed > REFRESH_MS) this.refresh();
  }

  async poll() {
    if (this.state !== "live") await this.refresh();
  }

  async refresh() {
    if (this.polling) return;
    this.polling = true;
    try {
      const board = await ask("/board");
      this.refreshed = Date.now();
      this.heard = this.refreshed;
      this.change = Math.max(this.change, board.change);
      setHubTime(board.now_ms);
      if (this.state !== "live") this.say("polling");
      this.on.board(board);
    } catch (error) {
      if (this.state !== "live") this.say(error instanceof Refused && error.status === 401 ? "reconnecting" : "offline");
    } finally {
      this.polling = false;
    }
  }

  say(state) {
    this.state = state;
    this.on.line(state, this.heard);
  }
}
