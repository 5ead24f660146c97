"""A worker that dies ends the run of the tests within a minute, with the name of its test."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CRASHES = "import os\ndef test_bad():\n    os.abort()\n"
HANGS = "import time\ndef test_bad():\n    time.sleep(600)\n"
BUSY = HANGS.replace("bad", "busy")


@pytest.mark.parametrize(
    ("code", "files", "where"),
    [(CRASHES, 2, "Fatal Python error: Aborted"), (HANGS, 1, "Timeout (0:00:01)!")],
    ids=["a crash while another worker is busy", "a hang"],
)
def test_a_worker_that_dies_ends_the_run(code: str, files: int, where: str, tmp_path: Path) -> None:
    (tmp_path / "test_bad.py").write_text(code)
    if files == 2:
        (tmp_path / "test_busy.py").write_text(
            "import time\ndef test_busy():\n    time.sleep(600)\n"
        )
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), str(tmp_path)]
    command += ["--rootdir", str(tmp_path), "-p", "tests.workers", "-n", str(files)]
    command += ["--dist=loadfile"]
    if code == HANGS:
        command += ["-o", "faulthandler_timeout=1"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
    assert where in done.stdout + done.stderr
    assert 'test_bad.py", line 3 in test_bad' in done.stdout + done.stderr
    assert "The process that ran test_bad.py::test_bad died: " in done.stdout
