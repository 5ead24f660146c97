// How long a neuron's weights were at the end of each epoch, as a chart of two lines.

import { svg } from "../page/dom.js";
import { decimals } from "../page/numbers.js";
import { toArray } from "./bytes.js";

const MOST_DOTS = 40; // of a line: more would hide it
const TALL = 96;
const EDGE = { top: 8, bottom: 76, left: 34, right: 78 };
const LINES = [
  ["incoming", "snnviz-incoming"],
  ["outgoing", "snnviz-outgoing"],
];

export class LengthChart {
  constructor(parent, given) {
    this.epochs = given.epochs;
    this.lines = LINES.map(([name, look]) => ({
      name,
      look,
      values: toArray(Float32Array, given[name]),
    })).filter(({ values }) => values.length);
    const attributes = { role: "img", "aria-label": this.story(), height: TALL };
    this.chart = svg("svg", { parent, ...attributes });
  }

  // The chart in words, for those who do not see it.
  story() {
    const told = this.lines.map(({ name, values }) => {
      const change = `from ${decimals(values[0])} to ${decimals(values.at(-1))}`;
      return `${name} weights ${values.length > 1 ? change : decimals(values[0])}`;
    });
    const [first, last] = [this.epochs[0], this.epochs.at(-1)];
    return `norm of the weights, epoch ${first} to ${last}: ${told.join(", ")}`;
  }

  draw(width) {
    if (!width) return;
    const { chart: parent, epochs, lines } = this;
    parent.replaceChildren();
    parent.setAttribute("width", width);
    const { top, bottom, left } = EDGE;
    const right = width - EDGE.right;
    const most =
      Math.max(...lines.flatMap(({ values }) => [...values]).filter(Number.isFinite), 0) || 1;
    const [first, last] = [epochs[0], epochs.at(-1)];
    const x = (epoch) => left + ((epoch - first) / Math.max(last - first, 1)) * (right - left);
    const y = (value) => bottom - (value / most) * (bottom - top);
    for (const value of [0, most]) {
      const at = { x1: left, x2: right, y1: y(value), y2: y(value), class: "snnviz-axis" };
      svg("line", { parent, ...at });
      const place = { x: left - 6, y: y(value) + 4, "text-anchor": "end" };
      svg("text", { parent, text: value ? decimals(value) : "0", ...place });
    }
    for (const { values, look } of lines) {
      const points = epochs.map((epoch, k) => `${x(epoch).toFixed(1)} ${y(values[k]).toFixed(1)}`);
      svg("path", { parent, d: `M${points.join("L")}`, class: `snnviz-line ${look}` });
      epochs.forEach((epoch, k) => {
        if (epochs.length > MOST_DOTS && epoch !== last) return;
        const at = { cx: x(epoch), cy: y(values[k]), r: 2.6, class: `snnviz-dot ${look}` };
        svg("circle", { parent, ...at });
      });
    }
    this.drawNames(right, y);
    const below = { y: bottom + 15 };
    svg("text", { parent, text: first ? String(first) : "start", x: left, ...below });
    const end = { x: right, "text-anchor": "end", ...below };
    if (last > first) svg("text", { parent, text: `epoch ${last}`, ...end });
  }

  // At the lines' ends, apart from one another.
  drawNames(right, y) {
    const ends = this.lines.map(({ name, values }) => ({ name, at: y(values.at(-1)) + 4 }));
    ends.sort((a, b) => a.at - b.at);
    ends.forEach((end, k) => {
      if (k) end.at = Math.max(end.at, ends[k - 1].at + 13);
    });
    const over = Math.max(0, (ends.at(-1)?.at ?? 0) - EDGE.bottom - 4);
    for (const { name, at } of ends)
      svg("text", { parent: this.chart, text: name, x: right + 8, y: at - over });
  }
}
