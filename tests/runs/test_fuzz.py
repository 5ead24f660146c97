"""Changed run folders, by the dozen: a message or the truth, and no code is run.

benchmarks/fuzz.py does the same with thousands.
"""

import sys
from pathlib import Path

import pytest

from tests.runs.fuzzing import fuzz
from tests.runs.mutation import KINDS


@pytest.mark.skipif(sys.platform != "linux", reason="memory and links are watched as Linux does")
def test_changed_folders(tmp_path: Path) -> None:
    """Each in turn, in a process of its own kind: one that ends is seen as well."""
    found = list(fuzz(90, 0, tmp_path, few=True))
    faults = [
        f"{one['number']} ({one['change']}): {fault}" for one in found for fault in one["faults"]
    ]
    assert not faults, "\n".join(faults)
    assert len(found) == 90
    ends = [end for one in found for end in one["ends"].values()]
    assert len(ends) == 4 * 90
    # Neither is all refused nor all taken, and every kind of change was there.
    assert ends.count("worked") > 90
    assert sum(end.startswith("refused: Damaged") for end in ends) > 90
    assert all(any(kind in one["change"] for one in found) for kind in KINDS)
