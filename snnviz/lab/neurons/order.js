// Which neurons are shown, and in which order within their groups.

export const SORTS = [
  ["number", "in order"],
  ["factor", "by factor"],
  ["off", "went off last"],
];

const comparable = (factor) => (Number.isFinite(factor) ? factor : -1);

// Of two neurons that are off, the one that went off later comes first. `since`: see flips.py; one
// that is off now and was on at the last epoch's end has no negative number yet.
const offSince = (factor, since) => (factor !== 0 ? 0 : since < 0 ? -since : Infinity);

export class Order {
  constructor(sizes, starts) {
    Object.assign(this, { sizes, starts });
    this.look = "number";
    this.shown = []; // of each group, its neurons as they are shown
    this.slots = new Int32Array(sizes.reduce((a, b) => a + b, 0)); // places in `shown`; -1: hidden
    this.fill((all) => all);
  }

  // `sort`: one of SORTS. `onlyOff`: hide the neurons that are on.
  update(sort, onlyOff, factors, since) {
    const look = onlyOff ? `${sort}, only off` : sort;
    if (look === "number" && this.look === look) return;
    this.look = look;
    const before = {
      factor: (a, b) => comparable(factors[b]) - comparable(factors[a]) || a - b,
      off: (a, b) => {
        const [x, y] = [a, b].map((k) => offSince(factors[k], since[k]));
        return x === y ? a - b : y - x;
      },
    }[sort];
    this.fill((all) => {
      const some = onlyOff ? all.filter((k) => factors[k] === 0) : all;
      return before ? some.sort(before) : some;
    });
  }

  fill(arrange) {
    this.slots.fill(-1);
    this.shown = this.sizes.map((n, g) => {
      const all = Int32Array.from({ length: n }, (_, k) => this.starts[g] + k);
      const shown = arrange(all);
      shown.forEach((neuron, slot) => {
        this.slots[neuron] = slot;
      });
      return shown;
    });
  }

  // The group after (1) or before (-1) this one that shows any neuron.
  group(g, step) {
    let k = g + step;
    while (this.shown[k]?.length === 0) k += step;
    return this.shown[k];
  }

  // The neuron shown after (1) or before (-1) a neuron of group g; undefined: there is none.
  beside(neuron, step, g) {
    const slot = this.slots[neuron];
    if (slot < 0) return neuron + step in this.slots ? neuron + step : undefined;
    return this.shown[g][slot + step] ?? this.group(g, step)?.at(step > 0 ? 0 : -1);
  }
}
