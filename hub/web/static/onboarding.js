// The page of unknown devices: who speaks without being known, and a form that claims it to a place.

import { h } from "./dom.js";
import { ask } from "./hub_api.js";
import { kindName, quantityName, say, start, t } from "./start.js";

const main = document.getElementById("devices");
let said = "";

async function show() {
  main.setAttribute("aria-busy", "true");
  let content;
  try {
    const devices = await ask("/onboarding/devices?limit=200");
    content = devices.length ? devices.map(card) : [h("p", { class: "empty" }, t("none"))];
  } catch (error) {
    content = [h("div", { class: "empty" }, h("p", { role: "alert" }, error.message), h("button", { type: "button", class: "small", onclick: show }, t("try_again")))];
  }
  const note = said ? h("p", { class: "said", role: "status" }, said) : null;
  said = "";
  main.replaceChildren(h("div", { class: "view" }, note, h("p", { class: "hint" }, t("hint")), content));
  main.removeAttribute("aria-busy");
}

function card(device) {
  return h("section", { class: "part-box", "aria-label": device.address },
    h("div", { class: "part-head" }, h("h2", null, h("code", null, device.address)), h("span", { class: "muted" }, t("heard", { n: device.count, at: device.last_at.replace("T", " ").slice(0, 19) }))),
    device.alarms.length ? h("p", { class: "trouble-box" }, t("in_alarm", { what: device.alarms.map(quantityName).join(", ") })) : null,
    h("details", { class: "fold" }, h("summary", null, t("messages")),
      device.messages.map((message) => h("pre", { class: "diff", tabindex: "0" }, `${message.topic}\n${shown(message.payload)}`))),
    form(device));
}

/** The payload as text; what is none, as it came over the wire. */
function shown(payload) {
  try {
    const bytes = Uint8Array.from(atob(payload), (c) => c.charCodeAt(0));
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    return `base64 ${payload}`;
  }
}

function form(device) {
  const field = (key, control) => h("label", { class: "field" }, h("span", null, t(key)), control);
  const text = (name, value) => h("input", { type: "text", name, value, maxlength: "200", autocomplete: "off" });
  const choice = (name, options, chosen) => h("select", { name, required: true },
    h("option", { value: "" }, t("choose")), options.map(([value, label]) => h("option", { value, selected: value === chosen }, label)));
  const wrong = h("p", { role: "alert", hidden: true });
  const send = h("button", { type: "submit", class: "small" }, t("claim"));
  const element = h("form", { class: "claim" },
    field("kind", choice("kind", start.kinds.map((kind) => [kind, kindName(kind)]), device.guess)),
    field("grid", choice("grid", start.grids.map((grid) => [grid.code, `${say(grid.name)} (${grid.code})`]), "")),
    field("place", text("place", "")),
    field("name", text("name_zh", "")),
    field("id", text("id", device.suggested_id)),
    wrong, send);
  element.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true;
    const given = Object.fromEntries(new FormData(element));
    given.place ||= given.grid;
    try {
      await ask("/onboarding/claims", { method: "POST", body: { claims: [{ ...given, address: device.address, parent: device.behind, model: device.model }] }, patience: 60000 });
      said = await again(device.address);
      show();
    } catch (error) {
      wrong.textContent = [error.message, ...(error.complaints || []).map((complaint) => `${complaint.key} ${complaint.message} ${complaint.remedy}`)].join(" · ");
      wrong.hidden = false;
      send.disabled = false;
    }
  });
  return element;
}

/** Has the hub read again what the device said before; what came of it, in words. */
async function again(address) {
  try {
    const done = await ask("/onboarding/replays", { method: "POST", body: { addresses: [address] }, patience: 60000 });
    return done.alarms.length ? t("claimed_alarms", { n: done.messages, alarms: done.alarms.length }) : t("claimed", { n: done.messages });
  } catch (error) {
    return t("claimed_only", { why: error.message });
  }
}

show();
