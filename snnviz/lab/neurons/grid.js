// The neuron grid: blocks of cells on canvas, one block for each switch group, and the page of one
// neuron. Neurons are numbered through all groups, in their order.

import { enlargement, isDark, make, onTheme, put } from "../page/dom.js";
import { hear } from "../page/hearing.js";
import { clamp, count, percent } from "../page/numbers.js";
import { drawTogether } from "../page/refresh.js";
import { HEADING, layout, measureNames } from "./blocks.js";
import { toArray } from "./bytes.js";
import { cellKey, EMPTY_KEY, Sprites } from "./cells.js";
import { level, THEMES, topOf } from "./colours.js";
import { Hands, listKeys } from "./keys.js";
import { drawLegend } from "./legend.js";
import { Order } from "./order.js";
import { Page } from "./page.js";
import { Selection } from "./selection.js";
import { Tools } from "./tools.js";
import { describeNeuron } from "./words.js";

const NEVER_CUT = 9; // letters at the end of a group's name that are always shown
const AROUND = 490; // pixels of the window for all that is not neurons
const SHOWN = ["factors", "flipped", "marks", "moment", "selected", "opened", "answers"]; // traits
const ARRANGED = ["sort", "only_off"]; // traits that decide where neurons are shown
const NEURON_HINT = "Each square is a neuron. Point at one; click it to open its page.";
const ENLARGED_HINT = "Each square is a neuron.";
const NOTHING = 0xffff; // the key of a cell that is still to be drawn

class NeuronGrid {
  constructor(model, el) {
    this.model = model;
    this.groups = model.get("groups");
    this.names = model.get("labels") ?? this.groups.map(([name]) => name);
    this.sizes = this.groups.map(([, n]) => n);
    this.starts = this.sizes.map((_, g) => this.sizes.slice(0, g).reduce((a, b) => a + b, 0));
    this.n = this.sizes.reduce((a, b) => a + b, 0);
    this.top = 2;
    this.cursor = Math.max(0, model.get("opened"));
    this.hovered = -1;
    this.order = new Order(this.sizes, this.starts);
    this.selection = new Selection(this);
    this.keyed = new Uint16Array(this.n).fill(NOTHING); // what each cell on the canvas shows
    this.chosen = new Uint8Array(this.n);
    this.undo = new AbortController(); // takes all listeners away again
    this.build(el);
    this.page = new Page(this);
    this.listen();
    this.hands = new Hands(this);
    this.retheme();
  }

  build(el) {
    this.root = make("div", { class: "snnviz-grid", parent: el });
    this.bare = Boolean(this.model.get("bare"));
    this.root.classList.toggle("snnviz-bare", this.bare);
    const head = make("div", { class: "snnviz-grid-head", parent: this.root });
    this.total = make("div", { class: "snnviz-total", parent: head });
    this.legend = make("div", { class: "snnviz-legend", parent: head });
    this.body = make("div", { class: "snnviz-grid-body", parent: this.root });
    const main = make("div", { class: "snnviz-grid-main", parent: this.body });
    this.area = make("div", {
      class: "snnviz-blocks",
      parent: main,
      tabindex: 0,
      role: "application",
      "aria-roledescription": "neuron grid",
      "aria-label":
        `${count(this.n)} neurons in ${this.groups.length} groups. ` +
        "Arrow keys move, Enter opens a neuron, the question mark shows all keys.",
    });
    this.blocks = this.groups.map((_, g) => this.buildBlock(g));
    const ring = (look) => make("div", { class: `snnviz-ring ${look}`, parent: this.area });
    this.rings = {
      opened: ring("snnviz-opened"),
      hovered: ring("snnviz-hovered"),
      cursor: ring("snnviz-cursor"),
    };
    this.signs = make("div", { class: "snnviz-legend snnviz-signs", parent: main });
    const foot = make("div", { class: "snnviz-grid-foot", parent: main });
    this.readout = make("div", { class: "snnviz-readout", parent: foot });
    this.tools = new Tools(this, foot, main);
    this.help = make("button", {
      class: "snnviz-keys-button",
      parent: foot,
      type: "button",
      text: "Keys",
      "aria-expanded": "false",
      title: "What keys and mouse do here (?)",
    });
    this.keys = make("dl", { class: "snnviz-keys", parent: main, hidden: "" });
    listKeys(this.keys, this.model.get("live"));
    this.spoken = make("div", { class: "snnviz-spoken", parent: this.root, "aria-live": "polite" });
  }

