// One field of a form. It hands on what is typed; the kernel says whether that is allowed.

const TENTHS = 10; // slider steps to a decade of a rate

function make(tag, properties = {}, parent = null) {
  const made = Object.assign(document.createElement(tag), properties);
  if (parent) parent.append(made);
  return made;
}

function parsed(text) {
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
      this.slider = make("input", { type: "range", className: "snnviz-slider" }, row);
      this.slider.setAttribute("aria-label", `${model.get("label")}, slider`);
      this.slider.addEventListener("input", () => { this.text.value = String(this.slid()); });
      this.slider.addEventListener("change", () => view.commit(this.slid()));
    }
    this.text = make("input", {
      id, type: "text", inputMode: this.kind === "count" ? "numeric" : "decimal",
      autocomplete: "off", spellcheck: false, className: "snnviz-input",
    }, row);
    this.text.addEventListener("input", () => view.type(parsed(this.text.value)));
    this.text.addEventListener("change", () => view.commit(parsed(this.text.value)));
    this.text.addEventListener("keydown", event => this.key(event));
  }

  key(event) {
    const up = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (event.key === "Enter") this.view.commit(parsed(this.text.value));
    else if (event.key === "Escape") this.view.revert();
    else if (up) this.step(up);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  step(up) {
    const value = parsed(this.text.value);
    if (typeof value !== "number") return;
    const factor = 10 ** (up / TENTHS);
    const next = this.kind === "count" ? value + up : twoDigits(value > 0 ? value * factor : value);
    this.text.value = String(next);
    this.view.commit(next);
  }

  slid() {
    const at = Number(this.slider.value);
    return this.kind === "rate" ? twoDigits(10 ** (at / TENTHS)) : at;
  }

  show(value, keepText) {
    if (this.slider && typeof value === "number") this.slide(value);
    if (keepText || parsed(this.text.value) === value) return;
    this.text.value = value === null || value === undefined ? "" : String(value);
  }

  slide(value) {
    const log = x => Math.log10(x) * TENTHS;
    let [low, high] = this.view.model.get("span");
    if (this.kind === "rate") [low, high] = [log(low), log(high)];
    const at = this.kind === "rate" ? (value > 0 ? log(value) : low) : value;
    Object.assign(this.slider, { min: Math.floor(Math.min(low, at)), max: Math.ceil(Math.max(high, at)), step: 1 });
    this.slider.value = String(at);
    this.slider.setAttribute("aria-valuetext", String(value));
    const share = (this.slider.value - this.slider.min) / (this.slider.max - this.slider.min || 1);
    this.slider.style.setProperty("--at", `${100 * share}%`);
  }

  inputs() {
    return this.slider ? [this.text, this.slider] : [this.text];
  }
}

class Choice {
  constructor(view, row, id) {
    this.select = make("select", { id, className: "snnviz-input" }, row);
    for (const option of view.model.get("options")) make("option", { value: option, textContent: option }, this.select);
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
    this.box = make("input", { id, type: "checkbox" }, row);
    this.box.addEventListener("change", () => view.commit(this.box.checked));
  }

  show(value) {
    this.box.checked = value;
  }

  inputs() {
    return [this.box];
  }
}

class View {
  constructor(model, el) {
    this.model = model;
    const id = `snnviz-${Math.random().toString(36).slice(2)}`;
    const root = make("div", { className: "snnviz-field-in", title: model.get("help") }, el);
    root.dataset.kind = model.get("kind");
    make("label", { htmlFor: id, textContent: model.get("label") }, root);
    const row = make("div", { className: "snnviz-field-row" }, root);
    const kinds = { choice: Choice, flag: Flag };
    this.input = new (kinds[model.get("kind")] ?? Numbers)(this, row, id);
    this.hint = make("p", { className: "snnviz-hint", id: `${id}-hint` }, root);
    this.error = make("p", { className: "snnviz-error", id: `${id}-error` }, root);
    this.error.setAttribute("role", "alert");
    for (const input of this.input.inputs()) input.setAttribute("aria-describedby", `${id}-error ${id}-hint`);
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
    const { model } = this, error = model.get("error"), value = model.get("value");
    const typing = model.get("typed") !== null;
    if (!error && !typing) this.good = value;
    this.input.show(value, typing);
    for (const input of this.input.inputs()) {
      input.disabled = model.get("disabled");
      if (error) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    }
    if (this.error.textContent !== error) this.error.textContent = error;
    if (this.hint.textContent !== model.get("hint")) this.hint.textContent = model.get("hint");
  }
}

export default {
  render({ model, el }) {
    const view = new View(model, el);
    return () => model.off("change", view.show);
  },
};
