"""`snnviz lab`."""

import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from snnviz.cli import notebook
from tests.cli.example import OWN, Done, posix


@pytest.mark.slow
def test_the_labs_notebook_goes_on_with_the_run(
    run: Any, first: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(notebook, "_wait_for", lambda words: started.append(words) or 0)
    done = run("lab", "runs/first", *OWN, "--no-browser", "--port", "9000")
    assert (done.code, done.out) == (0, "")
    file = Path("runs/first.ipynb").resolve()
    assert done.err == f"{file}: press Ctrl-C here to end JupyterLab\n"
    (words,) = started
    assert [word for word in words if word != "--allow-root"] == [
        *(sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={file.parent}"),
        *("--LabApp.default_url=/lab/tree/first.ipynb", "--no-browser", "--port=9000"),
    ]

    import nbformat

    made = nbformat.read(file, as_version=4)
    nbformat.validate(made)
    monkeypatch.chdir("runs")  # where the kernel starts
    names: dict[str, Any] = {}
    for cell in made.cells:
        if cell.cell_type == "code":
            exec(cell.source, names)
    try:
        assert repr(names["lab"]) == (
            f"Lab(idle, 3 of 3 epochs done, step {names['trainer'].position.step})"
        )
        assert names["trainer"].folder.resolve() == Path("first").resolve()
    finally:
        names["lab"].close()
        names["trainer"].close()


def test_a_notebook_that_is_there_is_left_alone(
    run: Any, first: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notebook, "_wait_for", lambda words: 0)
    Path("runs/first.ipynb").write_text("mine")
    assert run("lab", "runs/first", *OWN).code == 0
    assert Path("runs/first.ipynb").read_text() == "mine"


def test_a_lab_without_jupyterlab(run: Any, first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "find_spec", lambda name: None if name == "jupyterlab" else name)
    assert run("lab", "runs/first", *OWN) == Done(
        1, "", "snnviz: the lab needs jupyterlab. To install it: pip install 'snnviz[lab]'\n"
    )


@posix
def test_signals_are_left_to_jupyterlab() -> None:
    code = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "os.kill(os.getppid(), signal.SIGTERM)\n"
        "signal.pause()"
    )
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    assert notebook._wait_for([sys.executable, "-c", code]) == 7
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
