"""Choose the device and the precision of the computation, and seed its random numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from snnviz import checks, distributed

PRECISIONS = ("auto", "float32", "bfloat16")


def pick_device(device: str | torch.device = "auto") -> torch.device:
    """The device of that name, with its number; "auto" means cuda, else mps, else cpu.

    Under torchrun, "cuda" is the GPU of this process, and "auto" never chooses mps.

    Raises ValueError for a device that this machine does not have.
    """
    if device == "auto":
        mps = "mps" if torch.backends.mps.is_available() and not distributed.several() else "cpu"
        device = "cuda" if torch.cuda.is_available() else mps
    if str(device) == "cuda":
        device = distributed.own_gpu()
    try:
        return torch.empty(0, device=torch.device(device)).device
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        here = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        here += ["mps"] if torch.backends.mps.is_available() else []
        raise ValueError(
            f"device must be auto or one that this machine has ({', '.join(here)}), "
            f'got {str(device)!r}. Use device="auto" to choose the fastest.'
        ) from error


def pick_precision(precision: str, device: torch.device) -> str:
    """ "float32" or "bfloat16": what "auto" means on this device."""
    checks.one_of("precision", precision, PRECISIONS)
    if precision != "auto":
        return precision
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":  # AMX multiplies bfloat16 in hardware; without it float32 is faster
        fast = bool(torch.cpu.get_capabilities().get("amx_bf16", False))
    else:
        fast = False
    return "bfloat16" if fast else "float32"


@contextmanager
def random_state(seed: int, step: int, device: torch.device) -> Iterator[None]:
    """Seeds torch's global random state by the step inside the block, and restores it afterwards.

    Dropout and similar layers draw from it. Because the step seeds it, it does not have to be saved
    and a run can continue from any step. Each of several processes draws its own numbers.
    """
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        # The CPU's generator uses only 32 bits, in which the ranks' seeds must differ widely.
        torch.manual_seed(seed * 1_000_003 + step + distributed.rank() * 0x9E37_79B1)
        yield
