"""Where channels are in tensors, and where operations move them: from the shapes in autograd."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Places = np.ndarray  # (k, 2): channels of a layer, and those of the group's root that they go with
Mapping = Callable[[Places], Places]
_FIRST = (
    "Convolution",
    "MkldnnConvolution",
    "NativeBatchNorm",
    "CudnnBatchNorm",
    "NativeGroupNorm",
)
_LAST = ("Addmm", "Mm", "Linear", "NativeLayerNorm")
_RESHAPES = ("View", "Reshape", "UnsafeView", "Unsafe")


@dataclass(frozen=True, eq=False)
class Item:
    """The part that one layer or operation has in a group."""

    module: Any
    reading: bool  # the channels are its inputs, and its outputs are others
    channels: np.ndarray  # (k,)
    roots: np.ndarray  # (k,): the channels of the group's first item that they go with


def codes(places: Places) -> np.ndarray:
    """(k,): a number for each pair of a channel and one of the root's."""
    return places[:, 0] * 2**31 + places[:, 1]


def shape_of(grad_fn: Any, output: int = 0) -> tuple[int, ...]:
    return tuple(grad_fn._input_metadata[output].shape)


def given_to(function: Any) -> tuple[int, ...] | None:
    """The shape of an operation's input."""
    grad_fn, output = function
    if grad_fn is None:
        return None
    return tuple(grad_fn.variable.shape) if is_leaf(grad_fn) else shape_of(grad_fn, output)


def is_leaf(grad_fn: Any) -> bool:
    return "AccumulateGrad" in grad_fn.name()


def _is_own(grad_fn: Any) -> bool:
    """A parameter, or a reshape of one."""
    while grad_fn is not None and grad_fn.name().startswith((*_RESHAPES, "Unsqueeze")):
        grad_fn = grad_fn.next_functions[0][0]
    return grad_fn is not None and is_leaf(grad_fn)


def tokens_in_line(before: Sequence[int], after: Sequence[int], dim: int | None) -> int:
    """How many tokens a reshape puts in line, each with all its channels; 0 if it does not."""
    tokens = math.prod(before[1:-1])
    last = 1 < len(before) - 1 == dim
    return tokens if last and tuple(after) == (before[0], tokens * before[-1]) else 0


def channel_dim(function: Any) -> int | None:
    """The dimension of channels in what an operation gives; None if the shapes leave it open."""
    known = known_dim(function)
    if known is None and len(shape_of(function)) in (2, 4, 5):
        return 1
    return known


def known_dim(function: Any) -> int | None:
    """The dimension of channels, from the layer or norm that was the last one before."""
    moved: list[Any] = []
    while function is not None and not is_leaf(function):
        name, dims = function.name(), len(shape_of(function))
        if name.startswith((*_FIRST, *_LAST)):
            dim = 1 if name.startswith(_FIRST) else dims - 1
            for later in reversed(moved):
                dim = _dim_after(later, dim)
                if dim is None:
                    return None
            return dim
        given = [f for f in function.next_functions if f[0] is not None and not _is_own(f[0])]
        reshapes = name.startswith((*_RESHAPES, "Transpose", "Permute"))
        if not reshapes:
            given = [f for f in given if len(given_to(f) or ()) == dims]
        if not given:
            return None
        if reshapes:
            moved.append(function)
        function = given[0][0]
    return None


def takes_mean_of_channels(function: Any) -> bool:
    """Whether an operation takes a mean over all channels, as a gate of places does."""
    if not function.name().startswith("Mean"):
        return False
    before = given_to(function.next_functions[0])
    if not before:
        return False
    dims = saved_dims(function, len(before))
    return channel_dim(function.next_functions[0][0]) in dims and len(dims) == 1


def _dim_after(function: Any, dim: int) -> int | None:
    """Where the channels are after a transposition, a permutation or a reshape."""
    before, after = given_to(function.next_functions[0]) or (), shape_of(function)
    name = function.name()
    if name.startswith("Transpose"):
        pair = [
            signed(function._saved_dim0) % len(after),
            signed(function._saved_dim1) % len(after),
        ]
        return pair[1 - pair.index(dim)] if dim in pair else dim
    if name.startswith("Permute"):
        return [signed(d) % len(after) for d in function._saved_dims].index(dim)
    if dim == 1 and (before[:2] == after[:2] or len(after) == 2):
        return 1
    return len(after) - 1 if dim == len(before) - 1 and before[-1:] == after[-1:] else None


def saved_dims(function: Any, ndim: int) -> set[int]:
    """The dimensions that autograd has recorded for a reduction; none if it was over all."""
    saved = getattr(function, "_saved_dim", None)
    return {signed(d) % ndim for d in ((saved,) if isinstance(saved, int) else saved or ())}


def signed(number: int) -> int:
    """Autograd keeps negative numbers unsigned."""
    return number - 2**64 if number >= 2**63 else number


