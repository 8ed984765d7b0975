// A backbone that the server chose is a choice as well: the preview of the job is asked for.

document.addEventListener("htmx:afterSettle", ({ target }) => {
  if (target.id !== "backbones") return;
  target.setAttribute("aria-busy", "false");
  document.body.dispatchEvent(new Event("chosen"));
});
