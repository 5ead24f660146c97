// The timeline: phases, learning rates and events of a run, drawn to scale.
// Elements are kept and moved, never made anew while training runs, so that the focus stays.

const NS = "http://www.w3.org/2000/svg";
const LEFT = 150, RIGHT = 14, TOP = 20, BAND = 36, GAP = 10, LANE = 26, AXIS = 24;
const RATES = 2 * LANE;
const RATES_TOP = TOP + BAND + GAP, BOTTOM = RATES_TOP + RATES, HEIGHT = BOTTOM + AXIS;
const PATIENCE = 60; // ms that what is new waits for the rest of the lab's refresh
const STRIPES = 11; // pixels of a round from which on rounds are drawn one by one
const NAMES = {
  warmup_epochs: "warm-up epochs", freeze_epochs: "frozen epochs", task_steps: "task steps",
  switcher_steps: "switcher steps", task_lr: "task learning rate",
  switcher_lr: "switcher learning rate", epochs: "epochs in all",
};

function svg(tag, attributes = {}, parent = null) {
  const made = document.createElementNS(NS, tag);
  set(made, attributes);
  if (parent) parent.append(made);
  return made;
}

function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
  }
}

// As many children as there are items: old ones are used again, in their order.
function reuse(parent, items, make) {
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  while (parent.children.length < items.length) parent.append(make());
  return [...parent.children];
}

function number(value) {
  return value === 0 ? "0" : String(Number(value.toPrecision(3)));
}

// The value of a line of points at a place, or null where there is none.
function valueAt(lines, place) {
  for (const line of lines) {
    if (place < line[0][0] || place > line.at(-1)[0]) continue;
    const next = line.findIndex(([x]) => x >= place);
    if (next <= 0) return line[0][1];
    const [[x0, y0], [x1, y1]] = [line[next - 1], line[next]];
    return x1 > x0 ? y0 + ((y1 - y0) * (place - x0)) / (x1 - x0) : y1;
  }
  return null;
}

function ticksFor(total, width) {
  const most = Math.max(2, width / 46);
  const base = 10 ** Math.floor(Math.log10(Math.max(total / most, 0.1)));
  const step = Math.max(1, [1, 2, 5, 10].map(k => k * base).find(s => total / s <= most) ?? 1);
  const found = [];
  for (let x = 0; x <= total; x += step) found.push(x);
  return found;
}

class View {
  constructor(model, el) {
    this.model = model;
    this.el = el;
    this.chosen = -1; // the epoch that the keyboard is at
    this.build();
    this.listeners = new AbortController();
    this.listen();
    this.size = new ResizeObserver(() => this.draw());
    this.size.observe(el);
    this.onChange = () => { // in one frame with the status; see readout.js
      this.soon ??= setTimeout(() => { this.soon = undefined; this.ask(); }, PATIENCE);
    };
    model.on("change", this.onChange);
  }

  build() {
    const root = document.createElement("div");
    root.className = "snnviz-timeline-in";
    this.svg = svg("svg", { height: HEIGHT, role: "group", "aria-label": "schedule, to scale" });
    this.hatch = `snnviz-hatch-${Math.random().toString(36).slice(2)}`;
    const pattern = svg("pattern", {
      id: this.hatch, width: 7, height: 7, patternUnits: "userSpaceOnUse",
      patternTransform: "rotate(45)",
    }, svg("defs", {}, this.svg));
    svg("rect", { width: 2.4, height: 7, class: "snnviz-tl-hatch" }, pattern);
    this.frames = [0, 1].map(lane => svg("rect", {
      class: "snnviz-tl-frame", y: RATES_TOP + lane * LANE + 2, height: LANE - 4,
    }, this.svg));
    this.pad = svg("rect", {
      class: "snnviz-tl-pad", y: RATES_TOP - GAP / 2, height: RATES + AXIS + GAP / 2, tabindex: 0,
      role: "slider", "aria-label": "finished epochs: Enter goes to one", "aria-valuemin": 0,
    }, this.svg);
    this.axis = svg("g", { class: "snnviz-tl-axis", "aria-hidden": "true" }, this.svg);
    this.bands = svg("g", {}, this.svg);
    this.lines = svg("g", { class: "snnviz-tl-lines", "aria-hidden": "true" }, this.svg);
    this.events = svg("g", { class: "snnviz-tl-events", "aria-hidden": "true" }, this.svg);
    this.cursors = svg("g", { "aria-hidden": "true", class: "snnviz-tl-cursors" }, this.svg);
    this.labels = svg("g", { class: "snnviz-tl-labels" }, this.svg);
    this.buildLabels();
    this.readout = document.createElement("div");
    this.readout.className = "snnviz-tl-readout";
    this.readout.setAttribute("role", "status");
    root.append(this.svg, this.readout);
    this.el.append(root);
  }

