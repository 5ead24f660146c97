"""Devices by name, torch's settings and seeds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from snnviz.data import BatchOrder, ImageData, choosing, harder, load_data
from snnviz.devices import check_seed, pick_device, random_state, standard_settings
from snnviz.networks import network
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


SETTINGS: dict[str, Any] = {
    "float64": lambda: default_dtype(torch.float64),
    "float16": lambda: default_dtype(torch.float16),
    "another device": lambda: torch.device("meta"),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "deterministic": lambda: deterministic(),
}


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    yield
    torch.set_default_dtype(before)


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def set_now() -> tuple[Any, ...]:
    return (
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.are_deterministic_algorithms_enabled(),
    )


def made_of_data_and_networks() -> dict[str, Tensor]:
    """Every kind of tensor that data and networks make."""
    floats, labels = torch.linspace(0, 1, 2560, dtype=torch.float64, device="cpu"), LABELS
    floats = floats.view(40, 1, 8, 8)
    options = {"holdout": 6, "augment": "shift+flip", "device": "cpu"}
    data = ImageData.from_tensors((floats, labels), (floats, labels), **options)
    pair = (255 * floats).to(torch.uint8).numpy(), labels.numpy()
    items = list(zip(floats, labels, strict=True))
    all_data = {
        "floats": data,
        "bytes": ImageData.from_tensors(pair, pair, **options),
        "items": ImageData.from_dataset(items, items, **options),
        "harder": harder(data, classes=2, noise=0.1, share=0.5, seed=3),
        "choosing": choosing(data, again=True),
        "moved": data.to("cpu"),
    }
    made = {}
    for name, some in all_data.items():
        held = some.holdout or some.train
        found = (some.train.images, some.test.labels, held.images, some.mean, some.std)
        made |= {f"{name} {i}": tensor for i, tensor in enumerate(found)}
    rows, generator = BatchOrder(30, 8, 1).next()
    made["rows"] = rows
    made["images"], made["labels"] = data.batch("train", rows, generator)
    for name in ("mlp", "resnet8"):
        module = network(name, data, seed=2**64 - 1)
        assert all(p.requires_grad for p in module.parameters())
        made |= {f"{name} {key}": value for key, value in module.state_dict().items()}
    return made


LABELS = torch.arange(40) % 3


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS.keys())
def test_torchs_settings_change_nothing(setting: Any) -> None:
    wanted = made_of_data_and_networks()
    with setting():
        before = set_now()
        made = made_of_data_and_networks()
        assert set_now() == before
    assert before != set_now()
    for name, tensor in made.items():
        assert not tensor.is_inference(), name
        assert (tensor.dtype, tensor.device.type) == (wanted[name].dtype, "cpu"), name
        assert torch.equal(tensor, wanted[name]), name


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS.keys())
def test_settings_are_standard_within_and_the_users_after_an_error(setting: Any) -> None:
    standard = set_now()[:5]
    with setting():
        before = set_now()
        found = []
        with suppress(KeyError), standard_settings():
            found += set_now()[:5]
            raise KeyError
        assert tuple(found) == standard
        assert set_now() == before


@pytest.mark.parametrize("seed", [0, 2**64 - 1, np.int64(5)])
def test_seeds(seed: Any) -> None:
    checked = check_seed("seed", seed)
    assert (checked, type(checked)) == (int(seed), int)
    with random_state(checked, 3, torch.device("cpu")):
        drawn = torch.rand(3)
    with random_state(checked, 4, torch.device("cpu")):
        assert not torch.equal(torch.rand(3), drawn)


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, "1", True, None])
def test_bad_seeds(seed: Any) -> None:
    words = (
        f"seed must be a whole number from 0 to 2**64 - 1, got {seed!r}. Use for example seed=1."
    )
    data = small()
    for call in (
        lambda: check_seed("seed", seed),
        lambda: network("mlp", data, seed),
        lambda: harder(data, seed=seed),
    ):
        assert message_of(call) == words


def test_auto_takes_the_fastest_device() -> None:
    fastest = "mps" if torch.backends.mps.is_available() else "cpu"
    fastest = "cuda" if torch.cuda.is_available() else fastest
    assert pick_device("auto").type == fastest
    assert pick_device("cpu") == pick_device(torch.device("cpu")) == torch.device("cpu")
    assert pick_device("meta") == torch.device("meta")
