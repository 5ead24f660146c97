// Colours of the neurons: a scale for factors, with 1 in its middle, and flat ones for off and NaN.

import { clamp } from "../page/numbers.js";

export const LEVELS = 64; // steps of the colour scale; 1 is the middle one
export const OFF_KEY = LEVELS + 1;
export const NAN_KEY = LEVELS + 2;
const TOPS = [2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000]; // upper ends of the scale
const CIVIDIS =
  "00224e 002e6a 1a386f 32436d 434e6c 535a6d 61656f 6f7073 7d7c78 " +
  "8c8878 9b9476 aba072 bcae6c cdbb63 dec958 f0d846 fee838";
export const THEMES = {
  light: {
    panel: "#ffffff",
    ink: "#111111",
    off: "#e8e8e8",
    cross: "#a0a0a0",
    nan: "#ffffff",
    negative: "#762a83",
    neutral: "#f7f7f7",
    positive: "#1b7837",
  },
  dark: {
    panel: "#111111",
    ink: "#ffffff",
    off: "#2f2f2f",
    cross: "#7c7c7c",
    nan: "#111111",
    negative: "#d39be0",
    neutral: "#222222",
    positive: "#6fd083",
  },
};

export const rgb = (hex) => [1, 3, 5].map((k) => Number.parseInt(hex.slice(k, k + 2), 16));
export const css = (colour) => `rgb(${colour.map(Math.round).join(" ")})`;
export const mix = (a, b, share) => a.map((v, k) => v + share * (b[k] - v));

const STOPS = CIVIDIS.split(" ").map((hex) => rgb(`#${hex}`));

function cividis(share) {
  const at = clamp(share, 0, 1) * (STOPS.length - 1);
  const k = Math.min(Math.floor(at), STOPS.length - 2);
  return mix(STOPS[k], STOPS[k + 1], at - k);
}

export const PALETTE = Array.from({ length: LEVELS + 1 }, (_, k) => cividis(k / LEVELS));

// 0 to 1 on the lower half of the scale, 1 to `top` on the upper one. Just above 0 is not off.
// `answer`: what is shown instead of a factor that is not 0, from 0 to 1.
export function level(factor, top, answer) {
  if (factor === 0) return OFF_KEY;
  if (!Number.isFinite(factor)) return NAN_KEY;
  if (answer !== undefined) return clamp(Math.round(answer * LEVELS), 0, LEVELS);
  const share = factor <= 1 ? factor / 2 : 0.5 + (0.5 * (factor - 1)) / (top - 1);
  return clamp(Math.round(share * LEVELS), 0, LEVELS);
}

// The scale's upper end leaves out the largest hundredth. It moves in few steps and not back at
// once, for each change of it recolours every cell.
export function topOf(factors, before) {
  const above = TOPS.map(() => 0);
  let on = 0;
  for (const factor of factors) {
    if (!(factor > 0 && factor < Infinity)) continue;
    on++;
    for (let k = 0; factor > TOPS[k]; k++) above[k]++;
  }
  const top = TOPS[above.findIndex((n) => n <= on / 100)] ?? TOPS.at(-1);
  return top <= before && top > before / 4 ? before : top;
}
