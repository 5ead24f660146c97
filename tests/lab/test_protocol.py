"""Clicks over the real Jupyter protocol, while a cell is busy, on several versions of ipykernel.

Wherever a callback runs (behind the cell, within it, in another thread), each command is carried
out once, and only the session's thread is at the networks.
"""

import re
import time
from collections.abc import Iterator
from importlib.metadata import version as version_of
from pathlib import Path

import pytest

from tests.lab.kernels import VERSIONS, WAYS, FrontEnd, Kernel, running_kernel, surroundings

CELL = """\
from pathlib import Path
Path({begun!r}).touch()
{busy}({done!r}, lambda: len({lab}.callers) >= {calls})
print(len({lab}.callers))"""


@pytest.fixture(scope="module", params=sorted({*VERSIONS, version_of("ipykernel")}))
def kernel(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """A kernel of each version."""
    with running_kernel(request.param, tmp_path_factory.mktemp("kernel")) as running:
        running.run("from tests.lab.kernel_side import *")
        assert running.ask("ipykernel_version()") == request.param
        yield running


@pytest.fixture
def lab(kernel: Kernel, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of an observed lab in the kernel; when it is closed, its history must be whole."""
    kernel.run("lab = Observed()")
    yield "lab"
    kernel.run("lab.close()")


@pytest.fixture(params=WAYS)
def front_end(kernel: Kernel, lab: str, request: pytest.FixtureRequest) -> FrontEnd:
    """A page that sends messages in each way."""
    return FrontEnd(kernel, kernel.ask("lab.models()"), request.param)


def is_heard_meanwhile(kernel: Kernel, front_end: FrontEnd, busy: str) -> bool:
    """Whether callbacks run before a cell is over; what the versions do, and no part of ours."""
    version = tuple(map(int, kernel.ask("ipykernel_version()").split(".")[:2]))
    return bool(front_end.subshells) or (busy == "await waits_until" and version >= (7, 4))


@pytest.mark.parametrize("busy", ["busy_until", "await waits_until"])
def test_each_click_is_carried_out_once(
    kernel: Kernel, front_end: FrontEnd, busy: str, tmp_path: Path
) -> None:
    begun, done, clicks = tmp_path / "begun", tmp_path / "done", 20
    meanwhile = is_heard_meanwhile(kernel, front_end, busy)
    calls = clicks if meanwhile else 0
    cell = kernel.start(
        CELL.format(begun=str(begun), busy=busy, done=str(done), lab="lab", calls=calls)
    )
    kernel.wait_for(begun)
    for _ in range(clicks):
        front_end.click("step-batch")
    front_end.move("task_steps", 5)
    front_end.move("epochs", 9)
    time.sleep(0.2)  # so that all of it comes while the cell is busy
    done.touch()
    assert int(kernel.finish(cell)) == calls
    front_end.settle()
    kernel.run("lab.idle()")

    report = kernel.ask("lab.report()")
    assert report["faults"] == []
    assert report["sent"] == report["handled"] == clicks + 2
    assert report["made"] == report["step"] == clicks
    assert (report["planned"]["task_steps"], report["planned"]["epochs"]) == (5, 9)
    assert [name for name, _ in report["callers"]] == ["step-batch"] * clicks
    threads = {thread for _, thread in report["callers"]}
    assert ("MainThread" in threads) != bool(front_end.subshells)


def test_a_click_while_a_cell_waits_for_the_lab(
    kernel: Kernel, front_end: FrontEnd, tmp_path: Path
) -> None:
    """Pause ends the waiting, also where there are no subshells."""
    begun = tmp_path / "begun"
    kernel.run("lab.lab.set_schedule(epochs=100_000)")
    cell = kernel.start(f"print(lab.play_and_wait({str(begun)!r}, 30))")
    kernel.wait_for(begun)
    front_end.click("pause")
    assert kernel.finish(cell).strip() == "done"
    front_end.settle()
    kernel.run("lab.idle()")
    report = kernel.ask("lab.report()")
    assert report["sent"] == report["handled"] == 3
    assert (report["activity"], report["faults"]) == ("idle", [])
    assert report["made"] == report["step"] > 0


def test_a_page_that_is_loaded_again_while_a_cell_waits(
    kernel: Kernel, lab: str, tmp_path: Path
) -> None:
    """It gets the states of all widgets at once; cells come when the one that waits has ended."""
    begun, models = tmp_path / "begun", kernel.ask("lab.models()")
    kernel.run("lab.lab.set_schedule(epochs=100_000)\norder = []")
    cell = kernel.start(
        f"print(lab.play_and_wait({str(begun)!r}, 60), lab.lab.session.status.activity)"
    )
    kernel.wait_for(begun)
    later = [kernel.start(f"order.append({k})\nprint(order)") for k in range(3)]
    kernel.wait_for_shell(None)  # as a page does first
    control = "of-this-test"
    kernel.send("comm_info_request", {"target_name": "jupyter.widget"})
    content = {"comm_id": control, "target_name": "jupyter.widget.control", "data": {}}
    kernel.send("comm_open", content, version="1.0.0")
    kernel.send("comm_msg", {"comm_id": control, "data": {"method": "request_states"}})
    states = kernel.listen_to(control)["states"]
    assert set(models.values()) <= set(states)
    FrontEnd(kernel, models, "no subshell").click("pause")
    assert kernel.finish(cell).strip() == "done idle"
    assert [kernel.finish(each).strip() for each in later] == ["[0]", "[0, 1]", "[0, 1, 2]"]
    assert kernel.ask("order") == [0, 1, 2]


def test_every_button_and_field_is_heard_from_a_new_page(kernel: Kernel, lab: str) -> None:
    """A page that is closed takes its subshells with it; the kernel may still ask for them."""
    models = kernel.ask("lab.models()")
    sent, report = 0, {}
    for way in WAYS:
        page = FrontEnd(kernel, models, way)
        sent += use_all(kernel, page)
        page.settle()
        kernel.run("lab.idle()")
        page.close()
        report = kernel.ask("lab.report()")
        assert report["sent"] == report["handled"] == sent, way
        assert report["faults"] == []
    assert report["generation"] == len(WAYS)


def use_all(kernel: Kernel, page: FrontEnd) -> int:
    """Each button once, and each field; returns how many commands that is."""
    values = {"task_steps": 5, "switcher_steps": 2, "epochs": 6}
    buttons = ("play", "pause", "step-batch", "step-phase")
    for value in (0, 1):
        for name, first in values.items():
            page.move(name, first + value)
        page.settle()
        time.sleep(0.3)  # till the lab has written to the page
    for name in buttons:
        page.click(name)
    page.settle()  # in subshells of their own Pause may be heard last, and would stop what follows
    page.click("step-epoch")
    page.settle()
    kernel.run("lab.idle()")
    for _ in range(2):  # an epoch is done, so Reset asks first
        page.click("reset")
    return len(buttons) + 2 + 2 * len(values)


def test_a_version_that_is_missing(tmp_path: Path) -> None:
    said = "ipykernel 0.0.0 is not installed for the tests. Run: make test"
    with pytest.raises(FileNotFoundError, match=f"^{re.escape(said)}$"):
        surroundings("0.0.0", tmp_path)
