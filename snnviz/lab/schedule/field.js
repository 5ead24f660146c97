// One field of a form. It hands on what is typed; the kernel says whether that is allowed.

import { make, put, set } from "../page/dom.js";
import { hear } from "../page/hearing.js";

const TENTHS = 10; // slider steps to a decade of a rate
const HUNDREDTHS = 100; // slider steps from 0 to 1 of a share
const OFF = "off"; // a share of null

function parse(text) {
  const plain = text.trim();
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plain) ? Number(plain) : plain;
}

function twoDigits(value) {
  return Number(value.toPrecision(2));
}

class Numbers {
  constructor(view, row, id) {
    this.view = view;
    const { model } = view;
    this.kind = model.get("kind");
    if (model.get("span").length) {
      const label = `${model.get("label")}, slider`;
      const look = { type: "range", class: "snnviz-slider", "aria-label": label };
      this.slider = make("input", { parent: row, ...look });
      this.slider.addEventListener("input", () => {
        this.text.value = this.words(this.slid());
      });
      this.slider.addEventListener("change", () => view.commit(this.slid()));
    }
    this.text = make("input", {
      parent: row,
      id,
      type: "text",
      inputmode: this.kind === "count" ? "numeric" : "decimal",
      autocomplete: "off",
      spellcheck: "false",
      class: "snnviz-input",
    });
    this.text.addEventListener("input", () => view.type(parse(this.text.value)));
    this.text.addEventListener("change", () => view.commit(this.read()));
    this.text.addEventListener("keydown", (event) => this.key(event));
  }

  read() {
    const value = parse(this.text.value);
    return this.kind === "share" && (value === "" || value === OFF) ? null : value;
  }

  key(event) {
    const up = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (event.key === "Enter") this.view.commit(this.read());
    else if (event.key === "Escape") this.view.revert();
    else if (up) this.step(up);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  step(up) {
    const value = this.read();
    if (typeof value !== "number") return;
    const factor = 10 ** (up / TENTHS);
    let next = twoDigits(value > 0 ? value * factor : value);
    if (this.kind === "count") next = value + up;
    if (this.kind === "share") next = Math.round(value * HUNDREDTHS + up) / HUNDREDTHS;
    this.text.value = String(next);
    this.view.commit(next);
  }

  slid() {
    const at = Number(this.slider.value);
    if (this.kind === "share") return at >= HUNDREDTHS ? null : at / HUNDREDTHS;
    return this.kind === "rate" ? twoDigits(10 ** (at / TENTHS)) : at;
  }

  words(value) {
    if (value === null) return this.kind === "share" ? OFF : "";
    return value === undefined ? "" : String(value);
  }

  show(value, keepText) {
    const off = this.kind === "share" && value === null;
    if (this.slider && (off || typeof value === "number")) this.slide(off ? 1 : value);
    if (keepText || (this.read() === value && this.text.value)) return;
    this.text.value = this.words(value);
  }

  slide(value) {
    const log = (x) => Math.log10(x) * TENTHS;
    let [low, high] = this.view.model.get("span");
    let at = value;
    if (this.kind === "rate") {
      [low, high] = [log(low), log(high)];
      at = value > 0 ? log(value) : low;
    }
    if (this.kind === "share") [low, high, at] = [0, HUNDREDTHS, Math.round(value * HUNDREDTHS)];
    const [min, max] = [Math.floor(Math.min(low, at)), Math.ceil(Math.max(high, at))];
    const text = this.kind === "share" && at >= HUNDREDTHS ? OFF : value;
    set(this.slider, { min, max, step: 1, "aria-valuetext": text });
    this.slider.value = String(at);
    const share = (this.slider.value - this.slider.min) / (this.slider.max - this.slider.min || 1);
    this.slider.style.setProperty("--at", `${100 * share}%`);
  }

  inputs() {
    return this.slider ? [this.text, this.slider] : [this.text];
  }
}

class Choice {
  constructor(view, row, id) {
    this.select = make("select", { parent: row, id, class: "snnviz-input" });
    for (const value of view.model.get("options"))
      make("option", { parent: this.select, value, text: value });
    this.select.addEventListener("change", () => view.commit(this.select.value));
  }

  show(value) {
    this.select.value = value;
  }

  inputs() {
    return [this.select];
  }
}

class Flag {
  constructor(view, row, id) {
    this.box = make("input", { parent: row, id, type: "checkbox" });
    this.box.addEventListener("change", () => view.commit(this.box.checked));
  }

  show(value) {
    this.box.checked = value;
  }

  inputs() {
    return [this.box];
  }
}

class FieldView {
  constructor(model, el) {
    this.model = model;
    const id = `snnviz-${Math.random().toString(36).slice(2)}`;
    const kind = model.get("kind");
    const parent = make("div", {
      parent: el,
      class: "snnviz-field-in",
      title: model.get("help"),
      "data-kind": kind,
    });
    make("label", { parent, for: id, text: model.get("label") });
    const row = make("div", { parent, class: "snnviz-field-row" });
    const kinds = { choice: Choice, flag: Flag };
    this.input = new (kinds[kind] ?? Numbers)(this, row, id);
    this.hint = make("p", { parent, class: "snnviz-hint", id: `${id}-hint` });
    const error = { class: "snnviz-error", id: `${id}-error`, role: "alert" };
    this.error = make("p", { parent, ...error });
    for (const input of this.input.inputs())
      set(input, { "aria-describedby": `${id}-error ${id}-hint` });
    this.show = () => this.draw();
    model.on("change", this.show);
    this.draw();
  }

  type(value) {
    this.model.set("typed", value);
    this.model.save_changes();
  }

  commit(value) {
    if (this.model.get("value") === value && this.model.get("typed") === null) return;
    this.model.set({ typed: null, value });
    this.model.save_changes();
  }

  revert() {
    if (this.good === undefined) return;
    this.commit(this.good);
    this.input.show(this.good, false);
  }

  draw() {
    const { model } = this;
    const error = model.get("error");
    const value = model.get("value");
    const typing = model.get("typed") !== null;
    if (!error && !typing) this.good = value;
    this.input.show(value, typing);
    for (const input of this.input.inputs()) {
      input.disabled = model.get("disabled");
      if (error) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    }
    put(this.error, error);
    put(this.hint, model.get("hint"));
  }
}

export default {
  initialize: hear,
  render({ model, el }) {
    const view = new FieldView(model, el);
    return () => model.off("change", view.show);
  },
};
