// A file or a folder, dropped or chosen, to POST /datasets, with progress; a folder is packed here.

import { announce, bytes, duration, read, t, tokenHeaders } from "./app.js";
import { zipped } from "./zip.js";

const byId = (id) => document.getElementById(id);
const drop = byId("drop");
let running = null;

function say(text, fraction) {
  byId("upload-state").textContent = text;
  const bar = byId("upload-progress");
  if (fraction === undefined) bar.removeAttribute("value");
  else bar.value = fraction;
}

function fail(message) {
  byId("upload-error").textContent = message;
  byId("upload-error").hidden = !message;
}

/** Every file below what was dropped, hidden ones left out. */
async function filesOf(entries) {
  const found = [];
  const waiting = [...entries];
  while (waiting.length) {
    const entry = waiting.pop();
    if (entry.name.startsWith(".") || entry.name === "__MACOSX") continue;
    if (entry.isFile) {
      found.push({ path: entry.fullPath.replace(/^\//, ""), file: await new Promise((ok, no) => entry.file(ok, no)) });
      continue;
    }
    const reader = entry.createReader();
    for (;;) { // a reader gives a hundred entries at a time
      const some = await new Promise((ok, no) => reader.readEntries(ok, no));
      if (!some.length) break;
      waiting.push(...some);
    }
  }
  return found.sort((one, other) => (one.path < other.path ? -1 : 1));
}

async function packed(files, folder, signal) {
  say(t("packing", { done: 0, count: files.length }), 0);
  const zip = await zipped(
    files, (done, count) => { if (done % 20 === 0 || done === count) say(t("packing", { done, count }), done / count); }, signal,
  );
  return new File([zip], `${folder || "folder"}.zip`);
}

function sent(file, signal) {
  const form = new FormData();
  form.append("name", byId("upload-name").value.trim() || file.name.replace(/\.[^.]+$/, ""));
  form.append("validation_fraction", byId("upload-fraction").value || "0.2");
  form.append("split", byId("upload-split").value);
  form.append("file", file);
  const request = new XMLHttpRequest(); // fetch tells nothing of what has been sent
  const started = performance.now();
  request.upload.addEventListener("progress", ({ loaded, total }) => {
    const seconds = (performance.now() - started) / 1000;
    const left = duration(loaded ? (seconds * (total - loaded)) / loaded : null);
    say(t("sending", { done: bytes(loaded), size: bytes(total), left }), loaded / total);
  });
  signal.addEventListener("abort", () => request.abort());
  return new Promise((ok, no) => {
    request.addEventListener("load", () => { try { ok(read(request.status, request.responseText)); } catch (error) { no(error); } });
    request.addEventListener("error", () => no(new Error(t("offline"))));
    request.addEventListener("abort", () => no(new DOMException("", "AbortError")));
    request.open("POST", "/datasets");
    for (const [name, value] of Object.entries(tokenHeaders())) request.setRequestHeader(name, value);
    request.send(form);
  });
}

async function upload(make) {
  if (running) return;
  running = new AbortController();
  byId("uploading").hidden = false;
  fail("");
  try {
    const dataset = await sent(await make(running.signal), running.signal);
    announce(t("sent"));
    location.assign(`/ui/datasets/${dataset.id}`);
  } catch (error) {
    if (error.name !== "AbortError") fail(error.message);
    byId("uploading").hidden = true;
  } finally {
    running = null;
  }
}

const single = (file) => async () => {
  if (!/\.(zip|csv|jsonl)$/i.test(file.name)) throw new Error(t("unsupported"));
  return file;
};

function dropped(event) {
  event.preventDefault();
  drop.classList.remove("over");
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const files = [...event.dataTransfer.files];
  if (!files.length && !entries.length) return;
  const plain = files.length === 1 && (!entries.length || entries[0].isFile);
  upload(plain ? single(files[0]) : async (signal) => {
    const found = await filesOf(entries);
    if (!found.length) throw new Error(t("empty_folder"));
    return packed(found, entries.length === 1 ? entries[0].name : "", signal);
  });
}

drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
drop.addEventListener("dragleave", (event) => { if (!drop.contains(event.relatedTarget)) drop.classList.remove("over"); });
drop.addEventListener("drop", dropped);
byId("file").addEventListener("change", ({ target }) => {
  if (target.files.length) upload(single(target.files[0]));
  target.value = "";
});
byId("folder").addEventListener("change", ({ target }) => {
  const files = [...target.files].map((file) => ({ path: file.webkitRelativePath, file }));
  const seen = files.filter(({ path }) => !path.split("/").some((part) => part.startsWith(".") || part === "__MACOSX"));
  if (seen.length) upload((signal) => packed(seen, seen[0].path.split("/")[0], signal));
  else fail(t("empty_folder"));
});
byId("upload-cancel").addEventListener("click", () => running?.abort());
