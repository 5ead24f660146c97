"""What the lab costs: training's pace with it, memory over many refreshes, and how fast it opens.

    python benchmarks/lab.py

Pace is a ratio, taken pair by pair in one kernel: a script's loop and an open lab that plays, in
turn. Once without a page, once with a page of JupyterLab in headless Chromium that shows the lab,
on the same machine. Where a machine is shared, as most rented ones are, its speed may change by
half within seconds, and such ratios say little. So the processor time of all but training is taken
too: where each step needs all cores, training waits at most as long as one of them does something
else. Memory is that after a garbage collection, of the kernel and of the page.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import machine
import psutil
from playwright.sync_api import Page
from speed import summary

from benchmarks.lab_side import EPOCHS, STEPS, make_run
from tests.browser import jupyter
from tests.lab.kernels import running_kernel

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "lab.json"
REFRESHES, MARKS = 1000, 5
SETTLED = 3.0  # seconds after Play, which has the page bring the neurons into sight
BEGIN = "from benchmarks.lab_side import *"
Run = Callable[[str], str]


# --- kernels ----------------------------------------------------------------------------------


@contextmanager
def kernel_alone(folder: Path) -> Iterator[Run]:
    with running_kernel(version("ipykernel"), folder, patience=1800) as kernel:
        kernel.run(BEGIN)
        yield kernel.run


@contextmanager
def notebook() -> Iterator[Page]:
    """A page with an empty notebook, whose kernel is ready."""
    with tempfile.TemporaryDirectory() as folder:
        server = jupyter.running_server(Path(folder) / "jupyter")
        with server as running, jupyter.running_chromium() as browser:
            page = browser.new_page(base_url=running.url, viewport={"width": 1400, "height": 1000})
            page.request.get(f"/login?token={running.token}", max_redirects=0)
            jupyter.write_notebook(running.root / "lab.ipynb", [""])
            jupyter.open_notebook(page, "lab.ipynb")
            jupyter.run_code(page, BEGIN)
            yield page


def quietly(page: Page, code: str, timeout: float = 1800) -> str:
    """What code prints that is run without a cell, which would be part of the page's memory."""
    return jupyter._in_page(
        page,
        """async (app, panel, code) => {
            const kernel = panel.sessionContext.session.kernel;
            const future = kernel.requestExecute({code, store_history: false});
            let text = "";
            future.onIOPub = message => {
                const content = message.content;
                text += content.text ?? content.traceback?.join("\\n") ?? "";
            };
            const reply = await future.done;
            if (reply.content.status !== "ok") throw Error(text);
            return text;
        }""",
        timeout,
        code,
    )


# --- pace -------------------------------------------------------------------------------------


def pace(pairs: int, run: Run, show: Callable[[], None], clear: Callable[[], None]) -> dict:
    """Steps a second with the lab / without it, and processor time beside training."""
    beside = []

    def with_lab() -> float:
        show()
        run("lab.play()")
        time.sleep(SETTLED)
        before, began = _seconds_beside(run), time.perf_counter()
        # The kernel is free meanwhile, as it is for a user. To ask it would be work for kernel and
        # page that only this side has, so nobody asks before it can be done.
        time.sleep(STEPS / fastest)
        while "not yet" in run("print(timed(lab))"):
            time.sleep(2)
        beside.append((_seconds_beside(run) - before) / (time.perf_counter() - began))
        rate = float(run("lab.close(); print(rate(lab.trainer))"))
        clear()
        return rate

    def without() -> float:
        return float(run("print(rate_without())"))

    fastest = without()  # the first one loads what is needed
    ratios, rates = [], []
    for pair in range(pairs):
        order = (without, with_lab) if pair % 2 else (with_lab, without)
        rate = {side: side() for side in order}
        ratios.append(rate[with_lab] / rate[without])
        rates.append(rate[without])
        fastest = max(fastest, rate[without])
        print(f"  {rate[without]:.1f} steps/s, with the lab {rate[with_lab]:.1f}", flush=True)
    return {
        **summary(ratios, "at least 0.95"),
        "steps a second without": round(statistics.median(rates), 1),
        "steps timed": STEPS,
        "processor time beside training / time": summary(beside, "none: so much of one core"),
    }


def _seconds_beside(run: Run) -> float:
    """Processor time so far of the browser, the server and the kernel's threads beside training."""
    page = 0.0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if not any("ipykernel" in part for part in process.cmdline()):
                page += sum(process.cpu_times()[:2])
    return page + float(run("print(seconds_beside_training())"))


