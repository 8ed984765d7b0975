// What a new job would do is told whenever the form changes; what it would take is measured until it changes again.

import { tokenHeaders } from "./app.js";

const form = document.getElementById("new");
const place = document.getElementById("preflight");
let measuring = null;

async function measure(address) {
  measuring?.abort();
  measuring = new AbortController();
  const { signal } = measuring;
  try {
    const body = new URLSearchParams(new FormData(form));
    const answer = await fetch(address, { method: "POST", body, signal, headers: { ...tokenHeaders(), "HX-Request": "true" } });
    const text = await answer.text();
    if (answer.ok && !signal.aborted) htmx.swap(place, text, { swapStyle: "innerHTML" });
  } catch (error) {
    if (error.name !== "AbortError") place.querySelector("[data-measure]")?.remove(); // the estimate is not needed
  }
}

document.addEventListener("htmx:afterSettle", ({ target }) => {
  if (target.id === "backbones") {
    target.setAttribute("aria-busy", "false");
    document.body.dispatchEvent(new Event("chosen")); // a backbone that the server chose is a choice as well
  }
  const asked = target.id === "preflight" && place.querySelector("[data-measure]");
  if (asked) measure(asked.dataset.measure);
});
form?.addEventListener("change", () => measuring?.abort());
form?.addEventListener("submit", () => measuring?.abort());
