"""Writes a trainer's state to one safetensors file (a checkpoint) and reads it again.

Each tensor is named by its path in the state (`network/0.weight`); everything else is JSON in the
file's metadata. A file that does not fit the trainer is rejected, and nothing in it is used.
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

FORMAT = 3

_NAME = re.compile(
    r"epoch-([0-9]{6,15})-step-([0-9]{8,15})-event-([0-9]{4,15})-[0-9a-f]{16}\.safetensors"
)
_MOST_HEADER = 2**24
# Files of format 2: all neurons stay, for no size is asked for, and only registered tensors.
_BEFORE: dict[str, Any] = {"kept": None, "unregistered": {}}
_SIZE = {"size", "size_of", "size_from", "size_until"}  # fields that their schedules lack
_MOMENTS = {  # what an optimizer stores for each parameter
    "SGD": ({"momentum_buffer"},),
    "Adam": ({"step", "exp_avg", "exp_avg_sq"},),
}


@dataclass(frozen=True, order=True)
class Checkpoint:
    """The contents of a checkpoint's file name.

    Attributes:
        step: completed steps.
        events: number of events in the history, which distinguishes states at the same step.
        epoch: completed epochs.
    """

    step: int
    events: int
    epoch: int
    file: Path

    @classmethod
    def of(cls, file: Path) -> "Checkpoint | None":
        """None if the file's name is not that of a checkpoint."""
        named = _NAME.fullmatch(file.name)
        return named and cls(int(named[2]), int(named[3]), int(named[1]), file)


class Lost(Mapping[str, Any]):
    """Replaces a state that could not be read: any access raises an error that says why."""

    def __init__(self, why: str) -> None:
        self.why = why

    def __getitem__(self, key: str) -> Any:
        raise ValueError(self.why)

    def __iter__(self) -> Iterator[str]:
        raise ValueError(self.why)

    def __len__(self) -> int:
        raise ValueError(self.why)


def write(state: Mapping[str, Any], events: int, folder: Path) -> Checkpoint:
    """Writes the result of `Trainer.state_dict`; `events` counts the history's events."""
    from safetensors.torch import save

    tensors: dict[str, Tensor] = {}
    rest = {"format": FORMAT, "events": events, "state": _encode(state, "", tensors)}
    data = save(tensors, {"snnviz": json.dumps(rest, allow_nan=False)})
    at = state["position"]
    stem = f"epoch-{at.epoch:06}-step-{at.step:08}-event-{events:04}"
    file = folder / files.hashed(stem, data, ".safetensors")
    files.write(file, data)
    return Checkpoint(at.step, events, at.epoch, file)


def read(at: Checkpoint, trainer: AlternatingTrainer, root: Path) -> dict[str, Any]:
    """Reads a state that this trainer can load. The trainer itself does not change.

    Args:
        root: links must not lead outside this folder.

    Raises:
        FileNotFoundError: the file is not there.
        Damaged: its content was changed after writing, or does not fit the trainer.
        Newer: a newer version of snnviz wrote it.
    """
    from safetensors.torch import load

    most = _MOST_HEADER + 16 * sum(t.nbytes for t in tensors_in(trainer.learners.state_dict()))
    data = files.read_hashed(at.file, most, root)
    try:
        rest = _rest(at.file, data)
        if _number(rest["format"]) > FORMAT:
            raise files.Newer(f"the checkpoint {str(at.file)!r}", rest["format"], FORMAT)
        state = _decode(rest["state"], load(data), trainer)
    except (files.Damaged, files.Newer):
        raise
    except Exception as error:  # a forged file can cause any error in the reader
        why = f"{error} is missing" if isinstance(error, KeyError) else files.first_line(error)
        raise files.Damaged(at.file, why) from error
    where, events = state["position"], rest["events"]
    if (where.step, where.epoch, events) != (at.step, at.epoch, at.events):
        raise files.Damaged(at.file, "its epoch or step differs from that in its name")
    return state


