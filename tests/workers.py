"""A worker process of pytest-xdist that dies ends the run of the tests, which says in which test.

A worker dies when a test crashes Python (a fault in compiled code, `os.abort()`), and when a test
hangs: pytest then prints where and ends the process (`faulthandler_timeout` in pyproject.toml).
By itself pytest-xdist goes on after that, and with `--dist loadfile` it may wait for ever.
"""

from contextlib import suppress
from typing import Any

import psutil
import pytest

# Of a run in which a worker died: its name, which is in the environment of all its processes.
_DEAD = pytest.StashKey[str]()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object | None) -> None:
    """Remember that a worker died; it may have had no test, as while it imports or tears down."""
    if error:
        node.config.stash.setdefault(_DEAD, node.workerinput["testrunuid"])


@pytest.hookimpl(optionalhook=True)
def pytest_handlecrashitem(crashitem: str, report: pytest.TestReport, sched: Any) -> None:
    """End the run. The other workers have five seconds to finish, and are then interrupted."""
    sched.config.hook.pytest_runtest_logreport(report=report)  # the summary lists it as failed
    pytest.exit(
        f"The process that ran {crashitem} died: the test crashed Python, or took longer than "
        "faulthandler_timeout. The traceback is above, below 'Fatal Python error' or 'Timeout'.",
        returncode=pytest.ExitCode.TESTS_FAILED,
    )


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """After a death the run has failed, and what the dead worker had started is ended."""
    run = session.config.stash.get(_DEAD, None)
    if run is None:
        return
    if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("PYTEST_XDIST_TESTRUNUID") == run:
                process.kill()
