// A button that shows and hides what comes after it: fold.css reads its aria-expanded.

import { make } from "./dom.js";
import { hear } from "./hearing.js";

export default {
  initialize: hear,
  render({ model, el }) {
    const look = { type: "button", class: "snnviz-fold-button", text: model.get("label") };
    const button = make("button", { parent: el, ...look });
    button.addEventListener("click", () => {
      model.set("opened", !model.get("opened"));
      model.save_changes();
    });
    const show = () => button.setAttribute("aria-expanded", String(model.get("opened")));
    show();
    model.on("change:opened", show);
    return () => model.off("change:opened", show);
  },
};
