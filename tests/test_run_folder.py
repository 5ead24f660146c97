"""docs/run_folder.md: its lines read a run folder without snnviz, and its tables are complete."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from snnviz.history import EVENT_COLUMNS, History, tables

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "run_folder.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
ALONE = "import sys\nsys.modules['snnviz'] = sys.modules['torch'] = None  # an import would fail\n"
SHOW_TABLES = """
import json
numbers = [
    len(epochs), len(steps), len(factors), int(epochs["macs"].sum()),
    float(factors["factor"].sum()), list(epochs["step"]), [str(each) for each in steps["phase"]],
]
print(json.dumps(numbers))
"""
SHOW_TENSORS = """
print(json.dumps([{name: list(tensor.shape) for name, tensor in tensors.items()}, state]))
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "first"
    shutil.copytree(ROOT / "tests" / "old_files" / "run", folder)
    return folder


def answer(block: str, show: str, folder: Path) -> list:
    done = subprocess.run(
        [sys.executable, "-I", "-c", ALONE + block + show],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_there_are_lines_for_each_library() -> None:
    names = [re.search(r"pandas|polars|duckdb|safetensors", block) for block in BLOCKS]
    assert [name[0] for name in names if name] == ["pandas", "polars", "duckdb", "safetensors"]
    for block in BLOCKS:
        assert len([line for line in block.splitlines() if line]) <= 6


@pytest.mark.slow
@pytest.mark.parametrize("block", BLOCKS[:3], ids=["pandas", "polars", "duckdb"])
def test_the_tables_are_read_without_snnviz(block: str, run: Path, tmp_path: Path) -> None:
    history = History.load(run)
    done, steps = history.epochs, history.steps
    finished = steps[steps["epoch"] <= history.n_epochs]
    total, phases = float(history.frame()["factor"].sum()), finished["phase"].tolist()
    rows = [len(done), len(finished), len(history.frame()), int(done["macs"].sum())]
    found = answer(block, SHOW_TABLES, tmp_path)
    assert found[:4] == rows
    assert found[4] == pytest.approx(total, rel=1e-6)
    assert found[5:] == [done["step"].tolist(), phases]


def test_a_checkpoint_is_read_without_snnviz(run: Path, tmp_path: Path) -> None:
    shapes, state = answer(BLOCKS[3], SHOW_TENSORS, tmp_path)
    assert state["position"]["step"] == 13
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    assert {f"network/{name}" for name in config["tensors"]} <= set(shapes)
    groups = History.load(run).groups
    assert [shapes[f"pins/{group}"] for group in groups] == [[n] for n in groups.values()]
    kinds = {re.sub("/.*", "", name) for name in shapes} | {"factors"}  # which may be missing
    wanted = {"network", "switcher", "factors", "pins", "task_optimizer", "switcher_optimizer"}
    assert kinds == wanted
    for kind in kinds:
        assert f"`{kind}/" in TEXT
    assert set(state) - kinds == {
        "schedule",
        "position",
        "task_order",
        "switcher_order",
        "running",
    }


def test_every_file_and_every_field_is_described(run: Path) -> None:
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    pointer = json.loads((run / "history" / "history.json").read_text(encoding="utf-8"))
    for name in set(config) - {"format"} | {"epochs", "steps", "groups", "notes"}:
        assert f"`{name}`" in TEXT, name
    assert {"epochs", "steps", "groups", "notes"} <= set(pointer)
    for name in EVENT_COLUMNS:
        assert f"`{name}`" in TEXT, name
    for file in run.rglob("*.*"):
        kind = file.stem.split("-")[0]
        known = [f"`{file.name}`", f"`history/{file.name}`", f"`history/{kind}-*{file.suffix}`"]
        known.append(f"`{file.parent.name}/*{file.suffix}`")
        assert any(each in TEXT for each in known), file


TYPES = {
    "int64": "int64",
    "int32": "int32",
    "double": "float64",
    "float": "float32",
    "dictionary": "text",
}


@pytest.mark.parametrize("kind", ["epochs", "steps", "factors"])
def test_every_column_has_its_type(kind: str) -> None:
    section = re.split(r"\n`[^\n]*`:\n", TEXT)[["epochs", "steps", "factors"].index(kind) + 1]
    rows = re.findall(r"^\| ([^|]*) \| ([^|]*) \| [^|]+ \|$", section.split("\n\n`")[0], re.M)[1:]
    said = {name: type_ for names, type_ in rows for name in names.split(", ")}
    assert said == {name: TYPES[type_] for name, type_ in tables.COLUMNS[kind].items()}  # type: ignore[index]
