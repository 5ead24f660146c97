"""Exports a run's numbers to other tools: TensorBoard, Trackio and Weights & Biases."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from snnviz import checks, files
from snnviz.history import EPOCH_COLUMNS, STEP_COLUMNS, History
from snnviz.runs.past import Past, past

_INSTALL = {
    "tensorboard": "pip install 'snnviz[tensorboard]'",
    "trackio": "pip install 'snnviz[trackio]'",
    "wandb": "pip install 'snnviz[wandb]'",
}
TOOLS = tuple(_INSTALL)


class Entry(NamedTuple):
    """Everything that is logged at one step.

    Attributes:
        step: counted from 1; 0 is the state before the first step.
        scalars: {name: number}, such as "task/loss" of the step, or "epoch/test_accuracy".
        factors: {name: (neurons,)} at the end of an epoch, and at the start.
    """

    step: int
    scalars: dict[str, float]
    factors: dict[str, np.ndarray]


class Log(Protocol):
    """Where entries are written."""

    def write(self, entry: Entry) -> None: ...
    def close(self) -> None: ...


def export_log(
    run: str | os.PathLike[str],
    to: str = "tensorboard",
    *,
    out: str | os.PathLike[str] | None = None,
    project: str = "snnviz",
) -> Path | None:
    """Writes a run's scalars, and histograms of its factors, for another tool.

    Args:
        run: folder of the run, which may still be training.
        to: "tensorboard", "trackio" or "wandb". The last two may send the data to a
            server, as they are configured.
        out: new folder for TensorBoard's file; by default logs/NAME of the run.
        project: project of Trackio or W&B in which the run appears under its name.

    Returns:
        TensorBoard's folder; None for the others.

    Raises:
        FileNotFoundError: the folder contains no run.
        FileExistsError: `out` is not empty.
        ImportError: the tool is not installed.
        ValueError: an argument is not allowed.
    """
    checks.one_of("to", to, TOOLS)
    if out is not None and to != "tensorboard":
        raise ValueError(f"out is only for TensorBoard, got {str(out)!r} with to={to!r}. Omit it.")
    folder = files.home_path("run", run)
    found, name = past(folder), folder.resolve().name
    if to == "tensorboard":
        out = files.home_path("out", Path("logs") / name if out is None else out)
        files.check_new_names("out", out)
        with files.writing("out", out):
            return _export_to_folder(found.history, out)
    _write_all(found.history, _Hosted(_import(to, to), project, name, _settings(found)))
    return None


def entries(history: History) -> Iterator[Entry]:
    """A history as entries, one for each step, in order."""
    epochs = {row[_STEP]: number for number, row in enumerate(history.epoch_rows(), start=1)}
    yield Entry(0, {}, _name_factors(history, 0))
    for row in history.step_rows():
        step = dict(zip(STEP_COLUMNS, row, strict=True))
        number, phase = step["step"], step["phase"]
        scalars = {f"{phase}/{name}": float(step[name]) for name in ("loss", "accuracy", "lr")}
        factors: dict[str, np.ndarray] = {}
        if number in epochs:
            epoch = epochs[number]
            values = dict(zip(EPOCH_COLUMNS, history.epoch_rows()[epoch - 1], strict=True))
            scalars |= {f"epoch/{name}": float(v) for name, v in values.items() if name != "step"}
            factors = _name_factors(history, epoch)
        yield Entry(number, scalars, factors)


_STEP = EPOCH_COLUMNS.index("step")


def _name_factors(history: History, epoch: int) -> dict[str, np.ndarray]:
    return {f"factors/{group}": values for group, values in history.factors_at(epoch).items()}


def _write_all(history: History, log: Log) -> None:
    try:
        for entry in entries(history):
            log.write(entry)
    finally:
        log.close()


def _export_to_folder(history: History, folder: Path) -> Path:
    """Writes TensorBoard's file next to the folder, which is then renamed: complete or absent."""
    writer = _import("torch.utils.tensorboard", "tensorboard").SummaryWriter
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(
            f"folder {str(folder)!r} is not empty. Choose another folder for the log, or delete "
            "this one: TensorBoard would mix the two logs."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=".log-", dir=folder.parent))
    try:
        _write_all(history, _TensorBoard(writer(str(unfinished))))
        unfinished.chmod(0o755)
        if folder.exists():
            folder.rmdir()
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


class _TensorBoard:
    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def write(self, entry: Entry) -> None:
        for name, value in entry.scalars.items():
            self._writer.add_scalar(name, value, entry.step)
        for name, values in entry.factors.items():
            self._writer.add_histogram(name, values, entry.step)

    def close(self) -> None:
        self._writer.close()


class _Hosted:
    """Trackio and W&B, whose modules have the same functions."""

    def __init__(self, tool: Any, project: str, name: str, settings: Mapping[str, Any]) -> None:
        self._tool = tool
        tool.init(project=project, name=name, config=dict(settings))

    def write(self, entry: Entry) -> None:
        histograms = {name: self._tool.Histogram(v) for name, v in entry.factors.items()}
        self._tool.log({**entry.scalars, **histograms}, step=entry.step)

    def close(self) -> None:
        self._tool.finish()


def _settings(found: Past) -> dict[str, Any]:
    config = found.config
    return {
        "network": config.network.name if config.network else "own",
        "data": config.data.name if config.data else "own",
        "seed": config.seed,
        "schedule": asdict(config.schedule),
        "switcher": asdict(config.switcher),
    }


def _import(module: str, tool: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{tool!r} needs a package that is not installed. Install it: {_INSTALL[tool]}"
        ) from error
