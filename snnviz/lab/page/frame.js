// What the page does for the lab as a whole; see frame.py.

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

// Plain keys are the lab's, and Ctrl+Z and the like where there is something to edit. Others, as
// Ctrl+S, are not.
function isOurs(event) {
  if (event.altKey) return false;
  if (!event.ctrlKey && !event.metaKey) return true;
  return event.target.matches(EDITED) && "acvxyz".includes(event.key.toLowerCase());
}

export default {
  render({ el }) {
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
    };
    const grown = new MutationObserver(name);

    const attached = new ResizeObserver(() => {
      // once it is in the page, it has a size
      root = el.closest(".snnviz-lab");
      if (!root) return;
      attached.disconnect();
      root.addEventListener("keydown", keep, { signal });
      const top = root.querySelector(".snnviz-top");
      if (top) measured.observe(top);
      grown.observe(root, { childList: true, subtree: true });
      name();
    });
    attached.observe(el);
    return () => {
      undo.abort();
      attached.disconnect();
      measured.disconnect();
      grown.disconnect();
    };
  },
};
