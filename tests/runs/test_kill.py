"""Processes that train are killed for real, and what they leave goes on as if nothing had been.

benchmarks/kill.py does the same 200 times.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runs.stories import STORIES

KILLS = 3 * len(STORIES)
ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads keep a process from forking")
def test_killed_at_random_moments(tmp_path: Path) -> None:
    """At least 20 times; the killing process looks at what each of them left."""
    command = [sys.executable, "-m", "tests.runs.killing", "--kills", str(KILLS), str(tmp_path)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kills = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(kills) == KILLS >= 20
    assert [kill["story"] for kill in kills] == 3 * list(STORIES)
    assert [kill["differs"] for kill in kills] == [[]] * KILLS
    assert [kill["missing"] for kill in kills] == [0] * KILLS
    assert sum(kill["loads meanwhile"] for kill in kills) > 0
    assert len({kill["killed"] for kill in kills}) > 4
