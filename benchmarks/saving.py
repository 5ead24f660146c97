"""What it costs to keep a run in a folder, and to read its history back.

    python benchmarks/saving.py

Saving is timed inside the epochs that it belongs to, so the share holds when the machine's speed
drifts. Beside the time on the clock stands that of the processor, which other programs on the
machine do not lengthen; it leaves out waiting for the disk. Files are counted where the project
writes them, all of them flushed to the disk.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import machine
import numpy as np
import torch
from speed import summary

import snnviz as sv
from snnviz import files
from snnviz.history import tables
from snnviz.runs import record
from snnviz.runs.checkpoint import Checkpoint

RESULTS = Path(__file__).parent / "results" / "saving.json"
GROUPS = {"conv1": 500, "conv2": 1500, "fc1": 5000, "fc2": 3000}  # 10,000 neurons
STEPS_AN_EPOCH = 585  # of lenet5 on Fashion-MNIST: 468 task steps, 117 switcher steps
WINDOW = 100  # epochs over which a long run's beginning and its end are counted


class Seconds(NamedTuple):
    """On the clock, and of the processor (all threads together)."""

    clock: float
    processor: float

    @classmethod
    def now(cls) -> "Seconds":
        return cls(time.perf_counter(), time.process_time())

    def since(self) -> "Seconds":
        now = Seconds.now()
        return Seconds(now.clock - self.clock, now.processor - self.processor)


class Saves:
    """What each save of a trainer took and wrote."""

    def __init__(self, trainer: sv.Trainer) -> None:
        self.seconds: list[Seconds] = []
        self.files: list[int] = []
        self.bytes: list[int] = []
        self._append, self._write = record.append, files.write
        self._ended = trainer.recorder.epoch_ended
        trainer.recorder.epoch_ended = self._timed
        files.write = self._counted
        record.append = self._logged

    def stop(self) -> None:
        files.write, record.append = self._write, self._append

    def _timed(self, trainer: sv.Trainer) -> None:
        self.files.append(0)
        self.bytes.append(0)
        began = Seconds.now()
        self._ended(trainer)
        self.seconds.append(began.since())

    def _counted(self, file: Path, data: bytes, settled: bool = True) -> None:
        self._write(file, data, settled)
        self.files[-1] += 1
        self.bytes[-1] += len(data)

    def _logged(self, folder: Path, event: str, values: dict[str, Any]) -> None:
        log = folder / "events.jsonl"
        before = log.stat().st_size
        self._append(folder, event, values)
        self.bytes[-1] += log.stat().st_size - before


def share(epochs: int, data: sv.ImageData, precision: str) -> dict[str, Any]:
    """Saving as a share of the epoch that ends with it: training, evaluation and saving."""
    plan = sv.Schedule(epochs=epochs + 1, warmup_epochs=0)
    with tempfile.TemporaryDirectory() as root:
        network = sv.network("lenet5", data)
        trainer = sv.Trainer(network, data, plan, precision=precision, folder=Path(root) / "run")
        saves, whole = Saves(trainer), []
        for _ in range(epochs + 1):
            began, epoch = Seconds.now(), trainer.position.epoch
            while trainer.position.epoch == epoch:
                trainer.step()
            whole.append(began.since())
            print(f"  epoch {whole[-1]}, of it saving {saves.seconds[-1]}", flush=True)
        saves.stop()
        trainer.close()
        pairs = list(zip(saves.seconds, whole, strict=True))[1:]  # the first imports pyarrow
        return {
            f"saving / epoch, lenet5, {trainer.precision}": {
                **summary([saving.clock / epoch.clock for saving, epoch in pairs], "at most 0.02"),
                "median of processor time": round(
                    statistics.median(s.processor / e.processor for s, e in pairs), 4
                ),
                "seconds of saving": round(statistics.median(s.clock for s, _ in pairs), 4),
                "seconds of an epoch": round(statistics.median(e.clock for _, e in pairs), 2),
                "files": round(statistics.mean(saves.files[1:]), 2),
                "bytes": round(statistics.mean(saves.bytes[1:])),
            }
        }


def growth(epochs: int, data: sv.ImageData) -> dict[str, Any]:
    """What a save writes early and late in a long run of mlp, in epochs of two steps."""
    few = [(part.images[:256], part.labels[:256]) for part in (data.train, data.test)]
    own = sv.ImageData.from_tensors(*few, classes=data.classes)
    plan = sv.Schedule(epochs=epochs, warmup_epochs=0, task_steps=1, task_lr=0.01)
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "run"
        trainer = sv.Trainer(sv.network("mlp", own), own, plan, folder=folder, keep_every=50)
        saves = Saves(trainer)
        trainer.run(progress=False)
        saves.stop()
        trainer.close()
        kept = [at for at in map(Checkpoint.of, (folder / "checkpoints").iterdir()) if at]
        checkpoint = statistics.mean(at.file.stat().st_size for at in kept)
        segments = len(tables.find_segments(folder / "history"))
    # Whole windows of 50, in each of which tables are merged once.
    early, late = slice(50, 50 + WINDOW), slice(epochs - WINDOW, epochs)
    return {
        f"an epoch's save, epochs {late.start + 1} to {epochs} / epochs 51 to {early.stop}": {
            "files": _ratio(saves.files, early, late),
            "bytes": _ratio(saves.bytes, early, late),
            "bytes without the checkpoint": _ratio(
                [n - checkpoint for n in saves.bytes], early, late
            ),
            "seconds of processor (medians)": _ratio(
                [s.processor for s in saves.seconds], early, late, statistics.median
            ),
            "files of the history at the end": segments,
            "checkpoints at the end, of every 50th epoch, the first, the best, the last": len(kept),
            "aim": "files and bytes: 1",
        }
    }


def _ratio(
    values: list, early: slice, late: slice, of: Callable[[list], float] = statistics.mean
) -> dict[str, float]:
    first, last = of(values[early]), of(values[late])
    return {"early": round(first, 4), "late": round(last, 4), "ratio": round(last / first, 3)}


def histories(epochs: int, pairs: int) -> dict[str, Any]:
    """Disk and load time of long histories of 10,000 neurons, against their factors as float32."""
    kinds: dict[str, Callable[[], np.ndarray]] = {
        "factors drawn again at each epoch": lambda: _drawn(epochs, 0.0),
        "factors that wander, half of them off": lambda: _drawn(epochs, 0.98),
    }
    found: dict[str, Any] = {}
    for kind, make in kinds.items():
        for steps in (0, STEPS_AN_EPOCH):
            name = f"{epochs:,} epochs x 10,000 neurons, {steps} steps an epoch: {kind}"
            found[name] = _one_history(make(), steps, pairs)
            print(f"  {name}: {found[name]}", flush=True)
    return found


def _drawn(epochs: int, memory: float) -> np.ndarray:
    """(epochs, neurons) float32. With memory, each is near the one before and half are off."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=sum(GROUPS.values()))
    rows = np.empty((epochs, len(scores)), np.float32)
    for row in rows:
        scores = memory * scores + np.sqrt(1 - memory**2) * rng.normal(size=len(scores))
        row[:] = np.maximum(scores, 0) if memory else np.exp(scores)
    return rows


