"""A real JupyterLab server and what tests do to it in a real browser."""

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
from playwright.sync_api import Browser, Locator, Page, ViewportSize, sync_playwright

from tests.browser.chromium import MISSING, find_once
from tests.written import read_when_whole

ARTEFACTS = Path(__file__).parents[1] / "artefacts"
LIGHT, DARK = THEMES = ("JupyterLab Light", "JupyterLab Dark")
PATIENCE = 60.0  # seconds; on a machine that others keep busy a figure is saved in half a minute
VIEWPORT: ViewportSize = {"width": 1400, "height": 1000}

# --- Chromium ---------------------------------------------------------------------------------

_CHROMIUM_FLAGS = [
    "--no-sandbox",  # root and most containers have no sandbox; only our own pages are opened
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """A headless Chromium for as long as the block lasts."""
    path = find_once()
    if not path:
        raise FileNotFoundError(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_CHROMIUM_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


# --- the server -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Server:
    """A JupyterLab server of our own. Folders of `root` are what the browser sees."""

    url: str
    token: str
    root: Path

    def is_up(self) -> bool:
        """Whether the server answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/api/status?token={self.token}", timeout=5):
                return True
        except OSError:
            return False


def _write_settings(home: Path) -> None:
    """Settings for a JupyterLab without news, and with the whole notebook in the page.

    JupyterLab normally leaves the cells out of sight out of the page, and with them their widgets.
    """
    settings = {
        "notebook-extension/tracker": {"windowingMode": "none"},
        "apputils-extension/notification": {
            "fetchNews": "false",
            "checkForUpdates": False,
            "doNotDisturbMode": True,
        },
    }
    for name, values in settings.items():
        file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values), encoding="utf-8")


def _write_kernel(home: Path) -> None:
    """A `python3` kernel that is this very interpreter, whatever else the machine calls so."""
    folder = home / "data" / "kernels" / "python3"
    folder.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Python 3", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")


def _surroundings(home: Path) -> dict[str, str]:
    """Environment variables that keep the user's own Jupyter and the tests apart."""
    return os.environ | {
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "JUPYTER_PREFER_ENV_PATH": "0",  # so that the kernel in `home` goes before all others
        "IPYTHONDIR": str(home / "ipython"),
        "MPLBACKEND": "",  # the kernel shows figures in the notebook, as it does for users
    }


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def _port_of(process: subprocess.Popen[bytes], home: Path) -> int | None:
    """Where the server listens, once it does."""
    said = read_when_whole(home / "runtime" / f"jpserver-{process.pid}.json")
    return said["port"] if said else None


def _end_tree(process: subprocess.Popen[bytes]) -> None:
    """Ask the server to stop, which stops its kernels too; then end whatever is left of them.

    Kernels are listed beforehand: they run in process groups of their own.
    """
    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in family:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(family, timeout=5)


@contextmanager
def running_server(folder: Path, timeout: float = PATIENCE) -> Iterator[Server]:
    """A JupyterLab server under `folder` for as long as the block lasts.

    Raises RuntimeError with the server's log if it does not come up in `timeout` seconds.
    """
    home, root, log = folder / "home", folder / "root", folder / "jupyter.log"
    root.mkdir(parents=True)
    _write_settings(home)
    _write_kernel(home)
    token = secrets.token_hex(16)
    flags = {
        "ip": "127.0.0.1",
        "port": _free_port(),  # by the time that it listens, others may; then it takes the next
        "IdentityProvider.token": token,
        "ServerApp.root_dir": root,
        # The helpers below speak to `window.jupyterapp`, in JupyterLab and in Notebook 7.
        "LabApp.expose_app_in_browser": True,
        "JupyterNotebookApp.expose_app_in_browser": True,
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += [f"--{name}={value}" for name, value in flags.items()]
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command, cwd=root, env=_surroundings(home), stdout=sink, stderr=subprocess.STDOUT
        )
        try:
            deadline = time.monotonic() + timeout
            while not (port := _port_of(process, home)):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(
                        f"JupyterLab did not start. Its log:\n{log.read_text(errors='replace')}"
                    )
                time.sleep(0.2)
            yield Server(f"http://127.0.0.1:{port}", token, root)
        finally:
            _end_tree(process)


# --- notebooks --------------------------------------------------------------------------------


def write_notebook(path: Path, cells: Iterable[str]) -> Path:
    """A notebook with these code cells."""
    import nbformat  # takes seconds, and every process that collects tests imports this module

    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(notebook, path)
    return path


def open_notebook(
    page: Page, name: str, timeout: float = PATIENCE, at: str = "/lab/tree/{}?reset"
) -> None:
    """Open a notebook of the server's root, `folder/name.ipynb`, and wait until its kernel is idle.

    The page's own kernel, that is. A cell that is run before the page has one, or knows which
    there are, makes Jupyter ask for a kernel in a dialog that lies above everything; the indicator
    in the toolbar says "idle" by then.

    The browser's own cookies of earlier pages carry the token (see the fixture `page`).

    Args:
        at: the address; for Notebook 7 "/notebooks/{}".
    """
    page.goto(at.format(quote(name)), timeout=timeout * 1e3)
    _wait_for_kernel(page, name, timeout)


def open_again(page: Page, name: str, timeout: float = PATIENCE) -> None:
    """As `open_notebook`, of a notebook whose file was rewritten, without loading JupyterLab again.

    What it held before is dropped, its kernel goes on, and the page looks as at first.
    """
    _in_page(
        page,
        """async (app, panel, name) => {
            document.activeElement?.blur();
            for (const each of [...app.shell.widgets("main")]) each.dispose();
            app.shell.expandLeft();
            await app.commands.execute("docmanager:open", {path: name});
        }""",
        timeout,
        name,
    )
    _wait_for_kernel(page, name, timeout)


def _wait_for_kernel(page: Page, name: str, timeout: float) -> None:
    page.wait_for_function(
        """name => {
            const panel = window.jupyterapp?.shell.currentWidget;
            return panel?.context?.path === name && panel.context.isReady
                && panel.sessionContext?.session?.kernel?.status === "idle";
        }""",
        arg=name,
        timeout=timeout * 1e3,
    )
    page.locator(".jp-Notebook:visible .jp-Cell").first.wait_for(timeout=timeout * 1e3)


def _in_page(page: Page, script: str, timeout: float, arg: Any = None) -> Any:
    """Run an async function of (app, panel, arg) in the page; a late one is a TimeoutError."""
    late = f"not done after {timeout:g} s"
    result = page.evaluate(
        f"""async ([arg, seconds]) => {{
            const app = window.jupyterapp;
            const work = ({script})(app, app.shell.currentWidget, arg);
            const late = new Promise(done => setTimeout(done, 1000 * seconds, {{late: true}}));
            return await Promise.race([work.then(value => ({{value}})), late]);
        }}""",
        [arg, timeout],
    )
    if result.get("late"):
        raise TimeoutError(f"{late}:\n{script}")
    return result.get("value")


# What the kernel forgets between two tests in one page: names, widgets, and threads of ours. What
# is left, modules above all, is no garbage later either, and `%reset` looks through it twice.
_FORGET = """\
import gc
from ipywidgets import Widget
from snnviz.lab.session import Session
for thing in gc.get_objects():
    if type(thing) is Session:
        thing.close()
Widget.close_all()
del thing
get_ipython().run_line_magic("reset", "-f")
__import__("gc").freeze()"""


def forget(page: Page, timeout: float = PATIENCE) -> None:
    """Make the kernel as it was before the notebook ran, but for imported modules."""
    reply = _in_page(
        page,
        """async (app, _, code) => {
            const [panel] = [...app.shell.widgets("main")].filter(each => each.sessionContext);
            const request = panel.sessionContext.session.kernel.requestExecute({code});
            return (await request.done).content;
        }""",
        timeout,
        _FORGET,
    )
    assert reply["status"] == "ok", reply


def run_all(page: Page, timeout: float = 300) -> None:
    """Run All; AssertionError with the traceback if a cell fails."""
    _in_page(
        page, 'async app => { await app.commands.execute("notebook:run-all-cells"); }', timeout
    )
    outputs = _in_page(
        page,
        """async (app, panel) => panel.content.widgets
            .filter(cell => cell.model.type === "code")
            .flatMap(cell => cell.model.outputs.toJSON())""",
        timeout,
    )
    _raise_errors(outputs)


def run_code(page: Page, code: str, timeout: float = PATIENCE) -> str:
    """Run `code` in a new cell at the bottom and return what it printed or showed as text.

    It waits for that cell alone, not for a quiet kernel, so it works while a thread is training;
    and till the page has taken the focus for it, which it does some frames later.
    AssertionError with the traceback if the code fails.
    """
    outputs = _in_page(
        page,
        """async (app, panel, code) => {
            const notebook = panel.content;
            notebook.activeCellIndex = notebook.widgets.length - 1;
            await app.commands.execute("notebook:insert-cell-below");
            const cell = notebook.activeCell;
            cell.model.sharedModel.setSource(code);
            await app.commands.execute("notebook:run-cell");
            await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
            return cell.model.outputs.toJSON();
        }""",
        timeout,
        code,
    )
    _raise_errors(outputs)
    return "".join(_text(output) for output in outputs).strip()


def set_theme(page: Page, theme: str) -> None:
    """Change JupyterLab's theme, one of `THEMES`, and wait until the page has it."""
    page.evaluate(
        "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme
    )
    page.locator(f"body[data-jp-theme-name='{theme}']").wait_for(state="attached")


def save_notebook(page: Page, timeout: float = PATIENCE) -> None:
    """Save it, and wait until it is saved."""
    _in_page(page, "async (app, panel) => { await panel.context.save(); }", timeout)


def wait_till_said(page: Page, code: str, said: str, timeout: float = PATIENCE) -> None:
    """Till `code` prints this: what the page asks of the kernel takes a while to come there."""
    until = time.monotonic() + timeout
    while (now := run_code(page, code)) != said and time.monotonic() < until:
        time.sleep(0.2)
    assert now == said, f"it still says {now!r}"


def _text(output: dict[str, Any]) -> str:
    text = output.get("text") or output.get("data", {}).get("text/plain", "")
    return text if isinstance(text, str) else "".join(text)


def _raise_errors(outputs: list[dict[str, Any]]) -> None:
    errors = [out for out in outputs if out["output_type"] == "error"]
    if errors:
        traceback = "\n".join(errors[0]["traceback"])
        raise AssertionError("a cell failed:\n" + re.sub(r"\x1b\[[0-9;]*m", "", traceback))


def wait_for(
    page: Page, css: str, text: str | re.Pattern[str] | None = None, timeout: float = PATIENCE
) -> Locator:
    """Wait until an element that `css` selects is visible and contains `text`, and return it.

    AssertionError with what the elements say instead, if it does not come in `timeout` seconds.
    """
    wanted = page.locator(css).locator("visible=true")
    if text is not None:
        wanted = wanted.filter(has_text=text)
    try:
        wanted.first.wait_for(timeout=timeout * 1e3)
    except Exception as error:
        said = page.locator(css).all_text_contents()
        raise AssertionError(
            f"no visible {css!r} with {text!r} after {timeout:g} s; there are {len(said)}: {said}"
        ) from error
    return wanted.first


def wait_for_widgets(page: Page, timeout: float = PATIENCE) -> None:
    """Wait until every widget is there; a TimeoutError says what is missing or broken."""
    missing = page.locator(".jp-OutputArea-output").filter(has_text="Loading widget...")
    broken = page.locator(".jupyter-widgets-error-widget")
    until = time.monotonic() + timeout
    while missing.count() and not broken.count() and time.monotonic() < until:
        time.sleep(0.1)
    if broken.count() or missing.count():
        raise TimeoutError(f"{missing.count()} widgets are missing; broken: {broken_widgets(page)}")


def open_dialogs(page: Page) -> list[str]:
    """What Jupyter asks or tells in dialogs; nothing below them can be clicked."""
    return page.locator(".jp-Dialog").all_inner_texts()


def broken_widgets(page: Page) -> list[str]:
    """What went wrong in the widgets that show an icon instead of themselves."""
    for widget in page.locator(".jupyter-widgets-error-widget.icon-error").all():
        widget.dispatch_event("click")
    return page.locator(".jupyter-widgets-error-widget").all_inner_texts()


def screenshot(page: Page, name: str, css: str | None = None) -> Path:
    """Save a picture of the page, or of the first element of `css`, in tests/artefacts/."""
    ARTEFACTS.mkdir(exist_ok=True)
    path = ARTEFACTS / f"{name}.png"
    (page.locator(css).first if css else page).screenshot(path=path)
    return path
