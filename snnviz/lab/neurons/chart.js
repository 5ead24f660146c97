// A neuron's factor at each epoch's end, as a chart.

import { svg } from "../page/dom.js";
import { clamp, decimals } from "../page/numbers.js";

const HEIGHT = 132;
const TOP = 20;
const BOTTOM = 108;
const LEFT = 30;
const RIGHT = 40; // free on the right, for the newest value

let hatches = 0; // made so far: each needs an id of its own

export class FactorChart {
  // `factors`: after each epoch. `stages`: [first epoch, last epoch, kind of epoch]. `width`: in
  // pixels, for as long as its place is hidden.
  constructor(parent, factors, stages, width) {
    Object.assign(this, { parent, factors, stages, width });
    const attributes = { role: "img", "aria-label": this.story(), height: HEIGHT };
    this.chart = svg("svg", { parent, ...attributes });
  }

  // The chart in words, for those who do not see it.
  story() {
    const all = this.factors;
    const n = all.length;
    if (!n) return "no epoch finished yet";
    const off = all.filter((factor) => factor === 0).length;
    let flips = 0;
    for (let e = 0; e < n; e++) if ((all[e] === 0) !== (e ? all[e - 1] === 0 : false)) flips++;
    return (
      `factor over ${n} ${n === 1 ? "epoch" : "epochs"}: ${decimals(all[0])} after the first, ` +
      `${decimals(all[n - 1])} after the last; off after ${off} of them; ` +
      `switched off or on ${flips} ${flips === 1 ? "time" : "times"}`
    );
  }

  draw() {
    if (!this.chart.isConnected) return;
    const { chart } = this;
    const n = this.factors.length;
    this.width = this.parent.clientWidth || this.width;
    const { width } = this;
    if (!width) return;
    chart.replaceChildren();
    chart.setAttribute("width", width);
    const right = width - RIGHT;
    if (!n) {
      const middle = { x: width / 2, y: 66, "text-anchor": "middle" };
      svg("text", { parent: chart, text: "no epoch finished yet", ...middle });
      return;
    }
    const most = Math.max(1.5, ...this.factors.filter(Number.isFinite)) * 1.05;
    this.x = (epoch) => LEFT + ((epoch - 0.5) / n) * (right - LEFT);
    this.y = (factor) => BOTTOM - (factor / most) * (BOTTOM - TOP);
    this.drawStages();
    this.drawAxis(most > 3 ? [0, 1, Math.floor(most / 1.05)] : [0, 1], right);
    this.drawOff();
    this.drawLine();
    this.drawEpochs();
    this.drawHits();
    const now = this.factors[n - 1];
    const end = { x: right + 4, y: clamp(this.y(now) + 4, TOP + 8, BOTTOM), class: "snnviz-now" };
    svg("text", { parent: chart, text: now === 0 ? "off" : decimals(now), ...end });
  }

  drawAxis(factors, right) {
    for (const factor of factors) {
      const y = this.y(factor);
      const look = factor === 1 ? "snnviz-one" : "snnviz-axis";
      svg("line", { parent: this.chart, x1: LEFT, x2: right, y1: y, y2: y, class: look });
      const at = { x: LEFT - 6, y: y + 4, "text-anchor": "end" };
      svg("text", { parent: this.chart, text: String(factor), ...at });
    }
  }

  drawStages() {
    const { chart: parent, x } = this;
    for (const [first, last, stage] of this.stages) {
      const box = { x: x(first - 0.5), width: Math.max(0, x(last + 0.5) - x(first - 0.5)) };
      const look = `snnviz-stage-${stage.replace(" ", "-")}`;
      const ground = { y: TOP, height: BOTTOM - TOP, class: `snnviz-stage ${look}` };
      svg("rect", { parent, ...box, ...ground });
      svg("rect", { parent, ...box, y: TOP - 4, height: 4, class: `snnviz-strip ${look}` });
      if (box.width > 7 * stage.length) {
        const name = { x: box.x + 3, y: TOP - 8, class: "snnviz-stage-name" };
        svg("text", { parent, text: stage, ...name });
      }
    }
  }

  // Off is a hatched block through the whole height: no height of the line looks like it.
  drawOff() {
    const { chart: parent, factors: all, x } = this;
    const id = this.hatch();
    for (let e = 0; e < all.length; e++) {
      if (all[e] !== 0) continue;
      let last = e;
      while (all[last + 1] === 0) last++;
      const box = { x: x(e + 0.5), width: x(last + 1.5) - x(e + 0.5) };
      const look = { y: TOP, height: BOTTOM - TOP, fill: `url(#${id})`, class: "snnviz-off-band" };
      svg("rect", { parent, ...box, ...look });
      if (box.width > 26) {
        const middle = { x: box.x + box.width / 2, y: (TOP + BOTTOM) / 2 + 4 };
        const style = { "text-anchor": "middle", class: "snnviz-off-name" };
        svg("text", { parent, text: "off", ...middle, ...style });
      }
      e = last;
    }
  }

  hatch() {
    hatches += 1;
    const id = `snnviz-hatch-${hatches}`;
    const size = { width: 6, height: 6, patternUnits: "userSpaceOnUse" };
    const defs = svg("defs", { parent: this.chart });
    const parent = svg("pattern", { parent: defs, id, ...size, patternTransform: "rotate(45)" });
    svg("rect", { parent, width: 6, height: 6, class: "snnviz-hatch-ground" });
    svg("rect", { parent, width: 1.4, height: 6, class: "snnviz-hatch-line" });
    return id;
  }

  drawLine() {
    const { chart: parent, factors: all, x, y } = this;
    const few = all.length <= 40;
    let path = "";
    all.forEach((factor, e) => {
      if (factor === 0 || !Number.isFinite(factor)) return;
      const joined = e && all[e - 1] !== 0 && Number.isFinite(all[e - 1]);
      path += `${joined ? "L" : "M"}${x(e + 1).toFixed(1)} ${y(factor).toFixed(1)}`;
    });
    svg("path", { parent, d: path, class: "snnviz-line" });
    all.forEach((factor, e) => {
      const alone = !(all[e - 1] > 0) && !(all[e + 1] > 0);
      if (!(factor > 0 && (few || alone))) return;
      const at = { cx: x(e + 1), cy: y(factor), r: few ? 2.6 : 1.2 };
      svg("circle", { parent, ...at, class: "snnviz-dot" });
    });
  }

  drawEpochs() {
    const { chart: parent, x } = this;
    const n = this.factors.length;
    const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].find((s) => n / s <= 8) ?? 5000;
    const y = BOTTOM + 14;
    for (let epoch = step; epoch <= n; epoch += step)
      svg("text", { parent, text: String(epoch), x: x(epoch), y, "text-anchor": "middle" });
    svg("text", { parent, text: n === 1 ? "epoch" : "epochs", x: x(n + 0.5) + 4, y });
  }

  // An epoch under the mouse says its number and its factor.
  drawHits() {
    const { chart: parent, x } = this;
    const stage = (epoch) => this.stages.find(([first, last]) => first <= epoch && epoch <= last);
    this.factors.forEach((factor, e) => {
      const box = { x: x(e + 0.5), width: x(e + 1.5) - x(e + 0.5), y: TOP, height: BOTTOM - TOP };
      const hit = svg("rect", { parent, ...box, fill: "transparent" });
      const words = [`epoch ${e + 1}`, factor === 0 ? "off" : `factor ${decimals(factor)}`];
      const text = [...words, stage(e + 1)?.[2]].filter(Boolean).join(" · ");
      svg("title", { parent: hit, text });
    });
  }
}
