"""Runs a user's network on example images, and turns whatever goes wrong into one clear error."""

import copy
import operator
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from snnviz.files import first_line
from snnviz.structure.attention import is_attention, projections
from snnviz.structure.layers import inputs_of, is_transposed, units_of

# Layers whose outputs are neurons.
WRITERS = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)
# Norms that treat each channel by itself: a factor after them folds into their scale and shift.
NORMS = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.SyncBatchNorm,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
)
# Norms that mix channels: a factor folds into them as well, but no channel can be removed.
MIXING = (nn.LayerNorm, nn.GroupNorm)


class UnfitNetwork(ValueError):
    """The network runs, but something about it makes it unusable here; the message says what."""


def check_arguments(network: Any, example: Any) -> None:
    """Raises the ValueError for a wrong argument, before anything is run."""
    if not isinstance(network, nn.Module):
        raise ValueError(
            f"network must be a torch.nn.Module, got {type(network).__name__}. "
            "Build one first, for example with network('lenet5', data)."
        )
    check_network(network)
    check_example(example)


def check_example(example: Any, copied: bool = False) -> Tensor:
    """The example; raises the ValueError unless it is a tensor of finite images.

    Args:
        copied: it is copied to the CPU, and may have any number of dimensions.
    """
    if not isinstance(example, Tensor):
        got = type(example).__name__
    elif not (example.ndim == 4 or (copied and example.ndim > 1)) or len(example) == 0:
        got = f"the shape {tuple(example.shape)}"
    elif not example.is_floating_point():
        got = f"values of {example.dtype}"
    elif copied and example.is_meta:
        got = "a tensor on the device meta, which has no values"
    elif not example.is_meta and not bool(example.isfinite().all()):
        got = "values that are infinite or not a number"
    else:
        return example
    raise ValueError(
        "example must be a tensor of normalised images (n, channels, height, width), as floats, "
        f"got {got}. Some test images will do: data.batch('test', torch.arange(8))[0]."
    )


def check_network(network: nn.Module) -> None:
    """Refuses modules that can be neither traced nor rebuilt smaller.

    Raises:
        ValueError: it, or a module in it, is compiled or wrapped, or has uninitialised parameters.
    """
    for name, module in network.named_modules():
        which = f"its layer {name!r} was" if name else "this one was"
        if isinstance(module, torch.jit.ScriptModule):
            raise ValueError(
                f"network must be an ordinary torch.nn.Module, and {which} compiled by torch.jit. "
                "Pass the module that it was made from."
            )
        if type(module).__name__ == "OptimizedModule":
            raise ValueError(
                f"network must be an ordinary torch.nn.Module, and {which} compiled by "
                "torch.compile. Pass the module that it was made from."
            )
        if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            raise ValueError(
                f"network must be the module itself, and {which} wrapped in "
                f"{type(module).__name__}. Pass the one inside: network"
                f"{f'.get_submodule({name!r})' if name else ''}.module."
            )
        if any(isinstance(p, UninitializedParameter) for p in module.parameters(recurse=False)):
            raise ValueError(
                f"network must have run once, because the sizes of {name or 'it'} "
                f"({type(module).__name__}) are not known yet. Run it on some images first: "
                "network(images)."
            )


def computes_weights(module: nn.Module) -> bool:
    """Whether its weight or bias is not a parameter, but computed from others at each call.

    This is the case with torch.nn.utils.parametrize, spectral_norm, weight_norm and
    torch.nn.utils.prune. A factor cannot be folded into a computed weight, and the computed weight
    changes when channels are removed.
    """
    return any(hasattr(module, n) and n not in module._parameters for n in ("weight", "bias"))


def is_vector(tensor: Tensor) -> bool:
    """Whether it has one number for each channel, in whatever dimension they are."""
    return tensor.numel() == max(tensor.shape, default=0) > 1


def has_channels(tensor: Tensor) -> bool:
    """Whether it has one number, one filter, or one number at each place, for each channel."""
    filters = tensor.ndim == 4 and tensor.shape[0] > 1 == tensor.shape[1]
    places = tensor.ndim in (3, 4) and tensor.shape[0] == 1  # as of positions
    return is_vector(tensor) or filters or places


def own_parameters(module: nn.Module) -> list[str]:
    """Its parameters besides weight and bias, also those of modules in it."""
    return [name for name, _ in module.named_parameters() if name not in ("weight", "bias")]


