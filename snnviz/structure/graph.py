"""Torch-Pruning's dependency graph, with the places of channels taken from real shapes.

Torch-Pruning guesses how channels move through concatenations and reshapes from the layers around
them. Here they are computed from the shapes that autograd has recorded. Where these shapes leave it
open, the operation is listed as unclear, and the neurons that reach it are left alone.
"""

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch_pruning as tp
from torch import Tensor, nn
from torch_pruning import ops

from snnviz.structure.splitting import Noting, Split, read_split

Places = np.ndarray  # (k, 2): channels of a layer, and those of the group's root that they go with
Mapping = Callable[[Places], Places]
_MAPPED = (
    ops.OPTYPE.CONCAT,
    ops.OPTYPE.RESHAPE,
    ops.OPTYPE.SPLIT,
    ops.OPTYPE.UNBIND,
    ops.OPTYPE.EXPAND,
    ops.OPTYPE.SLICE,
)


@dataclass(frozen=True, eq=False)
class Item:
    """The part that one layer or operation has in a group."""

    module: Any
    reading: bool  # the channels are its inputs, and its outputs are others
    channels: np.ndarray  # (k,)
    roots: np.ndarray  # (k,): the channels of the group's first item that they go with


class Graph(tp.DependencyGraph):
    """The graph of a network whose parameters all ask for gradients."""

    def __init__(self, network: nn.Module, example: Tensor) -> None:
        super().__init__()
        # The graph does not contain the images. A layer in front of the network represents them:
        # without it, channels that are tied to theirs would seem free. Its weights are set, not
        # drawn, because torch's random state must not change.
        channels = example.shape[1]
        self.images: Any = nn.utils.skip_init(nn.Conv2d, channels, channels, 1).to(example)
        nn.init.ones_(self.images.weight)
        self.broadcast: set[Any] = set()  # what gives one channel that acts on all of another
        self.passing: set[Any] = set()  # operations that keep every channel in its place
        self.unclear: set[Any] = set()  # operations that move channels in an unknown way
        self.splits: dict[Any, Split] = {}  # operations that take channels apart
        self._network, self._noting = network, Noting(network)
        with warnings.catch_warnings():  # about bare parameters, which are left alone
            warnings.simplefilter("ignore")
            with self._noting.noting():
                self.build_dependency(nn.Sequential(self.images, network), example_inputs=example)

    def groups(self, kinds: tuple[type, ...]) -> Iterator[list[Item]]:
        """For each layer of these kinds, all that is tied to its outputs; the layer first."""
        seen = {self.images}
        for module in list(self.module2node):
            if isinstance(module, kinds) and module not in seen:
                items = self._tied_to(module)
                seen |= {item.module for item in items if not item.reading}
                yield items

    def _tied_to(self, root: Any) -> list[Item]:
        n = len(root.weight)
        pruner: Any = self.get_pruner_of_module(root)
        start = self.module2node[root], pruner.prune_out_channels
        found = {start: np.stack([np.arange(n), np.arange(n)], 1)}
        waiting = [(start, found[start])]
        while waiting:
            (node, way), places = waiting.pop()
            for dep in node.dependencies:
                if not dep.is_triggered_by(way):
                    continue
                to, new = (dep.target, dep.handler), places
                for mapping in dep.index_mapping:
                    new = mapping(new) if mapping else new
                known = found.get(to, np.zeros((0, 2), dtype=int))
                new = new[~np.isin(_codes(new), _codes(known))]
                if len(new):
                    found[to] = np.concatenate([known, new])
                    waiting.append((to, new))
            if not waiting:
                waiting = self._others_of_splits(found)
        return [
            Item(node.module, way.__name__ == "prune_in_channels", places[:, 0], places[:, 1])
            for (node, way), places in found.items()
        ]

    def _others_of_splits(self, found: dict[Any, Places]) -> list[tuple[Any, Places]]:
        """Channels that are in the group because parts of a split must keep equal sizes."""
        if any(node.module in self.unclear for node, _ in found):
            return []  # there will be no group
        for to, known in found.items():
            split = self.splits.get(to[0].module)
            if split and split.equal:
                others = np.setdiff1d(np.arange(split.channels), known[:, 0])
                if len(others):
                    first = 1 + max(int(places[:, 1].max()) for places in found.values())
                    new = np.stack([others, first + np.arange(len(others))], 1)
                    found[to] = np.concatenate([known, new])
                    return [(to, new)]
        return []

    def _build_dependency(self, module2node: dict[Any, Any]) -> None:
        super()._build_dependency(module2node)
        for node in module2node.values():
            if node.type not in _MAPPED:
                continue
            kind = node.type
            node.type = ops.OPTYPE.CUSTOMIZED  # so that Torch-Pruning does not guess
            if kind == ops.OPTYPE.CONCAT:
                self._join(node)
            elif kind == ops.OPTYPE.RESHAPE:
                self._reshape(node)
            elif kind == ops.OPTYPE.EXPAND:
                self._expand(node)
            elif kind in (ops.OPTYPE.SPLIT, ops.OPTYPE.SLICE):
                self._split(node)
        for node in module2node.values():  # last, because it changes the lists of dependencies
            if node.type == ops.OPTYPE.ELEMENTWISE:
                self._cut_broadcasts(node)

    def _cut_broadcasts(self, node: Any) -> None:
        """One channel that acts on all others, as a mask of places does, is not tied to any."""
        given = [f for f in node.grad_fn.next_functions if f[0] is not None and not _is_leaf(f[0])]
        after = _shape(node.grad_fn)
        if len(given) != len(node.inputs) or len(given) < 2:
            return
        for function, source in zip(given, list(node.inputs), strict=True):
            before = _given(function)
            if before and 1 < len(before) == len(after) < 5 and before[1] == 1 < after[1]:
                self.broadcast.add(source.module)
                source.dependencies = [d for d in source.dependencies if d.target is not node]
                node.dependencies = [d for d in node.dependencies if d.target is not source]

    def _expand(self, node: Any) -> None:
        """Images of one pixel to larger ones, for example, as in squeeze and excitation."""
        before, after = _given(node.grad_fn.next_functions[0]), _shape(node.grad_fn)
        if before and before[:2] == after[:2]:
            self.passing.add(node.module)

    def _split(self, node: Any) -> None:
        function, before = node.grad_fn, _given(node.grad_fn.next_functions[0])
        name = self._noting.owners.get(function)
        owner = None if name is None else self._network.get_submodule(name)
        split = read_split(function, before, owner, name or "")
        if split is None or len(node.inputs) != 1:
            return
        pairs = [(_take(start, end), _shift_by(start)) for start, end in split.parts]
        if self._map_outputs(node, pairs):
            self.splits[node.module] = split

    def _map_outputs(self, node: Any, mappings: list[tuple[Mapping, Mapping]]) -> bool:
        """Sets how channels go to those that take each output, and back; False if unknown."""
        edges = []
        for consumer in dict.fromkeys(node.outputs):
            taken = [nr for f, nr in consumer.grad_fn.next_functions if f is node.grad_fn]
            out = [d for d in node.dependencies[len(node.inputs) :] if d.target is consumer]
            back = [d for d in consumer.dependencies[: len(consumer.inputs)] if d.target is node]
            if not len(taken) == len(out) == len(back):
                return False
            edges += zip(taken, out, back, strict=True)
        for output, out, back in edges:
            out.index_mapping[0], back.index_mapping[1] = mappings[output]
        return True

    def _join(self, node: Any) -> None:
        shapes = [_given(f) for f in node.grad_fn.next_functions]
        joined = _shape(node.grad_fn)
        dim = node.grad_fn._saved_dim
        dim = dim - 2**64 if dim >= 2**63 else dim  # negative numbers are stored unsigned
        starts, start = [], 0
        for f, shape in zip(node.grad_fn.next_functions, shapes, strict=True):
            if shape is None:  # constants, which autograd does not record
                self.unclear.add(node.module)
                return
            if not _is_leaf(f[0]):
                starts.append((start, start + shape[dim]))
            start += shape[dim]
        if dim % len(joined) != 1 or len(joined) not in (2, 4) or len(starts) != len(node.inputs):
            self.unclear.add(node.module)
            return
        self._map(node, [(_shift_by(a), _take(a, b)) for a, b in starts])

    def _reshape(self, node: Any) -> None:
        if not node.inputs:
            return  # the reshape of a parameter
        before, after = _given(node.grad_fn.next_functions[0]), _shape(node.grad_fn)
        if before and _is_leaf(node.grad_fn.next_functions[0][0]):
            kept = [n for n in before if n > 1] == [n for n in after if n > 1]
            places = 1 if kept else None  # of a parameter
        elif before and _parts_before(node.grad_fn.next_functions[0][0]):
            places = None
        else:
            places = _places_per_channel(before, after) if before else None
        if places is None:
            if not (before and self._fold(node, before, after)):
                self.unclear.add(node.module)
        elif places > 1:
            self._map(node, [(_spread_by(places), _gather_by(places))])

    def _fold(self, node: Any, before: tuple[int, ...], after: tuple[int, ...]) -> bool:
        """Channels (n, p * c, h, w) to p equal parts (n, p, c, h, w), or back."""
        folding = _equal_parts(before, after)
        found = folding or _equal_parts(after, before)
        if not found:
            return False
        if not folding and found != _parts_before(node.grad_fn.next_functions[0][0]):
            return False
        parts, size = found
        fold, unfold = _modulo(size), _repeat(size, parts)
        if not self._map_outputs(node, [(fold, unfold) if folding else (unfold, fold)]):
            return False
        self.splits[node.module] = Split((), size * parts if folding else size, size, {})
        return True

    def _map(self, node: Any, mappings: list[tuple[Mapping, Mapping]]) -> None:
        """Sets how channels go into and out of an operation, one pair of mappings per input."""
        # The dependencies of its outputs come after those of its inputs.
        back = node.dependencies[: len(node.inputs)]
        into = {
            source: [d for d in source.dependencies[len(source.inputs) :] if d.target is node]
            for source in node.inputs
        }
        for source, dep, mapping in zip(node.inputs, back, mappings, strict=True):
            into[source].pop(0).index_mapping[1], dep.index_mapping[0] = mapping


