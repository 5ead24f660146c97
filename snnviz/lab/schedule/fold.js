// A button that shows and hides what stands after it: field.css reads its aria-expanded.

export default {
  render({ model, el }) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "snnviz-fold-button";
    button.textContent = model.get("label");
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
