// The sign-in page.

import { choose, signIn, tokenFromAddress } from "./choices.js";

const { strings } = JSON.parse(document.getElementById("start").textContent);
const form = document.getElementById("form");
const field = document.getElementById("token");
const submit = document.getElementById("submit");
const problem = document.getElementById("problem");
const label = submit.textContent;

/** Where to go afterwards: a page of this hub, nothing else. */
function next() {
  const wanted = new URLSearchParams(location.search).get("next") || "/";
  return /^\/(?![/\\])[\w\-/]*$/.test(wanted) ? wanted : "/";
}

async function enter(token) {
  problem.hidden = true;
  submit.disabled = true;
  submit.textContent = strings.signing_in;
  let refused;
  try {
    refused = await signIn(token);
  } catch (error) {
    refused = strings.no_connection;
  }
  if (refused === null) {
    location.replace(next());
    return;
  }
  submit.disabled = false;
  submit.textContent = label;
  problem.textContent = refused;
  problem.hidden = false;
  field.select();
  field.focus();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const token = field.value.trim();
  if (token) enter(token);
  else {
    problem.textContent = strings.token_missing;
    problem.hidden = false;
  }
});

for (const button of document.querySelectorAll("[data-locale]")) {
  button.addEventListener("click", () => {
    choose("gridhub_locale", button.dataset.locale);
    location.reload();
  });
}

const given = tokenFromAddress();
if (given) enter(given);
else field.focus();
