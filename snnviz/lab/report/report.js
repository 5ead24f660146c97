// The file: the lab's grid and timeline on models without a kernel, and a slider over the epochs.

import { isDark, make, onTheme, put, set } from "../page/dom.js";
import { clamp } from "../page/numbers.js";
import { PlainModel } from "./model.js";
import { Neurons } from "./neurons.js";

const SPEEDS = [1, 2, 5, 10, 30]; // epochs a second
const USUAL_SPEED = 2;

class Report {
  constructor(contents) {
    this.contents = contents;
    this.last = contents.epochs;
    const decoded = contents.bytes.map((text) =>
      Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)),
    );
    this.neurons = new Neurons(contents, ({ bytes }) => decoded[bytes]);
    this.grid = new PlainModel({
      live: false,
      groups: contents.groups,
      labels: contents.labels,
      sort: "number",
      only_off: false,
      marks: new Uint8Array(this.neurons.n),
      selected: [],
      opened: -1,
      page: {},
    });
    this.timeline = new PlainModel({
      ...contents.course,
      live: false,
      run: this.last,
      picked: -1,
      moment: -1,
    });
    this.signal = new AbortController().signal; // the page lives as long as its file is open
    this.buildTime();
    this.buildTheme();
    this.listen();
    this.go(this.last);
  }

  buildTime() {
    const parent = document.querySelector(".snnviz-time");
    parent.hidden = false;
    const button = (text, title) => make("button", { parent, type: "button", text, title });
    this.replay = button("Replay", "Play the epochs from the start, or from the one shown");
    const label = make("label", { parent, class: "snnviz-slide", text: "epoch" });
    this.slider = make("input", { parent: label, type: "range", min: 0, max: this.last, step: 1 });
    this.end = button("End", "Go to the last epoch");
    this.speed = make("select", { parent, "aria-label": "epochs a second" });
    for (const speed of SPEEDS)
      make("option", { parent: this.speed, value: speed, text: `${speed} per second` });
    this.speed.value = String(USUAL_SPEED);
    this.readout = make("output", { parent });
  }

  buildTheme() {
    const button = document.querySelector(".snnviz-theme");
    button.hidden = false;
    let chosen = null; // as the browser is, until the button is pressed
    const follow = () => {
      const dark = chosen ?? matchMedia("(prefers-color-scheme: dark)").matches;
      set(document.body, { "data-jp-theme-light": String(!dark) });
      put(button, dark ? "Light theme" : "Dark theme");
    };
    button.addEventListener("click", () => {
      chosen = !isDark();
      follow();
    });
    onTheme(follow, this.signal);
    follow();
  }

  listen() {
    this.slider.addEventListener("input", () => {
      this.stop();
      this.go(Number(this.slider.value));
    });
    this.end.addEventListener("click", () => {
      this.stop();
      this.go(this.last);
    });
    this.replay.addEventListener("click", () => (this.playing ? this.stop() : this.play()));
    this.speed.addEventListener("change", () => this.playing && this.play());
    this.grid.on("change:opened", () => {
      const neuron = this.grid.get("opened");
      this.grid.set("page", neuron < 0 ? {} : this.neurons.page(neuron));
    });
    this.timeline.on("change:picked", () => {
      const epoch = this.timeline.get("picked");
      if (epoch < 0) return;
      this.stop();
      this.go(epoch);
      this.timeline.set("picked", -1);
    });
  }

  play() {
    clearInterval(this.playing);
    if (this.moment === this.last) this.go(0);
    const next = () => {
      this.go(this.moment + 1);
      if (this.moment === this.last) this.stop();
    };
    this.playing = setInterval(next, 1000 / Number(this.speed.value));
    put(this.replay, "Stop");
  }

  stop() {
    clearInterval(this.playing);
    this.playing = undefined;
    put(this.replay, "Replay");
  }

  // Shows the end of an epoch in every part.
  go(epoch) {
    this.moment = clamp(epoch, 0, this.last);
    const words = this.contents.moments[this.moment];
    this.slider.value = String(this.moment);
    set(this.slider, { "aria-valuetext": words });
    this.end.disabled = this.moment === this.last;
    put(this.readout, words);
    this.grid.set("factors", this.neurons.factorsAt(this.moment));
    this.grid.set("flipped", this.neurons.flippedAt(this.moment));
    this.grid.set("moment", this.moment ? `epoch ${this.moment}` : "the start");
    this.timeline.set("moment", this.moment === this.last ? -1 : this.moment);
    for (const { name, axis } of this.contents.figures) this.mark(name, axis);
    document.dispatchEvent(new Event("snnviz-refreshed")); // all is there: draw it now
  }

  // A line in a figure at the epoch that is shown.
  mark(name, axis) {
    const line = document.querySelector(`[data-figure="${name}"] i`);
    line.hidden = !axis || this.moment === this.last;
    if (line.hidden) return;
    const [left, right, top, bottom, start, end] = axis;
    const at = left + ((right - left) * (this.moment - start)) / (end - start);
    line.hidden = at < left - 1e-3 || at > right + 1e-3;
    Object.assign(line.style, {
      left: `${100 * at}%`,
      top: `${100 * top}%`,
      height: `${100 * (bottom - top)}%`,
    });
  }
}

export default {
  render({ grid, timeline }) {
    const contents = JSON.parse(document.getElementById("snnviz-contents").textContent);
    const report = new Report(contents);
    grid.render({ model: report.grid, el: document.querySelector(".snnviz-neurons") });
    timeline.render({ model: report.timeline, el: document.querySelector(".snnviz-timeline") });
  },
};
