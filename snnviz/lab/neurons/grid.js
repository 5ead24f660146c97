// The neuron grid: blocks of cells on canvas, one block a switch group, and the page of one neuron.
// Cells are written pixel by pixel from ready-made pictures of one cell ("sprites"), and only those
// that have changed: so 10,000 of them take a few milliseconds.

const PINNED = 1, TRIED_OFF = 2, TRIED_ON = 4;
const PATIENCE = 60; // ms that what is new waits for the rest of the lab's refresh
const LEVELS = 64; // steps of the colour scale; 1 is the middle one
const OFF_KEY = LEVELS + 1, NAN_KEY = LEVELS + 2, SELECTED_BIT = 1 << 7;
const TOPS = [2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000]; // upper ends of the scale
const CIVIDIS =
  "00224e 002e6a 1a386f 32436d 434e6c 535a6d 61656f 6f7073 7d7c78 " +
  "8c8878 9b9476 aba072 bcae6c cdbb63 dec958 f0d846 fee838";
const THEMES = {
  light: { panel: "#ffffff", ink: "#111111", off: "#e8e8e8", cross: "#a0a0a0",
           nan: "#ffffff", negative: "#762a83", neutral: "#f7f7f7", positive: "#1b7837" },
  dark: { panel: "#111111", ink: "#ffffff", off: "#2f2f2f", cross: "#7c7c7c",
          nan: "#111111", negative: "#d39be0", neutral: "#222222", positive: "#6fd083" },
};
const SMALLEST = 5, LARGEST = 20; // a cell with its gap, in CSS pixels
const HEADING = 34, BETWEEN = 18, BELOW = 14, WIDEST_NAME = 150;
const KEYS = [
  ["← ↑ → ↓", "move to another neuron; with Shift, select on the way"],
  ["Home End", "first and last neuron of the group"],
  ["Page Up, Page Down", "the group before and the next"],
  ["Enter", "open the neuron’s page"],
  ["Space", "select it, or not any more"],
  ["Ctrl A", "select the whole group"],
  ["O", "try the selection off"],
  ["N", "try the selection on"],
  ["K", "keep it so: pinned, the switcher no longer moves it"],
  ["L", "let go of what is tried or pinned"],
  ["Esc", "close the page, then clear the selection, then back to the notebook"],
  ["?", "show and hide these keys"],
  ["mouse", "click opens; Shift-click selects a range, Ctrl- or ⌘-click one more; a click on a " +
            "group’s name selects the group"],
];

// --- small things -----------------------------------------------------------------------------

function make(tag, { parent, text, cls, ...rest } = {}) {
  const node = document.createElement(tag);
  if (cls) node.className = cls;
  if (text !== undefined) node.textContent = text;
  for (const [name, value] of Object.entries(rest)) node.setAttribute(name, value);
  parent?.append(node);
  return node;
}

function svg(tag, parent, attributes = {}, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  parent?.append(node);
  return node;
}

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const rgb = (hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));
const css = (colour) => `rgb(${colour.map(Math.round).join(" ")})`;
const mix = (a, b, share) => a.map((v, k) => v + share * (b[k] - v));
const count = (n) => n.toLocaleString("en-US");

function number(value) {
  if (!Number.isFinite(value)) return "not a number";
  const size = Math.abs(value);
  if (size > 0 && size < 0.005) return value.toExponential(0).replace("e-", "·10⁻").replace(
    /\d+$/, (digits) => [...digits].map((d) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]).join(""));
  return value.toFixed(size < 100 ? 2 : 0).replace("-", "−");
}

