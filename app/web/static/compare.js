// Curves of several jobs over each other; those of running jobs grow while the page is looked at.
import { api, listen, t } from "./app.js";
import { curves } from "./plots.js";

const jobs = JSON.parse(document.getElementById("curves").textContent);
const MOST_STREAMS = 4; // a browser has six connections to a server
const percent = (value) => `${Number((100 * value).toFixed(1))}%`;
const number = (value) => String(Number(value.toPrecision(3)));
const twice = (name) => jobs.filter((job) => job.name === name).length > 1;
const label = (job) => (twice(job.name) ? `${job.name} (${job.id.slice(-8)})` : job.name);

/** uPlot's columns: the epochs that any job has, and each job's values, null where it has none. */
function columns(metric) {
  const epochs = [...new Set(jobs.flatMap((job) => job.epochs.map((epoch) => epoch.epoch)))].sort((a, b) => a - b);
  const values = jobs.map((job) => {
    const found = new Map(job.epochs.map((epoch) => [epoch.epoch, epoch[metric]]));
    return epochs.map((epoch) => found.get(epoch) ?? null);
  });
  return [epochs, ...values];
}

const series = jobs.map((job, place) => ({ label: label(job), colour: `series-${place}` }));
const plots = [...document.querySelectorAll("[data-plot]")].map((place) => {
  const metric = place.dataset.plot;
  const write = metric.endsWith("accuracy") ? percent : number;
  return { metric, plot: curves(place, series, columns(metric), { write, label: t("epoch") }) };
});

function follow(job) {
  const refresh = async () => {
    job.epochs = (await api("GET", `/jobs/${job.id}/metrics`)).epochs;
    for (const { metric, plot } of plots) plot.update(columns(metric));
  };
  listen((after) => `/jobs/${job.id}/events${after ? `?after=${after}` : ""}`, {
    metrics: () => { refresh(); },
    status: (event) => !["succeeded", "failed", "cancelled"].includes(event.status),
  }, () => location.reload());
}

jobs.filter((job) => job.running).slice(0, MOST_STREAMS).forEach(follow);
