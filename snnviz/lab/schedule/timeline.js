// The timeline: phases, learning rates and events of a run, drawn to scale.
// Elements are kept and moved while training runs, not made again, so that the focus stays.

import { make, put, set, svg } from "../page/dom.js";
import { hear } from "../page/hearing.js";
import { digits } from "../page/numbers.js";
import { drawTogether } from "../page/refresh.js";
import { drawBand, NAMES } from "./bands.js";
import {
  AXIS,
  BAND,
  BOTTOM,
  GAP,
  HEIGHT,
  LANE,
  LEFT,
  RATES,
  RATES_TOP,
  RIGHT,
  TOP,
  ticksFor,
  valueAt,
} from "./scale.js";

// As many children as there are items: old ones are used again, in their order.
function reuse(parent, items, make) {
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  while (parent.children.length < items.length) parent.append(make());
  return [...parent.children];
}

class Timeline {
  constructor(model, el) {
    this.model = model;
    this.el = el;
    this.live = model.get("live");
    this.role = this.live ? "button" : "img"; // of what leads to a field of the editor
    this.chosen = -1; // the epoch that the keyboard is at
    this.build();
    this.listeners = new AbortController();
    this.listen();
    this.size = new ResizeObserver(() => this.draw());
    this.size.observe(el);
    this.onChange = drawTogether(() => this.draw(), this.listeners.signal);
    model.on("change", this.onChange);
  }

  build() {
    const root = make("div", { class: "snnviz-timeline-in" });
    const label = { role: "group", "aria-label": "schedule, to scale" };
    const parent = svg("svg", { height: HEIGHT, ...label });
    const part = (name) => svg("g", { parent, class: name });
    const drawn = (name) => svg("g", { parent, class: name, "aria-hidden": "true" });
    this.svg = parent;
    this.buildHatch();
    this.frames = [0, 1].map((lane) => {
      const box = { y: RATES_TOP + lane * LANE + 2, height: LANE - 4 };
      return svg("rect", { parent, class: "snnviz-tl-frame", ...box });
    });
    this.pad = svg("rect", {
      parent,
      class: "snnviz-tl-pad",
      y: RATES_TOP - GAP / 2,
      height: RATES + AXIS + GAP / 2,
      tabindex: 0,
      role: "slider",
      "aria-label": "finished epochs: Enter goes to one",
      "aria-valuemin": 0,
    });
    this.axis = drawn("snnviz-tl-axis");
    this.bands = part("snnviz-tl-bands");
    this.ramp = drawn("snnviz-tl-ramp");
    this.lines = drawn("snnviz-tl-lines");
    this.events = drawn("snnviz-tl-events");
    this.cursors = drawn("snnviz-tl-cursors");
    this.labels = part("snnviz-tl-labels");
    this.buildLabels();
    root.append(this.svg);
    this.readout = make("div", { parent: root, class: "snnviz-tl-readout", role: "status" });
    this.el.append(root);
  }

  // The pattern over the bands of frozen epochs.
  buildHatch() {
    this.hatch = `snnviz-hatch-${Math.random().toString(36).slice(2)}`;
    const pattern = svg("pattern", {
      parent: svg("defs", { parent: this.svg }),
      id: this.hatch,
      width: 7,
      height: 7,
      patternUnits: "userSpaceOnUse",
      patternTransform: "rotate(45)",
    });
    svg("rect", { parent: pattern, width: 2.4, height: 7, class: "snnviz-tl-hatch" });
  }

  buildLabels() {
    svg("text", { parent: this.labels, text: "phases", x: 0, y: TOP + BAND / 2 + 4 });
    svg("text", { parent: this.labels, text: "epoch", x: 0, y: BOTTOM + 16 });
    this.rateLabels = {};
    ["task", "switcher"].forEach((phase, lane) => {
      const parent = svg("g", {
        parent: this.labels,
        class: `snnviz-tl-rate snnviz-tl-${phase}`,
        tabindex: 0,
        role: this.role,
        "data-field": `${phase}_lr`,
      });
      const y = RATES_TOP + 17 + lane * LANE;
      const box = { x: -2, y: y - 14, width: LEFT - 8, height: 19, rx: 3 };
      svg("rect", { parent, class: "snnviz-tl-hit", ...box });
      svg("line", { parent, class: "snnviz-tl-line", x1: 0, x2: 18, y1: y - 4, y2: y - 4 });
      this.rateLabels[phase] = svg("text", { parent, x: 24, y });
    });
  }

