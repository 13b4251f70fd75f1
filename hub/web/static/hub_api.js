// Requests to the hub. A refusal carries the hub's own words; a dead line is another kind of error.

import { start, t } from "./start.js";

const PATIENCE_MS = 10000;

/** The hub answered with a problem: `status`, `code`, a message made of its detail and remedy, and complaints about files. */
export class Refused extends Error {
  constructor(status, problem) {
    super([problem.detail, problem.remedy].filter(Boolean).join(" "));
    this.status = status;
    this.code = problem.code || "";
    this.reason = problem.reason || "";
    this.fields = (problem.errors || []).map((wrong) => wrong.message);
    this.complaints = problem.complaints || [];
  }
}

/** No answer came. */
export class NoAnswer extends Error {
  constructor() {
    super(t("no_connection"));
  }
}

export async function ask(path, options) {
  const { method = "GET", body, file, headers: more, patience: patienceMs = PATIENCE_MS } = options || {};
  const headers = { Accept: "application/json", "Accept-Language": start.locale, ...more };
  if (method !== "GET") headers[start.csrf_header] = start.csrf;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (file) headers["Content-Type"] = file.type || "application/octet-stream";
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), patienceMs);
  let response;
  let content = null;
  try {
    response = await fetch(`/api/v1${path}`, {
      method, headers, body: file || (body === undefined ? undefined : JSON.stringify(body)),
      signal: patience.signal, cache: "no-store", credentials: "same-origin",
    });
    const text = await response.text();
    content = text ? JSON.parse(text) : null;
  } catch (error) {
    throw new NoAnswer();
  } finally {
    clearTimeout(timer);
  }
  if (response.status === 401) leave();
  if (!response.ok) throw new Refused(response.status, content || {});
  return content;
}

/** To the sign-in page, and back here afterwards. */
export function leave() {
  location.assign(`/sign-in?next=${encodeURIComponent(location.pathname)}`);
}
