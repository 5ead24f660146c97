"""What the scripts of docs/examples need: two small runs, and a way for their Axes to the page.

One of the runs also plays on the first page.
"""

import shutil
from pathlib import Path
from typing import Any

from sphinx_gallery.scrapers import figure_rst

import snnviz as sv
from snnviz.lab import export_html

RUNS = Path(__file__).parent / "examples" / "runs"
PICTURE = Path(__file__).parent / "lab.png"
REPLAY = Path(__file__).parent / "_static" / "replay.html"


def train_runs() -> None:
    """Two runs of some seconds each, unless they are there."""
    plans = {
        "switched": sv.Schedule(epochs=8, task_steps=2, switcher_steps=1, batch_size=64),
        "dense": sv.Schedule(epochs=8, switcher_steps=0, batch_size=64),
    }
    missing = [name for name in plans if not is_finished(RUNS / name)]
    data = sv.load_data("fashion-mnist", "cpu", holdout=57_000) if missing else None
    for name in missing:
        shutil.rmtree(RUNS / name, ignore_errors=True)
        with sv.Trainer(sv.network("lenet5", data), data, plans[name], folder=RUNS / name) as run:
            run.run()
    export_html(RUNS / "switched", REPLAY, name="lenet5 on Fashion-MNIST")


def is_finished(folder: Path) -> bool:
    history = folder / "history"
    return history.is_dir() and len(sv.History.load(history).epochs) == 8


def scrape_picture(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Saves the Axes that a script calls `axes`: they belong to no pyplot, so none are found.

    A lab can be seen only where there is a kernel, so a picture of one stands for it.
    """
    names = block_vars["example_globals"]
    axes, lab = names.pop("axes", None), names.pop("lab", None)
    if axes is None and lab is None:
        return ""
    path = next(block_vars["image_path_iterator"])
    if axes is not None:
        axes.figure.savefig(path, dpi=200)
    else:
        lab.close()
        shutil.copy(PICTURE, path)
    return figure_rst([path], gallery_conf["src_dir"])