def read_layer(at: Checkpoint, layer: str, root: Path) -> dict[str, Tensor]:
    """The tensors of one layer of the task network, by their names in that layer.

    Only they are read: the checksum of the file, which is of all of it, is not checked.

    Args:
        root: links must not lead outside this folder.

    Raises:
        FileNotFoundError: the file is not there.
        Damaged: it is no such file.
    """
    from safetensors import SafetensorError, safe_open

    files.check_inside(at.file, root)
    inside = f"network/{layer}." if layer else "network/"
    try:
        with safe_open(at.file, "pt") as content:
            names = [name for name in content.keys() if name.startswith(inside)]  # noqa: SIM118
            return {name.removeprefix(inside): content.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise files.Damaged(at.file, files.first_line(error)) from error


def most_bytes(checkpoints: Iterable[Checkpoint]) -> int:
    """An upper limit on an intact one's size: those of one run differ only in optimizer moments."""
    sizes = sorted(at.file.stat().st_size for at in checkpoints if at.file.is_file())
    return _MOST_HEADER + 16 * sizes[(len(sizes) - 1) // 2] if sizes else 0


def is_whole(at: Checkpoint, root: Path, most: int) -> bool:
    """Whether the file exists, is at most `most` bytes long, and matches the hash in its name."""
    try:
        files.read_hashed(at.file, most, root)
    except (OSError, ValueError):
        return False
    return True


# --- writing ----------------------------------------------------------------------------------


def _encode(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """JSON for a nested state; its tensors are added to `tensors`."""
    if isinstance(value, Tensor):
        plain = value.detach().cpu()
        # safetensors rejects two tensors that share memory.
        tensors[path] = plain.clone(memory_format=torch.contiguous_format)
        return {"tensor": path}
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        inside = f"{path}/" if path else ""
        return {str(k): _encode(v, f"{inside}{k}", tensors) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_encode(v, f"{path}/{i}", tensors) for i, v in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    return value


# --- reading ----------------------------------------------------------------------------------


def _rest(file: Path, data: bytes) -> dict[str, Any]:
    """The JSON part of the file."""
    size = int.from_bytes(data[:8], "little")
    if size > min(_MOST_HEADER, len(data) - 8):
        raise ValueError("its header is longer than the file")
    header = files.parse_json(file, data[8 : 8 + size])
    return files.parse_json(file, header["__metadata__"]["snnviz"].encode())


def _decode(state: Any, tensors: dict[str, Tensor], trainer: AlternatingTrainer) -> dict[str, Any]:
    schedule = _schedule(state["schedule"])
    optimizers = trainer.learners.make_optimizers(schedule)  # as in the state
    pattern = trainer.state_dict()
    for key, value in _BEFORE.items():
        state.setdefault(key, value)
    if state.keys() != pattern.keys():
        raise ValueError(f"it contains {', '.join(state)} instead of {', '.join(pattern)}")
    known = {"schedule", "position", "running", "factors", "kept", "unregistered"}
    known |= set(map(_optimizer_key, optimizers))
    read: dict[str, Any] = {"schedule": schedule}
    read["unregistered"] = _unregistered(state["unregistered"], tensors)
    for key in pattern.keys() - known:
        read[key] = _like(pattern[key], state[key], key, tensors)
    for key in ("position", "running"):
        read[key] = type(pattern[key])(**_like(asdict(pattern[key]), state[key], key, tensors))
    for phase, optimizer in optimizers.items():
        key = _optimizer_key(phase)
        read[key] = _optimizer(optimizer, state[key], key, tensors)
    factors = trainer.factors if state["factors"] is not None else None
    read["factors"] = factors and _like(factors, state["factors"], "factors", tensors)
    kept = pattern["kept"]
    if state["kept"] is None:
        read["kept"] = {name: torch.ones_like(mask) for name, mask in kept.items()}
    else:
        read["kept"] = _like(kept, state["kept"], "kept", tensors)
    _check_position(read["position"], trainer, schedule)
    for key in ("task_order", "switcher_order"):
        if read[key]["seed"] != pattern[key]["seed"]:
            raise ValueError(f"{key} has the seed {read[key]['seed']}, which is not the run's")
    if tensors:
        raise ValueError(f"it has an unknown tensor {next(iter(tensors))}")
    return {key: read[key] for key in pattern}


def _schedule(values: Any) -> Schedule:
    names = {field.name for field in fields(Schedule)}
    if not isinstance(values, dict) or not names - _SIZE <= values.keys() <= names:
        raise ValueError("its schedule has other fields")
    return Schedule(**values)


def _optimizer_key(phase: str) -> str:
    return f"{phase}_optimizer"


def _like(pattern: Any, value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """Checks a value against the pattern's types and shapes; removes its tensors from `tensors`."""
    if isinstance(pattern, Tensor):
        return _tensor(pattern, value, path, tensors)
    if isinstance(pattern, Mapping):
        if not isinstance(value, dict) or value.keys() != {str(key) for key in pattern}:
            raise ValueError(f"{path} has different parts from the trainer's")
        return {
            key: _like(part, value[str(key)], f"{path}/{key}", tensors)
            for key, part in pattern.items()
        }
    if isinstance(pattern, list | tuple):
        if not isinstance(value, list) or len(value) != len(pattern):
            raise ValueError(f"{path} has a different length from the trainer's")
        pairs = enumerate(zip(pattern, value, strict=True))
        return type(pattern)(_like(p, v, f"{path}/{i}", tensors) for i, (p, v) in pairs)
    if isinstance(pattern, float):
        return _float(value, path)
    if type(value) is not type(pattern):
        raise ValueError(f"{path} is {str(value)[:40]!r}")
    if value == pattern:  # a seed may be larger than any count
        return value
    return _number(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _unregistered(values: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """They need not be those of the trainer's network, which says so when it gets them."""
    paths = [(name, f"unregistered/{name}") for name in values]
    return {name: _tensor(tensors[path], values[name], path, tensors) for name, path in paths}


def _tensor(pattern: Tensor, value: Any, path: str, tensors: dict[str, Tensor]) -> Tensor:
    if value != {"tensor": path} or path not in tensors:
        raise ValueError(f"{path} is missing")
    tensor = tensors.pop(path)
    if tensor.shape != pattern.shape or tensor.dtype != pattern.dtype:
        raise ValueError(
            f"{path} is {tuple(tensor.shape)} {tensor.dtype}, "
            f"not {tuple(pattern.shape)} {pattern.dtype}"
        )
    # A copy with the pattern's strides, because kernels depend on the memory layout.
    return torch.empty_like(pattern).copy_(tensor)


def _optimizer(
    optimizer: torch.optim.Optimizer, value: Any, path: str, tensors: dict[str, Tensor]
) -> dict[str, Any]:
    """Reads learning rates and moments; all other settings come from the schedule."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    allowed = _MOMENTS.get(type(optimizer).__name__)
    state = {}
    for key, moments in value["state"].items():
        i = int(key)
        if str(i) != key or not 0 <= i < len(parameters):
            raise ValueError(f"{path} has no parameter {key[:40]}")
        if allowed and moments and set(moments) not in allowed:
            raise ValueError(f"{path} has {', '.join(moments)[:80]} for a parameter")
        state[i] = {
            name: _moment(parameters[i], part, f"{path}/state/{i}/{name}", tensors)
            for name, part in moments.items()
        }
    own = optimizer.state_dict()["param_groups"]
    if len(value["param_groups"]) != len(own):
        raise ValueError(f"{path} has different groups of parameters")
    pairs = zip(own, value["param_groups"], strict=True)
    groups = [{**mine, "lr": _float(its["lr"], f"{path}/lr")} for mine, its in pairs]
    return {"state": state, "param_groups": groups}


def _moment(parameter: Tensor, value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    if value is None or isinstance(value, int | float):
        return value
    counts = path.endswith("/step")  # Adam's only moment without the parameter's shape
    pattern = torch.empty((), dtype=torch.float32) if counts else parameter.detach()
    return _tensor(pattern, value, path, tensors)


def _check_position(at: Position, trainer: AlternatingTrainer, schedule: Schedule) -> None:
    batches = len(trainer.data.train) // min(schedule.batch_size, len(trainer.data.train))
    most = schedule.task_steps + schedule.switcher_steps
    if not (at.batch < batches and at.round_step < most and at.epoch <= at.step):
        raise ValueError(f"{at} does not occur in its schedule")


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
