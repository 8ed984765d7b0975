// A job as it goes: progress, curves, log; from its events, which begin with the first and end with the last.

import { announce, duration, listen, t } from "./app.js";
import { curves } from "./plots.js";

const byId = (id) => document.getElementById(id);
const job = byId("job").dataset.job;
const shown = byId("job-state").querySelector("[data-status]").dataset.status;
const TERMINAL = ["succeeded", "failed", "cancelled"];
const epochs = new Map();
let plots = null;
let drawing = false;
let status = shown;

const four = (value) => Number(value).toPrecision(3);
const percent = (value) => `${(100 * value).toFixed(1)}%`.replace("100.0", "100");

function columns() {
  const ordered = [...epochs.values()].sort((one, other) => one.epoch - other.epoch);
  const column = (name) => ordered.map((row) => row[name] ?? null);
  const first = ordered.map((row) => row.epoch + 1);
  return { ordered, loss: [first, column("train_loss"), column("val_loss")], accuracy: [first, column("val_accuracy")] };
}

function draw() {
  drawing = false;
  if (!byId("curves")) return;
  const { ordered, loss, accuracy } = columns();
  byId("curves").hidden = byId("curves-table").hidden = false;
  byId("curves-none").hidden = true;
  if (plots) {
    plots.loss.update(loss);
    plots.accuracy.update(accuracy);
  } else {
    const label = t("epoch");
    plots = {
      loss: curves(byId("plot-loss"), [{ label: t("loss_train"), colour: "accent" }, { label: t("loss_validation"), colour: "warn", dash: [6, 4] }], loss, { write: four, label }),
      accuracy: curves(byId("plot-accuracy"), [{ label: t("accuracy"), colour: "good" }], accuracy, { write: percent, label }),
    };
  }
  byId("epochs").replaceChildren(...ordered.map(tableRow));
  byId("curves").dataset.epochs = String(ordered.length);
}

function tableRow(row) {
  const cells = [row.epoch + 1, four(row.train_loss), four(row.val_loss), percent(row.val_accuracy)];
  const line = document.createElement("tr");
  line.append(...cells.map((text, number) => {
    const cell = document.createElement(number ? "td" : "th");
    if (number) cell.className = "num";
    else cell.scope = "row";
    cell.textContent = text;
    return cell;
  }));
  return line;
}

function log(message) {
  byId("log-none")?.remove();
  const place = byId("log");
  const atEnd = place.scrollTop + place.clientHeight >= place.scrollHeight - 8;
  place.append(`${message}\n`);
  if (atEnd) place.scrollTop = place.scrollHeight;
}

function progress(data) {
  const bar = byId("progress");
  if (!bar) return;
  bar.value = data.fraction ?? 0;
  byId("progress-title").textContent = t(`phase.${data.phase}`).replace("phase.", "");
  const parts = [];
  if (data.epoch !== undefined && data.epoch !== null) parts.push(t("epoch_of", { epoch: data.epoch + 1, count: data.max_epochs }));
  if (data.eta_seconds) parts.push(t("eta", { left: duration(data.eta_seconds) }));
  byId("progress-text").textContent = parts.join(" · ");
}

/** The head of the page, as the server writes it now; at once for what is new, not for the history. */
function refresh() {
  htmx.ajax("GET", `/ui/jobs/${job}/state`, { target: "#job-state", swap: "innerHTML" });
}

const after = (id) => `/jobs/${job}/events${id ? `?after=${id}` : ""}`;
let history = true;
setTimeout(() => { history = false; }, 1500);

listen(after, {
  status: (data) => {
    log(t(`status.${data.status}`));
    const over = TERMINAL.includes(data.status);
    if (data.status !== status && (over || !TERMINAL.includes(shown))) {
      if (over || !history) { announce(t(`status.${data.status}`)); refresh(); }
      status = data.status;
    }
    return !over;
  },
  progress: (data) => { if (!TERMINAL.includes(shown)) progress(data); },
  log: (data) => log(data.message),
  metrics: (data) => {
    epochs.set(data.epoch, data);
    if (!drawing) { drawing = true; requestAnimationFrame(draw); } // a long history comes at once
  },
});
