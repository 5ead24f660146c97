// A neuron's weights and the images that activate it most, as pictures.

import { make } from "../page/dom.js";
import { clamp, count, decimals } from "../page/numbers.js";
import { toArray } from "./bytes.js";
import { mix, rgb } from "./colours.js";

const ROOM = 264; // pixels in a line of squares
const LOOKED_AT = 1e5; // weights that the least and the greatest are looked for among

// What the pictures of the weights are, in words.
export function weightsDetail({ kind, data, count: pictures, shown_of: all }) {
  const shown = kind === "row" ? toArray(Float32Array, data).length : pictures;
  const what = {
    image: "arranged like the image",
    kernels: "one kernel per input channel",
    row: "one square per weight",
  }[kind];
  const few = all > shown ? `${count(shown)} of ${count(all)} shown` : "";
  return [what, few].filter(Boolean).join(", ");
}

export function drawWeights(box, given, colours) {
  const values = toArray(Float32Array, given.data);
  const { negative, neutral, positive } = colours;
  const [low, zero, high] = [negative, neutral, positive].map(rgb);
  const known = values.filter(Number.isFinite);
  const most = known.reduce((m, v) => Math.max(m, Math.abs(v)), 0) || 1;
  const shade = (v) => mix(zero, v < 0 ? low : high, Math.min(1, Math.abs(v) / most));
  const some = values.slice(0, LOOKED_AT);
  const least = decimals(Math.min(...some));
  const greatest = decimals(Math.max(...some));
  const label = `${count(values.length)} weights from ${least} to ${greatest}`;
  const parent = make("div", {
    parent: box,
    class: "snnviz-pictures",
    role: "img",
    "aria-label": label,
  });
  if (given.kind === "row") drawRow(parent, values, shade);
  else drawKernels(parent, given, values, shade);
  const scale = make("div", { class: "snnviz-weight-scale", parent: box });
  make("span", { text: decimals(-most), parent: scale });
  const ramp = (k) => shade(((k - 32) / 32) * most);
  drawPicture(scale, 65, 1, 1, ramp).removeAttribute("style");
  make("span", { text: `+${decimals(most)}`, parent: scale });
}

function drawKernels(parent, given, values, shade) {
  const { width, height } = given;
  const size = width * height;
  const room = given.kind === "image" ? 140 : given.count > 16 ? 30 : 45;
  const zoom = clamp(Math.floor(room / Math.max(width, height)), 1, 15);
  for (let p = 0; p < given.count; p++)
    drawPicture(parent, width, height, zoom, (k) => shade(values[p * size + k]));
}

// Weights without a place in an image: squares in lines.
function drawRow(parent, values, shade) {
  const n = values.length;
  let zoom = 12;
  while (zoom > 1 && Math.ceil(n / Math.floor(ROOM / zoom)) * zoom > 150) zoom--;
  const cols = Math.min(n, Math.floor(ROOM / zoom));
  const colour = (k) => (k < n ? shade(values[k]) : null);
  drawPicture(parent, cols, Math.ceil(n / cols), zoom, colour);
}

// The test images that activate a neuron most, the strongest first.
export function drawTopImages(box, given) {
  const data = toArray(Uint8Array, given.data);
  const { width, height, channels } = given;
  const list = make("ol", { parent: box });
  const size = width * height;
  const zoom = Math.max(1, Math.floor(56 / Math.max(width, height)));
  for (let p = 0; p < given.count; p++) {
    const [label, value] = [given.labels[p], decimals(given.values[p])];
    const item = make("li", { parent: list, title: `${label}: ${value}` });
    drawPicture(item, width, height, zoom, (k) => {
      const at = (p * size + k) * channels;
      return channels === 3 ? data.subarray(at, at + 3) : [data[at], data[at], data[at]];
    });
    make("span", { text: label, parent: item });
    make("small", { text: value, parent: item });
  }
}

function drawPicture(parent, width, height, zoom, colour) {
  const canvas = make("canvas", { parent, "aria-hidden": "true", width, height });
  canvas.style.width = `${width * zoom}px`;
  canvas.style.height = `${height * zoom}px`;
  const pen = canvas.getContext("2d");
  const image = pen.createImageData(width, height);
  for (let k = 0; k < width * height; k++) {
    const shade = colour(k);
    if (shade) image.data.set([...shade, 255], 4 * k);
  }
  pen.putImageData(image, 0, 0);
  return canvas;
}
