// Where things are in the timeline: pixels from its upper left corner, and places on its axis, which
// are epochs (2.5 is the middle of the third one).

export const LEFT = 150;
export const RIGHT = 14;
export const TOP = 20;
export const BAND = 36;
export const GAP = 10;
export const LANE = 26;
export const AXIS = 24;
export const RATES = 2 * LANE;
export const RATES_TOP = TOP + BAND + GAP;
export const BOTTOM = RATES_TOP + RATES;
export const HEIGHT = BOTTOM + AXIS;

// The value of a line of points at a place, or null where there is none.
export function valueAt(lines, place) {
  for (const line of lines) {
    if (place < line[0][0] || place > line.at(-1)[0]) continue;
    const next = line.findIndex(([x]) => x >= place);
    if (next <= 0) return line[0][1];
    const [[x0, y0], [x1, y1]] = [line[next - 1], line[next]];
    return x1 > x0 ? y0 + ((y1 - y0) * (place - x0)) / (x1 - x0) : y1;
  }
  return null;
}

export function ticksFor(total, width) {
  const most = Math.max(2, width / 46);
  const base = 10 ** Math.floor(Math.log10(Math.max(total / most, 0.1)));
  const step = Math.max(1, [1, 2, 5, 10].map((k) => k * base).find((s) => total / s <= most) ?? 1);
  const found = [];
  for (let x = 0; x <= total; x += step) found.push(x);
  return found;
}
