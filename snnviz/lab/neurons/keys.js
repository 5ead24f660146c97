// What keys and mouse do in the grid.

import { make } from "../page/dom.js";
import { clamp } from "../page/numbers.js";

const KEYS = [
  ["← ↑ → ↓", "move to another neuron; with Shift, select on the way"],
  ["Home End", "first and last neuron of the group"],
  ["Page Up, Page Down", "previous and next group"],
  ["Enter", "open the neuron’s page"],
  ["Space", "select or unselect the neuron"],
  ["Ctrl A", "select the whole group"],
  ["O", "try the selected neurons off"],
  ["N", "try the selected neurons on"],
  ["K", "keep what is tried: the neurons are pinned, and the switcher no longer changes them"],
  ["L", "let go: undo what is tried, and unpin"],
  ["S", "sort in order, by factor, or those first that went off last"],
  ["F", "show only neurons that are off, or all"],
  ["W", "select the weakest 10 % of the neurons that are on"],
  ["Esc", "close the page, then clear the selection, then leave the grid"],
  ["?", "show or hide these keys"],
  [
    "mouse",
    "click opens a neuron; Shift-click selects a range, Ctrl- or ⌘-click adds one; a click on a " +
      "group’s name selects the group",
  ],
];
const DEEDS = { o: "off", n: "on", k: "keep", l: "let go" };
const LIVE = [...Object.keys(DEEDS), "w"]; // keys that need a kernel

// `live`: a kernel answers, so that neurons can be tried.
export function listKeys(parent, live) {
  for (const [key, does] of KEYS) {
    if (!live && LIVE.includes(key.toLowerCase())) continue;
    make("dt", { text: key, parent });
    make("dd", { text: does, parent });
  }
}

// Carries out what the user does with keys and mouse, on a NeuronGrid.
export class Hands {
  constructor(grid) {
    this.grid = grid;
    const on = (node, event, act) =>
      node.addEventListener(event, act, { signal: grid.undo.signal });
    on(grid.area, "keydown", (event) => this.onKey(event));
    on(grid.area, "mousedown", (event) => this.onDown(event));
    grid.blocks.forEach(({ button }, g) => {
      const more = (event) => event.ctrlKey || event.metaKey;
      on(button, "click", (event) => grid.selection.group(g, more(event)));
      on(button, "keydown", (event) => this.onNameKey(event, g));
    });
  }

  onDown(event) {
    const { grid } = this;
    const neuron = grid.at(event);
    if (neuron < 0 || event.button !== 0) return;
    event.preventDefault(); // Shift would select text
    event.stopPropagation(); // and the notebook would select cells
    grid.area.focus({ preventScroll: true });
    grid.cursor = neuron;
    grid.rove(grid.groupOf(neuron));
    if (event.shiftKey) grid.selection.range(neuron);
    else if (event.ctrlKey || event.metaKey || grid.tools.tapping) grid.selection.toggle(neuron);
    else grid.open(neuron);
  }

  onNameKey(event, g) {
    const { grid } = this;
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) {
      if (event.key === "Enter" || event.key === " ") event.stopPropagation(); // the button acts
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    const next = clamp(g + step, 0, grid.groups.length - 1);
    grid.rove(next);
    grid.blocks[next].button.focus();
  }

  onKey(event) {
    const { grid } = this;
    const { key } = event;
    if (!grid.n || event.altKey) return;
    if (event.ctrlKey || event.metaKey) {
      if (key.toLowerCase() !== "a") return;
      grid.selection.group(grid.groupOf(grid.cursor));
    } else if (!this.onMove(key, event.shiftKey) && !this.onAct(key)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  onMove(key, extend) {
    const { grid } = this;
    const { cursor, order } = grid;
    const g = grid.groupOf(cursor);
    const all = order.shown[g];
    const slot = order.slots[cursor];
    const cols = grid.plan?.places[g].cols ?? 1;
    const first = (step) => order.group(g, step)?.[0];
    const last = (step) => order.group(g, step)?.at(-1);
    const to = {
      ArrowRight: () => order.beside(cursor, 1, g),
      ArrowLeft: () => order.beside(cursor, -1, g),
      ArrowDown: () => all[slot + cols] ?? (extend ? undefined : first(1)),
      ArrowUp: () => all[slot - cols] ?? (extend ? undefined : last(-1)),
      Home: () => all[0],
      End: () => all.at(-1),
      PageDown: () => first(1),
      PageUp: () => first(-1),
    }[key];
    if (!to) return false;
    const neuron = clamp(to() ?? cursor, 0, grid.n - 1);
    if (extend) {
      if (grid.groupOf(neuron) !== g) return true; // a range stays in its group
      if (!grid.model.get("selected").includes(cursor)) grid.selection.anchor = cursor;
      grid.selection.range(neuron);
    }
    grid.move(neuron);
    return true;
  }

  onAct(key) {
    const { grid } = this;
    if (key === "Enter") grid.open(grid.cursor);
    else if (key === " ") {
      grid.selection.toggle(grid.cursor);
      grid.move(grid.cursor);
    } else if (key === "?") grid.toggleKeys();
    else if (key === "s") grid.tools.turn();
    else if (key === "f") grid.tools.filter();
    else if (key === "w" && grid.model.get("live")) grid.selection.weakest();
    else if (key in DEEDS && grid.model.get("live")) grid.wish(DEEDS[key]);
    else if (key === "Escape") {
      if (!grid.keys.hidden) grid.toggleKeys();
      else if (grid.model.get("opened") >= 0) grid.close();
      else if (grid.model.get("selected").length) grid.selection.choose([]);
      else return false;
    } else return false;
    return true;
  }
}
