"""What the lab shows is so, whatever becomes of the kernel, the page and the server."""

import time
from pathlib import Path
from threading import Thread

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import jupyter
from tests.browser.conftest import Kept, signed_in
from tests.browser.jupyter import open_notebook, run_all, run_code, save_notebook, wait_for
from tests.browser.test_lab import LAB, trainer_cell

SMALL = trainer_cell("mlp", 1500, 200, "epochs=3000, switcher_lr=0.01")
SOON = 15e3  # ms; a second or two, but on a machine that others keep busy
GONE = "The kernel has restarted or stopped, and this lab with it."
RESTART_FROM_ELSEWHERE = """async () => {
    const {serverSettings, id} = window.jupyterapp.shell.currentWidget.sessionContext
        .session.kernel;
    const address = `${serverSettings.baseUrl}api/kernels/${id}/restart`;
    const cookie = document.cookie.match(/_xsrf=([^;]*)/)?.[1] ?? "";
    return (await fetch(address, {method: "POST", headers: {"X-XSRFToken": cookie}})).status;
}"""
RESTART = """async () => {
    await window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart();
}"""


@pytest.fixture
def lab(kept: Kept) -> Page:
    """A page with a lab whose kernel may be ended."""
    page = kept.notebook([SMALL, LAB])
    wait_for(page, ".snnviz-status", "Paused")
    return page


def tells(page: Page, words: str) -> None:
    """Soon it says so, and nothing that is no longer known."""
    said = page.locator(".snnviz-gone:visible")
    expect(said).to_contain_text(words, timeout=SOON)
    expect(page.locator(".snnviz-activity:visible")).to_have_count(0)
    assert page.locator(".snnviz-play").evaluate("play => play.closest('[inert]') !== null")
    icons = page.locator(".snnviz-lab .jupyter-widgets-disconnected").evaluate_all(
        "all => all.filter(each => getComputedStyle(each, '::before').display !== 'none').length"
    )
    assert icons == 0


@pytest.mark.parametrize("playing", [False, True], ids=["paused", "playing"])
def test_the_kernel_restarts(lab: Page, kept: Kept, playing: bool) -> None:
    if playing:
        lab.locator(".snnviz-play:visible").click()
        wait_for(lab, ".snnviz-status", "Playing")
    lab.evaluate(RESTART)
    tells(lab, GONE)
    run_all(lab)
    wait_for(lab, ".snnviz-status", "Paused")
    expect(lab.locator(".snnviz-gone")).to_have_count(0)
    kept.leave()


def test_the_kernel_is_restarted_by_another_program(lab: Page, kept: Kept) -> None:
    """Which tells the page of it only by what the two processes say."""
    assert lab.evaluate(RESTART_FROM_ELSEWHERE) == 200
    tells(lab, GONE)
    kept.leave()


def test_nobody_says_that_the_kernel_restarts(lab: Page, kept: Kept) -> None:
    """It hangs, so it says no farewell; and the server misses that a new process starts."""
    kernel = psutil.Process(int(run_code(lab, "import os\nprint(os.getpid())")))
    server = kernel.parent()
    assert server is not None
    before = server.children()

    def miss_the_start() -> None:
        deadline = time.monotonic() + 60
        while not set(server.children()) - set(before):
            assert time.monotonic() < deadline, "no new process"
            time.sleep(0.02)
        server.suspend()
        time.sleep(4)  # till the new process has said what it says once
        server.resume()

    kernel.suspend()
    missing = Thread(target=miss_the_start, daemon=True)
    missing.start()
    assert lab.evaluate(RESTART_FROM_ELSEWHERE) == 200
    missing.join()
    tells(lab, GONE)
    kept.leave()


def test_a_reload_while_a_cell_waits(lab: Page, folder: Path) -> None:
    """The cell says what trains; when it is interrupted the lab is back, and training goes on."""
    save_notebook(lab)
    lab.evaluate(
        """() => {
            const {sessionContext} = window.jupyterapp.shell.currentWidget;
            const code = "lab.play()\\nlab.wait()";
            sessionContext.session.kernel.requestExecute({code});
        }"""
    )
    wait_for(lab, ".snnviz-status", "Playing")
    lab.goto(f"/lab/tree/{folder.name}/kept.ipynb?reset")
    lab.wait_for_function("() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session")
    lab.evaluate("() => window.jupyterapp.commands.execute('notebook:interrupt-kernel')")
    try:
        wait_for(lab, ".snnviz-status", "Playing", 30)
    except AssertionError:  # JupyterLab asks once; if the cell ends just then, it may get no answer
        open_notebook(lab, f"{folder.name}/kept.ipynb")
        wait_for(lab, ".snnviz-status", "Playing")
    lab.locator(".snnviz-pause:visible").click()
    wait_for(lab, ".snnviz-status", "Paused")


def test_the_server_is_gone(chromium: Browser, tmp_path: Path) -> None:
    with jupyter.running_server(tmp_path) as server, signed_in(server, chromium) as page:
        (server.root / "a").mkdir()
        jupyter.write_notebook(server.root / "a" / "kept.ipynb", [SMALL, LAB])
        open_notebook(page, "a/kept.ipynb")
        run_all(page)
        wait_for(page, ".snnviz-status", "Paused")
        run_code(page, "lab.play()")
        page.context.set_offline(True)  # so that it cannot be had again
        # Offline, some Chromium waits for the server's answer before it says that it has closed.
        page.evaluate(
            """() => {
                const {sessionContext} = window.jupyterapp.shell.currentWidget;
                const socket = sessionContext.session.kernel._ws;
                const told = socket.onclose;
                socket.close();
                told(new CloseEvent("close"));
            }"""
        )
        tells(page, "The connection to the kernel is lost.")
        page.context.set_offline(False)
