// How a neuron gets its factor: what the switcher reads, its score, the waterline, the factor.

import { make, svg } from "../page/dom.js";
import { clamp, decimals } from "../page/numbers.js";
import { toArray } from "./bytes.js";

const LINE_WIDTH = 264; // pixels
const LINE_HEIGHT = 62;
const LINE_AXIS = 40;
const LINE_EDGE = 10;

// What stands in the last column, and what is to be said of a switcher that reads something else.
const READ_AS = {
  descriptors: ["in its group", ""],
  shuffled: ["read instead", "This switcher reads the descriptors of another neuron."],
  random: ["read instead", "This switcher reads random numbers."],
  nothing: ["in its group", "This switcher reads nothing; the neuron has a score of its own."],
};

export function drawChain(box, chain, used, pinned) {
  const [column, note] = READ_AS[chain.reads] ?? READ_AS.descriptors;
  drawDescriptors(box, chain.descriptors, column);
  const say = (text) => text && make("p", { text, parent: box });
  say(note);
  if (chain.waterline !== null) drawWaterline(box, chain);
  say(describeFactor(chain));
  say(describeUse(chain.factor, used, pinned));
}

// Each with its value, and how many standard deviations that is from the mean of the group.
function drawDescriptors(box, descriptors, column) {
  const table = make("table", { parent: box });
  const head = make("tr", { parent: make("thead", { parent: table }) });
  for (const text of ["descriptor", "value", column])
    make("th", { parent: head, text, scope: "col" });
  const body = make("tbody", { parent: table });
  for (const { name, sentence, value, read } of descriptors) {
    const row = make("tr", { parent: body, title: sentence });
    make("th", { parent: row, text: name.replaceAll("_", " "), scope: "row" });
    make("td", { parent: row, text: decimals(value) });
    make("td", { parent: row, text: `${signed(read)} σ` });
  }
}

// The scores of the whole group on a line: below the waterline they are off.
function drawWaterline(box, { score, scores, waterline, factor }) {
  const all = toArray(Float32Array, scores);
  const low = all.reduce((a, b) => Math.min(a, b), waterline);
  const high = all.reduce((a, b) => Math.max(a, b), waterline);
  const width = LINE_WIDTH;
  const x = (value) => LINE_EDGE + ((width - 2 * LINE_EDGE) * (value - low)) / (high - low || 1);
  const label = `score ${decimals(score)}, waterline ${decimals(waterline)}, scores of the group`;
  const parent = svg("svg", {
    parent: box,
    role: "img",
    "aria-label": label,
    height: LINE_HEIGHT,
    width,
  });
  const level = x(waterline);
  svg("rect", { parent, x: 0, y: LINE_AXIS - 14, width: level, height: 14, class: "snnviz-below" });
  const places = new Set([...all].map((value) => x(value).toFixed(0)));
  const marks = [...places].map((place) => `M${place} ${LINE_AXIS - 10}V${LINE_AXIS}`).join("");
  svg("path", { parent, d: marks, class: "snnviz-scores" });
  svg("path", { parent, d: `M0 ${LINE_AXIS}H${width}`, class: "snnviz-axis" });
  svg("path", { parent, d: `M${level} ${LINE_AXIS - 22}V${LINE_AXIS + 4}`, class: "snnviz-level" });
  if (factor > 0) {
    const d = `M${level} ${LINE_AXIS - 18}H${x(score)}`;
    svg("path", { parent, d, class: "snnviz-rise" });
  }
  svg("circle", { parent, cx: x(score), cy: LINE_AXIS - 18, r: 4, class: "snnviz-dot" });
  const write = (text, at, y, half) => {
    const place = clamp(at, half, width - half);
    svg("text", { parent, text, x: place, y, "text-anchor": "middle" });
  };
  write(`score ${decimals(score)}`, x(score), LINE_AXIS - 28, 40);
  write(`waterline ${decimals(waterline)}`, level, LINE_AXIS + 16, 48);
}

function describeFactor({ activation, factor, score, waterline, stays = true, least = 0 }) {
  if (!stays) return "The size that the schedule asks for leaves this neuron out, so it is off.";
  if (waterline === null)
    return `${activation} makes a factor of ${decimals(factor)} from the score ${decimals(score)}.`;
  if (factor === 0) return "The score is not above the waterline, so the neuron is off.";
  if (least > 0 && score <= waterline)
    return `The score is not above the waterline, so the factor is ${decimals(least)}, the least at this size.`;
  const rise = `${decimals(score)} − ${bracketed(waterline)}`;
  if (least > 0)
    return `Factor: ${decimals(least)} + ${decimals(1 - least)} × (${rise}) = ${decimals(factor)}.`;
  return `Factor: ${rise} = ${decimals(factor)}.`;
}

function describeUse(factor, used, pinned) {
  if (pinned !== null && pinned !== undefined)
    return `In use is ${decimals(used)}, because the neuron is pinned by hand.`;
  if (Math.abs(factor - used) < 0.005) return "";
  return `In use is ${decimals(used)}, until the next switcher phase reads the weights again.`;
}

function signed(value) {
  return value > 0 ? `+${decimals(value)}` : decimals(value);
}

function bracketed(value) {
  return value < 0 ? `(${decimals(value)})` : decimals(value);
}
