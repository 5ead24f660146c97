// Which neurons are selected: one by one, a range, a group, or the weakest.

import { count } from "../page/numbers.js";

const WEAKEST = 0.1; // of the neurons that are on

export class Selection {
  constructor(grid) {
    this.grid = grid;
    this.anchor = grid.cursor; // where a range begins
  }

  get chosen() {
    return this.grid.model.get("selected");
  }

  choose(neurons) {
    const { grid } = this;
    if (grid.bare) return;
    const sorted = [...new Set(neurons)].sort((a, b) => a - b);
    grid.model.set("selected", sorted);
    grid.model.save_changes();
    grid.draw();
  }

  toggle(neuron) {
    const now = this.chosen;
    this.choose(now.includes(neuron) ? now.filter((k) => k !== neuron) : [...now, neuron]);
    this.anchor = neuron;
  }

  // From the anchor on, as the neurons are shown, within the group in which it ends.
  range(to) {
    const { grid } = this;
    const { shown, slots } = grid.order;
    const g = grid.groupOf(to);
    if (grid.groupOf(this.anchor) !== g || slots[this.anchor] < 0) this.anchor = to;
    const [a, b] = [slots[this.anchor], slots[to]].sort((x, y) => x - y);
    this.choose(Array.from(shown[g].subarray(Math.max(a, 0), b + 1)));
  }

  // All neurons of a group that are shown. `more`: and those that were selected before.
  group(g, more = false) {
    const { grid } = this;
    const own = Array.from(grid.order.shown[g]);
    this.choose(more ? [...this.chosen, ...own] : own);
    grid.cursor = this.anchor = own[0] ?? grid.starts[g];
    grid.rove(g);
    const all = own.length === grid.sizes[g] ? "all " : "";
    grid.say(`${all}${count(own.length)} neurons of ${grid.names[g]} selected`);
  }

  // A tenth of the neurons that are on: those with the lowest factors.
  weakest() {
    const { grid } = this;
    const { factors } = grid;
    const on = Array.from(factors.keys()).filter((k) => factors[k] > 0);
    on.sort((a, b) => factors[a] - factors[b] || a - b);
    if (!on.length || factors[on[0]] === factors[on.at(-1)]) {
      grid.tellNote(
        on.length
          ? "All factors are equal so far, so no neuron is weaker than another."
          : "No neuron is on.",
      );
      return;
    }
    const few = on.slice(0, Math.ceil(WEAKEST * on.length));
    this.choose(few);
    grid.tellNote(
      `The ${count(few.length)} weakest of ${count(on.length)} neurons that are on are selected.`,
    );
  }
}
