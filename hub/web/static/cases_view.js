// One case in full: steps, photos before and after, comments, what happened.

import { h, icon } from "./dom.js";
import { has, say, start, t } from "./start.js";
import { ask } from "./hub_api.js";
import { moveButtons, stepBar, VERBS } from "./case_steps.js";
import { clock } from "./times.js";

const MOST_BYTES = 10 * 1024 * 1024;

export class CaseView {
  /** `redraw()` puts `element()` on the page anew. */
  constructor(id, redraw) {
    this.id = id;
    this.redraw = redraw;
    this.found = null;
    this.failed = "";
    this.state = { underway: "", trouble: "" };
    this.written = ""; // a comment that is being written survives a redraw
  }

  async load() {
    try {
      this.take(await ask(`/cases/${encodeURIComponent(this.id)}`));
      this.failed = "";
    } catch (error) {
      if (!this.found) this.failed = error.message;
    }
    this.redraw();
  }

  take(found) {
    if (!this.found || found.revision >= this.found.revision) this.found = found;
  }

  async send(what, path, options) {
    if (this.state.underway) return false;
    this.state = { underway: what, trouble: "" };
    this.redraw();
    let well = true;
    try {
      this.take(await ask(`/cases/${encodeURIComponent(this.id)}${path}`, { method: "POST", ...options }));
      this.state = { underway: "", trouble: "" };
    } catch (error) {
      this.state = { underway: "", trouble: error.message };
      well = false;
    }
    this.redraw();
    if (!well) this.load();
    return well;
  }

  async move(move, body) {
    let seen = {};
    if (this.found.alert_id && this.alert) seen = { occurrence: this.alert.occurrences, severity: this.alert.severity };
    await this.send(move, `/${VERBS[move]}`, { body: { ...body, ...seen } });
    await this.loadAlert();
  }

  /** The alert as the reader sees it: an answer says which alarm it is about. */
  async loadAlert() {
    if (!this.found || !this.found.alert_id) return;
    try {
      this.alert = await ask(`/alerts/${encodeURIComponent(this.found.alert_id)}`);
    } catch (error) {
      this.alert = null;
    }
  }

  async addPhoto(stage, file) {
    if (!file) return;
    if (file.size > MOST_BYTES) {
      this.state = { underway: "", trouble: t("photo_too_large") };
      this.redraw();
      return;
    }
    await this.send(`photo_${stage}`, `/photos?stage=${stage}`, { file, patience: 60000 });
  }

  element() {
    const found = this.found;
    if (!found) return h("p", { class: "hint", role: this.failed ? "alert" : null }, this.failed || t("loading"));
    return h("article", { class: `card full case ${found.severity}`, data: { id: found.id } },
      h("header", { class: "card-head" },
        h("span", { class: "badge" }, found.severity),
        h("span", { class: "title" }, say(found.title)),
        h("span", { class: "tag" }, t(`source_${found.source}`))),
      h("div", { class: "card-body" },
        h("h2", { class: "place" }, say(found.place)),
        found.text ? h("p", { class: "case-text" }, found.text) : null,
        stepBar(found),
        moveButtons(found, this.state, (move, body) => this.move(move, body)),
        found.alert_id ? h("a", { class: "alert-link", href: `/alerts/${encodeURIComponent(found.alert_id)}` }, t("to_alert"), icon("forward")) : null),
      this.facts(found),
      this.photos(found),
      this.comments(found),
      h("section", { class: "part timeline" }, h("h3", null, t("timeline")), this.timeline(found)));
  }

  facts(found) {
    const rows = [
      ["grid", say(found.grid.name)],
      ["reporter", found.reporter],
      found.source === "hotline" ? ["number", found.number] : null,
      ["opened_at", clock(found.opened_at_ms)],
      found.due_at_ms ? ["due_at", clock(found.due_at_ms)] : null,
      found.closed_at_ms ? ["closed_at", clock(found.closed_at_ms)] : null,
      found.close_reason ? ["reason", found.close_reason] : null,
    ].filter((row) => row && row[1]);
    return h("dl", { class: "facts" }, rows.map(([key, value]) => h("div", null, h("dt", null, t(key)), h("dd", null, value))));
  }

  photos(found) {
    return h("section", { class: "part photos" }, h("h3", null, t("photos")),
      h("div", { class: "photo-stages" }, ["before", "after"].map((stage) =>
        h("div", null, h("h4", null, t(`stage_${stage}`)),
          h("div", { class: "photo-row" },
            found.photos.filter((photo) => photo.stage === stage).map((photo) =>
              h("a", { href: photo.href, target: "_blank", rel: "noopener" },
                h("img", { src: photo.href, alt: t("photo_of", { stage: t(`stage_${stage}`), at: clock(photo.at_ms) }), loading: "lazy", width: "96", height: "96" }))),
            start.me.may_act ? this.photoButton(stage) : null)))));
  }

  photoButton(stage) {
    const busy = this.state.underway === `photo_${stage}`;
    return h("label", { class: `photo-add ${busy ? "busy" : ""}` }, busy ? t("sending") : t("photo_add"),
      h("input", { type: "file", class: "unseen", accept: "image/jpeg,image/png,image/webp", data: { key: `photo:${stage}` }, disabled: this.state.underway !== "",
        onchange: (event) => this.addPhoto(stage, event.target.files[0]) }));
  }

  comments(found) {
    const words = h("textarea", { rows: "2", maxlength: "2000", id: "comment", "aria-label": t("comment"), placeholder: t("comment"), data: { key: "comment" } });
    words.value = this.written;
    words.addEventListener("input", () => { this.written = words.value; });
    const send = async (event) => {
      event.preventDefault();
      const text = this.written.trim();
      if (text && (await this.send("comment", "/comments", { body: { text } }))) {
        this.written = "";
        this.redraw();
      }
    };
    return h("section", { class: "part comments" }, h("h3", null, t("comments")),
      h("ol", null, found.comments.map((row) => h("li", null, h("p", null, row.text), h("p", { class: "muted" }, `${say(row.author.name)} · ${clock(row.at_ms)}`)))),
      start.me.may_act ? h("form", { onsubmit: send }, words, h("button", { type: "submit", class: "action", disabled: this.state.underway !== "" }, t("comment_send"))) : null);
  }

  timeline(found) {
    const shown = found.timeline.filter((row) => row.action !== "case_comment");
    return h("ol", { class: "timeline" }, shown.map((row) =>
      h("li", null, h("time", null, clock(row.at_ms)), h("div", null,
        h("b", null, has(`entry_${row.action}`) ? t(`entry_${row.action}`) : row.action),
        row.actor.id === "hub" ? null : h("span", { class: "muted" }, ` ${t("by", { name: say(row.actor.name) })}`),
        row.detail.assignee ? h("p", null, `→ ${this.called(row.detail.assignee)}`) : null,
        row.detail.reason && row.actor.id !== "hub" ? h("p", null, String(row.detail.reason)) : null))));
  }

  called(assignee) {
    const known = start.assignees.find((one) => one.id === assignee);
    return known ? say(known.name) : assignee;
  }
}
