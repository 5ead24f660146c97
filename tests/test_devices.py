"""Devices by name."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from snnviz.data import load_data
from snnviz.devices import pick_device
from tests.data.examples import small
from tests.helpers import message_of


@pytest.mark.parametrize("device", ["cuda", "cuda:7", "gpu", 5])
def test_bad_device(device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch, "empty", no_device)
    for call in (
        lambda: pick_device(device),
        lambda: small(device),
        lambda: small().to(device),
        lambda: load_data("fashion-mnist", device),
    ):
        assert message_of(call) == (
            f"device must be auto or one that this machine has (cpu), got {str(device)!r}. "
            'Use device="auto" to choose the fastest.'
        )


def no_device(*size: int, device: torch.device) -> Tensor:
    """Machines differ in their devices, so the test plays one that has none but the CPU."""
    if device.type != "cpu":
        raise RuntimeError("Found no NVIDIA driver on your system.")
    return torch.zeros(*size)


def test_auto_takes_the_fastest_device() -> None:
    fastest = "mps" if torch.backends.mps.is_available() else "cpu"
    fastest = "cuda" if torch.cuda.is_available() else fastest
    assert pick_device("auto").type == fastest
    assert pick_device("cpu") == pick_device(torch.device("cpu")) == torch.device("cpu")
    assert pick_device("meta") == torch.device("meta")
