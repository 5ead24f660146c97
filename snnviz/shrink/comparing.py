"""Checks that the smaller network has the same outputs, and finds where it does not."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from snnviz.structure import Switches
from snnviz.structure.differing import first_difference, layer_outputs
from snnviz.structure.modes import in_mode


class OutputsDiffer(RuntimeError):
    """The smaller network would not have the same outputs as the larger one."""


@torch.no_grad()
def compare_outputs(
    expected: Tensor,
    switches: Switches,
    folded: nn.Module,
    small: nn.Module,
    off: Mapping[str, np.ndarray],
    example: Tensor,
    tolerance: float,
    layers: bool = True,
) -> float:
    """The greatest difference of the outputs in evaluation mode, as a share of the largest output.

    Args:
        expected: the outputs that the smaller network must have.
        switches: of the network before any neurons were removed.
        folded: the network with its factors in the parameters.
        small: the same without its off neurons.
        off: {group: (neurons,) bool}, the neurons that were removed.
        example: normalised images.
        tolerance: greatest difference allowed.
        layers: compare the layers' outputs, where the scores are the same for all images.

    Raises:
        OutputsDiffer: the difference is greater, or the smaller network does not run.
    """
    scale = float(expected.abs().max())
    try:
        difference = float((small(example) - expected).abs().max()) / max(scale, 1e-30)
    except Exception as error:  # whatever the user's code does with other sizes
        raise _does_not_run(error, "") from error

    def first() -> str:
        return first_difference(
            lambda network: layer_outputs(network, example), folded, small, switches, off, tolerance
        )

    if not difference <= tolerance:
        layer = first()
        raise OutputsDiffer(
            f"The smaller network's outputs would differ by {difference:.1e} of the largest "
            f"output, and {tolerance:g} is allowed. The difference begins at "
            f"{f'layer {layer}' if layer else 'the end of the network'}."
        )
    # Constant scores, of a head that is all zeros for example, would hide every error before them.
    constant = float((expected - expected[:1]).abs().max()) <= tolerance * scale
    if layers and constant and (layer := first()):
        raise OutputsDiffer(
            "The network's outputs are the same for all images, and in the smaller network those "
            f"of layer {layer} would differ. Train the network first, or exclude this layer with "
            "find_switches(network, example, exclude=[…])."
        )
    return difference


def check_training(network: nn.Module, small: nn.Module, example: Tensor) -> None:
    """Whether the smaller network also runs in training mode, if the network does.

    Raises:
        OutputsDiffer: it does not.
    """
    images = example[:2]
    error = _error_in_training(small, images)
    # If neither of them runs, the removal is not the reason, but for example a single image.
    if error and not _error_in_training(network, images):
        raise _does_not_run(error, " in training mode") from error


def _error_in_training(network: nn.Module, images: Tensor) -> Exception | None:
    try:
        with in_mode(network, "training", images):
            network(images)
    except Exception as error:  # as above
        return error
    return None


def _does_not_run(error: Exception, mode: str) -> OutputsDiffer:
    return OutputsDiffer(
        f"The smaller network does not run{mode} ({error}). Exclude the layers concerned "
        "with find_switches(network, example, exclude=[…])."
    )
