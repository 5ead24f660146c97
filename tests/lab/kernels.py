"""Jupyter kernels of several ipykernel versions, and a front end that speaks their protocol.

`python -m tests.lab.kernels` installs the versions, each in a folder of its own, for `make test`.
Version 6 has one shell: a callback of a widget waits behind a cell that is busy. Version 7 has
subshells, which front ends ask for: a callback may run in another thread. From 7.4 on, the kernel
may send it to yet another shell than the front end has asked for.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version as version_of
from pathlib import Path
from queue import Empty
from typing import Any, Literal

from jupyter_client.blocking.client import BlockingKernelClient

from tests.written import read_when_whole

ROOT = Path(__file__).parents[2]
FOLDER = Path(sys.prefix) / "kernels"
# Each version, and what it needs that the environment does not have.
VERSIONS = {"6.31.0": ("nest-asyncio==1.6.0",), "7.3.0": (), "7.4.0": ()}
TIMEOUT = 60.0  # seconds; only a test that fails waits so long

Way = Literal["no subshell", "one subshell", "a subshell each"]
WAYS: tuple[Way, ...] = ("no subshell", "one subshell", "a subshell each")


def install() -> None:
    """Every version that is neither in its folder nor the environment's own.

    If one cannot be installed, it says so and goes on: the tests with that version then fail.
    """
    for version, needs in VERSIONS.items():
        folder = FOLDER / version
        if version == version_of("ipykernel") or folder.is_dir():
            continue
        new = FOLDER / f"{version}.new"  # a folder of that name is whole
        shutil.rmtree(new, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
        pip += ["--target", str(new), "--no-deps", f"ipykernel=={version}", *needs]
        print(f"Installing ipykernel {version} for the tests (about 1 MB) …", flush=True)
        if subprocess.run(pip, check=False).returncode:
            print(f"The tests with ipykernel {version} will fail.", flush=True)
        else:
            new.rename(folder)


def surroundings(version: str, home: Path) -> dict[str, str]:
    """Environment variables with which a Python runs that version, and this project.

    Raises:
        FileNotFoundError: the version is not installed.
    """
    paths = [str(ROOT)]
    if version != version_of("ipykernel"):
        folder = FOLDER / version
        if not (folder / "ipykernel").is_dir():
            raise FileNotFoundError(
                f"ipykernel {version} is not installed for the tests. Run: make test"
            )
        paths.insert(0, str(folder))
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(paths),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "MPLBACKEND": "",
    }


@contextmanager
def running_kernel(version: str, home: Path, patience: float = TIMEOUT) -> Iterator["Kernel"]:
    """A kernel of that version for as long as the block lasts; its cells may take `patience` s."""
    variables, log = surroundings(version, home), home / "kernel.log"
    file = home / "connection.json"  # the kernel writes it: ports that we choose others may take
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", str(file)]
    with log.open("wb") as sink:
        process = subprocess.Popen(command, env=variables, stdout=sink, stderr=sink, cwd=home)
        try:
            with _connected(file, process) as client:
                yield Kernel(client, process, patience)
        except BaseException as error:
            error.add_note(f"The kernel's log:\n{log.read_text(errors='replace')}")
            raise
        finally:
            process.kill()
            process.wait()


@contextmanager
def _connected(file: Path, process: subprocess.Popen[bytes]) -> Iterator[BlockingKernelClient]:
    """A client of the kernel, once that has said how to reach it."""
    deadline = time.monotonic() + TIMEOUT
    while not read_when_whole(file):
        assert process.poll() is None, "the kernel has ended"
        assert time.monotonic() < deadline, f"the kernel did not start within {TIMEOUT:g} s"
        time.sleep(0.02)
    client = BlockingKernelClient(connection_file=str(file))
    client.load_connection_file()
    client.start_channels(hb=False)
    try:
        yield client
    finally:
        client.stop_channels()


class Kernel:
    """What a front end does to a kernel."""

    def __init__(
        self, client: BlockingKernelClient, process: subprocess.Popen[bytes], patience: float
    ) -> None:
        self._client, self.process, self._patience = client, process, patience
        info = self._hello()
        self.subshells = "kernel subshells" in info.get("supported_features", [])

    def _hello(self) -> dict[str, Any]:
        """Waits until both what it answers and what it publishes gets here."""
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            reply: Any = self._client.kernel_info(reply=True, timeout=TIMEOUT)  # type: ignore[call-arg]
            try:
                self._client.get_iopub_msg(timeout=0.5)
            except Empty:
                continue
            return reply["content"]
        raise AssertionError(f"the kernel does not publish after {TIMEOUT:g} s")

    def start(self, code: str) -> str:
        """Has a cell run; returns at once, with what `finish` asks for."""
        return self._client.execute(code, store_history=False)

    def _hear(self, patience: float) -> Iterator[dict[str, Any]]:
        """What the kernel publishes, for `patience` seconds."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            try:
                yield self._client.get_iopub_msg(timeout=1)
            except Empty:
                self._knock()

    def finish(self, cell: str) -> str:
        """Waits for a cell's end and returns what it printed.

        Raises:
            AssertionError: the cell failed.
        """
        printed = ""
        for message in self._hear(self._patience):
            if message["parent_header"].get("msg_id") != cell:
                continue
            content = message["content"]
            if message["msg_type"] == "stream":
                printed += content["text"]
            elif message["msg_type"] == "error":
                raise AssertionError("\n".join(content["traceback"]))
            elif content.get("execution_state") == "idle":
                return printed
        late = f"a cell is not done after {self._patience:g} s"
        raise AssertionError(f"{late}; it printed: {printed}")

    def run(self, code: str) -> str:
        """Has a cell run, and returns what it printed."""
        return self.finish(self.start(code))

    def ask(self, expression: str) -> Any:
        """The value of an expression in the kernel."""
        return json.loads(self.run(f"import json\nprint(json.dumps({expression}))"))

    def send(
        self, kind: str, content: dict[str, Any], subshell: str | None = None, **metadata: Any
    ) -> str:
        """Puts a message on the shell channel, as the front end does; returns its id."""
        message = self._client.session.msg(kind, content, metadata=metadata)
        if subshell is not None:
            message["header"]["subshell_id"] = subshell
        self._client.shell_channel.send(message)
        return message["header"]["msg_id"]

    def listen_to(self, comm: str) -> dict[str, Any]:
        """What the kernel says next on a comm."""
        for message in self._hear(TIMEOUT):
            content = message["content"]
            if message["msg_type"] == "comm_msg" and content["comm_id"] == comm:
                return content["data"]
        raise AssertionError(f"nothing on the comm after {TIMEOUT:g} s")

    def wait_for_shell(self, subshell: str | None) -> None:
        """Until a shell has dealt with all that was sent to it before."""
        asked, deadline = self.send("kernel_info_request", {}, subshell), time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            try:
                reply = self._client.get_shell_msg(timeout=1)
            except Empty:
                self._knock()
                continue
            if reply["parent_header"].get("msg_id") == asked:
                return
        raise AssertionError(f"no reply after {TIMEOUT:g} s")

    def wait_for(self, file: Path) -> None:
        """Until a cell that was started has made a file."""
        deadline, silent = time.monotonic() + TIMEOUT, time.monotonic() + 1
        while not file.exists():
            assert time.monotonic() < deadline, "the cell has not begun"
            if time.monotonic() > silent:
                self._knock()
                silent = time.monotonic() + 1
            time.sleep(0.01)

    def _knock(self) -> None:
        """Reconnects, as a reloaded page does.

        A message that comes just as ipykernel 7.3 replies to another stays unread till then.
        """
        assert self.process.poll() is None, "the kernel has died"
        other = BlockingKernelClient(connection_file=self._client.connection_file)
        other.load_connection_file()
        other.start_channels(iopub=False, stdin=False, hb=False, control=False)
        other.kernel_info()
        time.sleep(0.1)
        other.stop_channels()

    def new_subshell(self) -> str:
        """Asks for a subshell."""
        return self._control("create_subshell_request", {})["subshell_id"]

    def end_subshell(self, subshell: str) -> None:
        """Has a subshell ended."""
        self._control("delete_subshell_request", {"subshell_id": subshell})

    def _control(self, kind: str, content: dict[str, Any]) -> dict[str, Any]:
        message = self._client.session.msg(kind, content)
        self._client.control_channel.send(message)
        reply = self._client.get_control_msg(timeout=TIMEOUT)
        assert reply["parent_header"]["msg_id"] == message["header"]["msg_id"]
        assert reply["content"]["status"] == "ok", reply["content"]
        return reply["content"]


