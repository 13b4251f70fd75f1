// A text with the line numbers of its file beside it; lines that something is wrong with are marked.

import { h } from "./dom.js";

/** An editor of `text` whose first line is line `first` of its file. `changed()` is called at each input. */
export function editor({ text, first = 1, label, readonly = false, changed }) {
  const numbers = h("div", { class: "numbers", "aria-hidden": "true" });
  const marks = h("div", { class: "marks", "aria-hidden": "true" });
  const area = h("textarea", {
    class: "yaml", "aria-label": label, readonly, spellcheck: "false", autocapitalize: "off", autocomplete: "off", autocorrect: "off", wrap: "off",
  });
  area.value = text;
  const box = h("div", { class: `editor ${readonly ? "readonly" : ""}` }, numbers, h("div", { class: "paper" }, marks, area));
  let wrong = new Set(); // numbers of the file

  function draw() {
    const count = area.value.split("\n").length;
    if (numbers.childElementCount !== count) {
      numbers.replaceChildren(...Array.from({ length: count }, (_, n) => h("span", null, String(first + n))));
    }
    [...numbers.children].forEach((number, n) => number.classList.toggle("wrong", wrong.has(first + n)));
    const height = parseFloat(getComputedStyle(area).lineHeight) || 22;
    const top = parseFloat(getComputedStyle(area).paddingTop) || 0;
    marks.replaceChildren(...[...wrong].filter((line) => line >= first && line < first + count).map((line) => {
      const mark = h("div", { class: "mark-line", data: { line } });
      mark.style.top = `${top + (line - first) * height}px`;
      mark.style.height = `${height}px`;
      return mark;
    }));
    area.rows = Math.min(Math.max(count + 1, 8), 400);
  }
  area.addEventListener("input", () => {
    draw();
    if (changed) changed();
  });
  area.addEventListener("keydown", (event) => {
    // YAML is indented by spaces; Escape first leaves the field for those who go on by Tab.
    if (event.key === "Escape") area.blur();
  });
  requestAnimationFrame(draw); // once it is on the page and has its sizes

  return {
    element: box,
    area,
    get text() { return area.value; },
    set text(value) { area.value = value; draw(); },
    set first(line) { first = line; numbers.replaceChildren(); draw(); },
    get first() { return first; },
    get last() { return first + area.value.split("\n").length - 1; },
    /** Marks these lines of the file. */
    mark(lines) {
      wrong = new Set(lines);
      draw();
    },
    /** Puts the cursor to the begin of a line of the file. */
    lead(line) {
      const before = area.value.split("\n").slice(0, Math.max(0, line - first));
      const at = before.reduce((sum, one) => sum + one.length + 1, 0);
      const end = area.value.indexOf("\n", at);
      area.focus();
      area.setSelectionRange(at, end < 0 ? area.value.length : end);
      const number = numbers.children[line - first];
      if (number) number.scrollIntoView({ block: "center" });
    },
  };
}
