// HTML that changes with every refresh of the lab, and comes last of what is refreshed. With it all is
// there: the other parts draw what is new of them in the same frame, for each frame takes time from
// training. They hear of it by "snnviz-refreshed".

import { hear } from "./hearing.js";

export default {
  initialize: hear,
  render({ model, el }) {
    const body = Object.assign(document.createElement("div"), { className: "snnviz-status-text" });
    el.append(body);
    let asked;
    const draw = () => {
      asked = undefined;
      body.innerHTML = model.get("value");
      document.dispatchEvent(new Event("snnviz-refreshed"));
    };
    const changed = () => {
      asked ??= requestAnimationFrame(draw);
    };
    model.on("change:value", changed);
    draw();
    return () => {
      model.off("change:value", changed);
      cancelAnimationFrame(asked);
    };
  },
};
