"""What was done in the lab, as Python that does the same."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from snnviz.lab.session.deeds import Deed
from snnviz.training import Position

# Several at one place are one: each adds to those before, or takes their place.
MERGED = ("set_schedule", "what_if", "speed")
NEW_RUN = "fork"  # its run becomes the active one
RANGE_FROM = 6  # neurons in a row that are written as a range


class Run(NamedTuple):
    """A run of the lab."""

    name: str
    began: Position  # when the lab opened it
    now: Position
    deeds: Sequence[Deed]
    ends: Mapping[int, int]  # {epoch: the number of steps at its end}
    follows: bool = False  # a twin, which trains by itself


def write_code(runs: Sequence[Run], active: str, moment: int | None = None) -> str:
    """Lines that bring a new lab to where this one is.

    Args:
        runs: in the order in which they were made.
        active: the name of the run that the buttons act on.
        moment: the past epoch that is shown; None: now.
    """
    first = runs[0]
    lines = ["# On a new trainer, made in the same way: lab = sv.Lab(trainer)"]
    if first.began.step:
        lines.append(f"# The trainer had made {first.began.step} steps when the lab was opened.")
    at, current = {run.name: run.began for run in runs}, first.name
    ends = {run.name: {0: 0, **run.ends} for run in runs}
    forks = iter([run.name for run in runs[1:] if not run.follows])

    def turn_to(name: str) -> Iterator[str]:
        nonlocal current
        if name != current:
            yield f"lab.choose({name!r})"
        current = name

    for name, deed in _merge(_in_order(runs)):
        steps = _write_steps(at[name], deed.before, ends[name])
        lines += [*turn_to(name), *steps, _write_call(deed)]
        at[name] = deed.after
        if deed.call == NEW_RUN:
            current = next(forks, current)
    for run in sorted(runs, key=lambda run: run.name == active):
        steps = _write_steps(at[run.name], run.now, ends[run.name]) if not run.follows else []
        if steps or run.name == active:
            lines += [*turn_to(run.name), *steps]
    if moment is not None:
        lines.append(f"lab.show_epoch({moment})")
    return "\n".join(lines)


def _in_order(runs: Iterable[Run]) -> list[tuple[str, Deed]]:
    deeds = [(run.name, deed) for run in runs for deed in list(run.deeds)]
    return sorted(deeds, key=lambda each: each[1].at)


def _merge(deeds: Iterable[tuple[str, Deed]]) -> list[tuple[str, Deed]]:
    """The moves of a slider are one change, and the clicks of one what-if are one what-if."""
    made: list[tuple[str, Deed]] = []
    for name, deed in deeds:
        last = made[-1] if made else None
        if last is not None and last[0] == name and _can_merge(last[1], deed):
            both = _combine(last[1].arguments, deed.arguments)
            made[-1] = (name, replace(last[1], arguments=both))
        else:
            made.append((name, deed))
    return made


def _can_merge(first: Deed, second: Deed) -> bool:
    """Whether both are changes of one kind at one place; `what_if({})` forgets, and is none."""
    given = [*first.arguments.values(), *second.arguments.values()]
    same = first.call == second.call and first.after == second.before
    return same and first.call in MERGED and {} not in given


def _combine(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """The second on top of the first, in mappings within them too."""
    made = {key: _as_mapping(value) for key, value in first.items()}
    for key, value in second.items():
        before, value = made.get(key), _as_mapping(value)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            value = _combine(before, value)
        made[key] = value
    return made


def _as_mapping(value: Any) -> Any:
    """Neurons that are off, given as a list for short, written out."""
    return dict.fromkeys(value, False) if isinstance(value, list | tuple) else value


def _write_steps(before: Position, after: Position, ends: Mapping[int, int]) -> list[str]:
    steps = after.step - before.step
    if steps <= 0:
        return []
    unit, n = "batch", steps
    if all(ends.get(at.epoch) == at.step for at in (before, after)):
        unit, n = "epoch", after.epoch - before.epoch
    times = f", {n}" if n > 1 else ""
    return [f'lab.step("{unit}"{times}); lab.wait()']


def _write_call(deed: Deed) -> str:
    if deed.call == "speed":
        return f"lab.speed = {deed.arguments['speed']!r}"
    if deed.call in ("what_if", "let_go"):
        given = ", ".join(_write_neurons(value) for value in deed.arguments.values())
    else:
        given = ", ".join(f"{name}={value!r}" for name, value in deed.arguments.items())
    return f"lab.{deed.call}({given})"


def _write_neurons(chosen: Mapping[str, Any]) -> str:
    """{group: {neuron: on}}; where all are off, or only named, {group: [neurons]}."""
    parts = []
    for group, neurons in chosen.items():
        if isinstance(neurons, Mapping) and any(neurons.values()):
            text = repr({int(i): bool(on) for i, on in neurons.items()})
        else:
            text = _write_numbers(sorted(int(i) for i in neurons))
        parts.append(f"{group!r}: {text}")
    return f"{{{', '.join(parts)}}}"


def _write_numbers(numbers: Sequence[int]) -> str:
    n = len(numbers)
    if n >= RANGE_FROM and numbers[-1] - numbers[0] == n - 1:
        return f"list(range({numbers[0]}, {numbers[-1] + 1}))"
    return repr(list(numbers))
