// Numbers, and how they are written.

export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
export const count = (n) => n.toLocaleString("en-US");

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

// Two decimals for what is small, none for what is large: 1.60, 512, 3·10⁻⁴.
export function decimals(value) {
  if (!Number.isFinite(value)) return "not a number";
  const size = Math.abs(value);
  if (size > 0 && size < 0.005) {
    const raised = (digits) => [...digits].map((digit) => SUPERSCRIPTS[digit]).join("");
    return value.toExponential(0).replace("e-", "·10⁻").replace(/\d+$/, raised);
  }
  return value.toFixed(size < 100 ? 2 : 0).replace("-", "−");
}

// At most three digits that count: 0.05, 0.000123.
export function digits(value) {
  return value === 0 ? "0" : String(Number(value.toPrecision(3)));
}

// In whole percent, rounded as the status rounds it; 0 and 100 are none and all.
export function percent(on, n) {
  const share = Math.floor((100 * on) / n + 0.5);
  return on > 0 && on < n ? clamp(share, 1, 99) : n ? share : 0;
}
