"""Threads that a calculation leaves behind in the thread that asked for it.

On Linux torch shares out its work with libgomp. Each thread that calculates keeps helpers of its
own, and once there are more of them than cores, libgomp has all of them go to sleep at every wait:
a training step then takes half as long again, though the others do nothing. A trainer that was
made in the kernel's main thread and is trained in another one is such a case.
"""

import ctypes
from functools import cache
from typing import Any

_SOFT = 1  # omp_pause_soft


@cache
def _libgomp() -> Any:
    """The one that torch has loaded; None where it uses another library."""
    try:
        return ctypes.CDLL("libgomp.so.1").omp_pause_resource_all
    except (OSError, AttributeError):
        return None


def let_go() -> None:
    """Ends the helpers of the thread that calls it; its next calculation makes new ones."""
    pause = _libgomp()
    if pause is not None:
        pause(_SOFT)
