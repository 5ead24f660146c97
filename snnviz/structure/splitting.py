"""Calls that take channels apart: split, chunk and slices.

The parts may have sizes that the network's code writes down as numbers in its modules. Such a
number has to follow when neurons are removed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from snnviz.structure.places import signed

_JOINS = (torch.cat, torch.concat, torch.concatenate)


class Split(NamedTuple):
    """How one call takes channels apart.

    Attributes:
        parts: (first, end) of each part.
        channels: how many there are before.
        equal: the size of each part, where the parts must keep equal sizes; else 0.
        numbers: {(module, attribute): (first, end)}: the channels that a number counts.
    """

    parts: tuple[tuple[int, int], ...]
    channels: int
    equal: int
    numbers: dict[tuple[str, str], tuple[int, int]]


class Noting(TorchFunctionMode):
    """Notes which module does an operation, and the shapes that are joined."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.owners: dict[Any, str] = {}  # {grad_fn of an operation: a module's name}
        self.joined: dict[Any, list[tuple[int, ...]]] = {}  # {grad_fn: the shapes that are joined}
        self._network, self._running = network, [""]

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for part in result if isinstance(result, tuple | list) else (result,):
            function = part.grad_fn if isinstance(part, Tensor) else None
            if function is not None:
                self.owners.setdefault(function, self._running[-1])
        if func in _JOINS and isinstance(result, Tensor) and result.grad_fn is not None:
            tensors = args[0] if args else (kwargs or {}).get("tensors", ())
            self.joined[result.grad_fn] = [tuple(tensor.shape) for tensor in tensors]
        return result

    def _own(self, name: str, function: Any, before: set[Any]) -> None:
        """Notes everything that a layer does, also what a function of torch does inside."""
        waiting = [function]
        while waiting:
            function = waiting.pop()
            if function is None or function in before:
                continue
            if self.owners.get(function, name) == name:
                before.add(function)
                self.owners[function] = name
                waiting += [f for f, _ in function.next_functions]

    @contextmanager
    def noting(self) -> Iterator[None]:
        def leave(module: nn.Module, inputs: Any, output: Any) -> None:
            name = self._running.pop()
            if isinstance(output, Tensor) and not list(module.children()):
                before = {x.grad_fn for x in inputs if isinstance(x, Tensor)}
                self._own(name, output.grad_fn, before)

        handles = []
        for name, module in self._network.named_modules():
            enter = lambda *_, name=name: self._running.append(name)  # noqa: E731
            handles.append(module.register_forward_pre_hook(enter))
            handles.append(module.register_forward_hook(leave))
        try:
            with self:
                yield
        finally:
            for handle in handles:
                handle.remove()


def is_split(function: Any) -> bool:
    """Whether an operation that autograd has recorded takes a tensor apart."""
    name = function.name()
    return name.startswith(("Split", "UnsafeSplit", "Slice")) and hasattr(function, "_saved_dim")


def read_split(
    function: Any,
    before: tuple[int, ...] | None,
    owner: nn.Module | None,
    name: str,
    known: int | None = None,
) -> Split | None:
    """How the call takes channels apart; None if the shapes leave it open.

    A call that leaves every channel in its place gives parts of all channels.

    Args:
        function: what autograd has recorded of the call.
        before: the shape that it was given.
        owner: the module that calls it, and its name.
        known: the dimension of the channels, if that is known.
    """
    if not before:
        return None
    dim = signed(function._saved_dim) % len(before)
    if known is None and len(before) not in (2, 3, 4):
        return None
    likely = {2: (1,), 3: (2,), 4: (1, 3)}.get(len(before), ()) if known is None else (known,)
    whole = before[likely[0]]
    if dim not in likely:
        parts_of_all = ((0, whole),) * len(function._input_metadata)  # places or tokens
        return Split(parts_of_all, whole, 0, {})
    whole = before[dim]  # if it is the last of 4, these may also be the columns of images
    sizes = [tuple(part.shape)[dim] for part in function._input_metadata]
    first, parts = 0, []
    if function.name().startswith("Slice"):
        if function._saved_step != 1:
            return None
        first = signed(function._saved_start)
        first = min(max(first % before[dim] if first < 0 else first, 0), before[dim])
    for size in sizes:
        parts.append((first, first + size))
        first += size
    numbers = _numbers(owner, name, parts, whole) if owner else {}
    alike = len(parts) > 1 and len(set(sizes)) == 1
    halves = len(parts) == 1 and not numbers and 2 * sizes[0] == whole
    return Split(tuple(parts), whole, sizes[0] if alike or halves else 0, numbers)


def _numbers(
    owner: nn.Module, name: str, parts: list[tuple[int, int]], whole: int
) -> dict[tuple[str, str], tuple[int, int]]:
    """The module's own numbers that are a size or an end of a part, or the size of all."""
    places = {whole: (0, whole)}
    for first, end in reversed(parts):
        places |= {first: (0, first), end: (0, end)} if len(parts) == 1 else {}
        places[end - first] = (first, end)
    places.pop(0, None)
    found = {}
    for attribute, value in vars(owner).items():
        if isinstance(value, list | tuple) and list(value) == [b - a for a, b in parts]:
            found |= {(name, f"{attribute}.{i}"): part for i, part in enumerate(parts)}
        elif type(value) is int and value in places:
            found[name, attribute] = places[value]
    return found


def count_down(network: nn.Module, module: str, attribute: str, by: int) -> None:
    """Makes a number of a module smaller."""
    owner = network.get_submodule(module)
    name, _, place = attribute.partition(".")
    value = getattr(owner, name)
    if not place:
        setattr(owner, name, value - by)
        return
    values = list(value)
    values[int(place)] -= by
    setattr(owner, name, type(value)(values))