def places_per_channel(before: Sequence[int], after: Sequence[int], dim: int | None) -> int | None:
    """Into how many channels a reshape turns each channel; None if the shapes leave it open.

    Channels are in dimension 1, or last where there are tokens (n, tokens, channels).

    Args:
        before, after: the shapes.
        dim: the dimension of the channels before, if it is known.
    """
    if not before or before == after or before[:2] == after[:2]:
        return 1  # (n, c, h, w) to (n, c, h * w), say
    if before[2:] == after[2:] and 1 in (before[0], after[0]):
        return 1  # (n, c, h, w) to (1, n * c, h, w) or back, within an instance norm
    tokens = len(before) in (2, 3) or len(after) in (2, 3)
    alone = len(before) < 3 or len(after) < 3 or math.prod(before[1:-1]) == 1
    if before[-1:] == after[-1:] and (alone or tokens):
        return 1
    if (len(before) == 4 or dim == 1) and len(after) > 1 and after[0] == before[0]:
        merged = [math.prod(before[2:end]) for end in range(3, len(before) + 1)]
        if after[1] in [before[1] * places for places in merged]:
            return after[1] // before[1]
    return None


def shift_by(by: int) -> Mapping:
    return lambda places: np.add(places, (by, 0))


def take(start: int, end: int) -> Mapping:
    return lambda places: places[(start <= places[:, 0]) & (places[:, 0] < end)] - (start, 0)


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes of one image, as far as they matter."""
    return tuple(size for size in shape[1:] if size > 1)


def equal_parts(before: tuple[int, ...], after: tuple[int, ...]) -> tuple[int, int] | None:
    """Into how many parts a reshape folds the channels, and their size."""
    few, many = _without_ones(before), _without_ones(after)
    if before[0] != after[0] or len(before) > len(after) or len(many) != len(few) + 1 or not few:
        return None
    fits = few[0] == many[0] * many[1] == before[1] and few[1:] == many[2:]
    return (many[0], many[1]) if fits else None  # (parts, size)


def parts_before(function: Any) -> tuple[int, int] | None:
    """The equal parts in which channels come out of an earlier reshape."""
    while function is not None and not is_leaf(function):
        given = function.next_functions
        before = given_to(given[0]) if given else None
        if "View" in function.name() or "Reshape" in function.name():
            return equal_parts(before, shape_of(function)) if before else None
        if len(given) != 1 or "Sum" in function.name():
            return None
        function = given[0][0]
    return None


def modulo(size: int) -> Mapping:
    return lambda places: np.unique(np.stack([places[:, 0] % size, places[:, 1]], 1), axis=0)


def repeat_by(size: int, times: int) -> Mapping:
    def repeat(places: Places) -> Places:
        return np.concatenate([np.add(places, (i * size, 0)) for i in range(times)])

    return repeat


def spread_by(by: int) -> Mapping:
    def spread(places: Places) -> Places:
        first = places[:, :1] * by + np.arange(by)  # (k, by)
        return np.stack([first.ravel(), places[:, 1].repeat(by)], 1)

    return spread


def gather_by(by: int) -> Mapping:
    return lambda places: np.unique(places // (by, 1), axis=0)


def turned(parts: int, size: int) -> Mapping:
    """Channels of all parts in turn: the first of each, the second of each, and so on."""

    def turn(places: Places) -> Places:
        part, own = places[:, 0] // size, places[:, 0] % size
        return np.stack([own * parts + part, places[:, 1]], 1)

    return turn


def end_of_shuffle(node: Any) -> Any:
    """The node at which channels that were taken apart and turned come together, or None."""
    parts = shape_of(node.grad_fn)
    turns = 0
    while len(node.outputs) == 1 and len(parts) == 5:
        node = node.outputs[0]
        name, shape = node.grad_fn.name(), shape_of(node.grad_fn)
        if len(node.inputs) != 1:
            return None
        if name.startswith(("Transpose", "Permute")):
            turns += 1
            if (
                shape != (parts[0], parts[2], parts[1], *parts[3:])
                or _dim_after(node.grad_fn, 1) != 2
            ):
                return None
        elif name.startswith(_RESHAPES):
            return node if turns == 1 and len(shape) == 4 else None
        elif not name.startswith("Clone"):
            return None
    return None


def spans_channels(node: Any) -> bool:
    """Whether a bare parameter has a number for each channel, and not for each place, of what it
    is added to or multiplied with."""
    size, last = node.module.numel(), tuple(node.module.shape)
    while node.outputs:
        node = node.outputs[0]
        if node.grad_fn is None or node.grad_fn.name().startswith("Convolution"):
            return True
        after = shape_of(node.grad_fn)
        if math.prod(after) > size:
            dim = channel_dim(node.grad_fn)
            if dim is None or len(last) > len(after):
                return True
            place = dim - len(after) + len(last)
            return place >= 0 and last[place] > 1
        last = after
    return True