def copied(network: nn.Module, sharing: Iterable[Tensor] = (), stored: bool = True) -> Any:
    """A deep copy, which the user's network must allow; it has the tensors to share in common.

    Args:
        network: to copy.
        sharing: tensors that the copy has, too.
        stored: take along, without their gradients, tensors that the network keeps of its last run.
    """
    # The last result of spectral_norm and the like is not part of the state: the copy computes it
    # again.
    computed = {
        id(value): value.detach().clone()
        for module in network.modules()
        for value in _stored_in(module)
        if isinstance(value, Tensor) and not value.is_leaf
        if stored or computes_weights(module)
    }
    # Most of what modules hold are empty dictionaries of hooks, and to copy those takes long.
    empty = {
        id(value): type(value)()
        for module in network.modules()
        for value in vars(module).values()
        if type(value) in (dict, OrderedDict) and not value
    }
    shared = {id(tensor): tensor for tensor in sharing}
    try:
        return copy.deepcopy(network, computed | empty | shared)
    except Exception as error:
        raise ValueError(
            f"network cannot be copied ({first_line(error)}). It must hold nothing that "
            "copy.deepcopy refuses, such as a tensor that was computed with gradients."
        ) from error


def _stored_in(module: nn.Module) -> Iterator[Any]:
    """What a module has as attributes, and what is in its dictionaries, lists and tuples."""
    for value in vars(module).values():
        yield value
        if isinstance(value, (dict, list, tuple)):
            yield from value.values() if isinstance(value, dict) else value


@contextmanager
def running(network: nn.Module, example: Tensor, mode: str = "") -> Iterator[None]:
    """Within, the network runs on the example; what it cannot do becomes one clear error."""
    try:
        yield
    except UnfitNetwork:
        raise
    except Exception as error:
        floating = (p for p in network.parameters() if p.is_floating_point())
        odd = (p for p in floating if (p.device, p.dtype) != (example.device, example.dtype))
        own = next(odd, example)
        advice = "Check that its first layer takes images of this shape."
        if own.device != example.device:
            advice = (
                f"Its parameters are on {own.device} and the images on {example.device}: "
                "move one of them with .to(…)."
            )
        elif own.dtype != example.dtype:
            advice = (
                f"Its parameters are {own.dtype} and the images {example.dtype}: "
                f"convert the images with .to({own.dtype})."
            )
            if example.dtype == torch.float32:  # as ImageData always has them
                advice = (
                    f"Its parameters are {own.dtype} and the images {example.dtype}: "
                    "convert the network with network.float()."
                )
        elif "NestedTensor" in str(error):
            advice = (
                "In evaluation mode, nn.TransformerEncoder leaves out padded tokens, which it "
                "cannot do while its layers are watched. Make it with enable_nested_tensor=False."
            )
        raise ValueError(
            f"network does not run{mode} on images of shape {tuple(example.shape)}: "
            f"{first_line(error)}. {advice}"
        ) from error


@contextmanager
def count_positions(network: nn.Module) -> Iterator[dict[str, float]]:
    """Counts in runs within at how many places of an image each layer's weights are used."""
    positions: dict[str, float] = {}

    def count(name: str) -> Callable[..., None]:
        def hook(module: Any, inputs: Any, by_name: Any, output: Any) -> None:
            if not isinstance(output, Tensor):
                raise UnfitNetwork(
                    f"network must have linear and convolution layers that return one tensor, and "
                    f"its layer {name!r} ({type(module).__name__}) returns a "
                    f"{type(output).__name__}. Compute its other results in a module of their own."
                )
            places = (inputs or (by_name.get("input"),))[0] if is_transposed(module) else output
            channels = inputs_of(module) if is_transposed(module) else units_of(module)
            found = places.numel() // (len(output) * channels)
            positions[name] = positions.get(name, 0) + found

        return hook

    def count_tokens(name: str) -> Callable[..., None]:
        def hook(module: Any, inputs: Any, by_name: Any, output: Any) -> None:
            given = dict(zip(("query", "key", "value"), inputs, strict=False)) | by_name
            later = module.batch_first and given["query"].ndim == 3
            tokens = [given[part].shape[int(later)] for part in ("query", "key", "value")]
            widths = [weight.shape[1] for weight in projections(module)]
            mean = sum(map(operator.mul, tokens, widths)) / sum(widths)
            for layer, found in ((name, mean), (f"{name}.out_proj".lstrip("."), tokens[0])):
                positions[layer] = positions.get(layer, 0) + found

        return hook

    handles = [
        module.register_forward_hook(
            (count_tokens if is_attention(module) else count)(name), with_kwargs=True
        )
        for name, module in network.named_modules()
        if isinstance(module, WRITERS) or is_attention(module)
    ]
    try:
        yield positions
    finally:
        for handle in handles:
            handle.remove()
