"""snnviz: train a task network and a switcher network alternately, and watch neurons switch off.

Here SNN means *switcher neural network*, not spiking neural network.
"""

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

from snnviz.data import ImageData, load_data
from snnviz.history import History
from snnviz.networks import network
from snnviz.runs import Trainer
from snnviz.shrink import compact
from snnviz.structure import describe
from snnviz.switcher import SwitcherConfig
from snnviz.training import Schedule

if TYPE_CHECKING:
    from snnviz import figures, plots
    from snnviz.lab import Lab

    __version__: str

__all__ = [
    "History",
    "ImageData",
    "Lab",
    "Schedule",
    "SwitcherConfig",
    "Trainer",
    "compact",
    "describe",
    "figures",
    "load_data",
    "network",
    "plots",
]

# Plots and widgets take a second to import, so they are imported only on first use.
_LAZY = {"plots": "snnviz.plots", "figures": "snnviz.plots.figures", "Lab": "snnviz.lab"}


def __getattr__(name: str) -> Any:
    if name == "__version__":  # as installed; pyproject.toml is where it is written
        return metadata.version("snnviz")
    if name not in _LAZY:
        raise AttributeError(f"module 'snnviz' has no attribute {name!r}")
    module = import_module(_LAZY[name])
    return getattr(module, name) if name[0].isupper() else module


def __dir__() -> list[str]:
    return sorted(__all__)