def pace_alone(pairs: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, kernel_alone(Path(folder)) as run:
        found = pace(pairs, run, lambda: print(run("lab = Lab(trainer())\nlab"), end=""), _nothing)
    return {"steps a second with the lab / without, kernel alone": found}


def pace_with_page(pairs: int) -> dict[str, Any]:
    with notebook() as page:

        def show() -> None:
            jupyter.run_code(page, "lab = Lab(trainer())\nlab")
            jupyter.wait_for(page, ".snnviz-lab .snnviz-status", "Paused")

        def clear() -> None:
            page.evaluate("() => jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")

        found = pace(pairs, lambda code: quietly(page, code), show, clear)
    return {"steps a second with the lab / without, shown in a page": found}


def _nothing() -> None:
    pass


# --- memory -----------------------------------------------------------------------------------


def memory() -> dict[str, Any]:
    """Memory at several moments while the lab's page is refreshed."""
    with notebook() as page:
        jupyter.run_code(page, "refreshed = Refreshed()\nrefreshed.lab")
        jupyter.wait_for(page, ".snnviz-lab .snnviz-status", "Paused")
        tools = page.context.new_cdp_session(page)
        tools.send("Performance.enable")
        rows = []
        each = REFRESHES // MARKS
        for _ in range(MARKS + 1):  # the first round is a warm-up
            code = f"import json\nprint(json.dumps(refreshed.refresh({each})))"
            row = json.loads(quietly(page, code))
            for _ in range(2):
                tools.send("HeapProfiler.collectGarbage")
            page.wait_for_timeout(500)
            got = {m["name"]: m["value"] for m in tools.send("Performance.getMetrics")["metrics"]}
            row |= {"page": int(got["JSHeapUsedSize"]), "nodes": int(got["Nodes"])}
            rows.append(row)
            print(f"  {row}", flush=True)
    first, last = rows[0], rows[-1]
    return {
        f"memory after {last['refreshes']:,} refreshes / after {first['refreshes']}": {
            "kernel": round(last["kernel"] / first["kernel"], 4),
            "page's JavaScript": round(last["page"] / first["page"], 4),
            "page's nodes": round(last["nodes"] / first["nodes"], 4),
            "aim": "1",
            "bytes": rows,
        }
    }


# --- opening ----------------------------------------------------------------------------------


def opening(times: int) -> dict[str, Any]:
    """Seconds till a lab with a long history is there, in the kernel and in the page."""
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        make_run(run)
        kinds = {
            "a run folder of 400 neurons and 4 steps an epoch": (
                "data = small_data()\nsv.Trainer(sv.network('mlp', data), data)",
                f"lab = Lab.open({str(run)!r}, data=data)",
            ),
            # Torch imports its compiler with the first optimizer, and pandas comes with a history.
            "the same in a kernel that has made no trainer yet": (
                "data = small_data()",
                f"lab = Lab.open({str(run)!r}, data=data)",
            ),
            "a trainer of 10,000 neurons and 585 steps an epoch": (
                "made = long_trainer()",
                "lab = Lab(made)",
            ),
        }
        for kind, (prepare, opens) in kinds.items():
            seconds = [_open_once(prepare, opens) for _ in range(times)]
            name = f"seconds till a lab with {EPOCHS:,} epochs is open: {kind}"
            results[name] = {
                "in the kernel": summary([kernel for kernel, _ in seconds], "below 2"),
                "till the page shows it": summary([page for _, page in seconds], "below 2"),
            }
            print(f"  {name}: {results[name]}", flush=True)
    return results


def _open_once(prepare: str, opens: str) -> tuple[float, float]:
    """In a fresh kernel, and a page that is open."""
    with notebook() as page:
        quietly(page, prepare)
        code = f"began = time.perf_counter()\n{opens}\nkernel = time.perf_counter() - began\nlab"
        began = time.perf_counter()
        jupyter.run_code(page, code, timeout=120)
        jupyter.wait_for(page, ".snnviz-lab .snnviz-status", "epoch", timeout=120)
        shown = time.perf_counter() - began
        kernel = float(quietly(page, "print(kernel)"))
        quietly(page, "lab.close()")
        return kernel, shown


def main() -> None:
    os.environ["PYTHONPATH"] = str(ROOT)  # kernels import from here
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--only", choices=["alone", "page", "memory", "opening"])
    asked = parser.parse_args()
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "alone": lambda: pace_alone(asked.pairs),
        "page": lambda: pace_with_page(asked.pairs),
        "memory": memory,
        "opening": lambda: opening(3),
    }
    results: dict[str, Any] = {
        "command": "python benchmarks/lab.py",
        "machine": machine.describe(),
    }
    if asked.only and RESULTS.exists():
        results = json.loads(RESULTS.read_text()) | results
    for name, part in parts.items():
        if asked.only in (None, name):
            for what, figures in part().items():
                results[what] = figures
                print(what, figures, flush=True)
                RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
