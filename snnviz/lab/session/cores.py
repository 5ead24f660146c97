"""The processor's cores, which training shares with the page.

On Linux torch shares out its work with libgomp. Each thread that calculates keeps helpers of its
own, and once there are more of them than cores, libgomp has all of them go to sleep at every wait:
a training step then takes half as long again, though the others do nothing. A trainer that was
made in the kernel's main thread and is trained in another one is such a case.
"""

import ctypes
import os
from functools import cache
from typing import Any

import torch

_SOFT = 1  # omp_pause_soft


@cache
def _libgomp() -> Any:
    """The one that torch has loaded; None where it uses another library."""
    try:
        return ctypes.CDLL("libgomp.so.1").omp_pause_resource_all
    except (OSError, AttributeError):
        return None


def end_helpers() -> None:
    """Ends the helpers of the thread that calls it; its next calculation makes new ones."""
    pause = _libgomp()
    if pause is not None:
        pause(_SOFT)


def count_spare_threads(device: torch.device) -> int:
    """How many of the machine's hardware threads training on the device leaves to others."""
    threads = torch.get_num_threads() if device.type == "cpu" else 0
    try:
        allowed = len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        allowed = os.cpu_count() or 1
    return max(0, allowed - threads)
