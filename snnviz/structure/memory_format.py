"""The memory format of images and weights: channels_last, which is faster, wherever it is safe.

Three kinds of networks do not use it:

- On CPUs, networks with a strided 1 x 1 convolution that reads fewer than 16 channels. In
  channels_last, oneDNN writes past the end of a buffer when it computes the gradient of such
  weights: the process crashes, or goes on with wrong numbers. With AVX2 this happens below 8
  channels, with AVX-512 below 16, and there in bfloat16 too. The shortcuts of narrow ResNets are
  such layers, and `compact` can make one. A convolution runs in channels_last if either its images
  or its weights have that format, and each layer hands its format on to the next, so the whole
  network stays contiguous.
  The rule does not ask which CPU this is, because a saved network may run on another one.
  See https://github.com/uxlfoundation/oneDNN/issues/6035 and benchmarks/convolution_crash.py.
- On CPUs and with torch before 2.14, networks with a GroupNorm. If what such a layer reads is in
  channels_last and needs no gradient, as behind layers that learn nothing in a switcher phase, the
  process crashes when the gradient of the layer's scale is computed.
- Networks that run in the format they came with and not in ours. `x.view(len(x), -1)` behind a
  convolution, for example, needs contiguous memory.
"""

import torch
from torch import Tensor, nn
from torch.torch_version import TorchVersion

from snnviz.structure.probe import copied

_GROUP_NORM_CRASHES = TorchVersion(torch.__version__) < "2.14"
_BLOCK = 16  # channels that oneDNN takes together where registers are widest (AVX-512)


def prepare(network: nn.Module, images: Tensor) -> torch.memory_format:
    """Converts a network, in place, to the format in which it will train.

    Args:
        network: on the device where it is to train.
        images: a few normalised images, on that device.

    Returns:
        The format that images must have for it.
    """
    risky = images.device.type == "cpu" and bool(layers_at_risk(network))
    wanted = torch.contiguous_format if risky else torch.channels_last
    if not _fits(network, images, wanted):
        return torch.contiguous_format
    network.to(memory_format=wanted)  # type: ignore[call-overload]
    return wanted


def make_safe(network: nn.Module, images: Tensor | None = None) -> nn.Module:
    """Makes a network that is handed to the user contiguous if one of its layers is at risk.

    The user may train it on any machine, so its present device does not matter. Without such a
    layer it stays as it is, and so does a network that runs on these images in its own format and
    not when contiguous.
    """
    if layers_at_risk(network):
        wanted = torch.contiguous_format
        if images is None or _fits(network, images, wanted):
            network.to(memory_format=wanted)  # type: ignore[call-overload]
    return network


def layers_at_risk(network: nn.Module) -> list[str]:
    """Layers whose gradients may be computed wrongly in channels_last, or end the process."""
    return [name for name, module in network.named_modules() if _at_risk(module)]


def _at_risk(module: nn.Module) -> bool:
    if isinstance(module, nn.GroupNorm):
        return _GROUP_NORM_CRASHES
    return (
        isinstance(module, nn.Conv2d)
        and module.weight.dtype != torch.float64  # which oneDNN does not compute
        and module.groups == 1
        and max(module.kernel_size) == 1 < max(module.stride)
        and module.in_channels < _BLOCK
    )


def _fits(network: nn.Module, images: Tensor, wanted: torch.memory_format) -> bool:
    """Whether the network runs in this format in every mode in which it runs as it is."""
    there = _modes_that_run(network, images, wanted)
    return len(there) == 2 or _modes_that_run(network, images, None) <= there


def _modes_that_run(
    network: nn.Module, images: Tensor, wanted: torch.memory_format | None
) -> set[str]:
    """In which of "train" and "eval" a copy of the network runs.

    `wanted` is the format of weights and images. With None the weights stay as they are, and the
    images are contiguous.
    """
    trial = copied(network).requires_grad_(True)
    if wanted is not None:
        trial.to(memory_format=wanted)
    images = images.detach().clone(memory_format=wanted or torch.contiguous_format)
    modes = set()
    # Dropout draws random numbers. The user's own must come as if nothing had been tried.
    with torch.random.fork_rng([images.device] if images.device.type == "cuda" else []):
        for mode in ("train", "eval"):
            trial.train(mode == "train")
            try:
                with torch.set_grad_enabled(mode == "train"):
                    scores = trial(images)
                    if mode == "train":
                        scores.sum().backward()
            except Exception:  # a user's module may raise anything
                continue
            modes.add(mode)
    return modes
