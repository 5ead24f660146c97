"""Torch-Pruning's dependency graph, with the places of channels taken from real shapes.

Torch-Pruning guesses how channels move through concatenations and reshapes from the layers around
them. Here they are computed from the shapes that autograd has recorded. Where these shapes leave it
open, the operation is listed as unclear, and the neurons that reach it are left alone.
"""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch_pruning as tp
from torch import Tensor, nn
from torch_pruning import ops

from snnviz.structure.layers import inputs_of, is_depthwise, units_of
from snnviz.structure.mapping import (
    acts_on_all,
    count_channels,
    cut,
    gathered,
    map_inputs,
    map_outputs,
)
from snnviz.structure.places import (
    Item,
    Places,
    channel_dim,
    codes,
    end_of_shuffle,
    equal_parts,
    gather_by,
    given_to,
    is_leaf,
    known_dim,
    modulo,
    parts_before,
    places_per_channel,
    repeat_by,
    shape_of,
    shift_by,
    signed,
    spans_channels,
    spread_by,
    take,
    tokens_in_line,
    turned,
)
from snnviz.structure.splitting import Noting, Split, read_split
from snnviz.structure.standardised import standardises

_MAPPED = (
    ops.OPTYPE.CONCAT,
    ops.OPTYPE.RESHAPE,
    ops.OPTYPE.SPLIT,
    ops.OPTYPE.UNBIND,
    ops.OPTYPE.EXPAND,
    ops.OPTYPE.SLICE,
)
_MOST_VISITS = 4  # of an operation, on average; loops of recurrent layers would need very many
_MOST_TIED = 64  # channels of a root that meet in one of another layer, on average


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
        self.tangled: set[Any] = set()  # where each channel meets very many of the root
        self.splits: dict[Any, Split] = {}  # operations that take channels apart
        self.constant: dict[Any, list[tuple[int, int]]] = {}  # channels that joins and pads add
        recurrent = (m for m in network.modules() if isinstance(m, nn.RNNBase | nn.RNNCellBase))
        self.recurrent = {weight for module in recurrent for weight in module.parameters()}
        self.dividing = {layer for layer in network.modules() if standardises(layer)}
        self._network, self._noting = network, Noting(network)
        with warnings.catch_warnings():  # about bare parameters, which are left alone
            warnings.simplefilter("ignore")
            with self._noting.noting():
                self.build_dependency(nn.Sequential(self.images, network), example_inputs=example)

    def groups(self, kinds: tuple[type, ...]) -> list[list[Item]]:
        """For each layer of these kinds, all that is tied to its outputs; the layer first."""
        seen, found = {self.images}, []
        for module in list(self.module2node):
            if isinstance(module, kinds) and module not in seen:
                items = self._tied_to(module)
                seen |= {item.module for item in items if not item.reading}
                found.append(items)
        # What is tied to a part of a layer tells nothing of the rest of it.
        covered: dict[Any, set[int]] = {}
        for items in found:
            for item in items:
                if isinstance(item.module, kinds) and not item.reading:
                    covered.setdefault(item.module, set()).update(item.channels.tolist())
        parts = [m for m, some in covered.items() if len(some) < units_of(m)]
        for module in sorted(parts, key=units_of, reverse=True):
            if module is not self.images and module in parts:
                whole = self._tied_to(module)
                writers = {item.module for item in whole if not item.reading}
                found = [items for items in found if items[0].module not in writers]
                found.append(whole)
                parts = [other for other in parts if other not in writers]
        return found

    def owner_of(self, operation: Any) -> tuple[str, nn.Module] | None:
        """The module that does it, and its name, if that is known."""
        name = self._noting.owners.get(self.module2node[operation].grad_fn)
        return (name, self._network.get_submodule(name)) if name else None

    def counts(self, tensor: str, channels: int) -> Iterator[tuple[str, str]]:
        """The numbers of a tensor's module that are its number of channels, by their names."""
        owner = tensor.rpartition(".")[0]
        for name, value in vars(self._network.get_submodule(owner)).items():
            if type(value) is int and value == channels:
                yield owner, name

    def _tied_to(self, root: Any) -> list[Item]:
        n = units_of(root)
        pruner: Any = self.get_pruner_of_module(root)
        start = self.module2node[root], pruner.prune_out_channels
        found = {start: np.stack([np.arange(n), np.arange(n)], 1)}
        waiting = [(start, found[start])]
        for _ in range(_MOST_VISITS * len(self.module2node)):
            if not waiting:
                break
            (node, way), places = waiting.pop()
            if node.module in self.recurrent:  # to go on would take very long
                self.tangled.add(root)
                break
            for to, new in (*self._along(node, way, places), *self._across(node, way, places)):
                known = found.get(to, np.zeros((0, 2), dtype=int))
                new = new[~np.isin(codes(new), codes(known))]
                if len(known) + len(new) > _MOST_TIED * len(np.unique([*known[:, 0], *new[:, 0]])):
                    self.tangled.add(to[0].module)
                elif len(new):
                    found[to] = np.concatenate([known, new])
                    waiting.append((to, new))
            if not waiting:
                waiting = self._others_of_splits(found)
        if waiting:
            self.tangled.add(root)
        return [
            Item(node.module, way.__name__ == "prune_in_channels", places[:, 0], places[:, 1])
            for (node, way), places in found.items()
        ]

    def _along(self, node: Any, way: Any, places: Places) -> Iterator[tuple[Any, Places]]:
        """The same channels in what comes before or after."""
        for dep in node.dependencies:
            if dep.is_triggered_by(way):
                new = places
                for mapping in dep.index_mapping:
                    new = mapping(new) if mapping else new
                yield (dep.target, dep.handler), new

    def _across(self, node: Any, way: Any, places: Places) -> Iterator[tuple[Any, Places]]:
        """Inputs and outputs of a part go together in a depthwise convolution."""
        layer = node.module
        if isinstance(layer, nn.modules.conv._ConvNd) and is_depthwise(layer):
            pruner: Any = self.get_pruner_of_module(layer)
            into, out = (count // layer.groups for count in (inputs_of(layer), units_of(layer)))
            if pruner.prune_in_channels == pruner.prune_out_channels:
                return
            if way == pruner.prune_in_channels:
                yield (node, pruner.prune_out_channels), spread_by(out)(gather_by(into)(places))
            else:
                yield (node, pruner.prune_in_channels), spread_by(into)(gather_by(out)(places))

    def get_pruner_of_module(self, module: Any) -> Any:
        """Inputs and outputs of a depthwise convolution are the same only if they are as many."""
        uneven = isinstance(module, nn.modules.conv._ConvNd) and is_depthwise(module)
        if uneven and units_of(module) != inputs_of(module):
            return self.REGISTERED_PRUNERS[ops.OPTYPE.CONV]
        return super().get_pruner_of_module(module)

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
        shuffled = self._shuffles(list(module2node.values()))
        for node in module2node.values():
            if node.type not in _MAPPED:
                continue
            kind = node.type
            node.type = ops.OPTYPE.CUSTOMIZED  # so that Torch-Pruning does not guess
            if kind == ops.OPTYPE.CONCAT:
                self._join(node)
            elif kind == ops.OPTYPE.RESHAPE and node not in shuffled:
                self._reshape(node)
            elif kind == ops.OPTYPE.EXPAND:
                self._expand(node)
            elif kind in (ops.OPTYPE.SPLIT, ops.OPTYPE.SLICE):
                self._split(node)
        for node in module2node.values():
            if node.type == ops.OPTYPE.ELEMENTWISE and len(node.inputs) == 1:
                self._pad(node)
                self._blocks(node)
                self._gate(node)
        for node in module2node.values():
            if isinstance(node.module, nn.Parameter) and not spans_channels(node):
                self.passing.add(node.module)
        for node in module2node.values():  # last, because it changes the lists of dependencies
            if node.type == ops.OPTYPE.ELEMENTWISE:
                self._cut_broadcasts(node)

    def _cut_broadcasts(self, node: Any) -> None:
        """One channel that acts on all others, as a mask of places does, is not tied to any."""
        given = [f for f in node.grad_fn.next_functions if f[0] is not None and not is_leaf(f[0])]
        after, dim = shape_of(node.grad_fn), known_dim(node.grad_fn) or 1
        if len(given) != len(node.inputs) or len(given) < 2:
            return
        for function, source in zip(given, list(node.inputs), strict=True):
            before = given_to(function)
            if before and acts_on_all(node.grad_fn, before, after, dim):
                self.broadcast.add(source.module)
                cut(source, node)

    def _expand(self, node: Any) -> None:
        """Images of one pixel to larger ones, for example, as in squeeze and excitation."""
        before, after = given_to(node.grad_fn.next_functions[0]), shape_of(node.grad_fn)
        if before and before[:2] == after[:2]:
            self.passing.add(node.module)
        elif before and len(before) == len(after) and before[:1] == after[:1]:
            dim = 2 if len(after) == 3 else 1
            if before[dim] == 1 < after[dim]:  # such as the length of a vector, for each number
                self.passing.add(node.module)
                for source in node.inputs:
                    self.broadcast.add(source.module)
                    cut(source, node)

    def _split(self, node: Any) -> None:
        function, before = node.grad_fn, given_to(node.grad_fn.next_functions[0])
        name = self._noting.owners.get(function)
        owner = None if name is None else self._network.get_submodule(name)
        dim = known_dim(function.next_functions[0][0])
        split = read_split(function, before, owner, name or "", dim)
        if split is None or len(node.inputs) != 1:
            return
        pairs = [(take(start, end), shift_by(start)) for start, end in split.parts]
        if map_outputs(node, pairs):
            self.splits[node.module] = split

    def _join(self, node: Any) -> None:
        given: list[Any] = [given_to(f) for f in node.grad_fn.next_functions]
        joined = shape_of(node.grad_fn)
        dim = signed(node.grad_fn._saved_dim)
        # Autograd does not record constants.
        shapes = self._noting.joined.get(node.grad_fn, given)
        channels = channel_dim(node.grad_fn)
        if channels is not None and dim % len(joined) not in (0, channels):
            return  # places or tokens, each with all its channels
        if None in shapes or len(shapes) != len(given):
            self.unclear.add(node.module)
            return
        starts, start, constant = [], 0, []
        for f, shape in zip(node.grad_fn.next_functions, shapes, strict=True):
            if f[0] is None:
                constant.append((start, start + shape[dim]))
            elif not is_leaf(f[0]):
                starts.append((start, start + shape[dim]))
            start += shape[dim]
        if dim % len(joined) != channels or len(starts) != len(node.inputs):
            self.unclear.add(node.module)
            return
        if constant:
            self.constant[node.module] = constant
        map_inputs(node, [(shift_by(a), take(a, b)) for a, b in starts])

    def _pad(self, node: Any) -> None:
        """Constant channels before and after the others."""
        if not node.grad_fn.name().startswith("ConstantPad"):
            return
        before, after = given_to(node.grad_fn.next_functions[0]), shape_of(node.grad_fn)
        dim = channel_dim(node.grad_fn)
        if not before or dim is None:
            self.unclear.add(node.module)
            return
        place = 2 * (len(after) - 1 - dim)  # the numbers begin with the last dimension
        padding = [signed(n) for n in node.grad_fn._saved_pad]
        first, last, *_ = *padding[place : place + 2], 0, 0
        if min(first, last) < 0:
            self.unclear.add(node.module)
        elif max(first, last) > 0:
            end = first + before[dim]
            self.constant[node.module] = [(0, first), (end, after[dim])]
            map_inputs(node, [(shift_by(first), take(first, end))])

    def _blocks(self, node: Any) -> None:
        """Channels that become places, several of them for each channel, or the other way round."""
        if not node.grad_fn.name().startswith(
            ("PixelShuffle", "PixelUnshuffle", "Im2Col", "Col2Im")
        ):
            return
        before, after = given_to(node.grad_fn.next_functions[0]), shape_of(node.grad_fn)
        if not before or before[0] != after[0]:
            self.unclear.add(node.module)
        elif after[1] > before[1]:
            each = after[1] // before[1]
            map_inputs(node, [(spread_by(each), gather_by(each))])
        else:
            each = before[1] // after[1]
            map_inputs(node, [(gather_by(each), spread_by(each))])

    def _shuffles(self, nodes: list[Any]) -> set[Any]:
        """Channels in equal parts, one of each part after the other: the nodes that do this."""
        found: set[Any] = set()
        for node in nodes:
            if node.type != ops.OPTYPE.RESHAPE or not node.inputs:
                continue
            before, parts = given_to(node.grad_fn.next_functions[0]), shape_of(node.grad_fn)
            last = end_of_shuffle(node)
            if last is None or not before or shape_of(last.grad_fn) != before:
                continue
            shuffle = parts[1], parts[2]
            if map_outputs(node, [(turned(*shuffle), turned(*reversed(shuffle)))]):
                self.splits[node.module] = Split((), before[1], parts[2], {})
                found |= {node, last}
                self.passing.add(last.module)
        return found

    def _gate(self, node: Any) -> None:
        """Half of the channels gate the others."""
        if not node.grad_fn.name().startswith("Glu"):
            return
        before, after = given_to(node.grad_fn.next_functions[0]), shape_of(node.grad_fn)
        dim = channel_dim(node.grad_fn.next_functions[0][0])
        if not before or dim is None:
            self.unclear.add(node.module)
        elif before[dim] != after[dim]:
            size = after[dim]
            if map_outputs(node, [(modulo(size), repeat_by(size, 2))]):
                self.splits[node.module] = Split((), 2 * size, size, {})

    def _reshape(self, node: Any) -> None:
        if not node.inputs:
            return  # the reshape of a parameter
        before, after = given_to(node.grad_fn.next_functions[0]), shape_of(node.grad_fn)
        if before and is_leaf(node.grad_fn.next_functions[0][0]):
            kept = [n for n in before if n > 1] == [n for n in after if n > 1]
            places = 1 if kept else None  # of a parameter
        elif (many := gathered(node))[0]:
            each, dim = many
            map_inputs(node, [(gather_by(each), spread_by(each))])
            numbers = count_channels(self.owner_of(node.module), after[dim:])
            self.splits[node.module] = Split((), after[dim], 0, numbers)
            return
        elif before and parts_before(node.grad_fn.next_functions[0][0]):
            places = None
        else:
            dim = known_dim(node.grad_fn.next_functions[0][0])
            places = places_per_channel(before, after, dim) if before else None
            if before and places is None and (tokens := tokens_in_line(before, after, dim)):
                map_inputs(node, [(repeat_by(before[-1], tokens), modulo(before[-1]))])
                return
        if places is None:
            if not (before and self._fold(node, before, after)):
                self.unclear.add(node.module)
        elif places > 1:
            map_inputs(node, [(spread_by(places), gather_by(places))])

    def _fold(self, node: Any, before: tuple[int, ...], after: tuple[int, ...]) -> bool:
        """Channels (n, p * c, h, w) to p equal parts (n, p, c, h, w), or back."""
        folding = equal_parts(before, after)
        found = folding or equal_parts(after, before)
        if not found:
            return False
        if not folding and found != parts_before(node.grad_fn.next_functions[0][0]):
            return False
        parts, size = found
        fold, unfold = modulo(size), repeat_by(size, parts)
        if not map_outputs(node, [(fold, unfold) if folding else (unfold, fold)]):
            return False
        numbers = count_channels(self.owner_of(node.module), (size,)) if folding else {}
        self.splits[node.module] = Split((), size * parts if folding else size, size, numbers)
        return True
