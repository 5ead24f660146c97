// Widgets whose scripts came late. anywidget gives a script two seconds from when the page is told
// of its widget. One that comes later, on a busy machine or over a slow line, shows the widget as it
// was at first, but whatever the kernel tells that widget afterwards is thrown away (anywidget 0.11,
// `Runtime.ready`).

const NO_EFFECT = { content: { data: { method: "nothing" } } }; // a message

// For a script's `initialize`: a widget that came late listens again, and is told what it missed.
export function hear({ model }) {
  const check = (widget) => {
    model.off("change:asked", check);
    widget._handle_comm_msg?.(NO_EFFECT).catch(() => listenAgain(widget));
  };
  model.on("change:asked", check); // only an event hands over the widget that `model` stands for
  model.set("asked", model.get("asked") + 1);
}

function listenAgain(widget) {
  const { comm } = widget;
  if (!comm) return; // there is no kernel
  const { _handle_comm_msg: take } = Object.getPrototypeOf(Object.getPrototypeOf(widget));
  // What has been set since the whole state was asked for is newer than that state.
  const newer = new Set();
  const note = () => {
    for (const name of Object.keys(widget.changedAttributes() || {})) newer.add(name);
  };
  widget.on("change", note);
  comm.on_msg((message) => {
    const { state } = message.content.data;
    if (state?._esm !== undefined) {
      widget.off("change", note);
      for (const name of newer) delete state[name];
    }
    return take.call(widget, message);
  });
  comm.send({ method: "request_state" });
}