  buildBlock(g) {
    const [name, n] = this.groups[g];
    const box = make("div", { class: "snnviz-block", parent: this.area });
    const button = make("button", {
      class: "snnviz-block-name",
      parent: box,
      type: "button",
      tabindex: g ? -1 : 0,
      title: `${name}: select all its ${count(n)} neurons`,
    });
    // Names of layers often differ only at their ends, so what has no room is cut before the end.
    const heading = make("b", { parent: button });
    for (const limits of [[0, -NEVER_CUT], [-NEVER_CUT]])
      make("i", { text: this.names[g].slice(...limits), parent: heading });
    const on = make("span", { parent: button });
    const canvas = make("canvas", { parent: box, "aria-hidden": "true" });
    return { box, button, on, canvas, pen: canvas.getContext("2d") };
  }

  listen() {
    const { signal } = this.undo;
    const on = (node, event, act) => node.addEventListener(event, act, { signal });
    const points = (event) => event.pointerType !== "touch"; // a finger that is gone points at nothing
    on(this.area, "pointermove", (event) => points(event) && this.hover(this.at(event)));
    on(this.area, "pointerleave", () => this.hover(-1));
    on(this.area, "focusin", () => this.tell());
    on(this.area, "focusout", () => this.tell());
    on(this.help, "click", () => this.toggleKeys());
    const follow = (names, act) => {
      for (const name of names) this.model.on(`change:${name}`, act);
      signal.addEventListener("abort", () => {
        for (const name of names) this.model.off(`change:${name}`, act);
      });
    };
    follow(
      [...SHOWN, ...ARRANGED],
      drawTogether(() => this.draw(), signal),
    );
    follow(["page", "opened"], () => this.page.show());
    const resized = new ResizeObserver(() => this.arrange());
    resized.observe(this.area);
    on(window, "resize", () => this.arrange());
    on(document, "snnviz-enlarged", () => this.arrange());
    onTheme(() => this.retheme(), signal);
    signal.addEventListener("abort", () => {
      resized.disconnect();
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
    this.width = this.area.clientWidth || this.width;
    const { width } = this;
    const ratio = window.devicePixelRatio || 1;
    if (!width) return; // not on the page yet
    const times = enlargement(this.root);
    const height = this.room(times);
    const key = [width, height, ratio, this.theme, times].join();
    if (this.arranged === key) return;
    this.arranged = key;
    this.times = times;
    const font = getComputedStyle(this.area).fontFamily;
    const wide = measureNames(this.names, this.sizes, font, times);
    this.plan = layout(this.sizes, wide, width, height, times);
    const pitch = Math.round(this.plan.pitch * ratio);
    const gap = Math.max(1, Math.round(ratio * (this.plan.pitch < 7 ? 1 : 2)));
    this.ratio = ratio;
    this.sprites = new Sprites(pitch, gap, this.colours);
    this.area.style.height = `${this.plan.height}px`;
    this.plan.places.forEach((place, g) => {
      const { box, canvas, pen } = this.blocks[g];
      Object.assign(box.style, {
        left: `${place.left}px`,
        top: `${place.top}px`,
        width: `${place.width}px`,
      });
      canvas.width = place.cols * pitch;
      canvas.height = place.rows * pitch;
      canvas.style.width = `${canvas.width / ratio}px`;
      canvas.style.height = `${canvas.height / ratio}px`;
      const image = pen.createImageData(canvas.width, canvas.height);
      Object.assign(this.blocks[g], {
        image,
        pixels: new Uint32Array(image.data.buffer),
        cols: place.cols,
      });
    });
    this.keyed.fill(NOTHING);
    this.draw(); // at once: an empty canvas would flash
    this.explain();
  }

  // The height in which all blocks are to be. With what is above and below them they are all in
  // view on a small screen, and projected they fill what is left of it.
  room(times) {
    if (times === 1) return clamp(window.innerHeight - AROUND, 150, 560);
    const around = this.root.offsetHeight - this.area.offsetHeight;
    const all = this.root.closest(".snnviz-middle")?.clientHeight ?? window.innerHeight;
    return Math.max(all - around, 100);
  }

  // The legend.
  explain() {
    const live = this.model.get("live");
    const ratio = this.ratio * this.times;
    drawLegend(this.legend, this.signs, this.lit ? 0 : this.top, ratio, this.colours, live);
  }

  // Brings the canvases up to date: works out what each cell is to show, and writes those that
  // show something else.
  draw() {
    const model = this.model;
    this.factors = toArray(Float32Array, model.get("factors"));
    this.flipped = toArray(Int32Array, model.get("flipped"));
    this.marks = toArray(Uint8Array, model.get("marks"));
    this.answers = toArray(Float32Array, model.get("answers")); // to an image; empty: none
    this.chosen.fill(0);
    for (const neuron of model.get("selected")) this.chosen[neuron] = 1;
    if (!this.sprites) return;
    this.sortNeurons();
    const top = topOf(this.factors, this.top);
    const lit = this.answers.length > 0;
    if (top !== this.top || lit !== this.lit) {
      Object.assign(this, { top, lit });
      this.explain();
    }
    let on = 0;
    this.blocks.forEach((block, g) => {
      on += this.drawBlock(block, g);
    });
    const share = percent(on, this.n);
    const moment = model.get("moment");
    const when = moment ? ` · ${moment}` : "";
    put(this.total, `${count(on)} of ${count(this.n)} neurons on (${share} %)${when}`);
    this.tell();
  }

  // While somebody points at a neuron, none moves, unless another order is asked for.
  sortNeurons() {
    const asked = ARRANGED.map((name) => this.model.get(name));
    if (this.hovered >= 0 && this.asked === asked.join()) return;
    this.asked = asked.join();
    this.order.update(asked[0] ?? "number", asked[1], this.factors, this.flipped);
    this.tools.show();
  }

  drawBlock(block, g) {
    const { image, pixels, cols, canvas, pen } = block;
    const size = this.sprites.size;
    const start = this.starts[g];
    const n = this.sizes[g];
    const rowLength = canvas.width;
    let on = 0;
    let first = -1;
    let last = -1;
    for (let k = 0; k < n; k++) {
      if (this.factors[start + k] !== 0) on++;
      const key = this.keyAt(g, k);
      if (key === this.keyed[start + k]) continue;
      this.keyed[start + k] = key;
      const sprite = this.sprites.get(key);
      const row = Math.floor(k / cols);
      let to = row * size * rowLength + (k % cols) * size;
      let from = 0;
      for (let y = 0; y < size; y++, to += rowLength)
        for (let x = 0; x < size; x++) pixels[to + x] = sprite[from++];
      if (first < 0) first = row;
      last = row;
    }
    if (first >= 0)
      pen.putImageData(image, 0, 0, 0, first * size, canvas.width, (last - first + 1) * size);
    put(block.on, `${count(on)} of ${count(n)} on`);
    return on;
  }

  // What a cell of a group is to show; behind the neurons that are shown there is nothing.
  keyAt(g, slot) {
    const neuron = this.order.shown[g][slot];
    if (neuron === undefined) return EMPTY_KEY;
    const shade = level(this.factors[neuron], this.top, this.answers[neuron]);
    return cellKey(shade, this.marks[neuron], this.chosen[neuron]);
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
    if (g < 0 || !this.sprites) return -1;
    const { canvas, cols } = this.blocks[g];
    const box = canvas.getBoundingClientRect();
    const step = this.sprites.size / this.ratio;
    const col = Math.floor((event.clientX - box.left) / step);
    const row = Math.floor((event.clientY - box.top) / step);
    const inside = col >= 0 && col < cols && row >= 0;
    return (inside ? this.order.shown[g][row * cols + col] : undefined) ?? -1;
  }

  // {left, top, side} of a cell within the area, in CSS pixels. The neuron is one that is shown.
  place(neuron) {
    const g = this.groupOf(neuron);
    const k = this.order.slots[neuron];
    const { left, top, cols } = this.plan.places[g];
    const step = this.sprites.size / this.ratio;
    return {
      left: left + (k % cols) * step,
      top: top + HEADING * this.times + Math.floor(k / cols) * step,
      side: step - this.sprites.gap / this.ratio,
    };
  }

  name(neuron) {
    const g = this.groupOf(neuron);
    return `${this.names[g]} · ${neuron - this.starts[g]}`;
  }

  describe(neuron) {
    const [factor, since, marks] = [this.factors, this.flipped, this.marks].map(
      (all) => all[neuron],
    );
    return describeNeuron(this.name(neuron), factor, since, marks, this.answers[neuron]);
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
    if (!this.sprites || !this.factors) return;
    const focused = document.activeElement === this.area && this.n > 0;
    const neuron = this.hovered >= 0 ? this.hovered : focused ? this.cursor : -1;
    const chosen = this.model.get("selected").length;
    const many = chosen > 1 ? ` · ${count(chosen)} selected` : "";
    const hint = this.times > 1 ? ENLARGED_HINT : NEURON_HINT;
    put(this.readout, neuron < 0 ? (many ? many.slice(3) : hint) : this.describe(neuron) + many);
    this.readout.classList.toggle("snnviz-hint", neuron < 0 && !many);
    this.ring("hovered", this.hovered);
    this.ring("cursor", focused ? this.cursor : -1);
    this.ring("opened", this.model.get("opened"));
  }

  ring(kind, neuron) {
    const node = this.rings[kind];
    node.hidden = !(this.order.slots[neuron] >= 0);
    if (node.hidden) return;
    const { left, top, side } = this.place(neuron);
    Object.assign(node.style, {
      left: `${left}px`,
      top: `${top}px`,
      width: `${side}px`,
      height: `${side}px`,
    });
  }

  say(text) {
    this.spoken.textContent = text;
  }

  // Says it below the neurons too, until something is pointed at.
  tellNote(text) {
    put(this.readout, text);
    this.say(text);
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
    this.blocks.forEach(({ button }, k) => {
      button.tabIndex = k === g ? 0 : -1;
    });
  }

  // Opening, and what is done by hand ----------------------------------------------------------

  open(neuron, alone = true) {
    if (this.bare || this.times > 1) return; // where there is no room for a page
    const first = this.model.get("opened") < 0;
    this.model.set("opened", neuron);
    if (alone && neuron >= 0) {
      this.model.set("selected", [neuron]);
      this.selection.anchor = neuron;
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
    if (!neurons.length) {
      neurons = [this.cursor];
      this.selection.choose(neurons);
    }
    this.model.send({ do: deed, neurons });
    const many = neurons.length === 1 ? this.name(neurons[0]) : `${count(neurons.length)} neurons`;
    this.say(
      `${many}: ${{ off: "try off", on: "try on", keep: "keep", "let go": "let go" }[deed]}`,
    );
  }

  toggleKeys() {
    this.keys.hidden = !this.keys.hidden;
    this.help.setAttribute("aria-expanded", String(!this.keys.hidden));
  }
}

export default {
  initialize: hear,
  render({ model, el }) {
    const grid = new NeuronGrid(model, el);
    return () => grid.undo.abort();
  },
};