  buildLabels() {
    const title = svg("text", { x: 0, y: TOP + BAND / 2 + 4 }, this.labels);
    title.textContent = "phases";
    const epoch = svg("text", { x: 0, y: BOTTOM + 16 }, this.labels);
    epoch.textContent = "epoch";
    this.rateLabels = {};
    [["task", 17], ["switcher", 17 + LANE]].forEach(([phase, down]) => {
      const group = svg("g", {
        class: `snnviz-tl-rate snnviz-tl-${phase}`, tabindex: 0, role: "button",
        "data-field": `${phase}_lr`,
      }, this.labels);
      const y = RATES_TOP + down;
      svg("rect", { class: "snnviz-tl-hit", x: -2, y: y - 14, width: LEFT - 8, height: 19, rx: 3 }, group);
      svg("line", { class: "snnviz-tl-line", x1: 0, x2: 18, y1: y - 4, y2: y - 4 }, group);
      this.rateLabels[phase] = svg("text", { x: 24, y }, group);
    });
  }

  listen() {
    const on = (target, name, action) =>
      target.addEventListener(name, action, { signal: this.listeners.signal });
    on(this.svg, "click", event => {
      const field = event.target.closest("[data-field]")?.dataset.field;
      if (field) this.goTo(field);
      else if (event.target === this.pad) this.pick(this.epochAt(event));
    });
    on(this.svg, "pointermove", event => this.hover(event));
    on(this.svg, "pointerleave", () => { this.over = null; this.drawCursors(); this.say(""); });
    on(this.svg, "keydown", event => this.key(event));
    on(this.svg, "focusin", event => {
      if (event.target === this.pad) this.sayEpoch();
      else this.say(event.target.getAttribute("aria-label") ?? "");
    });
    on(document, "snnviz-refreshed", () => {
      if (this.soon === undefined) return;
      clearTimeout(this.soon);
      this.soon = undefined;
      this.draw();
    });
    on(this.svg, "focusout", () => { this.chosen = -1; this.drawCursors(); this.say(""); });
  }

  // What the user does ---------------------------------------------------------------------------

