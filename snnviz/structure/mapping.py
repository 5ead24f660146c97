"""Where several channels become one with places, and how an operation's mappings are set."""

import math
from typing import Any

from torch import nn

from snnviz.structure.places import Mapping, given_to, is_leaf, known_dim, saved_dims, shape_of

_REDUCES = ("Max", "Min", "Amax", "Amin", "Sum", "Mean", "Prod", "Logsumexp", "LinalgVectorNorm")
_BY_CHANNEL = ("Convolution", "MkldnnConvolution", "NativeBatchNorm", "CudnnBatchNorm")


def gathered(node: Any) -> tuple[int, int]:
    """How many channels a reshape makes one channel of, with as many places; 0 if it does not.

    The other number is the dimension of the channels.

    So it is where a linear layer gives images, and in a maxout. Whether parts or places come first
    is seen where the shape is used: by a layer that has its channels in dimension 1, or by what
    takes the greatest of the last ones.
    """
    before, after = given_to(node.grad_fn.next_functions[0]), shape_of(node.grad_fn)
    if not before or is_leaf(node.grad_fn.next_functions[0][0]) or before[0] != after[0]:
        return 0, 1
    dim = known_dim(node.grad_fn.next_functions[0][0])
    dim = 1 if dim is None and len(before) != 3 else dim
    if dim is None or len(after) <= dim or before[:dim] != after[:dim]:
        return 0, 1
    if not 1 < after[dim] < before[dim]:
        return 0, 1
    rest = before[dim + 1 :]
    apart = after[dim + 1 : len(after) - len(rest)]
    if after[len(after) - len(rest) :] != rest or after[dim] * math.prod(apart) != before[dim]:
        return 0, 1
    images = dim == 1 and len(before) == 2 and len(after) == 4
    return (math.prod(apart) if images or _meets(node, dim, len(apart)) else 0), dim


def _meets(node: Any, dim: int, apart: int) -> bool:
    """Whether what follows takes this dimension as channels, or takes the next ones together."""
    dims = len(shape_of(node.grad_fn))
    while len(node.outputs) == 1:
        node = node.outputs[0]
        name = node.grad_fn.name()
        if name.startswith(_BY_CHANNEL):
            return dim == 1
        if name.startswith(_REDUCES):
            return saved_dims(node.grad_fn, dims) == set(range(dim + 1, dim + 1 + apart))
        if len(node.inputs) != 1 or len(shape_of(node.grad_fn)) != dims:
            return False
        if name.startswith(("Transpose", "Permute", "View", "Reshape", "UnsafeView")):
            return False
    return False


def count_channels(
    owner: tuple[str, nn.Module] | None, sizes: tuple[int, ...]
) -> dict[tuple[str, str], tuple[int, int]]:
    """The module's own numbers that are the first of the sizes, or all of them."""
    found = {}
    name, module = owner or ("", None)
    for attribute, value in vars(module).items() if module else ():
        if isinstance(value, list | tuple) and tuple(value) == sizes[: len(value)] != ():
            found[name, f"{attribute}.0"] = (0, sizes[0])
        elif type(value) is int and value == sizes[0]:
            found[name, attribute] = (0, sizes[0])
    return found


def acts_on_all(
    function: Any, before: tuple[int, ...], after: tuple[int, ...], channels: int
) -> bool:
    """Whether what an operation gets is one channel, and what it gives are several.

    Args:
        function: the operation.
        before, after: the shapes of what it gets and gives.
        channels: the dimension of the channels.
    """
    if function.name().startswith("Bmm"):  # a sum over places, with a weight for each
        dim = 1 if after[1] == 1 else 2
        return after[dim] == 1 == before[dim] and after[1] != after[2]
    alike = 1 < len(before) == len(after) < 5
    return alike and before[channels] == 1 < after[channels]


def cut(source: Any, node: Any) -> None:
    """Leaves the one of them untied from the other."""
    source.dependencies = [d for d in source.dependencies if d.target is not node]
    node.dependencies = [d for d in node.dependencies if d.target is not source]


def map_outputs(node: Any, mappings: list[tuple[Mapping, Mapping]]) -> bool:
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


def map_inputs(node: Any, mappings: list[tuple[Mapping, Mapping]]) -> None:
    """Sets how channels go into and out of an operation, one pair of mappings per input."""
    # The dependencies of its outputs come after those of its inputs.
    back = node.dependencies[: len(node.inputs)]
    into = {
        source: [d for d in source.dependencies[len(source.inputs) :] if d.target is node]
        for source in node.inputs
    }
    for source, dep, mapping in zip(node.inputs, back, mappings, strict=True):
        into[source].pop(0).index_mapping[1], dep.index_mapping[0] = mapping
