"""Every notebook runs from top to bottom, in a smaller size, and shows what it promises."""

import itertools
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import nbformat
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from nbclient import NotebookClient
from nbclient.output_widget import OutputWidget
from nbconvert import NotebookExporter
from traitlets.config import Config

from snnviz import sweep
from snnviz.evidence import claims as claims_of
from snnviz.evidence import words
from snnviz.runs import compare

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
STUDIES = NOTEBOOKS.parent / "benchmarks" / "studies"
CLAIMS, CHOICE = (str(STUDIES / f"{name}.parquet") for name in ("claims", "choice"))
EVERY_CLAIM = "every_claim.parquet"  # in the notebook's folder
DOCUMENT = NOTEBOOKS.parent / "docs" / "claims.md"
WIDGET = "application/vnd.jupyter.widget-view+json"
VERDICT = "(holds|does not hold|undecided|no verdict|too short)"
SMALLER = {
    "00_quickstart": {"NETWORK": "mlp", "EPOCHS": 2},
    "01_switches": {"NETWORK": "mlp", "EPOCHS": 1, "OWN_IMAGES": 600},
    "02_runs": {"NETWORK": "mlp", "HOLDOUT": 57_000, "KILL_AT": (4, 10)},
    "03_lab_tour": {"NETWORK": "mlp", "EPOCHS": 4, "HOLDOUT": 55_000},
    "04_claims": {"RESULTS": EVERY_CLAIM, "CHOICE": CHOICE},
    "05_rivals": {"RESULTS": CLAIMS, "EPOCHS": 2},
    "06_what_the_switcher_reads": {
        "READERS": ("descriptors", "nothing"),
        "EPOCHS": 2,
        "OTHER": "mlp",
        "OTHER_EPOCHS": 2,
    },
    "07_where_a_factor_comes_from": {"EPOCHS": 4, "HOLDOUT": 50_000},
    "class/lesson": {"NETWORK": "mlp", "EPOCHS": 3, "HOLDOUT": 57_000},
    "class/instructor": {"NETWORK": "mlp", "EPOCHS": 3, "HOLDOUT": 57_000},
}


class Exercise(NamedTuple):
    """A cell that checks an answer: the line to answer in, and what is put in its place."""

    line: str
    right: str
    wrong: str
    said: str  # of a right answer
    refused: str  # what a wrong one reads


BY_HAND = """from scipy import stats
n = len(differences)
half = stats.t.ppf((1 + {}) / 2, n - 1) * differences.std() / n**0.5
mine = differences.mean() - half, differences.mean() + half"""
EXERCISES = {
    "00_quickstart": Exercise(
        "dense = None",
        "dense = sv.Trainer(sv.network(NETWORK, data, 1), data, "
        "sv.Schedule(epochs=1, switcher_steps=0), seed=1)\ndense.run()",
        "dense = trainer",
        "dense is better by ",
        "this run has switcher steps",
    ),
    "01_switches": Exercise(
        "left = None",
        "left = (2 * 64 + 128 + 256 + 512) + (2 * 128 + 2 * 256 + 2 * 512)",
        "left = 2880",  # with the stream
        "right",
        "not 2880; add up the column `neurons`",
    ),
    "02_runs": Exercise(
        "again = None",
        'again = "again"\n'
        "with sv.Trainer.fork(RUN, 0, name=again, data=data) as fork:\n    fork.run()",
        "again = FORK.name",
        "steps are the same",
        "the steps differ: did you change the schedule?",
    ),
    "03_lab_tour": Exercise(
        "mine = None",
        'mine = "frozen"\nearly = plan.replace(freeze_epochs=EPOCHS - 2)\n'
        "with sv.Trainer.fork(FOLDER, 0, early, name=mine, data=data) as fork:\n    fork.run()",
        "mine = FOLDER.name",
        "Correct: it was frozen.",
        "its factors still changed in the last epoch: was it frozen?",
    ),
    "04_claims": Exercise(
        "mine = None",
        BY_HAND.format(0.95),
        BY_HAND.format(0.9),
        "Correct.",
        "the lower end is wrong",
    ),
    "06_what_the_switcher_reads": Exercise(
        "guess = None",
        'guess = "length"',
        'guess = "shift"',
        "right: the factors follow it in every group",
        "the factors do not follow it closely; see the table",
    ),
}


