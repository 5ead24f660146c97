"""A checkpoint: a trainer's state in one safetensors file, and back.

Tensors go by the path to them in the state (`network/0.weight`); all else is JSON in the file's
metadata. Nothing is taken from a file that does not fit the trainer that it is read for.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from snnviz import files
from snnviz.training.schedule import Position, Schedule
from snnviz.training.trainer import AlternatingTrainer

FORMAT = 2

_NAME = re.compile(
    r"epoch-([0-9]{6,15})-step-([0-9]{8,15})-event-([0-9]{4,15})-[0-9a-f]{16}\.safetensors"
)
_MOST_HEADER = 2**24
_MOMENTS = {  # what an optimizer keeps of a parameter
    "SGD": ({"momentum_buffer"},),
    "Adam": ({"step", "exp_avg", "exp_avg_sq"},),
}


@dataclass(frozen=True, order=True)
class Checkpoint:
    """What a checkpoint's name says.

    Attributes:
        step: steps done.
        events: events that the history had noted: they tell apart states at the same step.
        epoch: epochs done.
    """

    step: int
    events: int
    epoch: int
    file: Path

    @classmethod
    def of(cls, file: Path) -> "Checkpoint | None":
        """None if the file is not called like a checkpoint."""
        named = _NAME.fullmatch(file.name)
        return named and cls(int(named[2]), int(named[3]), int(named[1]), file)


class Lost(Mapping[str, Any]):
    """In place of a state that could not be read: says so to whoever wants it."""

    def __init__(self, why: str) -> None:
        self.why = why

    def __getitem__(self, key: str) -> Any:
        raise ValueError(self.why)

    def __iter__(self) -> Iterator[str]:
        raise ValueError(self.why)

    def __len__(self) -> int:
        raise ValueError(self.why)


def write(state: Mapping[str, Any], events: int, folder: Path) -> Checkpoint:
    """Writes what `Trainer.state_dict` gave; `events` is how many the history has noted."""
    from safetensors.torch import save

    tensors: dict[str, Tensor] = {}
    rest = {"format": FORMAT, "events": events, "state": _encoded(state, "", tensors)}
    data = save(tensors, {"snnviz": json.dumps(rest, allow_nan=False)})
    at = state["position"]
    stem = f"epoch-{at.epoch:06}-step-{at.step:08}-event-{events:04}"
    file = folder / files.hashed(stem, data, ".safetensors")
    files.write(file, data)
    return Checkpoint(at.step, events, at.epoch, file)


def read(at: Checkpoint, trainer: AlternatingTrainer, root: Path) -> dict[str, Any]:
    """A state that this trainer can load. The trainer stays as it is.

    Args:
        root: links must not lead out of here.

    Raises:
        FileNotFoundError: the file is not there.
        Damaged: it is not what was written, or does not fit the trainer.
        Newer: it is from a newer version.
    """
    from safetensors.torch import load

    most = _MOST_HEADER + 16 * sum(t.nbytes for t in tensors_in(trainer.learners.state_dict()))
    data = files.read_hashed(at.file, most, root)
    try:
        rest = _rest(at.file, data)
        if _number(rest["format"]) > FORMAT:
            raise files.Newer(f"the checkpoint {str(at.file)!r}", rest["format"], FORMAT)
        state = _decoded(rest["state"], load(data), trainer)
    except (files.Damaged, files.Newer):
        raise
    except Exception as error:  # whatever a file that was made up makes a reader say
        why = f"{error} is missing" if isinstance(error, KeyError) else _first_line(error)
        raise files.Damaged(at.file, why) from error
    where, events = state["position"], rest["events"]
    if (where.step, where.epoch, events) != (at.step, at.epoch, at.events):
        raise files.Damaged(at.file, "it is of another epoch or step than its name says")
    return state


def most_bytes(checkpoints: Iterable[Checkpoint]) -> int:
    """More than any whole one of these has: of one run, they differ by moments alone."""
    sizes = sorted(at.file.stat().st_size for at in checkpoints if at.file.is_file())
    return _MOST_HEADER + 16 * sizes[(len(sizes) - 1) // 2] if sizes else 0


def is_whole(at: Checkpoint, root: Path, most: int) -> bool:
    """Whether the file is there, no longer than `most`, and its content what its name says."""
    try:
        files.read_hashed(at.file, most, root)
    except (OSError, ValueError):
        return False
    return True


# --- writing ----------------------------------------------------------------------------------


def _encoded(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """JSON of a nested state, whose tensors go into `tensors`."""
    if isinstance(value, Tensor):
        plain = value.detach().cpu()
        # A file holds no two views of one memory.
        tensors[path] = plain.clone(memory_format=torch.contiguous_format)
        return {"tensor": path}
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        inside = f"{path}/" if path else ""
        return {str(k): _encoded(v, f"{inside}{k}", tensors) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_encoded(v, f"{path}/{i}", tensors) for i, v in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    return value


# --- reading ----------------------------------------------------------------------------------


def _rest(file: Path, data: bytes) -> dict[str, Any]:
    """What is JSON in the file."""
    size = int.from_bytes(data[:8], "little")
    if size > min(_MOST_HEADER, len(data) - 8):
        raise ValueError("its header is longer than the file")
    header = files.parse_json(file, data[8 : 8 + size])
    return files.parse_json(file, header["__metadata__"]["snnviz"].encode())


def _decoded(state: Any, tensors: dict[str, Tensor], trainer: AlternatingTrainer) -> dict[str, Any]:
    schedule = _schedule(state["schedule"])
    optimizers = trainer.learners.make_optimizers(schedule)  # as those of the state
    pattern = trainer.state_dict()
    if state.keys() != pattern.keys():
        raise ValueError(f"it holds {', '.join(state)}, and not {', '.join(pattern)}")
    known = {"schedule", "position", "running", "factors", "task_optimizer", "switcher_optimizer"}
    read: dict[str, Any] = {"schedule": schedule}
    for key in pattern.keys() - known:
        read[key] = _like(pattern[key], state[key], key, tensors)
    for key in ("position", "running"):
        read[key] = type(pattern[key])(**_like(asdict(pattern[key]), state[key], key, tensors))
    for phase, optimizer in optimizers.items():
        key = f"{phase}_optimizer"
        read[key] = _optimizer(optimizer, state[key], key, tensors)
    factors = trainer.factors if state["factors"] is not None else None
    read["factors"] = factors and _like(factors, state["factors"], "factors", tensors)
    _possible(read["position"], trainer, schedule)
    for key in ("task_order", "switcher_order"):
        if read[key]["seed"] != pattern[key]["seed"]:
            raise ValueError(f"{key} is of the seed {read[key]['seed']}, not the run's")
    if tensors:
        raise ValueError(f"nothing asks for its tensor {next(iter(tensors))}")
    return {key: read[key] for key in pattern}


def _schedule(values: Any) -> Schedule:
    names = {field.name for field in fields(Schedule)}
    if not isinstance(values, dict) or values.keys() != names:
        raise ValueError("its schedule has other fields")
    return Schedule(**values)


def _like(pattern: Any, value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """A value of the pattern's kind, with its shapes; tensors are taken out of `tensors`."""
    if isinstance(pattern, Tensor):
        return _tensor(pattern, value, path, tensors)
    if isinstance(pattern, Mapping):
        if not isinstance(value, dict) or value.keys() != {str(key) for key in pattern}:
            raise ValueError(f"{path} has other parts than the trainer's")
        return {
            key: _like(part, value[str(key)], f"{path}/{key}", tensors)
            for key, part in pattern.items()
        }
    if isinstance(pattern, list | tuple):
        if not isinstance(value, list) or len(value) != len(pattern):
            raise ValueError(f"{path} has another length than the trainer's")
        pairs = enumerate(zip(pattern, value, strict=True))
        return type(pattern)(_like(p, v, f"{path}/{i}", tensors) for i, (p, v) in pairs)
    if isinstance(pattern, float):
        return _float(value, path)
    if type(value) is not type(pattern):
        raise ValueError(f"{path} is {str(value)[:40]!r}")
    return _number(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _tensor(pattern: Tensor, value: Any, path: str, tensors: dict[str, Tensor]) -> Tensor:
    if value != {"tensor": path} or path not in tensors:
        raise ValueError(f"{path} is missing")
    tensor = tensors.pop(path)
    if tensor.shape != pattern.shape or tensor.dtype != pattern.dtype:
        raise ValueError(
            f"{path} is {tuple(tensor.shape)} {tensor.dtype}, "
            f"not {tuple(pattern.shape)} {pattern.dtype}"
        )
    # The pattern's strides, for kernels that go through memory as it lies, and memory of its own.
    return torch.empty_like(pattern).copy_(tensor)


def _optimizer(
    optimizer: torch.optim.Optimizer, value: Any, path: str, tensors: dict[str, Tensor]
) -> dict[str, Any]:
    """The settings are the schedule's; what is read are learning rates and moments."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    allowed = _MOMENTS.get(type(optimizer).__name__)
    state = {}
    for key, moments in value["state"].items():
        i = int(key)
        if str(i) != key or not 0 <= i < len(parameters):
            raise ValueError(f"{path} has no parameter {key[:40]}")
        if allowed and moments and set(moments) not in allowed:
            raise ValueError(f"{path} keeps {', '.join(moments)[:80]} of a parameter")
        state[i] = {
            name: _moment(parameters[i], part, f"{path}/state/{i}/{name}", tensors)
            for name, part in moments.items()
        }
    own = optimizer.state_dict()["param_groups"]
    if len(value["param_groups"]) != len(own):
        raise ValueError(f"{path} has other groups of parameters")
    pairs = zip(own, value["param_groups"], strict=True)
    groups = [{**mine, "lr": _float(its["lr"], f"{path}/lr")} for mine, its in pairs]
    return {"state": state, "param_groups": groups}


def _moment(parameter: Tensor, value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    if value is None or isinstance(value, int | float):
        return value
    counts = path.endswith("/step")  # Adam's only moment that has not the parameter's shape
    pattern = torch.empty((), dtype=torch.float32) if counts else parameter.detach()
    return _tensor(pattern, value, path, tensors)


def _possible(at: Position, trainer: AlternatingTrainer, schedule: Schedule) -> None:
    batches = len(trainer.data.train) // min(schedule.batch_size, len(trainer.data.train))
    most = schedule.task_steps + schedule.switcher_steps
    if not (at.batch < batches and at.round_step < most and at.epoch <= at.step):
        raise ValueError(f"there is no {at} in its schedule")


def _float(value: Any, path: str) -> float:
    if isinstance(value, dict) and value.get("float") in ("nan", "inf", "-inf"):
        return float(value["float"])
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{path} is {str(value)[:40]!r}")
    return float(value)


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**53:
        raise ValueError(f"a count is {str(value)[:40]!r}")
    return value


def tensors_in(value: Any) -> Iterator[Tensor]:
    """All tensors of a nested state."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from tensors_in(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from tensors_in(part)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
