"""Networks with attention that has lost heads are saved, loaded and exported."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from snnviz.export import TOLERANCE, export, load_compact, save_compact
from snnviz.runs import Trainer
from snnviz.shrink import compact
from snnviz.structure import describe, find_switches
from snnviz.structure.attention import NarrowAttention
from snnviz.training import Schedule
from tests import reference
from tests.export.nets import compacted, vit
from tests.helpers import message_of
from tests.structure.test_heads import FIRST, Attending, alone, crossed

IMAGES = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def kinds_of(network: nn.Module) -> list[type]:
    return [type(m) for m in network.modules() if isinstance(m, nn.MultiheadAttention)]


@pytest.mark.parametrize("training", [False, True])
def test_a_saved_network_is_the_same_bit_for_bit(training: bool, tmp_path: Path) -> None:
    small = compacted(vit(), IMAGES).train(training)
    assert kinds_of(small) == [NarrowAttention] * 2
    save_compact(small, tmp_path / "small", IMAGES)
    loaded = load_compact(tmp_path / "small")
    assert kinds_of(loaded) == [NarrowAttention] * 2
    assert loaded.training == training
    ours, theirs = small.state_dict(), loaded.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert torch.equal(small.eval()(IMAGES), loaded.eval()(IMAGES))
    switched = [list(find_switches(each, IMAGES).groups) for each in (small, loaded)]
    assert switched[0] == switched[1]


@pytest.mark.parametrize(
    ("call", "options"),
    [
        (alone, FIRST | {"dropout": 0.25, "bias": False}),
        (alone, FIRST | {"add_bias_kv": True, "add_zero_attn": True}),
        (crossed, FIRST | {"kdim": 6, "vdim": 10}),
    ],
)
def test_its_options_are_saved(call: Any, options: dict[str, Any], tmp_path: Path) -> None:
    network, images = Attending(call, **options).eval(), IMAGES[:, :, :8, :8].contiguous()
    switches = find_switches(network, images)
    factors = {name: torch.ones(g.neurons) for name, g in switches.groups.items()}
    factors["attention"][1] = 0
    small: Any = compact(network, factors, images, switches=switches, latency=False)[0]
    save_compact(small, tmp_path / "small", images)
    loaded: Any = load_compact(tmp_path / "small")
    plain = [
        {k: v for k, v in vars(each.attention).items() if type(v) in (int, float, bool)}
        for each in (small, loaded)
    ]
    assert plain[0] == plain[1]
    assert plain[0]["num_heads"] == 3
    assert torch.equal(small(images), loaded(images))


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".pt2", ".onnx"])
def test_an_exported_file_has_the_same_outputs(ending: str, tmp_path: Path) -> None:
    small = compacted(vit(), IMAGES)
    assert 0 <= export(small, tmp_path / f"net{ending}", IMAGES) <= TOLERANCE
    if ending == ".pt2":
        again = torch.export.load(tmp_path / "net.pt2").module()
        more = torch.randn(7, 3, 32, 32)  # another number of images
        expected = small.eval()(more)
        torch.testing.assert_close(again(more), expected, rtol=1e-4, atol=1e-4)


def test_sizes_in_a_file_are_checked(tmp_path: Path) -> None:
    from snnviz.export.description import describe_as_values
    from snnviz.export.rebuild import build_network

    description, tensors = describe_as_values(compacted(vit(), IMAGES))
    [first, *_] = [m for m in description["modules"] if m.get("class") == "NarrowAttention"]
    first["args"]["num_heads"] = 0
    why = message_of(lambda: build_network(description, tensors))
    assert why == "num_heads and head_dim must be at least 1, got 0 and 16."
    first["args"]["num_heads"] = 2**40
    with pytest.raises(ValueError, match="should have the shape"):
        build_network(description, tensors)


def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    data = reference.tiny_data((3, 32, 32), n=20, classes=10)
    plan = Schedule(epochs=2, warmup_epochs=0, task_steps=1, batch_size=10, switcher_lr=0.05)

    def start(folder: Path) -> Trainer:
        torch.manual_seed(0)
        return Trainer(vit(), data, plan, device="cpu", precision="float32", folder=folder)

    whole, halted = start(tmp_path / "whole"), start(tmp_path / "halted")
    whole.run(progress=False)
    halted.run(1, progress=False)
    halted.close()
    again = Trainer.resume(tmp_path / "halted", network=vit(), data=data)
    again.run(progress=False)
    heads = "encoder.layers.encoder_layer_1.self_attention"
    assert again.history.groups[heads] == 2
    assert torch.equal(again.factors[heads], whole.factors[heads])
    assert float((whole.factors[heads] - 1).abs().max()) > 0
    ours, theirs = again.network.state_dict(), whole.network.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_described() -> None:
    table = describe(vit(), IMAGES, show=False).set_index("group")
    heads = "encoder.layers.encoder_layer_0.self_attention"
    row = table.loc[heads]
    assert (row.neurons, row.scaled) == (2, f"{heads}.out_proj")
    assert row.parameters == 3 * 16 * (32 + 1) + 32 * 16
    assert row.macs == 17 * 4 * 16 * 32  # 16 patches and the class token
