// HTML that changes often, in one frame with the grid; see there.

const TICK = 50; // ms

export default {
  render({ model, el }) {
    const body = Object.assign(document.createElement("div"), { className: "snnviz-status-text" });
    el.append(body);
    let soon, asked;
    const draw = () => { asked = undefined; body.innerHTML = model.get("value"); };
    const changed = () => {
      soon ??= setTimeout(() => { soon = undefined; asked ??= requestAnimationFrame(draw); }, TICK - performance.now() % TICK);
    };
    model.on("change:value", changed);
    draw();
    return () => {
      model.off("change:value", changed);
      clearTimeout(soon);
      cancelAnimationFrame(asked);
    };
  },
};
