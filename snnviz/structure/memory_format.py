"""How images and weights lie in memory: channels_last, which is faster, where that is safe.

Two kinds of networks keep away from it:

- On CPUs, those with a strided convolution by single pixels (kernel 1 x 1) that reads fewer than 16
  channels. In float32 and channels_last, oneDNN writes past the end of its buffer when it computes
  the gradient of such weights: the process dies, hangs, or goes on with wrong numbers. With AVX2
  that happens below 8 channels, with AVX-512 below 16. The shortcuts of narrow ResNets are such
  layers, and a network that is made smaller may get one. A convolution runs in channels_last if
  its images or its weights lie so, and layers hand the format on, so the whole network is kept
  contiguous. The rule does not ask which CPU this is, for networks are saved and move on.
  https://github.com/uxlfoundation/oneDNN/issues/6035, and benchmarks/convolution_crash.py
- Those that run as they came and not in our format, such as a network that flattens images with
  `x.view(len(x), -1)`, which works on contiguous memory alone.
"""

import torch
from torch import Tensor, nn

from snnviz.structure.probe import copied

_BLOCK = 16  # channels that oneDNN takes together where registers are widest (AVX-512)


def prepare(network: nn.Module, images: Tensor) -> torch.memory_format:
    """Brings a network into the format in which it trains, in place.

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
    """Brings a network that is handed out into contiguous memory if a layer of it is at risk.

    It may be trained on any machine, so its device does not matter. Unless there is such a layer it
    stays as it is, and also if it does not run on these images when it is contiguous.
    """
    if layers_at_risk(network):
        wanted = torch.contiguous_format
        if images is None or _fits(network, images, wanted):
            network.to(memory_format=wanted)  # type: ignore[call-overload]
    return network


def layers_at_risk(network: nn.Module) -> list[str]:
    """Convolutions whose gradients oneDNN may compute wrongly in channels_last."""
    return [name for name, module in network.named_modules() if _at_risk(module)]


def _at_risk(module: nn.Module) -> bool:
    return (
        isinstance(module, nn.Conv2d)
        and module.weight.dtype == torch.float32
        and module.groups == 1
        and max(module.kernel_size) == 1 < max(module.stride)
        and module.in_channels < _BLOCK
    )


def _fits(network: nn.Module, images: Tensor, wanted: torch.memory_format) -> bool:
    """Whether the network runs in a format at least as well as it does as it is."""
    there = _modes_that_run(network, images, wanted)
    return len(there) == 2 or not _modes_that_run(network, images, None) > there


def _modes_that_run(
    network: nn.Module, images: Tensor, wanted: torch.memory_format | None
) -> set[str]:
    """In which of "train" and "eval" a copy of the network runs.

    `wanted` is the format of weights and images; None: the weights stay as they are, and images are
    contiguous.
    """
    trial = copied(network).requires_grad_(True)
    if wanted is not None:
        trial.to(memory_format=wanted)
    images = images.detach().clone(memory_format=wanted or torch.contiguous_format)
    modes = set()
    # Dropout draws numbers, and the user's are to come as if nothing had been tried.
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
