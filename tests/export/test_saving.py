"""A saved network is the same when it is loaded again; a failed save changes nothing."""

import copy
from pathlib import Path

import pytest
import torch
import torchvision.models as tv
from torch import Tensor, nn

from snnviz.export import load_compact, save_compact
from snnviz.export.vocabulary import METHODS, functions, layers
from snnviz.structure.attention import NarrowAttention
from tests.export.nets import (
    NETWORKS,
    Residual,
    Rich,
    Tied,
    assert_equal_state,
    assert_same,
    compacted,
    hooked,
)

# --- saving and loading -----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_a_compacted_network_comes_back_the_same(name: str, tmp_path: Path) -> None:
    build, shape = NETWORKS[name]
    example = torch.randn(3, *shape)
    small = compacted(build(), example)
    assert save_compact(small, tmp_path / "net", example) == tmp_path / "net"
    loaded = assert_same(small, tmp_path / "net", example)
    ours = {type(module) for module in loaded.modules() if "snnviz" in type(module).__module__}
    assert ours == ({NarrowAttention} if name == "vit" else set())


def test_everything_that_is_written_comes_back(tmp_path: Path) -> None:
    network, example = Rich(), torch.randn(3, 3, 8, 8)
    save_compact(network, tmp_path / "net", example)
    loaded = load_compact(tmp_path / "net")
    made = "_tensor_constant0"  # what the forward pass makes for itself is held as a buffer
    assert made in dict(loaded.named_buffers())
    delattr(loaded, made)
    assert_equal_state(network, loaded)
    for mode in (False, True):
        ours, theirs = network.train(mode), load_compact(tmp_path / "net").train(mode)
        outputs = []
        for module in (ours, theirs):
            torch.manual_seed(1)
            outputs.append(module(example))
        assert torch.equal(*outputs)
    network.mean.add_(1)  # buffers are read, not frozen
    theirs.mean.add_(1)
    assert torch.equal(network.eval()(example), theirs.eval()(example))


def test_the_loaded_network_holds_nothing_of_snnviz(tmp_path: Path) -> None:
    save_compact(Rich(), tmp_path / "net")
    loaded = load_compact(tmp_path / "net")
    held = [loaded.forward.__func__, *(type(module) for module in loaded.modules())]
    assert not [thing for thing in held if "snnviz" in str(thing.__module__)]
    assert "snnviz" not in loaded.code
    copied = copy.deepcopy(loaded).eval()
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(copied(images), loaded.eval()(images))


def test_it_can_be_saved_and_compacted_again(tmp_path: Path) -> None:
    example = torch.randn(3, 3, 8, 8)
    save_compact(compacted(Residual(), example), tmp_path / "a")
    loaded = load_compact(tmp_path / "a")
    save_compact(loaded, tmp_path / "b", example)
    assert_same(loaded, tmp_path / "b", example)
    smaller = compacted(loaded, example)
    save_compact(smaller, tmp_path / "c", example)
    again = assert_same(smaller, tmp_path / "c", example)
    sizes = [sum(p.numel() for p in module.parameters()) for module in (loaded, again)]
    assert sizes[1] < sizes[0]


def test_what_is_tied_stays_tied(tmp_path: Path) -> None:
    network = Tied()
    save_compact(network, tmp_path / "net")
    loaded = assert_same(network, tmp_path / "net", torch.randn(4, 3, 2, 2))
    assert loaded.first.weight is loaded.second.weight
    assert loaded.third is loaded.second
    assert loaded.again[1] is loaded.inner[1]


def test_modes_dtypes_gradients_and_memory_are_kept(tmp_path: Path) -> None:
    network = Residual().double().to(memory_format=torch.channels_last)
    network.norm.eval()
    network.stem.requires_grad_(False)
    assert network.stem.weight.stride() != network.stem.weight.contiguous().stride()
    save_compact(network, tmp_path / "net", torch.randn(2, 3, 8, 8).double())
    loaded = assert_same(network, tmp_path / "net", torch.randn(3, 3, 8, 8).double())
    assert loaded.training
    assert not loaded.norm.training


def test_a_block_in_another_mode_keeps_its_flag(tmp_path: Path) -> None:
    """DenseNet's blocks read `self.training` themselves, and so may differ from the whole."""
    network = tv.DenseNet(4, (1, 1, 1, 1), 8, num_classes=5, drop_rate=0.5).train()
    network.features.denseblock1.eval()
    save_compact(network, tmp_path / "net")
    loaded = load_compact(tmp_path / "net")
    outputs = []
    for module in (network, loaded):
        torch.manual_seed(1)
        outputs.append(module(torch.ones(2, 3, 32, 32)))
    assert torch.equal(*outputs)
    assert network.training
    assert not network.features.denseblock1.training


def test_a_network_on_any_device_is_saved(tmp_path: Path, device: torch.device) -> None:
    network = Residual().to(device)
    before = copy.deepcopy(network.state_dict())
    save_compact(network, tmp_path / "net", torch.randn(2, 3, 8, 8, device=device))
    assert_equal_state(copy.deepcopy(network).cpu(), load_compact(tmp_path / "net"))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_the_files_are_the_same_each_time_and_no_pickle(tmp_path: Path) -> None:
    network = Residual()
    for folder in ("a", "b"):
        save_compact(network, tmp_path / folder)
    names = sorted(file.name for file in (tmp_path / "a").iterdir())
    assert names == ["network.json", "weights.safetensors"]
    for name in names:
        data = (tmp_path / "a" / name).read_bytes()
        assert data == (tmp_path / "b" / name).read_bytes()
        assert data.lstrip(b"\x00")[:2] not in (b"PK", b"\x80\x02")


def test_the_tables_name_what_there_is() -> None:
    assert all(issubclass(layer, nn.Module) for layer in layers().values())
    assert all(callable(function) for function in functions().values())
    assert not [name for name in METHODS if not hasattr(Tensor, name)]


def test_other_files_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(FileExistsError) as raised:
        save_compact(Residual(), tmp_path)
    assert str(raised.value) == (
        f"folder {str(tmp_path)!r} holds other files (notes.txt); "
        "give the name of a new or empty folder."
    )


def test_a_failed_save_leaves_the_old_one_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Residual()
    save_compact(network, tmp_path / "net")
    with pytest.raises(ValueError, match="hooks"):
        save_compact(hooked(), tmp_path / "net")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            save_compact(Residual(), tmp_path / "net")
    assert_equal_state(network, load_compact(tmp_path / "net"))
    assert [file.name for file in tmp_path.iterdir()] == ["net"]
    other = Residual()
    save_compact(other, tmp_path / "net")
    assert_equal_state(other, load_compact(tmp_path / "net"))
