"""Fixtures for every test: repeatable random numbers, figures that close themselves, devices."""

import os
import signal
import sys
from collections.abc import Iterator

import hypothesis
import numpy as np
import pytest
import torch

from tests import tiers, workers

# Before anything imports pyplot: no test opens a window.
os.environ["MPLBACKEND"] = "Agg"

# A shell that starts the tests in the background has them ignore Ctrl-C, and so would every program
# that they interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadline, for tests do not judge wall-clock time; the same examples every time where a failure
# must be repeatable by others.
hypothesis.settings.register_profile("snnviz", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("snnviz")


def pytest_configure(config: pytest.Config) -> None:
    """How a run is ordered, and how it ends when a worker dies."""
    config.pluginmanager.register(tiers)
    config.pluginmanager.register(workers)


DEVICES = ["cpu"]
if torch.cuda.is_available():
    DEVICES.append("cuda")
if torch.backends.mps.is_available():
    DEVICES.append("mps")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """The same starting weights in every test, whichever tests ran before it."""
    torch.manual_seed(0)


@pytest.fixture
def rng() -> np.random.Generator:
    """NumPy's random numbers, the same in every run."""
    return np.random.default_rng(0)


@pytest.fixture
def generator() -> torch.Generator:
    """PyTorch's random numbers on the CPU, the same in every run."""
    return torch.Generator().manual_seed(0)


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> torch.device:
    """Each device of this machine in turn: the CPU, and a GPU where there is one."""
    return torch.device(request.param)


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    """Close what a test drew, if it drew."""
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")
