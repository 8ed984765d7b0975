// Curves in the page's colours, drawn anew where the page's width or its colours change.

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const HEIGHT = 240;
const FEW = 40; // epochs of which each is marked

/** A colour as a canvas knows it: the page's variables say light-dark(…). */
function colour(name) {
  const probe = document.createElement("i");
  probe.className = `probe-${name}`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function axis(more = {}) {
  const line = { stroke: colour("border"), width: 1 };
  return { stroke: colour("muted"), grid: line, ticks: line, font: `12px ${style("--sans")}`, ...more };
}

/** series: [{label, colour}…]; data: as uPlot has it; write: how values are written. Gives {update(data)}. */
export function curves(place, series, data, { write, range, label }) {
  let plot = null;
  const whole = (_, splits) => splits.map((split) => (Number.isInteger(split) ? split : ""));
  const draw = () => {
    plot?.destroy();
    plot = new uPlot({
      width: place.clientWidth, height: HEIGHT, cursor: { drag: { x: false, y: false } },
      scales: { x: { time: false, range: (_, low, high) => [Math.min(low, 1), Math.max(high, 2)] }, y: range ? { range } : {} },
      axes: [axis({ values: whole, incrs: [1, 2, 5, 10, 20, 50, 100] }), axis({ size: 56, values: (_, splits) => splits.map(write) })],
      series: [
        { label, value: (_, value) => value ?? "–" },
        ...series.map((one) => ({
          label: one.label, stroke: colour(one.colour), width: 2, spanGaps: true, points: { show: (u) => u.data[0].length <= FEW, size: 5 },
          dash: one.dash, value: (_, value) => (value === null ? "–" : write(value)),
        })),
      ],
    }, data, place);
  };
  new ResizeObserver(() => plot?.setSize({ width: place.clientWidth, height: HEIGHT })).observe(place);
  document.addEventListener("themechange", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
  return { update(next) { data = next; plot.setData(next); } };
}
