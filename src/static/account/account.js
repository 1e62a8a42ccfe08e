// The token of the mailed link is used by pressing the button, never by opening the page: mail scanners open pages.
const form = document.querySelector("form");
const button = form.querySelector("button");
const token = new URLSearchParams(location.search).get("token") ?? "";

function show(outcome) {
  const lines = [...document.querySelectorAll("[data-outcome]")];
  const known = lines.some((line) => line.dataset.outcome === outcome);
  for (const line of lines) line.hidden = line.dataset.outcome !== (known ? outcome : "failed");
}

async function call() {
  const body = JSON.stringify({ token, ...Object.fromEntries(new FormData(form)) });
  const response = await fetch(form.dataset.call, {
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
