// Put a file of weights into the mirror, and say how far it has gone.
import { read, t, tokenHeaders } from "./app.js";

const form = document.getElementById("add-weights");
const sent = document.getElementById("sent");
const refused = document.getElementById("refused");

function posted(body) {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest(); // fetch tells nothing of what was sent
    request.open("POST", "/weights");
    for (const [name, value] of Object.entries(tokenHeaders())) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => { sent.value = event.loaded / event.total; });
    request.addEventListener("load", () => { try { done(read(request.status, request.responseText)); } catch (error) { fail(error); } });
    request.addEventListener("error", () => fail(new Error(t("offline"))));
    request.send(body);
  });
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = new FormData();
  for (const name of ["backbone", "weights"]) {
    const value = form.elements[name].value.trim();
    if (value) body.append(name, value);
  }
  body.append("file", form.elements.file.files[0]); // last: what it is stands before it
  const button = form.querySelector("button");
  button.disabled = true;
  sent.hidden = false;
  refused.hidden = true;
  try {
    await posted(body);
    location.reload();
  } catch (error) {
    refused.textContent = error.message;
    refused.hidden = false;
    sent.hidden = true;
  } finally {
    button.disabled = false;
  }
});
