// The card with one image: pick a test image, or draw one; and what the network predicts.

import { toArray } from "../neurons/bytes.js";
import { make, put } from "../page/dom.js";
import { hear } from "../page/hearing.js";
import { drawTogether } from "../page/refresh.js";

const SEND_EVERY = 150; // ms between two looks at a drawing that grows
const PEN = 1.1; // pixels of the image from the middle of a stroke to where it fades
const SHOWN_TRAITS = ["picture", "caption", "chances", "verdict", "note"];

class ImageCard {
  constructor(model, el) {
    this.model = model;
    [this.height, this.width] = model.get("sides");
    this.undo = new AbortController();
    this.pixels = new Uint8ClampedArray(this.height * this.width); // of a drawing
    this.build(el);
    this.listen();
    this.show();
  }

  build(el) {
    const root = make("div", { parent: el, class: "snnviz-image" });
    const row = make("div", { parent: root, class: "snnviz-image-row" });
    const label = make("label", { parent: row, text: "class " });
    this.of = make("select", { parent: label, "aria-label": "class" });
    make("option", { parent: this.of, value: -1, text: "any" });
    this.model.get("classes").forEach((text, value) => {
      make("option", { parent: this.of, value, text });
    });
    const button = (text, title) => make("button", { parent: row, type: "button", text, title });
    this.next = button("Next image", "Show the next test image of this class");
    this.empty = button("Draw", "Begin with an empty picture, and draw on it with the mouse");
    this.leave = button("Back to factors", "The squares of the neurons show their factors again");
    this.empty.hidden = !this.model.get("drawable");
    const body = make("div", { parent: root, class: "snnviz-image-body" });
    const figure = make("figure", { parent: body });
    const size = { width: this.width, height: this.height };
    this.canvas = make("canvas", { parent: figure, role: "img", ...size });
    this.canvas.style.aspectRatio = `${this.width} / ${this.height}`;
    this.pen = this.canvas.getContext("2d");
    this.caption = make("figcaption", { parent: figure });
    const said = make("div", { parent: body, class: "snnviz-image-said" });
    this.verdict = make("p", { parent: said, role: "status" });
    this.chances = make("ol", { parent: said });
    this.note = make("p", { parent: root, class: "snnviz-hint" });
  }

  listen() {
    const { signal } = this.undo;
    const on = (node, event, act) => node.addEventListener(event, act, { signal });
    const pick = () => this.model.send({ do: "pick", of: Number(this.of.value) });
    on(this.next, "click", pick);
    on(this.of, "change", pick);
    on(this.leave, "click", () => this.model.send({ do: "leave" }));
    on(this.empty, "click", () => {
      this.pixels.fill(0);
      this.send();
    });
    if (this.model.get("drawable")) this.listenToPen(on);
    const draw = drawTogether(() => this.show(), signal);
    for (const name of SHOWN_TRAITS) this.model.on(`change:${name}`, draw);
    signal.addEventListener("abort", () => {
      for (const name of SHOWN_TRAITS) this.model.off(`change:${name}`, draw);
    });
  }

  listenToPen(on) {
    this.canvas.classList.add("snnviz-drawable");
    on(this.canvas, "pointerdown", (event) => {
      if (!this.model.get("picture").data) return;
      event.preventDefault();
      this.canvas.setPointerCapture(event.pointerId);
      this.drawing = true;
      this.dot(event);
    });
    on(this.canvas, "pointermove", (event) => this.drawing && this.dot(event));
    for (const end of ["pointerup", "pointercancel"])
      on(this.canvas, end, () => {
        if (this.drawing) this.send();
        this.drawing = false;
      });
  }

  // A soft dot where the pointer is.
  dot(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * this.width - 0.5;
    const y = ((event.clientY - box.top) / box.height) * this.height - 0.5;
    this.pixels.forEach((before, k) => {
      const far = Math.hypot((k % this.width) - x, Math.floor(k / this.width) - y);
      this.pixels[k] = Math.max(before, 255 * Math.min(1, PEN + 0.5 - far));
    });
    this.paint(this.pixels, 1);
    if (performance.now() > (this.sent ?? 0) + SEND_EVERY) this.send();
  }

  send() {
    this.sent = performance.now();
    this.model.send({ do: "draw" }, undefined, [this.pixels.slice().buffer]);
  }

  show() {
    const get = (name) => this.model.get(name);
    const { data, channels } = get("picture");
    this.canvas.parentElement.hidden = !data;
    this.leave.hidden = !data;
    put(this.note, get("note"));
    put(this.caption, get("caption"));
    put(this.verdict, get("verdict"));
    this.canvas.ariaLabel = get("caption") || "no image";
    if (data && !this.drawing) {
      const pixels = toArray(Uint8ClampedArray, data);
      if (channels === 1) this.pixels = pixels.slice(); // it can be drawn on
      this.paint(pixels, channels);
    }
    this.list(get("chances"));
  }

  list(chances) {
    this.chances.replaceChildren();
    for (const [name, chance] of chances) {
      const item = make("li", { parent: this.chances });
      make("span", { parent: item, text: name });
      const bar = make("span", { parent: item, class: "snnviz-chance", "aria-hidden": "true" });
      make("i", { parent: bar }).style.width = `${100 * chance}%`;
      make("b", { parent: item, text: `${(100 * chance).toFixed(0)} %` });
    }
  }

  paint(pixels, channels) {
    const image = this.pen.createImageData(this.width, this.height);
    for (let k = 0; k < this.width * this.height; k++) {
      const own = pixels.subarray(k * channels, (k + 1) * channels);
      image.data.set(
        channels >= 3 ? [...own.subarray(0, 3), 255] : [own[0], own[0], own[0], 255],
        4 * k,
      );
    }
    this.pen.putImageData(image, 0, 0);
  }
}

export default {
  initialize: hear,
  render({ model, el }) {
    const card = new ImageCard(model, el);
    return () => card.undo.abort();
  },
};