// A typed array of bytes that came from the kernel; they need not be aligned.
function typed(Kind, bytes) {
  if (!bytes) return new Kind(0);
  const view = bytes.buffer ? bytes : new DataView(bytes);
  return new Kind(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

const STOPS = CIVIDIS.split(" ").map((hex) => rgb("#" + hex));
function cividis(share) {
  const at = clamp(share, 0, 1) * (STOPS.length - 1), k = Math.min(Math.floor(at), STOPS.length - 2);
  return mix(STOPS[k], STOPS[k + 1], at - k);
}
const PALETTE = Array.from({ length: LEVELS + 1 }, (_, k) => cividis(k / LEVELS));

// 0 to 1 on the lower half of the scale, 1 to `top` on the upper one. Just above 0 is not off.
function level(factor, top) {
  if (factor === 0) return OFF_KEY;
  if (!Number.isFinite(factor)) return NAN_KEY;
  const share = factor <= 1 ? factor / 2 : 0.5 + (0.5 * (factor - 1)) / (top - 1);
  return clamp(Math.round(share * LEVELS), 0, LEVELS);
}

// The scale's upper end leaves out the largest hundredth. It moves in few steps and not back at
// once, for each change of it recolours every cell.
function topOf(factors, before) {
  const above = TOPS.map(() => 0);
  let on = 0;
  for (const factor of factors) {
    if (!(factor > 0 && factor < Infinity)) continue;
    on++;
    for (let k = 0; factor > TOPS[k]; k++) above[k]++;
  }
  const top = TOPS[above.findIndex((n) => n <= on / 100)] ?? TOPS.at(-1);
  return top <= before && top > before / 4 ? before : top;
}

// As the status rounds it: all and none are said of all and none only.
function percent(on, n) {
  const share = Math.floor((100 * on) / n + 0.5);
  return on > 0 && on < n ? clamp(share, 1, 99) : n ? share : 0;
}

function isDark() {
  const said = document.body.dataset.jpThemeLight;
  if (said !== undefined) return said === "false";
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

// --- how one cell looks -----------------------------------------------------------------------

// Draws a cell with its gap, `size` device pixels wide, at the origin of `pen`.
function drawCell(pen, size, gap, key, colours) {
  const factor = key & 127, marks = key >> 8, selected = key & SELECTED_BIT;
  const line = Math.max(1, Math.round(size / 14));
  let side = size - gap, left = 0;
  if (selected) { // a frame in the gap and on the edge, and the cell smaller within it
    pen.fillStyle = colours.ink;
    pen.fillRect(0, 0, size, size);
    left = line + (size >= 10 ? 1 : 0);
    side = size - 2 * left;
    if (size >= 10) {
      pen.fillStyle = colours.panel;
      pen.fillRect(line, line, size - 2 * line, size - 2 * line);
      left += 1;
      side -= 2;
    }
  }
  pen.save();
  pen.translate(left, left);
  if (factor === OFF_KEY || factor === NAN_KEY) drawOff(pen, side, line, factor, colours);
  else {
    pen.fillStyle = css(PALETTE[factor]);
    pen.fillRect(0, 0, side, side);
  }
  if (marks & (TRIED_OFF | TRIED_ON)) drawTried(pen, side, marks & TRIED_ON, colours);
  if (marks & PINNED) drawPin(pen, side, colours);
  pen.restore();
}

function drawOff(pen, side, line, factor, colours) {
  pen.fillStyle = factor === NAN_KEY ? colours.nan : colours.off;
  pen.fillRect(0, 0, side, side);
  pen.fillStyle = pen.strokeStyle = factor === NAN_KEY ? colours.ink : colours.cross;
  if (factor === NAN_KEY) return pen.strokeRect(0.5, 0.5, side - 1, side - 1);
  if (side < 7) { // pixel by pixel, for a slanted line would blur
    if (factor === OFF_KEY) pen.fillStyle = css(mix(rgb(colours.off), rgb(colours.cross), 0.75));
    for (let k = 0; k < side; k++) {
      pen.fillRect(k, k, 1, 1);
      pen.fillRect(side - 1 - k, k, 1, 1);
    }
    return;
  }
  const inset = Math.round(side * 0.22);
  pen.lineWidth = line * 1.2;
  pen.beginPath();
  pen.moveTo(inset, inset);
  pen.lineTo(side - inset, side - inset);
  pen.moveTo(side - inset, inset);
  pen.lineTo(inset, side - inset);
  pen.stroke();
}

// A what-if: a plate with − for off and + for on.
function drawTried(pen, side, on, colours) {
  const plate = side < 8 ? side : Math.max(5, Math.round(side * 0.62) | 1);
  const left = Math.floor((side - plate) / 2);
  const bar = Math.max(1, Math.round(plate / 6)), arm = Math.max(1, Math.round(plate * 0.18));
  const middle = left + Math.floor((plate - bar) / 2);
  pen.fillStyle = colours.ink;
  pen.fillRect(left, left, plate, plate);
  pen.fillStyle = colours.panel;
  pen.fillRect(left + arm, middle, plate - 2 * arm, bar);
  if (on) pen.fillRect(middle, left + arm, bar, plate - 2 * arm);
}

// A pin: the upper right corner folded over.
function drawPin(pen, side, colours) {
  const corner = Math.max(2, Math.round(side * 0.52));
  const triangle = (extra, colour) => {
    pen.fillStyle = colour;
    pen.beginPath();
    pen.moveTo(side - corner - extra, 0);
    pen.lineTo(side, 0);
    pen.lineTo(side, corner + extra);
    pen.fill();
  };
  if (side >= 8) triangle(Math.max(1, side / 10), colours.panel);
  triangle(0, colours.ink);
}

class Sprites {
  constructor(size, gap, colours) {
    Object.assign(this, { size, gap, colours, made: new Map() });
    const canvas = new OffscreenCanvas(size, size);
    this.pen = canvas.getContext("2d", { willReadFrequently: true });
  }

  get(key) {
    let sprite = this.made.get(key);
    if (!sprite) {
      this.pen.clearRect(0, 0, this.size, this.size);
      drawCell(this.pen, this.size, this.gap, key, this.colours);
      const pixels = this.pen.getImageData(0, 0, this.size, this.size).data;
      this.made.set(key, (sprite = new Uint32Array(pixels.buffer)));
    }
    return sprite;
  }
}

// --- where the blocks lie ---------------------------------------------------------------------

// Blocks in lines, like words. All blocks of a line may have as many rows as the fewest with which
// they fill the width; lines are broken where the whole is lowest. `wide`: room for the names.
function flow(sizes, wide, width, pitch) {
  const shape = (block, rows) => {
    const least = Math.min(sizes[block], Math.max(6, Math.floor(wide[block] / pitch)));
    const cols = Math.max(Math.ceil(sizes[block] / rows), least);
    return { cols, width: Math.max(cols * pitch, wide[block]) };
  };
  const fit = (from, to) => { // the rows of a line of these blocks; undefined: too many for one
    const most = Math.max(...sizes.slice(from, to));
    const fits = (rows) => {
      let left = width + BETWEEN;
      for (let k = from; k < to && left >= 0; k++) left -= shape(k, rows).width + BETWEEN;
      return left >= 0;
    };
    let low = Math.ceil(Math.sqrt(most / 5)), high = Math.ceil(Math.sqrt(most)); // 5:1 to 1:1
    if (!fits(high)) {
      if (to - from > 1) return undefined;
      return Math.ceil(most / Math.max(1, Math.floor(width / pitch)));
    }
    while (low < high) {
      const middle = (low + high) >> 1;
      if (fits(middle)) high = middle;
      else low = middle + 1;
    }
    return low;
  };
  const best = { [sizes.length]: { height: -BELOW } };
  for (let from = sizes.length - 1; from >= 0; from--)
    for (let to = from + 1; to <= sizes.length; to++) {
      const rows = fit(from, to);
      if (rows === undefined) break;
      const used = Math.max(...sizes.slice(from, to).map(
        (n, k) => Math.ceil(n / shape(from + k, rows).cols)));
      const height = HEADING + used * pitch + BELOW + best[to].height;
      if (!best[from] || height < best[from].height) best[from] = { height, to, rows };
    }
  const places = [];
  for (let from = 0, top = 0; from < sizes.length; from = best[from].to) {
    const { to, rows, height } = best[from];
    for (let block = from, left = 0; block < to; block++) {
      const { cols, width: own } = shape(block, rows);
      places.push({ left, top, cols, rows: Math.ceil(sizes[block] / cols),
                    width: Math.min(own, width) });
      left += own + BETWEEN;
    }
    top += height - best[to].height;
  }
  return { pitch, places, height: Math.max(0, best[0].height) };
}

// The largest cells with which the whole network is in view.
function layout(sizes, wide, width, height) {
  let low = SMALLEST, high = LARGEST;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (flow(sizes, wide, width, middle).height <= height) low = middle;
    else high = middle - 1;
  }
  return flow(sizes, wide, width, low);
}

// --- the grid ---------------------------------------------------------------------------------

class NeuronGrid {
  constructor(model, el) {
    this.model = model;
    this.groups = model.get("groups");
    this.sizes = this.groups.map(([, n]) => n);
    this.starts = this.sizes.map((_, g) => this.sizes.slice(0, g).reduce((a, b) => a + b, 0));
    this.n = this.sizes.reduce((a, b) => a + b, 0);
    this.top = 2;
    this.cursor = Math.max(0, model.get("opened"));
    this.anchor = this.cursor;
    this.hovered = -1;
    this.keyed = new Uint16Array(this.n).fill(0xffff); // what each cell on the canvas shows
    this.chosen = new Uint8Array(this.n);
    this.undo = new AbortController(); // takes all listeners away again
    this.build(el);
    this.page = new Page(this);
    this.listen();
    this.retheme();
  }

  build(el) {
    this.root = make("div", { cls: "snnviz-grid", parent: el });
    const head = make("div", { cls: "snnviz-grid-head", parent: this.root });
    this.total = make("div", { cls: "snnviz-total", parent: head });
    this.legend = make("div", { cls: "snnviz-legend", parent: head });
    this.body = make("div", { cls: "snnviz-grid-body", parent: this.root });
    const main = make("div", { cls: "snnviz-grid-main", parent: this.body });
    this.area = make("div", {
      cls: "snnviz-blocks", parent: main, tabindex: 0, role: "application",
      "aria-roledescription": "neuron grid",
      "aria-label": `${count(this.n)} neurons in ${this.groups.length} groups. ` +
        "Arrow keys move, Enter opens a neuron, the question mark shows all keys.",
    });
    this.blocks = this.groups.map(([name, n], g) => {
      const box = make("div", { cls: "snnviz-block", parent: this.area });
      const button = make("button", {
        cls: "snnviz-block-name", parent: box, type: "button", tabindex: g ? -1 : 0,
        title: `${name}: select all its ${count(n)} neurons`,
      });
      make("b", { text: name, parent: button });
      const on = make("span", { parent: button });
      const canvas = make("canvas", { parent: box, "aria-hidden": "true" });
      return { box, button, on, canvas, pen: canvas.getContext("2d") };
    });
    const ring = (cls) => make("div", { cls: `snnviz-ring ${cls}`, parent: this.area });
    this.rings = { opened: ring("snnviz-opened"), hovered: ring("snnviz-hovered"),
                   cursor: ring("snnviz-cursor") };
    const foot = make("div", { cls: "snnviz-grid-foot", parent: main });
    this.readout = make("div", { cls: "snnviz-readout", parent: foot });
    this.help = make("button", {
      cls: "snnviz-keys-button", parent: foot, type: "button", text: "Keys", "aria-expanded": "false",
      title: "What keys and mouse do here (?)",
    });
    this.keys = make("dl", { cls: "snnviz-keys", parent: main, hidden: "" });
    for (const [key, does] of KEYS) {
      make("dt", { text: key, parent: this.keys });
      make("dd", { text: does, parent: this.keys });
    }
    this.spoken = make("div", { cls: "snnviz-spoken", parent: this.root, "aria-live": "polite" });
  }

  listen() {
    const { signal } = this.undo;
    const on = (node, event, act) => node.addEventListener(event, act, { signal });
    on(this.area, "keydown", (event) => this.onKey(event));
    on(this.area, "mousedown", (event) => this.onDown(event));
    on(this.area, "mousemove", (event) => this.hover(this.at(event)));
    on(this.area, "mouseleave", () => this.hover(-1));
    on(this.area, "focusin", () => this.tell());
    on(this.area, "focusout", () => this.tell());
    on(this.help, "click", () => this.toggleKeys());
    this.blocks.forEach(({ button }, g) => {
      on(button, "click", (event) => this.chooseGroup(g, event.ctrlKey || event.metaKey));
      on(button, "keydown", (event) => this.onNameKey(event, g));
    });
    const names = ["factors", "flipped", "marks", "moment", "selected", "opened"];
    // What the kernel sends at a time comes in pieces; all parts of the lab share a frame, with the
    // status (readout.js).
    this.changed = () => {
      this.soon ??= setTimeout(() => { this.soon = undefined; this.later(); }, PATIENCE);
    };
    on(document, "snnviz-refreshed", () => {
      if (this.soon === undefined) return;
      clearTimeout(this.soon);
      this.soon = undefined;
      this.draw();
    });
    names.forEach((name) => this.model.on(`change:${name}`, this.changed));
    this.turned = () => this.page.show();
    ["page", "opened"].forEach((name) => this.model.on(`change:${name}`, this.turned));
    const resized = new ResizeObserver(() => this.arrange());
    resized.observe(this.area);
    on(window, "resize", () => this.arrange());
    const themed = new MutationObserver(() => this.retheme());
    themed.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light"] });
    on(matchMedia("(prefers-color-scheme: dark)"), "change", () => this.retheme());
    signal.addEventListener("abort", () => {
      resized.disconnect();
      themed.disconnect();
      clearTimeout(this.soon);
      cancelAnimationFrame(this.frame);
      names.forEach((name) => this.model.off(`change:${name}`, this.changed));
      ["page", "opened"].forEach((name) => this.model.off(`change:${name}`, this.turned));
      this.page.close();
    });
  }

  // Places and pictures ------------------------------------------------------------------------

  retheme() {
    this.theme = isDark() ? "dark" : "light";
    this.colours = THEMES[this.theme];
    this.root.classList.toggle("snnviz-dark", this.theme === "dark");
    this.sprites = undefined;
    this.arrange();
    this.page.show();
  }

  arrange() {
    // While JupyterLab changes its theme everything is hidden, and no change of size is reported.
    const width = (this.width = this.area.clientWidth || this.width);
    const ratio = window.devicePixelRatio || 1;
    if (!width) return; // not on the page yet
    if (!this.wide) this.measureNames();
    const height = clamp(window.innerHeight * 0.52, 260, 560);
    const key = [width, height, ratio, this.theme].join();
    if (this.arranged === key) return;
    this.arranged = key;
    this.plan = layout(this.sizes, this.wide, width, height);
    const pitch = Math.round(this.plan.pitch * ratio);
    const gap = Math.max(1, Math.round(ratio * (this.plan.pitch < 7 ? 1 : 2)));
    this.ratio = ratio;
    this.sprites = new Sprites(pitch, gap, this.colours);
    this.area.style.height = `${this.plan.height}px`;
    this.plan.places.forEach((place, g) => {
      const { box, canvas, pen } = this.blocks[g];
      Object.assign(box.style, {
        left: `${place.left}px`, top: `${place.top}px`, width: `${place.width}px` });
      canvas.width = place.cols * pitch;
      canvas.height = place.rows * pitch;
      canvas.style.width = `${canvas.width / ratio}px`;
      canvas.style.height = `${canvas.height / ratio}px`;
      const image = pen.createImageData(canvas.width, canvas.height);
      Object.assign(this.blocks[g], {
        image, pixels: new Uint32Array(image.data.buffer), cols: place.cols });
    });
    this.keyed.fill(0xffff);
    this.draw(); // at once: an empty canvas would flash
    this.drawLegend();
  }

  measureNames() {
    const pen = new OffscreenCanvas(1, 1).getContext("2d");
    const font = getComputedStyle(this.area).fontFamily;
    this.wide = this.groups.map(([name, n]) => {
      pen.font = `600 13px ${font}`;
      const first = pen.measureText(name).width;
      pen.font = `12px ${font}`;
      const second = pen.measureText(`${count(n)} of ${count(n)} on`).width;
      return Math.ceil(clamp(Math.max(first, second), 40, WIDEST_NAME)) + 2;
    });
  }

  later() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.draw();
    });
  }

  // Brings the canvases up to date: works out what each cell is to show, and writes those that
  // show something else.
  draw() {
    const model = this.model;
    this.factors = typed(Float32Array, model.get("factors"));
    this.flipped = typed(Int32Array, model.get("flipped"));
    this.marks = typed(Uint8Array, model.get("marks"));
    this.chosen.fill(0);
    for (const neuron of model.get("selected")) this.chosen[neuron] = 1;
    if (!this.sprites) return;
    const top = topOf(this.factors, this.top);
    if (top !== this.top) {
      this.top = top;
      this.drawLegend();
    }
    let on = 0;
    this.blocks.forEach((block, g) => (on += this.drawBlock(block, g)));
    const share = percent(on, this.n);
    const moment = model.get("moment");
    this.put(this.total, `${count(on)} of ${count(this.n)} neurons on (${share} %)` +
                         (moment ? ` · ${moment}` : ""));
    this.tell();
  }

  drawBlock(block, g) {
    const { image, pixels, cols, canvas, pen } = block;
    const size = this.sprites.size, start = this.starts[g], n = this.sizes[g];
    const rowLength = canvas.width;
    let on = 0, first = -1, last = -1;
    for (let k = 0; k < n; k++) {
      const neuron = start + k, factor = this.factors[neuron];
      if (factor !== 0) on++;
      const key = level(factor, this.top) | (this.chosen[neuron] ? SELECTED_BIT : 0)
                | (this.marks[neuron] << 8);
      if (key === this.keyed[neuron]) continue;
      this.keyed[neuron] = key;
      const sprite = this.sprites.get(key), row = Math.floor(k / cols);
      let to = row * size * rowLength + (k % cols) * size, from = 0;
      for (let y = 0; y < size; y++, to += rowLength)
        for (let x = 0; x < size; x++) pixels[to + x] = sprite[from++];
      if (first < 0) first = row;
      last = row;
    }
    if (first >= 0)
      pen.putImageData(image, 0, 0, 0, first * size, canvas.width, (last - first + 1) * size);
    this.put(block.on, `${count(on)} of ${count(n)} on`);
    return on;
  }

  put(node, text) {
    if (node.textContent !== text) node.textContent = text;
  }

  drawLegend() {
    const { ratio, colours } = this;
    this.legend.replaceChildren();
    const scale = make("span", { cls: "snnviz-scale", parent: this.legend });
    make("span", { text: "factor", parent: scale });
    make("span", { text: "0", parent: scale });
    const middle = make("span", { cls: "snnviz-scale-bar", parent: scale });
    const bar = make("canvas", { parent: middle, "aria-hidden": "true" });
    make("b", { text: "1", parent: middle });
    [bar.width, bar.height] = [LEVELS + 1, 1];
    const pen = bar.getContext("2d");
    PALETTE.forEach((colour, k) => {
      pen.fillStyle = css(colour);
      pen.fillRect(k, 0, 1, 1);
    });
    make("span", { cls: "snnviz-top-of-scale", text: `≥ ${count(this.top)}`, parent: scale });
    const one = LEVELS / 2;
    for (const [text, key] of [
      ["off", OFF_KEY], ["pinned", one | (PINNED << 8)], ["tried off", one | (TRIED_OFF << 8)],
      ["tried on", OFF_KEY | (TRIED_ON << 8)], ["selected", one | SELECTED_BIT],
    ]) {
      const item = make("span", { cls: "snnviz-sample", parent: this.legend });
      const canvas = make("canvas", { parent: item, "aria-hidden": "true" });
      const size = Math.round(16 * ratio);
      canvas.width = canvas.height = size;
      drawCell(canvas.getContext("2d"), size, Math.round(2 * ratio), key, colours);
      item.append(text);
    }
  }

  // Which neuron -------------------------------------------------------------------------------

  groupOf(neuron) {
    let g = this.groups.length - 1;
    while (g && this.starts[g] > neuron) g--;
    return g;
  }

  // The neuron under the mouse, or -1.
  at(event) {
    const g = this.blocks.findIndex(({ canvas }) => canvas === event.target);
    if (g < 0 || !this.plan) return -1;
    const { canvas, cols } = this.blocks[g], box = canvas.getBoundingClientRect();
    const step = this.sprites.size / this.ratio;
    const col = Math.floor((event.clientX - box.left) / step);
    const row = Math.floor((event.clientY - box.top) / step);
    const k = row * cols + col;
    return col >= 0 && col < cols && row >= 0 && k < this.sizes[g] ? this.starts[g] + k : -1;
  }

  // {left, top, side} of a cell within the area, in CSS pixels.
  place(neuron) {
    const g = this.groupOf(neuron), k = neuron - this.starts[g], { left, top, cols } = this.plan.places[g];
    const step = this.sprites.size / this.ratio;
    return { left: left + (k % cols) * step, top: top + HEADING + Math.floor(k / cols) * step,
             side: step - this.sprites.gap / this.ratio };
  }

  name(neuron) {
    const g = this.groupOf(neuron);
    return `${this.groups[g][0]} · ${neuron - this.starts[g]}`;
  }

  state(neuron) {
    const off = this.factors[neuron] === 0, since = this.flipped[neuron];
    if (off) return since < 0 ? `off since epoch ${-since}` : "just off";
    if (since < 0) return "just back on";
    return since > 0 ? `on since epoch ${since}` : "never off";
  }

  describe(neuron) {
    const mark = this.marks[neuron], words = [this.name(neuron)];
    words.push(`factor ${number(this.factors[neuron])}`, this.state(neuron));
    if (mark & PINNED) words.push(this.factors[neuron] === 0 ? "pinned off" : "pinned on");
    if (mark & TRIED_OFF) words.push("tried off, not in force");
    if (mark & TRIED_ON) words.push("tried on, not in force");
    return words.join(" · ");
  }

  // What is pointed at -------------------------------------------------------------------------

  hover(neuron) {
    if (neuron === this.hovered) return;
    this.hovered = neuron;
    this.area.style.cursor = neuron < 0 ? "" : "pointer";
    this.tell();
  }

  // The readout and the rings around cells.
  tell() {
    if (!this.plan || !this.factors) return;
    const focused = document.activeElement === this.area && this.n > 0;
    const neuron = this.hovered >= 0 ? this.hovered : focused ? this.cursor : -1;
    const chosen = this.model.get("selected").length;
    const many = chosen > 1 ? ` · ${count(chosen)} selected` : "";
    const hint = "Each square is a neuron. Point at one; click it to open its page.";
    this.put(this.readout, neuron < 0 ? (many ? many.slice(3) : hint) : this.describe(neuron) + many);
    this.readout.classList.toggle("snnviz-hint", neuron < 0 && !many);
    this.ring("hovered", this.hovered);
    this.ring("cursor", focused ? this.cursor : -1);
    this.ring("opened", this.model.get("opened"));
  }

  ring(kind, neuron) {
    const node = this.rings[kind];
    node.hidden = neuron < 0 || neuron >= this.n;
    if (node.hidden) return;
    const { left, top, side } = this.place(neuron);
    Object.assign(node.style, { left: `${left}px`, top: `${top}px`, width: `${side}px`,
                                height: `${side}px` });
  }

  say(text) {
    this.spoken.textContent = text;
  }

  move(neuron) {
    this.cursor = clamp(neuron, 0, this.n - 1);
    this.hovered = -1;
    this.rove(this.groupOf(this.cursor));
    this.tell();
    this.rings.cursor.scrollIntoView({ block: "nearest", inline: "nearest" });
    const moment = this.model.get("moment");
    const chosen = this.chosen[this.cursor] ? " · selected" : "";
    this.say(this.describe(this.cursor) + chosen + (moment ? ` · ${moment}` : ""));
  }

  // One group's name at a time is a stop of the Tab key; arrows lead on from there.
  rove(g) {
    this.blocks.forEach(({ button }, k) => (button.tabIndex = k === g ? 0 : -1));
  }

  // Selecting and opening ----------------------------------------------------------------------

  choose(neurons) {
    const sorted = [...new Set(neurons)].sort((a, b) => a - b);
    this.model.set("selected", sorted);
    this.model.save_changes();
    this.draw();
  }

  toggle(neuron) {
    const now = this.model.get("selected");
    this.choose(now.includes(neuron) ? now.filter((k) => k !== neuron) : [...now, neuron]);
    this.anchor = neuron;
  }

  range(to) { // from the anchor, within the group in which it ends
    const g = this.groupOf(to), start = this.starts[g], end = start + this.sizes[g] - 1;
    if (this.groupOf(this.anchor) !== g) this.anchor = to;
    const [a, b] = [this.anchor, to].sort((x, y) => x - y);
    this.choose(Array.from({ length: Math.min(b, end) - Math.max(a, start) + 1 },
                           (_, k) => Math.max(a, start) + k));
  }

  chooseGroup(g, more = false) {
    const own = Array.from({ length: this.sizes[g] }, (_, k) => this.starts[g] + k);
    this.choose(more ? [...this.model.get("selected"), ...own] : own);
    this.cursor = this.anchor = this.starts[g];
    this.rove(g);
    this.say(`all ${count(own.length)} neurons of ${this.groups[g][0]} selected`);
  }

  open(neuron, alone = true) {
    const first = this.model.get("opened") < 0;
    this.model.set("opened", neuron);
    if (alone && neuron >= 0) {
      this.model.set("selected", [neuron]);
      this.anchor = neuron;
    }
    this.model.save_changes();
    this.draw();
    if (neuron >= 0) {
      this.say(`page of ${this.describe(neuron)}`);
      if (first) this.page.reveal();
    }
  }

  close() {
    this.open(-1, false);
    this.say("page closed");
    this.area.focus({ preventScroll: true });
  }

  wish(deed) {
    let neurons = this.model.get("selected");
    if (!neurons.length) this.choose((neurons = [this.cursor]));
    this.model.send({ do: deed, neurons });
    const many = neurons.length === 1 ? this.name(neurons[0]) : `${count(neurons.length)} neurons`;
    this.say(`${many}: ${{ off: "try off", on: "try on", keep: "keep", "let go": "let go" }[deed]}`);
  }

  toggleKeys() {
    this.keys.hidden = !this.keys.hidden;
    this.help.setAttribute("aria-expanded", String(!this.keys.hidden));
  }

  // Mouse and keys -----------------------------------------------------------------------------

  onDown(event) {
    const neuron = this.at(event);
    if (neuron < 0 || event.button !== 0) return;
    event.preventDefault(); // Shift would select text
    event.stopPropagation(); // and the notebook would select cells
    this.area.focus({ preventScroll: true });
    this.cursor = neuron;
    this.rove(this.groupOf(neuron));
    if (event.shiftKey) this.range(neuron);
    else if (event.ctrlKey || event.metaKey) this.toggle(neuron);
    else this.open(neuron);
  }

  onNameKey(event, g) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) {
      if (event.key === "Enter" || event.key === " ") event.stopPropagation(); // the button acts
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    const next = clamp(g + step, 0, this.groups.length - 1);
    this.rove(next);
    this.blocks[next].button.focus();
  }

  onKey(event) {
    const { key } = event;
    if (!this.n || event.altKey) return;
    if (event.ctrlKey || event.metaKey) {
      if (key.toLowerCase() !== "a") return;
      this.chooseGroup(this.groupOf(this.cursor));
    } else if (!this.onMove(key, event.shiftKey) && !this.onAct(key)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  onMove(key, extend) {
    const g = this.groupOf(this.cursor), start = this.starts[g], n = this.sizes[g];
    const cols = this.plan?.places[g].cols ?? 1;
    const near = (to) => (to >= start && to < start + n ? to : undefined);
    const to = {
      ArrowRight: () => this.cursor + 1,
      ArrowLeft: () => this.cursor - 1,
      ArrowDown: () => near(this.cursor + cols) ?? (extend ? undefined : this.starts[g + 1]),
      ArrowUp: () => near(this.cursor - cols) ?? (extend || !g ? undefined : start - 1),
      Home: () => start,
      End: () => start + n - 1,
      PageDown: () => this.starts[g + 1],
      PageUp: () => this.starts[g - 1],
    }[key];
    if (!to) return false;
    const neuron = clamp(to() ?? this.cursor, 0, this.n - 1);
    if (extend) {
      if (near(neuron) === undefined) return true; // a range stays in its group
      if (!this.model.get("selected").includes(this.cursor)) this.anchor = this.cursor;
      this.range(neuron);
    }
    this.move(neuron);
    return true;
  }

  onAct(key) {
    const deeds = { o: "off", n: "on", k: "keep", l: "let go" };
    if (key === "Enter") this.open(this.cursor);
    else if (key === " ") {
      this.toggle(this.cursor);
      this.move(this.cursor);
    } else if (key === "?") this.toggleKeys();
    else if (key in deeds) this.wish(deeds[key]);
    else if (key === "Escape") {
      if (!this.keys.hidden) this.toggleKeys();
      else if (this.model.get("opened") >= 0) this.close();
      else if (this.model.get("selected").length) this.choose([]);
      else return false;
    } else return false;
    return true;
  }
}

// --- the page of one neuron -------------------------------------------------------------------

class Page {
  constructor(grid) {
    this.grid = grid;
    this.model = grid.model;
    const { signal } = grid.undo;
    this.root = make("section", { cls: "snnviz-page", parent: grid.body, "aria-label": "Neuron" });
    this.head = make("div", { cls: "snnviz-page-head", parent: this.root });
    this.title = make("h3", { parent: this.head });
    this.chip = make("span", { cls: "snnviz-chip", parent: this.head });
    const button = (text, label, act) => {
      const node = make("button", { parent: this.head, type: "button", text, title: label,
                                    "aria-label": label });
      node.addEventListener("click", act, { signal });
      return node;
    };
    this.before = button("‹", "the neuron before", () => this.step(-1));
    this.after = button("›", "the next neuron", () => this.step(1));
    this.shut = button("×", "close the page (Esc)", () => grid.close());
    this.shut.className = "snnviz-close";
    this.content = make("div", { cls: "snnviz-page-content", parent: this.root });
    this.hint = make("p", { cls: "snnviz-page-hint", parent: this.root, text:
      "Click a neuron, or press Enter on it, to see its factor over time, its weights, what it " +
      "reads and feeds, and the images that excite it most." });
    this.root.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      grid.close();
    }, { signal });
    this.resized = new ResizeObserver(() => this.drawFactors());
    this.resized.observe(this.content);
  }

  close() {
    this.resized.disconnect();
  }

  step(by) {
    const { grid } = this, neuron = clamp(this.model.get("opened") + by, 0, grid.n - 1);
    grid.open(neuron);
    grid.cursor = neuron;
    grid.rove(grid.groupOf(neuron));
  }

  reveal() {
    const smooth = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.head.scrollIntoView({ block: "nearest", behavior: smooth ? "smooth" : "auto" });
  }

  show() {
    const { grid } = this, neuron = this.model.get("opened"), page = this.model.get("page");
    const open = neuron >= 0, ready = open && page.neuron === neuron;
    this.root.classList.toggle("snnviz-is-open", open);
    this.root.setAttribute("aria-busy", String(open && !ready));
    this.head.hidden = this.content.hidden = !open;
    this.hint.hidden = open;
    if (!open) {
      this.factors = undefined;
      this.content.replaceChildren();
      return;
    }
    const g = grid.groupOf(neuron), name = grid.groups[g][0], place = neuron - grid.starts[g];
    this.root.setAttribute("aria-label", `Neuron ${place} of ${name}`);
    grid.put(this.title, `${name} · ${place}`);
    this.before.disabled = neuron === 0;
    this.after.disabled = neuron === grid.n - 1;
    if (ready) this.fill(page);
    else this.wait();
  }

  // The page of the neuron before stays, pale, until the new one is here: so nothing jumps.
  wait() {
    this.grid.put(this.chip, "working it out …");
    this.chip.className = "snnviz-chip";
  }

  fill(page) {
    const { grid } = this, off = page.factor === 0;
    const pinned = page.pinned === null || page.pinned === undefined ? "" : "pinned ";
    grid.put(this.chip, pinned + (off ? "off" : "on"));
    this.chip.className = `snnviz-chip ${off ? "snnviz-is-off" : "snnviz-is-on"}`;
    const parts = [this.history(page), this.facts(page), this.weights(page), this.answers(page),
                   this.notes(page)];
    this.content.replaceChildren(...parts.filter(Boolean));
    this.drawFactors();
  }

  part(title, cls, detail) {
    const box = make("div", { cls: `snnviz-part ${cls}` });
    const line = make("h4", { text: title, parent: box });
    if (detail) make("small", { text: detail, parent: line });
    return box;
  }

  // Facts --------------------------------------------------------------------------------------

  facts(page) {
    const box = this.part("What it reads and feeds", "snnviz-facts");
    const flow = make("div", { cls: "snnviz-flow", parent: box });
    const chips = (names, none) => {
      const list = make("span", { cls: "snnviz-layers", parent: flow });
      for (const name of names.length ? names : [none])
        make("span", { cls: "snnviz-layer", text: name, parent: list });
    };
    chips(page.reads ?? [], "the image");
    make("span", { text: "→", parent: flow, "aria-label": "is read by" });
    make("b", { text: `${page.group} · ${page.index}`, parent: flow });
    make("span", { text: "→", parent: flow, "aria-label": "feeds" });
    chips(page.feeds ?? [], "the class scores");
    const list = make("dl", { parent: box });
    const fact = (name, value) => {
      make("dt", { text: name, parent: list });
      make("dd", { text: value, parent: list });
    };
    const kept = { 0: ", pinned off by hand", 1: ", pinned on by hand" }[page.pinned] ?? "";
    fact("factor", `${number(page.factor)}${page.at ? `, ${page.at}` : ""}${kept}`);
    fact("weights it reads with", count(page.fan_in));
    fact("their norm", number(page.norm) + (page.norm_rank ? `, ${page.norm_rank}` : ""));
    if (page.writers?.length > 1) fact("written by", page.writers.join(", "));
    return box;
  }

  notes(page) {
    if (!page.notes?.length) return undefined;
    const box = this.part("Notes", "snnviz-notes");
    const list = make("ul", { parent: box });
    for (const text of page.notes) make("li", { text, parent: list });
    return box;
  }

  // Factor over time ---------------------------------------------------------------------------

  history(page) {
    const box = this.part("Factor over time", "snnviz-factor-history");
    this.factors = typed(Float32Array, page.epochs?.factors);
    this.stages = page.epochs?.stages ?? [];
    this.chart = svg("svg", box, { role: "img", "aria-label": this.story(), height: 132 });
    return box;
  }

  story() {
    const all = this.factors, n = all.length;
    if (!n) return "no epoch finished yet";
    const off = all.filter((f) => f === 0).length;
    let flips = 0;
    for (let e = 0; e < n; e++) if ((all[e] === 0) !== (e ? all[e - 1] === 0 : false)) flips++;
    return `factor over ${n} ${n === 1 ? "epoch" : "epochs"}: ${number(all[0])} after the first, ` +
      `${number(all[n - 1])} after the last; off after ${off} of them; ` +
      `went off or came back ${flips} ${flips === 1 ? "time" : "times"}`;
  }

  drawFactors() {
    if (!this.factors || !this.chart?.isConnected) return;
    const chart = this.chart, n = this.factors.length;
    const width = (this.width = chart.parentNode.clientWidth || this.width);
    if (!width) return;
    chart.replaceChildren();
    chart.setAttribute("width", width);
    const bottom = 108, top = 20, left = 30, right = width - 40;
    if (!n) {
      const middle = { x: width / 2, y: 66, "text-anchor": "middle" };
      svg("text", chart, middle, "no epoch finished yet");
      return;
    }
    const most = Math.max(1.5, ...this.factors.filter(Number.isFinite)) * 1.05;
    const x = (epoch) => left + ((epoch - 0.5) / n) * (right - left);
    const y = (factor) => bottom - (factor / most) * (bottom - top);
    this.drawStages(chart, x, top, bottom);
    for (const factor of most > 3 ? [0, 1, Math.floor(most / 1.05)] : [0, 1]) {
      const line = { x1: left, x2: right, y1: y(factor), y2: y(factor) };
      svg("line", chart, { ...line, class: factor === 1 ? "snnviz-one" : "snnviz-axis" });
      const at = { x: left - 6, y: y(factor) + 4, "text-anchor": "end" };
      svg("text", chart, at, String(factor));
    }
    this.drawOff(chart, x, y, top, bottom);
    this.drawLine(chart, x, y);
    this.drawEpochs(chart, x, bottom);
    this.drawHits(chart, x, top, bottom);
    const now = this.factors[n - 1];
    const end = { x: right + 4, y: clamp(y(now) + 4, top + 8, bottom), class: "snnviz-now" };
    svg("text", chart, end, now === 0 ? "off" : number(now));
  }

  drawStages(chart, x, top, bottom) {
    for (const [first, last, stage] of this.stages) {
      const box = { x: x(first - 0.5), width: Math.max(0, x(last + 0.5) - x(first - 0.5)) };
      const look = `snnviz-stage-${stage.replace(" ", "-")}`;
      svg("rect", chart, { ...box, y: top, height: bottom - top, class: `snnviz-stage ${look}` });
      svg("rect", chart, { ...box, y: top - 4, height: 4, class: `snnviz-strip ${look}` });
      if (box.width > 7 * stage.length)
        svg("text", chart, { x: box.x + 3, y: top - 8, class: "snnviz-stage-name" }, stage);
    }
  }

  // Off is a hatched block through the whole height: no height of the line looks like it.
  drawOff(chart, x, y, top, bottom) {
    const id = `snnviz-hatch-${(Page.hatches = (Page.hatches ?? 0) + 1)}`;
    const pattern = svg("pattern", svg("defs", chart), {
      id, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
    svg("rect", pattern, { width: 6, height: 6, class: "snnviz-hatch-ground" });
    svg("rect", pattern, { width: 1.4, height: 6, class: "snnviz-hatch-line" });
    const all = this.factors;
    for (let e = 0; e < all.length; e++) {
      if (all[e] !== 0) continue;
      let last = e;
      while (all[last + 1] === 0) last++;
      const box = { x: x(e + 0.5), width: x(last + 1.5) - x(e + 0.5), y: top, height: bottom - top };
      svg("rect", chart, { ...box, fill: `url(#${id})`, class: "snnviz-off-band" });
      if (box.width > 26) {
        const middle = { x: box.x + box.width / 2, y: (top + bottom) / 2 + 4,
                         "text-anchor": "middle", class: "snnviz-off-name" };
        svg("text", chart, middle, "off");
      }
      e = last;
    }
  }

  drawLine(chart, x, y) {
    let path = "";
    const all = this.factors, few = all.length <= 40;
    all.forEach((factor, e) => {
      if (factor === 0 || !Number.isFinite(factor)) return;
      const joined = e && all[e - 1] !== 0 && Number.isFinite(all[e - 1]);
      path += `${joined ? "L" : "M"}${x(e + 1).toFixed(1)} ${y(factor).toFixed(1)}`;
    });
    svg("path", chart, { d: path, class: "snnviz-line" });
    all.forEach((factor, e) => {
      const alone = !(all[e - 1] > 0) && !(all[e + 1] > 0);
      if (factor > 0 && (few || alone))
        svg("circle", chart, { cx: x(e + 1), cy: y(factor), r: few ? 2.6 : 1.2, class: "snnviz-dot" });
    });
  }

  drawEpochs(chart, x, bottom) {
    const n = this.factors.length;
    const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].find((s) => n / s <= 8) ?? 5000;
    for (let epoch = step; epoch <= n; epoch += step)
      svg("text", chart, { x: x(epoch), y: bottom + 14, "text-anchor": "middle" }, String(epoch));
    svg("text", chart, { x: x(n + 0.5) + 4, y: bottom + 14 }, n === 1 ? "epoch" : "epochs");
  }

  // An epoch under the mouse says its number and its factor.
  drawHits(chart, x, top, bottom) {
    const stage = (epoch) => this.stages.find(([first, last]) => first <= epoch && epoch <= last);
    this.factors.forEach((factor, e) => {
      const box = { x: x(e + 0.5), width: x(e + 1.5) - x(e + 0.5), y: top, height: bottom - top };
      const hit = svg("rect", chart, { ...box, fill: "transparent" });
      const words = [`epoch ${e + 1}`, factor === 0 ? "off" : `factor ${number(factor)}`];
      svg("title", hit, {}, [...words, stage(e + 1)?.[2]].filter(Boolean).join(" · "));
    });
  }

  // Pictures -----------------------------------------------------------------------------------

  picture(parent, width, height, zoom, colour) {
    const canvas = make("canvas", { parent, "aria-hidden": "true" });
    [canvas.width, canvas.height] = [width, height];
    canvas.style.width = `${width * zoom}px`;
    canvas.style.height = `${height * zoom}px`;
    const pen = canvas.getContext("2d"), image = pen.createImageData(width, height);
    for (let k = 0; k < width * height; k++) {
      const shade = colour(k);
      if (shade) image.data.set([...shade, 255], 4 * k);
    }
    pen.putImageData(image, 0, 0);
    return canvas;
  }

  weights(page) {
    const given = page.weights;
    if (!given) return undefined;
    const values = typed(Float32Array, given.data), { kind, shown_of: all } = given;
    const shown = kind === "row" ? values.length : given.count;
    const few = all > shown ? `${count(shown)} of ${count(all)} shown` : "";
    const what = { image: "as the image lies", kernels: "a kernel a channel it reads",
                   row: "one square a weight" }[kind];
    const box = this.part("Weights it reads with", "snnviz-weights", [what, few].filter(Boolean).join(", "));
    const { negative, neutral, positive } = this.grid.colours;
    const [low, zero, high] = [negative, neutral, positive].map(rgb);
    const most = values.reduce((m, v) => (Math.abs(v) > m ? Math.abs(v) : m), 0) || 1;
    const shade = (v) => mix(zero, v < 0 ? low : high, Math.min(1, Math.abs(v) / most));
    const pictures = make("div", { cls: "snnviz-pictures", parent: box, role: "img", "aria-label":
      `${count(values.length)} weights from ${number(Math.min(...values.slice(0, 1e5)))} to ` +
      number(Math.max(...values.slice(0, 1e5))) });
    if (kind === "row") this.row(pictures, values, shade);
    else {
      const { width, height } = given, size = width * height;
      const room = kind === "image" ? 140 : given.count > 16 ? 30 : 45;
      const zoom = clamp(Math.floor(room / Math.max(width, height)), 1, 15);
      for (let p = 0; p < given.count; p++)
        this.picture(pictures, width, height, zoom, (k) => shade(values[p * size + k]));
    }
    const scale = make("div", { cls: "snnviz-weight-scale", parent: box });
    make("span", { text: number(-most), parent: scale });
    this.picture(scale, 65, 1, 1, (k) => shade(((k - 32) / 32) * most)).removeAttribute("style");
    make("span", { text: `+${number(most)}`, parent: scale });
    return box;
  }

  // Weights without a place in an image: squares in lines.
  row(parent, values, shade) {
    const n = values.length, room = 264;
    let zoom = 12;
    while (zoom > 1 && Math.ceil(n / Math.floor(room / zoom)) * zoom > 150) zoom--;
    const cols = Math.min(n, Math.floor(room / zoom));
    this.picture(parent, cols, Math.ceil(n / cols), zoom, (k) => (k < n ? shade(values[k]) : null));
  }

  answers(page) {
    const given = page.answers;
    if (!given) return undefined;
    const box = this.part("What it answers to", "snnviz-answers",
                          `the strongest of ${count(given.of)} test images`);
    const data = typed(Uint8Array, given.data), { width, height, channels } = given;
    const list = make("ol", { parent: box }), size = width * height;
    const zoom = Math.max(1, Math.floor(56 / Math.max(width, height)));
    for (let p = 0; p < given.count; p++) {
      const item = make("li", { parent: list, title: `${given.labels[p]}: ${number(given.values[p])}` });
      this.picture(item, width, height, zoom, (k) => {
        const at = (p * size + k) * channels;
        return channels === 3 ? data.subarray(at, at + 3) : [data[at], data[at], data[at]];
      });
      make("span", { text: given.labels[p], parent: item });
      make("small", { text: number(given.values[p]), parent: item });
    }
    return box;
  }
}

export default {
  render({ model, el }) {
    const grid = new NeuronGrid(model, el);
    return () => grid.undo.abort();
  },
};