class FrontEnd:
    """A page with widgets, which sends what JupyterLab sends for them.

    JupyterLab 4.6 sends messages of widgets on a subshell where the kernel has subshells: one for
    all widgets, or (a setting) one for each, or none.

    Args:
        kernel: where the widgets live.
        models: {name: model id}.
        way: how messages are sent.
    """

    def __init__(self, kernel: Kernel, models: dict[str, str], way: Way) -> None:
        self._kernel, self._models = kernel, models
        self.subshells: dict[str, str] = {}
        if way == "one subshell" and kernel.subshells:
            self.subshells = dict.fromkeys(models, kernel.new_subshell())
        elif way == "a subshell each" and kernel.subshells:
            self.subshells = {name: kernel.new_subshell() for name in models}

    def click(self, name: str) -> None:
        """A click on a button."""
        self._send(name, {"method": "custom", "content": {"event": "click"}})

    def move(self, name: str, value: float) -> None:
        """A new value of a slider or field."""
        self._send(name, {"method": "update", "state": {"value": value}, "buffer_paths": []})

    def settle(self) -> None:
        """Waits until every shell has dealt with what was sent to it."""
        for shell in (None, *dict.fromkeys(self.subshells.values())):
            self._kernel.wait_for_shell(shell)

    def close(self) -> None:
        """The page goes, and its subshells with it."""
        for subshell in set(self.subshells.values()):
            self._kernel.end_subshell(subshell)
        self.subshells = {}

    def _send(self, name: str, data: dict[str, Any]) -> None:
        content = {"comm_id": self._models[name], "data": data}
        self._kernel.send("comm_msg", content, self.subshells.get(name))


if __name__ == "__main__":
    install()
