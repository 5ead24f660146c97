// What the kernel sends at a time comes in pieces. All parts of the lab draw what is new of them in
// one frame, with the status (readout.js): each frame takes time from training.

const PATIENCE = 60; // ms that what is new waits for the rest of the lab's refresh

// Gives a function to call when something is new; `draw` is called soon afterwards, once.
export function drawTogether(draw, signal) {
  let waiting;
  let frame;
  const inNextFrame = () => {
    waiting = undefined;
    frame ??= requestAnimationFrame(() => {
      frame = undefined;
      draw();
    });
  };
  const now = () => {
    if (waiting === undefined) return;
    clearTimeout(waiting);
    waiting = undefined;
    draw();
  };
  document.addEventListener("snnviz-refreshed", now, { signal });
  signal.addEventListener("abort", () => {
    clearTimeout(waiting);
    cancelAnimationFrame(frame);
  });
  return () => {
    waiting ??= setTimeout(inNextFrame, PATIENCE);
  };
}
