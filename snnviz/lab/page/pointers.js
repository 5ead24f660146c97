// Hints for the first time, one after another. They are popovers: they lie above the page, take neither
// place nor focus from it, and are not cut off. They come back from the button with the question mark.

import { make, put } from "./dom.js";
import { hear } from "./hearing.js";
import { clamp } from "./numbers.js";

// The browser's mark that they were dismissed; tests/browser/conftest.py sets it too.
const MARK = "snnviz-pointers";
const EDGE = 6; // pixels between a bubble and the lab's edge
const AWAY = 10; // and between a bubble and what it points to
const SQUARE = 16; // pixels of the canvas that stand for one neuron

const PLAY = ".snnviz-play";
const STATUS = ".snnviz-progress";
const SQUARES = ".snnviz-blocks";

// Where each points, the first that is there, and its sentence.
const HINTS = [
  [[PLAY], "Play trains the network, and everything below follows it step by step."],
  [
    [".snnviz-block canvas"],
    "Each square is a neuron: its colour is its factor, a cross means off, and a click opens its page.",
  ],
  [
    [".snnviz-asking", ".snnviz-grid-foot"],
    "What if these neurons were off? Select some with Shift and the mouse; then you can ask here.",
  ],
  [
    [".snnviz-fork"],
    "Go back to an epoch with the slider, and Fork starts a second run from there.",
  ],
];

function isDismissed() {
  try {
    return localStorage.getItem(MARK) !== null;
  } catch {
    return Boolean(window[MARK]);
  }
}

function dismissForGood() {
  window[MARK] = true; // as long as the page lives, where nothing can be stored
  try {
    localStorage.setItem(MARK, "dismissed");
  } catch {
    // it is private, or full
  }
}

class Pointers {
  constructor(el) {
    this.el = el;
    this.at = -1; // the hint that is shown
    this.undo = new AbortController();
    const { signal } = this.undo;
    const look = { type: "button", class: "snnviz-pointers-button", text: "?" };
    const named = { title: "Show the hints", "aria-label": "Show the hints" };
    this.opener = make("button", { parent: el, ...look, ...named, "aria-expanded": "false" });
    this.build();
    const on = (node, event, act, capture) =>
      node.addEventListener(event, act, { signal, capture });
    on(this.opener, "click", () => (this.at < 0 ? this.show(this.next(-1)) : this.dismiss()));
    on(this.further, "click", () => this.goOn(true));
    on(this.away, "click", () => this.dismiss());
    this.followed = (event) => {
      // what the first hint asks for is done
      if (this.at === 0 && event.target.closest(PLAY)) this.goOn();
    };
    on(this.bubble, "keydown", (event) => this.onKey(event));
    on(window, "scroll", () => this.place(), true);
    on(document, MARK, () => this.hide()); // dismissed in another lab of the page
    on(document, "snnviz-refreshed", () => this.place()); // the status may have grown
    this.resized = new ResizeObserver(() => this.place());
    this.inSight = false; // what is pointed to, where the notebook is scrolled to
    this.scrolled = new IntersectionObserver((seen) => {
      this.inSight = seen.at(-1).isIntersecting;
      this.place();
    });
    signal.addEventListener("abort", () => {
      this.resized.disconnect();
      this.scrolled.disconnect();
    });
  }

  build() {
    const bubble = {
      class: "snnviz-pointer",
      role: "group",
      "aria-label": "hint",
      popover: "manual",
    };
    this.bubble = make("div", { parent: this.el, ...bubble });
    this.words = make("p", { parent: this.bubble, "aria-live": "polite" });
    const row = make("div", { parent: this.bubble, class: "snnviz-pointer-row" });
    this.count = make("span", { parent: row });
    this.away = make("button", { parent: row, type: "button", text: "Dismiss" });
    this.further = make("button", { parent: row, type: "button", text: "Next" });
  }

  // Once the lab is in the page. In a file there is no kernel, and nothing to point to.
  begin() {
    this.lab = this.el.closest(".snnviz-lab");
    this.resized.observe(this.lab);
    this.lab.addEventListener("click", this.followed, { signal: this.undo.signal });
    const other = document.querySelector(".snnviz-pointer:popover-open");
    if (!other && !isDismissed()) this.show(this.next(-1));
  }

  // The next hint whose part can be seen in this lab; -1: there is none.
  next(from) {
    return HINTS.findIndex(([places], k) => k > from && this.find(places) !== undefined);
  }

