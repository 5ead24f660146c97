// Where the blocks of cells are, one block for each switch group.

import { clamp, count } from "../page/numbers.js";

const SMALLEST = 5; // a cell with its gap, in CSS pixels
const LARGEST = 20;
const LARGEST_ENLARGED = 60;
export const HEADING = 34; // pixels above a block, for its name
const BETWEEN = 18;
const BELOW = 14;
const WIDEST_NAME = 150;

// Pixels for the name of each group, and for the line below it. `times`: see enlargement in dom.js.
export function measureNames(names, sizes, font, times) {
  const pen = new OffscreenCanvas(1, 1).getContext("2d");
  return sizes.map((n, g) => {
    pen.font = `600 ${13 * times}px ${font}`;
    const first = pen.measureText(names[g]).width;
    pen.font = `${12 * times}px ${font}`;
    const second = pen.measureText(`${count(n)} of ${count(n)} on`).width;
    return Math.ceil(clamp(Math.max(first, second), 40 * times, WIDEST_NAME * times)) + 2;
  });
}

// Blocks in lines, like words. All blocks of a line may have as many rows as the fewest with which
// they fill the width; lines are broken where the whole is lowest. `wide`: room for the names.
function flow(sizes, wide, width, pitch, times) {
  const [heading, between, below] = [HEADING, BETWEEN, BELOW].map((each) => each * times);
  const shape = (block, rows) => {
    const least = Math.min(sizes[block], Math.max(6, Math.floor(wide[block] / pitch)));
    const cols = Math.max(Math.ceil(sizes[block] / rows), least);
    return { cols, width: Math.max(cols * pitch, wide[block]) };
  };
  const fit = (from, to) => {
    // the rows of a line of these blocks; undefined: too many for one
    const most = Math.max(...sizes.slice(from, to));
    const fits = (rows) => {
      let left = width + between;
      for (let k = from; k < to && left >= 0; k++) left -= shape(k, rows).width + between;
      return left >= 0;
    };
    let low = Math.ceil(Math.sqrt(most / 5));
    let high = Math.ceil(Math.sqrt(most)); // 5:1 to 1:1
    if (!fits(high)) {
      if (to - from > 1) return undefined;
      return Math.ceil(most / Math.max(1, Math.floor(width / pitch)));
    }
    while (low < high) {
      const middle = (low + high) >> 1;
      if (fits(middle)) high = middle;
      else low = middle + 1;
    }
    return low;
  };
  const best = { [sizes.length]: { height: -below } };
  for (let from = sizes.length - 1; from >= 0; from--)
    for (let to = from + 1; to <= sizes.length; to++) {
      const rows = fit(from, to);
      if (rows === undefined) break;
      const used = Math.max(
        ...sizes.slice(from, to).map((n, k) => Math.ceil(n / shape(from + k, rows).cols)),
      );
      const height = heading + used * pitch + below + best[to].height;
      if (!best[from] || height < best[from].height) best[from] = { height, to, rows };
    }
  const places = [];
  for (let from = 0, top = 0; from < sizes.length; from = best[from].to) {
    const { to, rows, height } = best[from];
    for (let block = from, left = 0; block < to; block++) {
      const { cols, width: own } = shape(block, rows);
      places.push({
        left,
        top,
        cols,
        rows: Math.ceil(sizes[block] / cols),
        width: Math.min(own, width),
      });
      left += own + between;
    }
    top += height - best[to].height;
  }
  return { pitch, places, height: Math.max(0, best[0].height) };
}

// The largest cells with which the whole network is in view.
export function layout(sizes, wide, width, height, times = 1) {
  let low = SMALLEST;
  let high = times > 1 ? LARGEST_ENLARGED : LARGEST;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (flow(sizes, wide, width, middle, times).height <= height) low = middle;
    else high = middle - 1;
  }
  return flow(sizes, wide, width, low, times);
}
