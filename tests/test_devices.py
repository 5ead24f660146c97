"""Devices by name, torch's settings and seeds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from snnviz.data import BatchOrder, ImageData, choosing, harder, load_data
from snnviz.devices import check_seed, pick_device, random_state, standard_settings
from snnviz.networks import network
from snnviz.runs import Trainer
from snnviz.shrink import compact
from snnviz.switcher import Switcher
from snnviz.training import Schedule
from tests import reference
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


DATA = reference.tiny_data()


def trained(folder: Path) -> list[Any]:
    """What a trainer computes, through most of its methods."""
    data, net = DATA, network("mlp", DATA, seed=3, width=0.05)
    plan = Schedule(epochs=2, batch_size=16, task_steps=2, switcher_steps=1)
    where = {"device": "cpu", "precision": "bfloat16"}  # everywhere, not only where it is fast
    with Trainer(net, data, plan, **where, folder=folder, seed=2**64 - 1) as trainer:
        found: list[Any] = [trainer.evaluate().loss]
        for _, _record in zip(range(3), trainer, strict=False):
            found.append(torch.is_grad_enabled())  # the user's own setting
        trainer.pin(next(iter(trainer.factors)), 1, on=False)
        trainer.schedule = trainer.schedule.replace(batch_size=8)
        trainer.run(progress=False)
        found.append(trainer.logits(data.batch("test", torch.arange(4, device="cpu"))[0]))
        found.append(compact(trainer, latency=False)[1].after)
    kept = Switcher.load(trainer.switcher.save(folder / "switcher.safetensors"))
    other = Trainer.at(folder, 1, data=data)
    other.run(progress=False)
    found.append(other.history.last_epoch["test_loss"])
    other = Trainer(net, data, plan, switcher=kept, **where)
    other.run(epochs=1, progress=False)
    return [*found, other.evaluate().loss]


@pytest.fixture(scope="module")
def trained_plainly(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    return trained(tmp_path_factory.mktemp("runs") / "run")


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS.keys())
def test_torchs_settings_change_no_training(
    setting: Any, trained_plainly: list[Any], tmp_path: Path
) -> None:
    with setting():
        grad = torch.is_grad_enabled()
        found = trained(tmp_path / "run")
    assert found[1:4] == 3 * [grad]
    for got, wanted in zip(
        found[:1] + found[4:], trained_plainly[:1] + trained_plainly[4:], strict=True
    ):
        assert torch.equal(got, wanted) if isinstance(got, Tensor) else got == wanted


def test_the_users_autocast_sees_what_training_has_changed() -> None:
    trainer = Trainer(network("mlp", DATA, seed=3, width=0.05), DATA, Schedule(), device="cpu")
    images = DATA.batch("test", torch.arange(4))[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        before = trainer.network(images)  # autocast keeps the weights in bfloat16
        trainer.step()
        after = trainer.network(images)
    assert not torch.equal(before, after)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(after, trainer.network(images))


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
