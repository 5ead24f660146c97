"""The harness itself: a button in a notebook, clicked in a browser."""

import json
import re
import socket
import sys
import urllib.request
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page

from tests.browser import jupyter
from tests.browser.conftest import Kept, signed_in
from tests.browser.jupyter import open_notebook, run_all, run_code, screenshot, wait_for

BUTTON = """\
import ipywidgets as widgets
button = widgets.Button(description="Count")
button.add_class("test-button")
label = widgets.Label("0 clicks")
label.add_class("test-label")
clicks = []
def count(_):
    clicks.append(1)
    label.value = f"{len(clicks)} clicks"
button.on_click(count)
widgets.HBox([button, label])"""

# Updates a widget's trait without rest, as training does.
BUSY = """\
import threading, time
ticks = widgets.Label("tick 0")
ticks.add_class("test-ticks")
def tick():
    for k in range(1, 1000):
        ticks.value = f"tick {k}"
        time.sleep(0.02)
threading.Thread(target=tick, daemon=True).start()
ticks"""


def test_a_button_is_clicked_while_a_thread_works(page: Page, folder: Path) -> None:
    jupyter.write_notebook(folder / "button.ipynb", [BUTTON, BUSY])
    open_notebook(page, f"{folder.name}/button.ipynb")
    run_all(page)
    wait_for(page, ".test-label", "0 clicks")

    wait_for(page, ".test-button").click()
    wait_for(page, ".test-label", re.compile(r"^1 clicks$"))

    wait_for(page, ".test-ticks", re.compile(r"tick \d\d"))
    assert run_code(page, "print(len(clicks))\nlabel.value") == "1\n'1 clicks'"
    assert screenshot(page, "harness").stat().st_size > 10_000


def test_the_kernel_is_this_python(page: Page, folder: Path) -> None:
    jupyter.write_notebook(folder / "python.ipynb", ["import sys, pathlib"])
    open_notebook(page, f"{folder.name}/python.ipynb")
    run_all(page)
    assert run_code(page, "print(sys.executable)") == sys.executable
    assert run_code(page, "print(pathlib.Path.cwd().name)") == folder.name


def test_a_failing_cell_fails_the_test(page: Page, folder: Path) -> None:
    jupyter.write_notebook(folder / "error.ipynb", ["1 / 0"])
    open_notebook(page, f"{folder.name}/error.ipynb")
    with pytest.raises(AssertionError, match="ZeroDivisionError: division by zero"):
        run_all(page)
    with pytest.raises(AssertionError, match="NameError: name 'nothing' is not defined"):
        run_code(page, "nothing")
    with pytest.raises(TimeoutError, match=r"not done after 0\.5 s"):
        run_code(page, "import time; time.sleep(2)", timeout=0.5)
    with pytest.raises(AssertionError, match=r"no visible '\.none' with 'x' after 0\.1 s"):
        wait_for(page, ".none", "x", timeout=0.1)


def test_a_page_ends_its_own_kernel_and_no_other(
    kept: Kept, server: jupyter.Server, chromium: Browser
) -> None:
    def kernels() -> dict[str, str]:
        with urllib.request.urlopen(f"{server.url}/api/kernels?token={server.token}") as answer:
            return {each["id"]: each["name"] for each in json.load(answer)}

    other = kept.notebook(["a = 5"])
    before = kernels()
    with signed_in(server, chromium) as page:
        jupyter.write_notebook(server.root / "kernel.ipynb", [""])
        open_notebook(page, "kernel.ipynb")
        (own,) = kernels().items() - before.items()
        assert own[1] == "python3"
    assert kernels() == before
    assert run_code(other, "print(a)") == "5"


def test_nothing_is_left_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a server whose port somebody else took before it came up."""

    def family() -> set[psutil.Process]:
        return set(psutil.Process().children(recursive=True))

    def is_kernel(process: psutil.Process) -> bool:
        try:
            return "ipykernel_launcher" in process.cmdline()
        except psutil.Error:  # a helper that has ended since the family was listed
            return False

    before = family()
    taken = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setattr(jupyter, "_free_port", lambda: taken.getsockname()[1])
    with taken, jupyter.running_server(tmp_path) as server:
        start = urllib.request.Request(f"{server.url}/api/kernels?token={server.token}", b"{}")
        urllib.request.urlopen(start, timeout=30).close()
        own = family() - before
        assert any(is_kernel(process) for process in own)
    assert not server.is_up()
    assert not [process for process in own if process.is_running()]
