"""Kills processes that train, and sees whether what they left goes on as if nothing had been.

    OMP_NUM_THREADS=1 python -m tests.runs.killing --kills 20 --seed 0 work/folder

One process imports everything. Copies of it (os.fork, which costs milliseconds where an import
costs seconds) train with a folder, and die of SIGKILL at a moment that a seeded generator draws:
a number of marks which the trainer passes (steps, files that it is about to write), and a share of
the time between two of them. After each kill, in a copy of the folder, it must load, and the run go
on to its end. Prints a line of JSON for each kill: among others how many epochs are `missing` that
were done, and what `differs` in the end from a run that was never killed, byte for byte.
"""

import argparse
import hashlib
import importlib
import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from snnviz import files, runs
from snnviz.history import History
from snnviz.runs import Trainer
from snnviz.runs.config import NAME as CONFIG
from snnviz.runs.layout import EVENTS
from tests.runs.conftest import finish, leaves, make, resume
from tests.runs.stories import STORIES, Mark, Story

_READY = "ready"
_KINDS = {"epoch": "a checkpoint", "factors": "factors", "steps": "steps", "epochs": "epochs"}
_KINDS |= {"unfinished": "unfinished steps"}


# --- what must be the same ----------------------------------------------------------------------


def print_of(trainer: Trainer) -> dict[str, str]:
    """Hashes of all that a run ends with: parameters, optimizers, history; but for `seconds`."""
    found = {}
    for path, value in leaves(trainer.state_dict()):
        if isinstance(value, Tensor):
            bits = value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
            shape = f"{value.dtype} {tuple(value.shape)} {value.stride()}"
            found[path] = f"{shape} {hashlib.sha256(bits).hexdigest()}"
        elif path == "/running":
            found[path] = repr((value.loss, value.accuracy, value.steps))
        else:
            found[path] = repr(value)
    return {**found, **print_of_history(trainer.history)}


def print_of_history(history: History) -> dict[str, str]:
    factors = {k: hashlib.sha256(v.tobytes()).hexdigest() for k, v in history.factors.items()}
    return {
        "history/steps": repr(history._steps),
        "history/epochs": repr([row[:-1] for row in history.epoch_rows()]),
        "history/notes": repr(history._notes),
        "history/factors": repr(factors),
    }


def differing(found: dict[str, str], expected: dict[str, str]) -> list[str]:
    """What is not the same, in words."""
    return [
        f"{key}: {found.get(key)}, not {expected.get(key)}"
        for key in sorted(found.keys() | expected.keys())
        if found.get(key) != expected.get(key)
    ]


def epochs_done(folder: Path) -> int:
    """How many the folder's own log says were done. A line that is torn says nothing."""
    most = 0
    for line in (folder / EVENTS).read_bytes().split(b"\n")[:-1]:
        with suppress(ValueError):
            said = json.loads(line)
            most = max(most, said["epoch"] if said["event"] == "epoch" else 0)
    return most


def files_of(folder: Path) -> dict[str, str]:
    found = (p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "lock")
    return {str(p.relative_to(folder)): files.digest(p.read_bytes()) for p in found}


# --- processes ----------------------------------------------------------------------------------


def child(work: Callable[[Mark], None]) -> tuple[int, int]:
    """Runs `work` in a copy of this process: its id, and where its marks can be read."""
    out, into = os.pipe()
    if process := os.fork():
        os.close(into)
        return process, out
    _work(work, into)


def _work(work: Callable[[Mark], None], into: int) -> NoReturn:
    try:
        warnings.simplefilter("error")
        work(lambda words: _write(into, words))
        os._exit(0)
    except BaseException:
        _write(into, "error: " + traceback.format_exc().replace("\n", " | "))
    finally:
        os._exit(1)


def _write(into: int, words: str) -> None:
    data = f"{words}\n".encode()
    while data:  # a pipe may take a part
        data = data[os.write(into, data) :]


def marks_of(out: int) -> Iterator[str]:
    """Line by line, until the process that writes them is dead."""
    with os.fdopen(out, "rb", buffering=0) as lines:
        for line in lines:
            if line.startswith(b"error: "):
                raise AssertionError(line.decode().replace(" | ", "\n"))
            yield line.decode().strip()


def live(story: Story, folder: Path, before: Path | None, mark: Mark) -> None:
    """Begins the run or takes it up, and goes on to its end."""
    write = files.write

    def marked(file: Path, *args: Any, **options: Any) -> None:
        mark(f"writing {_KINDS.get(kind := file.name.partition('-')[0], kind)}")
        write(file, *args, **options)
        mark("between two files")

    files.write = marked
    begun = (folder / CONFIG).exists()
    trainer = story.take_up(folder) if begun else story.begin(folder, before)
    mark(_READY)
    story.go_on(trainer, mark)


def killed(process: int, out: int, marks: int, seconds: float) -> tuple[list[str], bool]:
    """Kills a process so many seconds after so many marks. What it marked; whether it was alive."""
    seen, lines = ["building the trainer"], marks_of(out)
    for line in lines:
        seen.append(line)
        if len(seen) > marks:
            break
    time.sleep(seconds)
    os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    seen += lines
    return seen, os.WIFSIGNALED(status)


def read_on(folder: Path, mark: Mark) -> None:
    """Loads the run again and again while another process writes it, and dies."""
    epochs = 0
    while True:
        table = runs.table(folder.parent)
        assert not [state for state in table.state if state.startswith("damaged")], table.state
        with suppress(FileNotFoundError):
            found = History.load(folder).n_epochs
            assert found >= epochs, f"{epochs} epochs were read, and then {found}"
            epochs = found
        mark("read")


