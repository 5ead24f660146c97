"""How long the neuron grid takes to draw many neurons, and whether its memory stays flat.

    python benchmarks/grid.py

That is 10,000 of them in four groups, and those of two networks with many groups. The grid's script
runs in headless Chromium with a stand-in for the widget's model, so that its own time is all there
is: from a change of the traits to the last pixel written. Beside the clock in the page stands
Chromium's own count of script time. Nothing is measured of the kernel, the network, or the painting
that Chromium does outside of scripts.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import machine
from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the browser is that of the tests

import snnviz as sv  # noqa: E402
from snnviz.lab.neurons import Grid  # noqa: E402
from tests.browser.jupyter import running_chromium  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "grid.json"
GROUPS = {"conv1": 500, "conv2": 1500, "fc1": 5000, "fc2": 3000}
NETWORKS = ("resnet18", "vit_tiny")
AIM, AIM_NETWORKS = 16.0, 150.0  # milliseconds
REFRESHES = 1000

PAGE = """
class Model {
  constructor(state) { this.state = state; this.on_change = {}; }
  get(name) { return this.state[name]; }
  set(name, value) {
    this.state[name] = value;
    this.on_change["change:" + name]?.forEach(act => act());
  }
  on(name, act) { (this.on_change[name] ??= new Set()).add(act); }
  off(name, act) { this.on_change[name]?.delete(act); }
  save_changes() {}
  send() {}
}
const groups = GROUPS, n = groups.reduce((sum, [, size]) => sum + size, 0);
let seed = 1; // the same numbers every time
const random = () => ((seed = (1103515245 * seed + 12345) % 2147483648) / 2147483648);
const factor = () => (random() < 0.5 ? 0 : 0.05 + 3 * random());
const model = new Model({
  groups, factors: new DataView(Float32Array.from({ length: n }, factor).buffer),
  flipped: new DataView(new Int32Array(n).buffer), marks: new DataView(new ArrayBuffer(n)),
  moment: "", selected: [], opened: -1, page: {},
});

// Only what the widget itself does counts: its frames are timed where they are run.
let spent = 0;
const frame = window.requestAnimationFrame.bind(window);
window.requestAnimationFrame = act => frame(() => {
  const began = performance.now();
  act();
  spent += performance.now() - began;
});

let began = performance.now();
widget.render({ model, el: document.getElementById("grid") });
window.opened = performance.now() - began;
window.refresh = share => new Promise(done => {
  const factors = new Float32Array(model.get("factors").buffer.slice(0));
  for (let k = 0; k < n; k++) if (random() < share) factors[k] = factor();
  spent = 0;
  began = performance.now();
  model.set("factors", new DataView(factors.buffer));
  model.set("moment", `now, step ${seed}`);
  document.dispatchEvent(new Event("snnviz-refreshed")); // as the status does, which comes last
  const asked = performance.now() - began;
  frame(() => done(asked + spent)); // after the widget's own frame
});
window.shown = () => document.querySelectorAll(".snnviz-block canvas").length;
"""


def groups_of(name: str) -> dict[str, int]:
    """The switch groups of a network by name, for Fashion-MNIST, and their neurons."""
    data = sv.load_data("fashion-mnist", device="cpu")
    return sv.Trainer(sv.network(name, data), data, device="cpu").history.groups


def open_grid(browser: Browser, ratio: float, sizes: dict[str, int] = GROUPS) -> Page:
    """A page with the grid, and nothing else."""
    context = browser.new_context(
        viewport={"width": 1400, "height": 1000}, device_scale_factor=ratio
    )
    page = context.new_page()
    page.set_content(f"<style>{Grid._css}</style><div id=grid></div>")
    groups = json.dumps([list(item) for item in sizes.items()])
    widget = str(Grid._esm).replace("export default", "const widget =")
    page.add_script_tag(content=f"{{{widget}\n{PAGE.replace('GROUPS', groups)}}}")
    assert page.evaluate("shown()") == len(sizes)
    page.wait_for_timeout(500)
    return page


def measure(page: Page, share: float, n: int, aim: float = AIM) -> dict[str, float | str]:
    """Milliseconds a redraw in which so large a share of the neurons has a new factor."""
    cdp = page.context.new_cdp_session(page)
    cdp.send("Performance.enable")
    before = script_seconds(cdp)
    times = [page.evaluate("share => refresh(share)", share) for _ in range(n)]
    counted = 1000 * (script_seconds(cdp) - before) / n
    return {
        "median": round(statistics.median(times), 2),
        "95 of 100": round(statistics.quantiles(times, n=20)[-1], 2),
        "most": round(max(times), 2),
        "by Chromium's count, with the making of the factors": round(counted, 2),
        "redraws": n,
        "aim": f"< {aim:g}",
    }


def script_seconds(cdp: Any) -> float:
    metrics = cdp.send("Performance.getMetrics")["metrics"]
    return next(each["value"] for each in metrics if each["name"] == "ScriptDuration")


def heap(page: Page) -> int:
    """Bytes in use on the page after a collection."""
    cdp = page.context.new_cdp_session(page)
    cdp.send("HeapProfiler.collectGarbage")
    return int(page.evaluate("performance.memory.usedJSHeapSize"))


def memory(page: Page) -> dict[str, float | int]:
    """Megabytes before and after many refreshes."""
    refresh = "async n => { for (let k = 0; k < n; k++) await refresh(0.05); }"
    page.evaluate(refresh, 50)
    before = heap(page)
    page.evaluate(refresh, REFRESHES)
    after = heap(page)
    return {
        "refreshes": REFRESHES,
        "before, MB": round(before / 1e6, 2),
        "after, MB": round(after / 1e6, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--redraws", type=int, default=200)
    n = parser.parse_args().redraws
    results: dict[str, Any] = {
        "command": "python benchmarks/grid.py",
        "machine": machine.describe(),
        "neurons": sum(GROUPS.values()),
        "what": "milliseconds of script time a redraw",
    }
    with running_chromium() as browser:
        results["chromium"] = browser.version
        for ratio in (1, 2):
            page = open_grid(browser, ratio)
            results[f"at {ratio} device pixels a pixel"] = {
                "opened for the first time": round(page.evaluate("opened"), 1),
                "all neurons changed": measure(page, 1, n),
                "one in twenty changed": measure(page, 0.05, n),
                "none changed": measure(page, 0, n),
            }
            if ratio == 1:
                results["memory"] = memory(page)
            page.context.close()
        for name in NETWORKS:
            sizes = groups_of(name)
            page = open_grid(browser, 1, sizes)
            results[name] = {
                "groups": len(sizes),
                "neurons": sum(sizes.values()),
                "opened for the first time": round(page.evaluate("opened"), 1),
                "all neurons changed": measure(page, 1, n, AIM_NETWORKS),
            }
            page.context.close()
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
