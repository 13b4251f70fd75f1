// The reader's lasting choices (language, theme) are cookies, so that the next page is right from its first byte.

export function choose(cookie, value) {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${cookie}=${encodeURIComponent(value)}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
}

/** The token of a #token=… link. It is taken out of the address at once; the server has never seen it. */
export function tokenFromAddress() {
  const found = /(?:^#|&)token=([^&]+)/.exec(location.hash);
  if (!found) return "";
  history.replaceState(null, "", location.pathname + location.search);
  try {
    return decodeURIComponent(found[1]);
  } catch (error) {
    return found[1];
  }
}

/** Exchanges the token for a session. Gives null, or the hub's words when it refuses. Throws when there is no answer. */
export async function signIn(token) {
  const response = await fetch("/api/v1/session", {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify({ token }),
    credentials: "same-origin",
    cache: "no-store",
  });
  if (response.ok) return null;
  const problem = await response.json().catch(() => ({}));
  return [problem.detail, problem.remedy].filter(Boolean).join(" ") || String(response.status);
}
