// A sheet that shows a result, until it is closed; see sheet.py.

import { make, put } from "../page/dom.js";
import { hear } from "../page/hearing.js";

export default {
  initialize: hear,
  render({ model, el }) {
    const undo = new AbortController();
    const { signal } = undo;
    const root = make("section", {
      class: "snnviz-sheet-body",
      parent: el,
      "aria-label": "result",
    });
    const head = make("div", { class: "snnviz-sheet-head", parent: root });
    const title = make("h3", { parent: head });
    const said = make("span", { class: "snnviz-sheet-said", parent: head, role: "status" });
    const button = (text, name, act) => {
      const look = { type: "button", text, title: name, "aria-label": name };
      const made = make("button", { parent: head, ...look });
      made.addEventListener("click", act, { signal });
      return made;
    };
    const body = make("div", { parent: root, "aria-live": "polite" });
    const lines = make("pre", { parent: root, tabindex: 0, "aria-label": "Python lines" });

    const copy = async () => {
      try {
        await navigator.clipboard.writeText(model.get("code"));
        put(said, "Copied.");
      } catch {
        getSelection().selectAllChildren(lines);
        put(said, "Selected: copy it with Ctrl+C.");
      }
    };
    const close = () => {
      model.set("opened", false);
      model.save_changes();
      const buttons = el.closest(".snnviz-lab")?.querySelectorAll(".snnviz-others button");
      [...(buttons ?? [])].at(-1)?.focus();
    };
    const again = button("Copy", "Copy these lines", copy);
    button("×", "close the result (Esc)", close);
    root.addEventListener(
      "keydown",
      (event) => {
        if (event.key !== "Escape") return;
        event.preventDefault();
        event.stopPropagation();
        close();
      },
      { signal },
    );

    const draw = () => {
      const code = model.get("code");
      root.hidden = !model.get("opened");
      put(title, model.get("title"));
      body.innerHTML = model.get("html");
      put(lines, code);
      lines.hidden = again.hidden = !code;
    };
    const present = () => {
      draw();
      put(said, "");
      if (model.get("code")) copy();
    };
    draw();
    model.on("change:opened", draw);
    model.on("change:shown", present);
    return () => {
      undo.abort();
      model.off("change:opened", draw);
      model.off("change:shown", present);
    };
  },
};