  listen() {
    const on = (target, name, action) =>
      target.addEventListener(name, action, { signal: this.listeners.signal });
    on(this.svg, "click", (event) => {
      const field = event.target.closest("[data-field]")?.dataset.field;
      if (field) this.goTo(field);
      else if (event.target === this.pad) this.pick(this.epochAt(event));
    });
    on(this.svg, "pointermove", (event) => this.hover(event));
    on(this.svg, "pointerleave", () => {
      this.over = null;
      this.drawCursors();
      this.say("");
    });
    on(this.svg, "keydown", (event) => this.key(event));
    on(this.svg, "focusin", (event) => {
      if (event.target === this.pad) this.sayEpoch();
      else this.say(event.target.getAttribute("aria-label") ?? "");
    });
    on(this.svg, "focusout", () => {
      this.chosen = -1;
      this.drawCursors();
      this.say("");
    });
  }

  // What the user does ---------------------------------------------------------------------------

  goTo(field) {
    const editor = this.el.closest(".snnviz-editor") ?? document;
    const find = (kind) => editor.querySelector(`.snnviz-${field} ${kind}`);
    const target = find("input[type=text]") ?? find("select") ?? find("input");
    if (!target) return;
    for (
      let fold = target.closest(".snnviz-fold");
      fold;
      fold = fold.parentElement.closest(".snnviz-fold")
    ) {
      fold.querySelector(".snnviz-fold-button[aria-expanded=false]")?.click();
    }
    target.focus();
    target.select?.();
    target.scrollIntoView({ block: "nearest" });
  }

  pick(epoch) {
    if (epoch < 1 || epoch > this.model.get("run")) return;
    this.model.set("picked", epoch);
    this.model.save_changes();
  }

  key(event) {
    const at = event.target;
    const go = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (at === this.pad) {
      const run = this.model.get("run");
      const begin = go > 0 ? 1 : run;
      if (go) this.chosen = Math.min(this.chosen < 0 ? begin : Math.max(this.chosen + go, 1), run);
      else if (event.key === "Home") this.chosen = Math.min(1, run);
      else if (event.key === "End") this.chosen = run;
      else if (event.key === "Enter" || event.key === " ") this.pick(this.chosen);
      else return;
      this.sayEpoch();
      this.drawCursors();
    } else if (event.key === "Enter" || event.key === " ") {
      if (!at.dataset.field) return;
      this.goTo(at.dataset.field);
    } else if (go && at.parentNode === this.bands) {
      (go > 0 ? at.nextElementSibling : at.previousElementSibling)?.focus();
    } else return;
    event.preventDefault();
  }

  place(event) {
    const inside = event.clientX - this.svg.getBoundingClientRect().left - LEFT;
    return (inside / this.width) * this.model.get("total");
  }

  epochAt(event) {
    return this.endOf(this.place(event));
  }

  // The epoch at a place; just to the right of an epoch's end it is still that one.
  endOf(place) {
    const tolerance = (5 / this.width) * this.model.get("total");
    return Math.max(1, Math.ceil(place - tolerance));
  }

  hover(event) {
    const place = this.place(event);
    const total = this.model.get("total");
    if (place < 0 || place > total) {
      this.over = null;
      const label = event.target.closest("[data-field]")?.getAttribute("aria-label");
      this.say(label ?? "");
    } else {
      this.over = place;
      this.say(this.wordsAt(place, event.target));
    }
    this.drawCursors();
  }

