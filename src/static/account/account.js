// The token of the mailed link is used by pressing the button, never by opening the page: mail scanners open pages.
const form = document.querySelector("form");
const button = form.querySelector("button");
const token = new URLSearchParams(location.search).get("token") ?? "";

function show(outcome) {
  const lines = [...document.querySelectorAll("[data-outcome]")];
  const tells = (line, what) => line.dataset.outcome.split(" ").includes(what);
  const known = lines.some((line) => tells(line, outcome)) ? outcome : "failed";
  for (const line of lines) line.hidden = !tells(line, known);
}

// What mail programs call too has its token in the address (RFC 8058), everything else in a body.
function address() {
  return "tokenInAddress" in form.dataset ? `${form.dataset.call}?${new URLSearchParams({ token })}` : form.dataset.call;
}

async function call() {
  const body = JSON.stringify({ token, ...Object.fromEntries(new FormData(form)) });
  const response = await fetch(address(), {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    credentials: "omit",
    body,
  });
  return response.ok ? "done" : (await response.json()).code;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  const outcome = await call().catch(() => "failed");
  show(outcome);
  button.disabled = false;
  form.hidden = outcome === "done" || outcome === "gone";
  if (outcome === "done") history.replaceState(null, "", location.pathname);
});

if (!token) {
  form.hidden = true;
  show("gone");
}
