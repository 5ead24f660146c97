"""Gives changed run folders to all that reads them, and watches what it does.

    OMP_NUM_THREADS=1 python -m tests.runs.fuzzing --count 100 --seed 0 work/folder

Prints a line of JSON for each folder, before and after. `faults` should be empty: each call either
works (and gives the truth, unless checksums were forged) or raises an error of this project that
names the file. No code in a file runs, nothing outside the folder is opened or changed, reading
changes nothing, nobody waits for ever, and memory stays bounded.
"""

import argparse
import faulthandler
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from snnviz import files, runs
from snnviz.history import History
from snnviz.runs import InUse, NotSaved, Trainer
from snnviz.runs.advice import DamagedLater, NoSuchEpoch
from snnviz.training import TrainingStopped
from tests.runs.conftest import DATA, PLAN
from tests.runs.damage import Place
from tests.runs.killing import print_of
from tests.runs.mutation import Mutation, mutate

ROOT = Path(__file__).parents[2]
LIMIT = 120  # seconds for one folder, on a machine that does much else
MOST_MEMORY = 2**32  # what a folder may make the process ask for, on top of what it has

_OURS = (ValueError, files.Damaged, files.Newer, FileNotFoundError, NotSaved, PermissionError)
_OURS += (DamagedLater, NoSuchEpoch)
_FORBIDDEN = ("pickle.find_class", "os.system", "subprocess.Popen", "os.exec", "os.posix_spawn")
_FORBIDDEN += ("socket.connect", "os.fork", "ctypes.dlopen", "marshal.loads")
# They tell two things apart that do not fit, without blaming a file.
_OF_THE_RUN = ("network differs from the run", "data differs from the run", "this run was m")


def net() -> nn.Module:
    torch.manual_seed(1)
    layers = (nn.Linear(64, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.2))
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 5))


class Watch:
    """Notes what Python does that reading a run has no business to do.

    Args:
        case: links in here must not be followed out of it.
    """

    def __init__(self, case: Path) -> None:
        self.case, self.on, self.seen = os.path.realpath(case), False, []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, details: tuple) -> None:
        if not self.on:
            return
        if event in _FORBIDDEN:
            self.seen.append(f"{event} {str(details)[:100]}")
        if event == "open" and isinstance(details[0], str | bytes | os.PathLike):
            path, flags = os.path.abspath(os.fsdecode(details[0])), details[2] or 0
            inside = path.startswith(self.case + os.sep)
            followed = not os.path.realpath(path).startswith(self.case + os.sep)
            if inside and followed and not flags & os.O_NOFOLLOW:
                self.seen.append(f"opened {path} -> {os.path.realpath(path)}")


