// The bar above the figures. It hides and shows cards by attributes of the box that all of them
// are in (cards.css reads them), so that a tab opens at once; the kernel only draws what is seen.

import { enlargement, isDark, make, onTheme, set } from "../page/dom.js";
import { hear } from "../page/hearing.js";

const MODES = [
  ["tabs", "Tabs", "One", "One figure at a time"],
  ["side by side", "Side by side", "All", "All figures at once"],
];
const SHOWN = ["mode", "tab", "wide", "runs", "hidden", "alts"]; // traits

class Bar {
  constructor(model, el) {
    Object.assign(this, { model, el, cards: null });
    this.undo = new AbortController();
    this.build();
    this.listen();
    this.drawTabs();
    this.draw();
    requestAnimationFrame(() => {
      // by then it is in the page
      this.measure(); // first: the kernel takes all figures for seen where the lab is wide
      if (!model.get("there")) this.write("there", true);
    });
  }

  build() {
    const row = make("div", { class: "snnviz-bar-row" });
    const group = (parent, name, role, label) =>
      make("div", { parent, class: `snnviz-${name}`, role, "aria-label": label });
    const what = make("div", { parent: row, class: "snnviz-bar-what" });
    this.tabs = group(what, "tabs", "tablist", "figures");
    this.runs = group(what, "runs", "group", "runs");
    const modes = group(row, "modes", "group", "layout");
    this.el.replaceChildren(row);
    this.modeButtons = MODES.map(([mode, name, text, title]) => {
      const look = { type: "button", title, "aria-label": name };
      const button = make("button", { parent: modes, ...look, text });
      button.onclick = () => this.write("mode", mode);
      return [mode, button];
    });
    this.tabButtons = new Map();
  }

  listen() {
    const { model } = this;
    const { signal } = this.undo;
    this.tabs.addEventListener("keydown", (event) => this.onTabKey(event), { signal });
    const redraw = () => this.draw();
    const retab = () => {
      this.drawTabs();
      this.draw();
    };
    model.on("change:cards", retab);
    for (const name of SHOWN) model.on(`change:${name}`, redraw);
    this.cardsChanged = new MutationObserver(() => this.apply());
    const resized = new ResizeObserver(() => this.measure());
    resized.observe(this.el);
    document.addEventListener("snnviz-enlarged", () => this.measure(), { signal });
    const follow = () => {
      if (isDark() !== model.get("dark")) this.write("dark", isDark());
    };
    onTheme(follow, signal);
    follow();
    signal.addEventListener("abort", () => {
      model.off("change:cards", retab);
      for (const name of SHOWN) model.off(`change:${name}`, redraw);
      resized.disconnect();
      this.cardsChanged.disconnect();
    });
  }

  write(name, value) {
    this.model.set(name, value);
    this.model.save_changes();
  }

  // Left and right, Home and End go from one tab to the next.
  onTabKey(event) {
    const all = [...this.tabs.querySelectorAll("[role=tab]")];
    const at = all.indexOf(document.activeElement);
    const to = {
      ArrowRight: (at + 1) % all.length,
      ArrowLeft: (at + all.length - 1) % all.length,
      Home: 0,
      End: all.length - 1,
    }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    all[to].focus();
    all[to].click();
  }

  drawTabs() {
    this.tabButtons.clear();
    this.tabs.replaceChildren();
    for (const [name, title, text] of this.model.get("cards")) {
      const look = { type: "button", role: "tab", title, "aria-label": title };
      const button = make("button", { parent: this.tabs, ...look, text });
      button.onclick = () => this.write("tab", name);
      this.tabButtons.set(name, button);
    }
  }

  draw() {
    this.drawRuns();
    this.apply();
  }