def run(name: str, folder: Path, constants: dict) -> nbformat.NotebookNode:
    """The notebook after it has run in `folder` with other constants.

    Behind its cells stands the one with the exercise twice more: answered right, and wrong.
    """
    copy = shutil.copy(NOTEBOOKS / f"{name}.ipynb", folder)
    notebook = nbformat.read(copy, as_version=4)
    (cell,) = (c for c in notebook.cells if "parameters" in c.metadata.get("tags", ()))
    for constant, value in constants.items():
        assert f"{constant} = " in cell.source, f"{name} has no constant {constant}"
        cell.source += f"\n{constant} = {value!r}"
    if name in EXERCISES:
        notebook.cells += answered(notebook, EXERCISES[name])
    if name == "04_claims":
        write_every_claim(folder / EVERY_CLAIM)
    return execute(notebook, folder)


def write_every_claim(file: Path) -> None:
    """Today's study, and what it has no runs of yet: the trends of the study of directions."""
    earlier = pq.read_table(STUDIES / "directions" / "claims.parquet")
    trends = (pc.field("share") < 1) & pc.field("network").isin(["mlp", "lenet5"])
    pq.write_table(pa.concat_tables([pq.read_table(CLAIMS), earlier.filter(trends)]), file)


def answered(notebook: nbformat.NotebookNode, exercise: Exercise) -> list[nbformat.NotebookNode]:
    (cell,) = (c for c in notebook.cells if re.search(f"^{exercise.line} ", c.source, re.MULTILINE))
    cells = []
    for answer in (exercise.right, exercise.wrong):
        lines = [
            answer if line.startswith(f"{exercise.line} ") else line
            for line in cell.source.splitlines()
        ]
        cells.append(nbformat.v4.new_code_cell("\n".join(lines)))
    cells[-1].metadata["tags"] = ["raises-exception"]  # and go on
    return cells


class Unanswered(OutputWidget):
    """Outputs in a widget, of which the kernel is told nothing.

    It would be told on the very socket on which the client waits for the cell: in one of twenty
    such cells the client then did not see the end, and waited for all of its 300 s.
    """

    def sync_state(self) -> None:
        """Nothing in the kernel asks for it."""


def execute(notebook: nbformat.NotebookNode, folder: Path) -> nbformat.NotebookNode:
    """It has run; with a new kernel from where it says that all above may be forgotten."""
    cells, resources = notebook.cells, {"metadata": {"path": str(folder)}}
    starts = [i for i, c in enumerate(cells) if "restart" in c.metadata.get("tags", ())]
    notebook.cells = []
    for start, end in itertools.pairwise([0, *starts, len(cells)]):
        part = nbformat.v4.new_notebook(cells=cells[start:end])
        client = NotebookClient(part, timeout=300, resources=resources)
        client.widget_registry = {"@jupyter-widgets/output": {"OutputModel": Unanswered}}
        notebook.cells += client.execute().cells
    return notebook


def test_every_notebook_is_run() -> None:
    found = (path.relative_to(NOTEBOOKS) for path in NOTEBOOKS.rglob("*.ipynb"))
    names = {path.with_suffix("").as_posix() for path in found if path.parts[0] != "runs"}
    assert {name for name in names if ".ipynb_checkpoints" not in name} == set(SMALLER)


