"""Every notebook runs from top to bottom, in a smaller size, and shows what it promises."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
SMALLER = {
    "00_quickstart": {"NETWORK": "mlp", "EPOCHS": 2},
    "01_switches": {"NETWORK": "mlp", "EPOCHS": 1},
}


def run(name: str, folder: Path, constants: dict) -> nbformat.NotebookNode:
    """The notebook after it has run in `folder` with other constants."""
    shutil.copy(NOTEBOOKS / f"{name}.ipynb", folder)
    notebook = nbformat.read(folder / f"{name}.ipynb", as_version=4)
    (cell,) = (c for c in notebook.cells if "parameters" in c.metadata.get("tags", ()))
    for constant, value in constants.items():
        assert f"{constant} = " in cell.source, f"{name} has no constant {constant}"
        cell.source += f"\n{constant} = {value!r}"
    resources = {"metadata": {"path": str(folder)}}
    return NotebookClient(notebook, timeout=300, resources=resources).execute()


def test_every_notebook_is_run() -> None:
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == set(SMALLER)


@pytest.mark.parametrize("name", SMALLER)
def test_runs_without_a_hand_on_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MPLBACKEND", raising=False)  # the kernel's own shows figures
    notebook = run(name, tmp_path, SMALLER[name])
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    outputs = [output for cell in code for output in cell.outputs]
    warned = [o.text for o in outputs if o.output_type == "stream" and o.name == "stderr"]
    assert not [text for text in warned if "Warning" in text]
    PROMISES[name](notebook, outputs, tmp_path)


def quickstart(notebook: nbformat.NotebookNode, outputs: list, folder: Path) -> None:
    """The lab, three pictures, the change of plan among the events, and the figure's files."""
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 3
    (lab,) = (c for c in notebook.cells if c.source.endswith("\nlab"))
    assert "application/vnd.jupyter.widget-view+json" in lab.outputs[0].data
    assert {path.suffix for path in (folder / "figures").iterdir()} == {".pdf", ".svg", ".png"}
    (events,) = (c for c in notebook.cells if "event == 'schedule'" in c.source)
    assert "switcher_lr" in events.outputs[-1].data["text/plain"]


def switches(notebook: nbformat.NotebookNode, outputs: list, folder: Path) -> None:
    """The picture of the groups, a report with a small difference, and equal answers."""
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 1
    (report,) = (c for c in notebook.cells if c.source.endswith("print(report)"))
    text = "".join(output.get("text", "") for output in report.outputs)
    found = re.search(r"difference (\S+) of the largest output, on 256 images", text)
    assert found is not None
    assert float(found[1]) <= 1e-4
    (last,) = (c for c in notebook.cells if c.source.startswith("with torch.no_grad():"))
    shares = re.findall(r"[\d.]+%", last.outputs[0].text)
    assert len(shares) == 2
    # The trainer's own answers may be in bfloat16, so a few images may differ.
    assert abs(float(shares[0][:-1]) - float(shares[1][:-1])) < 2


PROMISES: dict[str, Callable] = {"00_quickstart": quickstart, "01_switches": switches}