  wordsAt(place, target) {
    const parts = [`epoch ${Math.min(Math.floor(place) + 1, this.model.get("total"))}`];
    const band = this.model.get("bands").find((b) => b.start <= place && place <= b.end);
    if (band)
      parts.push(
        band.kind === "task only" ? "task steps only" : band.kind,
        band.done ? "done" : "planned",
      );
    for (const phase of ["task", "switcher"]) {
      const lines = this.model.get("rates")[phase] ?? { done: [], planned: [] };
      const value = valueAt([...lines.done, ...lines.planned], place);
      if (value !== null) parts.push(`${phase} rate ${digits(value)}`);
    }
    const [begin, end, size] = this.model.get("ramp");
    if (size && place >= begin) {
      const done = end > begin ? Math.min((place - begin) / (end - begin), 1) : 1;
      parts.push(`${Math.round(100 * done)} % of the ramp to ${digits(size)} of the network`);
    }
    const near = (4 / this.width) * this.model.get("total");
    const tick = this.model.get("ticks").find((t) => Math.abs(t.at - place) <= near);
    if (tick) parts.push(tick.words);
    const field = target.closest("[data-field]")?.dataset.field;
    if (field && this.live) parts.push(`click to set ${NAMES[field]}`);
    else if (target === this.pad && this.endOf(place) <= this.model.get("run"))
      parts.push(`click to go ${this.live ? "back " : ""}to the end of epoch ${this.endOf(place)}`);
    return parts.join(" · ");
  }

  sayEpoch() {
    const run = this.model.get("run");
    if (run === 0) return this.say("no epoch is finished yet");
    if (this.chosen < 0)
      return this.say(`${run} finished: arrow keys choose an epoch, Enter goes to it`);
    const text = `epoch ${this.chosen} of ${run} finished`;
    set(this.pad, { "aria-valuenow": this.chosen, "aria-valuetext": text });
    this.say(`${text} · Enter goes ${this.live ? "back " : ""}to its end`);
  }

  say(words) {
    const text = words || this.summary();
    put(this.readout, text);
    this.readout.classList.toggle("snnviz-tl-idle", !words);
  }

  summary() {
    if (!this.live) return "Click the learning rates of an epoch to go to its end.";
    return this.model.get("run")
      ? "Click a phase to edit it, or the learning rates of an epoch to go back to its end."
      : "Click a phase to edit it.";
  }

  // Drawing --------------------------------------------------------------------------------------

  x(place) {
    return LEFT + (place / this.model.get("total")) * this.width;
  }

  draw() {
    const width = this.el.clientWidth;
    if (width < LEFT + 40) return;
    this.width = width - LEFT - RIGHT;
    set(this.svg, { width, viewBox: `0 0 ${width} ${HEIGHT}` });
    for (const frame of this.frames) set(frame, { x: LEFT, width: this.width });
    const run = this.model.get("run");
    set(this.pad, {
      x: LEFT,
      width: this.width,
      "aria-valuemax": run,
      "aria-valuenow": Math.max(this.chosen, 0),
    });
    this.pad.classList.toggle("snnviz-tl-can", run > 0);
    this.drawAxis();
    this.drawBands();
    this.drawRates();
    this.drawRamp();
    this.drawEvents();
    this.drawCursors();
    if (!this.readout.textContent || this.readout.classList.contains("snnviz-tl-idle"))
      this.say("");
  }

  drawAxis() {
    const places = ticksFor(this.model.get("total"), this.width);
    const made = reuse(this.axis, places, () => {
      const group = svg("g");
      svg("line", { parent: group, y1: RATES_TOP, y2: BOTTOM + 4 });
      svg("text", { parent: group, y: BOTTOM + 16, "text-anchor": "middle" });
      return group;
    });
    places.forEach((place, i) => {
      const [line, text] = made[i].children;
      const x = this.x(place);
      set(line, { x1: x, x2: x });
      set(text, { x });
      text.textContent = place;
    });
  }

  drawBands() {
    const bands = this.model.get("bands");
    const made = reuse(this.bands, bands, () => svg("g", { tabindex: 0, role: this.role }));
    const axis = {
      x: (place) => this.x(place),
      unit: this.width / this.model.get("total"),
      hatch: this.hatch,
    };
    let origin = 0;
    bands.forEach((band, i) => {
      const before = bands[i - 1];
      const same = before && String(before.round) === String(band.round) && band.round;
      if (!same) origin = band.start; // planned rounds go on where those that ran left off
      drawBand(made[i], band, origin, axis, this.live);
    });
  }