class Fuzzer:
    """Makes folders and changes them.

    Args:
        work: an empty folder.
        seed: of all changes.
        few: one of the calls that build a trainer for each folder, in turn, instead of all.
    """

    def __init__(self, work: Path, seed: int, few: bool) -> None:
        self.few = few
        self.work, self.seed, self.case = work, seed, work / "case" / "runs"
        self.states: dict[int, set[str]] = {}  # by step
        self.older: list[bytes] = []
        self._make_base(work / "base")
        self.truth = History.load(work / "base" / "a")
        rows = [h.epoch_rows() for h in (self.truth, History.load(work / "base" / "b"))]
        self.rows = {repr(row) for each in rows for row in each}
        self.watch = Watch(self.case)

    def _make_base(self, base: Path) -> None:
        """A run with new schedules in the middle of an epoch and at an epoch's end; and a fork."""
        options: dict[str, Any] = {"seed": 3, "device": "cpu", "precision": "float32"}
        made = Trainer(net(), DATA, PLAN, folder=base / "a", **options)
        self._note(made)
        while made.position.step < 12:
            made.step()
            if made.position.step in (5, 10):
                made.schedule = made.schedule.replace(task_lr=made.schedule.task_lr / 2)
            self._note(made)
            self.older.append((base / "a" / "history" / "history.json").read_bytes())
        made.save()
        made.close()
        with Trainer.fork(base / "a", 1, PLAN, "b", network=net(), data=DATA) as fork:
            while fork.position.epoch < 2:
                fork.step()

    def _note(self, trainer: Trainer) -> None:
        self.states.setdefault(trainer.position.step, set()).add(_state_of(trainer))

    def changed(self, number: int) -> Mutation:
        """Sets up the folder of this number."""
        shutil.rmtree(self.work / "case", ignore_errors=True)
        shutil.copytree(self.work / "base", self.case)
        outside = self.work / "case" / "outside"
        outside.mkdir()
        (outside / "canary").write_text('{"secret": 1}')
        rng = random.Random(f"{self.seed}-{number}")
        sprung = self.work / "sprung"
        return mutate(rng, Place(self.case / "a", self.case / "b", self.older, outside, sprung))

    def tried(self, number: int, mutation: Mutation) -> dict[str, Any]:
        """What all readers make of the folder of this number, after a change."""
        began, memory = time.perf_counter(), _begin_peak()
        before, outside = _contents(self.case / "a"), _contents(self.work / "case" / "outside")
        faults, ends = [], {}
        calls = list(self.calls(mutation.forged))
        if self.few:
            calls = [*calls[:3], calls[3 + number % (len(calls) - 3)]]
        for name, call in calls:
            self.watch.seen, self.watch.on = [], True
            try:
                call()
                end = "worked"
            except Exception as error:
                end = f"refused: {type(error).__name__}"
                if why := self.unexpected(error):
                    faults.append(f"{name}: {why}: {type(error).__name__}: {error}"[:600])
            self.watch.on = False
            ends[name] = end
            faults += [f"{name}: {each}" for each in dict.fromkeys(self.watch.seen)]
            if name != "resume" and _contents(self.case / "a") != before:
                faults.append(f"{name}: reading changed the folder")
        if _contents(self.work / "case" / "outside") != outside:
            faults.append("a file outside the folder was changed")
        if (self.work / "sprung").exists():
            faults.append("code was run")
        return {
            "number": number,
            "ends": ends,
            "faults": faults,
            "seconds": round(time.perf_counter() - began, 2),
            "MB": round((_peak() - memory) / 1e3),
        }

    def calls(self, forged: bool) -> Iterator[tuple[str, Callable[[], Any]]]:
        folder, true = self.case / "a", not forged

        def own(take: Callable, *more: Any) -> Any:
            return take(folder, *more, network=net(), data=DATA)

        yield "History.load", lambda: self.check_history(History.load(folder), true)
        yield "table", lambda: self.check_table(runs.table(self.case), true)
        yield "compare", lambda: self.check_rows(runs.compare([folder, self.case / "b"]), true)
        for epoch in (None, 1):
            name = f"c{epoch}"
            yield f"at {epoch}", lambda e=epoch: self.check(own(Trainer.at, e), true)
            yield (
                f"fork {epoch}",
                lambda e=epoch, n=name: self.check(own(Trainer.fork, e, None, n), true),
            )
        yield "resume", lambda: self.check(own(Trainer.resume), true)

    # What is asked of what was read -----------------------------------------------------------

    def check_history(self, history: History, true: bool) -> None:
        _ = history.factors, history.events, history.epochs, history.steps
        if not true:
            return
        whole, n = self.truth, history.n_epochs
        same = (
            history.groups == whole.groups
            and history.epoch_rows() == whole.epoch_rows()[:n]
            and history._steps == whole._steps[: len(history._steps)]
            and history._notes == whole._notes[: history.n_events]
            and all((history.factors[g] == whole.factors[g][:n]).all() for g in whole.groups)
        )
        assert same, "the history is not what was written"

    def check_table(self, table: Any, true: bool) -> None:
        rows = table[(table.run == "a") & ~table.state.str.startswith("damaged")]
        for row in rows.itertuples() if true else ():
            if row.epochs:
                accuracy = self.truth.epochs.test_accuracy[int(row.epochs) - 1]
                assert row.accuracy == accuracy, "the table is not what was written"

    def check_rows(self, frame: Any, true: bool) -> None:
        for row in frame.iloc[:, 2:].itertuples(index=False, name=None) if true else ():
            assert repr(tuple(row)) in self.rows, "compare shows what was never written"

    def check(self, trainer: Trainer, true: bool) -> None:
        """Its state and history are the truth, and it can make a step."""
        with trainer:
            self.check_history(trainer.history, true)
            if true:
                known = self.states.get(trainer.position.step, set())
                assert _state_of(trainer) in known, "the state was never there"
            try:
                if not trainer.finished:
                    trainer.step()
            except TrainingStopped:
                assert not true, "training stopped"

    def unexpected(self, error: Exception) -> str:
        said = str(error)
        if isinstance(error, InUse) or type(error) not in _OURS:
            return "foreign"
        if said.startswith("[Errno"):
            return "says nothing of what to do"
        named = str(self.case) in said or said.startswith(_OF_THE_RUN)
        return "" if named else "names no file"


