"""What the monkey can do to a session, and what must come of it."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from snnviz.lab.results import Run, make_smaller, write_code
from snnviz.lab.results.smaller import Smaller
from snnviz.lab.session import Session
from snnviz.lab.session.image import Answer, answer_image
from snnviz.lab.session.status import Status
from snnviz.shrink import OutputsDiffer
from snnviz.training import AlternatingTrainer, Position, TrainingStopped
from tests.lab.watching import Hiccup, read, refused

Arguments = dict[str, Any]
GROUPS = {"1": 6, "3": 5}  # of the tiny trainer


@dataclass(frozen=True)
class Command:
    """What the monkey can do to a session.

    `came` is given the status before and after it was carried out, and asserts what came of it. A
    command without it stands for many, or for none, so the session does not count it.
    """

    name: str
    weight: float
    send: Callable[[Session, Arguments], object]
    draw: Callable[[random.Random], Arguments] = lambda _: {}
    came: Callable[[Status, Status, Arguments], None] | None = None


def _stands(before: Status, after: Status) -> None:
    assert after.position == before.position
    assert after.generation == before.generation
    assert (after.schedule, after.planned) == (before.schedule, before.planned)


def _begun(activity: str) -> Callable[[Status, Status, Arguments], None]:
    def came(before: Status, after: Status, _: Arguments) -> None:
        _stands(before, after)
        if before.finished:
            assert after.activity == "idle"
            assert after.notice is not None
            assert after.notice.kind == "finished"
        else:
            assert after.activity == activity
            assert after.problem is None

    return came


def _paused(before: Status, after: Status, _: Arguments) -> None:
    _stands(before, after)
    assert after.activity == "idle"


def _went_back(before: Status, after: Status, _: Arguments) -> None:
    assert after.generation == before.generation + 1
    assert (after.activity, after.problem, after.records) == ("idle", None, {})
    assert (after.position.step, after.position.epoch) <= _place(before)
    assert after.position.batch == 0
    assert after.planned == before.planned or refused(after)
    if after.position.round_step == 0:
        assert after.schedule == after.planned


def _was_reset(before: Status, after: Status, arguments: Arguments) -> None:
    _went_back(before, after, arguments)
    assert after.position == Position()


def _replanned(before: Status, after: Status, changes: Arguments) -> None:
    assert (after.position.step, after.position.epoch) == _place(before)
    assert after.generation == before.generation
    try:
        wanted, reason = before.planned.replace(**changes), ""
    except ValueError as error:
        wanted, reason = before.planned, str(error)
    if wanted.switcher_data == "holdout":
        reason = "the data has no held-out split"
    elif before.schedule.epochs != wanted.epochs < before.position.epoch:
        reason = f"at least the {before.position.epoch} epochs that are done, got {wanted.epochs}"
    assert refused(after) == bool(reason)
    if reason:
        assert after.notice is not None
        assert reason in after.notice.text
        wanted = before.planned
    assert after.planned == wanted
    if not reason and after.position.round_step == 0:
        assert after.schedule == after.planned
    assert after.activity == ("idle" if after.finished else before.activity)


def _by_hand(before: Status, after: Status, _: Arguments) -> None:
    _stands(before, after)
    assert after.activity == before.activity


def _kept(before: Status, after: Status, arguments: Arguments) -> None:
    _by_hand(before, after, arguments)
    changes = before.trial.changes if before.trial else {}
    if after.refusal:
        assert after.pins == before.pins
        return
    assert after.trial is None
    for group, neurons in changes.items():
        for i, on in neurons.items():
            assert after.pins[group][i] == float(on)
            assert (after.factors[group][i] == 0) == (not on)


def _let_go(before: Status, after: Status, arguments: Arguments) -> None:
    _by_hand(before, after, arguments)
    if arguments["neurons"] is None:
        assert (after.trial, after.pins) == (None, {})


def _draw_neurons(rng: random.Random) -> Arguments:
    group, n = rng.choice(tuple(GROUPS.items()))
    chosen = rng.sample(range(n), rng.randint(1, n))
    return {"changes": {group: {i: rng.random() < 0.4 for i in chosen}}}


def _draw_let_go(rng: random.Random) -> Arguments:
    group, n = rng.choice(tuple(GROUPS.items()))
    return {"neurons": rng.choice((None, {group: rng.sample(range(n), 2)}))}


def _draw_wrong_neurons(rng: random.Random) -> Arguments:
    return {"changes": rng.choice(({"fc9": {0: True}}, {"1": {99: False}}, {"3": {-1: True}}))}


def _refused_by_hand(before: Status, after: Status, arguments: Arguments) -> None:
    _by_hand(before, after, arguments)
    assert after.refusal.startswith("Refused: ")
    assert after.trial == before.trial


def _try_out(session: Session, arguments: Arguments) -> None:
    session.try_out(**arguments)


def _draw_page(rng: random.Random) -> Arguments:
    return {"group": rng.choice((None, *GROUPS)), "index": rng.randrange(5)}


def _looked(before: Status, after: Status, arguments: Arguments) -> None:
    _by_hand(before, after, arguments)
    page = (after.page.group, after.page.index) if after.page else None
    assert page == (tuple(arguments.values()) if arguments["group"] else None)


def _branch(session: Session, arguments: Arguments) -> None:
    def then(made: AlternatingTrainer | Exception) -> None:
        if isinstance(made, AlternatingTrainer):
            assert made.position.epoch == made.history.n_epochs == arguments["epoch"]
            read(made.history)
            made.step()
        elif not isinstance(made, ValueError):
            raise made

    session.branch(arguments["epoch"], then)


def _watched(before: Status, after: Status, arguments: Arguments) -> None:
    _by_hand(before, after, arguments)
    assert arguments["on"] or after.classes is None


def _slowed(before: Status, after: Status, arguments: Arguments) -> None:
    _by_hand(before, after, arguments)
    assert after.speed == arguments["speed"]


def _answer(session: Session, arguments: Arguments) -> None:
    def then(made: Answer | Exception) -> None:
        if isinstance(made, Exception):
            raise made
        assert made.step == session.trainer.position.step
        assert {name: len(each) for name, each in made.answers.items()} == GROUPS

    session.ask(partial(answer_image, what=arguments["what"]), then)


def _compact(session: Session, _: Arguments) -> None:
    def then(made: Smaller | Exception) -> None:
        if isinstance(made, OutputsDiffer | TrainingStopped):
            return  # the network has diverged
        if isinstance(made, Exception):
            raise made
        assert made.step == session.trainer.position.step
        assert made.compacted.report.difference < 1e-4

    session.ask(partial(make_smaller, latency=False), then, "compact")


def _write_code(session: Session, _: Arguments) -> None:
    ends = {row[0]: row[1] for row in session.trainer.history.epoch_rows()}
    run = Run("run", session.began, session.status.position, session.deeds, ends)
    for line in write_code([run], "run").splitlines():
        compile(line, "lines", "exec")


def _place(status: Status) -> tuple[int, int]:
    return status.position.step, status.position.epoch


_GOOD: dict[str, tuple] = {
    "task_steps": (1, 2, 3, 6),
    "switcher_steps": (0, 1, 2),
    "epochs": (3, 5, 8),
    "warmup_epochs": (0, 1, 3),
    "freeze_epochs": (0, 1),
    "batch_size": (8, 16),
    "task_lr": (0.05, 0.01),
    "switcher_lr": (1e-3, 1e-2),
    "task_optimizer": ("sgd", "adam"),
    "switcher_decay": ("cosine", "constant"),
    "through_switcher": (True, False),
}
_BAD: dict[str, tuple] = {
    "task_steps": (0, -3, 2.5, "many", None, True),
    "task_lr": (-1, float("nan"), "fast"),
    "task_optimizer": ("rmsprop",),
    "switcher_data": ("holdout", "test"),  # the data has no holdout
    "epochs": (0, 1),  # 1 is not bad before the first epoch's end
    "steps": (4,),  # no such field
}


def _draw_from(table: dict[str, tuple], most: int) -> Callable[[random.Random], Arguments]:
    def draw(rng: random.Random) -> Arguments:
        names = rng.sample(sorted(table), rng.randint(1, most))
        return {name: rng.choice(table[name]) for name in names}

    return draw


def _draw_step(rng: random.Random) -> Arguments:
    return {"unit": rng.choice(("batch", "phase", "epoch")), "n": rng.randint(1, 3)}


def _set(session: Session, changes: Arguments) -> None:
    session.set_schedule(**changes)


def _wrong_step(session: Session, arguments: Arguments) -> None:
    try:
        session.step(**arguments)
    except ValueError:
        return
    raise AssertionError(f"step(**{arguments}) was not refused")


def _wait(session: Session, arguments: Arguments) -> None:
    try:
        session.wait(**arguments)
    except (TimeoutError, TrainingStopped):
        pass
    except RuntimeError as error:
        if not isinstance(error.__cause__, Hiccup):
            raise


def _draw_wait(rng: random.Random) -> Arguments:
    return {"epochs": rng.choice((None, 1, 3)), "timeout": rng.choice((0, 0.01, 0.1))}


def _read(session: Session, _: Arguments) -> None:
    read(session.trainer.history)


COMMANDS: tuple[Command, ...] = (
    Command("play", 3, lambda s, _: s.play(), came=_begun("playing")),
    Command("pause", 3, lambda s, _: s.pause(), came=_paused),
    Command("step", 8, lambda s, a: s.step(**a), _draw_step, _begun("stepping")),
    Command("reset", 0.7, lambda s, _: s.reset(), came=_was_reset),
    Command("rollback", 0.7, lambda s, _: s.rollback(), came=_went_back),
    Command("set_schedule", 4, _set, _draw_from(_GOOD, 2), _replanned),
    Command("set_schedule, badly", 2, _set, _draw_from(_BAD, 1), _replanned),
    Command("set_schedule to diverge", 0.2, _set, lambda _: {"task_lr": 1e30}, _replanned),
    Command("set_schedule to converge", 1, _set, lambda _: {"task_lr": 0.05}, _replanned),
    Command("try out", 1, _try_out, _draw_neurons, _by_hand),
    Command("try out, badly", 0.3, _try_out, _draw_wrong_neurons, _refused_by_hand),
    Command("keep", 0.6, lambda s, _: s.keep(), came=_kept),
    Command("let go", 0.6, lambda s, a: s.let_go(**a), _draw_let_go, _let_go),
    Command("look at", 1, lambda s, a: s.look_at(**a), _draw_page, _looked),
    Command("branch", 0.3, _branch, lambda r: {"epoch": r.randint(0, 3)}, _by_hand),
    Command(
        "watch classes",
        0.5,
        lambda s, a: s.watch_classes(**a),
        lambda r: {"on": r.random() < 0.5},
        _watched,
    ),
    Command(
        "set speed",
        0.5,
        lambda s, a: s.set_speed(**a),
        lambda r: {"speed": r.choice((None, 200.0, 1000.0))},
        _slowed,
    ),
    Command("answer image", 0.5, _answer, lambda r: {"what": r.randrange(12)}, _by_hand),
    Command("compact", 0.1, _compact, came=_by_hand),
    Command("write code", 0.3, _write_code),
    Command("step, badly", 0.5, _wrong_step, lambda r: r.choice(({"unit": "round"}, {"n": 0}))),
    Command("wait", 1.5, _wait, _draw_wait),
    Command("read", 1, _read),
    Command("close", 0.1, lambda s, _: s.close()),
    Command("another session", 0.3, lambda s, _: None),  # the monkey itself opens it
)
