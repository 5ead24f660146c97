// What the grid and the page of a neuron are given, from the contents of the file.

const STEPS = 127; // of a weight, to either side of 0; see contents.py

export class Neurons {
  // `arrays`: gives the bytes that a place in the contents stands for.
  constructor(contents, arrays) {
    Object.assign(this, { contents, arrays });
    this.sizes = contents.groups.map(([, n]) => n);
    this.n = this.sizes.reduce((a, b) => a + b, 0);
    this.factors = new Float32Array(arrays(contents.factors).buffer); // (epochs, neurons)
    this.since = this.followFlips();
  }

  // The factors at the end of an epoch, as bytes; all are 1 at the start.
  factorsAt(epoch) {
    const { n } = this;
    if (epoch === 0) return bytesOf(new Float32Array(n).fill(1));
    return bytesOf(this.factors.subarray((epoch - 1) * n, epoch * n));
  }

  // Since when each neuron is off (negative) or on, after each epoch; see flips.py.
  followFlips() {
    const all = [new Int32Array(this.n)];
    for (let epoch = 1; epoch <= this.contents.epochs; epoch++) {
      const before = all[epoch - 1];
      const first = (epoch - 1) * this.n;
      all.push(
        before.map((since, k) => {
          const off = this.factors[first + k] === 0;
          if (off === since < 0) return since;
          return off ? -epoch : epoch;
        }),
      );
    }
    return all;
  }

  flippedAt(epoch) {
    return bytesOf(this.since[epoch]);
  }

  // All that is known of a neuron: its factor after each epoch, and with the networks its weights.
  page(neuron) {
    const { contents, n } = this;
    let group = 0;
    let place = neuron;
    while (place >= this.sizes[group]) place -= this.sizes[group++];
    const factors = Float32Array.from(
      { length: contents.epochs },
      (_, epoch) => this.factors[epoch * n + neuron],
    );
    const facts = {
      neuron,
      group: contents.groups[group][0],
      index: place,
      factor: factors.at(-1),
      epochs: { factors: bytesOf(factors), stages: contents.stages },
    };
    const known = contents.neurons[group];
    if (!known) return facts;
    const own = this.fill({ ...known.shared, ...known.own[place] });
    return { ...facts, ...own, weights: widen(own.weights) };
  }

  // Puts the arrays in their places, however deep.
  fill(value) {
    if (value === null || typeof value !== "object") return value;
    if (Array.isArray(value)) return value.map((each) => this.fill(each));
    if (Number.isInteger(value.bytes)) return this.arrays(value);
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, this.fill(each)]));
  }
}

// Weights of one byte as the numbers that they stand for.
function widen(weights) {
  if (!weights || weights.most === null) return weights;
  const { buffer, byteOffset, byteLength } = weights.data;
  const steps = new Int8Array(buffer, byteOffset, byteLength);
  const values = Float32Array.from(steps, (step) => (step / STEPS) * weights.most);
  return { ...weights, data: bytesOf(values) };
}

function bytesOf(array) {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
