// What the page was served with, and the texts in the reader's language.

export const start = JSON.parse(document.getElementById("start").textContent);

const language = start.locale === "en" ? "en" : "zh";

/** The text of `key` with its {placeholders} filled. */
export function t(key, values) {
  const found = start.strings.text[key];
  if (found === undefined) throw new Error(`no text for ${key}`);
  return fill(found, values);
}

export function has(key) {
  return start.strings.text[key] !== undefined;
}

/** `text` with its {placeholders} filled. */
export function fill(text, values) {
  return values ? text.replace(/\{(\w+)\}/g, (all, name) => (name in values ? String(values[name]) : all)) : text;
}

/** A text that the hub has in both languages. */
export function say(both) {
  return both[language] || both.zh || both.en;
}

export function kindName(kind) {
  return start.strings.kind[kind] || kind;
}

export function quantityName(quantity) {
  return start.strings.quantity[quantity] || quantity;
}

/** A value as people read it: 62.5 °C, yes, open. */
export function valueText(value, unit) {
  if (value === null || value === undefined) return t("unknown");
  if (typeof value === "boolean") return t(value ? "yes" : "no");
  if (typeof value === "number") {
    const number = Number.isInteger(value) ? String(value) : String(Math.round(value * 100) / 100);
    return unit ? `${number} ${unit}` : number;
  }
  return start.strings.state[value] || String(value);
}
