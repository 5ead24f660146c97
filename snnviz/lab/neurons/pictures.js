// A neuron's weights and the images that activate it most, as pictures.

import { make } from "../page/dom.js";
import { clamp, count, decimals } from "../page/numbers.js";
import { toArray } from "./bytes.js";
import { mix, rgb } from "./colours.js";

const ROOM = 264; // pixels in a line of squares
const SMALL = 62; // pixels of a small picture
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

// The largest of some weights, and the colour of each.
function shadeOf(values, { negative, neutral, positive }) {
  const [low, zero, high] = [negative, neutral, positive].map(rgb);
  const known = values.filter(Number.isFinite);
  const most = known.reduce((m, v) => Math.max(m, Math.abs(v)), 0) || 1;
  const shade = (v) => mix(zero, v < 0 ? low : high, Math.min(1, Math.abs(v) / most));
  return [most, shade];
}

function drawWeightScale(box, most, shade) {
  const scale = make("div", { class: "snnviz-weight-scale", parent: box });
  make("span", { text: decimals(-most), parent: scale });
  const ramp = (k) => shade(((k - 32) / 32) * most);
  drawPicture(scale, 65, 1, 1, ramp).removeAttribute("style");
  make("span", { text: `+${decimals(most)}`, parent: scale });
}

export function drawWeights(box, given, colours) {
  const values = toArray(Float32Array, given.data);
  const [most, shade] = shadeOf(values, colours);
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
  drawWeightScale(box, most, shade);
}

// The weights at the end of each epoch that was kept, and now: a small picture each.
export function drawPastWeights(box, given, colours) {
  if (!given.epochs.length) {
    const text = "No earlier state of this run was saved, so there are no weights to compare.";
    make("p", { parent: box, text });
    return;
  }
  const values = toArray(Float32Array, given.data);
  const [most, shade] = shadeOf(values, colours);
  const names = [...given.epochs.map((epoch) => (epoch ? `epoch ${epoch}` : "start")), "now"];
  make("p", { parent: box, text: pastDetail(given) });
  const label = `incoming weights: ${names.join(", ")}`;
  const look = { class: "snnviz-past-weights", role: "img", "aria-label": label };
  const parent = make("div", { parent: box, ...look });
  const size = values.length / names.length;
  names.forEach((name, k) => {
    const item = make("div", { parent });
    drawSmall(item, given, values.subarray(k * size, (k + 1) * size), shade);
    make("span", { parent: item, text: name });
  });
  drawWeightScale(box, most, shade);
}

function pastDetail({ kind, count: kernels, shown_of: all, epochs, kept }) {
  const few = kind === "kernels" && all > kernels ? `, ${kernels} of ${count(all)} kernels` : "";
  const some = kept > epochs.length ? `, ${epochs.length} of ${count(kept)} saved epochs` : "";
  return `The incoming weights themselves, on one scale${few}${some}:`;
}

// All of a neuron's pictures in one, about as wide as high.
function drawSmall(parent, { kind, width, height, count: n }, values, shade) {
  if (kind === "row") {
    const cols = Math.ceil(Math.sqrt(values.length));
    const rows = Math.ceil(values.length / cols);
    const colour = (k) => (k < values.length ? shade(values[k]) : null);
    drawPicture(parent, cols, rows, zoomTo(SMALL, cols), colour);
    return;
  }
  const cols = Math.ceil(Math.sqrt(n));
  const [wide, high] = [cols * (width + 1) - 1, Math.ceil(n / cols) * (height + 1) - 1];
  const colour = (k) => {
    const [x, y] = [k % wide, Math.floor(k / wide)];
    const p = Math.floor(y / (height + 1)) * cols + Math.floor(x / (width + 1));
    const [i, j] = [x % (width + 1), y % (height + 1)];
    const gap = p >= n || i === width || j === height;
    return gap ? null : shade(values[(p * height + j) * width + i]);
  };
  drawPicture(parent, wide, high, zoomTo(SMALL, Math.max(wide, high)), colour);
}

const zoomTo = (room, size) => clamp(Math.floor(room / size), 1, 15);

function drawKernels(parent, given, values, shade) {
  const { width, height } = given;
  const size = width * height;
  const room = given.kind === "image" ? 140 : given.count > 16 ? 30 : 45;
  const zoom = zoomTo(room, Math.max(width, height));
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
