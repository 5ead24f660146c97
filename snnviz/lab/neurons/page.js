// The page of one neuron, beside or below the grid.

import { bringIntoSight, make, put } from "../page/dom.js";
import { count, decimals } from "../page/numbers.js";
import { toArray } from "./bytes.js";
import { drawChain } from "./chain.js";
import { FactorChart } from "./chart.js";
import { LengthChart } from "./lengths.js";
import { drawPastWeights, drawTopImages, drawWeights, weightsDetail } from "./pictures.js";

const PAGE_HINT =
  "Click a neuron, or press Enter on it, to see its factor over time, its weights, the layers " +
  "before and after it, and the images that activate it most.";
const SHORT_HINT = "Click a neuron, or press Enter on it, to see its factor over time.";

export class Page {
  constructor(grid) {
    this.grid = grid;
    this.model = grid.model;
    const { signal } = grid.undo;
    this.root = make("section", {
      class: "snnviz-page",
      parent: grid.body,
      "aria-label": "Neuron",
    });
    this.head = make("div", { class: "snnviz-page-head", parent: this.root });
    this.title = make("h3", { parent: this.head });
    this.chip = make("span", { class: "snnviz-chip", parent: this.head });
    const button = (text, title, act) => {
      const attributes = { type: "button", title, "aria-label": title };
      const node = make("button", { parent: this.head, text, ...attributes });
      node.addEventListener("click", act, { signal });
      return node;
    };
    this.before = button("‹", "previous neuron", () => this.step(-1));
    this.after = button("›", "next neuron", () => this.step(1));
    this.shut = button("×", "close the page (Esc)", () => grid.close());
    this.shut.className = "snnviz-close";
    this.content = make("div", { class: "snnviz-page-content", parent: this.root });
    const text = this.model.get("live") ? PAGE_HINT : SHORT_HINT;
    this.hint = make("p", { class: "snnviz-page-hint", parent: this.root, text });
    const onKey = (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      grid.close();
    };
    this.root.addEventListener("keydown", onKey, { signal });
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.content);
  }

  close() {
    this.resized.disconnect();
  }

  step(by) {
    const { grid } = this;
    const before = this.model.get("opened");
    const neuron = grid.order.beside(before, by, grid.groupOf(before)) ?? before;
    grid.open(neuron);
    grid.cursor = neuron;
    grid.rove(grid.groupOf(neuron));
  }

  reveal() {
    bringIntoSight(this.head, "nearest");
  }

  show() {
    const { grid } = this;
    const neuron = this.model.get("opened");
    const page = this.model.get("page");
    const open = neuron >= 0;
    const ready = open && page.neuron === neuron;
    this.root.classList.toggle("snnviz-is-open", open);
    this.root.setAttribute("aria-busy", String(open && !ready));
    this.head.hidden = this.content.hidden = !open;
    this.hint.hidden = open;
    if (!open) {
      this.chart = this.second = undefined;
      this.content.replaceChildren();
      return;
    }
    const g = grid.groupOf(neuron);
    const name = grid.names[g];
    const place = neuron - grid.starts[g];
    this.root.setAttribute("aria-label", `Neuron ${place} of ${name}`);
    put(this.title, `${name} · ${place}`);
    this.before.disabled = grid.order.beside(neuron, -1, g) === undefined;
    this.after.disabled = grid.order.beside(neuron, 1, g) === undefined;
    if (ready) this.fill(page);
    else this.wait();
  }

  // The page of the neuron before stays, pale, until the new one is here: so nothing jumps.
  wait() {
    put(this.chip, "loading …");
    this.chip.className = "snnviz-chip";
  }

  fill(page) {
    const off = page.factor === 0;
    const pinned = page.pinned === null || page.pinned === undefined ? "" : "pinned ";
    put(this.chip, pinned + (off ? "off" : "on"));
    this.chip.className = `snnviz-chip ${off ? "snnviz-is-off" : "snnviz-is-on"}`;
    const parts = [
      this.history(page),
      this.facts(page),
      this.chain(page),
      this.weights(page),
      this.overTime(page),
      this.topImages(page),
      this.notes(page),
    ];
    this.content.replaceChildren(...parts.filter(Boolean));
    this.draw();
  }

  draw() {
    this.chart?.draw();
    this.width = this.chart?.width ?? this.width;
    this.second?.draw(this.width);
  }

  part(title, look, detail) {
    const box = make("div", { class: `snnviz-part ${look}` });
    const line = make("h4", { text: title, parent: box });
    if (detail) make("small", { text: detail, parent: line });
    return box;
  }

  history(page) {
    const box = this.part("Factor over time", "snnviz-factor-history");
    const factors = toArray(Float32Array, page.epochs?.factors);
    this.chart = new FactorChart(box, factors, page.epochs?.stages ?? [], this.width);
    return box;
  }

  facts(page) {
    if (page.fan_in === undefined) return undefined; // a history without its network
    const box = this.part("Connections", "snnviz-facts");
    this.flow(box, page);
    const list = make("dl", { parent: box });
    const fact = (name, value) => {
      make("dt", { text: name, parent: list });
      make("dd", { text: value, parent: list });
    };
    const kept = { 0: ", pinned off by hand", 1: ", pinned on by hand" }[page.pinned] ?? "";
    fact("factor", `${decimals(page.factor)}${page.at ? `, ${page.at}` : ""}${kept}`);
    fact("incoming weights", count(page.fan_in));
    fact("their norm", decimals(page.norm) + (page.norm_rank ? `, ${page.norm_rank}` : ""));
    if (page.writers?.length > 1) fact("computed by", page.writers.join(", "));
    return box;
  }

  chain(page) {
    if (!page.chain) return undefined;
    const detail = `from the weights at ${page.at}`;
    const box = this.part("Where its factor comes from", "snnviz-chain", detail);
    drawChain(box, page.chain, page.factor, page.pinned);
    return box;
  }

  // The layers before the neuron, the neuron, and the layers after it.
  flow(box, page) {
    const parent = make("div", { class: "snnviz-flow", parent: box });
    const layers = (names, none) => {
      const list = make("span", { class: "snnviz-layers", parent });
      for (const name of names.length ? names : [none])
        make("span", { class: "snnviz-layer", text: name, parent: list });
    };
    layers(page.reads ?? [], "the image");
    make("span", { text: "→", parent, "aria-label": "feeds" });
    make("b", { text: `${page.group} · ${page.index}`, parent });
    make("span", { text: "→", parent, "aria-label": "feeds" });
    layers(page.feeds ?? [], "the class scores");
  }

  weights(page) {
    if (!page.weights) return undefined;
    const box = this.part("Incoming weights", "snnviz-weights", weightsDetail(page.weights));
    drawWeights(box, page.weights, this.grid.colours);
    return box;
  }

  // How long its weights were at the end of each epoch, and what they were.
  overTime(page) {
    this.second = undefined;
    if (!page.lengths?.epochs.length) return undefined;
    const detail = "their norm at the end of each epoch";
    const box = this.part("Weights over time", "snnviz-lengths", detail);
    this.second = new LengthChart(box, page.lengths);
    if (page.past) drawPastWeights(box, page.past, this.grid.colours);
    return box;
  }

  topImages(page) {
    if (!page.answers) return undefined;
    if (page.answers.never) return this.neverFires(page);
    const detail = `the strongest of ${count(page.answers.of)} test images`;
    const box = this.part("Top images", "snnviz-answers", detail);
    drawTopImages(box, page.answers);
    return box;
  }

  neverFires(page) {
    const box = this.part("Never fires", "snnviz-answers");
    const off = page.factor === 0 ? " It is tested as if it were on." : "";
    const text = `Its pre-activation is not above 0 on any of ${count(page.answers.of)} test images.${off}`;
    make("p", { parent: box, text });
    return box;
  }

  notes(page) {
    if (!page.notes?.length) return undefined;
    const box = this.part("Notes", "snnviz-notes");
    const list = make("ul", { parent: box });
    for (const text of page.notes) make("li", { text, parent: list });
    return box;
  }
}
