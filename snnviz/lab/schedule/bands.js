// The bands of the timeline: what each epoch was, or is planned to be, and in which rounds.

import { set, svg } from "../page/dom.js";
import { BAND, TOP } from "./scale.js";

const STRIPES = 11; // pixels of a round from which on rounds are drawn one by one
export const NAMES = {
  warmup_epochs: "warm-up epochs",
  freeze_epochs: "frozen epochs",
  task_steps: "task steps",
  switcher_steps: "switcher steps",
  task_lr: "task learning rate",
  switcher_lr: "switcher learning rate",
  epochs: "number of epochs",
};

// `origin`: where the first round of this kind began. `axis`: { x, unit, hatch }, with the pixels of an
// epoch and the id of the pattern for frozen epochs. `live`: there is an editor to go to.
export function drawBand(group, band, origin, axis, live) {
  const x0 = axis.x(band.start);
  const x1 = axis.x(band.end);
  const w = Math.max(x1 - x0 - 1, 1);
  set(group, {
    class: `snnviz-tl-band ${band.done ? "snnviz-tl-done" : "snnviz-tl-planned"}`,
    "data-field": band.field,
    "data-kind": band.kind,
    "aria-label": live ? `${band.words}. Enter: set ${NAMES[band.field]}` : band.words,
  });
  const rects = parts(band, x0, w, origin, axis);
  const rounds = rects.length > 1 && rects[1].height === BAND && band.kind === "alternating";
  const label = labelFor(band, w, rounds);
  const items = [
    ...rects,
    { class: "snnviz-tl-outline", x: x0, y: TOP, width: w, height: BAND, rx: 2 },
  ];
  const shapes = [...group.querySelectorAll("rect")];
  while (shapes.length > items.length) shapes.pop().remove();
  while (shapes.length < items.length) {
    const made = svg("rect");
    group.prepend(made);
    shapes.unshift(made);
  }
  items.forEach((item, k) => {
    if (!item["data-field"]) shapes[k].removeAttribute("data-field");
    if (!item.fill) shapes[k].removeAttribute("fill");
    set(shapes[k], item);
  });
  const text =
    group.querySelector("text") ?? svg("text", { class: "snnviz-tl-name", parent: group });
  set(text, { x: x0 + w / 2, y: label.y, "text-anchor": "middle", "data-on": label.on });
  text.textContent = label.text;
}

// The rectangles of a band: one colour, two by their share of steps, or every round by itself.
function parts(band, x, width, origin, axis) {
  const whole = { y: TOP, height: BAND, rx: 0 };
  const task = { ...whole, class: "snnviz-tl-fill-task" };
  if (band.kind === "frozen") {
    const fill = `url(#${axis.hatch})`;
    return [
      { ...task, x, width },
      { ...whole, class: "snnviz-tl-over", fill, x, width },
    ];
  }
  const switcher = { ...whole, class: "snnviz-tl-fill-switcher", "data-field": "switcher_steps" };
  const all = band.task + band.switcher;
  if (band.kind !== "alternating" || (!band.switcher && !band.round))
    return [{ ...task, x, width }];
  const [t, s] = band.round ?? [band.task, band.switcher];
  const round =
    band.round && band.task ? (((band.end - band.start) * t) / band.task) * axis.unit : 0;
  if (round >= STRIPES) {
    const made = [{ ...task, x, width }];
    for (let at = axis.x(origin); at < x + width; at += round) {
      const from = Math.max(at + (round * t) / (t + s), x);
      const to = Math.min(at + round, x + width);
      if (to - from > 0.5) made.push({ ...switcher, x: from, width: to - from });
    }
    return made;
  }
  const share = all && band.done ? band.switcher / all : s / (t + s);
  const low = Math.min(Math.max(BAND * share, 5), BAND - 5);
  return [
    { ...task, x, width, height: BAND - low },
    { ...switcher, x, width, y: TOP + BAND - low, height: low },
  ];
}

function labelFor(band, width, rounds) {
  const [t, s] = band.round ?? [0, 0];
  const name =
    { "warm-up": "warm-up", frozen: "frozen", "task only": "task steps only" }[band.kind] ??
    (t ? `alternating ${t} : ${s}` : "alternating");
  const choices = [name, name.split(" ")[0]];
  const text = choices.find((choice) => choice.length * 6.8 + 10 < width) ?? "";
  if (rounds) return { text, y: TOP + BAND / 2 + 4, on: "rounds" };
  const low = band.kind === "alternating" && s > t;
  const share = t + s ? s / (t + s) : 0;
  const middle = low ? TOP + BAND * (1 - share / 2) : TOP + (BAND * (1 - (s ? share : 0))) / 2;
  return { text, y: Math.round(middle + 4), on: low ? "switcher" : "task" };
}
