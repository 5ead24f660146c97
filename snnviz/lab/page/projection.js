// The lab on the whole screen, in large type; projection.css shows and hides by data-enlarged, which
// says how many times as large as usual letters and squares are.

import { make } from "./dom.js";
import { hear } from "./hearing.js";

const USUAL = 13; // pixels of a letter in the notebook
const [SMALLEST, LARGEST] = [15, 44]; // the same here
// Of the window's height and width: 20 pixels at 1280 × 720.
const [OF_HEIGHT, OF_WIDTH] = [0.028, 0.0157];
const TYPED = "input:not([type=range], [type=radio], [type=checkbox]), textarea, select";
const ENTER = "Show the neurons and one figure on the whole screen, in large type (P)";
const LEAVE_IT = "Back to the notebook (P or Esc)";

class Projection {
  constructor(el) {
    this.el = el;
    this.root = null; // the lab, while it is projected
    this.silenced = []; // what lies behind it
    this.undo = new AbortController();
    const { signal } = this.undo;
    this.button = make("button", { parent: el, type: "button", class: "snnviz-project" });
    this.button.addEventListener("click", () => this.turn(), { signal });
    const listen = (event, act, capture) =>
      window.addEventListener(event, act, { signal, capture });
    listen("keydown", (event) => this.onKey(event), true);
    listen("resize", () => this.measure(), true);
    document.addEventListener("fullscreenchange", () => this.follow(), { signal });
    this.label();
  }

  label() {
    const [title, text] = this.root ? [LEAVE_IT, "Leave"] : [ENTER, "Project"];
    this.button.title = title;
    this.button.textContent = text;
    this.button.setAttribute("aria-pressed", String(this.root !== null));
  }

  // Before the notebook hears of it. Nothing but the lab is there for keys while it is projected.
  onKey(event) {
    const { root } = this;
    const lab = this.el.closest(".snnviz-lab");
    const inside = Boolean(lab?.contains(event.target));
    if (!root && !inside) return;
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    const key = plain ? event.key.toLowerCase() : "";
    const pressed = key === "p" && !event.target.matches?.(TYPED);
    if (pressed || (root && key === "escape")) {
      event.preventDefault();
      event.stopImmediatePropagation();
      if (!event.repeat) this.turn();
    } else if (root && !inside && key !== "tab") event.stopImmediatePropagation();
  }

  turn() {
    if (this.root) this.leave();
    else this.enter();
  }

  enter() {
    const root = this.el.closest(".snnviz-lab");
    if (!root) return;
    this.root = root;
    this.silence();
    this.measure();
    this.label();
    // Where the browser refuses, it fills the window: a popover lies above all that is in the page.
    const fill = () => {
      if (this.root !== root || document.fullscreenElement === root) return;
      root.popover = "manual";
      root.showPopover();
    };
    if (document.fullscreenEnabled) root.requestFullscreen().catch(fill);
    else fill();
  }

  leave() {
    const { root } = this;
    if (!root) return;
    this.root = null;
    for (const each of this.silenced.splice(0)) each.inert = false;
    if (document.fullscreenElement === root) document.exitFullscreen();
    root.popover = null;
    delete root.dataset.enlarged;
    root.style.removeProperty("--snnviz-enlarged");
    this.label();
    this.tell();
    root.scrollIntoView({ block: "start" });
  }

  // The browser has left it by itself, as it does at Escape.
  follow() {
    const { root } = this;
    if (root && !root.popover && document.fullscreenElement !== root) this.leave();
  }

  // Whatever is not the lab cannot be seen, so it cannot be reached either.
  silence() {
    for (let at = this.root; at && at !== document.body; at = at.parentElement)
      for (const other of at.parentElement?.children ?? [])
        if (other !== at && !other.inert) {
          other.inert = true;
          this.silenced.push(other);
        }
  }

  measure() {
    if (!this.root) return;
    const wanted = Math.min(OF_HEIGHT * window.innerHeight, OF_WIDTH * window.innerWidth);
    const times = Math.min(Math.max(wanted, SMALLEST), LARGEST) / USUAL;
    this.root.dataset.enlarged = times.toFixed(3);
    this.root.style.setProperty("--snnviz-enlarged", times.toFixed(3));
    this.tell();
  }

  // For the parts that measure and draw by themselves.
  tell() {
    document.dispatchEvent(new Event("snnviz-enlarged"));
  }
}

export default {
  initialize: hear,
  render({ el }) {
    const projection = new Projection(el);
    return () => {
      projection.leave();
      projection.undo.abort();
    };
  },
};
