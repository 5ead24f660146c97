// Below the grid: how neurons are sorted, which are shown, and ways to select many.

import { make } from "../page/dom.js";
import { SORTS } from "./order.js";

export class Tools {
  // `foot`: where the button that opens them stands. `parent`: where they stand themselves.
  constructor(grid, foot, parent) {
    this.grid = grid;
    this.model = grid.model;
    this.tapping = false; // a click, or a tap, selects and does not open
    const { signal } = grid.undo;
    const on = (node, event, act) => node.addEventListener(event, act, { signal });
    const live = this.model.get("live");
    const button = (text, title, act) => {
      const look = { class: "snnviz-tool", type: "button", text, title };
      const made = make("button", { parent: this.root, ...look });
      on(made, "click", act);
      return made;
    };
    this.opener = make("button", {
      class: "snnviz-tools-button snnviz-keys-button",
      parent: foot,
      type: "button",
      text: live ? "Sort, select" : "Sort",
      "aria-expanded": "false",
      title: live ? "Sort and filter the neurons, select many" : "Sort and filter the neurons",
    });
    this.root = make("div", { class: "snnviz-tools", parent, hidden: "", role: "group" });
    this.root.setAttribute("aria-label", this.opener.title);
    on(this.opener, "click", () => this.toggle());
    const label = make("label", { parent: this.root, text: "sort " });
    this.sort = make("select", { class: "snnviz-sort", parent: label });
    for (const [value, text] of SORTS) make("option", { parent: this.sort, value, text });
    on(this.sort, "change", () => this.set("sort", this.sort.value));
    this.only = button("Only off", "Hide the neurons that are on (F)", () => this.filter());
    if (live) {
      button(
        "Weakest 10 %",
        "Select the tenth of the neurons that are on with the lowest factors (W)",
        () => grid.selection.weakest(),
      );
      this.tap = button(
        "Tap selects",
        "A click or tap selects a neuron and does not open it",
        () => {
          this.tapping = !this.tapping;
          this.show();
        },
      );
      button("None", "Clear the selection", () => grid.selection.choose([]));
    }
    this.show();
  }

  toggle() {
    this.root.hidden = !this.root.hidden;
    this.opener.setAttribute("aria-expanded", String(!this.root.hidden));
  }

  // The next way of sorting.
  turn() {
    const k = SORTS.findIndex(([name]) => name === this.sort.value);
    this.set("sort", SORTS[(k + 1) % SORTS.length][0]);
  }

  filter() {
    this.set("only_off", !this.model.get("only_off"));
  }

  set(name, value) {
    this.model.set(name, value);
    this.model.save_changes();
    this.grid.draw();
    const sort = SORTS.find(([each]) => each === this.sort.value)[1];
    this.grid.say(`sorted ${sort}${this.model.get("only_off") ? ", only those that are off" : ""}`);
  }

  // As the model is.
  show() {
    const sort = this.model.get("sort") ?? "number";
    const only = Boolean(this.model.get("only_off"));
    this.sort.value = sort;
    this.only.setAttribute("aria-pressed", String(only));
    this.tap?.setAttribute("aria-pressed", String(this.tapping));
    const active = sort !== "number" || only || this.tapping;
    this.opener.classList.toggle("snnviz-is-active", active);
  }
}
