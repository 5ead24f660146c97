// A button that shows and hides what stands after it: field.css reads its aria-expanded.

// Plain keys are for this widget: the notebook around it would move or fold cells with them.
function keepKeys(element) {
  element.addEventListener("keydown", event => {
    if (event.key !== "Tab" && !event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
  });
}

export default {
  render({ model, el }) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "snnviz-fold-button";
    button.textContent = model.get("label");
    keepKeys(button);
    button.addEventListener("click", () => {
      model.set("opened", !model.get("opened"));
      model.save_changes();
    });
    const show = () => button.setAttribute("aria-expanded", String(model.get("opened")));
    show();
    model.on("change:opened", show);
    el.append(button);
    return () => model.off("change:opened", show);
  },
};
