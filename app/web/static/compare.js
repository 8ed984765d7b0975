// Curves of several jobs over each other; those of running jobs grow while the page is looked at.
import { api, listen } from "./app.js";

const jobs = JSON.parse(document.getElementById("curves").textContent);
const places = [...document.querySelectorAll("[data-plot]")];
const MOST_STREAMS = 4; // a browser has six connections to a server
let plots = [];

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** The colour of a series as its swatch in the table has it. */
const colour = (index) => getComputedStyle(document.querySelector(`.swatch.series-${index}`)).backgroundColor;

function data(metric) {
  const epochs = [...new Set(jobs.flatMap((job) => job.epochs.map((epoch) => epoch.epoch)))].sort((a, b) => a - b);
  const values = jobs.map((job) => {
    const found = new Map(job.epochs.map((epoch) => [epoch.epoch, epoch[metric] ?? null]));
    return epochs.map((epoch) => found.get(epoch) ?? null);
  });
  return [epochs, ...values];
}

function axis(more = {}) {
  const line = { stroke: style("--border"), width: 1 };
  return { stroke: style("--muted"), grid: line, ticks: line, font: "12px system-ui, sans-serif", ...more };
}

function drawn(place) {
  const series = jobs.map((job, index) => ({
    label: job.name, stroke: colour(index), width: 2, spanGaps: true, points: { size: 5 },
  }));
  const whole = (plot, splits) => splits.map((split) => (Number.isInteger(split) ? split : ""));
  const options = {
    width: place.clientWidth, height: 240, legend: { show: jobs.length > 0 }, scales: { x: { time: false } },
    axes: [axis({ values: whole }), axis({ size: 56 })], series: [{ label: "" }, ...series],
    cursor: { sync: { key: "compare" } },
  };
  return new uPlot(options, data(place.dataset.plot), place);
}

function draw() {
  for (const plot of plots) plot.destroy();
  plots = places.map(drawn);
}

async function follow(job) {
  const refresh = async () => {
    job.epochs = (await api("GET", `/jobs/${job.id}/metrics`)).epochs;
    plots.forEach((plot, index) => plot.setData(data(places[index].dataset.plot)));
  };
  listen((after) => `/jobs/${job.id}/events${after ? `?after=${after}` : ""}`, {
    metrics: () => { refresh(); },
    status: (event) => !["succeeded", "failed", "cancelled"].includes(event.status),
  }, () => location.reload());
}

draw();
new ResizeObserver(() => plots.forEach((plot, index) => plot.setSize({ width: places[index].clientWidth, height: 240 })))
  .observe(places[0]);
document.addEventListener("themechange", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
jobs.filter((job) => job.running).slice(0, MOST_STREAMS).forEach(follow);
