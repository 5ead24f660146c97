"""Checks that the smaller network has the same outputs, and finds where it does not."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from snnviz.shrink.narrow import find_kept
from snnviz.structure import Switches


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
) -> float:
    scale = float(expected.abs().max())
    try:
        difference = float((small(example) - expected).abs().max()) / max(scale, 1e-30)
    except RuntimeError as error:
        raise OutputsDiffer(
            f"The smaller network does not run ({error}). Exclude the layers concerned "
            "with find_switches(network, example, exclude=[…])."
        ) from error
    if not difference <= tolerance:
        raise OutputsDiffer(
            f"The smaller network's outputs would differ by {difference:.1e} of the largest "
            f"output, and {tolerance:g} is allowed. The difference begins at "
            f"{_first_difference(folded, small, switches, off, example, tolerance)}."
        )
    return difference


def _first_difference(
    folded: nn.Module,
    small: nn.Module,
    switches: Switches,
    off: Mapping[str, np.ndarray],
    example: Tensor,
    tolerance: float,
) -> str:
    """The first layer whose remaining channels differ."""
    before, after = _outputs(folded, example), _outputs(small, example)
    rows, _ = find_kept(switches, off)
    for name, expected in before.items():
        came = after.get(name)  # None: removed
        dim = -1 if isinstance(folded.get_submodule(name), nn.Linear) else 1
        if name in rows:
            stay = torch.from_numpy(np.flatnonzero(rows[name]))
            expected = expected.index_select(dim, stay.to(expected.device))
        if came is None or came.shape != expected.shape:
            continue
        if float((came - expected).abs().max()) > tolerance * float(expected.abs().max()):
            return f"layer {name}"
    return "the network's end"


def _outputs(network: nn.Module, example: Tensor) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    handles = [
        module.register_forward_hook(
            lambda _, __, output, name=name: found.setdefault(name, output)
        )
        for name, module in network.named_modules()
        if name and not list(module.children()) and list(module.parameters(recurse=False))
    ]
    try:
        network(example)
    finally:
        for handle in handles:
            handle.remove()
    return found
