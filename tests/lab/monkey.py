"""A monkey: random commands from several threads against a session on a tiny trainer.

What must hold is checked after every command and every step, in the session's own thread, where
nothing moves meanwhile; other threads read the history all along. Whatever is not as it must be is
a fault, in words. The monkey's choices follow from the seed; how its threads interleave does not.

To teach it a command, add a `Command` to COMMANDS in monkey_commands.py.
"""

import random
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from snnviz.data import ImageData
from snnviz.lab.session import Session
from snnviz.runs import Trainer
from snnviz.training import Schedule
from tests.lab.monkey_commands import COMMANDS, Arguments, Command
from tests.lab.watching import Ledger, Watch, read

BOUND = 60.0  # seconds within which a command is carried out, even on a machine that is busy
PLAN: dict[str, Any] = {"epochs": 4, "batch_size": 8, "task_steps": 3, "task_momentum": 0.5}


def tiny_trainer(seed: int = 0) -> Trainer:
    """Two groups of 6 and 5 neurons, 6 task steps an epoch of 48 images."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (60, 1, 4, 4), dtype=torch.uint8, generator=generator)
    labels = torch.arange(60) % 3
    data = ImageData.from_tensors(
        (images[:48], labels[:48]), (images[48:], labels[48:]), device="cpu"
    )
    torch.manual_seed(seed)
    layers = [nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)]
    network = nn.Sequential(nn.Flatten(), *layers)
    return Trainer(network, data, Schedule(**PLAN), device="cpu", precision="float32", seed=seed)


@dataclass
class Story:
    """What came of it all."""

    commands: int = 0
    sessions: int = 0
    steps: int = 0
    statuses: int = 0
    hiccups: int = 0
    longest: float = 0.0  # seconds from sending a command to its being carried out
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


class Monkey:
    """Sends `commands` random commands from several threads; `run` tells what came of it.

    Args:
        seed: of its choices, and of the trainer's.
        commands: how many in all.
        threads: that send commands. Two more read.
        in_order: each command's own outcome is checked too. For that, the threads take turns in
            sending; otherwise they race.
    """

    def __init__(self, seed: int, commands: int, threads: int = 3, in_order: bool = True) -> None:
        self._seed, self._left, self._threads, self._in_order = seed, commands, threads, in_order
        self._story = Story()
        self.trainer = tiny_trainer(seed)
        self.ledger = Ledger(self.trainer, seed, self._story.faults)
        self._turn, self._counting, self._stop = threading.Lock(), threading.Lock(), False
        self._watches: list[Watch] = []
        self._backs: Counter[Watch] = Counter()  # times that each session was told to go back
        self._open()

    def run(self) -> Story:
        """All commands, and then a session that must still train."""
        story, longest = self._story, 2 * BOUND + self._left  # as each command has its own bound
        agents = [self._thread(self._act, k) for k in range(self._threads)]
        readers = [self._thread(self._read, k) for k in range(2)]
        for agent in agents:
            agent.join(longest)
            if agent.is_alive():
                story.faults.append(f"{agent.name} hangs:\n{_stack(agent)}")
        self._stop = True
        for reader in readers:
            reader.join(BOUND)
        if not story.faults:
            try:
                self._finish()
            except Exception as error:
                story.faults.append("".join(traceback.format_exception(error)))
        for watch in self._watches:
            if watch.session:
                watch.session.close(timeout=BOUND)
        story.steps, story.hiccups = self.ledger.made, self.ledger.hiccups
        story.sessions = len(self._watches)
        story.statuses = sum(watch.statuses for watch in self._watches)
        return story

    def _thread(self, work: Callable[[int], None], number: int) -> threading.Thread:
        def guarded() -> None:
            try:
                work(number)
            except BaseException as error:
                self._story.faults.append("".join(traceback.format_exception(error)))

        name = f"{work.__name__.strip('_')}-{number}"
        thread = threading.Thread(target=guarded, name=name, daemon=True)
        thread.start()
        return thread

    def _open(self) -> None:
        watch = Watch(self.ledger, self._story.faults)
        watch.in_order = self._in_order
        with self.ledger.guard.opening():
            session = Session(self.trainer, on_change=watch)
        watch.begin(session)
        self._watches.append(watch)
        self._watch = watch

    def _read(self, _: int) -> None:
        while not self._stop:
            read(self.trainer.history)
            time.sleep(0.02)  # else readers keep the interpreter's lock for themselves

    def _act(self, number: int) -> None:
        rng = random.Random(f"{self._seed} {number}")
        weights = [command.weight for command in COMMANDS]
        while not self._story.faults and self._another():
            command = rng.choices(COMMANDS, weights)[0]
            self._do(command, command.draw(rng))
            self._story.counts[command.name] += 1
            time.sleep(rng.choice((0, 0, 0.005, 0.03)))

    def _another(self) -> bool:
        with self._counting:
            self._left -= 1
            self._story.commands += self._left >= 0
            return self._left >= 0

    def _do(self, command: Command, arguments: Arguments) -> None:
        if command.name == "another session":
            self._open()
            return
        watch = self._watch
        session = watch.session
        assert session is not None
        began = time.monotonic()
        try:
            if command.came and self._in_order:
                self._send_in_turn(watch, session, command, arguments)
            else:
                command.send(session, arguments)
        except RuntimeError as error:
            if str(error) != "This lab is closed. Make another one with Lab(trainer).":
                raise
            with self._counting:
                if self._watch is watch:
                    self._open()
            return
        if command.came:
            with self._counting:
                self._backs[watch] += command.name in ("reset", "rollback")
            self._until_handled(session, session._inbox.sent, began)

    def _send_in_turn(
        self, watch: Watch, session: Session, command: Command, arguments: Arguments
    ) -> None:
        came = command.came
        assert came is not None
        with self._turn:
            watch.given.append(
                (f"{command.name} {arguments}", lambda old, new: came(old, new, arguments))
            )
            try:
                command.send(session, arguments)
            except BaseException:
                watch.given.pop()
                raise

    def _until_handled(self, session: Session, sent: int, began: float) -> None:
        while session.status.handled < sent and session._thread.is_alive():
            if time.monotonic() > began + BOUND:
                stack = _stack(session._thread)
                raise AssertionError(f"a command waits since {BOUND:g} s; the session:\n{stack}")
            time.sleep(0.0005)
        self._story.longest = max(self._story.longest, time.monotonic() - began)

    def _finish(self) -> None:
        """After all that, the session trains from the start as if nothing had been."""
        self.ledger.calm, self._in_order = True, False
        self._open()
        session = self._watch.session
        assert session is not None
        session.set_schedule(**{**PLAN, "epochs": 9, "task_lr": 0.05})
        session.reset()
        self._backs[self._watch] += 1
        session.step("epoch", n=2)
        session.wait(timeout=BOUND)
        session.play()
        session.wait(timeout=BOUND)
        assert self.trainer.finished
        self.ledger.check(complete=True)
        read(self.trainer.history)
        session.close()
        notes = [note[2] for note in self.trainer.history._notes]
        assert sum(self._backs.values()) == notes.count("reset") + notes.count("rollback")
        for watch in self._watches:
            of = watch.session
            assert of is not None
            assert not of._thread.is_alive()
            assert of.status.activity == "closed"
            assert of.caught_up, f"{of._sent - of.status.handled} commands were never carried out"
            assert of.status.generation == self._backs[watch]
        self.ledger.guard.release()
        self.trainer.run(epochs=1, progress=False)  # from any thread again
        self.ledger.check(complete=True)


def _stack(thread: threading.Thread) -> str:
    frame = sys._current_frames().get(thread.ident or 0)
    return "".join(traceback.format_stack(frame)) if frame else "(it has ended)"