  find(places) {
    const found = places.map((css) => this.lab?.querySelector(css));
    return found.find((part) => part?.checkVisibility());
  }

  show(k, asked = false) {
    if (k < 0) return;
    const [places, words] = HINTS[k];
    const part = this.find(places);
    if (asked) part.scrollIntoView({ block: "nearest" });
    this.scrolled.disconnect();
    this.scrolled.observe(part);
    if (this.at < 0) this.bubble.showPopover();
    this.at = k;
    put(this.words, words);
    this.opener.setAttribute("aria-expanded", "true");
    this.place();
  }

  // To the next hint; after the last one they are over.
  goOn(asked = false) {
    const next = this.next(this.at);
    if (next < 0) this.dismiss();
    else this.show(next, asked);
  }

  // Parts of a lab may come to the page one after another, so they are counted again.
  tellWhich() {
    const all = HINTS.flatMap(([css], i) => (this.find(css) ? [i] : []));
    put(this.count, `${all.indexOf(this.at) + 1} of ${all.length}`);
    put(this.further, this.next(this.at) < 0 ? "Done" : "Next");
  }

  // Beside what it points to: to the right of all squares, or else below or above, where it fits into
  // the window and covers neither squares nor the line of status. Between that line and Play there is
  // no room, so then it lies beyond the line.
  place() {
    if (this.at < 0) return;
    const part = this.find(HINTS[this.at][0]);
    this.bubble.style.visibility = part && this.inSight ? "" : "hidden";
    if (!part) return;
    this.tellWhich();
    const measure = (each) => each?.getBoundingClientRect();
    const [lab, box, own] = [this.lab, part, this.bubble].map(measure);
    const line = measure(this.lab.querySelector(STATUS));
    const squares = measure(this.lab.querySelector(SQUARES));
    const isSquare = part.tagName === "CANVAS";
    const right = Math.min(lab.right, window.innerWidth) - own.width - EDGE;
    const middle = box.left + (isSquare ? SQUARE : Math.min(box.width, 90)) / 2;
    const row = box.top + SQUARE / 2;
    const left = clamp(middle - 40, Math.max(lab.left, 0) + EDGE, right);
    const whole = isSquare ? squares : box;
    const below = { left, top: whole.bottom + AWAY, side: "below" };
    const above = { left, top: whole.top - AWAY - own.height, side: "above" };
    const lowest = window.innerHeight - own.height - EDGE;
    const beside = { left: whole.right + AWAY, top: Math.min(row - 24, lowest), side: "beside" };
    const beyond = { left, top: (line ?? box).bottom + EDGE, side: "below" };
    const places = isSquare ? [beside, below, above] : [below, above, beside];
    if (part.matches(PLAY)) places[2] = beyond;
    const fits = ({ left, top }) => top > 0 && top <= lowest && left <= right;
    const covers = ({ left, top }, other) =>
      other &&
      left < other.right &&
      left + own.width > other.left &&
      top < other.bottom &&
      top + own.height > other.top;
    const isFree = (at) => !covers(at, line) && !covers(at, squares);
    const fitting = places.filter(fits);
    const at = fitting.find(isFree) ?? (part.matches(PLAY) ? beyond : (fitting[0] ?? below));
    Object.assign(this.bubble.style, { left: `${at.left}px`, top: `${at.top}px` });
    const tip = at.side === "beside" ? [row - at.top, own.height] : [middle - at.left, own.width];
    this.bubble.style.setProperty("--snnviz-tip", `${clamp(tip[0], 14, tip[1] - 14)}px`);
    this.bubble.dataset.side = at.side;
  }

  onKey(event) {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    this.dismiss();
  }

  dismiss() {
    dismissForGood();
    document.dispatchEvent(new Event(MARK));
  }

  hide() {
    if (this.at < 0) return;
    if (this.bubble.contains(document.activeElement)) this.opener.focus();
    this.at = -1;
    this.scrolled.disconnect();
    this.bubble.hidePopover();
    this.opener.setAttribute("aria-expanded", "false");
  }
}

export default {
  initialize: hear,
  render({ model, el }) {
    const pointers = new Pointers(el);
    const attached = new ResizeObserver(() => {
      if (!el.closest(".snnviz-lab")?.querySelector(".snnviz-play")) return;
      attached.disconnect();
      if (model.widget_manager?.kernel) pointers.begin();
      else pointers.lab = el.closest(".snnviz-lab");
    });
    attached.observe(el);
    return () => {
      attached.disconnect();
      pointers.undo.abort();
    };
  },
};