def test_the_students_lesson_is_the_instructors_without_its_answers() -> None:
    """`make lesson` writes it."""
    left_out = {"enabled": True, "remove_cell_tags": {"instructor"}}
    exporter = NotebookExporter(config=Config({"TagRemovePreprocessor": left_out}))
    source, lesson = (NOTEBOOKS / "class" / f"{name}.ipynb" for name in ("instructor", "lesson"))
    text, _ = exporter.from_filename(str(source))
    assert json.loads(text) == json.loads(lesson.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", SMALLER)
def test_runs_without_a_hand_on_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MPLBACKEND", raising=False)  # the kernel's own shows figures
    notebook = run(name, tmp_path, SMALLER[name])
    if name in EXERCISES:
        notebook.cells, answers = notebook.cells[:-2], notebook.cells[-2:]
        check_answers(EXERCISES[name], *answers)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    outputs = [output for cell in code for output in cell.outputs]
    warned = [o.text for o in outputs if o.output_type == "stream" and o.name == "stderr"]
    assert not [text for text in warned if "Warning" in text]
    PROMISES[name](notebook, outputs, tmp_path)


def check_answers(
    exercise: Exercise, right: nbformat.NotebookNode, wrong: nbformat.NotebookNode
) -> None:
    """The right answer is taken, and the wrong one refused."""
    said = "".join(o.get("text", "") for o in right.outputs if o.get("name") == "stdout")
    assert exercise.said in said
    assert not any(output.output_type == "error" for output in right.outputs), right.outputs
    errors = [output for output in wrong.outputs if output.output_type == "error"]
    assert [(error.ename, error.evalue) for error in errors] == [
        ("AssertionError", exercise.refused)
    ]


def quickstart(notebook: nbformat.NotebookNode, outputs: list, folder: Path) -> None:
    """Two labs with their pictures, three others, the change of plan, and the figure's files."""
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 5
    (lab,) = (c for c in notebook.cells if c.source.endswith("\nlab"))
    assert WIDGET in lab.outputs[0].data
    assert "image/png" in lab.outputs[1].data
    assert {path.suffix for path in (folder / "figures").iterdir()} == {".pdf", ".svg", ".png"}
    (events,) = (c for c in notebook.cells if "event == 'schedule'" in c.source)
    assert "task_steps: 4 → 1" in events.outputs[-1].data["text/plain"]


def switches(notebook: nbformat.NotebookNode, outputs: list, folder: Path) -> None:
    """The picture of the groups, two reports with small differences, and equal answers."""
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 1
    for report in ("print(report)", "print(own_report)"):
        (cell,) = (c for c in notebook.cells if c.source.endswith(report))
        text = "".join(output.get("text", "") for output in cell.outputs)
        found = re.search(r"difference (\S+) of the largest output, on 256 images", text)
        assert found is not None
        assert float(found[1]) <= 1e-4
    widths = dict(re.findall(r"(stem|branch)\s+16\s+(\d+)\n", text))
    assert widths["stem"] == widths["branch"]
    assert int(widths["stem"]) <= 14
    (last,) = (c for c in notebook.cells if c.source.startswith("with torch.no_grad():"))
    shares = re.findall(r"[\d.]+%", last.outputs[0].text)
    assert len(shares) == 2
    # The trainer's own answers may be in bfloat16, so a few images may differ.
    assert abs(float(shares[0][:-1]) - float(shares[1][:-1])) < 2


def runs(notebook: nbformat.NotebookNode, outputs: list, folder: Path) -> None:
    """A kill, a run that is none the worse for it, a fork."""
    assert any("restart" in cell.metadata.get("tags", ()) for cell in notebook.cells)
    said = {
        cell.source.splitlines()[0]: "".join(
            output.get("text", "") or output.get("data", {}).get("text/plain", "")
            for output in cell.outputs
            if output.get("name") != "stderr"  # progress bars
        )
        for cell in notebook.cells
        if cell.cell_type == "code"
    }
    clean = 'shutil.rmtree("runs/02_runs", ignore_errors=True)'
    ended = said[f"{clean}  # left by an earlier run of this notebook"]
    assert ended == "runs/02_runs/undisturbed: ended in epoch 6, exit code 0\n"
    kill = re.fullmatch(
        r"runs/02_runs/killed: ended in epoch (\d), exit code -9\n",
        said['train("runs/02_runs/killed", KILL_AT)'],
    )
    assert kill is not None
    done = int(kill[1]) - 1
    assert 3 <= done < 6
    text = said["with sv.Trainer.resume(RUN) as trainer:"]
    assert text.startswith(f"continues after epoch {done} of 6\n")
    (same,) = (text for line, text in said.items() if line.startswith("one, other = "))
    assert re.findall(r": (\w+)\n", same) == ["True"] * 3
    (files,) = (text for line, text in said.items() if line.startswith("mine, theirs = "))
    assert files.startswith("7 checkpoints, in both folders: 7\n")
    kept = folder / "runs" / "02_runs"
    table = compare([kept / "killed", kept / "no-more-switching"])
    assert table.run.tolist() == ["killed"] * 6 + ["no-more-switching"] * 3
    assert table.epoch.tolist() == [1, 2, 3, 4, 5, 6, 4, 5, 6]
    on = table.neurons_on.tolist()
    assert on[6:] == [on[2]] * 3  # nobody switches in the fork
    (plot,) = (c for c in notebook.cells if c.source.startswith("fig, axes"))
    assert sum("image/png" in output.get("data", {}) for output in plot.outputs) == 1


def lab_tour(notebook: nbformat.NotebookNode, outputs: list, folder: Path) -> None:
    """Two labs with a picture each, a pin that survives, a fork beside its parent, two files."""
    shown = [o for o in outputs if WIDGET in o.get("data", {})]
    pictures = [o for o in outputs if "image/png" in o.get("data", {})]
    assert len(shown) == len(pictures) == 2
    (pins,) = (c for c in notebook.cells if "event == 'pin'" in c.source)
    assert "fc2" in pins.outputs[0].data["text/plain"]
    (last,) = (c for c in notebook.cells if c.source.endswith("again.close()"))
    assert re.search(r"\b[1-9]\d* neurons are pinned", last.outputs[0].text)
    assert re.search(r"the run is saved in \S*first\b", last.outputs[0].text)
    assert (folder / "first.html").stat().st_size > 100_000
    assert sum("image/gif" in output.get("data", {}) for output in outputs) == 1
    kept = folder / "runs" / "03_lab_tour"
    table = compare([kept / "first", kept / "no-more-switching"])
    assert table.run.tolist() == ["first"] * 4 + ["no-more-switching"] * 2


def claims(notebook: nbformat.NotebookNode, outputs: list, folder: Path) -> None:
    """Figures, and a verdict in words for each claim and network, from the committed rows."""
    said = "".join(output.get("text", "") for output in outputs)
    document = DOCUMENT.read_text(encoding="utf-8")
    shown = [o.data["text/markdown"] for o in outputs if "text/markdown" in o.get("data", {})]
    rows = sweep.read(CLAIMS)
    sized = claims_of.at_asked_sizes(rows)
    assert len(shown) == 11 + bool(len(sized))
    for table in shown[:-3]:  # the last are of claim 3
        assert table in document
    networks = rows.query("method == 'magnitude'").network.unique()
    assert len(networks) >= 1
    for network in networks:
        # In short, more accurate than dense, than dense for longer, and than rivals; compressed.
        judged = [
            table for table in shown if re.search(rf"^\| {network} \|.* {VERDICT} \|", table, re.M)
        ]
        assert len(judged) == 8 + (len(sized) and network in set(sized.network)), network
        shuffled = rf"^\| {network} \| shuffled .* {VERDICT} \|$"
        assert sum(bool(re.search(shuffled, table, re.MULTILINE)) for table in shown) == 3
    for sentence in (words.OWN_SIZES, words.EQUAL_SIZES, words.READING, words.NO_WORSE):
        assert sentence in said
    for dose in ("width", "classes", "noise", "share"):
        verdict = "(holds|does not hold|does not hold in general|undecided|no verdict.*)"
        assert re.search(rf"^{dose}: {verdict}\. At equal", said, re.MULTILINE), dose
        assert re.search(rf"^\| {dose} \|.*\| [+-]\d+ \|$", shown[-1], re.MULTILINE), dose
    assert "Claim 3 as a whole: " in said
    document = " ".join(document.split())
    for line in said.splitlines():
        if re.match(
            "Claim [12]|No worse|Reading|With each|At |The switched|More accurate|Of .* compar",
            line,
        ):
            assert line in document
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 3


def compared(notebook: nbformat.NotebookNode, outputs: list, folder: Path) -> None:
    """For each network two figures of size and one of overlaps, and one of the run made here.

    Where no run turned a neuron off there is a sentence in the overlaps' place.
    """
    rows = sweep.read(CLAIMS)
    full = rows[rows.network.isin(rows[rows.method == "magnitude"].network)]
    some_off = (full.neurons_on < full.neurons).groupby(full.network).any()
    pictures = sum("image/png" in output.get("data", {}) for output in outputs)
    assert pictures == 2 * len(some_off) + some_off.sum() + 1
    said = "".join(output.get("text", "") for output in outputs)
    for network in some_off.index[~some_off]:
        assert f"{network}: every neuron is on in every run." in said
    (left,) = re.findall(r"with (\d+)% of the parameters", said)
    assert abs(int(left) - 50) <= 2


def reads(notebook: nbformat.NotebookNode, outputs: list, folder: Path) -> None:
    """Signal and noise, three pictures of factors, and the first neuron off in the first round."""
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 4
    said = "".join(output.get("text", "") for output in outputs)
    (step, warmup) = map(
        int, re.findall(r"off in step (\d+); the warm-up had (\d+) steps", said)[0]
    )
    assert int(step) == int(warmup) + 5


def factor(notebook: nbformat.NotebookNode, outputs: list, folder: Path) -> None:
    """The chain by hand is the trainer's; pictures of descriptors and waterline, two sliders."""
    said = "".join(output.get("text", "") for output in outputs)
    waterline = re.search(r"waterline (\S+), in the trainer (\S+)\n", said)
    neuron = re.search(r"neuron \d+: (\S+), in the trainer (\S+)\n", said)
    for pair in (waterline, neuron):
        assert pair is not None
        assert abs(float(pair[1]) - float(pair[2])) <= 2e-3
    assert "mean factor 1.000" in said
    bundles = [output.get("data", {}) for output in outputs]
    assert sum("image/png" in bundle for bundle in bundles) == 2
    assert sum(WIDGET in bundle for bundle in bundles) == 2


def lesson(notebook: nbformat.NotebookNode, outputs: list, folder: Path) -> None:
    """A lab, the progress of two more runs, seven questions that wait, and the run as a file."""
    bundles = [output.get("data", {}) for output in outputs]
    assert sum(WIDGET in bundle for bundle in bundles) == 1 + 2 + 7
    said = "".join(output.get("text", "") for output in outputs)
    assert "Not yet. Replace None by the factors" in said
    costs = re.findall(r"est of \d+ off as well: (\S+) points lost", said)
    assert len(costs) == 2
    assert (folder / "my_run.html").stat().st_size > 100_000


def lesson_with_answers(notebook: nbformat.NotebookNode, outputs: list, folder: Path) -> None:
    """The same, and every answer is right."""
    lesson(notebook, outputs, folder)
    for cell in notebook.cells:
        if cell.cell_type == "code" and "instructor" in cell.metadata.get("tags", ()):
            replies = "".join(
                output.get("text", "") or output.get("data", {}).get("text/plain", "")
                for output in cell.outputs
            )
            assert replies.startswith("Correct. "), cell.source
            assert "Not yet" not in replies, cell.source


PROMISES: dict[str, Callable] = {
    "00_quickstart": quickstart,
    "01_switches": switches,
    "02_runs": runs,
    "03_lab_tour": lab_tour,
    "04_claims": claims,
    "05_rivals": compared,
    "06_what_the_switcher_reads": reads,
    "07_where_a_factor_comes_from": factor,
    "class/lesson": lesson,
    "class/instructor": lesson_with_answers,
}
