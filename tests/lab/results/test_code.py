"""The lines that do what was done: written, merged, and run on a new lab."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from snnviz.lab import Lab
from snnviz.lab.results.code import Run, write_code
from snnviz.lab.session.deeds import Deed
from snnviz.training import Position
from tests.lab.conftest import TIMEOUT, make_trainer, until

START, WITHIN = Position(), Position(step=3, epoch=0, batch=3, round_step=3)
END = Position(step=10, epoch=1)
ENDS = {1: 10, 2: 20}


def lines(*deeds: Deed, now: Position = START, began: Position = START) -> list[str]:
    """The code of one run, without the comments."""
    text = write_code([Run("run", began, now, deeds, ENDS)], "run")
    return [line for line in text.splitlines() if not line.startswith("#")]


def deed(call: str, at: Position = START, **arguments: object) -> Deed:
    return Deed(call, arguments, at, at)


@pytest.mark.parametrize(
    ("deeds", "now", "expected"),
    [
        ([], START, []),
        ([], WITHIN, ['lab.step("batch", 3); lab.wait()']),
        ([], Position(step=1, batch=1, round_step=1), ['lab.step("batch"); lab.wait()']),
        ([], END, ['lab.step("epoch"); lab.wait()']),
        ([], Position(step=11, epoch=1, round_step=2), ['lab.step("batch", 11); lab.wait()']),
        ([], Position(step=20, epoch=2), ['lab.step("epoch", 2); lab.wait()']),
        (
            [deed("set_schedule", task_steps=5), deed("set_schedule", task_steps=6, task_lr=0.1)],
            START,
            ["lab.set_schedule(task_steps=6, task_lr=0.1)"],
        ),
        (
            [deed("set_schedule", task_steps=5), deed("set_schedule", END, task_steps=6)],
            END,
            [
                "lab.set_schedule(task_steps=5)",
                'lab.step("epoch"); lab.wait()',
                "lab.set_schedule(task_steps=6)",
            ],
        ),
        (
            [
                deed("what_if", changes={"fc1": {3: False}}),
                deed("what_if", changes={"fc1": [5], "fc2": [0]}),
                deed("keep"),
                deed("what_if", changes={}),
                deed("what_if", changes={"fc1": {1: True, 2: False}}),
                deed("let_go", neurons={"fc1": list(range(10, 20))}),
                deed("let_go"),
            ],
            START,
            [
                "lab.what_if({'fc1': [3, 5], 'fc2': [0]})",
                "lab.keep()",
                "lab.what_if({})",
                "lab.what_if({'fc1': {1: True, 2: False}})",
                "lab.let_go({'fc1': list(range(10, 20))})",
                "lab.let_go()",
            ],
        ),
    ],
)
def test_each_deed_is_a_line(deeds: list[Deed], now: Position, expected: list[str]) -> None:
    assert lines(*deeds, now=now) == expected


def test_a_way_back_starts_to_count_anew() -> None:
    back = Deed("reset", {}, END, START)
    assert lines(back, now=WITHIN) == [
        'lab.step("epoch"); lab.wait()',
        "lab.reset()",
        'lab.step("batch", 3); lab.wait()',
    ]


def test_several_runs_and_a_past_epoch() -> None:
    made = deed("dense_twin")
    fork = deed("fork", END, epoch=1, name="a", task_steps=2)
    first = Run("run", START, Position(step=20, epoch=2), [made, fork], ENDS)
    second = Run("a", END, Position(step=13, epoch=1, batch=3, round_step=3), [], ENDS)
    twin = Run("dense", START, END, [], ENDS, follows=True)
    text = write_code([first, twin, second], "run", moment=1)
    assert text.splitlines()[1:] == [
        "lab.dense_twin()",
        'lab.step("epoch"); lab.wait()',
        "lab.fork(epoch=1, name='a', task_steps=2)",
        'lab.step("batch", 3); lab.wait()',
        "lab.choose('run')",
        'lab.step("epoch"); lab.wait()',
        "lab.show_epoch(1)",
    ]
    began = Run("run", WITHIN, WITHIN, [], ENDS)
    assert "The trainer had made 3 steps" in write_code([began], "run")


@pytest.fixture
def labs() -> Iterator[list[Lab]]:
    """Two labs on equal trainers."""
    made = [Lab(make_trainer(warmup_epochs=0)) for _ in range(2)]
    yield made
    for lab in made:
        lab.close()


@pytest.mark.slow
def test_the_lines_do_the_same(labs: list[Lab]) -> None:
    """Weights, factors, pins, schedule, run and epoch, bit for bit."""
    first, second = labs
    group = next(iter(first.trainer.history.groups))
    first.step("batch", 3)
    first.wait(timeout=TIMEOUT)
    first.set_schedule(task_steps=3)
    first.what_if({group: [0, 1]})
    first.keep()
    first.step("epoch")
    first.wait(timeout=TIMEOUT)
    first.set_schedule(task_lr=0.02)
    first.let_go({group: [1]})
    first.fork(name="later", task_steps=2)
    first.step("batch", 2)
    first.wait(timeout=TIMEOUT)
    first.show_epoch(1)
    exec(first.code, {"lab": second})
    assert list(second.runs) == list(first.runs) == ["later", "run"]
    assert second._parts.machine.moment == 1
    for name in ("run", "later"):
        one, two = (lab._runs._sessions[name].trainer for lab in labs)
        assert one.position == two.position
        assert one.schedule == two.schedule
        assert one.pins == two.pins
        for key, values in one.network.state_dict().items():
            assert_array_equal(values.numpy(), two.network.state_dict()[key].numpy())
        for key, values in one.history.factors.items():
            assert_array_equal(values, two.history.factors[key])
    assert first.code == second.code


@pytest.mark.slow
def test_a_dense_twin_sees_the_same_batches(labs: list[Lab]) -> None:
    lab, other = labs
    lab.step("epoch")
    lab.wait(timeout=TIMEOUT)
    lab.dense_twin()
    lab.dense_twin()  # asked for twice, made once
    lab.session.settle()
    until(lambda: lab._runs.twin[1] and lab._runs.twin[1].position.epoch == 1)
    lab.step("epoch")
    until(lambda: lab._runs.twin[1].position.epoch == 2)
    assert list(lab.runs) == ["run", "dense"]
    dense = lab.runs["dense"]
    other.set_schedule(switcher_steps=0)
    other.step("epoch", 2)
    other.wait(timeout=TIMEOUT)
    assert_array_equal(dense.steps["loss"], other.trainer.history.steps["loss"])
    assert all(np.all(values == 1) for values in dense.factors.values())