  drawRates() {
    const rates = this.model.get("rates");
    const items = [];
    for (const phase of ["task", "switcher"]) {
      const { done = [], planned = [] } = rates[phase] ?? {};
      const start = rates[phase]?.start ?? 0;
      const top = Math.max(start, ...[...done, ...planned].flat().map((point) => point[1]));
      this.rateLabels[phase].textContent = `${phase} rate ${digits(start)}`;
      set(this.rateLabels[phase].parentNode, {
        "aria-label":
          `${phase} learning rate, ${digits(start)} at the start, drawn to its own scale` +
          (this.live ? ". Enter: set it" : ""),
      });
      const foot = RATES_TOP + (phase === "task" ? 1 : 2) * LANE - 2;
      const y = (value) => foot - (top > 0 ? value / top : 0) * (LANE - 7);
      for (const [kind, lines] of [
        ["done", done],
        ["planned", planned],
      ]) {
        for (const line of lines) {
          const points = line.map(([x, lr]) => `${this.x(x).toFixed(1)} ${y(lr).toFixed(1)}`);
          const [first, last] = [line[0], line.at(-1)].map(([x]) => this.x(x).toFixed(1));
          const path = `M${points.join("L")}`;
          const look = `snnviz-tl-${phase} snnviz-tl-${kind}`;
          items.push({
            d: `${path}L${last} ${foot}L${first} ${foot}Z`,
            class: `snnviz-tl-area ${look}`,
          });
          items.push({ d: path, class: `snnviz-tl-line ${look}` });
        }
      }
    }
    const made = reuse(this.lines, items, () => svg("path"));
    items.forEach((item, i) => {
      set(made[i], item);
    });
  }

  // Over the phases: the whole height is the whole network, the rest of it the size asked for.
  drawRamp() {
    const [begin, end, size] = this.model.get("ramp");
    const places = size ? [begin, end, this.model.get("total")] : [];
    const y = (share) => TOP + BAND * (1 - share);
    const points = places.map((place, i) => `${this.x(place).toFixed(1)} ${y(i < 1 ? 1 : size)}`);
    const paths = points.length ? [`M${points.join("L")}`] : [];
    const made = reuse(this.ramp, [...paths, ...paths], () => svg("path"));
    for (const path of made) set(path, { d: paths[0] });
  }

  drawEvents() {
    const ticks = this.model.get("ticks");
    const made = reuse(this.events, ticks, () => svg("path"));
    ticks.forEach((tick, i) => {
      const x = this.x(tick.at).toFixed(1);
      set(made[i], { d: `M${x} ${TOP - 2}l-4 -6h8zM${x} ${TOP - 2}V${TOP + BAND}` });
    });
  }

  drawCursors() {
    const moment = this.model.get("moment");
    const items = [];
    const now = this.model.get("now");
    if (this.over !== null && this.over !== undefined) items.push([this.over, "", "hover"]);
    if (this.chosen > 0) items.push([this.chosen, `epoch ${this.chosen}`, "chosen"]);
    items.push([now, this.live ? "now" : "end", "now"]);
    if (moment >= 0) items.push([moment, moment ? `epoch ${moment}` : "start", "moment"]);
    const made = reuse(this.cursors, items, () => {
      const group = svg("g");
      svg("line", { parent: group, y1: TOP - 5, y2: BOTTOM });
      svg("text", { parent: group, y: 11 });
      return group;
    });
    items.forEach(([place, words, kind], i) => {
      const x = this.x(place);
      const [line, text] = made[i].children;
      const near = moment >= 0 && kind === "now" && Math.abs(this.x(moment) - x) < 58;
      const anchor = near
        ? this.x(moment) > x
          ? "end"
          : "start"
        : x > LEFT + this.width - 30
          ? "end"
          : x < LEFT + 24
            ? "start"
            : "middle";
      set(made[i], { class: `snnviz-tl-cursor snnviz-tl-${kind}` });
      set(line, { x1: x, x2: x });
      set(text, { x, "text-anchor": anchor });
      text.textContent = words;
    });
  }

  remove() {
    this.listeners.abort();
    this.size.disconnect();
    this.model.off("change", this.onChange);
  }
}

export default {
  initialize: hear,
  render({ model, el }) {
    const timeline = new Timeline(model, el);
    return () => timeline.remove();
  },
};
