// What the cells mean: the colour scale and "off" above them, and below them the marks of a hand.

import { make } from "../page/dom.js";
import { count } from "../page/numbers.js";
import { drawCell, SAMPLES } from "./cells.js";
import { css, LEVELS, PALETTE } from "./colours.js";

const BY_HAND = ["pinned", "tried off", "tried on"];

// `top`: the scale's upper end; 0: squares show answers to an image instead of factors. `ratio`:
// device pixels to a CSS pixel. `live`: a kernel answers, so that neurons can be switched by hand.
export function drawLegend(legend, marks, top, ratio, colours, live) {
  legend.replaceChildren();
  marks.replaceChildren();
  const scale = make("span", { class: "snnviz-scale", parent: legend });
  const [what, low, middle, high] = top
    ? ["factor", "0", "1", `≥ ${count(top)}`]
    : ["answer", "none", "", "strongest of its group"];
  make("span", { text: what, parent: scale });
  make("span", { text: low, parent: scale });
  drawScale(make("span", { class: "snnviz-scale-bar", parent: scale }), middle);
  make("span", { class: "snnviz-top-of-scale", text: high, parent: scale });
  for (const [text, key] of SAMPLES) {
    if (!live && BY_HAND.includes(text)) continue;
    const parent = text === "off" ? legend : marks;
    const item = make("span", { class: "snnviz-sample", parent });
    const size = Math.round(16 * ratio);
    const attributes = { "aria-hidden": "true", width: size, height: size };
    const canvas = make("canvas", { parent: item, ...attributes });
    drawCell(canvas.getContext("2d"), size, Math.round(2 * ratio), key, colours);
    item.append(text);
  }
}

function drawScale(parent, middle) {
  const attributes = { "aria-hidden": "true", width: LEVELS + 1, height: 1 };
  const bar = make("canvas", { parent, ...attributes });
  make("b", { text: middle, parent });
  const pen = bar.getContext("2d");
  PALETTE.forEach((colour, k) => {
    pen.fillStyle = css(colour);
    pen.fillRect(k, 0, 1, 1);
  });
}