def _codes(places: Places) -> np.ndarray:
    """(k,): a number for each pair of a channel and one of the root's."""
    return places[:, 0] * 2**31 + places[:, 1]


def _shape(grad_fn: Any, output: int = 0) -> tuple[int, ...]:
    return tuple(grad_fn._input_metadata[output].shape)


def _given(function: Any) -> tuple[int, ...] | None:
    """The shape of an operation's input."""
    grad_fn, output = function
    if grad_fn is None:
        return None
    return tuple(grad_fn.variable.shape) if _is_leaf(grad_fn) else _shape(grad_fn, output)


def _is_leaf(grad_fn: Any) -> bool:
    return "AccumulateGrad" in grad_fn.name()


def _places_per_channel(before: tuple[int, ...], after: tuple[int, ...]) -> int | None:
    """Into how many channels a reshape turns each channel; None if the shapes leave it open.

    Channels are in dimension 1, or last where there are tokens (n, tokens, channels).
    """
    if not before or before == after or before[:2] == after[:2]:
        return 1  # (n, c, h, w) to (n, c, h * w), say
    if before[2:] == after[2:] and 1 in (before[0], after[0]):
        return 1  # (n, c, h, w) to (1, n * c, h, w) or back, within an instance norm
    tokens = len(before) in (2, 3) or len(after) in (2, 3)
    alone = len(before) < 3 or len(after) < 3 or math.prod(before[1:-1]) == 1
    if before[-1:] == after[-1:] and (alone or tokens):
        return 1
    if len(before) == 4 and after == (before[0], math.prod(before[1:])):
        return math.prod(before[2:])
    return None


