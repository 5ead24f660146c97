"""What a layer gives while the network runs; of an attention, what its heads give."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from snnviz.data import ImageData
from snnviz.lab.session.image import answer_image
from snnviz.lab.session.listening import find_channel_axis, listen
from snnviz.lab.session.neuron import make_page
from snnviz.runs import Trainer
from snnviz.training import Schedule
from tests.export.nets import vit


@pytest.mark.parametrize(
    ("layer", "shape", "axis"),
    [
        (nn.Linear(4, 6), (1, 6), 1),
        (nn.Linear(4, 6), (1, 9, 6), 2),
        (nn.Linear(4, 6), (1, 7, 7, 6), 3),  # as in ConvNeXt
        (nn.LayerNorm(6), (1, 7, 7, 6), 3),
        (nn.MultiheadAttention(6, 2), (1, 7, 6), 2),
        (nn.Conv2d(3, 6, 3), (1, 6, 2, 2), 1),
        (nn.Conv1d(3, 6, 3), (1, 6, 9), 1),
        (nn.Identity(), (1, 5, 6), 2),
    ],
)
def test_where_the_channels_are(layer: nn.Module, shape: tuple[int, ...], axis: int) -> None:
    assert find_channel_axis(layer, torch.zeros(shape), channel=5) == axis


@pytest.mark.parametrize("batch_first", [False, True])
def test_what_heads_give(batch_first: bool) -> None:
    """Weighted by the rest of the layer, it is the layer's own output."""
    attention = nn.MultiheadAttention(8, 2, batch_first=batch_first)
    x, found = torch.randn(3, 5, 8), []
    handle = listen(attention, found.append)
    output = attention(query=x, key=x, value=x)[0]
    handle.remove()
    attention(x, x, x)
    [heads] = found
    output = output if batch_first else output.transpose(0, 1)
    torch.testing.assert_close(attention.out_proj(heads), output)


def made() -> Trainer:
    images = torch.rand(20, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    pair = images, torch.arange(20) % 10
    data = ImageData.from_tensors(pair, pair, device="cpu")
    plan = Schedule(epochs=4, warmup_epochs=0, task_steps=1, batch_size=10, switcher_lr=0.05)
    trainer = Trainer(vit(), data, plan, device="cpu", precision="float32")
    for _ in range(4):
        trainer.step()
    return trainer


def test_the_lab_tells_of_heads() -> None:
    trainer = made()
    group = "encoder.layers.encoder_layer_0.self_attention"
    assert trainer.history.groups[group] == 2
    answer = answer_image(trainer, 3).answers[group]
    heads: list[Tensor] = []
    handle = listen(trainer.network.get_submodule(group), heads.append)
    trainer.learners.logits(trainer.data.batch("test", torch.tensor([3]))[0], trainer.factors)
    handle.remove()
    peaks = heads[0][0].unflatten(1, (2, -1)).amax((0, 2))
    torch.testing.assert_close(torch.from_numpy(answer), peaks * trainer.factors[group])
    facts: Any = make_page(trainer, group, 1).facts
    assert (facts["writers"], facts["feeds"]) == ([group], [f"{group}.out_proj"])
    assert facts["fan_in"] == 16 * 3 * 32
    assert facts["answers"]["count"] > 0
    assert facts["weights"]["shown_of"] == 3 * 32
