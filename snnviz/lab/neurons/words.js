// A neuron in words: its factor, since when it is off or on, and what was done to it by hand.

import { decimals } from "../page/numbers.js";
import { PINNED, TRIED_OFF, TRIED_ON } from "./cells.js";

// `since`: the epoch in which it came on, negative if it went off then; see `Flips` in flips.py.
// `answer`: to an image, from 0 to 1, the strongest of its group; undefined: there is none.
export function describeNeuron(name, factor, since, marks, answer) {
  const words = [name, `factor ${decimals(factor)}`, describeState(factor, since)];
  if (answer !== undefined && factor !== 0) words.push(`answer ${decimals(answer)}`);
  if (marks & PINNED) words.push(factor === 0 ? "pinned off" : "pinned on");
  if (marks & TRIED_OFF) words.push("tried off (what-if only)");
  if (marks & TRIED_ON) words.push("tried on (what-if only)");
  return words.join(" · ");
}

function describeState(factor, since) {
  if (factor === 0) return since < 0 ? `off since epoch ${-since}` : "just off";
  if (since < 0) return "just back on";
  return since > 0 ? `on since epoch ${since}` : "never off";
}