def _one_history(factors: np.ndarray, steps: int, pairs: int) -> dict[str, Any]:
    history = sv.History(GROUPS)
    rng = np.random.default_rng(1)
    ends = np.cumsum([0, *GROUPS.values()])
    for epoch, row in enumerate(factors, 1):
        for step in range((epoch - 1) * steps + 1, epoch * steps + 1):
            phase = "switcher" if step % 5 == 0 else "task"
            loss, accuracy = rng.exponential(), rng.integers(129) / 128
            history.add_step(
                step=step, epoch=epoch, phase=phase, loss=loss, accuracy=accuracy, lr=0.05
            )
        values = dict.fromkeys(tables.COLUMNS["epochs"], epoch) | {"step": epoch * steps}
        parts = {g: row[ends[i] : ends[i + 1]] for i, g in enumerate(GROUPS)}
        history.add_epoch(parts, **values)
    with tempfile.TemporaryDirectory() as root:
        folder = history.save(Path(root) / "history")
        sizes = {file.name: file.stat().st_size for file in folder.iterdir()}
        loads = [_load(folder) for _ in range(pairs)]
    parts = sum(size for name, size in sizes.items() if name.startswith("factors-"))
    return {
        "disk, factors / raw float32": {"value": round(parts / factors.nbytes, 4), "aim": "1"},
        "disk, all / raw float32": round(sum(sizes.values()) / factors.nbytes, 4),
        "bytes": sum(sizes.values()),
        "files": len(sizes),
        "seconds of History.load": summary([load[0] for load in loads], "below 1"),
        "seconds of processor, History.load": summary([load[1] for load in loads], "below 1"),
        "of them import of pyarrow": round(statistics.median(load[2] for load in loads), 4),
    }


def _load(folder: Path) -> list[float]:
    """In a fresh interpreter, pyarrow's import included; the files are in the system's cache."""
    code = (
        "import sys, time; from snnviz import History; "
        "a, b = time.perf_counter(), time.process_time(); "
        "import pyarrow.parquet; c = time.process_time(); History.load(sys.argv[1]); "
        "print(time.perf_counter() - a, time.process_time() - b, c - b)"
    )
    command = [sys.executable, "-c", code, str(folder)]
    out = subprocess.run(command, capture_output=True, check=True).stdout
    return [float(word) for word in out.split()]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=5, help="epochs timed, and histories loaded")
    parser.add_argument("--epochs", type=int, default=1000, help="of the long run and histories")
    arguments = parser.parse_args()
    data = sv.load_data("fashion-mnist")
    results: dict[str, Any] = {
        "command": "python benchmarks/saving.py",
        "machine": machine.describe(),
    }
    precisions = ["float32"]
    if torch.cuda.is_available() or torch.cpu.get_capabilities().get("amx_bf16"):
        precisions.append("bfloat16")
    parts: list[Callable[[], dict[str, Any]]] = [
        lambda: histories(arguments.epochs, arguments.pairs),
        lambda: growth(arguments.epochs, data),
        *(lambda p=p: share(arguments.pairs, data, p) for p in precisions),
    ]
    for part in parts:
        for name, figures in part().items():
            results[name] = figures
            print(name, figures, flush=True)
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
