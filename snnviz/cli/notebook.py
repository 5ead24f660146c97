"""`snnviz lab`: JupyterLab on a notebook that shows a run's lab."""

import json
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from snnviz.cli import sources
from snnviz.cli.interruptions import ENDING
from snnviz.cli.sources import OwnImages
from snnviz.runs.config import RunConfig


def lab(run: Path, data: str | None, browser: bool, port: int | None) -> int:
    """Opens JupyterLab; returns its exit code when it ends."""
    missing = [
        name for name in ("jupyterlab", "ipykernel", "ipywidgets") if find_spec(name) is None
    ]
    if missing:
        raise ImportError(
            f"the lab needs {', '.join(missing)}. To install it: pip install 'snnviz[lab]'"
        )
    notebook = write(run, sources.of_run(run, data))
    print(f"{notebook}: press Ctrl-C here to end JupyterLab", file=sys.stderr, flush=True)
    return _wait_for(_arguments(notebook, browser, port))


def write(run: Path, own: OwnImages | None) -> Path:
    """Writes the notebook beside the run, unless it is there: the user may have changed it."""
    RunConfig.read(run)
    run = run.resolve()
    file = run.with_name(f"{run.name}.ipynb")
    if not file.exists():
        file.write_text(json.dumps(_notebook(run.name, own), indent=1) + "\n", encoding="utf-8")
    return file


def _notebook(name: str, own: OwnImages | None) -> dict:
    how = f"Trainer.resume({name!r})"
    if own:
        images = f"{str(own.path.resolve())!r}, {own.size}, holdout={own.holdout}"
        how = (
            f"Trainer.resume(\n    {name!r},\n"
            f"    data=sv.ImageData.from_folder({images}, augment={own.augment!r}),\n)"
        )
    text = (
        f"# {name}\n\nThe lab continues the run, and saves it at the end of each epoch. "
        "To save it in between: `lab.close()`, then `trainer.save()`. To let another process "
        "continue it: `trainer.close()`, or shut the kernel down."
    )
    return {
        "cells": [
            {"cell_type": "markdown", "id": "about", "metadata": {}, "source": text},
            _code("run", f"import snnviz as sv\n\ntrainer = sv.{how}"),
            _code("lab", "lab = sv.Lab(trainer)\nlab"),
        ],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _code(name: str, source: str) -> dict:
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": name,
        "metadata": {},
        "outputs": [],
        "source": source,
    }


def _arguments(notebook: Path, browser: bool, port: int | None) -> list[str]:
    arguments = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={notebook.parent}"]
    # So that the address printed without a browser opens the notebook, too.
    arguments += [f"--LabApp.default_url=/lab/tree/{quote(notebook.name)}"]
    arguments += [] if browser else ["--no-browser"]
    arguments += [] if port is None else [f"--port={port}"]
    root = (
        hasattr(os, "geteuid") and os.geteuid() == 0
    )  # as in a container: Jupyter refuses without this
    return arguments + (["--allow-root"] if root else [])


def _wait_for(arguments: list[str]) -> int:
    """Runs a program that handles Ctrl-C itself; the signals that end us are handed on to it."""
    # Waiting threads give up their core: the kernel shares it with the server and the browser.
    process = subprocess.Popen(arguments, env={"GOMP_SPINCOUNT": "20000", **os.environ})
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to both
    handlers = {n: signal.signal(n, lambda *_: process.terminate()) for n in ENDING}
    try:
        return process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
