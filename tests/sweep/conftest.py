"""Studies so small that a run takes a fraction of a second."""

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from snnviz.sweep import Study

# 300 training images, 500 to judge by, 15 and 5 hidden neurons.
SMALL = """
name = "small"
results = "small.parquet"

[[part]]
name = "one"
[part.grid]
network = ["mlp"]
width = [0.05]
classes = [3, 0]
share = [0.005]
method = ["dense", "magnitude", "strong"]
seed = [0, 1]
[part.schedule]
epochs = 2
batch_size = 25
warmup_epochs = 0
[part.run]
device = "cpu"
precision = "float32"
holdout = 500
choose = true

[method.strong]
kind = "switched"
switcher = { gain = 0.5 }
schedule = { switcher_lr = 1e-2 }
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a study: text and what to replace in it."""

    def write(text: str = SMALL, *changes: tuple[str, str], name: str = "study.toml") -> Path:
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        file = tmp_path / name
        file.write_text(textwrap.dedent(text), encoding="utf-8")
        return file

    return write


@pytest.fixture
def small(write: Write) -> Study:
    return Study.read(write())
