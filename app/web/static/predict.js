// Try a prediction: choose or drop a picture, see it, and ask at once.

const form = document.querySelector("[data-predict]");
const input = document.getElementById("predict-file");
const preview = document.getElementById("predict-preview");

function show() {
  const [file] = input.files;
  if (preview.src) URL.revokeObjectURL(preview.src);
  preview.hidden = !file;
  if (!file) return;
  preview.src = URL.createObjectURL(file);
  preview.alt = file.name;
  form.requestSubmit();
}

if (input) {
  const drop = form.querySelector("[data-drop]");
  input.addEventListener("change", show);
  preview.addEventListener("error", () => { preview.hidden = true; }); // no browser shows it: the model may all the same
  for (const name of ["dragenter", "dragover"]) {
    drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
  }
  for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    if (!event.dataTransfer.files.length) return;
    const one = new DataTransfer();
    one.items.add(event.dataTransfer.files[0]);
    input.files = one.files;
    show();
  });
}

// Enter sends a text, as in a chat; with Shift it begins a new line.
document.getElementById("predict-text")?.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
});

// Another model is another form.
const choose = document.querySelector("[data-choose]");
if (choose) {
  choose.querySelector("[data-choose-button]").hidden = true;
  choose.addEventListener("change", () => choose.requestSubmit());
}
