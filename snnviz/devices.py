"""Picks device and precision, or says why it cannot; torch's settings and random numbers."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import torch

from snnviz import checks, distributed

PRECISIONS = ("auto", "float32", "bfloat16")
MOST_SEED = 2**64 - 1  # of torch's generators
_CPU = torch.device("cpu")

C = TypeVar("C", bound=type)


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
def standard_settings() -> Iterator[None]:
    """Torch's own default settings inside the block, or in a function that this decorates.

    Numbers are float32 and on the CPU unless we say otherwise, gradients are computed, and autocast
    and inference mode are off. What the user has set is restored afterwards: it must not change
    what snnviz makes, and a tensor made in inference mode could never be trained with. The weights
    that the user's autocast has kept in lower precision are forgotten, for training changes them.
    """
    with ExitStack() as stack:
        if torch.get_default_dtype() != torch.float32:
            stack.callback(torch.set_default_dtype, torch.get_default_dtype())
            torch.set_default_dtype(torch.float32)
        if torch.get_default_device().type != "cpu":  # entering it would slow every call
            stack.enter_context(torch.device("cpu"))
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        if not torch.is_grad_enabled():
            stack.enter_context(torch.enable_grad())
        for kind in ("cpu", "cuda", "mps"):
            if torch.is_autocast_enabled(kind):
                stack.callback(torch.clear_autocast_cache)
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


def in_standard_settings(kind: C) -> C:
    """A class whose constructor, public methods and properties have `standard_settings`.

    Not so those that yield: the user's code runs in between, with the user's settings.
    """
    for name, member in list(vars(kind).items()):
        if name.startswith("_") and name != "__init__":
            continue
        if isinstance(member, classmethod):
            setattr(kind, name, classmethod(standard_settings()(member.__func__)))
        elif isinstance(member, property):
            get, put = member.fget, member.fset
            get, put = get and standard_settings()(get), put and standard_settings()(put)
            setattr(kind, name, property(get, put))
        elif inspect.isfunction(member) and not inspect.isgeneratorfunction(member):
            setattr(kind, name, standard_settings()(member))
    return kind


def check_seed(argument: str, value: Any) -> int:
    """A seed that torch's generators take, as a Python int.

    Raises:
        ValueError: it is not a whole number from 0 to 2**64 - 1.
    """
    try:
        seed = -1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        seed = -1
    if not 0 <= seed <= MOST_SEED:
        raise ValueError(
            f"{argument} must be a whole number from 0 to 2**64 - 1, got {value!r}. "
            f"Use for example {argument}=1."
        )
    return seed


@contextmanager
def seeded(seed: int, device: torch.device = _CPU) -> Iterator[None]:
    """Seeds torch's global random state inside the block, and restores it afterwards.

    Only the CPU's and the device's: others are neither seeded nor used.
    """
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        # `torch.manual_seed` writes down the call stack each time if CUDA is there and has not been
        # used: in a notebook about half a millisecond, a tenth of a small network's step.
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.manual_seed_all(seed)
        elif device.type == "mps":
            torch.mps.manual_seed(seed)
        yield


@contextmanager
def random_state(seed: int, step: int, device: torch.device) -> Iterator[None]:
    """Seeds torch's global random state by the step inside the block, and restores it afterwards.

    Dropout and similar layers draw from it. Because the step seeds it, it does not have to be saved
    and a run can continue from any step. Each of several processes draws its own numbers.
    """
    # The CPU's generator uses only 32 bits, in which the ranks' seeds must differ widely.
    number = seed * 1_000_003 + step + distributed.rank() * 0x9E37_79B1
    with seeded(number % (MOST_SEED + 1), device):
        yield
