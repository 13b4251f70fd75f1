// A finger on the page: while it is down nothing may move, or the tap would do what another button says.
//
// A browser decides what a click hits after the finger has left. So what wants to change the page waits until the click has
// been told to everybody, but not for ever: alarms must be seen. Should the page have moved all the same, the tap is dropped.

const LONGEST_MS = 1000;
const CLICK_AFTER_MS = 350; // a tap without a click (a swipe, a long press) holds the page no longer
const CONTROLS = "button, a, input, select, textarea, label, summary, [data-id]";

const waiting = new Map(); // name → what to do
let held = 0; // how many times the page was pressed and not let go
let timer = 0;
let pressed = null; // what the finger came down on, until its click

export function isHeld() {
  return held > 0;
}

/** Does `work` now, or as soon as no finger is on the page. Of several works of one name the last is done. */
export function still(name, work) {
  if (held) waiting.set(name, work);
  else work();
}

function hold() {
  held = 1;
  letGo(LONGEST_MS);
}

function letGo(afterMs) {
  clearTimeout(timer);
  timer = setTimeout(() => {
    held = 0;
    const works = [...waiting.values()];
    waiting.clear();
    for (const work of works) work();
  }, afterMs);
}

function control(target) {
  return target instanceof Element ? target.closest(CONTROLS) : null;
}

/** Whether both are the same button to the reader, although it may have been drawn anew between. */
function same(one, other) {
  return one.element === other || (one.key !== undefined && one.key === key(other));
}

function key(element) {
  return element ? element.dataset.key || element.dataset.id : undefined;
}

window.addEventListener("pointerdown", (event) => {
  const element = control(event.target);
  pressed = { element, key: key(element) };
  hold();
}, { capture: true });
window.addEventListener("pointerup", () => letGo(CLICK_AFTER_MS), { capture: true });
window.addEventListener("pointercancel", () => {
  pressed = null;
  letGo(0);
}, { capture: true });
window.addEventListener("click", (event) => {
  const down = pressed;
  pressed = null;
  held = 0; // what the tap itself wants to show is shown at once,
  letGo(0); // and what waited comes after the click has been told to everybody
  if (!event.isTrusted || !event.detail || !down || same(down, control(event.target))) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, { capture: true });
