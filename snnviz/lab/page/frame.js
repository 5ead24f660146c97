// What the page does for the lab as a whole; see frame.py.

import { bringIntoSight, make } from "./dom.js";
import { hear } from "./hearing.js";

// JupyterLab and Notebook 7 leave a key alone if the element that has the focus says so. It must be
// that very element: most of their shortcuts look no further.
const LEAVE = "data-lm-suppress-shortcuts";
const EDITED = "input[type=text], input[type=number], textarea, [role=application]";
// What a screen reader calls those widgets of ipywidgets that no trait gives a name to.
const NAMES = {
  ".snnviz-moment .noUi-handle": "epoch that is shown",
  ".snnviz-fork-name input": "name of the fork (optional)",
  ".snnviz-saving .widget-text input": "width in inches",
};

// What is shown is of before once nobody keeps it up to date. A message says so, and all else is
// greyed.
const LOST = "The connection to the kernel is lost. What you see is from before.";
const ENDED =
  "The kernel has restarted or stopped, and this lab with it. Run this cell again, or open a run " +
  "folder with Lab.open(folder).";
const LOOK_EVERY = 1000; // ms
const LEAST_SEEN = 80; // pixels of the neurons that are enough to watch them

// What a kernel says of itself when it ends, or starts again without having said so: another page, or
// a program, had it restarted.
const ENDS = ["restarting", "autorestarting", "terminating", "dead", "starting"];

// Whether a message shows that the process is no longer that of `process`. A busy server may miss the
// one message in which the new process says that it starts; any later one has another sender.
function isOfAnother(process, { header }) {
  return header.msg_type === "shutdown_reply" || header.session !== process;
}

// Why nobody keeps the lab up to date; "" as long as somebody does.
function whyStale(kernel, ended, root) {
  if (!kernel) return "";
  // ipywidgets marks so what has no counterpart in the kernel any more.
  if (ended || root.querySelector(".jupyter-widgets-disconnected")) return ENDED;
  return kernel.connectionStatus === "connected" ? "" : LOST;
}

function tellStale(root, why) {
  let said = root.querySelector(":scope > .snnviz-gone");
  if ((said?.textContent ?? "") === why) return;
  said?.remove();
  for (const part of root.children) part.inert = why !== "";
  root.toggleAttribute("data-gone", why !== "");
  if (!why) return;
  said = make("div", { class: "snnviz-gone", role: "alert", text: why });
  root.prepend(said);
}

// Plain keys are the lab's, and Ctrl+Z and the like where there is something to edit. Others, as
// Ctrl+S, are not.
function isOurs(event) {
  if (event.altKey) return false;
  if (!event.ctrlKey && !event.metaKey) return true;
  return event.target.matches(EDITED) && "acvxyz".includes(event.key.toLowerCase());
}

// Who presses Play where the head alone is in sight (JupyterLab scrolls to the next cell once a cell has
// run) is taken to the neurons, for what follows happens there.
function showNeurons(root) {
  const blocks = root.querySelector(".snnviz-blocks");
  if (!blocks?.checkVisibility()) return;
  const head = root.querySelector(".snnviz-top").getBoundingClientRect();
  const box = blocks.getBoundingClientRect();
  const seen = Math.min(box.bottom, window.innerHeight) - Math.max(box.top, head.bottom);
  if (seen > Math.min(box.height, LEAST_SEEN)) return;
  bringIntoSight(root, "start");
}

// The way past all buttons, for those who come by keyboard; not in a lab without neurons.
function addSkip(root) {
  if (!root.querySelector(".snnviz-blocks") || root.querySelector(":scope > .snnviz-skip")) return;
  const skip = make("a", { class: "snnviz-skip", href: "#", text: "Skip to the neurons" });
  skip.addEventListener("click", (event) => {
    event.preventDefault();
    root.querySelector(".snnviz-blocks")?.focus();
  });
  root.prepend(skip);
}

export default {
  initialize: hear,
  render({ model, el }) {
    const undo = new AbortController();
    const { signal } = undo;
    let root = null;

    // Before anyone else hears of the key: Notebook 7 is told of it on its way down.
    const mark = (event) => {
      const { target } = event;
      if (root?.contains(target)) target.toggleAttribute(LEAVE, isOurs(event));
    };
    window.addEventListener("keydown", mark, { signal, capture: true });

    // The notebook would take the focus. Escape is the way back to it, where no part of the lab has a
    // use for that key.
    const keep = (event) => {
      if (isOurs(event) && event.key !== "Tab") event.stopPropagation();
      if (event.key === "Escape" && !event.defaultPrevented) root.closest(".jp-Cell")?.focus();
    };

    const measured = new ResizeObserver(([{ target }]) => {
      root.style.setProperty("--snnviz-top", `${target.offsetHeight}px`);
    });

    const name = () => {
      for (const [css, words] of Object.entries(NAMES)) {
        for (const found of root.querySelectorAll(`${css}:not([aria-label])`))
          found.ariaLabel = words;
      }
      const event = root.querySelector(".snnviz-event:not([aria-live])");
      if (event) event.ariaLive = "polite"; // before it says anything
      addSkip(root);
    };
    const grown = new MutationObserver(name);

    // In the file of a notebook there is no kernel; its picture is there instead of the lab.
    const first = model.widget_manager?.kernel;
    let ended = false; // for good: a new process knows nothing of this lab
    let process = null; // the sender of what came first
    const look = () => {
      const kernel = model.widget_manager?.kernel ?? first;
      if (root) tellStale(root, whyStale(kernel, ended, root));
    };
    const end = () => {
      ended = true;
      look();
    };
    const hear = () => ENDS.includes(first.status) && end();
    const hearAny = (_, { msg, direction }) => {
      if (direction !== "recv" || ended) return;
      process ??= msg.header.session;
      if (isOfAnother(process, msg)) end();
    };
    first?.statusChanged?.connect(hear);
    first?.anyMessage?.connect(hearAny);
    first?.connectionStatusChanged?.connect(look);
    const watch = setInterval(look, LOOK_EVERY); // for what is not said

    const attached = new ResizeObserver(() => {
      // once it is in the page, it has a size
      root = el.closest(".snnviz-lab");
      if (!root) return;
      attached.disconnect();
      root.addEventListener("keydown", keep, { signal });
      const follow = ({ target }) => target.closest(".snnviz-play") && showNeurons(root);
      root.addEventListener("click", follow, { signal });
      const top = root.querySelector(".snnviz-top");
      if (top) measured.observe(top);
      grown.observe(root, { childList: true, subtree: true });
      name();
    });
    attached.observe(el);
    return () => {
      undo.abort();
      clearInterval(watch);
      first?.statusChanged?.disconnect(hear);
      first?.anyMessage?.disconnect(hearAny);
      first?.connectionStatusChanged?.disconnect(look);
      attached.disconnect();
      measured.disconnect();
      grown.disconnect();
    };
  },
};