def _state_of(trainer: Trainer) -> str:
    found = print_of(trainer)
    found = {k: v for k, v in found.items() if not k.startswith("history/")}
    return files.digest(repr(found).encode())


def _contents(folder: Path) -> dict[str, Any]:
    found = {}
    for file in sorted(folder.rglob("*")) if folder.exists() else ():
        if file.is_symlink() or not file.is_file():
            found[str(file)] = "link" if file.is_symlink() else "no file"
        elif file.name != "lock" or folder.name == "outside":
            size = file.stat().st_size
            found[str(file)] = size if size > 2**26 else files.digest(file.read_bytes())
    return found


def _begin_peak() -> int:
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    return _peak()


def _peak() -> int:
    """The most memory that was in use, in kB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def _limit_memory() -> None:
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + MOST_MEMORY, resource.RLIM_INFINITY))


# --- processes ------------------------------------------------------------------------------------


def fuzz(count: int, seed: int, work: Path, few: bool = False) -> Iterator[dict[str, Any]]:
    """The results of folders 0 to `count`; of one that ended its process, what it said last."""
    first = 0
    while first < count:
        folder = work / str(first)
        folder.mkdir(parents=True)
        command = [sys.executable, "-m", "tests.runs.fuzzing", "--seed", str(seed)]
        command += ["--first", str(first), "--count", str(count - first), str(folder)]
        command += ["--few"] if few else []
        with subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout
            assert process.stderr
            begun: dict[str, Any] = {}
            for line in process.stdout:
                said = json.loads(line)
                if "faults" in said:
                    yield said
                begun, first = said, said["number"] + ("faults" in said)
            words = process.stderr.read()
        if process.returncode and (not begun or "faults" in begun):
            raise RuntimeError(words)
        if process.returncode:
            fault = f"ended its process ({process.returncode}): {words[-3000:]}"
            yield {**begun, "ends": {}, "faults": [fault], "seconds": 0, "MB": 0}
            first += 1
        shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description="Reads changed run folders.")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--few", action="store_true")
    parser.add_argument("folder", type=Path)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    fuzzer = Fuzzer(asked.folder.resolve(), asked.seed, asked.few)
    _limit_memory()
    for number in range(asked.first, asked.first + asked.count):
        mutation = fuzzer.changed(number)
        change = {"number": number, "change": mutation.words[:300], "forged": mutation.forged}
        print(json.dumps(change), flush=True)
        faulthandler.dump_traceback_later(LIMIT, exit=True)
        print(json.dumps({**change, **fuzzer.tried(number, mutation)}), flush=True)
        faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    main()