# --- one kill -----------------------------------------------------------------------------------


class Killer:
    """Tells one story again and again, and kills it.

    Args:
        name: of the story.
        work: a folder for it alone.
        rng: draws the moments.
    """

    def __init__(self, name: str, work: Path, rng: random.Random) -> None:
        self.name, self.story, self.rng = name, STORIES[name], rng
        self.runs = work / name.replace(" ", "-").replace(",", "")
        self.runs.mkdir(parents=True)
        process, out = child(self._prepare)
        self.expected = json.loads(list(marks_of(out))[-1])
        os.waitpid(process, 0)
        self.history = {k: v for k, v in self.expected.items() if k.startswith("history/")}
        self.before = before if (before := self.runs / "before").exists() else None
        self.number = 0
        self.folder = self._another()
        # A life that nobody takes: how many marks it passes, and how fast.
        began = time.perf_counter()
        process, out = child(lambda mark: live(self.story, self.folder, self.before, mark))
        marks = list(marks_of(out))
        os.waitpid(process, 0)
        self.marks, self.first = len(marks), marks.index(_READY)
        self.pace = (time.perf_counter() - began) / self.marks
        self.folder = self._another()

    def _prepare(self, mark: Mark) -> None:
        """What the run begins with, and how it must end."""
        if self.story.forks or self.story.begins:
            with make(self.runs / "before", self.story.schedule, **self.story.options) as trainer:
                while trainer.position.epoch < (self.story.begins or trainer.schedule.epochs):
                    trainer.step()
        mark(json.dumps(print_of(self.story.twin())))

    def _another(self) -> Path:
        self.number += 1
        return self.runs / f"run-{self.number}"

    def kill(self, reader: bool) -> dict[str, Any]:
        """Lets the run live until it is killed, and looks at what it left."""
        while True:
            # Half of the forks, and some of the other runs, die before they have begun.
            early = self.rng.random() < (0.5 if self.story.forks else 0.15)
            marks = self.rng.randint(0, self.first if early else self.marks)
            seconds = self.rng.random() * self.pace * (1 if marks else 4)
            before = self.before and files_of(self.before)
            readers = [child(lambda mark: read_on(self.folder, mark))] if reader else []
            process, out = child(lambda mark: live(self.story, self.folder, self.before, mark))
            seen, was_alive = killed(process, out, marks, seconds)
            loads = sum(len(killed(*each, 0, 0)[0]) - 1 for each in readers)
            assert before == (self.before and files_of(self.before)), "the parent was changed"
            if was_alive:
                break
            self._drop()
        done = max([int(m.partition(" ")[2]) for m in seen if m.startswith("done")], default=0)
        found = self._look(done)
        if found["epochs"] == self.story.schedule.epochs or self.rng.random() < 0.3:
            self._drop()
        return {"story": self.name, "killed": _place(seen), "loads meanwhile": loads, **found}

    def _drop(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder = self._another()

    def _look(self, done: int) -> dict[str, Any]:
        """In a copy, for the run itself may be killed once more."""
        copy = self.folder.with_name(f"{self.folder.name}-copy")
        if self.folder.exists():
            shutil.copytree(self.folder, copy)
        process, out = child(lambda mark: self._end(copy, done, mark))
        lines = list(marks_of(out))
        assert os.waitpid(process, 0)[1] == 0
        shutil.rmtree(copy)
        return json.loads(lines[-1])

    def _end(self, folder: Path, done: int, mark: Mark) -> None:
        if (folder / CONFIG).exists():
            epochs, done = History.load(folder).n_epochs, max(done, epochs_done(folder))
            trainer = self.story.take_up(folder)
            assert trainer.history.n_epochs == epochs
        else:
            epochs = 0
            trainer = self.story.begin(folder, self.before)
        step = trainer.position.step
        self.story.go_on(trainer, lambda _: None)
        trainer.save()
        differs = differing(print_of(trainer), self.expected)
        differs += differing(print_of_history(History.load(folder)), self.history)
        trainer.close()
        assert not list(folder.rglob("*.tmp"))
        found = {"epochs": epochs, "missing": max(done - epochs, 0), "differs": differs}
        mark(json.dumps({**found, "went on from step": step}))


def _place(seen: list[str]) -> str:
    place = "between two steps" if seen[-1].startswith("done") else seen[-1]
    return place if _READY in seen else f"at its beginning: {place}"


def import_all(folder: Path) -> None:
    """Imports what a run imports late, for its copies. No step is made here: it begins threads."""

    def work(mark: Mark) -> None:
        before = set(sys.modules)
        with make(folder) as trainer:
            finish(trainer)
        resume(folder).close()
        runs.table(folder.parent)
        for name in sys.modules:
            if name not in before:
                mark(name)

    process, out = child(work)
    for name in marks_of(out):
        with suppress(Exception):
            importlib.import_module(name)
    os.waitpid(process, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description="Kills processes that train.")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("folder", type=Path)
    asked = parser.parse_args()
    # A copy of a process has none of its threads. To ask torch for one would begin one.
    if torch.get_num_threads() > 1:
        parser.error("set OMP_NUM_THREADS=1 in the surroundings")
    import_all(asked.folder / "once")
    rng = random.Random(asked.seed)
    killers = [Killer(name, asked.folder, rng) for name in STORIES]
    for number in range(asked.kills):
        found = killers[number % len(killers)].kill(reader=number % 3 == 0)
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    sys.exit(main())
