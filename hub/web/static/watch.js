// What the pages of duty, silences and proof share: the frame that loads, fails and is drawn anew, and the language.

import { choose } from "./choices.js";
import { h } from "./dom.js";
import { still } from "./finger.js";
import { start, t } from "./start.js";
import { setHubTime } from "./times.js";

const main = document.getElementById("main");

/** Puts `children()` on the page, keeping focus; `failed` is said above them. */
export function show(children, failed) {
  still("page", () => {
    const key = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.key : null;
    main.replaceChildren(...[failed ? h("p", { class: "trouble", role: "alert" }, failed) : null, ...children()].flat().filter(Boolean));
    main.removeAttribute("aria-busy");
    const again = key && main.querySelector(`[data-key="${CSS.escape(key)}"]`);
    if (again) again.focus({ preventScroll: true });
  });
}

/** A box with a heading. */
export function box(title, ...children) {
  return h("section", { class: "watch-box" }, title ? h("h2", null, title) : null, ...children);
}

/** A button that says that it is at work while it is, and what went wrong after. `done` is called after `work`. */
export function button(label, key, look, work) {
  const wrong = h("p", { class: "trouble", role: "alert", hidden: true });
  const element = h("button", { type: "button", class: `action ${look}`, data: { key } }, label);
  element.addEventListener("click", async () => {
    element.disabled = true;
    element.textContent = t("sending");
    wrong.hidden = true;
    try {
      await work();
    } catch (error) {
      wrong.textContent = error.message;
      wrong.hidden = false;
    }
    element.disabled = false;
    element.textContent = label;
  });
  return h("div", { class: "with-wrong" }, element, wrong);
}

setHubTime(start.now_ms);
for (const one of document.querySelectorAll("[data-locale]")) {
  one.addEventListener("click", () => { choose(start.locale_cookie, one.dataset.locale); location.reload(); });
}
