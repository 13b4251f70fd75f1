// How long something lasts, in words.

import { t } from "./start.js";

/** "15 min", "4 h", "3 days". */
export function lasts(s) {
  if (s < 3600) return t("minutes_n", { n: s / 60 });
  return s < 2 * 86400 ? t("hours_n", { n: s / 3600 }) : t("days_n", { n: s / 86400 });
}