  drawRuns() {
    const all = this.model.get("runs");
    const key = JSON.stringify(all);
    if (this.drawn !== key) {
      this.drawn = key;
      this.runs.replaceChildren();
      for (const [name, colour] of all) this.drawRun(name, colour);
    }
    this.runs.hidden = all.length < 2;
    for (const button of this.runs.children) {
      const shown = !this.model.get("hidden").includes(button.dataset.run);
      const title = `${shown ? "Hide" : "Show"} the run ${button.dataset.run}`;
      set(button, { "aria-pressed": shown, title });
    }
  }

  drawRun(name, colour) {
    const button = make("button", { parent: this.runs, type: "button", "data-run": name });
    const look = { class: "snnviz-swatch", "aria-hidden": "true" };
    const swatch = make("span", { parent: button, ...look });
    swatch.style.setProperty("--snnviz-run", colour);
    make("span", { parent: button, class: "snnviz-run-name", text: name });
    button.onclick = () => {
      const hidden = this.model.get("hidden");
      const rest = hidden.filter((other) => other !== name);
      this.write("hidden", rest.length < hidden.length ? rest : [...hidden, name]);
    };
  }

  // Shows tabs or all cards, and which tab is open.
  apply() {
    const { model } = this;
    const wanted = model.get("mode");
    const one = enlargement(this.el) > 1; // there is room for one figure only
    const inTabs = one || (wanted === "auto" ? !model.get("wide") : wanted === "tabs");
    const mode = inTabs ? "tabs" : "side";
    const tab = model.get("tab");
    for (const [name, button] of this.modeButtons)
      set(button, { "aria-pressed": (name === "tabs") === inTabs });
    this.tabs.hidden = !inTabs;
    for (const [name, button] of this.tabButtons)
      set(button, { "aria-selected": name === tab, tabindex: name === tab ? 0 : -1 });
    this.findCards();
    if (!this.cards) return;
    set(this.cards, { "data-mode": mode, "data-tab": inTabs ? tab : "" });
    this.labelCards(mode);
  }

  // The box of all cards, which may come later than the bar, or be another one.
  findCards() {
    const found = this.el.closest(".snnviz-views");
    if (found === this.cards) return;
    this.cards = found;
    this.cardsChanged.disconnect();
    const watched = { subtree: true, childList: true, attributes: true };
    if (found) this.cardsChanged.observe(found, { ...watched, attributeFilter: ["class"] });
  }

  // Attributes that the widgets of the cards have no traits for.
  labelCards(mode) {
    const titles = Object.fromEntries(this.model.get("cards"));
    const alts = this.model.get("alts");
    for (const card of this.cards.querySelectorAll(".snnviz-card")) {
      const name = [...card.classList].find((c) => c.startsWith("snnviz-card-"))?.slice(12);
      set(card, { role: mode === "tabs" ? "tabpanel" : "group" });
      if (!card.hasAttribute("aria-label")) set(card, { "aria-label": titles[name] ?? name });
      const image = card.querySelector("img");
      if (image && image.alt !== (alts[name] ?? "")) image.alt = alts[name] ?? "";
      for (const button of card.querySelectorAll("button.snnviz-more, .snnviz-formats button")) {
        const state = button.matches(".snnviz-more") ? "aria-expanded" : "aria-pressed";
        set(button, { [state]: button.classList.contains("mod-active") });
      }
    }
  }

  // Whether there is room for figures side by side, and for a wide one.
  measure() {
    const { model, el } = this;
    const lab = el.closest(".snnviz-lab") ?? el;
    if (lab.clientWidth > 0) {
      const usual = enlargement(el) === 1; // in a wider figure letters are smaller
      const wide = usual && lab.clientWidth >= model.get("wide_from");
      const from = usual ? model.get("room_from") : [];
      const room = from.filter((width) => el.clientWidth >= width).length;
      if (wide !== model.get("wide")) this.write("wide", wide);
      if (room !== model.get("room")) this.write("room", room);
    }
    this.apply();
  }
}

export default {
  initialize: hear,
  render({ model, el }) {
    const bar = new Bar(model, el);
    return () => bar.undo.abort();
  },
};