  goTo(field) {
    const editor = this.el.closest(".snnviz-editor") ?? document;
    const find = kind => editor.querySelector(`.snnviz-${field} ${kind}`);
    const target = find("input[type=text]") ?? find("select") ?? find("input");
    if (!target) return;
    for (let fold = target.closest(".snnviz-fold"); fold; fold = fold.parentElement.closest(".snnviz-fold")) {
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

  // The epoch that a place lies in; just right of an epoch's end it is still that one.
  endOf(place) {
    const tolerance = (5 / this.width) * this.model.get("total");
    return Math.max(1, Math.ceil(place - tolerance));
  }

  hover(event) {
    const place = this.place(event), total = this.model.get("total");
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
    const band = this.model.get("bands").find(b => b.start <= place && place <= b.end);
    if (band) parts.push(band.kind === "task only" ? "task steps only" : band.kind, band.done ? "done" : "planned");
    for (const phase of ["task", "switcher"]) {
      const lines = this.model.get("rates")[phase] ?? { done: [], planned: [] };
      const value = valueAt([...lines.done, ...lines.planned], place);
      if (value !== null) parts.push(`${phase} rate ${number(value)}`);
    }
    const near = (4 / this.width) * this.model.get("total");
    const tick = this.model.get("ticks").find(t => Math.abs(t.at - place) <= near);
    if (tick) parts.push(tick.words);
    const field = target.closest("[data-field]")?.dataset.field;
    if (field) parts.push(`click to set ${NAMES[field]}`);
    else if (target === this.pad && this.endOf(place) <= this.model.get("run"))
      parts.push(`click to go back to the end of epoch ${this.endOf(place)}`);
    return parts.join(" · ");
  }

  sayEpoch() {
    const run = this.model.get("run");
    if (run === 0) return this.say("no epoch is finished yet");
    if (this.chosen < 0) return this.say(`${run} finished: arrow keys choose one, Enter goes to it`);
    const text = `epoch ${this.chosen} of ${run} finished`;
    set(this.pad, { "aria-valuenow": this.chosen, "aria-valuetext": text });
    this.say(`${text} · Enter goes back to its end`);
  }

  say(words) {
    const text = words || this.summary();
    if (this.readout.textContent !== text) this.readout.textContent = text;
    this.readout.classList.toggle("snnviz-tl-idle", !words);
  }

  summary() {
    return this.model.get("run")
      ? "Click a phase to edit it, an epoch's learning rates to go back to its end."
      : "Click a phase to edit it.";
  }

  // Drawing --------------------------------------------------------------------------------------

  ask() {
    this.asked ??= requestAnimationFrame(() => { this.asked = undefined; this.draw(); });
  }

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
    set(this.pad, { x: LEFT, width: this.width, "aria-valuemax": run, "aria-valuenow": Math.max(this.chosen, 0) });
    this.pad.classList.toggle("snnviz-tl-can", run > 0);
    this.drawAxis();
    this.drawBands();
    this.drawRates();
    this.drawEvents();
    this.drawCursors();
    if (!this.readout.textContent || this.readout.classList.contains("snnviz-tl-idle")) this.say("");
  }

  drawAxis() {
    const places = ticksFor(this.model.get("total"), this.width);
    const made = reuse(this.axis, places, () => {
      const group = svg("g");
      svg("line", { y1: RATES_TOP, y2: BOTTOM + 4 }, group);
      svg("text", { y: BOTTOM + 16, "text-anchor": "middle" }, group);
      return group;
    });
    places.forEach((place, i) => {
      const [line, text] = made[i].children, x = this.x(place);
      set(line, { x1: x, x2: x });
      set(text, { x });
      text.textContent = place;
    });
  }

  drawBands() {
    const bands = this.model.get("bands");
    const made = reuse(this.bands, bands, () => svg("g", { tabindex: 0, role: "button" }));
    let origin = 0;
    bands.forEach((band, i) => {
      const before = bands[i - 1];
      const same = before && String(before.round) === String(band.round) && band.round;
      if (!same) origin = band.start; // planned rounds go on where those that ran left off
      this.drawBand(made[i], band, origin);
    });
  }

  drawBand(group, band, origin) {
    const x0 = this.x(band.start), x1 = this.x(band.end), w = Math.max(x1 - x0 - 1, 1);
    set(group, {
      class: `snnviz-tl-band ${band.done ? "snnviz-tl-done" : "snnviz-tl-planned"}`,
      "data-field": band.field, "data-kind": band.kind,
      "aria-label": `${band.words}. Enter: set ${NAMES[band.field]}`,
    });
    const rects = this.parts(band, x0, w, origin);
    const rounds = rects.length > 1 && rects[1].height === BAND && band.kind === "alternating";
    const label = this.labelFor(band, w, rounds);
    const items = [...rects, { class: "snnviz-tl-outline", x: x0, y: TOP, width: w, height: BAND, rx: 2 }];
    const shapes = [...group.querySelectorAll("rect")];
    while (shapes.length > items.length) shapes.pop().remove();
    while (shapes.length < items.length) {
      const made = svg("rect");
      group.prepend(made);
      shapes.unshift(made);
    }
    items.forEach((item, k) => {
      if (!item["data-field"]) shapes[k].removeAttribute("data-field");
      if (!item.fill) shapes[k].removeAttribute("fill");
      set(shapes[k], item);
    });
    const text = group.querySelector("text") ?? svg("text", { class: "snnviz-tl-name" }, group);
    set(text, { x: x0 + w / 2, y: label.y, "text-anchor": "middle", "data-on": label.on });
    text.textContent = label.text;
  }

  // The rectangles of a band: one colour, two by their share of steps, or every round by itself.
  parts(band, x, width, origin) {
    const whole = { y: TOP, height: BAND, rx: 0 };
    const task = { ...whole, class: "snnviz-tl-fill-task" };
    if (band.kind === "frozen") {
      const fill = `url(#${this.hatch})`;
      return [{ ...task, x, width }, { ...whole, class: "snnviz-tl-over", fill, x, width }];
    }
    const switcher = { ...whole, class: "snnviz-tl-fill-switcher", "data-field": "switcher_steps" };
    const all = band.task + band.switcher;
    if (band.kind !== "alternating" || !band.switcher && !band.round) return [{ ...task, x, width }];
    const [t, s] = band.round ?? [band.task, band.switcher];
    const round = band.round && band.task
      ? ((band.end - band.start) * t / band.task) * (this.width / this.model.get("total")) : 0;
    if (round >= STRIPES) {
      const made = [{ ...task, x, width }];
      for (let at = this.x(origin); at < x + width; at += round) {
        const from = Math.max(at + (round * t) / (t + s), x), to = Math.min(at + round, x + width);
        if (to - from > 0.5) made.push({ ...switcher, x: from, width: to - from });
      }
      return made;
    }
    const share = all && band.done ? band.switcher / all : s / (t + s);
    const low = Math.min(Math.max(BAND * share, 5), BAND - 5);
    return [
      { ...task, x, width, height: BAND - low },
      { ...switcher, x, width, y: TOP + BAND - low, height: low },
    ];
  }

  labelFor(band, width, rounds) {
    const [t, s] = band.round ?? [0, 0];
    const name = { "warm-up": "warm-up", frozen: "frozen", "task only": "task steps only" }[band.kind]
      ?? (t ? `alternating ${t} : ${s}` : "alternating");
    const choices = [name, name.split(" ")[0]];
    const text = choices.find(choice => choice.length * 6.8 + 10 < width) ?? "";
    if (rounds) return { text, y: TOP + BAND / 2 + 4, on: "rounds" };
    const low = band.kind === "alternating" && s > t;
    const share = t + s ? s / (t + s) : 0;
    const middle = low ? TOP + BAND * (1 - share / 2) : TOP + (BAND * (1 - (s ? share : 0))) / 2;
    return { text, y: Math.round(middle + 4), on: low ? "switcher" : "task" };
  }

  drawRates() {
    const rates = this.model.get("rates"), items = [];
    for (const phase of ["task", "switcher"]) {
      const { done = [], planned = [] } = rates[phase] ?? {};
      const start = rates[phase]?.start ?? 0;
      const top = Math.max(start, ...[...done, ...planned].flat().map(point => point[1]));
      this.rateLabels[phase].textContent = `${phase} rate ${number(start)}`;
      set(this.rateLabels[phase].parentNode, {
        "aria-label": `${phase} learning rate, ${number(start)} at the start, drawn to a scale of its own. Enter: set it`,
      });
      const foot = RATES_TOP + (phase === "task" ? 1 : 2) * LANE - 2;
      const y = value => foot - (top > 0 ? value / top : 0) * (LANE - 7);
      for (const [kind, lines] of [["done", done], ["planned", planned]]) {
        for (const line of lines) {
          const points = line.map(([x, lr]) => `${this.x(x).toFixed(1)} ${y(lr).toFixed(1)}`);
          const [first, last] = [line[0], line.at(-1)].map(([x]) => this.x(x).toFixed(1));
          const path = `M${points.join("L")}`, look = `snnviz-tl-${phase} snnviz-tl-${kind}`;
          items.push({ d: `${path}L${last} ${foot}L${first} ${foot}Z`, class: `snnviz-tl-area ${look}` });
          items.push({ d: path, class: `snnviz-tl-line ${look}` });
        }
      }
    }
    const made = reuse(this.lines, items, () => svg("path"));
    items.forEach((item, i) => set(made[i], item));
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
    const moment = this.model.get("moment"), items = [];
    const now = this.model.get("now");
    if (this.over !== null && this.over !== undefined) items.push([this.over, "", "hover"]);
    if (this.chosen > 0) items.push([this.chosen, `epoch ${this.chosen}`, "chosen"]);
    items.push([now, "now", "now"]);
    if (moment >= 0) items.push([moment, moment ? `epoch ${moment}` : "start", "moment"]);
    const made = reuse(this.cursors, items, () => {
      const group = svg("g");
      svg("line", { y1: TOP - 5, y2: BOTTOM }, group);
      svg("text", { y: 11 }, group);
      return group;
    });
    items.forEach(([place, words, kind], i) => {
      const x = this.x(place), [line, text] = made[i].children;
      const near = moment >= 0 && kind === "now" && Math.abs(this.x(moment) - x) < 58;
      const anchor = near ? (this.x(moment) > x ? "end" : "start") : x > LEFT + this.width - 30 ? "end" : x < LEFT + 24 ? "start" : "middle";
      set(made[i], { class: `snnviz-tl-cursor snnviz-tl-${kind}` });
      set(line, { x1: x, x2: x });
      set(text, { x, "text-anchor": anchor });
      text.textContent = words;
    });
  }

  remove() {
    this.listeners.abort();
    this.size.disconnect();
    clearTimeout(this.soon);
    cancelAnimationFrame(this.asked);
    this.model.off("change", this.onChange);
  }
}

export default {
  render({ model, el }) {
    const view = new View(model, el);
    return () => view.remove();
  },
};