def _shift_by(by: int) -> Mapping:
    return lambda places: np.add(places, (by, 0))


def _take(start: int, end: int) -> Mapping:
    return lambda places: places[(start <= places[:, 0]) & (places[:, 0] < end)] - (start, 0)


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes of one image, as far as they matter."""
    return tuple(size for size in shape[1:] if size > 1)


def _equal_parts(before: tuple[int, ...], after: tuple[int, ...]) -> tuple[int, int] | None:
    """Into how many parts a reshape folds the channels, and their size."""
    few, many = _without_ones(before), _without_ones(after)
    if before[0] != after[0] or len(before) > len(after) or len(many) != len(few) + 1 or not few:
        return None
    fits = few[0] == many[0] * many[1] == before[1] and few[1:] == many[2:]
    return (many[0], many[1]) if fits else None  # (parts, size)


def _parts_before(function: Any) -> tuple[int, int] | None:
    """The equal parts in which channels come out of an earlier reshape."""
    while function is not None and not _is_leaf(function):
        given = function.next_functions
        before = _given(given[0]) if given else None
        if "View" in function.name() or "Reshape" in function.name():
            return _equal_parts(before, _shape(function)) if before else None
        if len(given) != 1 or "Sum" in function.name():
            return None
        function = given[0][0]
    return None


def _modulo(size: int) -> Mapping:
    return lambda places: np.unique(np.stack([places[:, 0] % size, places[:, 1]], 1), axis=0)


def _repeat(size: int, times: int) -> Mapping:
    def repeat(places: Places) -> Places:
        return np.concatenate([np.add(places, (i * size, 0)) for i in range(times)])

    return repeat


def _spread_by(by: int) -> Mapping:
    def spread(places: Places) -> Places:
        first = places[:, :1] * by + np.arange(by)  # (k, by)
        return np.stack([first.ravel(), places[:, 1].repeat(by)], 1)

    return spread


def _gather_by(by: int) -> Mapping:
    return lambda places: np.unique(places // (by, 1), axis=0)
