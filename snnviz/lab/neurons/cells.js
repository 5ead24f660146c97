// How one cell looks. Cells are written pixel by pixel from ready-made pictures ("sprites"), and only
// those that have changed: so 10,000 of them take a few milliseconds.

import { css, LEVELS, mix, NAN_KEY, OFF_KEY, PALETTE, rgb } from "./colours.js";

// Bits of a neuron's mark; see grid.py.
export const PINNED = 1;
export const TRIED_OFF = 2;
export const TRIED_ON = 4;
const SELECTED_BIT = 1 << 7;

export const EMPTY_KEY = 0xfffe; // of a place without a neuron

// All that decides how a cell looks, in one number: a level of the colour scale (or OFF_KEY or
// NAN_KEY), the mark, and whether the neuron is selected.
export function cellKey(level, marks, selected) {
  return level | (selected ? SELECTED_BIT : 0) | (marks << 8);
}

// One cell of each kind, for the legend.
export const SAMPLES = [
  ["off", cellKey(OFF_KEY, 0, false)],
  ["pinned", cellKey(LEVELS / 2, PINNED, false)],
  ["tried off", cellKey(LEVELS / 2, TRIED_OFF, false)],
  ["tried on", cellKey(OFF_KEY, TRIED_ON, false)],
  ["selected", cellKey(LEVELS / 2, 0, true)],
];

// Draws a cell with its gap, `size` device pixels wide, at the origin of `pen`.
export function drawCell(pen, size, gap, key, colours) {
  const factor = key & 127;
  const marks = key >> 8;
  const selected = key & SELECTED_BIT;
  const line = Math.max(1, Math.round(size / 14));
  let side = size - gap;
  let left = 0;
  if (selected) {
    // a frame in the gap and on the edge, and the cell smaller within it
    pen.fillStyle = colours.ink;
    pen.fillRect(0, 0, size, size);
    left = line + (size >= 10 ? 1 : 0);
    side = size - 2 * left;
    if (size >= 10) {
      pen.fillStyle = colours.panel;
      pen.fillRect(line, line, size - 2 * line, size - 2 * line);
      left += 1;
      side -= 2;
    }
  }
  pen.save();
  pen.translate(left, left);
  if (factor === OFF_KEY || factor === NAN_KEY) drawOff(pen, side, line, factor, colours);
  else {
    pen.fillStyle = css(PALETTE[factor]);
    pen.fillRect(0, 0, side, side);
  }
  if (marks & (TRIED_OFF | TRIED_ON)) drawTried(pen, side, marks & TRIED_ON, colours);
  if (marks & PINNED) drawPin(pen, side, colours);
  pen.restore();
}

function drawOff(pen, side, line, factor, colours) {
  pen.fillStyle = factor === NAN_KEY ? colours.nan : colours.off;
  pen.fillRect(0, 0, side, side);
  pen.fillStyle = pen.strokeStyle = factor === NAN_KEY ? colours.ink : colours.cross;
  if (factor === NAN_KEY) return pen.strokeRect(0.5, 0.5, side - 1, side - 1);
  if (side < 7) {
    // pixel by pixel, for a slanted line would blur
    if (factor === OFF_KEY) pen.fillStyle = css(mix(rgb(colours.off), rgb(colours.cross), 0.75));
    for (let k = 0; k < side; k++) {
      pen.fillRect(k, k, 1, 1);
      pen.fillRect(side - 1 - k, k, 1, 1);
    }
    return;
  }
  const inset = Math.round(side * 0.22);
  pen.lineWidth = line * 1.2;
  pen.beginPath();
  pen.moveTo(inset, inset);
  pen.lineTo(side - inset, side - inset);
  pen.moveTo(side - inset, inset);
  pen.lineTo(inset, side - inset);
  pen.stroke();
}

// A what-if: a plate with − for off and + for on.
function drawTried(pen, side, on, colours) {
  const plate = side < 8 ? side : Math.max(5, Math.round(side * 0.62) | 1);
  const left = Math.floor((side - plate) / 2);
  const bar = Math.max(1, Math.round(plate / 6));
  const arm = Math.max(1, Math.round(plate * 0.18));
  const middle = left + Math.floor((plate - bar) / 2);
  pen.fillStyle = colours.ink;
  pen.fillRect(left, left, plate, plate);
  pen.fillStyle = colours.panel;
  pen.fillRect(left + arm, middle, plate - 2 * arm, bar);
  if (on) pen.fillRect(middle, left + arm, bar, plate - 2 * arm);
}

// A pin: the upper right corner folded over.
function drawPin(pen, side, colours) {
  const corner = Math.max(2, Math.round(side * 0.52));
  const triangle = (extra, colour) => {
    pen.fillStyle = colour;
    pen.beginPath();
    pen.moveTo(side - corner - extra, 0);
    pen.lineTo(side, 0);
    pen.lineTo(side, corner + extra);
    pen.fill();
  };
  if (side >= 8) triangle(Math.max(1, side / 10), colours.panel);
  triangle(0, colours.ink);
}

export class Sprites {
  constructor(size, gap, colours) {
    Object.assign(this, { size, gap, colours, made: new Map() });
    const canvas = new OffscreenCanvas(size, size);
    this.pen = canvas.getContext("2d", { willReadFrequently: true });
  }

  get(key) {
    let sprite = this.made.get(key);
    if (!sprite) {
      this.pen.clearRect(0, 0, this.size, this.size);
      if (key !== EMPTY_KEY) drawCell(this.pen, this.size, this.gap, key, this.colours);
      const pixels = this.pen.getImageData(0, 0, this.size, this.size).data;
      sprite = new Uint32Array(pixels.buffer);
      this.made.set(key, sprite);
    }
    return sprite;
  }
}
